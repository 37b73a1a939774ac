//! Of several processes one at a time numbers the invoices, and no number is given out twice.
//!
//! ```text
//! cargo run --features redis --example redis_lock      (REDIS_URL=redis://..)
//! cargo run --features redis --example redis_lock      (in another terminal, and one more)
//! ```
//!
//! See one of them work, and the others wait. Then, with the one that works:
//!
//! - Ctrl-C: it gives the lock up, and another goes on at once.
//! - `kill -9`: another goes on when the lock has ended, after five seconds.
//! - Ctrl-Z, and `fg` once another has gone on: it was stopped without knowing it, learns that it lost the lock, and waits again.
//! - `redis-cli flushall`: it learns that the lock is gone, and whoever goes on has a greater token all the same.

use std::{env, error::Error, process, time::Duration};

use bartizan::{
    Redis,
    redis::lock::{Fenced, Lock, LockGuard},
};
use tokio::{signal, time};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    let redis = Redis::builder(&url)?.namespace("redis_lock").connect().await?;
    let lock = Lock::new(&redis, "invoices")?.ttl(Duration::from_secs(5)).wait(Duration::from_secs(3600));
    // It refuses whoever had the lock before its last holder: a process that goes on after another took over.
    let last = Fenced::new(&redis, "last-invoice")?;
    println!("process {} waits for the lock", process::id());

    loop {
        let guard = tokio::select! {
            guard = lock.acquire() => guard?,
            stopped = signal::ctrl_c() => return Ok(stopped?),
        };
        println!("has the lock, with the token {}", guard.token());
        let numbered = tokio::select! {
            numbered = number_invoices(&guard, &last) => numbered,
            // The work is dropped at its next await. What it has sent by then only the fence stops.
            () = guard.lost() => Ok(()),
            stopped = signal::ctrl_c() => {
                // A guard that is dropped does so in the background, which ends with the process.
                guard.release().await?;
                return Ok(stopped?);
            }
        };
        match numbered.and(guard.release().await) {
            // Ten are done: another has their turn.
            Ok(()) => println!("gave it up"),
            Err(error) => println!("{error}"),
        }
    }
}

async fn number_invoices(guard: &LockGuard, last: &Fenced) -> Result<(), bartizan::Error> {
    for _ in 0..10 {
        // With the guard: from now on a holder before this one changes nothing.
        let number: u64 = match last.read(guard).await? {
            Some(text) => String::from_utf8_lossy(&text).parse().unwrap_or(0),
            None => 0,
        };
        pass(Duration::from_secs(1)).await;
        last.write(guard, (number + 1).to_string()).await?;
        println!("invoice {}", number + 1);
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "it stands for work")]
async fn pass(span: Duration) {
    time::sleep(span).await;
}
