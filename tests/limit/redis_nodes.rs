//! Several processes, here handles of their own, over one Redis that is restarted, fails over and loses what it knew.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bartizan::{
    Redis,
    clock::TestClock,
    limit::{Charge, Identity, Ledger, Limiter, RedisLimiter},
    quota::{Algorithm, Quota, Retry},
};
use tokio::task::JoinSet;

use crate::support::{Sentinels, Server, eventually};

const NODES: usize = 4;
const SOON: Duration = Duration::from_secs(30);
const LIMIT: u64 = 100;
const WINDOW: Duration = Duration::from_millis(300);

/// A take, between two moments of this machine, which is also the server's.
#[derive(Clone, Copy, Debug)]
struct Take {
    before: u64,
    after: u64,
}

/// Four nodes that take as fast as they can.
struct Fleet {
    nodes: JoinSet<Vec<Take>>,
    is_over: Arc<AtomicBool>,
}

// === impl Fleet ===

impl Fleet {
    fn start(url: &str, algorithm: Algorithm) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut nodes = JoinSet::new();
        for _ in 0..NODES {
            let redis = Redis::builder(url).unwrap().deadline(Duration::from_millis(100)).build().unwrap();
            nodes.spawn(node(RedisLimiter::new(redis), algorithm, is_over.clone()));
        }
        Self { nodes, is_over }
    }

    /// All that was admitted.
    async fn end(self) -> Vec<Take> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut takes = self.nodes.join_all().await.concat();
        takes.sort_unstable_by_key(|take| take.before);
        takes
    }
}

async fn node(limiter: RedisLimiter, algorithm: Algorithm, is_over: Arc<AtomicBool>) -> Vec<Take> {
    let (quota, ledger, ada) =
        (Quota::new(LIMIT, WINDOW).unwrap(), Ledger::new("fleet", algorithm), Identity::from("ada"));
    let charges = [Charge { ledger: &ledger, identity: &ada, quota: &quota, cost: 1 }];
    let mut takes = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let before = now();
        let verdict = match limiter.take_now(&charges) {
            Some(verdict) => Ok(verdict),
            None => limiter.take(&charges).await,
        };
        if verdict.is_ok_and(|verdict| verdict.is_allowed()) {
            takes.push(Take { before, after: now() });
        } else {
            drop(tokio::time::timeout(Duration::from_millis(2), std::future::pending::<()>()).await);
        }
    }
    takes
}

#[expect(clippy::disallowed_methods, reason = "it is the server's clock that is looked at")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// The most that were surely taken within a window, of the limit.
fn worst(takes: &[Take]) -> f64 {
    let most = takes.iter().enumerate().map(|(at, first)| {
        let end = first.before + WINDOW.as_millis() as u64;
        takes[at..].iter().take_while(|take| take.before < end).filter(|take| take.after < end).count()
    });
    most.max().unwrap_or(0) as f64 / LIMIT as f64
}

/// Until the fleet has gone through some windows more.
async fn windows(number: u32) {
    drop(tokio::time::timeout(number * WINDOW, std::future::pending::<()>()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_share_a_limit_that_holds_in_any_window() {
    let server = Server::start().await;
    for (algorithm, bound) in [(Algorithm::Sliding, 1.0), (Algorithm::Log, 1.0), (Algorithm::Bucket, 2.0)] {
        server.tell(&["FLUSHALL"]).await;
        let fleet = Fleet::start(&server.url(), algorithm);
        windows(6).await;
        let takes = fleet.end().await;
        println!("{}: {} taken, worst window {:.3}", algorithm.as_str(), takes.len(), worst(&takes));
        assert!(takes.len() as u64 >= 3 * LIMIT, "they were admitted: {}", takes.len());
        assert!(worst(&takes) <= bound, "{algorithm:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_keeps_its_state_keeps_the_limit() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let fleet = Fleet::start(&server.url(), Algorithm::Sliding);
    for _ in 0..3 {
        windows(2).await;
        server.kill();
        server.restart().await;
    }
    windows(8).await;
    let takes = fleet.end().await;
    println!("restarted with its file: {} taken, worst window {:.3}", takes.len(), worst(&takes));
    assert!(takes.len() as u64 > 2 * LIMIT, "it went on: {}", takes.len());
    assert!(worst(&takes) <= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_loses_its_state_admits_twice_the_limit_at_most() {
    let mut server = Server::start().await;
    let fleet = Fleet::start(&server.url(), Algorithm::Sliding);
    for _ in 0..3 {
        windows(3).await;
        server.kill();
        server.restart().await;
        windows(8).await;
    }
    let takes = fleet.end().await;
    println!("restarted with nothing: {} taken, worst window {:.3}", takes.len(), worst(&takes));
    assert!(takes.len() as u64 > 2 * LIMIT, "it went on: {}", takes.len());
    assert!(worst(&takes) <= 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_admits_twice_the_limit_at_most() {
    let mut group = Sentinels::start().await;
    let fleet = Fleet::start(&group.url(), Algorithm::Sliding);
    windows(4).await;
    group.servers[0].kill();
    eventually("the replica has taken over", SOON, async || {
        let role: Vec<redis::Value> = group.servers[1].ask(&["ROLE"]).await.ok()?;
        (role.first() == Some(&redis::Value::BulkString(b"master".to_vec()))).then_some(())
    })
    .await;
    windows(12).await;
    let takes = fleet.end().await;
    println!("failed over: {} taken, worst window {:.3}", takes.len(), worst(&takes));
    let last = takes.last().map_or(0, |take| take.after);
    assert!(now() - last < 5 * WINDOW.as_millis() as u64, "the new primary admits");
    assert!(worst(&takes) <= 2.0);
}

#[tokio::test]
async fn a_clock_that_steps_back_frees_nothing_early() {
    let server = Server::start().await;
    let clock = TestClock::new();
    let limiters: Vec<_> = {
        let redis = Redis::connect(&server.url()).await.unwrap();
        (0..NODES).map(|_| RedisLimiter::builder(redis.clone()).clock(clock.clone()).build()).collect()
    };
    let (quota, ada) = (Quota::per_minute(20), Identity::from("ada"));
    for algorithm in Algorithm::ALL {
        let ledger = Ledger::new("clock", algorithm);
        let charges = [Charge { ledger: &ledger, identity: &ada, quota: &quota, cost: 1 }];
        let start = bartizan::clock::Clock::now(&clock);
        let mut admitted = 0;
        // Back and forth by up to two seconds, within half a window that is no period's last.
        for (step, limiter) in (0u64..200).zip(limiters.iter().cycle()) {
            let there = start.plus(Duration::from_millis(2_000 + step * 7_919 % 4_001));
            clock.set(if step % 2 == 0 { there } else { there.minus(Duration::from_secs(2)) });
            admitted += u64::from(limiter.take(&charges).await.unwrap().is_allowed());
        }
        let most = if algorithm == Algorithm::Bucket { 22 } else { 20 };
        assert!((20..=most).contains(&admitted), "{algorithm:?}: {admitted}");
        clock.set(start.minus(Duration::from_secs(3_600)));
        let verdict = limiters[0].take(&charges).await.unwrap();
        let Some(Retry::After(wait)) = verdict.retry() else { panic!("{algorithm:?}: {verdict:?}") };
        assert!(wait > Duration::from_secs(3_600), "{algorithm:?}: not before the clock is there again: {wait:?}");
        clock.set(start.plus(Duration::from_secs(600)));
        limiters.iter().for_each(|limiter| drop(limiter.take_now(&charges)));
    }
}
