//! The contract on servers, alone and with memory in front.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bartizan::{
    BoxStore, Memory, Redis, RedisStore, Tiered,
    store::{
        Key, Store,
        conformance::{self, PATIENCE, Probe},
    },
};

use crate::support::{Cluster, Sentinels, Server, eventually};

/// An empty store.
fn fresh(redis: &Redis) -> RedisStore {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("store-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    RedisStore::builder(redis.clone()).name(&name).build()
}

/// The same with memory in front, which believes what it hears.
async fn tiered(redis: &Redis) -> Tiered<Probe> {
    let store = Tiered::new(Memory::with_capacity(8 << 20), fresh(redis));
    drop(store.lease(Key::new(1.into()), None).await);
    eventually("the channel works", PATIENCE, async || store.is_connected().then_some(())).await;
    store
}

async fn all_keep_it(redis: Redis) {
    conformance::run_with(async || fresh(&redis), 0..16).await;
    conformance::run_with(async || tiered(&redis).await, 0..16).await;
    conformance::run_with(async || BoxStore::new(tiered(&redis).await), 0..1).await;
}

#[tokio::test]
async fn a_server_keeps_the_contract() {
    let server = Server::start().await;
    all_keep_it(Redis::connect(&server.url()).await.unwrap()).await;
}

#[tokio::test]
async fn a_primary_of_sentinels_keeps_the_contract() {
    let sentinels = Sentinels::start().await;
    all_keep_it(Redis::connect(&sentinels.url()).await.unwrap()).await;
}

#[tokio::test]
async fn a_cluster_keeps_the_contract() {
    let cluster = Cluster::start().await;
    all_keep_it(cluster.handle(Duration::from_secs(5)).connect().await.unwrap()).await;
}
