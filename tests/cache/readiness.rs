//! The inner service's readiness: asked for before each call, by the requests that call it and no other.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bartizan::{CacheLayer, Memory, Rules};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, limit::ConcurrencyLimit};

use crate::support::{Answer, Body, Failed, Origin, Reply, Scene, answers, exact, get, request, settle, slow};

const MINUTE: Duration = Duration::from_secs(60);
const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60")];

#[tokio::test(start_paused = true)]
async fn the_inner_service_is_polled_ready_before_every_call() {
    // The origin panics when it is not: on each way to it.
    let fields = &[("cache-control", "max-age=60, stale-while-revalidate=60")];
    let scene = Scene::with(Origin::says(fields), |layer| {
        layer.rules_by(|parts| if parts.uri.path() == "/bypass" { Rules::bypass() } else { exact() })
    });
    let mut service = scene.service.clone();
    let mut send = async |method: &str, path: &str, fields: &[(&str, &str)]| {
        let asked = request(method, path, fields);
        let response = service.ready().await.expect("it never fails").call(asked).await;
        Answer::read(response.expect("it never fails")).await
    };
    for (method, path, fields, want) in [
        ("GET", "/", &[][..], "fwd=uri-miss; stored"),
        ("GET", "/", &[], "hit"),
        ("HEAD", "/", &[], "hit"),
        ("HEAD", "/head", &[], "fwd=uri-miss"),
        ("GET", "/", &[("range", "bytes=0-0")], "hit"),
        ("GET", "/range", &[("range", "bytes=0-0")], "fwd=uri-miss"),
        ("GET", "/bypass", &[], "fwd=bypass"),
        ("GET", "/upgrade", &[("upgrade", "websocket")], "fwd=bypass"),
        ("OPTIONS", "/", &[], "fwd=method"),
        ("POST", "/other", &[], "fwd=method"),
        ("GET", "/", &[], "hit"),
    ] {
        assert_eq!(send(method, path, fields).await.cache_status(), format!("bartizan; {want}"), "{method} {path}");
    }
    scene.advance(61);
    assert_eq!(send("GET", "/", &[]).await.cache_status(), "bartizan; hit; ttl=-1");
    settle().await;
    assert_eq!(scene.calls(), 8, "seven, and the refresh");
    assert_eq!(send("GET", "/", &[]).await.cache_status(), "bartizan; hit");
    scene.advance(200);
    assert_eq!(send("GET", "/", &[]).await.cache_status(), "bartizan; fwd=stale; stored");
    let pass = Scene::new(exact(), Origin::says(&[("cache-control", "private")]));
    for _ in 0..3 {
        pass.get("/").await;
    }
    assert_eq!(pass.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_hit_leaves_the_inner_service_uncalled() {
    let scene = Scene::new(exact(), Origin::says(FRESH));
    scene.get("/").await;
    for _ in 0..100 {
        assert!(scene.get("/").await.is_hit());
    }
    assert_eq!(scene.calls(), 1);
}

/// An inner service that is never ready.
#[derive(Clone)]
struct Busy;

impl Service<Request<Full<Bytes>>> for Busy {
    type Response = Response<Body>;
    type Error = Failed;
    type Future = Reply;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Pending
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        panic!("it is never ready")
    }
}

#[tokio::test(start_paused = true)]
async fn what_needs_the_inner_service_waits_until_it_is_ready() {
    let layer = CacheLayer::new(Memory::with_capacity(1 << 20))
        .rules_by(|parts| if parts.uri.path() == "/bypass" { Rules::bypass() } else { exact() });
    let service = layer.layer(Busy);
    for asked in [get("/", &[]), get("/bypass", &[]), request("HEAD", "/", &[]), request("POST", "/", &[])] {
        let case = format!("{} {}", asked.method(), asked.uri());
        let answered = tokio::time::timeout(MINUTE, service.clone().oneshot(asked)).await;
        assert!(answered.is_err(), "{case}: it waits");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hit_does_not_wait_for_a_saturated_inner_service() {
    let origin = slow(200, FRESH);
    let layer = CacheLayer::new(Memory::with_capacity(1 << 20)).rules(exact());
    let service = layer.layer(ConcurrencyLimit::new(origin.clone(), 1));
    let ask = |path| service.clone().oneshot(get(path, &[]));
    ask("/page").await.expect("it never fails").into_body().collect().await.expect("it never fails");
    let busy = tokio::spawn(ask("/other"));
    settle().await;
    assert_eq!(origin.calls(), 2, "the only permit is taken");
    let Poll::Ready(hit) = pin!(ask("/page")).poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("a hit is ready at once")
    };
    let hit = hit.expect("it never fails");
    assert_eq!(hit.headers()["cache-status"], "bartizan; hit");
    assert!(!busy.is_finished());
}

/// An inner service that fails before it is called.
#[derive(Clone)]
struct Broken;

impl Service<Request<Full<Bytes>>> for Broken {
    type Response = Response<Body>;
    type Error = Failed;
    type Future = Reply;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Err(Failed))
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        panic!("it is never ready")
    }
}

#[tokio::test(start_paused = true)]
async fn an_inner_service_that_cannot_become_ready_fails_its_callers() {
    let layer = CacheLayer::new(Memory::with_capacity(1 << 20))
        .rules_by(|parts| if parts.uri.path() == "/bypass" { Rules::bypass() } else { exact() });
    for asked in [get("/", &[]), get("/bypass", &[]), request("HEAD", "/", &[]), request("POST", "/", &[])] {
        let case = format!("{} {}", asked.method(), asked.uri());
        assert!(layer.layer(Broken).oneshot(asked).await.is_err(), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_inside_is_respected_and_does_not_lock_up() {
    let origin = slow(200, FRESH);
    let most = Arc::clone(&origin.most);
    let calls = Arc::clone(&origin.calls);
    let layer = bartizan::CacheLayer::new(bartizan::Memory::with_capacity(1 << 20)).rules(exact());
    let service = layer.layer(tower::limit::ConcurrencyLimit::new(origin, 2));
    let crowd: Vec<_> = (0..100)
        .map(|i| {
            let sent = service.clone().oneshot(get(&format!("/{}", i % 10), &[]));
            tokio::spawn(async move { Answer::read(sent.await.expect("it never fails")).await })
        })
        .collect();
    let answers = answers(crowd).await;
    assert_eq!(answers.len(), 100);
    assert_eq!(calls.load(Ordering::SeqCst), 10, "one for each key");
    assert!(most.load(Ordering::SeqCst) <= 2, "never more than the limit");
}

#[tokio::test(start_paused = true)]
async fn a_buffered_service_inside_is_called_when_it_is_ready() {
    let origin = slow(200, FRESH);
    let calls = Arc::clone(&origin.calls);
    let layer = bartizan::CacheLayer::new(bartizan::Memory::with_capacity(1 << 20)).rules(exact());
    let service = tower::util::BoxCloneService::new(layer.layer(tower::buffer::Buffer::new(origin, 2)));
    let crowd: Vec<_> = (0..100)
        .map(|i| {
            let sent = service.clone().oneshot(get(&format!("/{}", i % 10), &[]));
            tokio::spawn(async move { Answer::read(sent.await.expect("it never fails")).await })
        })
        .collect();
    assert_eq!(answers(crowd).await.len(), 100);
    assert_eq!(calls.load(Ordering::SeqCst), 10, "one for each key");
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_the_service_that_is_ready() {
    // A concurrency limit of one, held by readiness: a second clone in place of the ready one would wait for the first.
    let layer = bartizan::CacheLayer::new(bartizan::Memory::with_capacity(1 << 20)).rules(exact());
    let mut service = layer.layer(tower::limit::ConcurrencyLimit::new(Origin::says(FRESH), 1));
    for path in ["/a", "/b", "/a"] {
        let answered = tokio::time::timeout(MINUTE, async {
            let called = service.ready().await.expect("it never fails").call(get(path, &[]));
            Answer::read(called.await.expect("it never fails")).await
        });
        assert_eq!(answered.await.expect("it does not wait for itself").status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_another_leaves_its_permit_to_others() {
    let origin = slow(200, &[("cache-control", "max-age=60")]);
    let layer = CacheLayer::new(Memory::with_capacity(1 << 20));
    let service = layer.layer(ConcurrencyLimit::new(origin.clone(), 2));
    let ask = |path| tokio::spawn(service.clone().oneshot(get(path, &[])));
    let crowd: Vec<_> = (0..10).map(|_| ask("/slow")).collect();
    settle().await;
    assert!(!crowd[0].is_finished() && origin.calls() == 1, "one leads, and the others wait");
    let other = ask("/other");
    settle().await;
    assert_eq!(origin.calls(), 2, "an unrelated request has a permit of its own");
    for one in crowd.into_iter().chain([other]) {
        one.await.expect("no panic").expect("the origin did not fail");
    }
}
