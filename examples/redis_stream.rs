//! Orders that are appended by a web server and worked at by as many processes as there are.
//!
//! ```text
//! cargo run --features redis --example redis_stream -- work     (REDIS_URL=redis://..; in two terminals)
//! cargo run --features redis --example redis_stream -- order 20
//! cargo run --features redis --example redis_stream -- watch
//! cargo run --features redis --example redis_stream -- status
//! ```
//!
//! See each order mailed by one of the workers. One in five fails at first, and is tried again; one in ten cannot be mailed, and
//! `status` shows it among the dead. Kill a worker (kill -9) in the middle: the other mails what it had, ten seconds later. Stop one
//! with Ctrl-C: the other goes on at once.

use std::{env, error::Error, io, time::Duration};

use bartizan::{
    Redis,
    redis::stream::{Failure, Message, Position, Stream},
};
use serde::{Deserialize, Serialize};
use tokio::{signal, time};

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    number: u64,
    total: u64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    let redis = Redis::builder(&url)?.namespace("redis_stream").connect().await?;
    let orders = Stream::<Order>::new(&redis, "orders")?;
    let mailer = orders
        .group("mailer")?
        .concurrency(4)
        .prefetch(4)
        .claim_after(Duration::from_secs(10))
        .max_attempts(3)
        .trim(Duration::from_secs(3600)); // what is mailed stays for an hour

    let mut args = env::args().skip(1);
    match args.next().as_deref() {
        Some("order") => {
            let count = args.next().and_then(|count| count.parse().ok()).unwrap_or(10);
            let session: u32 = rand::random();
            for number in 1..=count {
                let order = Order { number, total: 100 * number };
                // The key of the checkout: a client that asks again orders nothing twice.
                let id = orders.append_once(&format!("{session:x}:{number}"), &order).await?;
                println!("order {number} is {id}");
            }
        }
        Some("work") => {
            println!("working; Ctrl-C ends it");
            let stop = async { drop(signal::ctrl_c().await) };
            println!("{:?}", mailer.run_until(mail, stop).await?);
        }
        Some("watch") => {
            let mut tail = orders.tail(Position::End);
            loop {
                let entry = tail.next().await?;
                println!("{} {:?}", entry.id, entry.value);
            }
        }
        Some("status") => {
            println!("{:#?}", mailer.status().await?);
            for letter in mailer.dead_letters(Position::Beginning, 10).await? {
                println!("dead after {} attempts: {:?}: {}", letter.attempts, letter.value?, letter.reason);
            }
        }
        _ => println!("say one of: work, order [count], watch, status"),
    }
    Ok(())
}

/// It is acknowledged when this says `Ok`, and not before. It may be called twice for an order, so a real one would give the
/// message's id to the mail server as an idempotence key.
#[expect(clippy::disallowed_methods, reason = "it stands for a slow mail server")]
async fn mail(message: Message<Order>) -> Result<(), Failure> {
    time::sleep(Duration::from_millis(500)).await;
    let Order { number, .. } = message.value;
    if number.is_multiple_of(10) {
        return Err(Failure::dead("there is no such address"));
    }
    if number.is_multiple_of(5) && message.attempt == 1 {
        Err(io::Error::other("the mail server is busy"))?;
    }
    println!("mailed order {number} ({}, attempt {})", message.id, message.attempt);
    Ok(())
}
