//! Rate limiting, from outside.
#![cfg_attr(feature = "redis", expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands"))]

mod answers;
mod broken;
mod keys;
mod layer;
mod memory;
#[cfg(feature = "redis")]
mod redis_acl;
#[cfg(feature = "redis")]
mod redis_asking;
#[cfg(feature = "redis")]
mod redis_cases;
#[cfg(feature = "redis")]
mod redis_cluster;
#[cfg(feature = "redis")]
mod redis_nodes;
#[cfg(feature = "redis")]
mod redis_states;
mod shaping;
mod site;
#[cfg(feature = "redis")]
#[path = "../redis/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests of the handle need more of it")]
mod support;
#[cfg(feature = "redis")]
#[path = "../quota/table.rs"]
mod table;
