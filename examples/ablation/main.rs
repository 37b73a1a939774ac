//! What each part of a cache saves the origin: one day's traffic, played eight times, with one part more each time.
//!
//! ```text
//! cargo run --release --features redis --example ablation      (it starts a redis-server of its own)
//! ```
//!
//! A thousand pages, each with a hundred callers every three steps of a clock that is wound by hand, on three nodes: three caches in this
//! process, each with its own memory and handle on Redis. In the first step, after a deployment, the origin answers all; later 400
//! calls a step, and refuses what is more with a 503. For four of the 24 steps it is down. Pages change, and users are promised to
//! see it after six steps. `day.rs` has it all.
//!
//! | row | what is new | why it calls less |
//! |---|---|---|
//! | memory | each node keeps pages for 6 steps, which is how the promise is kept | who comes later finds them |
//! | + coalescing | of those who miss at once on one node, one calls | the others wait for it |
//! | + stale-if-error | an old page in place of an error | if the one is refused, the others do not try for themselves |
//! | + Redis | nodes find what others made | where the nodes are asked one after the other, one makes the page |
//! | + jitter | 6 steps are 4 to 8 | what was made at once is not wanted at once, so fewer calls are refused, and made again |
//! | + invalidation | a change is told to all nodes, and pages are kept for 16 steps | the promise costs no calls any more |
//! | + lease | one node calls for all | where the nodes are asked at once, one makes the page |
//!
//! The last row is compared with the least there can be, which `Day::fewest_calls` reckons from the timetable alone.
//!
//! No number hangs on luck: the origin answers nobody before all of a moment have asked (`round.rs`), and lots are drawn from a seed.
//! So it is the origin that states the lifetimes which the layer would else draw with the same `Jitter`, and nothing is refreshed
//! early. Leases cannot be switched off in the crate's stores: rows without stand on a store that makes nothing of them
//! (`leaseless.rs`). Those with Redis stand on `Tiered`, whose channel of removals is silent until something is purged.

mod day;
mod leaseless;
mod play;
mod round;
mod server;

use std::{error::Error, time::Duration};

use bartizan::{
    BoxStore, Memory, Redis, RedisStore, Rules, Tiered,
    cache::Stored,
    clock::TestClock,
    expiry::Jitter,
    store::{Key, Store},
};
use tokio::time::{interval, timeout};

use self::{
    day::{Day, LONG, SHORT},
    leaseless::Leaseless,
    play::{Outcome, play},
    server::Server,
};

/// What a row has.
struct Row {
    name: &'static str,
    keeps: Keeps,
    rules: Rules,
    day: Day,
}

/// Where pages are kept, and how many of those who miss one make it.
#[derive(Clone, Copy)]
enum Keeps {
    /// All.
    InMemory,
    /// One on each node.
    InMemoryOnce,
    /// One on each node.
    OnRedis,
    /// One.
    OnRedisOnce,
}

/// For how long another node may not know of a change.
const BOUND: Duration = Duration::from_millis(500);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start().await?;
    println!("{:<18}{:>14}{:>12}{:>16}{:>16}", "", "origin calls", "refused", "errors seen", "changes missed");
    let mut before = u64::MAX;
    let (mut falls, mut is_least) = (true, false);
    for row in rows() {
        let clock = TestClock::new();
        let stores = [
            store(&row, &server.url(), &clock).await?,
            store(&row, &server.url(), &clock).await?,
            store(&row, &server.url(), &clock).await?,
        ];
        let outcome = play(row.day, &row.rules, stores, &clock).await?;
        let Outcome { calls, refused, errors, stale } = outcome;
        let [refused, errors, stale] = [refused, errors, stale].map(grouped);
        println!("{:<18}{:>14}{refused:>12}{errors:>16}{stale:>16}", row.name, grouped(calls));
        falls &= calls < before;
        is_least = calls == row.day.fewest_calls();
        before = calls;
    }
    let least = rows().last().map(|row| row.day.fewest_calls());
    println!("{:<18}{:>14}", "the least possible", grouped(least.unwrap_or_default()));
    match (falls, is_least) {
        (true, true) => Ok(()),
        (false, _) => Err("a row has no fewer calls than the row before".into()),
        (true, false) => Err("the last row is not at the least".into()),
    }
}

fn rows() -> [Row; 8] {
    let short = Day { ttl: SHORT, jitter: Jitter::NONE, purges: false };
    let spread = Day { jitter: Jitter::percent(30), ..short };
    let told = Day { ttl: LONG, purges: true, ..spread };
    let rules = Rules::new;
    let rescues = || Rules::new().stale_if_error(Duration::from_secs(600));
    let row = |name, keeps, rules, day| Row { name, keeps, rules, day };
    [
        row("no cache", Keeps::InMemory, Rules::bypass(), short),
        row("memory", Keeps::InMemory, rules(), short),
        row("+ coalescing", Keeps::InMemoryOnce, rules(), short),
        row("+ stale-if-error", Keeps::InMemoryOnce, rescues(), short),
        row("+ Redis", Keeps::OnRedis, rescues(), short),
        row("+ jitter", Keeps::OnRedis, rescues(), spread),
        row("+ invalidation", Keeps::OnRedis, rescues(), told),
        row("+ lease", Keeps::OnRedisOnce, rescues(), told),
    ]
}

/// A node's.
async fn store(row: &Row, url: &str, clock: &TestClock) -> Result<BoxStore<Stored>, Box<dyn Error>> {
    let memory = Memory::with_capacity(64 << 20);
    Ok(match row.keeps {
        Keeps::InMemory => BoxStore::new(Leaseless::of_callers(memory)),
        Keeps::InMemoryOnce => BoxStore::new(memory),
        Keeps::OnRedis => BoxStore::new(Leaseless::of_nodes(tiered(row.name, memory, url, clock).await?)),
        Keeps::OnRedisOnce => BoxStore::new(tiered(row.name, memory, url, clock).await?),
    })
}

/// As in a process of its own, under the row's own name.
async fn tiered(
    name: &str,
    memory: Memory<Stored>,
    url: &str,
    clock: &TestClock,
) -> Result<Tiered<Stored>, Box<dyn Error>> {
    // A machine that is busy is no sign of a Redis that hangs.
    let redis = Redis::builder(url)?.namespace("ablation").deadline(Duration::from_secs(30)).connect().await?;
    let far = RedisStore::builder(redis).name(name).clock(clock.clone()).build();
    let store = Tiered::with_staleness_bound(memory, far, BOUND);
    drop(store.lease(Key::new(1.into()), None).await?);
    timeout(Duration::from_secs(30), async {
        let mut ticks = interval(Duration::from_millis(5));
        while !store.is_connected() {
            ticks.tick().await;
        }
    })
    .await?;
    Ok(store)
}

/// 1 234 567.
fn grouped(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{} {:03}", grouped(number / 1000), number % 1000),
    }
}
