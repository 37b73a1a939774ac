//! What a check on Redis costs beside what it cannot do without, on a server of its own.
//!
//! Callers take from 10 000 accounts in turns, far below their limits, and as many run an empty script by its digest. Every account has
//! all the runs it can have before. The run fails when the median of the rounds' ratios is under its bound:
//!
//! | checks a second, by 64 callers and by 256 / empty scripts | bound |
//! |---|---|
//! | the sliding window, one quota | at least 0.6 |
//! | two of them | at least 0.45 |
//! | a token bucket | at least 0.85 |
//!
//! Then so many accounts as `BARTIZAN_KEYS` says (100 000) take to the full by each algorithm, and the memory of a key is printed; that of
//! the default is at most 1.5 KB at a limit of 1 000.
//!
//! ```text
//! cargo bench --bench limit_redis --no-default-features --features limit,redis
//! ```
#![expect(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]

use std::{
    future::Future,
    process::ExitCode,
    time::{Duration, Instant},
};

use bartizan::{
    Redis,
    clock::{TestClock, Timestamp},
    limit::{Charge, Identity, Ledger, Limiter, RedisLimiter},
    quota::{Algorithm, Quota},
    redis::Script,
};
use support::Server;
use tokio::task::JoinSet;

#[path = "../tests/redis/support/mod.rs"]
#[expect(dead_code, unused_imports, clippy::unwrap_used, reason = "it is the tests', who need more of it")]
mod support;

const MOST_BYTES: usize = 1536;
/// As many accounts as callers take from in turns.
const ACCOUNTS: usize = 10_000;

/// How much is measured.
#[derive(Clone, Copy)]
struct Extent {
    rounds: usize,
    round: Duration,
    accounts: usize,
    keys: usize,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    // `cargo test --benches` only asks whether the bench runs.
    let measures = std::env::args().any(|arg| arg == "--bench");
    let keys = std::env::var("BARTIZAN_KEYS").ok().and_then(|keys| keys.parse().ok()).unwrap_or(100_000);
    let extent = match measures {
        true => Extent { rounds: 9, round: Duration::from_millis(500), accounts: ACCOUNTS, keys },
        false => Extent { rounds: 1, round: Duration::from_millis(20), accounts: 20, keys: 20 },
    };
    let fast = throughput(extent).await;
    let small = memory(extent).await;
    if !measures || fast && small { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// With more patience than the default: a machine that is busy is not what is measured.
async fn handle(server: &Server) -> Redis {
    let builder = Redis::builder(&server.url()).expect("the URL is right");
    builder.deadline(Duration::from_secs(10)).connect().await.expect("the server is up")
}

// === throughput ===

async fn throughput(extent: Extent) -> bool {
    let mut good = true;
    for (what, algorithm, quotas, least) in [
        ("sliding", Algorithm::Sliding, 1, 0.6),
        ("sliding", Algorithm::Sliding, 2, 0.45),
        ("bucket", Algorithm::Bucket, 1, 0.85),
        ("fixed", Algorithm::Fixed, 1, 0.0),
        ("approximate", Algorithm::Approximate, 1, 0.0),
        ("log", Algorithm::Log, 1, 0.0),
    ] {
        let server = Server::start().await;
        let handle = handle(&server).await;
        // Takes stay below it for as long as the bench runs, and what was taken before is kept.
        let hour = Duration::from_secs(3_600);
        let quota = Quota::new(6_000, hour).expect("it is a quota");
        let ledgers: Vec<Ledger> = (0..quotas).map(|number| Ledger::new(&format!("l{number}"), algorithm)).collect();
        fill(&handle, &ledgers, &quota, extent.accounts).await;
        let limiter = RedisLimiter::new(handle.clone());
        for callers in [64, 256] {
            let mut rounds = Vec::new();
            for _ in 0..extent.rounds {
                let ours = checks(&limiter, &ledgers, &quota, callers, extent).await;
                rounds.push((ours, nothings(&handle, callers, extent).await));
            }
            rounds.sort_by(|(a, b), (c, d)| (a / b).total_cmp(&(c / d)));
            let (ours, theirs) = rounds[rounds.len() / 2];
            let ratio = ours / theirs;
            println!(
                "{callers} callers, {what} x {quotas}: {ours:.0} checks / {theirs:.0} empty scripts a second = {ratio:.2}"
            );
            good &= ratio >= least;
        }
    }
    good
}

/// Gives every account all the runs it can have, over the last half hour.
async fn fill(handle: &Redis, ledgers: &[Ledger], quota: &Quota, accounts: usize) {
    let begin = std::time::SystemTime::now() - Duration::from_secs(1_800);
    let clock = TestClock::at(Timestamp::from(begin));
    let limiter = RedisLimiter::builder(handle.clone()).clock(clock.clone()).build();
    for _ in 0..50 {
        clock.advance(Duration::from_secs(30));
        takes(&limiter, ledgers, quota, quota.limit() / 60, 0..accounts).await;
    }
}

async fn takes(limiter: &RedisLimiter, ledgers: &[Ledger], quota: &Quota, cost: u64, accounts: std::ops::Range<usize>) {
    const CALLERS: usize = 64;
    let crowd: JoinSet<()> = (0..CALLERS)
        .map(|caller| {
            let (limiter, ledgers, quota) = (limiter.clone(), ledgers.to_vec(), quota.clone());
            let own = accounts.clone().skip(caller).step_by(CALLERS);
            async move {
                for number in own {
                    let identity = identity(number);
                    let charge = |ledger| Charge { ledger, identity: &identity, quota: &quota, cost };
                    let charges: Vec<_> = ledgers.iter().map(charge).collect();
                    limiter.take(&charges).await.expect("the server is up");
                }
            }
        })
        .collect();
    crowd.join_all().await;
}

fn identity(number: usize) -> Identity {
    let [a, b, c, d] = (0x0a00_0000 + number as u32).to_be_bytes();
    Identity::from(std::net::IpAddr::from([a, b, c, d]))
}

async fn checks(limiter: &RedisLimiter, ledgers: &[Ledger], quota: &Quota, callers: usize, extent: Extent) -> f64 {
    crowd(callers, extent.round, |caller, until| {
        let (limiter, ledgers, quota) = (limiter.clone(), ledgers.to_vec(), quota.clone());
        async move {
            let (mut asked, mut number) = (0, caller * 37);
            while Instant::now() < until {
                let identity = identity(number % extent.accounts);
                let charge = |ledger| Charge { ledger, identity: &identity, quota: &quota, cost: 1 };
                let charges: Vec<_> = ledgers.iter().map(charge).collect();
                let verdict = limiter.take(&charges).await.expect("the server is up");
                assert!(verdict.is_allowed(), "it is far from the limit");
                (asked, number) = (asked + 1, number + callers);
            }
            asked
        }
    })
    .await
}

async fn nothings(handle: &Redis, callers: usize, extent: Extent) -> f64 {
    let script = Script::new("return nil");
    crowd(callers, extent.round, |caller, until| {
        let (handle, script) = (handle.clone(), script.clone());
        async move {
            let mut asked = 0;
            let key = format!("limit:{{10.0.0.{caller}/32}}:l0:s");
            while Instant::now() < until {
                handle.script(&script).key(&key).run().await.expect("the server is up");
                asked += 1;
            }
            asked
        }
    })
    .await
}

/// Answers a second, of so many callers at once who each ask again as soon as they are answered.
async fn crowd<F>(callers: usize, round: Duration, caller: impl Fn(usize, Instant) -> F) -> f64
where
    F: Future<Output = u64> + Send + 'static,
{
    let start = Instant::now();
    let crowd: JoinSet<u64> = (0..callers).map(|number| caller(number, start + round)).collect();
    let asked: u64 = crowd.join_all().await.into_iter().sum();
    asked as f64 / start.elapsed().as_secs_f64()
}

// === memory ===

async fn memory(extent: Extent) -> bool {
    let mut good = true;
    for algorithm in Algorithm::ALL {
        for limit in [100, 1_000] {
            let server = Server::start().await;
            let handle = handle(&server).await;
            let clock = TestClock::new();
            let limiter = RedisLimiter::builder(handle).clock(clock.clone()).build();
            let ledgers = [Ledger::new("login", algorithm)];
            let quota = Quota::new(limit, Duration::from_secs(3_600)).expect("it is a quota");
            let used = async || {
                let info: String = server.ask(&["INFO", "memory"]).await.expect("the server is up");
                let line = info.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("it is told");
                line.parse::<usize>().expect("it is a number")
            };
            let before = used().await;
            // As many takes as make all the runs, one at a time for a log of a hundred.
            let takes_each = if algorithm == Algorithm::Log { limit.min(100) } else { 60 };
            for _ in 0..takes_each {
                clock.advance(Duration::from_secs(1));
                takes(&limiter, &ledgers, &quota, limit.div_ceil(takes_each), 0..extent.keys).await;
            }
            let keys: Vec<String> = server.ask(&["KEYS", "*:{10.0.0.7/32}:*"]).await.expect("the server is up");
            let usage: usize = server.ask(&["MEMORY", "USAGE", &keys[0]]).await.expect("the server is up");
            let all = (used().await - before) / extent.keys;
            let name = algorithm.as_str();
            println!(
                "{name}, {limit} an hour, {} keys in full use: MEMORY USAGE {usage}, in all {all} bytes a key",
                extent.keys
            );
            good &= algorithm != Algorithm::Sliding || usage <= MOST_BYTES && all <= MOST_BYTES;
        }
    }
    good
}
