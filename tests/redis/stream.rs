//! Streams and their groups.

use std::{
    future::{Future, pending, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bartizan::{
    Redis,
    redis::stream::{EntryId, Failure, Group, Message, Position, Stream, Summary},
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::support::{Cluster, Server, eventually, within};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    note: String,
}

/// What a handler saw, in its order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(u64, u32)>>>);

impl Seen {
    fn note(&self, message: &Message<u64>) {
        self.0.lock().push((message.value, message.attempt));
    }

    fn all(&self) -> Vec<(u64, u32)> {
        self.0.lock().clone()
    }

    fn values(&self) -> Vec<u64> {
        let mut values: Vec<u64> = self.all().into_iter().map(|(value, _)| value).collect();
        values.sort_unstable();
        values
    }
}

async fn scene() -> (Server, Redis, Stream<u64>) {
    let server = Server::start().await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    let stream = Stream::new(&redis, "numbers").unwrap();
    (server, redis, stream)
}

/// With pauses that a test can wait for.
fn quick(stream: &Stream<u64>) -> Group<u64> {
    stream.group("readers").unwrap().claim_after(5 * SECOND).backoff(MILLI, 10 * MILLI).drain_time(100 * MILLI)
}

/// Runs `handler` until `done`, at most [`LIMIT`].
async fn run<F: Future<Output = Result<(), Failure>>>(
    group: &Group<u64>,
    handler: impl Fn(Message<u64>) -> F,
    done: impl AsyncFnMut() -> Option<()>,
) -> Summary {
    let stop = async { _ = eventually("the consumer is done", LIMIT, done).await };
    within(2 * LIMIT, group.run_until(handler, stop)).await.0.unwrap()
}

async fn settled(group: &Group<u64>) -> Option<()> {
    let status = group.status().await.unwrap();
    (status.lag == Some(0) && status.pending == 0).then_some(())
}

#[tokio::test]
async fn a_consumer_runs_in_a_task_of_its_own() {
    let (_server, _, stream) = scene().await;
    let group = quick(&stream);
    let (seen, group_there, stop) = (Seen::default(), group.clone(), Arc::new(Notify::new()));
    let (seen_there, stop_there) = (seen.clone(), Arc::clone(&stop));
    let running = tokio::spawn(async move {
        let handler = |message: Message<u64>| {
            seen_there.note(&message);
            async { Ok(()) }
        };
        group_there.run_until(handler, stop_there.notified()).await
    });
    stream.append(&1).await.unwrap();
    eventually("it is done", LIMIT, async || settled(&group).await.filter(|()| !seen.all().is_empty())).await;
    stop.notify_one();
    assert_eq!(within(LIMIT, running).await.0.unwrap().unwrap().acknowledged, 1);
}

#[tokio::test]
async fn what_was_appended_is_read_and_given_to_each_group() {
    let (server, redis, _) = scene().await;
    let orders = Stream::<Order>::new(&redis, "orders").unwrap();
    let order = |id| Order { id, note: "Grüße".to_owned() };
    let first = orders.append(&order(1)).await.unwrap();
    let second = orders.append(&order(2)).await.unwrap();
    assert!(first < second);
    let all = orders.read(Position::Beginning, 10).await.unwrap();
    assert_eq!(all.iter().map(|entry| (entry.id, entry.value.id)).collect::<Vec<_>>(), [(first, 1), (second, 2)]);
    assert_eq!(orders.read(Position::After(first), 10).await.unwrap()[0].value, order(2));
    assert_eq!(orders.read(Position::Since(second.time()), 10).await.unwrap().last().unwrap().id, second);
    assert_eq!(orders.length().await.unwrap(), 2);

    for name in ["mailer", "counter"] {
        let group = orders.group(name).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (handler, stop) = (
            |message: Message<Order>| {
                seen.lock().push(message.value.id);
                async { Ok(()) }
            },
            async {
                let all = async || (seen.lock().len() == 2).then_some(());
                eventually("both are there", LIMIT, all).await;
            },
        );
        let summary = group.run_until(handler, stop).await.unwrap();
        assert_eq!((summary.acknowledged, summary.handed_back), (2, 0), "{name}");
        let status = group.status().await.unwrap();
        assert_eq!((status.entries, status.lag, status.pending, status.consumers), (2, Some(0), 0, 0), "{name}");
    }
    let keys: Vec<String> = server.ask(&["KEYS", "*"]).await.unwrap();
    assert_eq!(keys, ["bartizan:stream:{orders}:log"], "nothing else is left");
}

#[tokio::test]
async fn what_has_a_key_is_appended_once() {
    let (server, redis, stream) = scene().await;
    let first = stream.append_once("a", &1).await.unwrap();
    assert_eq!(stream.append_once("a", &2).await.unwrap(), first);
    assert_ne!(stream.append_once("b", &3).await.unwrap(), first);
    assert_eq!(stream.length().await.unwrap(), 2);
    let ttl: i64 = server.ask(&["PTTL", "bartizan:stream:{numbers}:once:a"]).await.unwrap();
    assert!((3_000_000..=3_600_000).contains(&ttl), "{ttl}");
    for bad in [String::new(), "x".repeat(257)] {
        assert!(stream.append_once(&bad, &1).await.unwrap_err().is_invalid());
    }
    let capped = Stream::<u64>::builder(&redis, "capped").unwrap().cap(10).build();
    for n in 0..500 {
        capped.append_once(&n.to_string(), &n).await.unwrap();
        capped.append(&n).await.unwrap();
    }
    assert!((10..=210).contains(&capped.length().await.unwrap()), "a node of the tree more than the cap, at most");
}

#[tokio::test]
async fn a_failure_is_tried_again_and_then_dead_and_can_be_requeued() {
    let (_server, _, stream) = scene().await;
    for n in 0..4 {
        stream.append(&n).await.unwrap();
    }
    let (group, seen) = (quick(&stream).max_attempts(3), Seen::default());
    let handler = |message: Message<u64>| {
        seen.note(&message);
        async move {
            match (message.value, message.attempt) {
                (0, 1) => Err(io::Error::other("not yet").into()),
                // A panic without its hook, whose backtrace takes a second.
                (1, _) => std::panic::resume_unwind(Box::new("poison")),
                (2, _) => Err(Failure::dead("never")),
                _ => Ok(()),
            }
        }
    };
    let summary = run(&group, handler, async || settled(&group).await).await;
    assert_eq!((summary.acknowledged, summary.failed, summary.dead, summary.late), (2, 3, 2, 0), "{summary:?}");
    let mut all = seen.all();
    all.sort_unstable();
    assert_eq!(all, [(0, 1), (0, 2), (1, 1), (1, 2), (1, 3), (2, 1), (3, 1)]);

    let dead = group.dead_letters(Position::Beginning, 10).await.unwrap();
    let told: Vec<_> =
        dead.iter().map(|dead| (*dead.value.as_ref().unwrap(), dead.attempts, dead.reason.as_str())).collect();
    assert_eq!(told, [(2, 1, "never"), (1, 3, "the handler panicked: poison")]);

    let again = group.requeue(dead[0].id).await.unwrap().unwrap();
    assert_eq!(group.requeue(dead[0].id).await.unwrap(), None, "once");
    assert_eq!(group.discard(dead[1].id).await.unwrap(), 1);
    assert_eq!(group.status().await.unwrap().dead, 0);
    let summary = run(&group, async |_| Ok(()), async || settled(&group).await).await;
    assert_eq!(summary.acknowledged, 1);
    assert_eq!(stream.read(Position::Beginning, 10).await.unwrap().last().unwrap().id, again);
}

#[tokio::test]
async fn a_pause_of_the_handlers_own_is_kept() {
    let (_server, _, stream) = scene().await;
    stream.append(&1).await.unwrap();
    let (group, times) = (quick(&stream), Mutex::new(Vec::new()));
    let handler = async |message: Message<u64>| {
        times.lock().push(tokio::time::Instant::now());
        if message.attempt == 1 { Err(Failure::retry_after(700 * MILLI, "later")) } else { Ok(()) }
    };
    run(&group, handler, async || settled(&group).await).await;
    let times = times.into_inner();
    let pause = times[1] - times[0];
    assert!((700 * MILLI..2 * SECOND).contains(&pause), "{pause:?}");
}

#[tokio::test]
async fn what_is_no_value_is_dead_and_lets_the_others_pass() {
    let (server, _, stream) = scene().await;
    let key = "bartizan:stream:{numbers}:log";
    server.tell(&["XADD", key, "*", "p", ""]).await;
    server.tell(&["XADD", key, "*", "other", "x"]).await;
    stream.append(&7).await.unwrap();
    let (group, seen) = (quick(&stream), Seen::default());
    let handler = |message: Message<u64>| {
        seen.note(&message);
        async { Ok(()) }
    };
    let summary = run(&group, handler, async || settled(&group).await).await;
    assert_eq!((seen.all(), summary.dead), (vec![(7, 1)], 2));
    let dead = group.dead_letters(Position::Beginning, 10).await.unwrap();
    assert!(dead[0].reason.contains("are no value of this type"), "{}", dead[0].reason);
    assert!(dead[1].reason.contains("there is no field `p`"), "{}", dead[1].reason);
    assert!(dead.iter().all(|dead| dead.value.as_ref().unwrap_err().is_undecodable()));
    let kept: Vec<(String, Vec<String>)> =
        server.ask(&["XRANGE", "bartizan:stream:{numbers}:dead:readers", "-", "+"]).await.unwrap();
    assert_eq!(kept[1].1[6..], ["other", "x"], "all it had");

    // By who reads without a group.
    let mut tail = stream.tail(Position::Beginning);
    assert!(tail.next().await.unwrap_err().is_undecodable());
    assert!(tail.next().await.unwrap_err().to_string().contains("stream:{numbers}:log"));
    assert_eq!(tail.next().await.unwrap().value, 7);
}

/// Takes `count` messages and dies without a word.
async fn take_and_die(group: &Group<u64>, count: usize) {
    let (began, seen) = (Notify::new(), Seen::default());
    let handler = |message: Message<u64>| {
        seen.note(&message);
        if seen.all().len() == count {
            began.notify_one();
        }
        pending()
    };
    tokio::select! {
        _ = group.run_until(handler, pending()) => unreachable!("it is not told to stop"),
        _ = within(LIMIT, began.notified()) => {}
    }
}

#[tokio::test]
async fn what_a_dead_consumer_had_is_given_to_others_and_poison_dies() {
    let (_server, _, stream) = scene().await;
    for n in 0..3 {
        stream.append(&n).await.unwrap();
    }
    let (group, seen) = (quick(&stream).claim_after(300 * MILLI).max_attempts(2), Seen::default());
    take_and_die(&group, 3).await;
    assert_eq!(group.status().await.unwrap().pending, 3);
    // The second takes one of them over, and dies as well.
    let alone = group.clone().concurrency(1).prefetch(0);
    take_and_die(&alone, 1).await;
    let handler = |message: Message<u64>| {
        seen.note(&message);
        async { Ok(()) }
    };
    let summary = run(&group, handler, async || settled(&group).await).await;
    assert_eq!((summary.acknowledged, summary.dead), (2, 1), "{summary:?}");
    assert!(seen.all().iter().all(|(_, attempt)| *attempt == 2), "{:?}", seen.all());
    let dead = group.dead_letters(Position::Beginning, 10).await.unwrap();
    assert_eq!(dead[0].reason, "given out 2 times and never settled");
}

#[tokio::test]
async fn a_consumer_with_a_name_goes_on_at_once() {
    let (_server, _, stream) = scene().await;
    for n in 0..5 {
        stream.append(&n).await.unwrap();
    }
    let (group, seen) = (quick(&stream).claim_after(3600 * SECOND).consumer("a").unwrap(), Seen::default());
    take_and_die(&group, 5).await;
    let handler = |message: Message<u64>| {
        seen.note(&message);
        async { Ok(()) }
    };
    run(&group, handler, async || settled(&group).await).await;
    assert_eq!(seen.values(), [0, 1, 2, 3, 4]);
    assert!(group.consumer("~").unwrap_err().is_invalid());
}

#[tokio::test]
async fn a_consumer_that_stops_gives_back_what_it_has() {
    let (_server, _, stream) = scene().await;
    for n in 0..10 {
        stream.append(&n).await.unwrap();
    }
    // Nobody would take it over for an hour.
    let group = quick(&stream).claim_after(3600 * SECOND).concurrency(2);
    let (began, seen) = (Notify::new(), Seen::default());
    let handler = |message: Message<u64>| {
        seen.note(&message);
        began.notify_one();
        let hangs = message.value == 0;
        async move { if hangs { pending().await } else { Ok(()) } }
    };
    let stop = async { began.notified().await };
    let summary = within(LIMIT, group.run_until(handler, stop)).await.0.unwrap();
    let (begun, given) = (seen.all().len() as u64, summary.handed_back);
    assert_eq!((summary.acknowledged, given), (begun - 1, 10 - (begun - 1)), "{summary:?}");
    let status = group.status().await.unwrap();
    assert_eq!((status.pending, status.delayed, status.consumers), (given, given, 0));

    let rest = Seen::default();
    let handler = |message: Message<u64>| {
        rest.note(&message);
        async { Ok(()) }
    };
    run(&group, handler, async || settled(&group).await).await;
    assert_eq!(rest.all().len() as u64, given);
    for (value, attempt) in rest.all() {
        assert_eq!(attempt, if value == 0 { 2 } else { 1 }, "{value}: what was not begun is no attempt");
    }
}

#[tokio::test]
async fn trimming_leaves_what_a_group_needs_and_what_is_trimmed_all_the_same_is_dead() {
    let (server, _, stream) = scene().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(stream.append(&n).await.unwrap());
    }
    assert_eq!(stream.trim(Duration::ZERO).await.unwrap(), 0, "there is no group yet");
    let (first, second) = (quick(&stream), stream.group("others").unwrap());
    run(&first, async |_| Ok(()), async || settled(&first).await).await;
    // The other group has begun, and holds the second and the third.
    let slow = second.clone().concurrency(1).prefetch(2);
    let handler = |message: Message<u64>| async move { if message.value == 0 { Ok(()) } else { pending().await } };
    tokio::select! {
        _ = slow.run_until(handler, pending()) => unreachable!("it is not told to stop"),
        _ = eventually("the first is done", LIMIT, async || {
            let status = second.status().await.ok()?;
            (status.pending == 3 && status.lag == Some(2)).then_some(())
        }) => {}
    }
    assert_eq!(stream.trim(3600 * SECOND).await.unwrap(), 0, "it stays for an hour");
    assert_eq!(stream.trim(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(stream.read(Position::Beginning, 1).await.unwrap()[0].id, ids[1]);

    // By hand, against all advice: one that is pending and one that was not given out.
    server.tell(&["XDEL", "bartizan:stream:{numbers}:log", &ids[2].to_string()]).await;
    let (second, seen) = (second.claim_after(200 * MILLI), Seen::default());
    let handler = |message: Message<u64>| {
        seen.note(&message);
        async { Ok(()) }
    };
    let summary = run(&second, handler, async || settled(&second).await).await;
    assert_eq!((seen.values(), summary.dead), (vec![1, 3, 4, 5], 1));
    let dead = second.dead_letters(Position::Beginning, 10).await.unwrap();
    assert_eq!((dead[0].message, dead[0].reason.as_str()), (ids[2], "trimmed before it was settled"));
    assert!(dead[0].value.is_err());
    assert_eq!(second.requeue(dead[0].id).await.unwrap(), None, "there is nothing left of it");
    assert_eq!(stream.trim(Duration::ZERO).await.unwrap(), 4);
    assert_eq!(stream.length().await.unwrap(), 0);
}

#[tokio::test]
async fn a_handler_whose_message_was_given_to_somebody_else_is_dropped() {
    let (server, _, stream) = scene().await;
    let id = stream.append(&1).await.unwrap().to_string();
    let (group, began, dropped) = (quick(&stream).claim_after(300 * MILLI), Notify::new(), Arc::new(Notify::new()));
    let handler = |_: Message<u64>| {
        began.notify_one();
        let guard = Guard(Arc::clone(&dropped));
        async move {
            let _guard = guard;
            pending().await
        }
    };
    let stop = async {
        began.notified().await;
        server.tell(&["XCLAIM", "bartizan:stream:{numbers}:log", "readers", "thief", "0", &id]).await;
        dropped.notified().await;
    };
    let summary = within(LIMIT, group.run_until(handler, stop)).await.0.unwrap();
    assert_eq!((summary.lost, summary.handed_back), (1, 0), "{summary:?}");
}

struct Guard(Arc<Notify>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn who_is_late_settles_nothing_for_the_one_who_has_it() {
    let (server, _, stream) = scene().await;
    let id = stream.append(&1).await.unwrap().to_string();
    // Renewals are too rare to tell.
    let group = quick(&stream).claim_after(3600 * SECOND);
    let claim = async || {
        server.tell(&["XCLAIM", "bartizan:stream:{numbers}:log", "readers", "other", "0", &id]).await;
    };
    let handler = async |_| {
        claim().await;
        Err(Failure::dead("said too late"))
    };
    let began = Notify::new();
    let noticed = |message| {
        began.notify_one();
        handler(message)
    };
    let stop = async {
        began.notified().await;
        let pending = async || {
            let left: Vec<(String, String, u64, u64)> = server
                .ask(&["XPENDING", "bartizan:stream:{numbers}:log", "readers", "-", "+", "10", "other"])
                .await
                .unwrap();
            (left.len() == 1).then_some(())
        };
        eventually("the other has it", LIMIT, pending).await;
    };
    let summary = within(LIMIT, group.run_until(noticed, stop)).await.0.unwrap();
    assert_eq!((summary.lost, summary.dead), (1, 0), "{summary:?}");
    let status = group.status().await.unwrap();
    assert_eq!((status.pending, status.dead), (1, 0));
}

#[tokio::test]
async fn batches_are_whole_until_one_fails() {
    let (_server, _, stream) = scene().await;
    for n in 0..10 {
        stream.append(&n).await.unwrap();
    }
    let (group, batches) = (quick(&stream).concurrency(1).max_attempts(3), Mutex::new(Vec::new()));
    let handler = |batch: Vec<Message<u64>>| {
        let values: Vec<u64> = batch.iter().map(|message| message.value).collect();
        batches.lock().push(values.clone());
        async move { if values.contains(&2) { Err(Failure::retry("two")) } else { Ok(()) } }
    };
    let stop = async { _ = eventually("all is settled", LIMIT, async || settled(&group).await).await };
    let summary = within(2 * LIMIT, group.run_batches_until(5, handler, stop)).await.0.unwrap();
    assert_eq!((summary.acknowledged, summary.dead), (9, 1));
    let batches = batches.into_inner();
    assert_eq!(batches[..2], [vec![0, 1, 2, 3, 4], vec![5, 6, 7, 8, 9]]);
    assert!(batches[2..].iter().all(|batch| batch.len() == 1), "{batches:?}");
    assert_eq!(batches.iter().filter(|batch| batch.contains(&2)).count(), 3);
    assert_eq!(batches.len(), 2 + 4 + 2);
}

#[tokio::test]
async fn a_tail_misses_nothing_between_two_reads_and_can_be_resumed() {
    let (_server, redis, stream) = scene().await;
    stream.append(&0).await.unwrap();
    let mut tail = stream.tail(Position::End);
    // It looks where the end is, and finds nothing.
    assert!(tokio::time::timeout(300 * MILLI, tail.next()).await.is_err());
    for n in 1..=250 {
        stream.append(&n).await.unwrap();
    }
    for n in 1..=120 {
        assert_eq!(within(LIMIT, tail.next()).await.0.unwrap().value, n);
    }
    let mut resumed = stream.tail(tail.position());
    for n in 121..=250 {
        assert_eq!(within(LIMIT, resumed.next()).await.0.unwrap().value, n);
    }
    let waiting = async { resumed.next().await.unwrap().value };
    let appending = async { stream.append(&251).await.unwrap() };
    assert_eq!(tokio::join!(waiting, appending).0, 251);
    let _ = redis;
}

#[tokio::test]
async fn a_tail_comes_back_with_its_server() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let redis = Redis::builder(&server.url()).unwrap().backoff(MILLI, 10 * MILLI).connect().await.unwrap();
    let stream = Stream::<u64>::new(&redis, "numbers").unwrap();
    stream.append(&1).await.unwrap();
    let mut tail = stream.tail(Position::Beginning);
    assert_eq!(tail.next().await.unwrap().value, 1);
    server.kill();
    assert!(within(LIMIT, tail.next()).await.0.unwrap_err().is_unavailable());
    server.restart().await;
    let appended = eventually("it is appended", LIMIT, async || stream.append_once("two", &2).await.ok());
    let next = async { eventually("it is told", LIMIT, async || tail.next().await.ok()).await.0 };
    assert_eq!(tokio::join!(appended, next).1.value, 2);
}

#[tokio::test]
async fn a_group_that_was_lost_is_made_again() {
    let (server, _, stream) = scene().await;
    stream.append(&1).await.unwrap();
    let (group, seen) = (quick(&stream), Seen::default());
    let handler = |message: Message<u64>| {
        seen.note(&message);
        async { Ok(()) }
    };
    let stop = async {
        eventually("the first", LIMIT, async || (seen.values() == [1]).then_some(())).await;
        server.tell(&["FLUSHALL"]).await;
        stream.append(&2).await.unwrap();
        eventually("the second", LIMIT, async || (seen.values() == [1, 2]).then_some(())).await;
        server.tell(&["XGROUP", "DESTROY", "bartizan:stream:{numbers}:log", "readers"]).await;
        stream.append(&3).await.unwrap();
        eventually("rather twice than never", LIMIT, async || (seen.values() == [1, 2, 2, 3]).then_some(())).await;
    };
    within(3 * LIMIT, group.run_until(handler, stop)).await.0.unwrap();
}

#[tokio::test]
async fn a_consumer_outlasts_its_server() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let redis = Redis::builder(&server.url()).unwrap().backoff(MILLI, 10 * MILLI).connect().await.unwrap();
    let stream = Stream::<u64>::new(&redis, "numbers").unwrap();
    for n in 0..100 {
        stream.append(&n).await.unwrap();
    }
    let (group, seen) = (quick(&stream).concurrency(4), Seen::default());
    let (half, back) = (Notify::new(), tokio_util::sync::CancellationToken::new());
    let handler = |message: Message<u64>| {
        seen.note(&message);
        let is_half = seen.all().len() == 50;
        let (half, back) = (&half, &back);
        async move {
            if is_half {
                half.notify_one();
                back.cancelled().await;
            }
            Ok(())
        }
    };
    let stop = async {
        half.notified().await;
        server.kill();
        server.restart().await;
        back.cancel();
        eventually("all is settled", LIMIT, async || {
            let status = group.status().await.ok()?;
            (status.lag == Some(0) && status.pending == 0).then_some(())
        })
        .await;
    };
    let summary = within(2 * LIMIT, group.run_until(handler, stop)).await.0.unwrap();
    let mut values = seen.values();
    values.dedup();
    assert_eq!(values, (0..100).collect::<Vec<_>>());
    assert_eq!(summary.dead, 0);
}

#[tokio::test]
async fn whoever_leaves_at_any_await_loses_nothing() {
    let (_server, _, stream) = scene().await;
    let (group, seen) = (quick(&stream).claim_after(300 * MILLI).max_attempts(1000), Seen::default());
    let handler = |message: Message<u64>| {
        seen.note(&message);
        async move {
            tokio::task::yield_now().await;
            if message.attempt == 1 && message.value.is_multiple_of(3) { Err(Failure::retry("third")) } else { Ok(()) }
        }
    };
    let mut appended = 0;
    for polls in 0..60 {
        for _ in 0..3 {
            stream.append(&appended).await.unwrap();
            appended += 1;
        }
        let mut running = pin!(group.run_until(handler, async { tokio::task::yield_now().await }));
        for _ in 0..polls {
            if poll_fn(|cx| Poll::Ready(running.as_mut().poll(cx).is_ready())).await {
                break;
            }
            tokio::time::timeout(MILLI, pending::<()>()).await.unwrap_err();
        }
    }
    run(&group, handler, async || settled(&group).await).await;
    let mut values = seen.values();
    values.dedup();
    assert_eq!(values, (0..appended).collect::<Vec<_>>());
    assert_eq!(group.status().await.unwrap().dead, 0);
}

#[tokio::test]
async fn what_cannot_be_is_an_error_that_names_the_key() {
    let (server, redis, stream) = scene().await;
    server.tell(&["SET", "bartizan:stream:{numbers}:log", "x"]).await;
    let group = stream.group("readers").unwrap();
    for error in [
        stream.append(&1).await.unwrap_err(),
        stream.append_once("a", &1).await.unwrap_err(),
        stream.length().await.unwrap_err(),
        stream.trim(Duration::ZERO).await.unwrap_err(),
        stream.read(Position::Beginning, 1).await.unwrap_err(),
        stream.tail(Position::End).next().await.unwrap_err(),
        group.status().await.unwrap_err(),
        within(LIMIT, group.run_until(async |_| Ok(()), pending())).await.0.unwrap_err(),
    ] {
        assert_eq!(error.code(), Some("WRONGTYPE"), "{error}");
        assert!(error.to_string().contains("stream:{numbers}:log"), "{error}");
    }
    server.tell(&["DEL", "bartizan:stream:{numbers}:log"]).await;
    server.tell(&["SET", "bartizan:stream:{numbers}:dead:readers", "x"]).await;
    stream.append(&1).await.unwrap();
    let dying = within(LIMIT, group.run_until(async |_| Err(Failure::dead("no")), pending())).await.0.unwrap_err();
    for error in [dying, group.status().await.unwrap_err()] {
        assert!(error.to_string().contains("dead:readers`: the key holds a string"), "{error}");
    }
    assert!(group.dead_letters(Position::Beginning, 1).await.unwrap_err().to_string().contains("dead:readers"));
    assert!(Stream::<u64>::new(&redis, "a{b").unwrap_err().is_invalid());
    assert!(stream.group("").unwrap_err().is_invalid());
    let small = Stream::<String>::builder(&redis, "small").unwrap().largest(3).build();
    let error = small.append(&"secret".to_owned()).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("stream:{small}:log"), "{error}");
    assert!("7-x".parse::<EntryId>().unwrap_err().is_invalid());
}

#[tokio::test]
async fn it_works_in_a_cluster() {
    let cluster = Cluster::start().await;
    let redis = cluster.handle(5 * SECOND).connect().await.unwrap();
    for name in ["a", "b", "c", "d"] {
        let stream = Stream::<u64>::new(&redis, name).unwrap();
        for n in 0..20 {
            stream.append_once(&n.to_string(), &n).await.unwrap();
        }
        let (group, seen) = (quick(&stream), Seen::default());
        let handler = |message: Message<u64>| {
            seen.note(&message);
            async move { if message.attempt == 1 { Err(Failure::retry("first")) } else { Ok(()) } }
        };
        let summary = run(&group, handler, async || settled(&group).await).await;
        assert_eq!((summary.acknowledged, summary.failed), (20, 20), "{name}");
        assert_eq!(stream.trim(Duration::ZERO).await.unwrap(), 20, "{name}");
    }
}
