//! The checker sees what it is there to see.

use std::time::Duration;

use crate::{
    history::Promise,
    member::Member,
    mutants::{Fault, Mutant},
    node::Node,
    schedule::Scene,
    site::Site,
    store::BOUND,
};

/// Reads that are older than promised, of a few schedules on a store with this fault that three nodes share.
async fn stale(fault: Fault, bound: Duration, own: Duration) -> usize {
    let mut stale = 0;
    for seed in 0..3 {
        let site = Site::moody(15, 20, seed);
        let store = Mutant::boxed(fault);
        let nodes = (0..3).map(|_| Node::Here(Member::new(store.clone(), &site, "node"))).collect();
        let mut scene = Scene::new(site, nodes, vec![Promise { bound, own }; 3]);
        scene.play(seed).await;
        stale += scene.history.stale().len();
    }
    stale
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_store_is_acquitted() {
    assert_eq!(stale(Fault::Sound, Duration::ZERO, Duration::ZERO).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_late_within_the_bound_is_acquitted() {
    assert_eq!(stale(Fault::Late(BOUND / 3), BOUND, BOUND).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_ignores_invalidations_is_caught() {
    assert!(stale(Fault::Deaf, BOUND, BOUND).await > 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_late_beyond_the_bound_is_caught() {
    assert!(stale(Fault::Late(2 * BOUND), BOUND, BOUND).await > 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_late_to_its_own_node_is_caught() {
    assert!(stale(Fault::Late(BOUND / 3), BOUND, Duration::ZERO).await > 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_keeps_what_was_read_before_a_purge_is_caught() {
    assert!(stale(Fault::Eager, Duration::ZERO, Duration::ZERO).await > 10);
}
