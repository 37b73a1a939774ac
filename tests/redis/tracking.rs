//! Keys that change, whoever changes them.

use std::time::Duration;

use bartizan::{Redis, redis::Heard};

use crate::support::{Cluster, Server, begun, changed, eventually, heard, lost, publish, resumed, said, within};

const SECOND: Duration = Duration::from_secs(1);

/// Beyond what the servers themselves need to agree on a new primary.
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn whatever_changes_a_key_is_heard_of() {
    let server = Server::start().await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    // One that is within another is no fault.
    let mut subscription = redis.subscribe(&["news"]).tracking("page:1").tracking("page:").tracking("page:2");
    assert!(begun(&mut subscription).await);

    redis.command("SET").key("other").arg("v").run().await.unwrap();
    server.tell(&["SET", "page:1", "of another namespace"]).await;
    redis.command("SET").key("page:1").arg("v").run().await.unwrap();
    assert_eq!(changed(&mut subscription).await, "page:1");
    redis.command("SET").key("page:2").arg("v").arg("PX").arg(100).run().await.unwrap();
    for _ in ["written", "expired"] {
        assert_eq!(changed(&mut subscription).await, "page:2");
    }
    server.tell(&["DEL", "bartizan:page:nothing"]).await;
    server.tell(&["DEL", "bartizan:page:1"]).await;
    let mut told = changed(&mut subscription).await;
    while told == "page:2" {
        told = changed(&mut subscription).await;
    }
    assert_eq!(told, "page:1", "deleted by somebody else");

    let elsewhere = Redis::connect(&format!("{}/5", server.url())).await.unwrap();
    elsewhere.command("SET").key("page:3").arg("v").run().await.unwrap();
    assert_eq!(changed(&mut subscription).await, "page:3", "in another database");
    publish(&redis, "news", "beside keys").await;
    assert_eq!(said(&mut subscription).await.1, "beside keys");
    server.tell(&["FLUSHALL"]).await;
    assert!(matches!(heard(&mut subscription).await, Heard::ChangedAll));

    // Without a channel.
    let mut subscription = redis.subscribe(&[""; 0]).tracking("page:");
    assert!(begun(&mut subscription).await);
    redis.command("SET").key("page:1").arg("v").run().await.unwrap();
    assert_eq!(changed(&mut subscription).await, "page:1");
}

/// A key of each primary.
const KEYS: [&str; 3] = ["{b}", "{c}", "{foo}"];

#[tokio::test]
async fn in_a_cluster_each_primary_tells_of_its_keys_also_one_that_took_over() {
    let mut cluster = Cluster::start().await;
    let redis = cluster.handle(4 * SECOND).connect().await.unwrap();
    let mut subscription = redis.subscribe(&["news"]).tracking("{");
    assert!(begun(&mut subscription).await);
    for key in KEYS {
        redis.command("SET").key(key).arg("v").run().await.unwrap();
        assert_eq!(changed(&mut subscription).await, key);
    }
    for (at, node) in cluster.nodes[..3].iter().enumerate() {
        let keys: u32 = node.ask(&["DBSIZE"]).await.unwrap();
        assert_eq!(keys, 1, "primary {at}");
    }
    cluster.nodes[0].kill();
    lost(&mut subscription).await;
    assert!(resumed(&mut subscription).await);
    for key in KEYS {
        eventually("the shard has a primary", LIMIT, async || redis.command("SET").key(key).arg("w").run().await.ok())
            .await;
        // One whose answer came too late was sent twice.
        eventually("it is heard of", LIMIT, async || (changed(&mut subscription).await == key).then_some(())).await;
    }
    publish(&redis, "news", "and messages").await;
    let hearing = async {
        loop {
            if let Heard::Said { text, .. } = subscription.next().await {
                return text;
            }
        }
    };
    assert_eq!(within(LIMIT, hearing).await.0, "and messages");
}
