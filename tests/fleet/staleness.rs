//! Nobody reads what was purged, later than was promised, whatever fails meanwhile.

use std::{env, time::Duration};

use futures_util::future::join_all;

use crate::{
    history::{Outcome, Promise, Tally},
    member::Member,
    node::Node,
    process::Process,
    schedule::Scene,
    site::{PATIENCE, Site, What},
    store::{BOUND, Made},
    support::{Link, Proxy, Server, eventually},
    wait::pass,
};

const SECOND: Duration = Duration::from_secs(1);

/// Plays a schedule: nothing older than promised is read, what could not be purged is purged in the end, and no request
/// fails with anything but the site's own failures.
async fn try_seed(scene: &mut Scene, seed: u64) {
    let (tally, took) = scene.play(seed).await;
    judge(scene, seed, tally, took);
}

pub(crate) fn judge(scene: &Scene, seed: u64, tally: Tally, took: Option<Duration>) {
    println!("seed {seed}: {tally}; owed purges took effect {took:?} after all was well");
    let stale = scene.history.stale();
    for stale in &stale {
        println!("seed {seed}: {stale}");
    }
    if let Some(first) = stale.first() {
        println!("before the first:\n{}", scene.history.explain(first));
    }
    assert!(stale.is_empty(), "seed {seed}: {} reads were older than promised", stale.len());
    assert!(took.is_some(), "seed {seed}: a purge that could not be told takes no effect");
    let errors = scene.history.errors();
    assert!(errors.is_empty(), "seed {seed}: requests failed: {errors:?}");
    assert!(scene.history.longest() < LONGEST, "seed {seed}: a request took {:?}", scene.history.longest());
    assert!(tally.acknowledged > 2 && tally.hits > 20, "seed {seed}: the schedule shows nothing: {tally}");
}

/// For one request: less than the wait for another's response, which would mean that a wait ended by itself.
const LONGEST: Duration = Duration::from_secs(4);

/// How many seeds are played, and from which on: ten, and `BARTIZAN_SEEDS` in the long run; one alone is
/// `BARTIZAN_SEED`.
fn seeds() -> Vec<u64> {
    let number = |name| env::var(name).ok().map(|text| text.parse().unwrap());
    match number("BARTIZAN_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("BARTIZAN_SEEDS").unwrap_or(10)).collect(),
    }
}

pub(crate) const NEAR: Promise = Promise { bound: BOUND, own: Duration::ZERO };

/// What has no near tier finds what Redis holds: no purge that it acknowledged, no fill that one voided.
pub(crate) const FAR: Promise = Promise { bound: Duration::ZERO, own: Duration::ZERO };

/// Three nodes, each on a link of its own, and one without a near tier, before a site that takes so many milliseconds.
async fn scene(slow: u32, seed: u64) -> Scene {
    let server = Server::start().await;
    let site = Site::moody(slow, 20, seed);
    let links = join_all((0..3).map(|_| Proxy::to(server.port))).await;
    let mut nodes = Vec::new();
    for (at, link) in links.iter().enumerate() {
        nodes.push(Node::Here(Member::new(Made::tiered(&link.url()).store().await, &site, &format!("node {at}"))));
    }
    nodes.push(Node::Here(Member::new(Made::far(&server.url()).store().await, &site, "far")));
    let promises = vec![NEAR, NEAR, NEAR, FAR];
    for node in &nodes {
        eventually("everyone knows Redis", PATIENCE, async || {
            (node.purge(What::Tag(usize::MAX)).await == Outcome::Acknowledged).then_some(())
        })
        .await;
    }
    Scene::new(site, nodes, promises).on(links, server).recovering(15 * SECOND)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_of_links_and_servers_brings_back_what_was_purged() {
    for seed in seeds() {
        let mut scene = scene(15, seed).await;
        try_seed(&mut scene, seed).await;
    }
}

/// What a node fills while it hears nothing stands for no longer than the bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_believes_itself_for_no_longer_than_the_bound() {
    for (seed, link) in
        [Link::Held, Link::HalfOpen, Link::Cut, Link::Garbled, Link::Slow(SECOND)].into_iter().enumerate()
    {
        // What takes long to make is as old as that when it is kept.
        let mut scene = scene(40, seed as u64).await;
        scene.set(0, link).await;
        let (tally, took) = scene.play_during(seed as u64, pass(8 * BOUND)).await;
        println!("{link:?}");
        judge(&scene, seed as u64, tally, took);
    }
}

/// The first test with processes that are stopped and killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_of_processes_brings_back_what_was_purged() {
    for seed in seeds() {
        let server = Server::start().await;
        let site = Site::moody(15, 20, seed);
        let (port, _listening) = site.listen().await;
        let links = join_all((0..3).map(|_| Proxy::to(server.port))).await;
        let start = |(at, link): (usize, &Proxy)| {
            Node::Apart(Box::new(Process::start(&format!("node{at}"), port, &Made::tiered(&link.url()))))
        };
        let mut nodes: Vec<Node> = links.iter().enumerate().map(start).collect();
        nodes.push(Node::Here(Member::new(Made::far(&server.url()).store().await, &site, "far")));
        let promises = vec![NEAR, NEAR, NEAR, FAR];
        let mut scene = Scene::new(site, nodes, promises).on(links, server).recovering(15 * SECOND);
        try_seed(&mut scene, seed).await;
    }
}
