//! The contract on servers.

use std::time::Duration;

use bartizan::{
    BoxSessions, Redis,
    clock::TestClock,
    session::{RedisSessions, conformance},
};

use crate::{
    redis_scene::{SOON, check_keys, connect, fresh_name},
    redis_servers::{Cluster, Sentinels, Server, eventually},
};

/// By a clock that is wound.
async fn all_keep_it(redis: Redis) {
    let clock = TestClock::new();
    let fresh = async || RedisSessions::builder(redis.clone()).name(&fresh_name()).clock(clock.clone()).build();
    conformance::run(fresh, async |time| clock.advance(time), Duration::from_secs(60)).await;
}

#[tokio::test]
async fn a_server_keeps_the_contract() {
    let server = Server::start().await;
    all_keep_it(connect(&server.url()).await).await;
    check_keys(&server).await;
}

#[tokio::test]
async fn a_primary_of_sentinels_keeps_the_contract() {
    let sentinels = Sentinels::start().await;
    all_keep_it(connect(&sentinels.url()).await).await;
    check_keys(&sentinels.servers[0]).await;
}

#[tokio::test]
async fn a_cluster_keeps_the_contract() {
    let cluster = Cluster::start().await;
    let handle = cluster.handle(Duration::from_secs(5)).deadline(Duration::from_secs(5));
    all_keep_it(handle.connect().await.unwrap()).await;
    for node in &cluster.nodes[..3] {
        check_keys(node).await;
    }
}

/// By the server's own clock, which cannot be wound.
#[tokio::test]
async fn a_server_keeps_the_contract_by_its_own_clock() {
    let server = Server::start().await;
    let redis = connect(&server.url()).await;
    let fresh = async || BoxSessions::new(RedisSessions::builder(redis.clone()).name(&fresh_name()).build());
    let pass = async |time: Duration| {
        let start = millis(&server).await;
        let is_over = async || (millis(&server).await - start >= time.as_millis()).then_some(());
        eventually("the server's time goes by", SOON, is_over).await;
    };
    conformance::run_with(fresh, pass, Duration::from_millis(500), 0..4).await;
    check_keys(&server).await;
}

async fn millis(server: &Server) -> u128 {
    let (secs, micros): (u128, u128) = server.ask(&["TIME"]).await.unwrap();
    secs * 1000 + micros / 1000
}
