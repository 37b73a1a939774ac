//! What the server is asked, as it tells a `MONITOR`, and what it keeps.

use std::{convert::Infallible, time::Duration};

use bartizan::{
    CacheLayer, Memory, Redis, RedisStore, Tiered,
    clock::Timestamp,
    store::{Encoded, Key, Lease, Leased, Primary, Store, Tag, Tags, Value, Wire, conformance::Probe},
};
use bytes::Bytes;
use futures_util::{future::join_all, poll};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{Link, Proxy, Server, eventually, within};

const KEEP: Timestamp = Timestamp::from_secs(4_000_000_000);
const SOON: Duration = Duration::from_secs(20);
const BUCKETS: usize = 16;

/// Hears every command of the server.
struct Monitor<'a> {
    server: &'a Server,
    lines: BufReader<TcpStream>,
    marks: u32,
}

// === impl Monitor ===

impl<'a> Monitor<'a> {
    async fn of(server: &'a Server) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
        socket.write_all(b"MONITOR\r\n").await.unwrap();
        let mut lines = BufReader::new(socket);
        let mut ok = String::new();
        lines.read_line(&mut ok).await.unwrap();
        assert_eq!(ok, "+OK\r\n");
        Self { server, lines, marks: 0 }
    }

    /// The commands that were sent for a value or a name since the last time: not those of scripts, nor beats.
    async fn commands(&mut self) -> Vec<String> {
        self.marks += 1;
        let mark = format!("mark {}", self.marks);
        self.server.tell(&["ECHO", &mark]).await;
        let mut commands = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).await.unwrap() > 0, "the server is up");
            if line.contains(&mark) {
                return commands;
            }
            let is_about_values = line.contains(":entry:") || line.contains("\"#") || line.contains("\"HMGET\"");
            if is_about_values && !line.contains(" lua]") {
                commands.push(line);
            }
        }
    }
}

fn key(number: u64) -> Key {
    Key::new(Primary::from(u128::from(number) << 64 | u128::from(number)))
}

async fn handle(server: &Server) -> Redis {
    Redis::connect(&server.url()).await.unwrap()
}

async fn fill<V: Wire>(store: &RedisStore, key: Key, value: V, tags: &[&str]) {
    let Leased::Won(lease) = Store::<V>::lease(store, key, None).await.unwrap() else { panic!("nobody has filled it") };
    lease.fill(value, KEEP, Tags::from_iter(tags.iter().copied())).await.unwrap();
}

async fn finds(store: &RedisStore, key: Key) {
    assert!(matches!(Store::<Probe>::lease(store, key, None).await.unwrap(), Leased::Found(_)));
}

/// Until the channel is proven, everything goes by script.
async fn reads_plainly(store: &RedisStore, key: Key, monitor: &mut Monitor<'_>) {
    eventually("a hit is one plain command", SOON, async || {
        finds(store, key).await;
        let commands = monitor.commands().await;
        matches!(&*commands, [only] if only.contains("\"MGET\"")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_hit_is_one_command_and_a_miss_that_is_filled_three() {
    let server = Server::start().await;
    let store = RedisStore::new(handle(&server).await);
    // The server learns the scripts.
    fill(&store, key(0), Probe(0), &[]).await;
    let mut monitor = Monitor::of(&server).await;
    reads_plainly(&store, key(0), &mut monitor).await;
    let mut fresh = (1..).map(key);
    eventually("it is looked for, leased, and filled", SOON, async || {
        fill(&store, fresh.next()?, Probe(1), &["news"]).await;
        let commands = monitor.commands().await;
        assert!((2..=3).contains(&commands.len()), "{commands:?}");
        (commands.len() == 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_first_hit_after_a_removal_elsewhere_in_its_bucket_is_two_commands() {
    let server = Server::start().await;
    let store = RedisStore::builder(handle(&server).await).buckets(1).build();
    fill(&store, key(1), Probe(1), &["old"]).await;
    fill(&store, key(2), Probe(2), &["news"]).await;
    finds(&store, key(1)).await;
    Store::<Probe>::remove_tagged(&store, Tag::from("news")).await.unwrap();
    let mut monitor = Monitor::of(&server).await;
    for expected in [2, 1, 1] {
        finds(&store, key(1)).await;
        let commands = monitor.commands().await;
        assert_eq!(commands.len(), expected, "{commands:?}");
    }
}

#[tokio::test]
async fn who_asks_at_the_same_time_is_answered_by_one_command() {
    let server = Server::start().await;
    let store = RedisStore::new(handle(&server).await);
    for number in 0..40 {
        fill(&store, key(number), Probe(number), &[]).await;
    }
    let mut monitor = Monitor::of(&server).await;
    eventually("one command reads for all", SOON, async || {
        let asking = (0..40).map(|number| Store::<Probe>::lease(&store, key(number), None));
        for (number, answer) in (0..).zip(join_all(asking).await) {
            let Leased::Found(kept) = answer.unwrap() else { panic!("it was filled") };
            assert_eq!(kept.0, number, "each gets their own");
        }
        (monitor.commands().await.len() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_follows_is_answered_though_the_one_who_led_is_gone() {
    let server = Server::start().await;
    let store = RedisStore::new(handle(&server).await);
    fill(&store, key(1), Probe(1), &[]).await;
    reads_plainly(&store, key(1), &mut Monitor::of(&server).await).await;
    let mut leader = Box::pin(Store::<Probe>::lease(&store, key(1), None));
    assert!(poll!(&mut leader).is_pending());
    let mut follower = Box::pin(Store::<Probe>::lease(&store, key(1), None));
    assert!(poll!(&mut follower).is_pending());
    drop(leader);
    let (found, _) = within(SOON, follower).await;
    assert!(matches!(found.unwrap(), Leased::Found(_)));
    finds(&store, key(1)).await;
}

#[tokio::test]
async fn who_follows_one_that_stands_still_waits_for_the_deadline_and_no_longer() {
    let server = Server::start().await;
    let redis = Redis::builder(&server.url()).unwrap().deadline(Duration::from_millis(100)).connect().await.unwrap();
    let store = RedisStore::new(redis);
    fill(&store, key(1), Probe(1), &[]).await;
    eventually("the channel is proven, so that there is a leader", SOON, async || {
        let mut leader = Box::pin(Store::<Probe>::lease(&store, key(1), None));
        assert!(poll!(&mut leader).is_pending());
        Store::<Probe>::lease(&store, key(1), None).await.err().map(|error| assert!(error.is_timed_out()))
    })
    .await;
    finds(&store, key(1)).await;
}

async fn ask<S, B>(site: &S, kind: &str, word: &str)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body<Data = Bytes>,
{
    let request = Request::get("http://a/page").header("x-kind", kind).body(Full::default()).unwrap();
    let Ok(response) = site.clone().oneshot(request).await;
    let status = response.headers()["cache-status"].to_str().unwrap().to_owned();
    assert!(status.contains(word), "{kind}: {status}");
    drop(response.into_body().collect().await);
}

#[tokio::test]
async fn a_variant_is_one_command_once_the_sign_to_it_is_near() {
    let server = Server::start().await;
    let site = async || {
        let bound = Duration::from_secs(8);
        let far = RedisStore::new(handle(&server).await);
        let store = Tiered::with_staleness_bound(Memory::with_capacity(1 << 20), far, bound);
        drop(store.lease(key(0), None).await);
        eventually("the channel works", SOON, async || store.is_connected().then_some(())).await;
        CacheLayer::new(store).default_ttl(Duration::from_secs(3600)).layer(service_fn(
            async |_: Request<Full<Bytes>>| {
                let response =
                    Response::builder().header("vary", "x-kind").body(Full::new(Bytes::from_static(b"page")));
                Ok::<_, Infallible>(response.unwrap())
            },
        ))
    };
    let (here, there) = (site().await, site().await);
    for kind in ["a", "b", "c"] {
        ask(&there, kind, "stored").await;
        eventually("it is kept", SOON, async || {
            let kept: Vec<String> = server.ask(&["KEYS", "*:lease:*"]).await.unwrap();
            kept.is_empty().then_some(())
        })
        .await;
    }
    let mut monitor = Monitor::of(&server).await;
    for (kind, expected) in [("a", 2), ("b", 1), ("c", 1), ("c", 0)] {
        ask(&here, kind, "hit").await;
        let commands = monitor.commands().await;
        assert_eq!(commands.len(), expected, "{kind}: {commands:?}");
    }
}

#[tokio::test]
async fn a_removal_by_tag_is_one_script_for_each_bucket_all_in_one_round_trip() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let redis = Redis::builder(&proxy.url()).unwrap().deadline(SOON).connect().await.unwrap();
    let store = RedisStore::new(redis);
    Store::<Probe>::remove_tagged(&store, Tag::from("first")).await.unwrap();
    let mut monitor = Monitor::of(&server).await;
    let late = Duration::from_millis(150);
    proxy.set(Link::Slow(late));
    let removal = Store::<Probe>::remove_tagged(&store, Tag::from("news"));
    let (removed, took) = within(SOON, removal).await;
    removed.unwrap();
    let commands = monitor.commands().await;
    assert_eq!(commands.iter().filter(|command| command.contains("\"#news\"")).count(), BUCKETS, "{commands:?}");
    assert!(took >= 2 * late && took < 5 * late, "there and back once is {:?}, not {took:?}", 2 * late);
}

/// As long as a page.
struct Blob(Bytes);

impl Value for Blob {
    fn weight(&self) -> usize {
        self.0.len()
    }
}

impl Wire for Blob {
    fn encode(&self) -> Encoded {
        Encoded::new(Vec::new(), self.0.clone())
    }

    fn decode(_: Bytes, body: Bytes) -> Option<Self> {
        Some(Self(body))
    }
}

#[tokio::test]
async fn little_is_kept_beside_a_value_and_for_a_tag() {
    let server = Server::start().await;
    let store = RedisStore::builder(handle(&server).await).buckets(1).build();
    fill(&store, key(1), Blob(Bytes::from_static(&[b'x'; 1024])), &["author-17", "news"]).await;
    let usage = async |pattern: &str| {
        let keys: Vec<String> = server.ask(&["KEYS", pattern]).await.unwrap();
        let [key] = &*keys else { panic!("{keys:?}") };
        server.ask::<usize>(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).await.unwrap()
    };
    let entry = usage("*:entry:*").await;
    println!("an entry of 1024 bytes with two tags: {entry} bytes");
    assert!(entry <= 1024 + 448, "{entry}");

    const TAGS: usize = 1000;
    let remove = async |number: usize| {
        Store::<Blob>::remove_tagged(&store, Tag::from(format!("author-{number:04}"))).await.unwrap();
    };
    // Small hashes are kept more tightly.
    for number in 1..=TAGS {
        remove(number).await;
    }
    let before = usage("*:table").await;
    for number in TAGS + 1..=2 * TAGS {
        remove(number).await;
    }
    let tag = (usage("*:table").await - before) / TAGS;
    println!("a tag of 11 bytes that was removed: {tag} bytes in each bucket");
    assert!(tag <= 128, "{tag}");
}
