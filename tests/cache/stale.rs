//! Pages past their time, and shortly before it: served meanwhile, served instead, or made anew in good time.

use std::time::Duration;

use bartizan::expiry::EarlyRefresh;

use crate::support::{
    Answer, Call, Failed, Origin, Scene, answers, crowd, exact, get, response, settle, slow, take, texts,
};

const MINUTE: Duration = Duration::from_secs(60);
const WINDOW: &[(&str, &str)] = &[("cache-control", "max-age=60, stale-while-revalidate=60")];

/// The first call is answered with these fields; what becomes of the others says `later`.
fn then(
    fields: &'static [(&'static str, &'static str)],
    later: impl Fn(Call) -> Result<http::Response<crate::support::Body>, Failed> + Clone + Send + Sync + 'static,
) -> Origin {
    Origin::new(move |call| {
        let later = later.clone();
        async move { if call.number == 0 { Ok(response(200, fields, "0")) } else { later(call) } }
    })
}

async fn timed(scene: &Scene) -> (Answer, u128) {
    let start = tokio::time::Instant::now();
    let answer = scene.get("/").await;
    (answer, start.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn a_stale_page_is_served_at_once_while_one_request_makes_it_anew() {
    for rules in [exact(), exact().default_ttl(MINUTE).stale_while_revalidate(MINUTE)] {
        let by_rule = format!("{rules:?}").contains("default_ttl: Some");
        let scene = Scene::new(rules, slow(200, if by_rule { &[] } else { WINDOW }));
        scene.get("/").await;
        scene.advance(61);
        let start = tokio::time::Instant::now();
        let answers = answers(crowd(&scene, 1000, "/")).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "nobody waits");
        assert_eq!(texts(&answers), ["0"]);
        assert!(answers.iter().all(|answer| answer.cache_status() == "bartizan; hit; ttl=-1"));
        assert!(answers.iter().all(|answer| answer.field("age").as_deref() == Some("61")));
        take(150).await;
        assert_eq!(scene.calls(), 2, "one refresh for all");
        let (next, waited) = timed(&scene).await;
        assert_eq!((next.text(), next.cache_status().as_str(), waited), ("1", "bartizan; hit", 0));
        assert_eq!(scene.cache.counters().stale, 1000);
    }
}

#[tokio::test(start_paused = true)]
async fn after_its_window_a_stale_page_is_waited_for() {
    let scene = Scene::new(exact(), slow(200, WINDOW));
    scene.get("/").await;
    scene.advance(120);
    let (answer, waited) = timed(&scene).await;
    assert_eq!((answer.text(), answer.cache_status().as_str()), ("1", "bartizan; fwd=stale; stored"));
    assert!(waited >= 100);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_leaves_the_stale_page_within_its_window() {
    for status in [Some(500), Some(503), None] {
        let origin = then(WINDOW, move |_| match status {
            Some(status) => Ok(response(status, &[], "an error")),
            None => Err(Failed),
        });
        let scene = Scene::new(exact(), origin);
        scene.get("/").await;
        scene.advance(61);
        for second in 0..50 {
            assert_eq!(scene.get("/").await.text(), "0", "second {second}, {status:?}");
            settle().await;
            scene.advance(1);
        }
        let calls = scene.calls();
        assert!((5..=15).contains(&calls), "tried again now and then, not on every request: {calls}, {status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_panics_leaves_the_stale_page_within_its_window() {
    let scene = Scene::new(exact(), then(WINDOW, |_| panic!("the handler's own")));
    scene.get("/").await;
    scene.advance(61);
    for _ in 0..10 {
        assert_eq!(scene.get("/").await.text(), "0");
        settle().await;
        scene.advance(1);
    }
    tokio::time::timeout(MINUTE, scene.cache.drain()).await.expect("no task is left");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_asks_with_the_validators_and_a_304_makes_the_page_fresh() {
    const FIELDS: &[(&str, &str)] = &[("cache-control", "max-age=60, stale-while-revalidate=60"), ("etag", "\"v\"")];
    let origin = then(FIELDS, |call| {
        assert_eq!(call.request.headers()["if-none-match"], "\"v\"");
        Ok(response(304, FIELDS, ""))
    });
    let scene = Scene::new(exact(), origin);
    scene.get("/").await;
    for _ in 0..5 {
        scene.advance(61);
        assert_eq!(scene.get("/").await.cache_status(), "bartizan; hit; ttl=-1");
        settle().await;
        let fresh = scene.get("/").await;
        assert_eq!((fresh.text(), fresh.cache_status().as_str()), ("0", "bartizan; hit"));
        assert_eq!(fresh.field("age").as_deref(), Some("0"));
    }
    assert_eq!(scene.calls(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_variant_that_is_refreshed_again_and_again_stays_where_it_is() {
    const VARIED: &[(&str, &str)] =
        &[("cache-control", "max-age=60, stale-while-revalidate=60"), ("vary", "accept-language")];
    let scene = Scene::new(exact(), Origin::says(VARIED));
    let ask = async |language: &str| scene.ask(get("/", &[("accept-language", language)])).await;
    ask("de").await;
    for round in 1..=20 {
        scene.advance(61);
        let stale = ask("de").await;
        assert_eq!(stale.cache_status(), "bartizan; hit; ttl=-1", "round {round}");
        settle().await;
        let fresh = ask("de").await;
        assert_eq!((fresh.text(), fresh.is_hit()), (round.to_string().as_str(), true), "round {round}");
    }
    assert_eq!(scene.calls(), 21);
    assert_eq!(scene.cache.counters().entries, 2, "the page and one sign");
}

#[tokio::test(start_paused = true)]
async fn one_clients_refresh_takes_nothing_from_the_others() {
    // What a single client may ask for, or be, must not end a page that serves everyone.
    const OPEN: &[(&str, &str)] =
        &[("cache-control", "public, max-age=60, stale-while-revalidate=60"), ("etag", "\"v\"")];
    for fields in [
        &[("cache-control", "no-store")][..],
        &[("cookie", "session=1")],
        &[("authorization", "Bearer x")],
        &[("range", "bytes=0-0")],
        &[("if-none-match", "\"v\"")],
    ] {
        for confirms in [false, true] {
            let origin = Origin::new(move |call| async move {
                let asked = call.request.headers();
                let status = if confirms && asked.contains_key("if-none-match") { 304 } else { 200 };
                Ok(if asked.contains_key("cookie") || asked.contains_key("authorization") {
                    response(status, &[("cache-control", "private"), ("etag", "\"v\"")], "for one")
                } else if status == 304 {
                    response(304, OPEN, "")
                } else if asked.contains_key("range") {
                    response(206, OPEN, "f")
                } else {
                    response(200, OPEN, "for everyone")
                })
            });
            let scene = Scene::new(exact(), origin);
            scene.get("/").await;
            scene.advance(61);
            let stale = scene.ask(get("/", fields)).await;
            assert!(stale.is_hit(), "{fields:?}: {}", stale.cache_status());
            settle().await;
            let next = scene.get("/").await;
            assert_eq!((next.text(), next.is_hit()), ("for everyone", true), "{fields:?}: {}", next.cache_status());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_takes_one_of_the_places_for_fills_without_clients() {
    let scene = Scene::with(slow(200, WINDOW), |layer| layer.rules(exact()).detached_fills(0, MINUTE));
    scene.get("/").await;
    scene.advance(61);
    assert_eq!(scene.get("/").await.text(), "0", "it is served all the same");
    take(200).await;
    assert_eq!(scene.calls(), 1, "but not made anew");
    let scene = Scene::with(slow(200, WINDOW), |layer| layer.rules(exact()).detached_fills(1, MINUTE));
    scene.get("/").await;
    scene.advance(61);
    scene.get("/").await;
    take(200).await;
    assert_eq!(scene.get("/").await.text(), "1", "one place is enough for head and body");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_hangs_is_given_up() {
    let origin = Origin::new(|call| async move {
        take(if call.number == 1 { 1_000_000 } else { 10 }).await;
        Ok(response(200, WINDOW, call.number.to_string()))
    });
    let scene = Scene::with(origin, |layer| layer.rules(exact()).detached_fills(8, Duration::from_secs(3)));
    scene.get("/").await;
    scene.advance(61);
    assert_eq!(scene.get("/").await.text(), "0");
    take(3_010).await;
    scene.advance(6);
    assert_eq!(scene.get("/").await.text(), "0");
    take(20).await;
    assert_eq!(scene.get("/").await.text(), "2", "the next attempt was let through");
}

#[tokio::test(start_paused = true)]
async fn an_error_is_answered_with_the_stale_page_within_the_window_of_header_or_rule() {
    const SAID: &[(&str, &str)] = &[("cache-control", "max-age=60, stale-if-error=60")];
    for (rules, fields) in [
        (exact(), SAID),
        (exact().default_ttl(MINUTE).stale_if_error(MINUTE), &[]),
        (exact().stale_if_error(MINUTE), &[("cache-control", "max-age=60")]),
    ] {
        for status in [Some(500), Some(502), Some(503), Some(504), None] {
            let origin = then(fields, move |_| match status {
                Some(status) => Ok(response(status, &[], "an error")),
                None => Err(Failed),
            });
            let scene = Scene::new(rules.clone(), origin);
            scene.get("/").await;
            scene.advance(119);
            let stale = scene.get("/").await;
            assert_eq!((stale.status(), stale.text()), (200, "0"), "{fields:?}, {status:?}");
            let detail = status.map_or("detail=error".to_owned(), |status| format!("fwd-status={status}"));
            assert_eq!(stale.cache_status(), format!("bartizan; fwd=stale; {detail}; ttl=-59"), "{fields:?}");
            assert_eq!(stale.field("age").as_deref(), Some("119"));
            scene.advance(1);
            let after = scene.send(get("/", &[])).await;
            assert_eq!(after.map(|after| after.status().as_u16()).ok(), status, "after the window: {fields:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_failure_of_the_origin_is_not_hidden() {
    for status in [400, 404, 501] {
        let origin = then(&[("cache-control", "max-age=60, stale-if-error=60")], move |_| {
            Ok(response(status, &[], "its answer"))
        });
        let scene = Scene::new(exact(), origin);
        scene.get("/").await;
        scene.advance(61);
        assert_eq!(scene.get("/").await.status(), status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rules_window_never_outdoes_what_the_response_demands() {
    for control in [
        "max-age=60, must-revalidate",
        "max-age=60, proxy-revalidate",
        "s-maxage=60",
        "no-cache",
        "max-age=60, no-cache",
    ] {
        for fails in [false, true] {
            let origin = Origin::new(move |call| async move {
                let status = if fails && call.number > 0 { 500 } else { 200 };
                let fields = [("cache-control", control), ("etag", "\"v\"")];
                Ok(response(status, &fields, call.number.to_string()))
            });
            let scene = Scene::new(exact().stale_while_revalidate(MINUTE).stale_if_error(MINUTE), origin);
            scene.get("/").await;
            scene.advance(61);
            let answer = scene.get("/").await;
            assert_eq!(answer.text(), "1", "{control}, fails: {fails}");
            assert_eq!(answer.status(), if fails { 500 } else { 200 }, "{control}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hit_may_start_a_refresh_before_the_end_and_waits_for_nothing() {
    // The origin takes a second by the cache's clock, so that refreshing is worth while.
    let clock = bartizan::clock::TestClock::new();
    let winding = clock.clone();
    let origin = Origin::new(move |call| {
        let clock = winding.clone();
        async move {
            take(100).await;
            clock.advance(Duration::from_secs(1));
            Ok(response(200, &[("cache-control", "max-age=60")], call.number.to_string()))
        }
    });
    for (early, refreshes) in [(EarlyRefresh::beta(1e9), 1), (EarlyRefresh::NEVER, 0)] {
        let clock = clock.clone();
        let scene = Scene::with(origin.clone(), |layer| layer.rules(exact().early_refresh(early)).clock(clock.clone()));
        let before = scene.calls();
        let first = scene.get("/").await;
        clock.advance(Duration::from_secs(30));
        let start = tokio::time::Instant::now();
        let hits = answers(crowd(&scene, 100, "/")).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "{early:?}");
        assert!(hits.iter().all(|hit| hit.cache_status() == "bartizan; hit" && hit.text() == first.text()));
        take(150).await;
        assert_eq!(scene.calls() - before, 1 + refreshes, "{early:?}");
        let next = scene.get("/").await;
        assert_eq!((next.is_hit(), next.text() != first.text()), (true, refreshes == 1), "{early:?}");
        scene.cache.drain().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_client_of_a_stale_page_does_afterwards_makes_its_refresh_doubtful_and_the_page_no_less_cacheable() {
    let scene = Scene::new(exact(), slow(200, WINDOW));
    scene.get("/").await;
    scene.advance(61);
    let mut request = get("/", &[]);
    let mark = bartizan::private::PrivateMark::of(request.extensions_mut());
    assert_eq!(scene.ask(request).await.cache_status(), "bartizan; hit; ttl=-1");
    take(10).await;
    // Perhaps the handler used what an outer layer had put into the client's exchange, perhaps the client's response did.
    mark.raise();
    take(150).await;
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; hit; ttl=-1", "the refreshed page was not stored");
    // A refresh that came to nothing is not tried again at once.
    scene.advance(6);
    scene.get("/").await;
    take(250).await;
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; hit", "the next refresh was");
}
