//! Tower layers that hang in front of any HTTP service: **response caching** by RFC 9111, **rate limits** that are a bound, and
//! **sessions** that lose nothing, in one process or in several that share a Redis.
//!
//! ```no_run
//! use std::time::Duration;
//! use axum::{Router, extract::Path, routing::get};
//! use bartizan::{CacheLayer, Memory};
//!
//! # #[tokio::main] async fn main() -> std::io::Result<()> {
//! let cache = CacheLayer::new(Memory::with_capacity(64 << 20)).default_ttl(Duration::from_secs(60));
//! let app: Router = Router::new()
//!     .route("/products/{id}", get(async |Path(id): Path<u64>| format!("product {id}")))
//!     .layer(cache);
//! axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await
//! # }
//! ```
//!
//! The second request for a product is answered from memory, with `Cache-Status: bartizan; hit` and an `Age`. A hundred
//! requests at once for one that nobody asked for yet are one call of the handler. What is for one user alone
//! (`Set-Cookie`, `Authorization`, `private`, a cookie nobody declared) reaches that user alone.
//!
//! # The map
//!
//! | module | what is in it |
//! |---|---|
//! | [`cache`] | the layer, its rules, the handler's word, purging and counting |
//! | `aside` | values of your own types, loaded once and kept in front of what they are loaded from |
//! | [`store`] | where responses are kept: the contract, the store of one process, the store of many, the suite for stores of your own |
//! | [`limit`] | rate limits: the layer, its policies, where takings are counted |
//! | [`session`] | sessions: the layer, the handle, where they are kept |
//! | `redis` | a handle on a Redis or Valkey, for what several processes share |
//! | [`private`] | the word by which other middleware keeps a response from being shared |
//! | [`quota`] | limits, as pure arithmetic |
//! | [`expiry`] | jitter and early refresh, as pure arithmetic |
//! | [`clock`] | the time, and one that tests wind by hand |
//! | [`error`] | the one error type |
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `cache` | yes | [`cache`] |
//! | `aside` | | `aside` |
//! | `json` | | values of `aside`, and what the tools of `redis` keep, as JSON |
//! | `limit` | yes | [`limit`] |
//! | `session` | yes | [`session`], in one process |
//! | `session-json` | | its values as JSON |
//! | `axum` | | [`Caching`] as an axum response part, [`Session`] as an extractor, [`Error`] as a response, the address of who is connected to [`limit`] |
//! | `redis`, `redis-tls` | | `redis`; the same over TLS |
//! | `tracing` | | one event per request and per fill, at debug level |
//! | `conformance` | | `store::conformance` and `session::conformance`, the suites every store must pass |
//!
//! # The runtime
//!
//! Fills run in tasks of their own, so that they outlive a client who leaves: the layers need a tokio runtime.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "aside")]
pub mod aside;
#[cfg(feature = "cache")]
pub mod cache;
pub mod clock;
#[cfg(any(feature = "cache", feature = "limit"))]
mod digits;
pub mod error;
pub mod expiry;
#[cfg(feature = "limit")]
pub mod limit;
#[cfg(any(feature = "aside", feature = "cache", feature = "limit", feature = "redis", feature = "session"))]
#[cfg_attr(
    not(any(
        feature = "aside",
        feature = "cache",
        all(any(feature = "limit", feature = "session"), feature = "redis")
    )),
    expect(dead_code, reason = "only what stands on a store, and limits and sessions on Redis, use all of it")
)]
mod observe;
#[cfg(any(feature = "cache", feature = "limit"))]
mod origin;
pub mod private;
pub mod quota;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "session")]
pub mod session;
pub mod store;

#[cfg(feature = "aside")]
pub use aside::Aside;
#[cfg(feature = "cache")]
pub use cache::{CacheHandle, CacheLayer, CacheStatus, Caching, Query, QueryMethodLayer, Rules};
pub use error::Error;
#[cfg(feature = "limit")]
pub use limit::RateLimitLayer;
#[cfg(feature = "redis")]
pub use redis::Redis;
#[cfg(all(feature = "redis", feature = "session"))]
pub use session::RedisSessions;
#[cfg(feature = "session")]
pub use session::{BoxSessions, MemorySessions, Session, SessionLayer};
pub use store::{BoxStore, memory::Memory};
#[cfg(feature = "redis")]
pub use store::{RedisStore, Tiered};
