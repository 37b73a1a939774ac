//! Fills that go on without the client they were begun for, within limits; and what does not go on.

use std::time::Duration;

use bartizan::Rules;
use http::Method;

use crate::support::{
    Cancelled, Origin, Scene, answers, crowd, exact, get, pipe, request, response, settle, streamed, take, texts,
};

const MINUTE: Duration = Duration::from_secs(60);
const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60")];

/// Answers after `millis`, and tells when that is cancelled.
fn watched(millis: u64, cancelled: &Cancelled) -> Origin {
    let cancelled = cancelled.clone();
    Origin::new(move |call| {
        let undone = cancelled.watch();
        async move {
            take(millis).await;
            undone.done();
            Ok(response(200, FRESH, call.number.to_string()))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_fill_goes_on_when_its_client_leaves() {
    let cancelled = Cancelled::default();
    let scene = Scene::new(exact(), watched(100, &cancelled));
    let leader = tokio::spawn(scene.ask(get("/", &[])));
    take(50).await;
    leader.abort();
    take(51).await;
    let hit = scene.get("/").await;
    assert_eq!((hit.is_hit(), hit.text()), (true, "0"));
    assert_eq!((scene.calls(), cancelled.count()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn only_so_many_fills_go_on_without_their_clients() {
    let cancelled = Cancelled::default();
    let scene = Scene::with(watched(100, &cancelled), |layer| layer.rules(exact()).detached_fills(1, MINUTE));
    let one = tokio::spawn(scene.ask(get("/one", &[])));
    let two = tokio::spawn(scene.ask(get("/two", &[])));
    settle().await;
    one.abort();
    settle().await;
    assert_eq!(cancelled.count(), 0, "there is one place");
    two.abort();
    settle().await;
    assert_eq!(cancelled.count(), 1, "there is no second");
    take(100).await;
    assert!(scene.get("/one").await.is_hit());
    assert_eq!(scene.get("/two").await.cache_status(), "bartizan; fwd=uri-miss; stored");
    // The place is free again.
    let three = tokio::spawn(scene.ask(get("/three", &[])));
    settle().await;
    three.abort();
    take(100).await;
    assert!(scene.get("/three").await.is_hit());
    assert_eq!(cancelled.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fill_goes_on_without_its_client_for_so_long_and_then_a_waiter_leads() {
    let cancelled = Cancelled::default();
    let watching = cancelled.clone();
    let origin = Origin::new(move |call| {
        let undone = watching.watch();
        async move {
            take(if call.number == 0 { 1_000_000 } else { 100 }).await;
            undone.done();
            Ok(response(200, FRESH, call.number.to_string()))
        }
    });
    let scene = Scene::with(origin, |layer| {
        layer.rules(exact()).detached_fills(8, Duration::from_secs(3)).wait_limit(Duration::from_secs(3600))
    });
    let leader = tokio::spawn(scene.ask(get("/", &[])));
    settle().await;
    let crowd = crowd(&scene, 10, "/");
    take(1000).await;
    leader.abort();
    take(2_990).await;
    assert_eq!((cancelled.count(), scene.calls()), (0, 1), "it has its time");
    take(20).await;
    assert_eq!((cancelled.count(), scene.calls()), (1, 2), "and no more");
    assert_eq!(texts(&answers(crowd).await), ["1"]);
    assert_eq!(scene.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_body_goes_on_without_its_client_for_so_long() {
    let closed = Cancelled::default();
    let watching = closed.clone();
    let origin = Origin::new(move |_| {
        let undone = watching.watch();
        async move {
            let (tap, body) = pipe();
            tokio::spawn(async move {
                tap.data("half").await;
                tap.gone().await;
                drop(undone);
            });
            Ok(streamed(200, FRESH, body))
        }
    });
    let scene = Scene::with(origin, |layer| layer.rules(exact()).detached_fills(8, Duration::from_secs(3)));
    let response = scene.send(get("/", &[])).await.expect("a head");
    take(10_000).await;
    assert_eq!(closed.count(), 0, "with its client it may take any time");
    drop(response);
    take(2_990).await;
    assert_eq!(closed.count(), 0);
    take(20).await;
    assert_eq!(closed.count(), 1);
    tokio::time::timeout(MINUTE, scene.cache.drain()).await.expect("no task is left");
    assert_eq!(scene.cache.counters().stored, 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_without_its_client_goes_on_for_so_many_bytes() {
    for (body_limit, fill_bytes) in [(1000, 1 << 20), (1 << 20, 1000)] {
        let origin = Origin::new(|_| async {
            let (tap, body) = pipe();
            tokio::spawn(async move {
                for _ in 0..1000 {
                    if !tap.data(vec![b'x'; 100]).await {
                        return;
                    }
                    take(1).await;
                }
                panic!("nobody is there for so much");
            });
            Ok(streamed(200, FRESH, body))
        });
        let scene = Scene::with(origin, |layer| layer.rules(exact().body_limit(body_limit)).fill_bytes(fill_bytes));
        drop(scene.send(get("/", &[])).await);
        let start = tokio::time::Instant::now();
        tokio::time::timeout(MINUTE, scene.cache.drain()).await.expect("no task is left");
        assert!(start.elapsed().as_millis() <= 25, "{:?}", start.elapsed());
        assert_eq!(scene.cache.counters().stored, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_fills_without_clients_and_for_refreshes() {
    let cancelled = Cancelled::default();
    let scene = Scene::new(exact().stale_while_revalidate(MINUTE), watched(100, &cancelled));
    scene.get("/stale").await;
    scene.advance(61);
    let leader = tokio::spawn(scene.ask(get("/left", &[])));
    settle().await;
    leader.abort();
    assert_eq!(scene.get("/stale").await.text(), "0");
    let start = tokio::time::Instant::now();
    scene.cache.drain().await;
    assert!((99..=101).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    assert!(scene.get("/left").await.is_hit());
    assert_eq!(scene.get("/stale").await.text(), "2", "both were done");
    let start = tokio::time::Instant::now();
    scene.cache.drain().await;
    assert_eq!(start.elapsed(), Duration::ZERO, "and there is nothing left");
    // The cache serves on.
    let late = tokio::spawn(scene.ask(get("/late", &[])));
    settle().await;
    late.abort();
    scene.cache.drain().await;
    assert!(scene.get("/late").await.is_hit());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_fill_is_cancelled_with_its_client() {
    for (what, asked) in [
        ("a POST", request("POST", "/", &[])),
        ("a bypass", get("/bypass", &[])),
        ("an OPTIONS", request("OPTIONS", "/", &[])),
        ("a HEAD", request("HEAD", "/", &[])),
        ("a range", get("/", &[("range", "bytes=0-1")])),
        ("an upgrade", get("/", &[("upgrade", "websocket")])),
        ("a precondition", get("/", &[("if-match", "\"v\"")])),
        ("no-store", get("/", &[("cache-control", "no-store")])),
    ] {
        let cancelled = Cancelled::default();
        let scene = Scene::with(watched(100, &cancelled), |layer| {
            layer.rules_by(|parts| if parts.uri.path() == "/bypass" { Rules::bypass() } else { exact() })
        });
        let sent = tokio::spawn(scene.send(asked));
        take(50).await;
        assert_eq!((scene.calls(), cancelled.count()), (1, 0), "{what}");
        sent.abort();
        settle().await;
        assert_eq!(cancelled.count(), 1, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_known_as_uncacheable_is_cancelled_with_its_client() {
    let cancelled = Cancelled::default();
    let watching = cancelled.clone();
    let origin = Origin::new(move |_| {
        let undone = watching.watch();
        async move {
            take(100).await;
            undone.done();
            Ok(response(200, &[("cache-control", "private")], ""))
        }
    });
    let scene = Scene::new(exact(), origin);
    scene.get("/").await;
    let pass = tokio::spawn(scene.ask(get("/", &[])));
    take(50).await;
    pass.abort();
    settle().await;
    assert_eq!((scene.calls(), cancelled.count()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn an_unsafe_request_dropped_half_way_invalidates_its_target() {
    let origin = Origin::new(|call| async move {
        if call.request.method() != Method::GET {
            take(100).await;
        }
        Ok(response(200, FRESH, call.number.to_string()))
    });
    let scene = Scene::new(exact(), origin);
    scene.get("/").await;
    scene.get("/other").await;
    let post = tokio::spawn(scene.send(request("POST", "/", &[])));
    take(50).await;
    assert!(scene.get("/").await.is_hit(), "not before");
    post.abort();
    settle().await;
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=uri-miss; stored");
    assert!(scene.get("/other").await.is_hit());
}

#[tokio::test(start_paused = true)]
async fn an_unsafe_request_that_is_refused_invalidates_nothing() {
    for status in [400, 403, 404, 500, 503] {
        let origin = Origin::new(move |call| async move {
            let status = if call.request.method() == Method::GET { 200 } else { status };
            Ok(response(status, FRESH, call.number.to_string()))
        });
        let scene = Scene::new(exact(), origin);
        scene.get("/").await;
        assert_eq!(scene.ask(request("DELETE", "/", &[])).await.status(), status);
        settle().await;
        assert!(scene.get("/").await.is_hit(), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unsafe_request_whose_handler_panics_or_errs_invalidates_its_target() {
    for panics in [true, false] {
        let origin = Origin::new(move |call| async move {
            if call.request.method() != Method::GET {
                // The handler has done its work, perhaps.
                assert!(!panics, "the handler's own");
                return Err(crate::support::Failed);
            }
            Ok(response(200, FRESH, call.number.to_string()))
        });
        let scene = Scene::new(exact(), origin);
        scene.get("/").await;
        let post = tokio::spawn(scene.send(request("POST", "/", &[]))).await;
        assert_eq!(post.is_err(), panics);
        if panics {
            settle().await;
        }
        assert!(!scene.get("/").await.is_hit(), "panics: {panics}");
    }
}
