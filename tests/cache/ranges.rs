//! Ranges: what is stored whole is given in parts. RFC 9110, 14

use bartizan::cache::CacheBody;
use bytes::Bytes;
use http::header;
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::support::{Answer, Body, Origin, Scene, exact, get, pipe, request, response, streamed};

type Fields = &'static [(&'static str, &'static str)];

const TEN: Fields =
    &[("cache-control", "max-age=60"), ("etag", "\"1\""), ("last-modified", "Tue, 14 Nov 2023 20:00:00 GMT")];

fn ten_bytes() -> Origin {
    Origin::new(|_| async { Ok(response(200, TEN, "0123456789")) })
}

#[tokio::test]
async fn a_range_is_cut_from_a_stored_page() {
    let scene = Scene::new(exact(), ten_bytes());
    scene.get("/").await;
    for (range, status, body, content_range) in [
        ("bytes=2-4", 206, "234", Some("bytes 2-4/10")),
        ("bytes=0-0", 206, "0", Some("bytes 0-0/10")),
        ("bytes=7-", 206, "789", Some("bytes 7-9/10")),
        ("bytes=-3", 206, "789", Some("bytes 7-9/10")),
        ("bytes=-30", 206, "0123456789", Some("bytes 0-9/10")),
        ("bytes=8-99999999999999999999", 206, "89", Some("bytes 8-9/10")),
        ("bytes=10-", 416, "", Some("bytes */10")),
        ("bytes=-0", 416, "", Some("bytes */10")),
        ("bytes=4-2", 200, "0123456789", None),
        ("bytes=0-1, 1-4", 200, "0123456789", None),
        ("lines=0-1", 200, "0123456789", None),
        ("bytes", 200, "0123456789", None),
    ] {
        let answer = scene.ask(get("/", &[("range", range)])).await;
        assert_eq!((answer.status(), answer.text()), (status, body), "{range}");
        assert_eq!(answer.field("content-range").as_deref(), content_range, "{range}");
        assert_eq!(answer.field("content-length"), Some(body.len().to_string()), "{range}");
        assert!(answer.is_hit(), "{range}");
    }
    let head = scene.ask(request("HEAD", "/", &[("range", "bytes=2-4")])).await;
    assert_eq!((head.status(), head.field("content-length").as_deref()), (200, Some("10")), "ranges are for GET");
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn if_range_asks_for_the_part_of_what_the_client_has() {
    let scene = Scene::new(exact(), ten_bytes());
    scene.get("/").await;
    for (if_range, status) in [
        ("\"1\"", 206),
        ("\"2\"", 200),
        ("W/\"1\"", 200),
        ("Tue, 14 Nov 2023 20:00:00 GMT", 206),
        ("Tue, 14 Nov 2023 20:00:01 GMT", 200),
        ("nonsense", 200),
    ] {
        let answer = scene.ask(get("/", &[("range", "bytes=2-4"), ("if-range", if_range)])).await;
        assert_eq!(answer.status(), status, "{if_range}");
    }
    let unchanged = scene.ask(get("/", &[("range", "bytes=2-4"), ("if-none-match", "\"1\"")])).await;
    assert_eq!(unchanged.status(), 304, "the condition comes first");
    let changed =
        scene.ask(get("/", &[("range", "bytes=2-4"), ("if-none-match", "\"2\""), ("if-range", "\"1\"")])).await;
    assert_eq!((changed.status(), changed.text()), (206, "234"), "and if it does not hold, the range");
    let neither =
        scene.ask(get("/", &[("range", "bytes=2-4"), ("if-none-match", "\"2\""), ("if-range", "\"2\"")])).await;
    assert_eq!((neither.status(), neither.text()), (200, "0123456789"));
}

#[tokio::test]
async fn a_range_that_is_not_stored_passes_through() {
    let scene = Scene::new(
        exact(),
        Origin::new(|call| async move {
            Ok(match call.request.headers().get(header::RANGE) {
                None => response(200, TEN, "0123456789"),
                Some(range) => {
                    assert_eq!(range, "bytes=2-4");
                    let part = [("cache-control", "max-age=60"), ("content-range", "bytes 2-4/10")];
                    response(206, &part, "234")
                }
            })
        }),
    );
    for _ in 0..2 {
        let part = scene.ask(get("/", &[("range", "bytes=2-4")])).await;
        assert_eq!((part.status(), part.text()), (206, "234"));
        assert_eq!(part.cache_status(), "bartizan; fwd=uri-miss");
    }
    assert_eq!(scene.get("/").await.text(), "0123456789", "the part was not stored as the whole");
    assert_eq!(scene.calls(), 3);
}

/// The parts of a `multipart/byteranges` answer: their `Content-Type`, `Content-Range` and text.
fn parts(answer: &Answer) -> Vec<(String, String, String)> {
    let content_type = answer.field("content-type").expect("a content type");
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").expect("several parts");
    assert_eq!(boundary.len(), 32, "{boundary}");
    let text = answer.text().strip_suffix(&format!("\r\n--{boundary}--\r\n")).expect("an end");
    let delimiter = format!("\r\n--{boundary}\r\n");
    let text = format!("\r\n{text}");
    let (before, parts) = text.split_once(&delimiter).expect("a part");
    assert_eq!(before, "", "nothing before the first part");
    let part = |part: &str| {
        let (head, body) = part.split_once("\r\n\r\n").expect("an empty line");
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_default().to_owned()
        };
        (field("Content-Type"), field("Content-Range"), body.to_owned())
    };
    parts.split(&delimiter).map(part).collect()
}

fn part(content_type: &str, content_range: &str, body: &str) -> (String, String, String) {
    (content_type.to_owned(), content_range.to_owned(), body.to_owned())
}

const TEXT: Fields = &[("cache-control", "max-age=60"), ("etag", "\"1\""), ("content-type", "text/plain")];

#[tokio::test]
async fn several_ranges_come_as_parts_in_the_order_asked_for() {
    let scene = Scene::new(exact(), Origin::new(|_| async { Ok(response(200, TEXT, "0123456789")) }));
    scene.get("/").await;
    for (range, want) in [
        ("bytes=0-1,4-5", [("bytes 0-1/10", "01"), ("bytes 4-5/10", "45")]),
        ("bytes=8-,2-3,10-", [("bytes 8-9/10", "89"), ("bytes 2-3/10", "23")]),
    ] {
        let answer = scene.ask(get("/", &[("range", range)])).await;
        assert_eq!(answer.status(), 206, "{range}");
        let want: Vec<_> = want.iter().map(|(range, text)| part("text/plain", range, text)).collect();
        assert_eq!(parts(&answer), want, "{range}");
        assert_eq!(answer.field("content-length"), Some(answer.body.len().to_string()), "{range}");
        // RFC 9110, 15.3.7.2: it would be taken for a single part.
        assert_eq!(answer.field("content-range"), None, "{range}");
        assert_eq!(answer.field("etag").as_deref(), Some("\"1\""), "{range}");
        assert!(answer.is_hit(), "{range}");
    }
    let one = scene.ask(get("/", &[("range", "bytes=2-3, 10-12")])).await;
    assert_eq!(one.field("content-range").as_deref(), Some("bytes 2-3/10"), "one is left, which is no multipart");
    let none = scene.ask(get("/", &[("range", "bytes=10-11, 12-13")])).await;
    assert_eq!(none.status(), 416);
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn more_ranges_than_a_viewer_asks_for_get_the_whole() {
    let scene = Scene::new(exact(), ten_bytes());
    scene.get("/").await;
    let bytes: Vec<String> = (0..9).map(|at| format!("{at}-{at}")).collect();
    let eight = scene.ask(get("/", &[("range", &format!("bytes={}", bytes[..8].join(",")))])).await;
    assert_eq!((eight.status(), parts(&eight).len()), (206, 8));
    let nine = scene.ask(get("/", &[("range", &format!("bytes={}", bytes.join(",")))])).await;
    assert_eq!((nine.status(), nine.text()), (200, "0123456789"));
}

#[tokio::test]
async fn a_body_of_parts_knows_its_length_and_copies_nothing() {
    let scene = Scene::new(exact(), Origin::new(|_| async { Ok(response(200, TEXT, vec![b'x'; 100_000])) }));
    scene.get("/").await;
    let whole = frames(scene.send(get("/", &[])).await.expect("a hit").into_body()).await.remove(0);
    let answer = scene.send(get("/", &[("range", "bytes=0-9999,20000-")])).await.expect("a hit");
    let length = answer.headers()[header::CONTENT_LENGTH].to_str().expect("digits").parse().expect("a number");
    assert_eq!(answer.body().size_hint().exact(), Some(length));
    assert!(!answer.body().is_end_stream());
    let frames = frames(answer.into_body()).await;
    assert_eq!(frames.iter().map(|frame| frame.len() as u64).sum::<u64>(), length);
    let page = whole.as_ptr_range();
    assert_eq!(frames[1].as_ptr(), page.start);
    assert_eq!(frames[3].as_ptr_range().end, page.end);
}

async fn frames(mut body: CacheBody<Body>) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        frames.push(frame.expect("no break").into_data().expect("data"));
    }
    assert!(body.is_end_stream());
    assert_eq!(body.size_hint().exact(), Some(0));
    frames
}

#[tokio::test]
async fn a_head_a_page_with_trailers_and_what_is_not_a_200_have_no_parts() {
    let scene = Scene::new(
        exact(),
        Origin::new(|call| async move {
            Ok(match call.request.uri().path() {
                "/gone" => response(410, TEN, "0123456789"),
                "/trailers" => {
                    let (tap, body) = pipe();
                    tokio::spawn(async move {
                        tap.data("0123456789").await;
                        tap.trailers(http::HeaderMap::from_iter([(header::SERVER, "x".parse().expect("a value"))]))
                            .await;
                    });
                    streamed(200, TEN, body)
                }
                _ => response(200, TEN, "0123456789"),
            })
        }),
    );
    for (method, path, status) in [("HEAD", "/", 200), ("GET", "/gone", 410), ("GET", "/trailers", 200)] {
        scene.get(path).await;
        for range in ["bytes=2-4", "bytes=0-1,4-5", "bytes=99-"] {
            let answer = scene.ask(request(method, path, &[("range", range)])).await;
            assert_eq!((answer.status(), answer.field("content-range")), (status, None), "{path} {range}");
            assert!(answer.is_hit(), "{path} {range}");
        }
    }
    assert_eq!(scene.calls(), 3);
}

// A cache further out that keeps what has a lifetime would give the 416 to those who ask for the whole.
#[tokio::test]
async fn a_416_says_nothing_by_which_others_would_keep_it() {
    let inner = Scene::new(exact(), ten_bytes());
    inner.get("/").await;
    let refused = inner.ask(get("/", &[("range", "bytes=10-")])).await;
    assert_eq!(refused.status(), 416);
    for name in ["cache-control", "expires", "age", "etag", "last-modified", "content-type"] {
        assert_eq!(refused.field(name), None, "{name}");
    }
    assert!(refused.field("date").is_some() && refused.is_hit());
}

#[tokio::test]
async fn a_precondition_goes_to_the_origin_with_its_range() {
    let scene = Scene::new(
        exact(),
        Origin::new(|call| async move {
            let asked = call.request.headers();
            Ok(if asked.contains_key("if-match") || asked.contains_key("if-unmodified-since") {
                assert_eq!(asked["range"], "bytes=2-4");
                response(412, &[], "")
            } else {
                response(200, TEN, "0123456789")
            })
        }),
    );
    scene.get("/").await;
    for (name, value) in [("if-match", "\"1\""), ("if-unmodified-since", "Tue, 14 Nov 2023 20:00:00 GMT")] {
        let answer = scene.ask(get("/", &[(name, value), ("range", "bytes=2-4"), ("if-none-match", "\"1\"")])).await;
        assert_eq!((answer.status(), answer.cache_status().as_str()), (412, "bartizan; fwd=bypass"), "{name}");
    }
}
