//! What is served after its lifetime, and what is made anew before its end.

use bartizan::{
    aside::Policy,
    expiry::{EarlyRefresh, Jitter},
};

use crate::scene::{MINUTE, SECOND, Scene, on_every_store, run_others, soon, values};

#[tokio::test]
async fn a_stale_value_is_served_at_once_while_one_loads() {
    on_every_store(async |scene| {
        let scene = scene.under(|policy| policy.stale_while_revalidate(MINUTE));
        scene.source.set(1, 1);
        assert_eq!(scene.get(1).await, Some(1), "{}", scene.on);
        scene.numbers.drain().await;
        scene.advance(MINUTE);
        scene.source.set(1, 2);
        assert_eq!(values(scene.on, scene.crowd(50, 1)).await, [Some(1)], "{}", scene.on);
        scene.source.gate.open(10);
        scene.numbers.drain().await;
        assert_eq!(scene.kept(1).await, Some(Some(2)), "{}", scene.on);
        assert_eq!(scene.source.calls(), 2, "{}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn after_its_window_a_value_is_waited_for() {
    on_every_store(async |scene| {
        let scene = scene.under(|policy| policy.stale_while_revalidate(MINUTE));
        scene.source.set(1, 1);
        scene.get(1).await;
        scene.numbers.drain().await;
        scene.advance(2 * MINUTE);
        scene.source.set(1, 2);
        assert_eq!(scene.get(1).await, Some(2), "{}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn where_the_loader_fails_a_stale_value_is_for_all() {
    on_every_store(async |scene| {
        let scene = scene.under(|policy| policy.stale_if_error(MINUTE));
        scene.source.set(1, 1);
        scene.get(1).await;
        scene.numbers.drain().await;
        scene.advance(MINUTE);
        scene.source.set(1, 2);
        scene.source.fail(1);
        let crowd = scene.crowd(50, 1);
        scene.source.gate.arrived(1).await;
        run_others().await;
        scene.source.gate.open(100);
        let seen = values(scene.on, crowd).await;
        assert_eq!(seen[0], Some(1), "{}", scene.on);
        if scene.on == "memory" {
            assert_eq!((seen.len(), scene.source.calls()), (1, 2));
        }
        scene.numbers.drain().await;
        assert_eq!(scene.get(1).await, Some(2), "what failed is tried again; {}", scene.on);
        scene.numbers.drain().await;
        scene.advance(2 * MINUTE);
        scene.source.fail(1000);
        assert!(scene.ask(1).await.unwrap_err().is_failed(), "after the window the error is told; {}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn a_refresh_that_fails_leaves_the_value_within_its_window() {
    on_every_store(async |scene| {
        let scene = scene.under(|policy| policy.stale_while_revalidate(MINUTE));
        scene.source.set(1, 1);
        scene.get(1).await;
        scene.numbers.drain().await;
        scene.source.fail(1);
        scene.source.gate.open(100);
        let mut steps = vec![(MINUTE, 1, 2), (4 * SECOND, 1, 2), (SECOND, 1, 3), (SECOND, 2, 3)];
        if scene.on == "redis" {
            // Nothing in the process remembers when it was tried last.
            steps = vec![(MINUTE, 1, 2), (SECOND, 1, 3), (SECOND, 2, 3)];
        }
        for (wait, value, calls) in steps {
            scene.advance(wait);
            scene.source.set(1, 2);
            let answer = soon(scene.on, scene.ask(1)).await.unwrap();
            assert_eq!(answer.as_deref(), Some(&value), "{}", scene.on);
            scene.numbers.drain().await;
            assert_eq!(scene.source.calls(), calls, "{}", scene.on);
        }
    })
    .await;
}

#[tokio::test]
async fn a_hit_may_start_a_load_before_the_end_and_waits_for_nothing() {
    on_every_store(async |scene| {
        let scene = scene.under(|_| Policy::new().jitter(Jitter::NONE).early_refresh(EarlyRefresh::beta(1e6)));
        scene.source.set(1, 1);
        let first = scene.spawn(1);
        scene.source.gate.arrived(1).await;
        // What it costs.
        scene.advance(SECOND);
        scene.source.gate.open(1);
        assert_eq!(values(scene.on, vec![first]).await, [Some(1)]);
        scene.numbers.drain().await;
        scene.source.set(1, 2);
        scene.advance(SECOND);
        assert_eq!(values(scene.on, scene.crowd(10, 1)).await, [Some(1)], "{}", scene.on);
        scene.source.gate.open(10);
        scene.numbers.drain().await;
        assert_eq!(scene.source.calls(), 2, "{}", scene.on);
        let now = scene.numbers.under(|policy| policy.early_refresh(EarlyRefresh::NEVER));
        let scene = Scene { numbers: now, ..scene };
        assert_eq!(scene.kept(1).await, Some(Some(2)), "{}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn lifetimes_of_what_is_loaded_together_are_spread() {
    let scene = Scene::in_memory().under(|_| Policy::new().early_refresh(EarlyRefresh::NEVER));
    for id in 0..200 {
        scene.source.set(id, id);
        scene.get(id).await;
    }
    let mut left = Vec::new();
    for _ in 0..15 {
        let mut kept = 0;
        for id in 0..200 {
            kept += usize::from(scene.kept(id).await.is_some());
        }
        left.push(kept);
        scene.advance(SECOND * if left.len() == 1 { 53 } else { 1 });
    }
    assert_eq!((left[1], left[14]), (200, 0), "a tenth of a minute to either side: {left:?}");
    assert!(left[3..12].windows(2).all(|two| two[0] - two[1] < 60), "never many at once: {left:?}");
}
