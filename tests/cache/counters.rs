//! Each counter moves by exactly what it should.

use bartizan::{
    CacheLayer, Memory, Rules,
    cache::{Counters, Misses},
};
use http::Request;
use http_body_util::Full;
use tower::{Layer, ServiceExt};

use crate::support::{Answer, Failed, Gate, Origin, Scene, exact, get, request, response, run_others};

/// The counters without those of the store.
fn of_requests(scene: &Scene) -> Counters {
    let mut counters = scene.cache.counters();
    (counters.evicted, counters.entries, counters.bytes) = (0, 0, 0);
    counters
}

fn origin() -> Origin {
    Origin::new(|call| async move {
        Ok(match call.request.uri().path() {
            "/fresh" => response(200, &[("cache-control", "max-age=60")], ""),
            "/window" => response(200, &[("cache-control", "max-age=60, stale-while-revalidate=60")], ""),
            "/error" if call.number > 0 => return Err(Failed),
            "/error" => response(200, &[("cache-control", "max-age=60, stale-if-error=60")], ""),
            "/vary" => response(200, &[("cache-control", "max-age=60"), ("vary", "x-a")], ""),
            "/private" => response(200, &[("cache-control", "private")], ""),
            _ => response(200, &[], ""),
        })
    })
}

fn with(change: impl FnOnce(&mut Counters)) -> Counters {
    let mut counters = Counters::default();
    change(&mut counters);
    counters
}

/// The counters after `last`, from those before it.
async fn moved(first: &[Request<Full<bytes::Bytes>>], wind: u64, last: Request<Full<bytes::Bytes>>) -> Counters {
    let scene = Scene::with(origin(), |layer| {
        layer.rules_by(|parts| match parts.uri.path() {
            "/bypass" => Rules::bypass(),
            _ => exact().honour_client_directives(),
        })
    });
    for request in first {
        scene.ask(request.clone()).await;
    }
    scene.advance(wind);
    let before = of_requests(&scene);
    scene.ask(last).await;
    let after = of_requests(&scene);
    with(|difference| {
        difference.hits = after.hits - before.hits;
        difference.stale = after.stale - before.stale;
        difference.collapsed = after.collapsed - before.collapsed;
        difference.misses.absent = after.misses.absent - before.misses.absent;
        difference.misses.variant = after.misses.variant - before.misses.variant;
        difference.misses.expired = after.misses.expired - before.misses.expired;
        difference.misses.pass = after.misses.pass - before.misses.pass;
        difference.misses.method = after.misses.method - before.misses.method;
        difference.misses.bypass = after.misses.bypass - before.misses.bypass;
        difference.misses.requested = after.misses.requested - before.misses.requested;
        difference.stored = after.stored - before.stored;
        difference.superseded = after.superseded - before.superseded;
        difference.uncacheable = after.uncacheable - before.uncacheable;
    })
}

#[tokio::test]
async fn each_decision_moves_its_counter_and_no_other() {
    let fresh = || get("/fresh", &[]);
    let cases: Vec<(&str, Vec<Request<_>>, u64, Request<_>, Counters)> = vec![
        (
            "absent, stored",
            vec![],
            0,
            fresh(),
            with(|to| {
                to.misses.absent = 1;
                to.stored = 1;
            }),
        ),
        ("hit", vec![fresh()], 0, fresh(), with(|to| to.hits = 1)),
        ("hit of a head", vec![fresh()], 0, request("HEAD", "/fresh", &[]), with(|to| to.hits = 1)),
        ("304 from the store", vec![fresh()], 0, get("/fresh", &[("if-none-match", "*")]), with(|to| to.hits = 1)),
        ("206 from the store", vec![fresh()], 0, get("/fresh", &[("range", "bytes=0-0")]), with(|to| to.hits = 1)),
        (
            "expired",
            vec![fresh()],
            60,
            fresh(),
            with(|to| {
                to.misses.expired = 1;
                to.stored = 1;
            }),
        ),
        ("stale", vec![get("/window", &[])], 61, get("/window", &[]), with(|to| to.stale = 1)),
        (
            "variant",
            vec![get("/vary", &[("x-a", "1")])],
            0,
            get("/vary", &[("x-a", "2")]),
            with(|to| {
                to.misses.variant = 1;
                to.stored = 1;
            }),
        ),
        (
            "uncacheable",
            vec![],
            0,
            get("/private", &[]),
            with(|to| {
                to.misses.absent = 1;
                to.uncacheable = 1;
            }),
        ),
        ("pass", vec![get("/private", &[])], 0, get("/private", &[]), with(|to| to.misses.pass = 1)),
        ("method", vec![], 0, request("POST", "/fresh", &[]), with(|to| to.misses.method = 1)),
        ("safe method", vec![], 0, request("OPTIONS", "/fresh", &[]), with(|to| to.misses.method = 1)),
        ("bypass by rule", vec![], 0, get("/bypass", &[]), with(|to| to.misses.bypass = 1)),
        ("bypass by request", vec![fresh()], 0, get("/fresh", &[("if-match", "*")]), with(|to| to.misses.bypass = 1)),
        (
            "requested",
            vec![fresh()],
            0,
            get("/fresh", &[("cache-control", "no-cache")]),
            with(|to| {
                to.misses.requested = 1;
                to.stored = 1;
            }),
        ),
        ("a head", vec![], 0, request("HEAD", "/fresh", &[]), with(|to| to.misses.absent = 1)),
        ("a part", vec![], 0, get("/fresh", &[("range", "bytes=0-0")]), with(|to| to.misses.absent = 1)),
        ("no-store", vec![], 0, get("/fresh", &[("cache-control", "no-store")]), with(|to| to.misses.absent = 1)),
    ];
    for (what, first, wind, last, want) in cases {
        assert_eq!(moved(&first, wind, last).await, want, "{what}");
    }
}

#[tokio::test]
async fn a_request_that_never_reached_the_origin_is_not_one_that_did() {
    let scene = Scene::new(exact(), origin());
    scene.ask(get("/fresh", &[("cache-control", "only-if-cached")])).await;
    assert_eq!((scene.calls(), scene.cache.counters().misses.total()), (0, 0), "only-if-cached");
}

#[tokio::test]
async fn a_stale_page_in_place_of_an_error_is_counted_once() {
    let scene = Scene::new(exact(), origin());
    scene.get("/error").await;
    scene.advance(61);
    let before = of_requests(&scene);
    assert_eq!(scene.get("/error").await.status(), 200);
    let after = of_requests(&scene);
    assert_eq!(after.stale - before.stale, 1);
    assert_eq!(after.misses.total() - before.misses.total(), 0, "each request is counted once");
}

/// An origin behind a gate.
fn gated(gate: &Gate, fields: &'static [(&'static str, &'static str)]) -> Origin {
    let gate = gate.clone();
    Origin::new(move |_| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Ok(response(200, fields, ""))
        }
    })
}

#[tokio::test]
async fn those_who_wait_for_another_are_collapsed_and_not_missed() {
    let gate = Gate::new();
    let scene = Scene::new(exact(), gated(&gate, &[("cache-control", "max-age=60")]));
    let asked: Vec<_> = (0..10).map(|_| tokio::spawn(scene.ask(get("/", &[])))).collect();
    gate.arrived(1).await;
    run_others().await;
    gate.open(1);
    for answer in asked {
        answer.await.expect("no panic");
    }
    let want = with(|to| {
        to.collapsed = 9;
        to.misses.absent = 1;
        to.stored = 1;
    });
    assert_eq!(of_requests(&scene), want, "each request is counted once");
}

#[tokio::test]
async fn a_fill_that_a_purge_overtook_is_superseded_and_not_stored() {
    let gate = Gate::new();
    let scene = Scene::new(exact().tag("t"), gated(&gate, &[("cache-control", "max-age=60")]));
    for purge in ["tag", "all"] {
        let asked = tokio::spawn(scene.ask(get("/", &[])));
        gate.arrived(1).await;
        match purge {
            "tag" => scene.cache.purge_tag("t").await,
            _ => scene.cache.purge_all().await,
        }
        .expect("memory does not fail");
        gate.open(1);
        asked.await.expect("no panic");
    }
    let counters = scene.cache.counters();
    assert_eq!((counters.superseded, counters.stored, counters.entries), (2, 0, 0));
}

#[tokio::test]
async fn a_variants_fill_that_a_purge_overtook_is_superseded_too() {
    for purge in ["tag", "all"] {
        let gate = Gate::new();
        let fields = &[("cache-control", "max-age=60"), ("vary", "accept")];
        let scene = Scene::new(exact().tag("t"), gated(&gate, fields));
        let asked = tokio::spawn(scene.ask(get("/", &[])));
        gate.arrived(1).await;
        match purge {
            "tag" => scene.cache.purge_tag("t").await,
            _ => scene.cache.purge_all().await,
        }
        .expect("memory does not fail");
        gate.open(1);
        asked.await.expect("no panic");
        assert_eq!((scene.cache.counters().superseded, scene.cache.counters().stored), (1, 0), "{purge}");
    }
}

#[tokio::test]
async fn entries_bytes_and_evictions_are_the_stores() {
    let page = |call: crate::support::Call| async move {
        let length = call.request.uri().path().len();
        Ok(response(200, &[("cache-control", "max-age=60")], vec![b'x'; 10_000 + length]))
    };
    let layer = CacheLayer::new(Memory::with_capacity(1 << 20)).rules(exact());
    let (cache, service) = (layer.handle(), layer.layer(Origin::new(page)));
    assert_eq!(cache.counters(), Counters::default());
    let mut last = 0;
    for number in 0..10 {
        let answer = service.clone().oneshot(get(&format!("/{number}"), &[])).await.expect("no failure");
        Answer::read(answer).await;
        let counters = cache.counters();
        assert_eq!((counters.entries, counters.evicted), (number + 1, 0));
        assert!((10_000..12_000).contains(&(counters.bytes - last)), "{}", counters.bytes - last);
        last = counters.bytes;
    }
    for number in 10..300 {
        let answer = service.clone().oneshot(get(&format!("/{number}"), &[])).await.expect("no failure");
        Answer::read(answer).await;
    }
    let counters = cache.counters();
    assert_eq!(counters.entries + counters.evicted, 300, "{counters}");
    assert!(counters.bytes <= 1 << 20, "{counters}");
    cache.purge_all().await.expect("memory does not fail");
    assert_eq!((cache.counters().entries, cache.counters().bytes), (0, 0));
}

#[tokio::test]
async fn layers_over_one_store_count_for_themselves() {
    let store = Memory::with_capacity(1 << 20);
    let scenes = [(); 2].map(|()| {
        let layer = CacheLayer::new(store.clone()).rules(exact());
        (layer.handle(), layer.layer(Origin::says(&[("cache-control", "max-age=60")])))
    });
    for (_, service) in &scenes {
        Answer::read(service.clone().oneshot(get("/", &[])).await.expect("no failure")).await;
    }
    let counted = scenes.each_ref().map(|(cache, _)| (cache.counters().hits, cache.counters().misses.total()));
    assert_eq!(counted, [(0, 1), (1, 0)]);
    assert_eq!(scenes[0].0.counters().entries, 1, "the store is shared");
}

#[test]
fn a_snapshot_adds_up_and_can_be_read() {
    let mut misses = Misses::default();
    assert_eq!(misses.total(), 0);
    (misses.absent, misses.variant, misses.expired, misses.pass) = (1, 2, 4, 8);
    (misses.method, misses.bypass, misses.requested) = (16, 32, 64);
    assert_eq!(misses.total(), 127);
    let counters = with(|to| (to.hits, to.stale, to.misses, to.bytes) = (5, 6, misses, 7));
    let text = counters.to_string();
    for part in ["5 hits", "6 stale", "127 misses", "7 bytes"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn a_page_that_is_replaced_was_not_evicted() {
    let scene = Scene::new(exact(), Origin::says(&[("cache-control", "max-age=60")]));
    for _ in 0..3 {
        scene.get("/").await;
        scene.advance(61);
    }
    let counters = scene.cache.counters();
    assert_eq!((counters.stored, counters.entries, counters.evicted), (3, 1, 0));
}
