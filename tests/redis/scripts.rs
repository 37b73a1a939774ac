//! Scripts by their digest, also where nobody knows it any more.

use std::time::Duration;

use bartizan::{Redis, redis::Script};

use crate::support::{Cluster, Server};

const COUNT: &str = "return redis.call('INCRBY', KEYS[1], ARGV[1])";

async fn calls(server: &Server, command: &str) -> u64 {
    let stats: String = server.ask(&["INFO", "commandstats"]).await.unwrap();
    let prefix = format!("cmdstat_{command}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(&prefix));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_script_travels_once_and_again_when_it_was_forgotten() {
    let mut server = Server::start().await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    let script = Script::new(COUNT);
    let run = async || redis.script(&script).key("n").arg(1).run().await.unwrap().int().unwrap();
    for n in 1..=5 {
        assert_eq!(run().await, n);
    }
    assert_eq!(calls(&server, "eval").await, 1, "the text");
    server.tell(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(run().await, 6, "it ran once");
    assert_eq!(calls(&server, "eval").await, 2);

    server.tell(&["SCRIPT", "FLUSH"]).await;
    let other = Script::new("return {KEYS[1], ARGV[1]}");
    let replies = redis
        .pipeline()
        .add_script(redis.script(&script).key("n").arg(1))
        .add_command(redis.command("ECHO").arg("between"))
        .add_script(redis.script(&other).key("k").arg("v"))
        .add_script(redis.script(&script).key("n").arg(10))
        .run()
        .await;
    let mut replies = replies.into_iter().map(Result::unwrap);
    assert_eq!(replies.next().unwrap().int().unwrap(), 7);
    assert_eq!(replies.next().unwrap().text().unwrap().as_deref(), Some("between"));
    let pair: Vec<_> = replies.next().unwrap().list().unwrap().into_iter().map(|part| part.text().unwrap()).collect();
    assert_eq!(pair, [Some("bartizan:k".to_owned()), Some("v".to_owned())]);
    assert_eq!(replies.next().unwrap().int().unwrap(), 17);

    server.kill();
    server.restart().await;
    assert_eq!(run().await, 1, "a server that lost everything");
}

#[tokio::test]
async fn in_a_cluster_the_text_goes_to_the_node_that_lacks_it() {
    let cluster = Cluster::start().await;
    let redis = cluster.handle(Duration::from_secs(5)).connect().await.unwrap();
    let script = Script::new(COUNT);
    for round in 1..=2 {
        for key in 0..30 {
            let n = redis.script(&script).key(format!("n{key}")).arg(1).run().await.unwrap();
            assert_eq!(n.int().unwrap(), round);
        }
    }
    for (at, node) in cluster.nodes[..3].iter().enumerate() {
        assert_eq!(calls(node, "eval").await, 1, "primary {at}");
        node.tell(&["SCRIPT", "FLUSH"]).await;
    }
    let all = (0..30)
        .fold(redis.pipeline(), |pipe, key| pipe.add_script(redis.script(&script).key(format!("n{key}")).arg(1)));
    for reply in all.run().await {
        assert_eq!(reply.unwrap().int().unwrap(), 3);
    }
}

#[tokio::test]
async fn a_shard_that_hangs_keeps_no_script_of_a_pipeline_from_the_others() {
    let cluster = Cluster::start().await;
    let redis = cluster.handle(Duration::from_secs(5)).deadline(Duration::from_secs(1)).connect().await.unwrap();
    let script = Script::new(COUNT);
    let mut slots: Vec<u16> = Vec::new();
    for key in 0..30 {
        slots.push(cluster.nodes[0].ask(&["CLUSTER", "KEYSLOT", &format!("bartizan:n{key}")]).await.unwrap());
        redis.script(&script).key(format!("n{key}")).arg(key).run().await.unwrap();
    }
    // One shard hangs, its replica too; of the others one knows the script and one does not.
    let [first, second, _, replica, ..] = &cluster.nodes[..] else { unreachable!("there are six nodes") };
    second.tell(&["SCRIPT", "FLUSH"]).await;
    first.pause();
    replica.pause();
    let all = (0..30)
        .fold(redis.pipeline(), |pipe, key| pipe.add_script(redis.script(&script).key(format!("n{key}")).arg(key)));
    for ((key, slot), reply) in (0..30).zip(slots).zip(all.run().await) {
        match reply {
            Ok(reply) if slot > 5460 => assert_eq!(reply.int().unwrap(), 2 * key),
            Err(error) if slot <= 5460 => assert!(error.is_unavailable(), "{error}"),
            other => panic!("key {key} in slot {slot}: {other:?}"),
        }
    }
}
