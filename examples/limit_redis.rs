//! Several processes, one limit: counted on a Redis, and by each for itself while that is away.
//!
//! ```text
//! cargo run --features redis,axum --example limit_redis            (REDIS_URL=redis://.., PORT=3000)
//! PORT=3001 cargo run --features redis,axum --example limit_redis  (in another terminal)
//! ```
//!
//! It prints what to type: see ten requests pass in ten seconds, whichever of the processes is asked, and the rest refused. Flood one
//! of them: `/health` tells how few of the refusals asked Redis. Stop Redis: each process lets half of the limit through, since there are two.

use std::{env, error::Error, net::SocketAddr, time::Duration};

use axum::{Router, extract::State, routing::get};
use bartizan::{
    RateLimitLayer, Redis,
    limit::{Failing, Policy, RateLimitHandle, RedisLimiter},
    quota::Quota,
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    // `build` and not `connect`: the service starts without its Redis, too.
    let redis = Redis::builder(&url)?.namespace("limit_redis").deadline(Duration::from_millis(100)).build()?;
    let quota = Quota::new(10, Duration::from_secs(10))?.named("pages")?;
    let limit = RateLimitLayer::over(RedisLimiter::new(redis.clone()), Policy::new(quota))
        .when_failing(Failing::Share { among: 2 });

    let watched = Watched { redis, limit: limit.handle() };
    let app = Router::new()
        .route("/page", get(async || "a page\n").layer(limit))
        .route("/health", get(health))
        .with_state(watched);

    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let other = if port == 3001 { 3000 } else { 3001 };
    println!(
        "for i in $(seq 8); do curl -s -o /dev/null -w '%{{http_code}} ' 127.0.0.1:{port}/page 127.0.0.1:{other}/page; done
for i in $(seq 1000); do curl -s -o /dev/null 127.0.0.1:{port}/page; done
curl 127.0.0.1:{port}/health"
    );
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[derive(Clone)]
struct Watched {
    redis: Redis,
    limit: RateLimitHandle<RedisLimiter>,
}

async fn health(State(watched): State<Watched>) -> String {
    let (counters, usage) = (watched.limit.counters(), watched.limit.limiter().usage());
    format!(
        "{} allowed, {} refused, {} of them without asking Redis; {} decided here alone; the breaker is {:?}\n",
        counters.allowed,
        counters.denied,
        usage.recalled,
        counters.alone,
        watched.redis.breaker(),
    )
}
