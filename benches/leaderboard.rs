//! What a rank costs among a thousand members and among a million, on a server of its own.
//!
//! One caller asks for standings, for who is around a member, and for increments; each in turn with a script that does nothing,
//! which is the way there and back. The median of the times must be at most three times that, among a million.
//!
//! ```text
//! cargo bench --bench leaderboard --features redis
//! ```
#![expect(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use bartizan::{
    Redis,
    redis::{
        Script,
        leaderboard::{Leaderboard, Update},
    },
};
use support::Server;

#[path = "../tests/redis/support/mod.rs"]
#[expect(dead_code, unused_imports, clippy::unwrap_used, reason = "it is the tests', who need more of it")]
mod support;

const MOST: f64 = 3.0;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // `cargo test --benches` only asks whether the bench runs.
    let measures = std::env::args().any(|arg| arg == "--bench");
    let (sizes, calls) = if measures { ([1_000, 1_000_000], 2_000) } else { ([100, 1_000], 10) };
    let server = Server::start().await;
    let redis = Redis::builder(&server.url()).expect("the URL is right").deadline(Duration::from_secs(5));
    let redis = redis.connect().await.expect("the server is up");
    let nothing = Script::new("return KEYS[1]");

    let mut good = true;
    for members in sizes {
        let name = format!("{members} members");
        let board = Leaderboard::builder(&redis, &name).expect("the name is good").dense_ranks().build();
        let all: Vec<_> = (0..members).map(|n| Update::set(format!("member-{n}"), mixed(n) % (members * 2))).collect();
        let start = Instant::now();
        board.apply(&all).await.expect("the server is up");
        let loading = all.len() as f64 / start.elapsed().as_secs_f64();

        let mut times = [const { Vec::new() }; 4];
        for call in 0..calls {
            let member = format!("member-{}", mixed(call) % members);
            let start = Instant::now();
            redis.script(&nothing).key(&member).run().await.expect("the server is up");
            times[0].push(start.elapsed());
            let start = Instant::now();
            board.ever().standing(&member).await.expect("the server is up").expect("it is on the board");
            times[1].push(start.elapsed());
            let start = Instant::now();
            board.ever().around(&member, 5).await.expect("the server is up").expect("it is on the board");
            times[2].push(start.elapsed());
            let start = Instant::now();
            board.increment(&member, 1, format!("op {call}")).await.expect("the server is up");
            times[3].push(start.elapsed());
        }
        let [empty, standing, around, increment] = times.map(median);
        let bytes: u64 = memory(&server, &name).await;
        let ratio = |time: Duration| time.as_secs_f64() / empty.as_secs_f64();
        println!(
            "{name}: an empty script {empty:?}; standing {:.2}, around {:.2}, increment {:.2} of that; {} bytes a member; {loading:.0} a second \
             were loaded",
            ratio(standing),
            ratio(around),
            ratio(increment),
            bytes / members.unsigned_abs(),
        );
        good &= !measures || [standing, around, increment].map(ratio).iter().all(|ratio| *ratio <= MOST);
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What its three keys take.
async fn memory(server: &Server, name: &str) -> u64 {
    let mut bytes = 0;
    for field in ["scores", "order", "levels"] {
        let key = format!("bartizan:leaderboard:{{{name}}}:ever:{field}");
        bytes += server.ask::<u64>(&["MEMORY", "USAGE", &key]).await.expect("the key is there");
    }
    bytes
}

/// A number without order in it.
fn mixed(n: i64) -> i64 {
    ((n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) as i64
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
