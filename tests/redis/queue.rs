//! Queues.

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bartizan::{
    Redis,
    clock::Timestamp,
    redis::queue::{Claimed, Hold, Job, JobPlace, Pushed, Queue, QueueCounts, Settled},
};
use tokio::sync::Notify;

use crate::support::{Cluster, Server, eventually, within};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3600);

async fn scene() -> (Server, Redis, Queue<u64>) {
    let server = Server::start().await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    let queue = Queue::new(&redis, "jobs").unwrap();
    (server, redis, queue)
}

async fn all(queue: &Queue<u64>) -> Vec<u64> {
    let mut values = Vec::new();
    while let Some(job) = queue.claim().await.unwrap() {
        values.push(job.value);
        assert_eq!(job.ack().await.unwrap(), Settled::Done);
    }
    values
}

async fn counts(queue: &Queue<u64>) -> [u64; 4] {
    let QueueCounts { ready, delayed, claimed, dead, .. } = queue.counts().await.unwrap();
    [ready, delayed, claimed, dead]
}

/// The next job, as soon as there is one.
async fn next(queue: &Queue<u64>) -> Claimed<u64> {
    eventually("there is a job", LIMIT, async || queue.claim().await.unwrap()).await.0
}

#[tokio::test]
async fn jobs_are_given_out_by_priority_and_then_by_age() {
    let (server, _, queue) = scene().await;
    for (value, priority) in [(1, 128), (2, 0), (3, 255), (4, 128), (5, 255), (6, 127)] {
        assert!(matches!(queue.push(Job::new(&value).priority(priority)).await.unwrap(), Pushed::New(_)));
    }
    assert_eq!(counts(&queue).await, [6, 0, 0, 0]);
    let two = queue.claim_many(2).await.unwrap();
    assert_eq!(
        two.iter().map(|job| (job.value, job.attempt, job.priority)).collect::<Vec<_>>(),
        [(3, 1, 255), (5, 1, 255)]
    );
    assert_eq!(counts(&queue).await, [4, 0, 2, 0]);
    // Given back, a job is as old as it was.
    assert_eq!(two[0].nack(Duration::ZERO, "busy").await.unwrap(), Settled::Back);
    assert_eq!(two[1].ack().await.unwrap(), Settled::Done);
    assert_eq!(two[1].ack().await.unwrap(), Settled::Lost, "twice");
    assert_eq!(all(&queue).await, [3, 1, 4, 6, 2]);
    let keys: Vec<String> = server.ask(&["KEYS", "*"]).await.unwrap();
    assert_eq!(keys, ["bartizan:queue:{jobs}:meta"], "nothing else is left");
}

#[tokio::test]
async fn what_is_due_later_comes_when_it_is_due() {
    let (_server, _, queue) = scene().await;
    queue.push(Job::new(&1).delay(HOUR)).await.unwrap();
    queue.push(Job::new(&2).delay(600 * MILLI)).await.unwrap();
    queue.push(Job::new(&3).delay(300 * MILLI).priority(0)).await.unwrap();
    queue.push(Job::new(&4).at(Timestamp::from_millis(1))).await.unwrap();
    assert_eq!(counts(&queue).await, [1, 3, 0, 0], "what was due long ago is ready");
    assert_eq!(all(&queue).await, [4]);
    // Who waits is told to the moment, not once in a second.
    let (job, took) = within(LIMIT, queue.claim_within(HOUR)).await;
    assert_eq!(job.unwrap().unwrap().value, 3);
    assert!(took >= 200 * MILLI, "{took:?}");
    assert_eq!(within(LIMIT, queue.claim_within(HOUR)).await.0.unwrap().unwrap().value, 2);
    assert_eq!(counts(&queue).await, [0, 1, 2, 0]);
    let far = queue.push(Job::new(&5).delay(Duration::MAX)).await.unwrap().id();
    queue.push(Job::new(&6).at(Timestamp::from_millis(u64::MAX))).await.unwrap();
    assert_eq!(queue.find(far).await.unwrap().unwrap().place, JobPlace::Delayed);
    assert!(queue.claim_within(10 * MILLI).await.unwrap().is_none());
}

#[tokio::test]
async fn who_waits_is_woken_by_who_pushes() {
    let (_server, _, queue) = scene().await;
    let waiting = async {
        let mut waits = Vec::new();
        for _ in 0..10 {
            let (job, took) = within(LIMIT, queue.claim_within(HOUR)).await;
            waits.push(took);
            assert_eq!(job.unwrap().unwrap().ack().await.unwrap(), Settled::Done);
        }
        waits.sort_unstable();
        waits[5]
    };
    let pushing = async {
        for n in 0..10 {
            eventually("all is done", LIMIT, async || (counts(&queue).await == [0; 4]).then_some(())).await;
            tokio::time::timeout(50 * MILLI, pending::<()>()).await.unwrap_err();
            queue.push(Job::new(&n)).await.unwrap();
        }
    };
    let (median, ()) = tokio::join!(waiting, pushing);
    assert!(median < 500 * MILLI, "{median:?}: half a second is what looking once in a second would take");
}

#[tokio::test]
async fn a_key_is_one_job() {
    let (server, redis, queue) = scene().await;
    let first = queue.push(Job::new(&1).key("a")).await.unwrap();
    assert_eq!(queue.push(Job::new(&2).key("a")).await.unwrap(), Pushed::Known(first.id()));
    let job = queue.claim().await.unwrap().unwrap();
    assert_eq!(queue.push(Job::new(&2).key("a")).await.unwrap(), Pushed::Known(first.id()), "it is worked at");
    job.ack().await.map(drop).unwrap();
    assert_eq!(queue.push(Job::new(&2).key("a")).await.unwrap(), Pushed::Known(first.id()), "it is remembered");
    assert!(all(&queue).await.is_empty());

    // With a shorter memory it is forgotten; of a key with all kinds of bytes too.
    let queue = Queue::builder(&redis, "short").unwrap().dedup_for(Duration::ZERO).build();
    let key = "a b\n{c} ";
    let first = queue.push(Job::new(&1).key(key)).await.unwrap();
    assert_eq!(queue.push(Job::new(&2).key(key)).await.unwrap(), Pushed::Known(first.id()));
    assert_eq!(all(&queue).await, [1]);
    let second = queue.push(Job::new(&3).key(key)).await.unwrap();
    assert!(matches!(second, Pushed::New(_)) && second.id() > first.id());
    // The dead do not hold their key, and have it again if nobody took it.
    assert_eq!(queue.claim().await.unwrap().unwrap().bury("no").await.unwrap(), Settled::Dead);
    let third = queue.push(Job::new(&4).key(key)).await.unwrap();
    assert!(matches!(third, Pushed::New(_)));
    assert_eq!(queue.requeue(second.id()).await.unwrap(), 1);
    assert_eq!(queue.push(Job::new(&5).key(key)).await.unwrap(), Pushed::Known(third.id()));
    assert_eq!(all(&queue).await, [3, 4]);
    let keys: Vec<String> = server.ask(&["KEYS", "*{short}*"]).await.unwrap();
    assert_eq!(keys, ["bartizan:queue:{short}:meta"]);
    assert!(queue.push(Job::new(&1).key(&"x".repeat(257))).await.unwrap_err().is_invalid());

    // What is remembered is forgotten, by and by.
    let queue = Queue::builder(&redis, "brief").unwrap().dedup_for(200 * MILLI).build();
    for n in 0..5 {
        queue.push(Job::new(&n).key(&n.to_string())).await.unwrap();
    }
    assert_eq!(all(&queue).await, [0, 1, 2, 3, 4]);
    eventually("the keys are forgotten", LIMIT, async || {
        queue.push(Job::new(&9)).await.unwrap();
        assert_eq!(all(&queue).await, [9]);
        let left: u64 = server.ask(&["HLEN", "bartizan:queue:{brief}:keys"]).await.unwrap();
        (left == 0).then_some(())
    })
    .await;
    assert!(matches!(queue.push(Job::new(&1).key("1")).await.unwrap(), Pushed::New(_)));
}

#[tokio::test]
async fn what_fails_is_given_out_again_until_it_is_dead() {
    let (_server, redis, _) = scene().await;
    let queue = Queue::builder(&redis, "jobs").unwrap().max_attempts(3).build();
    let id = queue.push(Job::new(&1)).await.unwrap().id();
    for attempt in 1..=2 {
        let job = next(&queue).await;
        assert_eq!(job.attempt, attempt);
        assert_eq!(job.nack(10 * MILLI, format!("attempt {attempt}")).await.unwrap(), Settled::Back);
        assert_eq!(job.nack(10 * MILLI, "again").await.unwrap(), Settled::Lost);
    }
    let status = queue.find(id).await.unwrap().unwrap();
    assert_eq!((status.attempts, status.reason.as_deref()), (2, Some("attempt 2")));
    assert_eq!(next(&queue).await.nack(10 * MILLI, "x".repeat(2000)).await.unwrap(), Settled::Dead);
    assert_eq!(counts(&queue).await, [0, 0, 0, 1]);
    let dead = queue.dead(10).await.unwrap();
    assert_eq!((dead.len(), dead[0].id, dead[0].attempts, dead[0].reason.len()), (1, id, 3, 1024));
    assert_eq!(*dead[0].value.as_ref().unwrap(), 1);
    assert!(queue.dead(0).await.unwrap().is_empty());

    assert_eq!(queue.requeue(id).await.unwrap(), 1);
    assert_eq!(queue.requeue(id).await.unwrap(), 0);
    let job = queue.claim().await.unwrap().unwrap();
    assert_eq!(job.attempt, 1, "it has another life");
    assert_eq!(queue.remove(id).await.unwrap(), 0, "somebody works at it");
    assert_eq!(job.bury("no use").await.unwrap(), Settled::Dead);
    assert_eq!(queue.remove(id).await.unwrap(), 1);
    assert!(queue.find(id).await.unwrap().is_none());
}

#[tokio::test]
async fn what_nobody_is_heard_of_is_given_to_others_and_the_first_settles_nothing() {
    let (_server, redis, _) = scene().await;
    let queue = Queue::builder(&redis, "jobs").unwrap().visibility(100 * MILLI).max_attempts(2).build();
    queue.push(Job::new(&1)).await.unwrap();
    let first = queue.claim().await.unwrap().unwrap();
    let second = next(&queue).await;
    assert_eq!((first.id, second.attempt), (second.id, 2));
    assert_eq!(first.ack().await.unwrap(), Settled::Lost);
    assert_eq!(first.nack(HOUR, "late").await.unwrap(), Settled::Lost);
    assert_eq!(first.heartbeat("late").await.unwrap(), Hold::Lost);
    assert_eq!(counts(&queue).await[2..], [1, 0]);
    drop(second);
    eventually("it dies", LIMIT, async || {
        assert!(queue.claim().await.unwrap().is_none());
        (counts(&queue).await == [0, 0, 0, 1]).then_some(())
    })
    .await;
    assert_eq!(queue.dead(1).await.unwrap()[0].reason, "given out 2 times and never settled");
}

#[tokio::test]
async fn what_is_worked_at_is_kept_and_progress_is_told() {
    let (_server, redis, _) = scene().await;
    let queue = Queue::builder(&redis, "jobs").unwrap().visibility(400 * MILLI).build();
    let id = queue.push(Job::new(&1)).await.unwrap().id();
    let job = queue.claim().await.unwrap().unwrap();
    assert_eq!(job.heartbeat("a half").await.unwrap(), Hold::Kept);
    let working = async {
        let tick = tokio::time::timeout(2 * SECOND, pending::<()>());
        drop(tick.await);
        7
    };
    let watching = async {
        // The others look all the time.
        for _ in 0..15 {
            assert!(queue.claim_within(100 * MILLI).await.unwrap().is_none());
        }
    };
    let (told, ()) = tokio::join!(job.keep_while(working), watching);
    assert_eq!(told, Some(7));
    let status = queue.find(id).await.unwrap().unwrap();
    assert_eq!((status.place, status.progress.as_deref()), (JobPlace::Claimed, Some("a half")));
    assert_eq!(job.ack().await.unwrap(), Settled::Done);

    // It is lost while it is worked at: the work is dropped.
    queue.push(Job::new(&2)).await.unwrap();
    let job = queue.claim().await.unwrap().unwrap();
    let dropped = Arc::new(Notify::new());
    let guard = Guard(Arc::clone(&dropped));
    let working = async move {
        let _guard = guard;
        pending::<()>().await;
    };
    let (told, settled) = tokio::join!(job.keep_while(working), job.bury("by somebody else"));
    assert_eq!((told, settled.unwrap()), (None, Settled::Dead));
    within(LIMIT, dropped.notified()).await;
}

struct Guard(Arc<Notify>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn whoever_leaves_at_any_await_loses_nothing() {
    let (_server, redis, _) = scene().await;
    let queue = Queue::builder(&redis, "jobs").unwrap().visibility(50 * MILLI).max_attempts(1000).build();
    let mut left = std::collections::BTreeSet::new();
    let mut completed = 0;
    for polls in 0..40u64 {
        let whole = async {
            queue.push(Job::new(&polls).key(&polls.to_string())).await.unwrap();
            let job = queue.claim_within(SECOND).await.unwrap().unwrap();
            job.heartbeat("x").await.map(drop).unwrap();
            job.nack(Duration::ZERO, "again").await.map(drop).unwrap();
            let job = queue.claim_within(SECOND).await.unwrap().unwrap();
            job.nack(Duration::ZERO, "and again").await.map(drop).unwrap();
        };
        let mut whole = pin!(whole);
        for _ in 0..polls {
            if poll_fn(|cx| Poll::Ready(whole.as_mut().poll(cx).is_ready())).await {
                completed += 1;
                break;
            }
            tokio::time::timeout(MILLI, pending::<()>()).await.unwrap_err();
        }
        // Who does not know whether it was pushed pushes it again.
        queue.push(Job::new(&polls).key(&polls.to_string())).await.unwrap();
        left.insert(polls);
    }
    assert!(completed > 0, "some came to their end");
    eventually("all come", LIMIT, async || {
        while let Some(job) = queue.claim().await.unwrap() {
            assert!(left.remove(&job.value), "{} is there once", job.value);
            assert_eq!(job.ack().await.unwrap(), Settled::Done);
        }
        left.is_empty().then_some(())
    })
    .await;
    assert_eq!(counts(&queue).await, [0; 4]);
}

#[tokio::test]
async fn what_cannot_be_is_an_error_that_names_the_queue() {
    let (server, redis, queue) = scene().await;
    // What is no value dies, and lets the others pass.
    Queue::<String>::new(&redis, "jobs").unwrap().push(Job::new(&"no number".repeat(9))).await.unwrap();
    queue.push(Job::new(&1)).await.unwrap();
    assert_eq!(all(&queue).await, [1]);
    let dead = queue.dead(1).await.unwrap();
    assert!(dead[0].reason.contains("queue:{jobs}:jobs` at `0000000000000001"), "{}", dead[0].reason);
    assert!(dead[0].value.as_ref().unwrap_err().is_undecodable());

    server.tell(&["SET", "bartizan:queue:{other}:ready", "x"]).await;
    let other = Queue::<u64>::new(&redis, "other").unwrap();
    for error in [
        other.push(Job::new(&1)).await.unwrap_err(),
        other.claim().await.unwrap_err(),
        other.claim_within(SECOND).await.unwrap_err(),
        other.counts().await.unwrap_err(),
    ] {
        assert_eq!(error.code(), Some("WRONGTYPE"), "{error}");
        assert!(error.to_string().contains("queue:{other}:ready`: the key holds a string"), "{error}");
    }
    // Nothing was half pushed.
    server.tell(&["DEL", "bartizan:queue:{other}:ready"]).await;
    assert!(other.claim().await.unwrap().is_none());
    assert_eq!(server.ask::<u64>(&["HLEN", "bartizan:queue:{other}:jobs"]).await.unwrap(), 0);
    assert!(Queue::<u64>::new(&redis, "a}").unwrap_err().is_invalid());
    let small = Queue::<String>::builder(&redis, "small").unwrap().largest(3).build();
    let error = small.push(Job::new(&"secret".to_owned())).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("queue:{small}"), "{error}");
}

#[tokio::test]
async fn it_works_in_a_cluster() {
    let cluster = Cluster::start().await;
    let redis = cluster.handle(5 * SECOND).connect().await.unwrap();
    for name in ["a", "b", "c", "d"] {
        let queue = Queue::new(&redis, name).unwrap();
        for n in 0..10 {
            queue.push(Job::new(&n).key(&n.to_string()).delay((n % 2) as u32 * MILLI)).await.unwrap();
        }
        let mut values = Vec::new();
        while let Some(job) = queue.claim_within(500 * MILLI).await.unwrap() {
            values.push(job.value);
            assert_eq!(job.ack().await.unwrap(), Settled::Done);
        }
        values.sort_unstable();
        assert_eq!(values, (0..10).collect::<Vec<_>>(), "{name}");
    }
}
