//! Several processes, one cache: memory in each, a Redis behind all.
//!
//! ```text
//! cargo run --features redis --example tiered_redis            (REDIS_URL=redis://.., PORT=3000)
//! PORT=3001 cargo run --features redis --example tiered_redis  (in another terminal)
//! ```
//!
//! It prints what to type: see the report that the first process made answered by the second, made once though both are asked at
//! once, and purged in both by either. Stop Redis: both go on, and `/health` says so.

use std::{env, error::Error, process, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use bartizan::{CacheHandle, CacheLayer, Caching, Memory, Redis, RedisStore, Rules, Tiered, cache::Stored};
use tokio::{net::TcpListener, time};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    // `build` and not `connect`: a service that needs its cache to start is worse off than one without.
    let redis = Redis::builder(&url)?.namespace("tiered_redis").build()?;
    match redis.command("PING").run().await {
        Ok(_) => println!("sharing what is cached on {url}"),
        Err(error) => println!("{url} does not answer, so each process is on its own until it does: {error}"),
    }

    let store = Tiered::new(Memory::with_capacity(64 << 20), RedisStore::new(redis.clone()));
    // The site, since these processes are asked on ports of their own: what is asked for as `127.0.0.1:3001` would be another page.
    let rules = Rules::new().default_ttl(Duration::from_secs(600)).site("http://reports.example");
    let layer = CacheLayer::new(store.clone()).rules(rules);
    let service = Arc::new(Service { cache: layer.handle(), store, redis });
    let app = Router::new()
        .route("/reports/{of}", get(report).layer(layer))
        .route("/purge/{tag}", post(purge))
        .route("/health", get(health))
        .with_state(service);

    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    print_what_to_type(listener.local_addr()?.port());
    axum::serve(listener, app).await?;
    Ok(())
}

struct Service {
    cache: CacheHandle<Tiered<Stored>>,
    store: Tiered<Stored>,
    redis: Redis,
}

/// It takes a second, and says who made it.
#[expect(clippy::disallowed_methods, reason = "it stands for a slow query")]
async fn report(Path(of): Path<String>) -> impl IntoResponse {
    time::sleep(Duration::from_secs(1)).await;
    let text = format!("the report of {of}, made by process {}\n", process::id());
    (Extension(Caching::new().tag(format!("report:{of}"))), text)
}

/// In every process. What cannot be sent to Redis is purged here, is an error, and sent when it can be.
async fn purge(State(service): State<Arc<Service>>, Path(tag): Path<String>) -> Result<String, (StatusCode, String)> {
    match service.cache.purge_tag(tag.clone()).await {
        Ok(()) => Ok(format!("{tag} is purged everywhere\n")),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, format!("{tag} is purged here only, for now: {error}\n"))),
    }
}

/// A cache that has lost its Redis is no reason to restart the process, so this is a 200 whatever it says.
async fn health(State(service): State<Arc<Service>>) -> String {
    format!(
        "breaker: {:?}\nmemory is believed because removals arrive: {}\nstaleness bound: {:?}\n{}\n",
        service.redis.breaker(),
        service.store.is_connected(),
        service.store.staleness_bound(),
        service.cache.counters(),
    )
}

fn print_what_to_type(port: u16) {
    let (one, two) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", port + 1));
    println!(
        "listening on {one}. Try, in another terminal:

  # made in a second, then a hit
  curl -si {one}/reports/may | grep -iE 'cache-status|age|report'
  curl -si {one}/reports/may | grep -iE 'cache-status|age|report'
  curl -s {one}/health

  # with another process, started with PORT={next}: it answers what this one made
  curl -si {two}/reports/may | grep -iE 'cache-status|age|report'

  # both asked at once for what nobody has: one of them makes it, for both
  curl -s {one}/reports/june & curl -s {two}/reports/june; wait

  # purged by one, gone in both
  curl -s -X POST {two}/purge/report:may
  curl -si {one}/reports/may | grep -iE 'cache-status|age|report'

  # stop Redis (redis-cli shutdown nosave): requests go on, /health tells, and it recovers by itself
  curl -si {one}/reports/july | grep -iE 'cache-status|age|report'
  curl -s {one}/health
",
        next = port + 1,
    );
}
