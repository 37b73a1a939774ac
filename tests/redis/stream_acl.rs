//! What the documentation of the tools says that they need is enough.

use std::time::Duration;

use bartizan::{
    Redis,
    redis::{
        queue::{Job, Queue},
        stream::{Failure, Message, Position, Stream},
    },
};

use crate::support::{Server, eventually, within};

const LIMIT: Duration = Duration::from_secs(20);

/// Somebody who may what `docs`, the source of a module, says under "What it needs", and nothing else.
async fn login(server: &Server, docs: &str) -> Redis {
    let (_, needs) = docs.split_once("# What it needs").unwrap();
    let list = needs.split('`').nth(1).unwrap().replace("//!", " ");
    let may: Vec<&str> = list.split_whitespace().collect();
    assert!(may.len() > 10 && may.iter().all(|word| word.starts_with('+')), "{may:?}");
    let user = ["ACL", "SETUSER", "tool", "reset", "on", ">secret", "~bartizan:*", "+ping", "+info"];
    server.tell(&[&user[..], &may[..]].concat()).await;
    Redis::builder(&server.url()).unwrap().user("tool").password("secret").connect().await.unwrap()
}

#[tokio::test]
async fn a_stream_needs_what_its_documentation_says() {
    let server = Server::start().await;
    let redis = login(&server, include_str!("../../src/redis/stream/mod.rs")).await;
    let stream = Stream::<u64>::builder(&redis, "numbers").unwrap().cap(1000).build();
    for n in 0..4 {
        stream.append(&n).await.unwrap();
        stream.append_once(&n.to_string(), &n).await.unwrap();
    }
    let group = stream.group("readers").unwrap().backoff(Duration::ZERO, Duration::ZERO).max_attempts(2);
    let group = group.trim(Duration::ZERO).claim_after(Duration::from_millis(100)).consumer("a").unwrap();
    let handler = |message: Message<u64>| async move {
        match (message.value, message.attempt) {
            (0, _) => return Err(Failure::retry("never")),
            (1, 1) => return Err(Failure::retry("not yet")),
            // Long enough to be renewed.
            (2, 1) => _ = tokio::time::timeout(Duration::from_millis(200), std::future::pending::<()>()).await,
            _ => {}
        }
        Ok(())
    };
    let stop = async {
        let settled = async || {
            let status = group.status().await.unwrap();
            (status.lag == Some(0) && status.pending == 0).then_some(())
        };
        eventually("all is settled", LIMIT, settled).await;
    };
    let summary = within(LIMIT, group.run_until(handler, stop)).await.0.unwrap();
    assert_eq!((summary.acknowledged, summary.dead), (6, 2), "{summary:?}");
    let dead = group.dead_letters(Position::Beginning, 10).await.unwrap();
    group.requeue(dead[0].id).await.unwrap().unwrap();
    assert_eq!(group.discard(dead[1].id).await.unwrap(), 1);
    assert_eq!(stream.trim(Duration::ZERO).await.unwrap(), 8);
    assert_eq!(stream.read(Position::Beginning, 10).await.unwrap().len(), 1);
    assert_eq!(stream.length().await.unwrap(), 1);
    let mut tail = stream.tail(Position::End);
    assert!(tokio::time::timeout(Duration::from_millis(200), tail.next()).await.is_err(), "it waits");
}

#[tokio::test]
async fn a_queue_needs_what_its_documentation_says() {
    let server = Server::start().await;
    let redis = login(&server, include_str!("../../src/redis/queue/mod.rs")).await;
    let queue = Queue::<u64>::builder(&redis, "jobs").unwrap().visibility(Duration::from_millis(50)).build();
    for key in ["a", "b", "c", "d"] {
        queue.push(Job::new(&1).key(key).delay(Duration::from_millis(10))).await.unwrap();
    }
    let claim = async || within(LIMIT, queue.claim_within(LIMIT)).await.0.unwrap().unwrap();
    let first = claim().await;
    first.heartbeat("x").await.unwrap();
    first.ack().await.unwrap();
    claim().await.nack(Duration::from_secs(60), "later").await.unwrap();
    let third = claim().await;
    third.bury("no").await.unwrap();
    drop(claim().await);
    claim().await.ack().await.unwrap();
    assert_eq!(queue.dead(10).await.unwrap().len(), 1);
    assert_eq!(queue.requeue(third.id).await.unwrap(), 1);
    assert!(queue.find(third.id).await.unwrap().is_some());
    assert_eq!(queue.remove(third.id).await.unwrap(), 1);
    assert_eq!(queue.counts().await.unwrap().delayed, 1);
}
