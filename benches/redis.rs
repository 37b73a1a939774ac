//! What the handle costs beside a bare connection of redis-rs, on a server of its own.
//!
//! Callers read a value of 1 KiB over and over: through the handle, and through clones of one `MultiplexedConnection` as it
//! comes (with redis-rs's own time-out for each answer, as the handle has its own). Both take turns; the median of the
//! ratios must be at least 0.9 with 64 callers and with 256.
//!
//! ```text
//! cargo bench --bench redis --features redis
//! ```
#![expect(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use bartizan::Redis;
use redis::aio::MultiplexedConnection;
use support::Server;
use tokio::task::JoinSet;

#[path = "../tests/redis/support/mod.rs"]
#[expect(dead_code, unused_imports, clippy::unwrap_used, reason = "it is the tests', who need more of it")]
mod support;

const LEAST: f64 = 0.9;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(700);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    // `cargo test --benches` only asks whether the bench runs.
    let measures = std::env::args().any(|arg| arg == "--bench");
    let (rounds, round) = if measures { (ROUNDS, ROUND) } else { (1, Duration::from_millis(20)) };

    let server = Server::start().await;
    let handle = Redis::connect(&server.url()).await.expect("the server is up");
    handle.command("SET").key("page").arg(&vec![b'x'; 1024]).run().await.expect("the server is up");
    let client = redis::Client::open(server.url()).expect("the URL is right");
    let bare = client.get_multiplexed_async_connection().await.expect("the server is up");

    let mut good = true;
    for callers in [64, 256] {
        let mut ratios = Vec::new();
        let mut rates = Vec::new();
        for _ in 0..rounds {
            let ours = through_the_handle(&handle, callers, round).await;
            let theirs = bare_connection(&bare, callers, round).await;
            ratios.push(ours / theirs);
            rates.push(theirs);
        }
        let (ratio, rate) = (median(ratios), median(rates));
        println!("{callers} callers: {ratio:.2} of a bare connection's {rate:.0} GETs a second");
        good &= !measures || ratio >= LEAST;
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn through_the_handle(handle: &Redis, callers: usize, round: Duration) -> f64 {
    crowd(callers, round, |until| {
        let handle = handle.clone();
        async move {
            let mut asked = 0;
            while Instant::now() < until {
                let page = handle.command("GET").key("page").run().await.expect("the server is up");
                assert_eq!(page.bytes().expect("it is a string").expect("it is there").len(), 1024);
                asked += 1;
            }
            asked
        }
    })
    .await
}

async fn bare_connection(bare: &MultiplexedConnection, callers: usize, round: Duration) -> f64 {
    crowd(callers, round, |until| {
        let mut bare = bare.clone();
        async move {
            let mut asked = 0;
            while Instant::now() < until {
                let page: Vec<u8> =
                    redis::cmd("GET").arg("bartizan:page").query_async(&mut bare).await.expect("the server is up");
                assert_eq!(page.len(), 1024);
                asked += 1;
            }
            asked
        }
    })
    .await
}

/// Commands a second, of so many callers at once who each ask again as soon as they are answered.
async fn crowd<F>(callers: usize, round: Duration, caller: impl Fn(Instant) -> F) -> f64
where
    F: Future<Output = u64> + Send + 'static,
{
    let start = Instant::now();
    let crowd: JoinSet<u64> = (0..callers).map(|_| caller(start + round)).collect();
    let asked: u64 = crowd.join_all().await.into_iter().sum();
    asked as f64 / start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
