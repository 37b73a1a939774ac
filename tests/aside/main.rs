//! Typed values kept in front of their source, on every store.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod any_order;
mod batch;
mod dropped;
#[cfg(feature = "redis")]
mod elsewhere;
mod flight;
mod invalidation;
mod scene;
mod stale;
#[cfg(feature = "redis")]
#[path = "../redis/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests of the handle need more of it")]
mod support;
mod timeouts;
mod values;
mod write;
