//! The store of one process keeps the contract.

use std::time::Duration;

use bartizan::{MemorySessions, clock::TestClock, session::conformance};

#[tokio::test]
async fn memory_keeps_the_contract() {
    let clock = TestClock::new();
    let fresh = async || MemorySessions::new().clock(clock.clone());
    conformance::run(fresh, async |time| clock.advance(time), Duration::from_secs(60)).await;
}
