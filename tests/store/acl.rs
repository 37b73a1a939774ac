//! The ACL user that `docs/redis.md` tells to make: all that is done it may do, and nothing it may do is not done.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bartizan::{
    CacheHandle, CacheLayer, Caching, Memory, Redis, RedisStore, Rules, Tiered,
    cache::Stored,
    clock::TestClock,
    expiry::{EarlyRefresh, Jitter},
    store::{Key, Store, conformance},
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};

use crate::support::{Cluster, Sentinels, Server, eventually};

const SOON: Duration = Duration::from_secs(10);

/// The line of the documentation, in words: `ACL SETUSER web ..`.
fn documented() -> Vec<&'static str> {
    let page = include_str!("../../docs/redis.md");
    let mut lines = page.lines().skip_while(|line| !line.starts_with("ACL SETUSER web "));
    let mut words = Vec::new();
    loop {
        let line = lines.next().unwrap();
        words.extend(line.trim_end_matches('\\').split_whitespace());
        if !line.ends_with('\\') {
            return words;
        }
    }
}

fn permissions() -> impl Iterator<Item = &'static str> {
    documented().into_iter().filter_map(|word| word.strip_prefix('+'))
}

fn as_web(url: &str) -> Redis {
    Redis::builder(url).unwrap().user("web").password("secret").build().unwrap()
}

/// What was denied, by the name of the command, the key or the channel.
async fn denied(server: &Server) -> Vec<String> {
    let entries: Vec<Vec<redis::Value>> = server.ask(&["ACL", "LOG"]).await.unwrap();
    let text = |value: &redis::Value| redis::from_redis_value_ref::<String>(value).unwrap_or_default();
    let object =
        |entry: Vec<redis::Value>| entry.windows(2).find(|pair| text(&pair[0]) == "object").map(|pair| text(&pair[1]));
    entries.into_iter().filter_map(object).collect()
}

async fn store(redis: &Redis, clock: &TestClock) -> Tiered<Stored> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("acl-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let far = RedisStore::builder(redis.clone()).name(&name).clock(clock.clone()).doubt(Duration::ZERO).build();
    Tiered::new(Memory::with_capacity(1 << 20), far)
}

struct Node {
    service: BoxCloneSyncService<Request<Empty<Bytes>>, Response<bartizan::cache::CacheBody<Full<Bytes>>>, Infallible>,
    handle: CacheHandle<Tiered<Stored>>,
    clock: TestClock,
}

// === impl Node ===

impl Node {
    fn new(store: Tiered<Stored>, clock: &TestClock) -> Self {
        let rules =
            Rules::new().default_ttl(Duration::from_secs(60)).jitter(Jitter::NONE).early_refresh(EarlyRefresh::NEVER);
        let layer = CacheLayer::new(store).rules(rules).clock(clock.clone());
        let handle = layer.handle();
        let service = BoxCloneSyncService::new(layer.layer(service_fn(origin)));
        Self { service, handle, clock: clock.clone() }
    }

    /// What `Cache-Status` says of it.
    async fn get(&self, path: &str) -> String {
        let request = Request::get(format!("http://example.com{path}")).body(Empty::new()).unwrap();
        let response = self.service.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        body.collect().await.unwrap();
        head.headers["cache-status"].to_str().unwrap().to_owned()
    }

    /// A page is made, validated, purged by its tag and by its URI.
    async fn play(&self) {
        self.get("/page").await;
        self.clock.advance(Duration::from_secs(61));
        self.get("/page").await;
        let _ = self.handle.purge_tag("a").await;
        self.get("/page").await;
        let _ = self.handle.purge_uri(&"http://example.com/page".parse().unwrap()).await;
        self.get("/private").await;
    }
}

async fn origin(request: Request<Empty<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from("all of it"));
    response.headers_mut().insert(header::ETAG, "\"1\"".parse().unwrap());
    response.extensions_mut().insert(Caching::new().tag("a"));
    if request.uri().path() == "/private" {
        response.headers_mut().insert(header::CACHE_CONTROL, "private".parse().unwrap());
    }
    if request.headers().contains_key(header::IF_NONE_MATCH) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Full::default();
    }
    Ok(response)
}

#[tokio::test]
async fn the_documented_user_may_do_all_that_is_done() {
    let server = Server::start().await;
    server.tell(&documented()).await;
    let (redis, clock) = (as_web(&server.url()), TestClock::new());
    redis.command("PING").run().await.unwrap();
    redis.capabilities().await.unwrap();
    let store = store(&redis, &clock).await;
    drop(store.lease(Key::new(1.into()), None).await);
    eventually("the channel works", SOON, async || store.is_connected().then_some(())).await;
    let (one, two) = (Node::new(store.clone(), &clock), Node::new(store, &clock));
    assert_eq!(one.get("/page").await, "bartizan; fwd=uri-miss; stored");
    assert_eq!(two.get("/page").await, "bartizan; hit");
    clock.advance(Duration::from_secs(61));
    assert_eq!(two.get("/page").await, "bartizan; fwd=stale; fwd-status=304; stored");
    two.handle.purge_tag("a").await.unwrap();
    assert_eq!(one.get("/page").await, "bartizan; fwd=uri-miss; stored");
    one.handle.purge_uri(&"http://example.com/page".parse().unwrap()).await.unwrap();
    one.handle.purge_all().await.unwrap();
    one.play().await;

    conformance::run_with(async || fresh(&redis).await, 0..4).await;
    assert_eq!(denied(&server).await, [""; 0]);

    server.tell(&["CONFIG", "SET", "maxmemory", "1"]).await;
    two.handle.purge_tag("b").await.expect("a full server forgets a bucket");
    assert_eq!(denied(&server).await, [""; 0]);
}

#[tokio::test]
async fn the_documented_user_may_do_all_that_is_done_in_a_cluster() {
    let cluster = Cluster::start().await;
    for node in &cluster.nodes {
        node.tell(&[&documented()[..], &["+cluster|slots"]].concat()).await;
    }
    let hosts: Vec<_> = cluster.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let redis = as_web(&format!("redis+cluster://{}", hosts.join(",")));
    redis.capabilities().await.unwrap();
    conformance::run_with(async || fresh(&redis).await, 0..2).await;
    for node in &cluster.nodes {
        assert_eq!(denied(node).await, [""; 0]);
    }
}

#[tokio::test]
async fn the_documented_user_may_do_all_that_is_done_with_sentinels() {
    let sentinels = Sentinels::start().await;
    for server in &sentinels.servers {
        server.tell(&[&documented()[..], &["+role"]].concat()).await;
    }
    let redis = as_web(&sentinels.url());
    redis.capabilities().await.unwrap();
    conformance::run_with(async || fresh(&redis).await, 0..2).await;
    for server in &sentinels.servers {
        assert_eq!(denied(server).await, [""; 0]);
    }
}

#[test]
fn the_readme_names_the_same_user() {
    let line = documented().join(" ").replace('|', "\\|");
    assert!(include_str!("../../README.md").contains(&line), "{line}");
}

#[tokio::test]
async fn each_of_its_permissions_is_needed() {
    let server = Server::start().await;
    let mut needless = Vec::new();
    for permission in permissions() {
        server.tell(&["ACL", "DELUSER", "web"]).await;
        server.tell(&documented()).await;
        server.tell(&["ACL", "SETUSER", "web", &format!("-{permission}")]).await;
        server.tell(&["ACL", "LOG", "RESET"]).await;
        let (redis, clock) = (as_web(&server.url()), TestClock::new());
        let _ = redis.command("PING").run().await;
        let _ = redis.capabilities().await;
        let store = store(&redis, &clock).await;
        // Who hears nothing reads by script alone.
        drop(store.lease(Key::new(1.into()), None).await);
        let connected = eventually("the channel works", SOON, async || store.is_connected().then_some(()));
        let _ = tokio::time::timeout(Duration::from_millis(600), connected).await;
        let node = Node::new(store, &clock);
        node.get("/page").await;
        let tables: Vec<String> = server.ask(&["KEYS", "*:table"]).await.unwrap();
        for table in tables {
            server.tell(&["HSET", &table, "r", "another server"]).await;
        }
        node.play().await;
        // What is done in the background may take a moment.
        let is_denied = async || denied(&server).await.iter().any(|object| object == permission).then_some(());
        if tokio::time::timeout(Duration::from_secs(2), eventually(permission, SOON, is_denied)).await.is_err() {
            needless.push(permission);
        }
    }
    assert_eq!(needless, [""; 0]);
}

#[tokio::test]
async fn what_managed_servers_withhold_is_not_needed() {
    let withheld = ["INFO", "CONFIG", "CLIENT", "ROLE", "SCRIPT"].map(|name| ["--rename-command", name, ""]).concat();
    let server = Server::start_with(&withheld).await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    for name in ["INFO", "CONFIG", "CLIENT"] {
        let error = redis.command(name).run().await.unwrap_err();
        assert!(error.is_refused(), "{name}: {error:?}");
    }
    conformance::run_with(async || fresh(&redis).await, 0..4).await;
}

async fn fresh(redis: &Redis) -> Tiered<conformance::Probe> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("acl-contract-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let store = Tiered::new(Memory::with_capacity(1 << 20), RedisStore::builder(redis.clone()).name(&name).build());
    drop(store.lease(Key::new(1.into()), None).await);
    eventually("the channel works", SOON, async || store.is_connected().then_some(())).await;
    store
}
