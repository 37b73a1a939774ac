//! Waiting for what a server does in its own time: by asking, never by sleeping for as long as it usually takes.

use std::{fmt::Debug, future::Future, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Asks until there is an answer, and tells how long that took.
pub(crate) async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> (T, Duration) {
    let start = Instant::now();
    let mut ticks = interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let asking = async {
        loop {
            ticks.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    match timeout(limit, asking).await {
        Ok(answer) => (answer, start.elapsed()),
        Err(_) => panic!("{what}: not within {limit:?}"),
    }
}

/// What `future` tells, and how long it took; a test that hangs fails.
pub(crate) async fn within<T: Debug>(limit: Duration, future: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    match timeout(limit, future).await {
        Ok(result) => (result, start.elapsed()),
        Err(_) => panic!("not within {limit:?}"),
    }
}
