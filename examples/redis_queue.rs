//! Thumbnails made in the background: urgent ones first, each picture once, some later.
//!
//! ```text
//! cargo run --features redis --example redis_queue -- work      (REDIS_URL=redis://..; in two terminals)
//! cargo run --features redis --example redis_queue -- push 12
//! cargo run --features redis --example redis_queue -- counts
//! ```
//!
//! See the pictures of paying users (every third) made first, a picture that is pushed twice made once, every fourth five seconds later,
//! and the broken one dead after three attempts. Kill a worker (kill -9): the picture it was at is made by the other, five seconds
//! later.

use std::{env, error::Error, time::Duration};

use bartizan::{
    Redis,
    redis::queue::{Claimed, Job, Pushed, Queue},
};
use serde::{Deserialize, Serialize};
use tokio::time;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Picture {
    number: u64,
    width: u32,
}

const PAYING: u8 = 200;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    let redis = Redis::builder(&url)?.namespace("redis_queue").connect().await?;
    let thumbnails = Queue::<Picture>::builder(&redis, "thumbnails")?
        .visibility(Duration::from_secs(5))
        .max_attempts(3)
        .dedup_for(Duration::ZERO)
        .build();

    let mut args = env::args().skip(1);
    match args.next().as_deref() {
        Some("push") => {
            let count: u64 = args.next().and_then(|count| count.parse().ok()).unwrap_or(12);
            // The last is pushed twice, as an impatient user does.
            for number in (1..=count).chain([count]) {
                push(&thumbnails, number).await?;
            }
        }
        Some("work") => loop {
            if let Some(job) = thumbnails.claim_within(Duration::from_secs(60)).await? {
                work(&job).await?;
            }
        },
        Some("counts") => {
            println!("{:?}", thumbnails.counts().await?);
            for job in thumbnails.dead(10).await? {
                println!("dead after {} attempts: {:?}: {}", job.attempts, job.value?, job.reason);
            }
        }
        _ => println!("say one of: work, push [count], counts"),
    }
    Ok(())
}

async fn push(thumbnails: &Queue<Picture>, number: u64) -> Result<(), bartizan::Error> {
    let picture = Picture { number, width: 320 };
    let key = format!("picture:{number}:320");
    let mut job = Job::new(&picture).key(&key);
    if number.is_multiple_of(3) {
        job = job.priority(PAYING);
    }
    if number.is_multiple_of(4) {
        job = job.delay(Duration::from_secs(5));
    }
    match thumbnails.push(job).await? {
        Pushed::New(id) => println!("picture {number} is job {id}"),
        Pushed::Known(id) => println!("picture {number} is job {id} already"),
    }
    Ok(())
}

async fn work(job: &Claimed<Picture>) -> Result<(), bartizan::Error> {
    // While it is made, heartbeats keep it ours.
    match job.keep_while(make(job)).await {
        Some(Ok(())) => println!("made {:?}: {:?}", job.value, job.ack().await?),
        Some(Err(reason)) => {
            println!("{:?} failed: {:?}", job.value, job.nack(Duration::from_secs(1), reason).await?);
        }
        None => println!("{:?} was given to somebody else", job.value),
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "it stands for what takes long")]
async fn make(job: &Claimed<Picture>) -> Result<(), String> {
    for part in 1..=4 {
        time::sleep(Duration::from_millis(250)).await;
        drop(job.heartbeat(&format!("{} %", 25 * part)).await);
    }
    if job.value.number.is_multiple_of(11) { Err("it is no picture".to_owned()) } else { Ok(()) }
}
