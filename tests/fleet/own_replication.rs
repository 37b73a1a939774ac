//! The way between a primary and its replica: what is written while it is held is lost with the primary, and nothing else.

use std::time::Duration;

use crate::{
    replication::{Replication, is_primary, offset},
    support::{Cluster, Sentinels, Server, eventually},
};

const FAILOVER: Duration = Duration::from_secs(20);

async fn loses_what_was_held(primary: &mut Server, replica: &Server, way: &Replication) {
    way.hold();
    // Of the first primary's slots, if it is one of a Cluster.
    primary.tell(&["SET", "{b}:before", "v"]).await;
    assert!(offset(replica).await < offset(primary).await, "the replica has not heard of it");
    way.release();
    eventually("the replica has it", FAILOVER, async || (offset(replica).await >= offset(primary).await).then_some(()))
        .await;
    way.hold();
    primary.tell(&["SET", "{b}:after", "v"]).await;
    primary.kill();
    way.lose();
    eventually("the replica is promoted", FAILOVER, async || is_primary(replica).await.then_some(())).await;
    let keys: Vec<String> = replica.ask(&["KEYS", "{b}:*"]).await.unwrap();
    assert_eq!(keys, ["{b}:before"]);
}

#[tokio::test]
async fn sentinels_promote_a_replica_that_was_cut_off() {
    let mut group = Sentinels::start().await;
    let way = Replication::of_sentinels(&group).await;
    let [primary, replica] = &mut group.servers[..] else { unreachable!("there are two servers") };
    loses_what_was_held(primary, replica, &way).await;
}

#[tokio::test]
async fn a_cluster_promotes_a_replica_that_was_cut_off() {
    let mut cluster = Cluster::start().await;
    let ways = Replication::of_cluster(&cluster).await;
    let (primary, others) = cluster.nodes.split_first_mut().unwrap();
    loses_what_was_held(primary, &others[2], &ways[0]).await;
}
