//! Every store of the crate keeps the contract.
#![cfg_attr(feature = "redis", expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands"))]

use bartizan::{BoxStore, Memory, store::conformance};

#[cfg(feature = "redis")]
mod acl;
#[cfg(all(feature = "cache", feature = "redis"))]
mod cost;
#[cfg(feature = "redis")]
mod races;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod shared;
#[cfg(feature = "redis")]
mod stampede;
#[cfg(feature = "redis")]
#[path = "../redis/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests of the handle need more of it")]
mod support;

#[tokio::test(start_paused = true)]
async fn memory_keeps_the_contract() {
    conformance::run(async || Memory::with_capacity(8 << 20)).await;
}

#[tokio::test(start_paused = true)]
async fn a_boxed_store_keeps_the_contract() {
    conformance::run(async || BoxStore::new(Memory::with_capacity(8 << 20))).await;
}

#[tokio::test(start_paused = true)]
async fn a_boxed_boxed_store_keeps_the_contract() {
    conformance::run(async || BoxStore::new(BoxStore::new(Memory::with_capacity(8 << 20)))).await;
}
