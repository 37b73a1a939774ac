//! What sessions promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod asvs;
#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "cache")]
mod caches;
mod handle;
mod interleavings;
mod lifetimes;
mod memory;
mod outage;
mod parallel;
#[cfg(feature = "redis")]
mod redis_acl;
#[cfg(feature = "redis")]
mod redis_contract;
#[cfg(feature = "redis")]
mod redis_cost;
#[cfg(feature = "redis")]
mod redis_failover;
#[cfg(feature = "redis")]
mod redis_failure;
#[cfg(feature = "redis")]
mod redis_layer;
#[cfg(feature = "redis")]
mod redis_races;
#[cfg(feature = "redis")]
mod redis_scene;
#[cfg(feature = "redis")]
#[path = "../redis/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests of the handle need more of it")]
mod redis_servers;
mod rights;
mod store;
mod support;
mod tokens;
