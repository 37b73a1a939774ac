//! A failover that loses what the primary acknowledged: a purge, and the end of a lease.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    history::{History, Outcome, Purge},
    member::Member,
    node::Node,
    process::Process,
    random::Random,
    replication::{Replication, is_primary, offset},
    schedule::Load,
    site::{PAGES, PATIENCE, Site, What},
    staleness::NEAR,
    store::{BOUND, Made},
    support::{Cluster, Sentinels, Server, eventually},
    wait::pass,
};

/// Primaries, each with its replica, and the way between them.
struct Group {
    pairs: Vec<(Server, Server, Replication)>,
    url: String,
    _sentinels: Vec<Server>,
}

/// Made again by nobody before the primary is gone.
const HELD: usize = 5;

/// The one who purges, another, and one without a near tier.
const ISSUER: usize = 0;
const OTHER: usize = 1;
const NODES: usize = 3;

/// Until there is a new primary, and everyone has found it.
const FAILOVER: Duration = Duration::from_secs(20);

// === impl Group ===

impl Group {
    async fn sentinels() -> Self {
        let group = Sentinels::start().await;
        let way = Replication::of_sentinels(&group).await;
        let url = group.url();
        let Sentinels { servers, sentinels } = group;
        let Ok([primary, replica]) = <[Server; 2]>::try_from(servers) else { panic!("there are two servers") };
        Self { pairs: vec![(primary, replica, way)], url, _sentinels: sentinels }
    }

    async fn cluster() -> Self {
        let cluster = Cluster::start().await;
        let ways = Replication::of_cluster(&cluster).await;
        let hosts: Vec<_> = cluster.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let url = format!("redis+cluster://{}", hosts.join(","));
        let mut primaries = cluster.nodes;
        let replicas = primaries.split_off(3);
        let pairs =
            primaries.into_iter().zip(replicas).zip(ways).map(|((primary, replica), way)| (primary, replica, way));
        Self { pairs: pairs.collect(), url, _sentinels: Vec::new() }
    }

    fn made(&self) -> Made {
        Made { deadline: Duration::from_millis(300), doubt: Duration::from_secs(5), ..Made::tiered(&self.url) }
    }

    /// Every replica has all that its primary has.
    async fn replicated(&self) {
        for (primary, replica, _) in &self.pairs {
            eventually("the replica has it all", PATIENCE, async || {
                (offset(replica).await >= offset(primary).await).then_some(())
            })
            .await;
        }
    }

    /// The pair that has most of the pages.
    async fn fullest(&self) -> usize {
        let mut most = (0, 0);
        for (at, (primary, ..)) in self.pairs.iter().enumerate() {
            let keys: Vec<String> = primary.ask(&["KEYS", "*:entry:*"]).await.unwrap();
            most = most.max((keys.len(), at));
        }
        assert!(most.0 > 0, "pages are stored");
        most.1
    }
}

struct Failover {
    /// Reads later after the purge than the bound.
    stale: usize,
    /// From the first of these to the last.
    span: Duration,
    stale_fill: bool,
    lost: u64,
}

/// A failover in which a purge and the end of a lease are lost. The issuer of the purge dies as well, if it is to.
async fn fail_over(mut group: Group, issuer_dies: bool) -> Failover {
    let site = Site::prompt();
    let (port, _listening) = site.listen().await;
    let made = group.made();
    let issuer = match issuer_dies {
        true => Node::Apart(Box::new(Process::start("issuer", port, &made))),
        false => Node::Here(Member::new(made.store().await, &site, "issuer")),
    };
    let far = Made { is_tiered: false, ..made.clone() };
    let nodes: Arc<[Node]> = [
        issuer,
        Node::Here(Member::new(made.store().await, &site, "other")),
        Node::Here(Member::new(far.store().await, &site, "far")),
    ]
    .into();
    let history = Arc::new(History::new(vec![NEAR; NODES]));
    for node in &*nodes {
        eventually("everyone knows Redis", PATIENCE, async || {
            (node.purge(What::Tag(usize::MAX)).await == Outcome::Acknowledged).then_some(())
        })
        .await;
    }
    for (node, page) in [ISSUER, OTHER].into_iter().flat_map(|node| (0..PAGES).map(move |page| (node, page))) {
        if page != HELD {
            nodes[node].read(page, 0).await.unwrap();
        }
    }
    // A lease is won that the replica knows of.
    site.hold_one(HELD);
    let held = {
        let nodes = Arc::clone(&nodes);
        tokio::spawn(async move { nodes[OTHER].read(HELD, 0).await })
    };
    eventually("the page is being made", PATIENCE, async || {
        site.calls().iter().any(|call| call.page == HELD).then_some(())
    })
    .await;
    group.replicated().await;
    let at = group.fullest().await;
    group.pairs.iter().for_each(|(.., way)| way.hold());

    let mut random = Random::new(1);
    let load = Load::begin(&site, &nodes, &history, &mut random);
    (0..PAGES).for_each(|page| site.update(page));
    let values = std::array::from_fn(|page| site.value(page));
    for tag in 0..3 {
        let began = Instant::now();
        let (what, outcome) = (What::Tag(tag), nodes[ISSUER].purge(What::Tag(tag)).await);
        assert_eq!(outcome, Outcome::Acknowledged);
        history.purged(Purge { node: ISSUER, what, began, ended: Instant::now(), values, outcome });
    }
    let (primary, replica, way) = &mut group.pairs[at];
    let lost = offset(primary).await - offset(replica).await;
    assert!(lost > 0, "the replica lacks the purges");
    primary.kill();
    if let Node::Apart(process) = &nodes[ISSUER] {
        process.kill();
    }
    way.lose();
    group.pairs.iter().for_each(|(.., way)| way.release());
    let (_, replica, _) = &group.pairs[at];
    let ((), took) =
        eventually("there is a new primary", FAILOVER, async || is_primary(replica).await.then_some(())).await;
    // The holder of the lost lease comes back with what it read before the purge.
    site.release();
    held.await.unwrap().unwrap();
    let ((), found) = eventually("everyone has found it", FAILOVER, async || {
        for node in nodes.iter().filter(|node| node.lives()) {
            (node.purge(What::Tag(usize::MAX)).await == Outcome::Acknowledged).then_some(())?;
        }
        Some(())
    })
    .await;
    pass(2 * BOUND).await;
    load.end().await;
    println!("a new primary after {took:?}, found {found:?} later; {}", history.tally());

    let mut stale_fill = false;
    for node in nodes.iter().filter(|node| node.lives()) {
        stale_fill |= node.read(HELD, 0).await.unwrap().is_older_than(values[HELD]);
    }
    let stale = history.stale();
    let mut moments: Vec<_> = stale.iter().map(|stale| stale.read.began).collect();
    moments.sort_unstable();
    let span = moments.last().zip(moments.first()).map_or(Duration::ZERO, |(last, first)| *last - *first);
    Failover { stale: stale.len(), span, stale_fill, lost }
}

/// A server that lacks a purge is not believed before its issuer has made it again.
fn acquit(failover: &Failover) {
    println!("{failover}");
    assert_eq!(failover.stale, 0, "{failover}");
    assert!(!failover.stale_fill, "what was read before the purge was kept");
}

fn report(failover: &Failover) {
    println!("primary and issuer killed together: {failover}");
    assert!(!failover.stale_fill, "the holder of a lease knows that its primary is gone");
}

impl fmt::Display for Failover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stale, span, stale_fill, lost } = self;
        let fill = if *stale_fill { "a" } else { "no" };
        write!(f, "{lost} bytes of writes lost: {stale} stale reads within {span:?}, {fill} stale fill")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_that_sentinels_lose_is_made_again() {
    acquit(&fail_over(Group::sentinels().await, false).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_that_a_cluster_loses_is_made_again() {
    acquit(&fail_over(Group::cluster().await, false).await);
}

/// Nobody is left who knows of the purge: this is counted, and `WAIT` is what would prevent it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_that_sentinels_lose_with_its_issuer_is_lost() {
    report(&fail_over(Group::sentinels().await, true).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_that_a_cluster_loses_with_its_issuer_is_lost() {
    report(&fail_over(Group::cluster().await, true).await);
}
