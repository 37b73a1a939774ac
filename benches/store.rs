//! What the store on Redis costs beside what it cannot do without, on a server of its own.
//!
//! Callers find pages of 1 KiB in a `RedisStore` over and over, and in turns as many read the same bytes with `GET` over
//! one `MultiplexedConnection` as it comes. Then requests hit a page of 1 KiB with the layer outside of a router, with `Memory`
//! for its store and with `Tiered`. The run fails when the median of the rounds' ratios exceeds its bound:
//!
//! | | bound |
//! |---|---|
//! | pages found a second, by 64 callers and by 256 / `GET`s | at least 0.8 |
//! | hit in the near tier / hit in memory | at most 1.3 |
//!
//! Leases that are won and filled, and removals by tag, are counted as well, without a bound.
//!
//! ```text
//! cargo bench --bench store --features redis
//! ```
#![expect(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]

use std::{
    convert::Infallible,
    future::Future,
    hint::black_box,
    pin::pin,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use axum::{Router, body::Body, routing::get};
use bartizan::{
    CacheLayer, Memory, Redis, RedisStore, Tiered,
    cache::Stored,
    clock::{Clock, SystemClock},
    store::{Encoded, Key, Lease, Leased, Store, Tag, Value, Wire},
};
use bytes::Bytes;
use http::{Request, Response, Uri, header::HOST, header::HeaderValue};
use http_body_util::BodyExt;
use redis::aio::MultiplexedConnection;
use support::{Server, eventually};
use tokio::task::JoinSet;
use tower::{Layer, Service, ServiceExt};

#[path = "../tests/redis/support/mod.rs"]
#[expect(dead_code, unused_imports, clippy::unwrap_used, reason = "it is the tests', who need more of it")]
mod support;

const LEAST_OF_GETS: f64 = 0.8;
const MOST_OF_MEMORY: f64 = 1.3;
/// In several buckets.
const PAGES: [&str; 8] =
    ["/page/17", "/page/18", "/page/19", "/page/20", "/page/21", "/page/22", "/page/23", "/page/24"];
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    // `cargo test --benches` only asks whether the bench runs.
    let measures = std::env::args().any(|arg| arg == "--bench");
    let extent = if measures { Extent::FULL } else { Extent::GLANCE };
    let server = Server::start().await;
    let handle = Redis::connect(&server.url()).await.expect("the server is up");
    let far = hits_far(&server, &handle, extent).await;
    let near = hits_near(&handle, extent).await;
    misses(&handle, extent).await;
    if !measures || far && near { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How much is measured.
#[derive(Clone, Copy)]
struct Extent {
    rounds: usize,
    round: Duration,
    requests: u32,
}

impl Extent {
    const FULL: Self = Self { rounds: 15, round: Duration::from_millis(500), requests: 20_000 };
    const GLANCE: Self = Self { rounds: 1, round: Duration::from_millis(20), requests: 20 };
}

// === far ===

async fn hits_far(server: &Server, handle: &Redis, extent: Extent) -> bool {
    let store = RedisStore::builder(handle.clone()).name("far").build();
    let site = cached(store.clone());
    for page in &PAGES {
        fill(&site, page).await;
    }
    let entries = entries(server, "far").await;
    assert_eq!(entries.len(), PAGES.len(), "each has one");
    let keys: Vec<Key> = entries.iter().map(|entry| key_of(entry)).collect();
    // Until the channel is proven, everything goes by script.
    eventually("reads are plain", Duration::from_secs(20), async || {
        drop(Store::<Stored>::lease(&store, keys[0], None).await);
        let stats: String = server.ask(&["INFO", "commandstats"]).await.ok()?;
        stats.contains("cmdstat_mget").then_some(())
    })
    .await;
    let client = redis::Client::open(server.url()).expect("the URL is right");
    let bare = client.get_multiplexed_async_connection().await.expect("the server is up");

    let mut good = true;
    for callers in [64, 256] {
        let rounds = extent.rounds(async || {
            let ours = found(&store, &keys, callers, extent.round).await;
            (ours, got(&bare, &entries, callers, extent.round).await)
        });
        let (ours, theirs) = rounds.await;
        let ratio = ours / theirs;
        println!("{callers} callers: {ours:.0} found / {theirs:.0} GETs a second = {ratio:.2}");
        good &= ratio >= LEAST_OF_GETS;
    }
    good
}

async fn entries(server: &Server, store: &str) -> Vec<String> {
    server.ask(&["KEYS", &format!("*{{{store}:*}}:entry:*")]).await.expect("the server is up")
}

fn key_of(entry: &str) -> Key {
    let half = |hex| u128::from_str_radix(hex, 16).expect("halves of keys are hex");
    let mut halves = entry.rsplit("entry:").next().unwrap_or_default().split(':').map(half);
    let primary = halves.next().unwrap_or_default().into();
    Key::new(primary).with_variant(halves.next().unwrap_or_default())
}

async fn found(store: &RedisStore, keys: &[Key], callers: usize, round: Duration) -> f64 {
    crowd(callers, round, |caller, until| {
        let store = store.clone();
        let key = keys[caller % keys.len()];
        async move {
            let mut asked = 0;
            while Instant::now() < until {
                let leased = Store::<Stored>::lease(&store, key, None).await.expect("the server is up");
                assert!(matches!(leased, Leased::Found(_)), "it is there");
                asked += 1;
            }
            asked
        }
    })
    .await
}

async fn got(bare: &MultiplexedConnection, entries: &[String], callers: usize, round: Duration) -> f64 {
    crowd(callers, round, |caller, until| {
        let mut bare = bare.clone();
        let entry = entries[caller % entries.len()].clone();
        async move {
            let mut asked = 0;
            while Instant::now() < until {
                let page: Vec<u8> =
                    redis::cmd("GET").arg(&entry).query_async(&mut bare).await.expect("the server is up");
                assert!(page.len() > 1024, "it is there");
                asked += 1;
            }
            asked
        }
    })
    .await
}

/// Answers a second, of so many callers at once who each ask again as soon as they are answered.
async fn crowd<F>(callers: usize, round: Duration, caller: impl Fn(usize, Instant) -> F) -> f64
where
    F: Future<Output = u64> + Send + 'static,
{
    let start = Instant::now();
    let crowd: JoinSet<u64> = (0..callers).map(|number| caller(number, start + round)).collect();
    let asked: u64 = crowd.join_all().await.into_iter().sum();
    asked as f64 / start.elapsed().as_secs_f64()
}

// === near ===

async fn hits_near(handle: &Redis, extent: Extent) -> bool {
    let memory = || Memory::with_capacity(16 << 20);
    // Far longer than a round, so that none is disturbed by a proof that was late.
    let bound = Duration::from_secs(20);
    let far = RedisStore::builder(handle.clone()).name("near").build();
    let tiered = Tiered::with_staleness_bound(memory(), far, bound);
    // Whoever asks first has the channel opened.
    drop(tiered.lease(Key::new(0.into()), None).await);
    eventually("the channel works", bound, async || tiered.is_connected().then_some(())).await;
    let (in_memory, near) = (cached(memory()), cached(tiered));
    fill(&in_memory, PAGES[0]).await;
    fill(&near, PAGES[0]).await;

    nanos(&near, extent.requests);
    nanos(&in_memory, extent.requests);
    let (ours, theirs) =
        extent.rounds(async || (nanos(&near, extent.requests), nanos(&in_memory, extent.requests))).await;
    let ratio = ours / theirs;
    println!("a hit: {ours:.0} ns near / {theirs:.0} ns in memory = {ratio:.2}");
    ratio <= MOST_OF_MEMORY
}

fn nanos(site: &impl Site, requests: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..requests {
        let answered = black_box(at_once(site.clone().call(request(PAGES[0]))));
        assert!(answered.is_ok());
    }
    start.elapsed().as_nanos() as f64 / f64::from(requests)
}

/// The output of a future that has nothing to wait for.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("a hit waits for nothing"),
    }
}

// === misses ===

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

async fn misses(handle: &Redis, extent: Extent) {
    let store = RedisStore::builder(handle.clone()).name("misses").build();
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let fills = crowd(64, extent.round, |_, until| {
        let store = store.clone();
        async move {
            let mut filled = 0;
            while Instant::now() < until {
                let number = u128::from(NEXT.fetch_add(1, Ordering::Relaxed));
                let key = Key::new((number << 64 | number).into());
                let Ok(Leased::Won(lease)) = Store::<Blob>::lease(&store, key, None).await else {
                    panic!("nobody else wants it")
                };
                let page = Blob(Bytes::from_static(&[b'x'; 1024]));
                let tags = ["tag"].into_iter().collect();
                lease.fill(page, SystemClock.now().plus(HOUR), tags).await.expect("the server is up");
                filled += 1;
            }
            filled
        }
    });
    println!("64 callers: {:.0} misses that are filled a second", fills.await);
    let removals = crowd(1, extent.round, |_, until| {
        let store = store.clone();
        async move {
            let mut removed = 0;
            while Instant::now() < until {
                let tag = Tag::from("tag");
                Store::<Blob>::remove_tagged(&store, tag).await.expect("the server is up");
                removed += 1;
            }
            removed
        }
    });
    println!("1 caller: {:.0} removals by tag a second", removals.await);
}

// === a site ===

/// A service as a server sees it: cloned for each request.
trait Site: Service<Request<Body>, Response: Sized, Error = Infallible, Future: Send> + Clone + Send {}

impl<S: Service<Request<Body>, Error = Infallible, Future: Send> + Clone + Send> Site for S {}

fn cached<S: Store<Stored>>(
    store: S,
) -> impl Service<Request<Body>, Response = Response<impl http_body::Body<Data = Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send {
    let body = Bytes::from_static(&[b'x'; 1024]);
    let router =
        Router::new().route("/page/{id}", get(async || ([("content-type", "text/html")], body))).with_state(());
    CacheLayer::new(store).default_ttl(HOUR).layer(router)
}

/// Asks until the answer is a hit: it may be stored after the first one has gone out.
async fn fill<S, B>(site: &S, page: &'static str)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body<Data = Bytes>,
{
    eventually("the page is stored", Duration::from_secs(10), async || {
        let Ok(response) = site.clone().oneshot(request(page)).await;
        let status = response.headers().get("cache-status").and_then(|status| status.to_str().ok());
        let hits = status.is_some_and(|status| status.contains("; hit"));
        drop(response.into_body().collect().await);
        hits.then_some(())
    })
    .await;
}

fn request(page: &'static str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static(page);
    request.headers_mut().insert(HOST, HeaderValue::from_static("bench.example"));
    request
}

// === impl Extent ===

impl Extent {
    /// Both sides in turns: the round whose ratio is the median.
    async fn rounds(self, mut round: impl AsyncFnMut() -> (f64, f64)) -> (f64, f64) {
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            rounds.push(round().await);
        }
        rounds.sort_by(|(a, b), (c, d)| (a / b).total_cmp(&(c / d)));
        rounds[rounds.len() / 2]
    }
}
