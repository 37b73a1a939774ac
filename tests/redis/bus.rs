//! Messages of a bus, and that none is missed without a word.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bartizan::{
    Redis,
    redis::bus::{Bus, Event, Feed, Missed},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use crate::support::{Cluster, Link, Proxy, Server, eventually, within};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Beyond what the servers themselves need to agree on a new primary.
const LIMIT: Duration = Duration::from_secs(20);

async fn next<T: DeserializeOwned + std::fmt::Debug>(feed: &mut Feed<T>) -> Event<T> {
    within(LIMIT, feed.next()).await.0
}

async fn begun<T: DeserializeOwned + std::fmt::Debug>(feed: &mut Feed<T>) {
    assert!(matches!(next(feed).await, Event::Begun));
}

async fn message<T: DeserializeOwned + std::fmt::Debug>(feed: &mut Feed<T>) -> (String, T) {
    match next(feed).await {
        Event::Message { topic, payload } => (topic, payload),
        other => panic!("{other:?}"),
    }
}

/// Until something was missed, and all is heard again.
async fn resumed<T: DeserializeOwned + std::fmt::Debug>(feed: &mut Feed<T>) {
    loop {
        match next(feed).await {
            Event::Missed(Missed::Disconnected) => return,
            Event::Disconnected(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn bus<T: Serialize + DeserializeOwned>(url: &str) -> Bus<T> {
    let redis = Redis::builder(url).unwrap().backoff(MILLI, 10 * MILLI).connect().await.unwrap();
    Bus::new(&redis, "prices").unwrap()
}

#[tokio::test]
async fn messages_come_typed_and_in_their_order_by_topic_and_by_pattern() {
    for args in [&[][..], &["--rename-command", "HELLO", ""]] {
        let server = Server::start_with(args).await;
        let redis = Redis::builder(&server.url()).unwrap().namespace("a*[b]?").connect().await.unwrap();
        let prices: Bus<(u64, String)> = Bus::new(&redis, "prices*").unwrap();
        let mut feed = prices.subscribe(&["shoes", "socks"]).unwrap().patterns(&["hats:*"]).unwrap();
        begun(&mut feed).await;
        server.tell(&["PUBLISH", "aa[b]?:bus:{prices*}:shoes", "of another namespace"]).await;
        server.tell(&["PUBLISH", "aab!:bus:{prices*}:hats:top", "of another namespace"]).await;
        for (n, topic) in (0..).zip(["shoes", "hats:top", "gloves", "hats:", "socks", "hats", "shoes"]) {
            let heard = prices.publish(topic, &(n, topic.to_owned())).await.unwrap();
            assert_eq!(heard, u64::from(!matches!(topic, "gloves" | "hats")), "{topic}");
        }
        for n in [0, 1, 3, 4, 6] {
            let (topic, (number, written)) = message(&mut feed).await;
            assert_eq!((number, topic), (n, written));
        }
        drop(feed);
        eventually("nobody listens", SECOND, async || {
            (prices.publish("shoes", &(0, String::new())).await.unwrap() == 0).then_some(())
        })
        .await;
    }
}

/// What a listener knows of a stream of numbers.
#[derive(Default)]
struct Record {
    last: Option<u64>,
    may_lack: bool,
    messages: u64,
    gaps: u64,
    missed: u64,
}

// === impl Record ===

impl Record {
    fn note(&mut self, event: &Event<u64>) {
        match event {
            Event::Message { payload, .. } => {
                let follows = self.last.map_or(0, |last| last + 1);
                assert!(*payload >= follows, "{payload} comes after {:?}", self.last);
                if *payload > follows {
                    self.gaps += 1;
                    assert!(self.may_lack, "{follows} to {payload} were missed in silence");
                }
                self.may_lack = false;
                self.last = Some(*payload);
                self.messages += 1;
            }
            Event::Begun | Event::Missed(_) => {
                self.may_lack = true;
                self.missed += 1;
            }
            Event::Disconnected(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn until(feed: &mut Feed<u64>, record: &mut Record, is_it: impl Fn(&Event<u64>) -> bool) {
    let waiting = async {
        loop {
            let event = feed.next().await;
            record.note(&event);
            if is_it(&event) {
                return;
            }
        }
    };
    within(LIMIT, waiting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_cut_a_hundred_times_under_load_tells_of_each_gap() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let (near, far): (Bus<u64>, Bus<u64>) = (bus(&server.url()).await, bus(&proxy.url()).await);
    let mut feed = far.subscribe(&["n"]).unwrap().heartbeat(200 * MILLI);
    let mut record = Record::default();
    until(&mut feed, &mut record, |event| matches!(event, Event::Begun)).await;
    let done = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn({
        let done = Arc::clone(&done);
        async move {
            let mut n = 0;
            while !done.load(Ordering::Relaxed) {
                near.publish("n", &n).await.unwrap();
                n += 1;
            }
            n
        }
    });
    for round in 0..100 {
        // Most ends are seen; some a heartbeat has to find.
        proxy.set(if round % 10 == 9 { Link::HalfOpen } else { Link::Cut });
        until(&mut feed, &mut record, |event| matches!(event, Event::Disconnected(_))).await;
        proxy.set(Link::Up);
        until(&mut feed, &mut record, |event| matches!(event, Event::Missed(_))).await;
        until(&mut feed, &mut record, |event| matches!(event, Event::Message { .. })).await;
    }
    done.store(true, Ordering::Relaxed);
    let published = publishing.await.unwrap();
    until(&mut feed, &mut record, |event| matches!(event, Event::Message { payload, .. } if *payload + 1 == published))
        .await;
    let Record { messages, gaps, missed, .. } = record;
    println!("{published} published, {messages} heard, {gaps} gaps, {missed} announced");
    assert!(missed > 100 && messages > 100, "{missed} {messages}");
}

#[tokio::test]
async fn who_is_slow_has_the_newest_and_is_told_how_many_are_gone() {
    let server = Server::start().await;
    server.tell(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0"]).await;
    let prices: Bus<String> = bus(&server.url()).await;
    let mut feed = prices.subscribe(&["text"]).unwrap().buffer(64 << 10);
    begun(&mut feed).await;
    let text = "x".repeat(1 << 10);
    for _ in 0..2000 {
        prices.publish("text", &text).await.unwrap();
    }
    prices.publish("text", &"last".to_owned()).await.unwrap();
    // Far more was sent than sockets hold: it is here, and most of it was dropped.
    eventually("all was sent", LIMIT, async || {
        let clients: String = server.ask(&["CLIENT", "LIST", "TYPE", "pubsub"]).await.unwrap();
        clients.contains("omem=0").then_some(())
    })
    .await;
    let (mut dropped, mut heard) = (0, 0);
    loop {
        match next(&mut feed).await {
            Event::Missed(Missed::Slow { dropped: more }) => dropped += more,
            Event::Message { payload, .. } => {
                heard += 1;
                if payload == "last" {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    println!("{dropped} dropped, {heard} heard");
    assert!(dropped > 0 && dropped + heard == 2001, "{dropped} {heard}");
}

#[tokio::test]
async fn a_link_that_loses_everything_in_silence_is_found_out_by_a_heartbeat() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let (near, far): (Bus<u64>, Bus<u64>) = (bus(&server.url()).await, bus(&proxy.url()).await);
    let mut quiet = near.subscribe(&["n"]).unwrap().heartbeat(400 * MILLI);
    begun(&mut quiet).await;
    assert!(timeout(2 * SECOND, quiet.next()).await.is_err(), "heartbeats are not heard of, and none is missed");

    let mut feed = far.subscribe(&["n"]).unwrap().heartbeat(300 * MILLI);
    begun(&mut feed).await;
    proxy.set(Link::Held);
    match next(&mut feed).await {
        Event::Disconnected(error) => assert!(error.is_timed_out(), "{error}"),
        other => panic!("{other:?}"),
    }
    proxy.set(Link::Up);
    resumed(&mut feed).await;
    near.publish("n", &7).await.unwrap();
    assert_eq!(message(&mut feed).await, ("n".to_owned(), 7));
}

#[tokio::test]
async fn who_may_only_listen_listens_without_a_heartbeat() {
    let rules = ["--user", "web", "on", ">s3cret", "~*", "&*", "+@all", "-publish"];
    let server = Server::start_with(&rules).await;
    let redis = Redis::builder(&server.url()).unwrap().user("web").password("s3cret").connect().await.unwrap();
    let listens: Bus<u64> = Bus::new(&redis, "prices").unwrap();
    let error = listens.publish("n", &1).await.unwrap_err();
    assert!(error.code() == Some("NOPERM") && error.to_string().contains("bus:{prices}:n"), "{error}");
    let mut feed = listens.subscribe(&["n"]).unwrap().heartbeat(20 * MILLI);
    begun(&mut feed).await;
    assert!(timeout(500 * MILLI, feed.next()).await.is_err());
    bus::<u64>(&server.url()).await.publish("n", &7).await.unwrap();
    assert_eq!(message(&mut feed).await.1, 7);
}

#[tokio::test]
async fn what_is_no_message_is_told_of_and_the_rest_goes_on() {
    let server = Server::start().await;
    let prices: Bus<String> = bus::<String>(&server.url()).await.largest(10);
    let mut feed = prices.subscribe(&["text"]).unwrap().patterns(&["p*"]).unwrap();
    begun(&mut feed).await;
    for (channel, name) in [("bartizan:bus:{prices}:text", "text"), ("bartizan:bus:{prices}:pq", "pq")] {
        server.tell(&["PUBLISH", channel, "\u{ff}secret"]).await;
        match next(&mut feed).await {
            Event::Undecodable { topic, error } => {
                assert!(topic == name && error.is_undecodable(), "{error}");
                assert!(error.to_string().contains(&format!("bus:{{prices}}:{name}")), "{error}");
                assert!(!format!("{error:?}").contains("secret"));
            }
            other => panic!("{other:?}"),
        }
    }
    let error = prices.publish("text", &"x".repeat(11)).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("bus:{prices}:text"), "{error}");
    prices.publish("text", &"good".to_owned()).await.unwrap();
    assert_eq!(message(&mut feed).await.1, "good");

    let redis = Redis::connect(&server.url()).await.unwrap();
    for name in ["", "{a}", "a\n", &"x".repeat(201)] {
        assert!(Bus::<u64>::new(&redis, name).unwrap_err().is_invalid());
        assert!(prices.subscribe(&[name]).unwrap_err().is_invalid());
        assert!(prices.subscribe(&["a"]).unwrap().patterns(&[name]).unwrap_err().is_invalid());
        assert!(prices.publish(name, &String::new()).await.unwrap_err().is_invalid());
    }
}

#[tokio::test]
async fn a_server_that_was_away_is_told_of_once_each_time() {
    let mut server = Server::start().await;
    let prices: Bus<u64> = bus(&server.url()).await;
    server.kill();
    let mut feed = prices.subscribe(&["n"]).unwrap();
    assert!(matches!(next(&mut feed).await, Event::Disconnected(error) if error.is_unavailable()));
    assert!(timeout(200 * MILLI, feed.next()).await.is_err(), "further attempts are not told of");
    server.restart().await;
    begun(&mut feed).await;
    for n in 0..3 {
        server.kill();
        assert!(matches!(next(&mut feed).await, Event::Disconnected(_)));
        server.restart().await;
        assert!(matches!(next(&mut feed).await, Event::Missed(Missed::Disconnected)));
        eventually("it is published", LIMIT, async || prices.publish("n", &n).await.ok()).await;
        assert_eq!(message(&mut feed).await.1, n);
    }
}

/// Polls `future` once, and drops it.
async fn once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(told) => Some(told),
            Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn who_stops_listening_at_any_await_misses_nothing() {
    let server = Server::start().await;
    let prices: Bus<u64> = bus(&server.url()).await;
    // So that heartbeats are among the awaits that are left.
    let mut feed = prices.subscribe(&["n"]).unwrap().heartbeat(250 * MILLI);
    let first = within(LIMIT, async {
        loop {
            match once(feed.next()).await {
                Some(event) => return event,
                None => tokio::task::yield_now().await,
            }
        }
    });
    assert!(matches!(first.await.0, Event::Begun));
    let publishing = async {
        for n in 0..2000 {
            prices.publish("n", &n).await.unwrap();
        }
    };
    let listening = async {
        let mut expected = 0;
        while expected < 2000 {
            match once(feed.next()).await {
                Some(Event::Message { payload, .. }) => {
                    assert_eq!(payload, expected);
                    expected += 1;
                }
                Some(other) => panic!("{other:?}"),
                None => tokio::task::yield_now().await,
            }
        }
    };
    within(LIMIT, async { futures_util::join!(publishing, listening) }).await;
}

#[tokio::test]
async fn a_sharded_bus_keeps_to_its_shard_and_follows_it() {
    let mut cluster = Cluster::start().await;
    let redis = cluster.handle(4 * SECOND).backoff(10 * MILLI, 100 * MILLI).connect().await.unwrap();
    let plain: Bus<u64> = Bus::new(&redis, "b").unwrap();
    let sharded = plain.clone().sharded();
    assert!(sharded.subscribe(&["n"]).unwrap().patterns(&["*"]).unwrap_err().is_invalid());
    let mut by_all = plain.subscribe(&["n"]).unwrap().patterns(&["m*"]).unwrap();
    let mut by_shard = sharded.subscribe(&["n", "m"]).unwrap();
    begun(&mut by_all).await;
    begun(&mut by_shard).await;
    plain.publish("n", &1).await.unwrap();
    assert_eq!(sharded.publish("n", &2).await.unwrap(), 1, "it is heard where its slot is");
    sharded.publish("m", &3).await.unwrap();
    plain.publish("m", &4).await.unwrap();
    assert_eq!(message(&mut by_all).await.1, 1);
    assert_eq!(message(&mut by_all).await.1, 4);
    assert_eq!(message(&mut by_shard).await, ("n".to_owned(), 2));
    assert_eq!(message(&mut by_shard).await, ("m".to_owned(), 3));

    // Its slot goes to another primary.
    let slot: u16 = cluster.nodes[0].ask(&["CLUSTER", "KEYSLOT", "{b}"]).await.unwrap();
    assert!(slot <= 5460, "of the first primary's slots");
    let other: String = cluster.nodes[1].ask(&["CLUSTER", "MYID"]).await.unwrap();
    for node in [1, 0, 2] {
        cluster.nodes[node].tell(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &other]).await;
    }
    resumed(&mut by_shard).await;
    eventually("it is heard", LIMIT, async || (sharded.publish("n", &5).await.ok()? == 1).then_some(())).await;
    assert_eq!(message(&mut by_shard).await.1, 5);

    eventually("its replica knows of it", LIMIT, async || {
        let nodes: String = cluster.nodes[4].ask(&["CLUSTER", "NODES"]).await.ok()?;
        nodes.lines().any(|line| line.starts_with(&other) && line.contains(&format!(" {slot}"))).then_some(())
    })
    .await;
    cluster.nodes[1].kill();
    resumed(&mut by_shard).await;
    eventually("it is heard", LIMIT, async || (sharded.publish("n", &6).await.ok()? == 1).then_some(())).await;
    assert_eq!(message(&mut by_shard).await.1, 6);
}

#[tokio::test]
async fn a_cluster_that_knows_no_shards_is_heard_as_ever() {
    let rename = ["--rename-command", "SSUBSCRIBE", "", "--rename-command", "SPUBLISH", ""];
    let node = Server::start_with(&[&["--cluster-enabled", "yes"], &rename[..]].concat()).await;
    node.tell(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    eventually("the Cluster is there", LIMIT, async || {
        let info: String = node.ask(&["CLUSTER", "INFO"]).await.ok()?;
        info.contains("cluster_state:ok").then_some(())
    })
    .await;
    let builder = Redis::cluster(&[format!("127.0.0.1:{}", node.port)]).unwrap();
    let redis = builder.connect_deadline(4 * SECOND).connect().await.unwrap();
    let sharded: Bus<u64> = Bus::new(&redis, "prices").unwrap().sharded();
    let mut feed = sharded.subscribe(&["n", "m"]).unwrap();
    begun(&mut feed).await;
    for (n, topic) in (0..).zip(["n", "m"]) {
        sharded.publish(topic, &n).await.unwrap();
        assert_eq!(message(&mut feed).await, (topic.to_owned(), n));
    }
}
