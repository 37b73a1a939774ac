//! Every store of the crate keeps the contract.

use bartizan::{BoxStore, Memory, store::conformance};

#[tokio::test(start_paused = true)]
async fn memory_keeps_the_contract() {
    conformance::run(|| Memory::with_capacity(8 << 20)).await;
}

#[tokio::test(start_paused = true)]
async fn a_boxed_store_keeps_the_contract() {
    conformance::run(|| BoxStore::new(Memory::with_capacity(8 << 20))).await;
}

#[tokio::test(start_paused = true)]
async fn a_boxed_boxed_store_keeps_the_contract() {
    conformance::run(|| BoxStore::new(BoxStore::new(Memory::with_capacity(8 << 20)))).await;
}
