//! Bodies: they reach the client as they come, and only whole ones reach the store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bartizan::cache::CacheBody;
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::support::{
    Answer, Body, Origin, Scene, answers, crowd, exact, get, pipe, request, response, settle, streamed, take, texts,
};

const MINUTE: Duration = Duration::from_secs(60);
const KILO: &[u8] = &[b'x'; 1000];
const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60")];

/// A body of `frames` times ten bytes, one frame every ten milliseconds, with no length.
fn trickling(frames: usize, fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |_| async move {
        let (tap, body) = pipe();
        tokio::spawn(async move {
            for _ in 0..frames {
                take(10).await;
                tap.data("0123456789").await;
            }
        });
        Ok(streamed(200, fields, body))
    })
}

/// Bodies of `frames` times a thousand bytes, as fast as they are read, with a count of all bytes that were.
fn eager(frames: usize, fields: &'static [(&'static str, &'static str)]) -> (Origin, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let origin = Origin::new(move |_| {
        let counted = Arc::clone(&counted);
        async move {
            let (tap, body) = pipe();
            tokio::spawn(async move {
                for _ in 0..frames {
                    if !tap.data(KILO).await {
                        return;
                    }
                    counted.fetch_add(KILO.len(), Ordering::SeqCst);
                }
            });
            Ok(streamed(200, fields, body))
        }
    });
    (origin, sent)
}

async fn sent(scene: &Scene, path: &str) -> Response<CacheBody<Body>> {
    scene.send(get(path, &[])).await.expect("the origin does not fail")
}

/// The next data of a body, which must come before `millis` have passed.
async fn data(body: &mut CacheBody<Body>, millis: u64) -> Bytes {
    let frame = tokio::time::timeout(Duration::from_millis(millis), body.frame()).await.expect("it comes in time");
    frame.expect("a frame").expect("no break").into_data().expect("data")
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_reaches_the_client_as_it_comes_and_is_not_stored() {
    let scene = Scene::new(
        exact().default_ttl(MINUTE),
        Origin::new(|_| async {
            let (tap, body) = pipe();
            tokio::spawn(async move {
                while tap.data("data: tick\n\n").await {
                    take(1000).await;
                }
            });
            Ok(streamed(200, &[("content-type", "text/event-stream"), ("cache-control", "max-age=60")], body))
        }),
    );
    let response = sent(&scene, "/").await;
    assert_eq!(response.headers()["cache-status"], "bartizan; fwd=uri-miss; detail=event-stream");
    let mut body = response.into_body();
    for _ in 0..3 {
        assert_eq!(data(&mut body, 1001).await, "data: tick\n\n");
    }
    let second = sent(&scene, "/").await;
    assert_eq!(second.headers()["cache-status"], "bartizan; fwd=uri-miss; detail=pass", "and nobody waits for it");
    assert_eq!((scene.calls(), scene.cache.counters().stored), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_endless_body_reaches_the_client_as_it_comes_and_is_not_stored() {
    let (origin, pulled) = eager(usize::MAX, FRESH);
    let scene = Scene::new(exact().body_limit(100_000), origin);
    let mut body = sent(&scene, "/").await.into_body();
    for _ in 0..1000 {
        assert_eq!(data(&mut body, 1).await, KILO);
    }
    assert!(pulled.load(Ordering::SeqCst) <= 1_000_000 + 3 * KILO.len(), "no faster than the client reads");
    assert_eq!(scene.cache.counters().stored, 0);
    drop(body);
    settle().await;
    let pulled_at_last = pulled.load(Ordering::SeqCst);
    take(1000).await;
    assert_eq!(pulled.load(Ordering::SeqCst), pulled_at_last, "it ends with its client");
    tokio::time::timeout(MINUTE, scene.cache.drain()).await.expect("no task reads on");
}

#[tokio::test(start_paused = true)]
async fn a_body_of_unknown_length_streams_and_is_stored_at_its_end() {
    let scene = Scene::new(exact(), trickling(5, FRESH));
    let mut body = sent(&scene, "/").await.into_body();
    for _ in 0..5 {
        assert_eq!(scene.cache.counters().stored, 0, "not before its end");
        assert_eq!(data(&mut body, 11).await, "0123456789");
    }
    assert!(body.frame().await.is_none());
    assert_eq!(scene.cache.counters().stored, 1, "before the client sees its end");
    let hit = scene.get("/").await;
    assert_eq!((hit.is_hit(), hit.text()), (true, "0123456789".repeat(5).as_str()));
    assert_eq!(hit.field("content-length").as_deref(), Some("50"), "its length is known by now");
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_delivered_whole_and_its_key_remembered() {
    // Its length is known from the start, or only when it is exceeded.
    let declared = Origin::new(|_| async { Ok(response(200, FRESH, "0123456789".repeat(20))) });
    let stated = Origin::new(|_| async {
        let fields = [("cache-control", "max-age=60"), ("content-length", "200")];
        Ok(response(200, &fields, "0123456789".repeat(20)))
    });
    for (origin, label) in [
        (declared, "bartizan; fwd=uri-miss; stored"),
        (trickling(20, FRESH), "bartizan; fwd=uri-miss; stored"),
        (stated, "bartizan; fwd=uri-miss; detail=too-large"),
    ] {
        let scene = Scene::new(exact().body_limit(199), origin);
        let answer = scene.get("/").await;
        assert_eq!((answer.status(), answer.text()), (200, "0123456789".repeat(20).as_str()), "{label}");
        assert_eq!(answer.cache_status(), label);
        assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=uri-miss; detail=pass", "{label}");
        assert_eq!(scene.cache.counters().stored, 0, "{label}");
    }
    let scene = Scene::new(exact().body_limit(200), trickling(20, FRESH));
    scene.get("/").await;
    assert!(scene.get("/").await.is_hit(), "at the limit it is stored");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_body_over_the_limit_goes_alone_as_soon_as_it_is() {
    let scene = Scene::new(exact().body_limit(55), trickling(20, FRESH));
    // The leader's client reads nothing at all.
    let leader = sent(&scene, "/").await;
    let start = tokio::time::Instant::now();
    for answer in answers(crowd(&scene, 10, "/")).await {
        assert_eq!(answer.body.len(), 200);
    }
    assert!(start.elapsed().as_millis() <= 280, "60 ms and 200, not {:?}", start.elapsed());
    assert_eq!(scene.calls(), 11);
    assert_eq!(Answer::read(leader).await.body.len(), 200, "the leader's is whole too");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_fills_no_more_than_the_body_limit() {
    let (origin, pulled) = eager(1000, FRESH);
    let scene = Scene::new(exact().body_limit(50_000), origin);
    let leader = sent(&scene, "/").await;
    take(1000).await;
    let held = pulled.load(Ordering::SeqCst);
    assert!((50_000..=53_000).contains(&held), "the limit, the frame beyond it, and what is on the way: {held}");
    assert_eq!(Answer::read(leader).await.body.len(), 1_000_000);
}

#[tokio::test(start_paused = true)]
async fn running_fills_hold_no_more_than_their_budget_together() {
    let (origin, pulled) = eager(1000, FRESH);
    let scene = Scene::with(origin, |layer| layer.rules(exact().body_limit(500_000)).fill_bytes(100_000));
    let mut clients = Vec::new();
    for i in 0..20 {
        clients.push(sent(&scene, &format!("/{i}")).await);
    }
    take(1000).await;
    let held = pulled.load(Ordering::SeqCst);
    // A body that gets no share has one frame in the spool, and one or two on the way from the origin.
    assert!(held <= 100_000 + 20 * 3 * KILO.len(), "{held} bytes of bodies that nobody reads");
    for client in clients {
        assert_eq!(Answer::read(client).await.body.len(), 1_000_000, "each is delivered whole");
    }
}

#[tokio::test(start_paused = true)]
async fn fills_that_are_done_hold_their_budget_until_their_clients_have_read() {
    let (origin, pulled) = eager(60, FRESH);
    let scene = Scene::with(origin, |layer| layer.rules(exact()).fill_bytes(100_000));
    let mut clients = Vec::new();
    for i in 0..20 {
        clients.push(sent(&scene, &format!("/{i}")).await);
        settle().await;
    }
    let held = pulled.load(Ordering::SeqCst);
    assert!(held <= 100_000 + 20 * 3 * KILO.len(), "{held} bytes of bodies that nobody reads");
    for client in clients {
        assert_eq!(Answer::read(client).await.body.len(), 60_000);
    }
    // All is given back.
    scene.get("/again").await;
    assert!(scene.get("/again").await.is_hit());
}

#[tokio::test(start_paused = true)]
async fn a_fill_beyond_the_budget_is_delivered_and_not_remembered_as_uncacheable() {
    let (origin, _) = eager(100, FRESH);
    let scene = Scene::with(origin, |layer| layer.rules(exact()).fill_bytes(150_000));
    let one = sent(&scene, "/one").await;
    settle().await;
    let two = sent(&scene, "/two").await;
    settle().await;
    assert_eq!(scene.cache.counters().stored, 1, "there was room for one");
    assert_eq!(Answer::read(one).await.body.len(), 100_000);
    assert_eq!(Answer::read(two).await.body.len(), 100_000);
    assert!(scene.get("/one").await.is_hit());
    // Once there is room the other is stored as well.
    assert_eq!(scene.get("/two").await.cache_status(), "bartizan; fwd=uri-miss; stored");
    assert!(scene.get("/two").await.is_hit());
}

#[tokio::test(start_paused = true)]
async fn frames_of_no_length_are_not_collected_without_bound() {
    let pulled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&pulled);
    let origin = Origin::new(move |_| {
        let counted = Arc::clone(&counted);
        async move {
            let (tap, body) = pipe();
            tokio::spawn(async move {
                for _ in 0..1_000_000 {
                    if !tap.data("").await {
                        return;
                    }
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            });
            Ok(streamed(200, FRESH, body))
        }
    });
    let scene = Scene::with(origin, |layer| layer.rules(exact()).fill_bytes(100_000));
    let _client = sent(&scene, "/").await;
    take(1000).await;
    assert!(pulled.load(Ordering::SeqCst) < 10_000, "{} frames that nobody reads", pulled.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn trailers_survive_on_a_miss_and_on_a_hit() {
    let origin = Origin::new(|_| async {
        let (tap, body) = pipe();
        tokio::spawn(async move {
            tap.data("the body").await;
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().expect("a value"));
            tap.trailers(trailers).await;
        });
        Ok(streamed(200, FRESH, body))
    });
    let scene = Scene::new(exact(), origin);
    for want in ["bartizan; fwd=uri-miss; stored", "bartizan; hit", "bartizan; hit"] {
        let response = sent(&scene, "/").await;
        assert_eq!(response.headers()["cache-status"], want);
        assert!(!response.headers().contains_key("content-length"), "there would be no room for trailers: {want}");
        let collected = response.into_body().collect().await.expect("no break");
        assert_eq!(collected.trailers().expect("trailers")["grpc-status"], "0", "{want}");
        assert_eq!(collected.to_bytes(), "the body", "{want}");
    }
    assert_eq!(scene.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn trailers_alone_survive_as_well() {
    let origin = Origin::new(|_| async {
        let (tap, body) = pipe();
        tokio::spawn(async move {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "5".parse().expect("a value"));
            tap.trailers(trailers).await;
        });
        Ok(streamed(200, FRESH, body))
    });
    let scene = Scene::new(exact(), origin);
    for want in ["bartizan; fwd=uri-miss; stored", "bartizan; hit"] {
        let response = sent(&scene, "/").await;
        assert_eq!(response.headers()["cache-status"], want);
        let collected = response.into_body().collect().await.expect("no break");
        assert_eq!(collected.trailers().expect("trailers")["grpc-status"], "5", "{want}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_is_answered_from_a_stored_get_and_a_get_never_from_a_head() {
    let scene = Scene::new(exact(), Origin::new(|_| async { Ok(response(200, FRESH, "the body")) }));
    let first = scene.ask(request("HEAD", "/", &[])).await;
    assert_eq!(first.cache_status(), "bartizan; fwd=uri-miss", "a HEAD is not stored");
    assert_eq!(scene.get("/").await.text(), "the body", "a GET has a body");
    let head = scene.ask(request("HEAD", "/", &[])).await;
    assert_eq!((head.is_hit(), head.text()), (true, ""));
    assert_eq!(head.field("content-length").as_deref(), Some("8"), "that of a GET");
    assert_eq!(scene.get("/").await.text(), "the body");
    assert_eq!(scene.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_as_long_as_it_says_is_not_stored() {
    for (length, what) in [("21", "too short"), ("19", "too long"), ("11", "a whole frame too long")] {
        let origin = Origin::new(move |_| async move {
            let (tap, body) = pipe();
            tokio::spawn(async move {
                tap.data("0123456789").await;
                tap.data("0123456789").await;
            });
            Ok(streamed(200, &[("cache-control", "max-age=60"), ("content-length", length)], body))
        });
        let scene = Scene::new(exact(), origin);
        let both = answers(crowd(&scene, 2, "/")).await;
        assert!(both.iter().all(|answer| answer.body.len() == 20), "it is delivered as it came: {what}");
        assert!(!scene.get("/").await.is_hit(), "{what}");
        assert_eq!((scene.cache.counters().stored, scene.calls()), (0, 3), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_of_unclear_length_is_not_stored() {
    for lengths in [["5", "6"], ["5", "x"]] {
        let origin = Origin::new(move |_| async move {
            let [one, two] = lengths;
            Ok(response(
                200,
                &[("cache-control", "max-age=60"), ("content-length", one), ("content-length", two)],
                "12345",
            ))
        });
        let scene = Scene::new(exact(), origin);
        let answer = scene.get("/").await;
        assert_eq!((answer.text(), answer.cache_status().as_str()), ("12345", "bartizan; fwd=uri-miss; detail=length"));
        assert_eq!(scene.cache.counters().stored, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_is_there_before_its_last_byte_reaches_the_client() {
    let declared = Origin::new(|_| async {
        let (tap, body) = pipe();
        tokio::spawn(async move {
            for _ in 0..3 {
                take(10).await;
                tap.data("0123456789").await;
            }
            // The end comes a little later.
            take(10).await;
        });
        Ok(streamed(200, &[("cache-control", "max-age=60"), ("content-length", "30")], body))
    });
    let scene = Scene::new(exact(), declared);
    let mut body = sent(&scene, "/").await.into_body();
    data(&mut body, 20).await;
    data(&mut body, 20).await;
    assert_eq!(scene.cache.counters().stored, 0);
    data(&mut body, 30).await;
    assert!(scene.get("/").await.is_hit(), "a client that counts is done with the last byte");

    let whole = Origin::new(|_| async { Ok(response(200, FRESH, "all at once")) });
    let scene = Scene::new(exact(), whole);
    let mut body = sent(&scene, "/").await.into_body();
    assert_eq!(body.size_hint().exact(), Some(11), "the length is known to the client");
    data(&mut body, 20).await;
    assert!(scene.get("/").await.is_hit());
    assert!(body.frame().await.is_none() && body.is_end_stream());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_half_way_does_not_keep_the_page_from_the_store() {
    let scene = Scene::new(exact(), trickling(10, FRESH));
    let mut body = sent(&scene, "/").await.into_body();
    data(&mut body, 11).await;
    let follower = tokio::spawn(scene.ask(get("/", &[])));
    settle().await;
    drop(body);
    assert_eq!(follower.await.expect("no panic").body.len(), 100);
    let hit = scene.get("/").await;
    assert_eq!((hit.is_hit(), hit.body.len()), (true, 100));
    assert_eq!(scene.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_the_page_already_does_not_keep_it_from_the_store() {
    let origin = Origin::new(|call| async move {
        assert!(!call.request.headers().contains_key("if-none-match"), "the condition is the client's own");
        let (tap, body) = pipe();
        tokio::spawn(async move {
            take(10).await;
            tap.data("the page").await;
        });
        Ok(streamed(200, &[("cache-control", "max-age=60"), ("etag", "\"v\"")], body))
    });
    let scene = Scene::new(exact(), origin);
    let answer = scene.ask(get("/", &[("if-none-match", "\"v\"")])).await;
    assert_eq!((answer.status(), answer.text()), (304, ""));
    take(100).await;
    let hit = scene.get("/").await;
    assert_eq!((hit.is_hit(), hit.text()), (true, "the page"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_broke_off_is_not_stored() {
    let origin = Origin::new(|call| async move {
        let (tap, body) = pipe();
        tokio::spawn(async move {
            tap.data("half").await;
            if call.number == 0 {
                tap.broken().await;
            }
        });
        Ok(streamed(200, FRESH, body))
    });
    let scene = Scene::new(exact(), origin);
    assert!(sent(&scene, "/").await.into_body().collect().await.is_err());
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=uri-miss; stored");
    assert_eq!(scene.get("/").await.text(), "half");
    assert_eq!(scene.calls(), 2);
}

/// Bodies of which the first `broken` break off half way, or panic there.
fn breaking(broken: usize, panics: bool) -> Origin {
    Origin::new(move |call| async move {
        let (tap, body) = pipe();
        let number = call.number;
        tokio::spawn(async move {
            take(10).await;
            tap.data("half").await;
            take(10).await;
            if number >= broken {
                tap.data(" whole").await;
            } else if !panics {
                tap.broken().await;
            } else {
                tap.data("panic").await;
            }
        });
        let body = body.map_frame(|frame| {
            assert!(frame.data_ref().is_none_or(|data| data != "panic"), "the body's own");
            frame
        });
        Ok(streamed(200, FRESH, body.boxed_unsync()))
    })
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_body_that_breaks_off_has_a_whole_one() {
    for panics in [false, true] {
        let scene = Scene::new(exact(), breaking(1, panics));
        let leader = tokio::spawn(sent(&scene, "/").await.into_body().collect());
        let waiting = answers(crowd(&scene, 10, "/")).await;
        assert_eq!(texts(&waiting), ["half whole"], "panics: {panics}");
        assert_eq!(scene.calls(), 2, "one of them led; panics: {panics}");
        match leader.await {
            Ok(broken) => assert!(!panics && broken.is_err(), "its own client sees the break"),
            Err(failed) => assert!(panics && failed.is_panic(), "and the panic"),
        }
        assert!(scene.get("/").await.is_hit(), "panics: {panics}");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_always_break_off_strand_nobody_and_fill_nothing() {
    let scene = Scene::new(exact(), breaking(usize::MAX, false));
    let crowd: Vec<_> = (0..10).map(|_| tokio::spawn(scene.send(get("/", &[])))).collect();
    for one in crowd {
        let response = tokio::time::timeout(MINUTE, one).await.expect("not stranded").expect("no panic");
        let body = response.expect("the head came").into_body();
        assert!(body.collect().await.is_err(), "what broke off is nobody's whole body");
    }
    assert_eq!((scene.calls(), scene.cache.counters().stored), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_errs_after_its_last_byte_is_not_stored() {
    let origin = Origin::new(|_| async {
        let (tap, body) = pipe();
        tokio::spawn(async move {
            tap.data("hello").await;
            tap.broken().await;
        });
        Ok(streamed(200, FRESH, body))
    });
    let scene = Scene::new(exact(), origin);
    assert!(sent(&scene, "/").await.into_body().collect().await.is_err());
    assert_eq!(scene.cache.counters().stored, 0);
}

// RFC 9111, 5.2.2.6: nor is anything else.
#[tokio::test(start_paused = true)]
async fn what_says_no_transform_is_given_byte_for_byte() {
    const FIELDS: &[(&str, &str)] = &[
        ("cache-control", "max-age=60, no-transform"),
        ("content-type", "image/x-odd; q=\"1\""),
        ("content-encoding", "x-odd"),
        ("content-language", "tlh"),
        ("last-modified", "Tue, 14 Nov 2023 20:00:00 GMT"),
    ];
    let body: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let whole = body.clone();
    let origin = Origin::new(move |call| {
        let is_conditional = call.request.headers().contains_key("if-modified-since");
        let body = body.clone();
        async move { Ok(if is_conditional { response(304, &FIELDS[..1], "") } else { response(200, FIELDS, body) }) }
    });
    let scene = Scene::new(exact().generate_etags(), origin);
    for round in ["miss", "hit", "validated", "hit again"] {
        if round == "validated" {
            scene.advance(61);
        }
        let answer = scene.get("/").await;
        assert_eq!(answer.body, whole, "{round}");
        for (name, value) in FIELDS {
            assert_eq!(answer.field(name).as_deref(), Some(*value), "{name}, {round}");
        }
    }
    let part = scene.ask(get("/", &[("range", "bytes=100-4099")])).await;
    assert_eq!(part.body, whole[100..4100]);
    assert_eq!(part.field("cache-control").as_deref(), Some(FIELDS[0].1), "those further out must obey it too");
    assert_eq!(scene.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_lingers_after_its_last_byte_holds_nothing_back() {
    let origin = Origin::new(|_| async {
        let (tap, body) = pipe();
        tokio::spawn(async move {
            tap.data("hello").await;
            take(60_000).await;
            drop(tap);
        });
        Ok(streamed(200, &[("cache-control", "max-age=600"), ("content-length", "5")], body))
    });
    let scene = Scene::new(exact(), origin);
    let start = tokio::time::Instant::now();
    assert_eq!(scene.get("/").await.text(), "hello");
    assert!(scene.get("/").await.is_hit());
    assert!(start.elapsed().as_secs() < 1, "not {:?}", start.elapsed());
}
