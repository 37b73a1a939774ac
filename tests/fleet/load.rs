//! A load that goes on while Redis does not.

use std::{fmt, sync::Arc, time::Duration};

use bartizan::Redis;
use parking_lot::Mutex;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    member::Member,
    random::Random,
    site::{PAGES, Site},
    store::Made,
    support::{Server, eventually},
    wait::pass,
};

const CLIENTS: u64 = 16;

/// How long each part of the load lasts.
const PART: Duration = Duration::from_millis(1500);

/// What the scheduler of a busy machine may add to a deadline.
const LATE: Duration = Duration::from_millis(50);

struct Part {
    times: Vec<Duration>,
    errors: usize,
    hits: usize,
}

// === impl Part ===

impl Part {
    /// The load, for as long as a part lasts.
    async fn play(member: &Member, random: &mut Random) -> Self {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (member, mut random) = (member.clone(), random.fork());
            clients.spawn(async move {
                let mut part = Self { times: Vec::new(), errors: 0, hits: 0 };
                let end = Instant::now() + PART;
                while Instant::now() < end {
                    let began = Instant::now();
                    let answer = member.read(random.below(PAGES as u32) as usize, 0).await;
                    part.times.push(began.elapsed());
                    part.errors += usize::from(answer.status != 200);
                    part.hits += usize::from(answer.how.contains("; hit"));
                    pass(random.millis(5)).await;
                }
                part
            });
        }
        let mut all = Self { times: Vec::new(), errors: 0, hits: 0 };
        while let Some(part) = clients.join_next().await {
            let part = part.unwrap();
            all.times.extend(part.times);
            all.errors += part.errors;
            all.hits += part.hits;
        }
        all.times.sort_unstable();
        all
    }

    fn percentile(&self, percent: usize) -> Duration {
        self.times[(self.times.len() - 1) * percent / 100]
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most, all] = [50, 99, 100].map(|percent| self.percentile(percent));
        let requests = self.times.len();
        write!(
            f,
            "{requests} requests, {} hits, {} errors; p50 {half:?}, p99 {most:?}, longest {all:?}",
            self.hits, self.errors
        )
    }
}

/// The states of the breaker, each with the moment it began, for as long as the set lives.
fn timeline(redis: &Redis) -> (Arc<Mutex<Vec<String>>>, JoinSet<()>) {
    let (states, redis, start) = (Arc::new(Mutex::new(Vec::new())), redis.clone(), Instant::now());
    let seen = Arc::clone(&states);
    let mut watching = JoinSet::new();
    watching.spawn(async move {
        let mut last = None;
        loop {
            let state = redis.breaker();
            if last != Some(state) {
                seen.lock().push(format!("{:?} {state:?}", start.elapsed()));
                last = Some(state);
            }
            pass(Duration::from_millis(1)).await;
        }
    });
    (states, watching)
}

/// A request pays a call's deadline at the most, and none fails.
async fn survives(stop: impl AsyncFnOnce(&mut Server), start: impl AsyncFnOnce(&mut Server), how: &str) {
    let mut server = Server::start().await;
    let made = Made::tiered(&server.url());
    let redis = made.redis();
    let site = Site::moody(2, u32::MAX, 1);
    let member = Member::new(made.over(redis.clone()), &site, "node");
    let (states, _watching) = timeline(&redis);
    let mut random = Random::new(1);
    let before = Part::play(&member, &mut random).await;
    stop(&mut server).await;
    let without = Part::play(&member, &mut random).await;
    start(&mut server).await;
    eventually("the breaker closes", Duration::from_secs(5), async || {
        drop(timeout(made.deadline, member.read(0, 0)).await);
        format!("{:?}", redis.breaker()).contains("Closed").then_some(())
    })
    .await;
    let after = Part::play(&member, &mut random).await;
    println!("Redis {how}:\n  before:  {before}\n  without: {without}\n  after:   {after}");
    println!("  breaker: {}", states.lock().join(", "));
    assert_eq!([before.errors, without.errors, after.errors], [0; 3], "{how}: no request fails");
    let added = without.percentile(99).saturating_sub(before.percentile(99));
    assert!(added < made.deadline + LATE, "{how}: {added:?} more for one request in a hundred");
    assert!(after.hits * 10 > after.times.len() * 9, "{how}: the cache is itself again: {after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_on_while_redis_hangs() {
    survives(async |server| server.pause(), async |server| server.resume(), "hangs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_on_while_redis_is_gone() {
    survives(async |server| server.kill(), async |server| server.restart().await, "is gone").await;
}
