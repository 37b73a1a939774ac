//! Many requests for one response: who calls the origin, who waits, and for how long.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use http::Uri;
use http_body_util::BodyExt;
use tokio::{sync::Semaphore, time::Instant};

use crate::support::{
    Answer, BodyBroken, Failed, Origin, Scene, answers, crowd, exact, get, pipe, response, settle, slow, streamed,
    take, texts,
};

const MINUTE: Duration = Duration::from_secs(60);
const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60")];

/// Answers once `gate` is open.
fn gated(gate: &Arc<Semaphore>) -> Origin {
    let gate = Arc::clone(gate);
    Origin::new(move |call| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.expect("it is never closed").forget();
            Ok(response(200, FRESH, call.number.to_string()))
        }
    })
}

/// The first calls end in `failing`, after 100 ms; the next are answered, after as long.
fn failing_at_first<F>(number: usize, failing: impl Fn(usize) -> F + Clone + Send + Sync + 'static) -> Origin
where
    F: Future<Output = Result<http::Response<crate::support::Body>, Failed>> + Send,
{
    Origin::new(move |call| {
        let failing = failing.clone();
        async move {
            take(100).await;
            if call.number < number {
                return failing(call.number).await;
            }
            Ok(response(200, FRESH, call.number.to_string()))
        }
    })
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(MINUTE, async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("it never came that {what}"));
}

/// Many requests, each as far as it gets at once: one leads, the others wait.
fn begun(scene: &Scene, number: usize, path: &str) -> Vec<Pin<Box<dyn Future<Output = Answer> + Send>>> {
    let begin = |_| {
        let mut one: Pin<Box<dyn Future<Output = Answer> + Send>> = Box::pin(scene.ask(get(path, &[])));
        assert!(one.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "nothing is stored yet");
        one
    };
    (0..number).map(begin).collect()
}

async fn ten_thousand_share_one_call_whose_client_left() -> Scene {
    let gate = Arc::new(Semaphore::new(0));
    let scene = Scene::new(exact(), gated(&gate));
    let leader = tokio::spawn(scene.ask(get("/", &[])));
    until("the origin is called", || scene.calls() == 1).await;
    let crowd = begun(&scene, 10_000, "/").into_iter().map(tokio::spawn).collect();
    leader.abort();
    assert!(leader.await.expect_err("it was aborted").is_cancelled());
    gate.add_permits(100);
    let answers = answers(crowd).await;
    assert_eq!(texts(&answers), ["0"], "all have the one body");
    assert_eq!(answers.len(), 10_000);
    assert_eq!(scene.calls(), 1, "one call");
    assert!(scene.get("/").await.is_hit());
    scene
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_requests_are_one_call_though_the_leaders_client_left() {
    let scene = ten_thousand_share_one_call_whose_client_left().await;
    assert_eq!(scene.cache.counters().collapsed, 10_000, "all of them waited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_requests_on_several_threads_are_one_call_though_the_leaders_client_left() {
    ten_thousand_share_one_call_whose_client_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_requests_with_no_head_start_for_the_leader_are_one_call() {
    let gate = Arc::new(Semaphore::new(0));
    let scene = Scene::new(exact(), gated(&gate));
    let crowd = begun(&scene, 10_000, "/").into_iter().map(tokio::spawn).collect();
    gate.add_permits(10_000);
    assert_eq!(texts(&answers(crowd).await), ["0"]);
    assert_eq!(scene.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_panics_takes_its_panic_home_and_one_of_the_others_leads() {
    let scene = Scene::new(exact(), failing_at_first(1, |_| async { panic!("the handler's own") }));
    let leader = tokio::spawn(scene.ask(get("/", &[])));
    settle().await;
    let crowd = crowd(&scene, 100, "/");
    assert_eq!(texts(&answers(crowd).await), ["1"], "the others have the second's answer");
    let panic = leader.await.expect_err("it panicked").into_panic();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the handler's own"), "the panic comes out where it belongs");
    assert_eq!((scene.calls(), scene.origin.most()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_panics_in_call_takes_its_panic_home_and_one_of_the_others_leads() {
    let scene = Scene::new(
        exact(),
        Origin::new(|call| {
            assert!(call.number > 0, "the handler's own");
            async move {
                take(100).await;
                Ok(response(200, FRESH, call.number.to_string()))
            }
        }),
    );
    let leader = tokio::spawn(scene.ask(get("/", &[])));
    let crowd = crowd(&scene, 100, "/");
    assert_eq!(texts(&answers(crowd).await), ["1"]);
    let panic = leader.await.expect_err("it panicked").into_panic();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the handler's own"));
    assert_eq!(scene.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_errs_errs_to_the_leader_and_one_of_the_others_leads() {
    let scene = Scene::new(exact(), failing_at_first(1, |_| async { Err(Failed) }));
    let leader = tokio::spawn(scene.send(get("/", &[])));
    settle().await;
    let crowd = crowd(&scene, 100, "/");
    assert_eq!(leader.await.expect("no panic").err(), Some(Failed), "the error is the service's own");
    assert_eq!(texts(&answers(crowd).await), ["1"]);
    assert_eq!((scene.calls(), scene.origin.most()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_reaches_the_leader_only_and_one_of_the_others_leads() {
    let origin = failing_at_first(1, |_| async {
        let (tap, body) = pipe();
        tokio::spawn(async move {
            tap.data("half").await;
            take(100).await;
            tap.broken().await;
        });
        Ok(streamed(200, FRESH, body))
    });
    let scene = Scene::new(exact(), origin);
    let leader = tokio::spawn(scene.send(get("/", &[])));
    settle().await;
    let crowd = crowd(&scene, 100, "/");
    let mut body = leader.await.expect("no panic").expect("a head").into_body();
    assert_eq!(body.frame().await.expect("a frame").expect("data").into_data().expect("data"), "half");
    assert_eq!(body.frame().await.expect("an end").err(), Some(BodyBroken), "the leader's client sees it break");
    assert_eq!(texts(&answers(crowd).await), ["1"], "nobody else sees any of it");
    assert_eq!((scene.calls(), scene.origin.most()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_panics_reaches_the_leader_only_and_one_of_the_others_leads() {
    struct Panics;
    impl http_body::Body for Panics {
        type Data = bytes::Bytes;
        type Error = BodyBroken;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, BodyBroken>>> {
            panic!("the body's own")
        }
    }
    let scene = Scene::new(exact(), failing_at_first(1, |_| async { Ok(streamed(200, FRESH, Panics.boxed_unsync())) }));
    let leader = tokio::spawn(scene.ask(get("/", &[])));
    settle().await;
    let crowd = crowd(&scene, 100, "/");
    assert_eq!(texts(&answers(crowd).await), ["1"]);
    assert!(leader.await.expect_err("its client is not told that all is well").is_panic());
    assert_eq!(scene.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_for_an_error_go_alone_a_few_at_a_time() {
    let scene = Scene::with(slow(500, &[]), |layer| layer.rules(exact()).failing_concurrency(8));
    let start = Instant::now();
    let answers = answers(crowd(&scene, 100, "/")).await;
    assert_eq!(texts(&answers).len(), 100, "nobody has another's error body");
    assert!(answers.iter().all(|answer| answer.status() == 500));
    assert_eq!(scene.calls(), 100);
    assert!((2..=9).contains(&scene.origin.most()), "a few at a time, not {}", scene.origin.most());
    // The leader's, and 99 in groups of 8.
    let elapsed = start.elapsed().as_millis();
    assert!((1300..=1500).contains(&elapsed), "14 latencies of 100 ms and not 100, in {elapsed} ms");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_turn_has_the_value_that_another_got_meanwhile() {
    let origin = failing_at_first(3, |number| async move { Ok(response(500, &[], number.to_string())) });
    let scene = Scene::with(origin, |layer| layer.rules(exact()).failing_concurrency(1));
    let crowd = crowd(&scene, 5, "/");
    take(250).await;
    assert_eq!(scene.calls(), 3, "the leader, one alone, and the next");
    // Someone who did not wait leads meanwhile.
    let late = tokio::spawn(scene.ask(get("/", &[])));
    let answers = answers(crowd).await;
    let late = late.await.expect("no panic");
    assert_eq!(late.text(), "3");
    assert_eq!(texts(&answers), ["0", "1", "2", "3", "4"], "the last of them finds what the late one stored");
    assert_eq!(scene.calls(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_error_with_a_stale_page_is_one_call_and_the_stale_page_for_all() {
    let origin = Origin::new(|call| async move {
        take(100).await;
        let status = if call.number == 0 { 200 } else { 500 };
        Ok(response(status, &[("cache-control", "max-age=60, stale-if-error=600")], call.number.to_string()))
    });
    let scene = Scene::new(exact(), origin);
    assert_eq!(scene.get("/").await.text(), "0");
    scene.advance(61);
    let answers = answers(crowd(&scene, 100, "/")).await;
    assert_eq!(texts(&answers), ["0"], "all have the stale page");
    assert!(answers.iter().all(|answer| answer.status() == 200));
    assert_eq!(scene.calls(), 2, "one more call");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_errs_with_a_stale_page_is_one_call_and_the_stale_page_for_all() {
    let origin = Origin::new(|call| async move {
        take(100).await;
        let page = response(200, &[("cache-control", "max-age=60, stale-if-error=600")], "0");
        if call.number == 0 { Ok(page) } else { Err(Failed) }
    });
    let scene = Scene::new(exact(), origin);
    scene.get("/").await;
    scene.advance(61);
    assert_eq!(texts(&answers(crowd(&scene, 100, "/")).await), ["0"]);
    assert_eq!(scene.calls(), 2);
}

/// What cannot be shared: 101 requests, and the most at once and the latencies it took.
async fn unshared(fields: &'static [(&'static str, &'static str)]) -> (Scene, Vec<Answer>, u128) {
    let scene = Scene::new(exact(), slow(200, fields));
    let start = Instant::now();
    let answers = answers(crowd(&scene, 101, "/")).await;
    assert_eq!(texts(&answers).len(), 101, "each has its own: {fields:?}");
    assert_eq!(scene.calls(), 101, "{fields:?}");
    assert_eq!(scene.origin.most(), 100, "side by side: {fields:?}");
    let elapsed = start.elapsed().as_millis();
    assert!((200..=210).contains(&elapsed), "two latencies, not {elapsed} ms: {fields:?}");
    (scene, answers, elapsed)
}

#[tokio::test(start_paused = true)]
async fn who_waited_for_what_is_personal_goes_side_by_side_after_one_wait() {
    for fields in [
        &[("cache-control", "private, max-age=60")][..],
        &[("cache-control", "no-store")],
        &[("cache-control", "max-age=60"), ("set-cookie", "id=1")],
        &[("cache-control", "max-age=60"), ("vary", "*")],
        &[],
    ] {
        let (scene, ..) = unshared(fields).await;
        // Remembered: the next do not wait for each other at all.
        let start = Instant::now();
        let answers = answers(crowd(&scene, 100, "/")).await;
        assert!(answers.iter().all(|answer| answer.cache_status().ends_with("detail=pass")), "{fields:?}");
        assert!(start.elapsed().as_millis() <= 105, "one latency: {fields:?}");
        assert_eq!(scene.calls(), 201, "{fields:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_but_its_asker_gets_a_cookie_that_was_set() {
    let origin = Origin::new(|call| async move {
        take(100).await;
        let cookie = format!("id={}", call.number);
        Ok(response(200, &[("cache-control", "max-age=60"), ("set-cookie", &cookie)], call.number.to_string()))
    });
    let scene = Scene::new(exact(), origin);
    for answer in answers(crowd(&scene, 100, "/")).await {
        assert_eq!(answer.field("set-cookie"), Some(format!("id={}", answer.text())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_stale_on_arrival_is_waited_for_once() {
    unshared(&[("cache-control", "max-age=0")]).await;
    let (scene, ..) = unshared(&[("cache-control", "max-age=0"), ("etag", "\"v\"")]).await;
    // It is known now that it is never fresh: the next wait for nobody.
    let start = Instant::now();
    assert_eq!(texts(&answers(crowd(&scene, 100, "/")).await).len(), 100);
    assert!(start.elapsed().as_millis() <= 105, "one latency, not {:?}", start.elapsed());
    assert_eq!(scene.calls(), 201);
}

#[tokio::test(start_paused = true)]
async fn who_waited_for_a_page_that_is_stale_on_arrival_asks_with_its_validators() {
    let origin = Origin::new(|call| async move {
        take(100).await;
        let fields = [("cache-control", "no-cache"), ("etag", "\"v\"")];
        let known = call.request.headers().get("if-none-match").is_some_and(|tag| tag == "\"v\"");
        Ok(if known { response(304, &fields, "") } else { response(200, &fields, "the page") })
    });
    let scene = Scene::new(exact(), origin);
    let start = Instant::now();
    let answers = answers(crowd(&scene, 100, "/")).await;
    assert_eq!(texts(&answers), ["the page"], "a 304 to the cache's own validators is not the client's");
    assert!(answers.iter().all(|answer| answer.status() == 200));
    assert_eq!((scene.calls(), scene.origin.most()), (100, 99));
    assert!(start.elapsed().as_millis() <= 210, "two latencies, not {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn each_variant_is_one_call_and_all_take_two_latencies() {
    const LANGUAGES: [&str; 4] = ["de", "en", "fr", "it"];
    let origin = Origin::new(|call| async move {
        take(100).await;
        let language = call.request.headers()["accept-language"].to_str().expect("a text").to_owned();
        Ok(response(200, &[("cache-control", "max-age=60"), ("vary", "accept-language")], language))
    });
    let scene = Scene::new(exact(), origin);
    let start = Instant::now();
    let crowd: Vec<_> = (0..100)
        .map(|i| tokio::spawn(scene.ask(get("/", &[("accept-language", LANGUAGES[i % LANGUAGES.len()])]))))
        .collect();
    for (i, answer) in answers(crowd).await.iter().enumerate() {
        assert_eq!(answer.text(), LANGUAGES[i % LANGUAGES.len()], "nobody has another's variant");
    }
    assert_eq!(scene.calls(), 4, "one call for each variant");
    assert!(start.elapsed().as_millis() <= 210, "two latencies, not {:?}", start.elapsed());
    for language in LANGUAGES {
        assert!(scene.ask(get("/", &[("accept-language", language)])).await.is_hit(), "{language}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_overtaken_by_a_purge_answers_nobody_who_came_after_it() {
    for tagged in [false, true] {
        let gate = Arc::new(Semaphore::new(0));
        let scene = Scene::new(exact().tag("t"), gated(&gate));
        let before = crowd(&scene, 50, "http://example.com/");
        settle().await;
        if tagged {
            scene.cache.purge_tag("t").await.expect("memory does not fail");
        } else {
            let uri = Uri::from_static("http://example.com/");
            scene.cache.purge_uri(&uri).await.expect("memory does not fail");
        }
        let after = crowd(&scene, 50, "http://example.com/");
        settle().await;
        gate.add_permits(1);
        gate.add_permits(1);
        // Who came before the purge of a tag and who after cannot be told apart: they all have the new.
        let first = if tagged { ["0", "1"].as_slice() } else { &["0"] };
        let befores = answers(before).await;
        assert_eq!(texts(&befores), first, "those before the purge may have the old, tagged: {tagged}");
        assert_eq!(texts(&answers(after).await), ["1"], "those after it have the new, tagged: {tagged}");
        assert_eq!(scene.calls(), 2, "tagged: {tagged}");
        let hit = scene.get("http://example.com/").await;
        assert_eq!((hit.text(), hit.is_hit()), ("1", true), "only the new is kept, tagged: {tagged}");
        assert_eq!(scene.cache.counters().superseded, 1, "tagged: {tagged}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_three_vanished_leaders_in_a_row_the_rest_goes_alone() {
    let scene = Scene::with(failing_at_first(3, |_| async { Err(Failed) }), |layer| {
        layer.rules(exact()).failing_concurrency(100)
    });
    let start = Instant::now();
    let crowd: Vec<_> = (0..103).map(|_| tokio::spawn(scene.send(get("/", &[])))).collect();
    let mut failed = 0;
    for one in crowd {
        failed += usize::from(one.await.expect("no panic").is_err());
    }
    assert_eq!(failed, 3, "each that led has its own error");
    assert_eq!((scene.calls(), scene.origin.most()), (103, 100), "the rest at once");
    assert!(start.elapsed().as_millis() <= 410, "four latencies, not {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_leaders_client_that_does_not_read_delays_nobody() {
    let origin = Origin::new(|_| async {
        let (tap, body) = pipe();
        tokio::spawn(async move {
            for _ in 0..100 {
                tap.data("0123456789").await;
            }
        });
        Ok(streamed(200, FRESH, body))
    });
    let scene = Scene::new(exact(), origin);
    let leader = tokio::spawn(scene.send(get("/", &[])));
    let start = Instant::now();
    let crowd = crowd(&scene, 10, "/");
    for answer in answers(crowd).await {
        assert_eq!(answer.body.len(), 1000);
    }
    assert!(start.elapsed().as_millis() < 10, "at the origin's pace");
    assert_eq!(scene.calls(), 1);
    // The one that did not read finds all of it.
    assert_eq!(Answer::read(leader.await.expect("no panic").expect("a head")).await.body.len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_leaders_client_that_reads_a_byte_a_second_delays_nobody() {
    let origin = Origin::new(|_| async {
        let (tap, body) = pipe();
        tokio::spawn(async move {
            for _ in 0..100 {
                take(1).await;
                tap.data("x").await;
            }
        });
        Ok(streamed(200, FRESH, body))
    });
    let scene = Scene::new(exact(), origin);
    let start = Instant::now();
    let leader = scene.send(get("/", &[]));
    let reader = tokio::spawn(async move {
        let mut body = leader.await.expect("a head").into_body();
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            read += frame.expect("no break").into_data().expect("data").len();
            take(1000).await;
        }
        read
    });
    let answers = answers(crowd(&scene, 10, "/")).await;
    assert!(answers.iter().all(|answer| answer.body.len() == 100));
    assert!(start.elapsed().as_millis() < 250, "in {:?}", start.elapsed());
    assert_eq!(reader.await.expect("no panic"), 100);
    assert!(start.elapsed().as_secs() >= 99, "it took its time");
    assert_eq!(scene.calls(), 1);
}

/// An origin whose first call takes `millis`, and every other 100 ms.
fn hanging(millis: u64) -> Origin {
    Origin::new(move |call| async move {
        take(if call.number == 0 { millis } else { 100 }).await;
        Ok(response(200, FRESH, call.number.to_string()))
    })
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_hanging_leader_gets_a_turn_after_the_limit() {
    let scene = Scene::with(hanging(100_000), |layer| {
        layer.rules(exact()).wait_limit(Duration::from_secs(5)).failing_concurrency(4)
    });
    let start = Instant::now();
    let mut crowd = crowd(&scene, 101, "/");
    let leader = crowd.remove(0);
    let answers = answers(crowd).await;
    let elapsed = start.elapsed().as_millis();
    assert!((5_000..=7_600).contains(&elapsed), "the limit, and 25 latencies: {elapsed} ms");
    assert_eq!(texts(&answers).len(), 100, "each has its own answer");
    assert!(scene.origin.most() <= 5, "no herd of {}", scene.origin.most());
    assert_eq!(scene.calls(), 101);
    assert_eq!(leader.await.expect("no panic").text(), "0");
}

#[tokio::test(start_paused = true)]
async fn who_still_waits_for_a_turn_when_the_leader_is_done_has_its_value() {
    let scene = Scene::with(hanging(5_250), |layer| {
        layer.rules(exact()).wait_limit(Duration::from_secs(5)).failing_concurrency(4)
    });
    let start = Instant::now();
    let answers = answers(crowd(&scene, 101, "/")).await;
    let elapsed = start.elapsed().as_millis();
    assert!((5_250..=5_310).contains(&elapsed), "all are answered when the leader is, or the last turn: {elapsed} ms");
    let own = answers.iter().filter(|answer| answer.text() != "0").count();
    assert_eq!(own, 12, "three groups of four went before that");
    assert_eq!(scene.calls(), 13);
    assert!(scene.origin.most() <= 5, "no herd of {}", scene.origin.most());
}

#[tokio::test(start_paused = true)]
async fn who_gets_neither_the_value_nor_a_turn_waits_twice_the_limit_and_no_more() {
    let origin = Origin::new(|call| async move {
        take(100_000).await;
        Ok(response(200, FRESH, call.number.to_string()))
    });
    let scene =
        Scene::with(origin, |layer| layer.rules(exact()).wait_limit(Duration::from_secs(5)).failing_concurrency(1));
    let start = Instant::now();
    let crowd = crowd(&scene, 3, "/");
    take(4_999).await;
    assert_eq!(scene.calls(), 1, "before the limit there is the leader");
    take(100).await;
    assert_eq!(scene.calls(), 2, "after it one has a turn");
    take(4_800).await;
    assert_eq!(scene.calls(), 2, "the other waits for the next turn");
    take(200).await;
    assert_eq!(scene.calls(), 3, "as long as the limit, and not longer");
    answers(crowd).await;
    assert!(start.elapsed().as_secs() <= 111);
}
