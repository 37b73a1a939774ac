//! A primary that is gone, and the next that is found.

use std::time::Duration;

use bartizan::{Redis, redis::Script};
use tokio::time::Instant;

use crate::support::{Cluster, Sentinels, eventually};

const SECOND: Duration = Duration::from_secs(1);

/// Beyond what the servers themselves need to agree on a new primary.
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn sentinels_name_another_primary_when_the_first_is_killed() {
    let mut group = Sentinels::start().await;
    let redis = Redis::connect(&group.url()).await.unwrap();
    let script = Script::new("return redis.call('SET', KEYS[1], ARGV[1])");
    redis.script(&script).key("k").arg("before").run().await.unwrap();
    group.servers[0].kill();
    let (_, took) = eventually("scripts run on the new primary", LIMIT, async || {
        redis.script(&script).key("k").arg("after").run().await.ok()
    })
    .await;
    println!("Sentinel: commands succeed {took:?} after the primary was killed");
    let value: String = group.servers[1].ask(&["GET", "bartizan:k"]).await.unwrap();
    assert_eq!(value, "after");
}

#[tokio::test]
async fn a_primary_that_hangs_is_left_when_the_sentinels_have_another() {
    let group = Sentinels::start().await;
    let redis = Redis::builder(&group.url()).unwrap().deadline(200 * SECOND / 1000).connect().await.unwrap();
    group.servers[0].pause();
    let (_, took) = eventually("commands succeed on the new primary", LIMIT, async || {
        redis.command("SET").key("k").arg("after").run().await.ok()
    })
    .await;
    println!("Sentinel: commands succeed {took:?} after the primary hung");
    let value: String = group.servers[1].ask(&["GET", "bartizan:k"]).await.unwrap();
    assert_eq!(value, "after");
}

/// Of the slots of the first primary, and of another.
const KEYS: [&str; 2] = ["{b}", "{foo}"];

async fn set(redis: &Redis, key: &str) -> Result<(), bartizan::Error> {
    redis.command("SET").key(key).arg("v").run().await.map(drop)
}

#[tokio::test]
async fn a_cluster_goes_on_without_the_primary_that_was_killed() {
    let mut cluster = Cluster::start().await;
    let redis = cluster.handle(4 * SECOND).connect().await.unwrap();
    for key in KEYS {
        set(&redis, key).await.unwrap();
    }
    cluster.nodes[0].kill();
    let ((), took) = eventually("the shard has a new primary", LIMIT, async || set(&redis, KEYS[0]).await.ok()).await;
    println!("Cluster: commands succeed {took:?} after the primary was killed");
    set(&redis, KEYS[1]).await.unwrap();
}

/// redis-rs alone asks the one that hangs for as long as it hangs.
#[tokio::test]
async fn a_cluster_goes_on_without_the_primary_that_hangs() {
    let cluster = Cluster::start().await;
    let redis = cluster.handle(2 * SECOND).deadline(200 * SECOND / 1000).connect().await.unwrap();
    for key in KEYS {
        set(&redis, key).await.unwrap();
    }
    // First nobody takes over: longer than it takes until the connection is given up.
    let [primary, .., replica, _, _] = &cluster.nodes[..] else { unreachable!("there are six nodes") };
    primary.pause();
    replica.pause();
    let (mut good, mut bad) = (0, 0);
    let start = Instant::now();
    while start.elapsed() < 8 * SECOND {
        set(&redis, KEYS[0]).await.unwrap_err();
        *(if set(&redis, KEYS[1]).await.is_ok() { &mut good } else { &mut bad }) += 1;
        tokio::task::yield_now().await;
    }
    println!("Cluster: {good} commands on another shard, and {bad} that failed, while one hung");
    assert!(good > 20 * bad, "one shard does not cut off the others: {good} good, {bad} bad");

    replica.resume();
    let ((), took) = eventually("the shard has a new primary", LIMIT, async || set(&redis, KEYS[0]).await.ok()).await;
    println!("Cluster: commands succeed {took:?} after there was a replica for the primary that hung");
}
