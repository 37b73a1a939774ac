//! Whatever clients and origins send: no panic, an answer as from the origin, and no more memory than was given.

use std::time::Duration;

use bartizan::{CacheLayer, Memory, Query, Rules, cache::Cache, clock::TestClock, expiry::Jitter};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use tower::{Layer, ServiceExt};

use crate::support::{Answer, Origin, Scene, get, response};

const MINUTE: Duration = Duration::from_secs(60);
const MIB: usize = 1 << 20;

/// Everything that looks into a request or a response is on.
fn looking() -> Rules {
    Rules::new()
        .jitter(Jitter::NONE)
        .default_ttl(MINUTE)
        .negative_ttl(MINUTE)
        .heuristic_freshness()
        .honour_client_directives()
        .stale_if_error(MINUTE)
        .stale_while_revalidate(MINUTE)
        .add_key_cookie("lang")
        .ignore_cookie("_ga")
        .add_key_header(header::ACCEPT_LANGUAGE)
        .query(Query::except(["utm"]).sorted())
        .principal(|parts| Some(parts.headers.get("user")?.to_str().ok()?.to_owned()))
}

fn value(bytes: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(bytes).expect("a value that http allows")
}

fn with(mut request: Request<Full<Bytes>>, fields: &[(HeaderName, HeaderValue)]) -> Request<Full<Bytes>> {
    for (name, value) in fields {
        request.headers_mut().append(name, value.clone());
    }
    request
}

/// An origin that adds these fields to a page that may be stored.
fn adding(fields: Vec<(HeaderName, HeaderValue)>) -> Origin {
    Origin::new(move |_| {
        let fields = fields.clone();
        async move {
            let mut response = response(200, &[], "page");
            for (name, value) in fields {
                response.headers_mut().append(name, value);
            }
            Ok(response)
        }
    })
}

/// What clients make of any page: each answer is the origin's, or a part of it that they asked for.
async fn exercise(scene: &Scene, fields: &[(HeaderName, HeaderValue)]) {
    for secs in [0, 0, 61, 100_000] {
        scene.advance(secs);
        for method in ["GET", "GET", "HEAD", "POST", "GET"] {
            let request = with(crate::support::request(method, "/a?q=1&utm=2", &[]), fields);
            let answer = scene.ask(request).await;
            match answer.status() {
                200 if method == "HEAD" => {}
                200 => assert_eq!(answer.text(), "page"),
                206 => assert!("page".contains(answer.text())),
                // Of a condition, of a range, of `only-if-cached`.
                304 | 416 | 504 => assert_eq!(answer.text(), ""),
                other => panic!("{other} is not the origin's"),
            }
        }
        scene.cache.drain().await;
    }
}

const NAMES: [HeaderName; 16] = [
    header::CACHE_CONTROL,
    header::AGE,
    header::EXPIRES,
    header::DATE,
    header::VARY,
    header::HOST,
    header::RANGE,
    header::IF_RANGE,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::COOKIE,
    header::SET_COOKIE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::CONNECTION,
    header::CONTENT_LOCATION,
];

const ODD: [&[u8]; 46] = [
    b"",
    b" ",
    b",",
    b",,,,",
    b";",
    b"=",
    b"==",
    b"\"",
    b"\"\\",
    b"\"\\\"",
    b"*",
    b"**",
    b"* , *",
    b"\xff",
    b"\x80\xfe,\xff=\xff",
    b"\t",
    b"max-age",
    b"max-age=",
    b"max-age=\"",
    b"max-age=\"60",
    b"max-age=60\"",
    b"max-age=-1",
    b"max-age=1e9",
    b"max-age=99999999999999999999999999999999999999999999",
    b"s-maxage=18446744073709551615, max-age=18446744073709551616",
    b"max-age=60, max-age=61, no-cache=\"a\", private=\"",
    b"no-cache=\"\xff\", private=\"a,,b, c d\"",
    b"stale-while-revalidate=99999999999999999999, stale-if-error=18446744073709551615",
    b"18446744073709551615",
    b"-1",
    b"0",
    b"1.5",
    b"Thu, 01 Jan 1970 00:00:00 GMT",
    b"Thu, 99 Foo 99999 99:99:99 GMT",
    b"Fri, 31 Dec 9999 23:59:59 GMT",
    b"Mon, 00 Jan 0000 00:00:00 GMT",
    b"bytes=",
    b"bytes=-",
    b"bytes=--1",
    b"bytes=9-1,-,",
    b"bytes=18446744073709551615-18446744073709551616",
    b"bytes=-18446744073709551616",
    b"a:b:c, [::, h:99999999, user@host, http://",
    b"//[::1, ://, /../../..?#",
    b"W/\"", // and no end
    b"lang; lang=; =lang; lang=a; _ga; _ga=; =; ;;;",
];

#[tokio::test]
async fn odd_values_in_requests_are_answered() {
    for name in NAMES {
        for bytes in ODD {
            let scene = Scene::new(looking(), adding(vec![(header::ETAG, value(b"\"1\""))]));
            exercise(&scene, &[(name.clone(), value(bytes))]).await;
            exercise(&scene, &[(name.clone(), value(bytes)), (name.clone(), value(b"x"))]).await;
        }
    }
}

#[tokio::test]
async fn odd_values_in_responses_are_passed_on() {
    for name in NAMES {
        for bytes in ODD {
            let scene = Scene::new(looking(), adding(vec![(name.clone(), value(bytes))]));
            let answer = scene.get("/a").await;
            assert_eq!(answer.head.headers.get_all(&name).iter().next(), Some(&value(bytes)), "{name} as it came");
            exercise(&scene, &[]).await;
            let scene = Scene::new(
                looking(),
                adding(vec![
                    (header::CACHE_CONTROL, value(b"public, max-age=60")),
                    (name.clone(), value(bytes)),
                    (name.clone(), value(b"x")),
                ]),
            );
            exercise(&scene, &[]).await;
        }
    }
}

#[tokio::test]
async fn enormous_values_are_answered() {
    for unit in [&b"a"[..], b"9", b",", b"a,", b"\"", b"\\", b"\xff", b"a=b; ", b"max-age=1, ", b"\"a\", ", b"x-a,x-b,"]
    {
        let enormous = value(unit.repeat(MIB / unit.len()).as_slice());
        for name in NAMES {
            let field = [(name.clone(), enormous.clone())];
            let scene = Scene::new(looking(), adding(Vec::new()));
            for method in ["GET", "POST"] {
                let answer = scene.ask(with(crate::support::request(method, "/", &[]), &field)).await;
                assert!([200, 206, 304, 416].contains(&answer.status()), "{name}: {}", answer.status());
            }
            let scene = Scene::new(looking(), adding(field.to_vec()));
            for _ in 0..2 {
                let answer = scene.get("/").await;
                assert_eq!((answer.status(), answer.text()), (200, "page"), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn thousands_of_lines_are_answered() {
    for name in NAMES {
        for line in [&b"a=b"[..], b"max-age=60", b"x-a", b"\"1\"", b"bytes=0-1"] {
            let lines = vec![(name.clone(), value(line)); 5000];
            let scene = Scene::new(looking(), adding(Vec::new()));
            assert!([200, 206, 304].contains(&scene.ask(with(get("/", &[]), &lines)).await.status()), "{name}");
            let scene = Scene::new(looking(), adding(lines));
            for _ in 0..2 {
                assert_eq!(scene.get("/").await.text(), "page", "{name}");
            }
        }
    }
}

/// As many names as a header map can hold.
fn full() -> HeaderMap {
    let mut fields = HeaderMap::new();
    for number in 0.. {
        let name = HeaderName::try_from(format!("x-{number}")).expect("a name");
        if fields.try_append(name, HeaderValue::from_static("x")).is_err() {
            break;
        }
    }
    fields
}

#[tokio::test]
async fn a_head_that_has_no_room_left_is_answered() {
    for (what, rules) in [
        ("stored", Rules::new().default_ttl(MINUTE)),
        ("not stored", Rules::new()),
        ("bypass", Rules::bypass()),
        ("with a header in the key", Rules::new().default_ttl(MINUTE).add_key_header(header::ACCEPT)),
    ] {
        let scene = Scene::new(
            rules,
            Origin::new(|_| async {
                let mut response = response(200, &[], "page");
                *response.headers_mut() = full();
                Ok(response)
            }),
        );
        for _ in 0..2 {
            let answer = scene.get("/").await;
            assert_eq!((answer.text(), answer.field("x-0").as_deref()), ("page", Some("x")), "{what}");
        }
        assert_eq!(scene.ask(crate::support::request("POST", "/", &[])).await.status(), 200, "{what}");
    }
    let scene = Scene::new(looking(), adding(Vec::new()));
    let mut request = get("/", &[]);
    *request.headers_mut() = full();
    assert_eq!(scene.ask(request).await.text(), "page", "a request");
}

fn field() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        // What the parsers know, in any order.
        proptest::collection::vec(
            prop::sample::select(vec![
                "max-age", "s-maxage", "no-cache", "private", "public", "=", "\"", ",", ";", " ", "0", "9", "60", "*",
                "W/", "\\", "bytes", "-", "GMT", ":", "lang", "_ga", "accept", "x-a", "\u{ff}", "no-store", "Nov",
                "2023",
            ]),
            0..12
        )
        .prop_map(|words| words.concat().into_bytes()),
    ];
    (
        prop::sample::select(NAMES.to_vec()),
        bytes.prop_filter_map("a value that http allows", |bytes| HeaderValue::from_bytes(&bytes).ok()),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn arbitrary_bytes_in_any_field_are_answered(
        asked in proptest::collection::vec(field(), 0..6),
        answered in proptest::collection::vec(field(), 0..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let scene = Scene::new(looking(), adding(answered));
            exercise(&scene, &asked).await;
            exercise(&scene, &[]).await;
        });
    }
}

// === floods ===

const CAPACITY: u64 = 4 << 20;
const FLOOD: usize = 100_000;

/// The resident set of this process, where the system tells.
fn resident() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(pages.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
}

/// A small store that is flooded.
struct Flooded {
    service: Cache<Origin, Memory<bartizan::cache::Stored>>,
    cache: bartizan::CacheHandle<Memory<bartizan::cache::Stored>>,
    clock: TestClock,
    before: Option<u64>,
}

impl Flooded {
    fn new(rules: Rules, origin: Origin) -> Self {
        let clock = TestClock::new();
        let layer = CacheLayer::new(Memory::with_capacity(CAPACITY)).clock(clock.clone()).rules(rules);
        Self { cache: layer.handle(), service: layer.layer(origin), clock, before: resident() }
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = self.service.clone().oneshot(request).await.expect("the origin does not fail");
        Answer::read(response).await
    }

    fn is_within(&self, what: &str, round: usize) {
        if round.is_multiple_of(1000) {
            let bytes = self.cache.counters().bytes;
            assert!(bytes <= CAPACITY, "{what}: {bytes} bytes in round {round}");
        }
    }

    fn report(&self, what: &str) {
        let counters = self.cache.counters();
        let grown = self.before.zip(resident()).map(|(before, now)| now.saturating_sub(before));
        println!("{what}: {counters}; resident set grew by {grown:?} bytes (other tests run beside it)");
        assert!(counters.bytes <= CAPACITY, "{what}: {} bytes", counters.bytes);
        // Loosely: the process runs other tests too, and an allocator keeps what it got.
        assert!(grown.is_none_or(|grown| grown < 40 * CAPACITY), "{what}: {grown:?} bytes");
    }
}

fn says(fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |_| async move { Ok(response(200, fields, "page")) })
}

#[tokio::test]
async fn a_flood_of_variants_stays_within_the_capacity() {
    let fields = &[("cache-control", "max-age=60"), ("vary", "x-flood")];
    let flooded = Flooded::new(Rules::new(), says(fields));
    for round in 0..FLOOD {
        let answer = flooded.ask(get("/", &[("x-flood", &round.to_string())])).await;
        assert_eq!(answer.text(), "page");
        flooded.is_within("variants", round);
    }
    flooded.report("variants");
    assert!(flooded.cache.counters().evicted > 50_000);
    let last = (FLOOD - 1).to_string();
    assert!(flooded.ask(get("/", &[("x-flood", &last)])).await.is_hit(), "and it still works");
}

#[tokio::test]
async fn a_flood_of_keys_stays_within_the_capacity() {
    let flooded = Flooded::new(
        Rules::new().tags_by(|parts| vec![parts.uri.path().into()]),
        says(&[("cache-control", "max-age=60")]),
    );
    for round in 0..FLOOD {
        flooded.ask(get(&format!("/{round}"), &[])).await;
        flooded.is_within("keys, each with a tag", round);
    }
    flooded.report("keys, each with a tag");
    assert!(flooded.cache.counters().evicted > 50_000);
    assert!(flooded.ask(get(&format!("/{}", FLOOD - 1), &[])).await.is_hit(), "and it still works");
}

#[tokio::test]
async fn a_flood_of_uncacheable_keys_stays_within_the_capacity() {
    let flooded = Flooded::new(Rules::new(), says(&[("cache-control", "private")]));
    for round in 0..FLOOD / 5 {
        flooded.ask(get(&format!("/{round}"), &[])).await;
        flooded.is_within("marks", round);
    }
    flooded.report("marks");
}

#[tokio::test]
async fn a_flood_of_purges_takes_no_room_and_nothing_away() {
    let flooded = Flooded::new(Rules::new().tag("kept"), says(&[("cache-control", "max-age=60")]));
    flooded.ask(get("/kept", &[("host", "h")])).await;
    for round in 0..FLOOD {
        flooded.cache.purge_tag(format!("unknown {round}")).await.expect("memory does not fail");
        let uri = format!("http://h/unknown/{round}").parse().expect("a URI");
        flooded.cache.purge_uri(&uri).await.expect("memory does not fail");
    }
    flooded.report("purges");
    assert_eq!(flooded.cache.counters().entries, 1);
    assert!(flooded.ask(get("/kept", &[("host", "h")])).await.is_hit());
    flooded.clock.advance(MINUTE);
}

#[tokio::test]
async fn a_flood_of_large_pages_stays_within_the_capacity() {
    let body = Bytes::from(vec![b'x'; 100_000]);
    let flooded = Flooded::new(
        Rules::new(),
        Origin::new(move |_| {
            let body = body.clone();
            async move { Ok(response(200, &[("cache-control", "max-age=60")], body)) }
        }),
    );
    for round in 0..1000 {
        let sent = flooded.service.clone().oneshot(get(&format!("/{round}"), &[])).await.expect("no failure");
        assert_eq!(sent.into_body().collect().await.expect("no break").to_bytes().len(), 100_000);
        flooded.is_within("large pages", round * 100);
    }
    flooded.report("large pages");
}

#[tokio::test]
async fn a_head_with_more_lines_than_a_map_has_room_for_names_is_delivered() {
    let links: Vec<_> = (0..30_000).map(|_| (header::LINK, HeaderValue::from_static("</a>"))).collect();
    let scene = Scene::new(looking(), adding(links));
    for _ in 0..2 {
        let answer = scene.get("/").await;
        assert_eq!((answer.status(), answer.text()), (200, "page"));
        assert_eq!(answer.head.headers.get_all(header::LINK).iter().count(), 30_000);
    }
}

#[tokio::test]
async fn a_304_with_more_fields_than_there_is_room_for_is_no_panic() {
    for number in [4_000, 20_476, 24_000] {
        let scene = Scene::new(
            looking(),
            Origin::new(move |call| async move {
                let mut response = match call.number {
                    0 => response(200, &[("cache-control", "max-age=1"), ("etag", "\"1\"")], "page"),
                    _ => response(304, &[("cache-control", "max-age=60"), ("etag", "\"1\"")], ""),
                };
                let (sort, number) = if call.number == 0 { ("a", 4_000) } else { ("b", number) };
                for index in 0..number {
                    let name = HeaderName::try_from(format!("x-{sort}{index}")).expect("a name");
                    response.headers_mut().insert(name, HeaderValue::from_static("1"));
                }
                Ok(response)
            }),
        );
        scene.get("/").await;
        scene.advance(600);
        let answer = scene.get("/").await;
        assert_eq!((answer.status(), answer.text()), (200, "page"), "{number}");
    }
}
