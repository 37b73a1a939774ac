//! What a consumer costs beside a bare loop of `XREADGROUP` and `XACK`, on a server of its own.
//!
//! One consumer takes all messages of a stream, with a handler that does nothing: as [`Group`](bartizan::redis::stream::Group) has it by
//! default, and in a loop on one connection of redis-rs that reads and acknowledges as many at once as the consumer prefetches.
//! Both take turns; the median of the ratios must be at least 0.7.
//!
//! ```text
//! cargo bench --bench stream --features redis
//! ```
#![expect(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use bartizan::{Redis, redis::stream::Stream};
use futures_util::future::join_all;
use redis::{Value, aio::MultiplexedConnection};
use support::Server;
use tokio::sync::Notify;

#[path = "../tests/redis/support/mod.rs"]
#[expect(dead_code, unused_imports, clippy::unwrap_used, reason = "it is the tests', who need more of it")]
mod support;

const LEAST: f64 = 0.7;
const ROUNDS: usize = 9;
const MESSAGES: u64 = 20_000;

/// As many as a consumer has in hand by default.
const AT_ONCE: usize = 64 + 16;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    // `cargo test --benches` only asks whether the bench runs.
    let measures = std::env::args().any(|arg| arg == "--bench");
    let (rounds, messages) = if measures { (ROUNDS, MESSAGES) } else { (1, 100) };

    let server = Server::start().await;
    let redis = Redis::connect(&server.url()).await.expect("the server is up");
    let stream = Stream::<u64>::new(&redis, "numbers").expect("the name is good");
    for chunk in (0..messages).collect::<Vec<_>>().chunks(500) {
        for appended in join_all(chunk.iter().map(|n| stream.append(n))).await {
            appended.expect("the server is up");
        }
    }
    let client = redis::Client::open(server.url()).expect("the URL is right");
    let mut bare = client.get_multiplexed_async_connection().await.expect("the server is up");

    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let ours = consumer(&stream, &format!("ours{round}"), messages).await;
        let theirs = bare_loop(&mut bare, &format!("bare{round}"), messages).await;
        ratios.push(ours / theirs);
        rates.push(theirs);
    }
    let (ratio, rate) = (median(ratios), median(rates));
    println!("{ratio:.2} of a bare loop's {rate:.0} messages a second");
    if !measures || ratio >= LEAST { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Messages a second.
async fn consumer(stream: &Stream<u64>, group: &str, messages: u64) -> f64 {
    let group = stream.group(group).expect("the name is good");
    let (handled, done, start) = (AtomicU64::new(0), Notify::new(), Instant::now());
    let mut took = start.elapsed();
    let handler = |_| {
        if handled.fetch_add(1, Ordering::Relaxed) + 1 == messages {
            done.notify_one();
        }
        async { Ok(()) }
    };
    let stop = async {
        done.notified().await;
        took = start.elapsed();
    };
    let summary = group.run_until(handler, stop).await.expect("the server is up");
    assert_eq!(summary.acknowledged, messages);
    messages as f64 / took.as_secs_f64()
}

async fn bare_loop(bare: &mut MultiplexedConnection, group: &str, messages: u64) -> f64 {
    const LOG: &str = "bartizan:stream:{numbers}:log";
    let start = Instant::now();
    let create = redis::cmd("XGROUP").arg("CREATE").arg(LOG).arg(group).arg("0").query_async::<Value>(bare).await;
    create.expect("the server is up");
    let mut left = messages;
    while left > 0 {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(group).arg("one").arg("COUNT").arg(AT_ONCE).arg("STREAMS").arg(LOG).arg(">");
        let read: Vec<(String, Vec<(String, Value)>)> = read.query_async(bare).await.expect("the server is up");
        let ids: Vec<&String> = read[0].1.iter().map(|(id, _)| id).collect();
        let settled = redis::cmd("XACK").arg(LOG).arg(group).arg(&ids).query_async::<u64>(bare).await;
        left -= settled.expect("the server is up");
    }
    messages as f64 / start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
