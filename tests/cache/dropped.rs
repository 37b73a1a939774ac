//! A request's future dropped at each point at which it waits.

use std::time::Duration;

use crate::support::{
    Cancelled, Origin, Scene, answers, crowd, exact, get, pipe, response, settle, slow, streamed, take, texts,
};

const MINUTE: Duration = Duration::from_secs(60);
const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60")];

/// Polls a request's future `times`, and drops it then. `false` if it was done before.
async fn polled_and_dropped(scene: &Scene, times: usize) -> bool {
    let mut request = Box::pin(scene.ask(get("/", &[])));
    for time in 0..times {
        if std::future::poll_fn(|cx| std::task::Poll::Ready(request.as_mut().poll(cx).is_ready())).await {
            return false;
        }
        if time + 1 < times {
            take(30).await;
        }
    }
    true
}

/// Drops a request at each point at which it waits, with others about, until one runs to its end.
async fn dropped_everywhere(name: &str, origin: impl Fn() -> Origin, prepare: impl AsyncFn(&Scene)) {
    // With fills that go on without their client, and with none: then the baton passes.
    for (leads, detached) in [(true, 8), (false, 8), (true, 0), (false, 0)] {
        for times in 0.. {
            assert!(times < 100, "{name}: it never ends");
            // Nobody may be helped by the end of patience.
            let scene = Scene::with(origin(), |layer| {
                layer.rules(exact()).detached_fills(detached, MINUTE).wait_limit(1_000_000 * MINUTE)
            });
            prepare(&scene).await;
            let first = (!leads).then(|| crowd(&scene, 1, "/"));
            tokio::task::yield_now().await;
            let others = {
                let dropped = polled_and_dropped(&scene, times);
                let mut dropped = std::pin::pin!(dropped);
                let began = std::future::poll_fn(|cx| std::task::Poll::Ready(dropped.as_mut().poll(cx))).await;
                let others = crowd(&scene, 3, "/");
                let was_dropped = match began {
                    std::task::Poll::Ready(done) => done,
                    std::task::Poll::Pending => dropped.await,
                };
                (others, was_dropped)
            };
            let fresh = tokio::time::timeout(MINUTE, scene.get("/")).await;
            let fresh = fresh.unwrap_or_else(|_| panic!("{name}: hangs after a drop at poll {times}, leads: {leads}"));
            assert!(!fresh.body.is_empty(), "{name}, {times}, leads: {leads}");
            for other in answers(first.into_iter().flatten().chain(others.0).collect()).await {
                assert!(!other.body.is_empty(), "{name}, {times}, leads: {leads}");
            }
            tokio::time::timeout(MINUTE, scene.cache.drain()).await.expect("no task is left");
            if !others.1 {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_dropped_wherever_it_waits_strands_nobody() {
    let nothing = async |_: &Scene| {};
    dropped_everywhere("stored", || slow(200, FRESH), nothing).await;
    dropped_everywhere("private", || slow(200, &[("cache-control", "private")]), nothing).await;
    dropped_everywhere("failing", || slow(500, &[]), nothing).await;
    dropped_everywhere("varied", || slow(200, &[("cache-control", "max-age=60"), ("vary", "a")]), nothing).await;
    let streaming = || {
        Origin::new(|_| async {
            take(50).await;
            let (tap, body) = pipe();
            tokio::spawn(async move {
                for _ in 0..3 {
                    take(50).await;
                    tap.data("x").await;
                }
            });
            Ok(streamed(200, FRESH, body))
        })
    };
    dropped_everywhere("streamed", streaming, nothing).await;
    let stale = async |scene: &Scene| {
        scene.get("/").await;
        scene.advance(61);
    };
    dropped_everywhere("expired", || slow(200, &[("cache-control", "max-age=60"), ("etag", "\"v\"")]), stale).await;
    dropped_everywhere(
        "revalidated",
        || slow(200, &[("cache-control", "max-age=60, stale-while-revalidate=60")]),
        stale,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn leaders_that_leave_one_after_the_other_take_nobody_with_them() {
    let cancelled = Cancelled::default();
    let watched = cancelled.clone();
    let origin = Origin::new(move |call| {
        let undone = watched.watch();
        async move {
            take(100).await;
            undone.done();
            Ok(response(200, FRESH, call.number.to_string()))
        }
    });
    // No fill may go on without its client.
    let scene = Scene::with(origin, |layer| layer.rules(exact()).detached_fills(0, MINUTE));
    let mut crowd = crowd(&scene, 10, "/");
    for leader in 0..2 {
        take(50).await;
        crowd.remove(0).abort();
        settle().await;
        assert_eq!((cancelled.count(), scene.calls()), (leader + 1, leader + 2), "the next one leads");
    }
    assert_eq!(texts(&answers(crowd).await), ["2"]);
    assert_eq!(scene.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_dropped_with_the_baton_in_its_hand_passes_it_on() {
    let scene = Scene::with(slow(200, FRESH), |layer| {
        layer.rules(exact()).detached_fills(0, MINUTE).wait_limit(1_000_000 * MINUTE)
    });
    let leader = tokio::spawn(scene.ask(get("/", &[])));
    settle().await;
    let mut waiter = Box::pin(scene.ask(get("/", &[])));
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(waiter.as_mut().poll(cx).is_pending())).await);
    let others = crowd(&scene, 5, "/");
    settle().await;
    leader.abort();
    settle().await;
    assert_eq!(scene.calls(), 1, "it is the waiter's turn, who does not know it yet");
    drop(waiter);
    assert_eq!(texts(&answers(others).await), ["1"]);
    assert_eq!(scene.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_waiters_that_are_gone_are_passed_over() {
    let scene = Scene::with(slow(200, FRESH), |layer| {
        layer.rules(exact()).detached_fills(0, MINUTE).wait_limit(1_000_000 * MINUTE)
    });
    let mut crowd = crowd(&scene, 10_001, "/");
    settle().await;
    let last = crowd.split_off(10_000);
    // From the last to the leader, so that nobody is handed anything before all are gone.
    crowd.iter().rev().for_each(tokio::task::JoinHandle::abort);
    assert_eq!(texts(&answers(last).await), ["1"], "the one that stayed leads");
    assert_eq!(scene.calls(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_hangs_where_requests_are_dropped_on_several_threads() {
    let origin = Origin::new(|call| async move {
        for _ in 0..call.number % 7 {
            tokio::task::yield_now().await;
        }
        Ok(response(200, FRESH, "answer"))
    });
    let scene =
        Scene::with(origin, |layer| layer.rules(exact()).detached_fills(0, MINUTE).wait_limit(1_000_000 * MINUTE));
    for round in 0..1000 {
        let mut crowd = crowd(&scene, 12, &format!("/{round}"));
        for _ in 0..round % 5 {
            tokio::task::yield_now().await;
        }
        let mut place = 0;
        crowd.retain(|one| {
            place += 1;
            let leaves = (place * 7 + round) % 3 == 0;
            if leaves {
                one.abort();
            }
            !leaves
        });
        for one in crowd {
            let answer =
                tokio::time::timeout(MINUTE, one).await.unwrap_or_else(|_| panic!("it hangs in round {round}"));
            assert_eq!(answer.expect("it was not aborted").text(), "answer");
        }
    }
    tokio::time::timeout(MINUTE, scene.cache.drain()).await.expect("no task is left");
}
