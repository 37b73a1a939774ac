//! A primary that is gone, and the next that is found.

use std::time::Duration;

use bartizan::{Redis, redis::Script};
use tokio::time::Instant;

use crate::support::{Cluster, Sentinels, begun, changed, eventually, lost, resumed, said, within};

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

#[tokio::test]
async fn a_subscription_follows_the_sentinels_to_the_next_primary() {
    let mut group = Sentinels::start().await;
    let redis = Redis::connect(&group.url()).await.unwrap();
    let mut subscription = redis.subscribe(&["news"]).tracking("");
    assert!(begun(&mut subscription).await);
    group.servers[0].kill();
    lost(&mut subscription).await;
    assert!(resumed(&mut subscription).await);
    redis.command("SET").key("k").arg("v").run().await.unwrap();
    assert_eq!(changed(&mut subscription).await, "k");
    let heard_by: u32 = group.servers[1].ask(&["PUBLISH", "bartizan:news", "at the new one"]).await.unwrap();
    assert_eq!(heard_by, 1);
    assert_eq!(said(&mut subscription).await.1, "at the new one");
}

#[tokio::test]
async fn a_subscription_to_a_primary_that_hangs_is_abandoned_for_the_one_that_the_sentinels_name() {
    let group = Sentinels::start().await;
    let redis = Redis::connect(&group.url()).await.unwrap();
    let mut subscription = redis.subscribe(&["news"]);
    begun(&mut subscription).await;
    group.servers[0].pause();
    subscription.abandon();
    lost(&mut subscription).await;
    resumed(&mut subscription).await;
    let heard_by: u32 = group.servers[1].ask(&["PUBLISH", "bartizan:news", "at the new one"]).await.unwrap();
    assert_eq!(heard_by, 1);
    assert_eq!(said(&mut subscription).await.1, "at the new one");
}

/// The place of the node that has the only subscriber.
async fn subscribed_at(cluster: &Cluster) -> usize {
    let asking = eventually("one node has the subscriber", SECOND, async || {
        let mut found = None;
        for (at, node) in cluster.nodes.iter().enumerate() {
            let (_, count): (String, u32) = node.ask(&["PUBSUB", "NUMSUB", "bartizan:news"]).await.ok()?;
            if count == 1 && found.replace(at).is_some() {
                return None;
            }
        }
        found
    });
    asking.await.0
}

#[tokio::test]
async fn a_subscription_hears_every_node_of_a_cluster_and_leaves_the_one_that_is_killed() {
    let mut cluster = Cluster::start().await;
    let redis = cluster.handle(4 * SECOND).connect().await.unwrap();
    let mut subscription = redis.subscribe(&["news"]);
    begun(&mut subscription).await;
    for (at, node) in cluster.nodes.iter().enumerate() {
        node.tell(&["PUBLISH", "bartizan:news", &at.to_string()]).await;
        assert_eq!(said(&mut subscription).await.1, at.to_string());
    }
    let at = subscribed_at(&cluster).await;
    cluster.nodes[at].kill();
    lost(&mut subscription).await;
    let (_, took) = within(LIMIT, resumed(&mut subscription)).await;
    println!("Cluster: heard again {took:?} after the node was killed");
    // Its peers have connections to each other; they need not have noticed that one is gone.
    cluster.nodes[(at + 1) % 6].tell(&["PUBLISH", "bartizan:news", "after"]).await;
    assert_eq!(said(&mut subscription).await.1, "after");
}
