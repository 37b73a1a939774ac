//! Waiting in place of a refusal. The time is tokio's, which goes on by itself when all wait.

use std::{sync::Arc, time::Duration};

use bartizan::{
    clock::{Clock, Timestamp},
    limit::{MemoryLimiter, RateLimitLayer, Shaping},
    quota::Quota,
};
use parking_lot::Mutex;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::site::Site;

struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_700_000_000).plus(self.0.elapsed())
    }
}

fn shaped(quota: Quota, shaping: Shaping) -> Arc<Site<MemoryLimiter>> {
    let limiter = MemoryLimiter::with_clock(1 << 20, TokioClock(Instant::now()));
    Arc::new(Site::new(&RateLimitLayer::over(limiter, quota).shape(shaping)))
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_pass_in_the_order_they_came() {
    let site = shaped(Quota::per_second(1), Shaping::up_to(Duration::from_secs(10)));
    let start = Instant::now();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = JoinSet::new();
    for number in 0..5_u64 {
        let (site, order) = (Arc::clone(&site), Arc::clone(&order));
        waiting.spawn(async move {
            assert!(site.get("192.0.2.1").await.is_ok());
            order.lock().push((number, start.elapsed().as_secs()));
        });
        tokio::task::yield_now().await;
    }
    waiting.join_all().await;
    assert_eq!(*order.lock(), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_would_be_too_long_is_a_refusal() {
    let site = shaped(Quota::per_minute(1), Shaping::up_to(Duration::from_secs(59)));
    assert!(site.get("192.0.2.1").await.is_ok());
    let start = Instant::now();
    assert!(!site.get("192.0.2.1").await.is_ok());
    assert_eq!(start.elapsed(), Duration::ZERO, "known at once");
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_others_is_refused_when_the_time_is_over() {
    let site = shaped(Quota::per_second(1), Shaping::up_to(Duration::from_millis(2_500)));
    let start = Instant::now();
    let mut waiting = JoinSet::new();
    for _ in 0..6 {
        let site = Arc::clone(&site);
        waiting.spawn(async move { site.get("192.0.2.1").await.is_ok() });
        tokio::task::yield_now().await;
    }
    let passed = waiting.join_all().await.into_iter().filter(|passed| *passed).count();
    assert_eq!(passed, 3, "at 0, 1 and 2 s");
    assert!(start.elapsed() <= Duration::from_millis(2_500));
}

#[tokio::test(start_paused = true)]
async fn only_so_many_wait() {
    let site = shaped(Quota::per_second(1), Shaping::up_to(Duration::from_secs(60)).each(2).all(3));
    let mut waiting = JoinSet::new();
    let wait = |waiting: &mut JoinSet<bool>, address: &'static str| {
        let site = Arc::clone(&site);
        waiting.spawn(async move { site.get(address).await.is_ok() });
    };
    for _ in 0..4 {
        wait(&mut waiting, "192.0.2.1");
        tokio::task::yield_now().await;
    }
    assert!(waiting.join_next().await.unwrap().unwrap(), "the first");
    assert!(!waiting.join_next().await.unwrap().unwrap(), "the fourth: two wait");
    wait(&mut waiting, "192.0.2.2");
    wait(&mut waiting, "192.0.2.2");
    wait(&mut waiting, "192.0.2.2");
    let passed = waiting.join_all().await.into_iter().filter(|passed| *passed).count();
    assert_eq!(passed, 4, "two of each address; three wait in all");
}

#[tokio::test(start_paused = true)]
async fn who_would_wait_for_ever_waits_for_a_day_at_most() {
    let site = shaped(Quota::per_minute(1), Shaping::up_to(Duration::MAX));
    assert!(site.get("192.0.2.1").await.is_ok());
    assert!(site.get("192.0.2.1").await.is_ok(), "after a minute");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_gives_up_the_place() {
    let site = shaped(Quota::per_second(1), Shaping::up_to(Duration::from_secs(60)).each(1));
    assert!(site.get("192.0.2.1").await.is_ok());
    for _ in 0..3 {
        assert!(timeout(Duration::from_millis(100), site.get("192.0.2.1")).await.is_err(), "it waits, and leaves");
    }
    let start = Instant::now();
    assert!(site.get("192.0.2.1").await.is_ok());
    assert_eq!(start.elapsed(), Duration::from_millis(700), "none of those who left was counted");
}
