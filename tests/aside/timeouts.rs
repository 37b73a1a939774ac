//! How long a caller waits, and that what it waited for goes on.

use std::time::Duration;

use crate::scene::{MINUTE, SECOND, Scene, on_every_store, run_others, soon};

#[tokio::test(start_paused = true)]
async fn after_the_soft_time_out_a_stale_value_is_served_and_the_load_goes_on() {
    let scene = Scene::in_memory().under(|policy| policy.stale_if_error(MINUTE).soft_timeout(SECOND));
    scene.source.set(1, 1);
    scene.get(1).await;
    scene.advance(MINUTE);
    scene.source.set(1, 2);
    let begun = tokio::time::Instant::now();
    for _ in 0..2 {
        assert_eq!(soon("a stale value", scene.ask(1)).await.unwrap().as_deref(), Some(&1));
    }
    assert_eq!(begun.elapsed().as_secs(), 2);
    assert_eq!(scene.source.calls(), 2, "the second waits for the load that the first began");
    scene.source.gate.open(1);
    scene.numbers.drain().await;
    assert_eq!(scene.kept(1).await, Some(Some(2)));
    assert_eq!((scene.numbers.counters().stale, scene.numbers.counters().timeouts), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_stale_value_the_soft_time_out_means_nothing() {
    let scene = Scene::in_memory().under(|policy| policy.stale_if_error(MINUTE).soft_timeout(SECOND));
    scene.source.set(1, 1);
    let asked = scene.spawn(1);
    let _ = tokio::time::timeout(MINUTE, std::future::pending::<()>()).await;
    assert!(!asked.is_finished());
    scene.source.gate.open(1);
    assert_eq!(asked.await.unwrap().unwrap().as_deref(), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn after_the_hard_time_out_there_is_an_error_and_the_load_goes_on() {
    for soft in [None, Some(SECOND)] {
        let scene = Scene::in_memory().under(|policy| {
            let policy = policy.stale_if_error(MINUTE).hard_timeout(3 * SECOND);
            soft.map_or(policy, |soft| policy.soft_timeout(soft))
        });
        scene.source.set(1, 1);
        let begun = tokio::time::Instant::now();
        let error = scene.ask(1).await.unwrap_err();
        assert_eq!(begun.elapsed(), 3 * SECOND);
        assert!(error.is_timed_out() && error.to_string() == "loading `number:1` took longer than 3s", "{error}");
        scene.source.gate.open(1);
        scene.numbers.drain().await;
        assert_eq!(scene.kept(1).await, Some(Some(1)));
        assert_eq!((scene.source.calls(), scene.numbers.counters().timeouts), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_without_its_caller_goes_on_for_so_long_and_then_one_who_waits_loads() {
    let scene = Scene::in_memory().set_up(|numbers| numbers.detached_loads(1, 10 * SECOND));
    scene.source.set(1, 1);
    let leader = scene.spawn(1);
    scene.source.gate.arrived(1).await;
    let follower = scene.spawn(1);
    run_others().await;
    leader.abort();
    let begun = tokio::time::Instant::now();
    scene.source.gate.arrived(1).await;
    assert_eq!(begun.elapsed().as_secs(), 10);
    scene.source.gate.open(1);
    assert_eq!(follower.await.unwrap().unwrap().as_deref(), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn no_more_loads_go_on_without_their_callers_than_there_are_places() {
    let scene = Scene::in_memory().set_up(|numbers| numbers.detached_loads(2, MINUTE));
    let crowd: Vec<_> = (0..5).map(|id| scene.spawn(id)).collect();
    scene.source.gate.arrived(5).await;
    for one in &crowd {
        one.abort();
    }
    run_others().await;
    scene.source.gate.open(5);
    scene.numbers.drain().await;
    let mut kept = 0;
    for id in 0..5 {
        kept += usize::from(scene.kept(id).await.is_some());
    }
    assert_eq!(kept, 2);
}

#[tokio::test]
async fn the_time_outs_hold_on_every_store() {
    on_every_store(async |scene| {
        let (soft, hard) = (Duration::from_millis(50), Duration::from_millis(300));
        let scene = scene.under(|policy| policy.stale_if_error(MINUTE).soft_timeout(soft).hard_timeout(hard));
        scene.source.set(1, 1);
        assert!(soon(scene.on, scene.ask(1)).await.unwrap_err().is_timed_out(), "{}", scene.on);
        scene.source.gate.open(1);
        scene.numbers.drain().await;
        assert_eq!(scene.kept(1).await, Some(Some(1)), "{}", scene.on);
        scene.advance(MINUTE);
        scene.source.set(1, 2);
        assert_eq!(soon(scene.on, scene.ask(1)).await.unwrap().as_deref(), Some(&1), "{}", scene.on);
        scene.source.gate.open(1);
        scene.numbers.drain().await;
        assert_eq!(scene.kept(1).await, Some(Some(2)), "{}", scene.on);
        assert_eq!(scene.source.calls(), 2, "{}", scene.on);
    })
    .await;
}
