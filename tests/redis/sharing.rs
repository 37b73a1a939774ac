//! Many callers, few sockets.

use std::time::Duration;

use bartizan::Redis;
use futures_util::future::join_all;

use crate::support::{Cluster, Server, within};

async fn crowd(redis: &Redis) {
    let callers = (0..256).map(|caller| {
        let redis = redis.clone();
        tokio::spawn(async move {
            for round in 0..20 {
                let (key, value) = (format!("k{caller}"), format!("{caller} {round}"));
                redis.command("SET").key(&key).arg(&value).run().await.unwrap();
                let got = redis.command("GET").key(&key).run().await.unwrap();
                assert_eq!(got.text().unwrap(), Some(value), "nobody gets another's answer");
            }
        })
    });
    let (results, _) = within(Duration::from_secs(20), join_all(callers)).await;
    results.into_iter().for_each(|result| result.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_by_the_hundred_share_one_socket() {
    let server = Server::start().await;
    let redis = Redis::builder(&server.url()).unwrap().deadline(Duration::from_secs(5)).connect().await.unwrap();
    crowd(&redis).await;
    assert_eq!(server.clients().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_cluster_they_share_one_socket_per_node() {
    let cluster = Cluster::start().await;
    let patience = Duration::from_secs(5);
    let redis = cluster.handle(patience).deadline(patience).connect().await.unwrap();
    crowd(&redis).await;
    for node in &cluster.nodes {
        let clients = node.clients().await;
        assert!(clients <= 1, "{clients}");
    }
}
