//! Servers that take over.

use std::time::Duration;

use bartizan::{
    Redis,
    session::{
        RedisSessions, SessionStore,
        changes::Changes,
        contract::{Applied, NewRecord},
    },
};
use futures_util::future::join_all;

use crate::{
    redis_scene::{
        add, check_keys, connect, create, done, fields, id, key, listed, member, new, of, principal, renewal, set,
    },
    redis_servers::{Cluster, Sentinels, eventually, within},
};

const LIMIT: Duration = Duration::from_secs(60);

/// What the replicas know is meant: what a primary alone knew is lost with it.
async fn replicated(redis: &Redis) {
    let replicas = redis.command("WAIT").arg(1).arg(5000).run().await.unwrap().int().unwrap();
    assert_eq!(replicas, 1);
}

#[tokio::test]
async fn what_ended_before_a_failover_stays_ended_and_the_rest_goes_on() {
    let mut sentinels = Sentinels::start().await;
    let redis = connect(&sentinels.url()).await;
    let store = RedisSessions::new(redis.clone());
    for n in 0..20 {
        create(&store, NewRecord { changes: set("n", &[1]), ..of(n, "ann") }).await;
        done(&store, n, renewal(1, 2)).await;
    }
    for n in 0..10 {
        assert!(store.destroy(&id(n)).await.unwrap());
    }
    replicated(&redis).await;
    sentinels.servers[0].kill();

    let changed = async || store.apply(&id(10), Default::default(), add("n", 1)).await.ok();
    let (applied, _) = eventually("a replica was promoted", LIMIT, changed).await;
    assert!(matches!(applied, Applied::Done(_)), "{applied:?}");
    for n in 0..10 {
        assert!(store.load(&id(n)).await.unwrap().is_none(), "{n} ended before");
        let applied = store.apply(&id(n), Default::default(), Changes::default()).await.unwrap();
        assert_eq!(applied, Applied::Gone, "{n} ended before");
    }
    for n in 10..20 {
        assert_eq!(fields(&store, n).await.values["n"], [1][..], "{n} goes on");
        done(&store, n, renewal(2, 3)).await;
    }
    assert_eq!(listed(&store, "ann").await, (10..20).collect::<Vec<_>>());
    check_keys(&sentinels.servers[1]).await;
    assert_eq!(store.destroy_all(&principal("ann"), None).await.unwrap(), 10);
}

/// A Cluster's connection sends again what it cannot know to have arrived.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_is_made_twice_when_connections_to_a_cluster_break_and_a_node_fails() {
    let mut cluster = Cluster::start().await;
    let slot: u16 = cluster.nodes[0].ask(&["CLUSTER", "KEYSLOT", &key(1)]).await.unwrap();
    let shard = usize::from(slot / 5461).min(2);
    let redis = cluster.handle(Duration::from_secs(5)).deadline(Duration::from_secs(3)).connect().await.unwrap();
    let store = RedisSessions::new(redis);
    create(&store, new(1)).await;
    done(&store, 1, Changes::default()).await;
    let replica = &cluster.nodes[shard + 3];
    eventually("the replica has it", LIMIT, async || {
        (replica.ask::<String>(&["INFO", "replication"]).await.ok()?.contains("master_link_status:up")).then_some(())
    })
    .await;

    let writers = (0..8u32).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut done = 0;
            for n in 0u32.. {
                let own = (n * 8 + writer).to_le_bytes();
                let changes = Changes { counters: add("n", 1).counters, ..member("s", &own) };
                match store.apply(&id(1), Default::default(), changes).await {
                    Ok(applied) => {
                        assert!(matches!(applied, Applied::Done(_)), "{applied:?}");
                        done += 1;
                    }
                    // Between two primaries a call may be sent to and fro for too often.
                    Err(error) => assert!(error.is_unavailable() || error.code() == Some("MOVED"), "{error:?}"),
                }
                if done == 400 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    for more in 0..30 {
        eventually("they are at it", LIMIT, async || {
            let loaded = store.load(&id(1)).await.ok().flatten()?;
            (loaded.record.fields.counters.get("n").copied().unwrap_or(0) > 50 * more).then_some(())
        })
        .await;
        cluster.nodes[shard].tell(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    }
    cluster.nodes[shard].kill();
    for writer in within(LIMIT, join_all(writers)).await.0 {
        writer.unwrap();
    }
    let load = async || store.load(&id(1)).await.ok().flatten();
    let (loaded, _) = eventually("a replica was promoted", LIMIT, load).await;
    let fields = &loaded.record.fields;
    assert_eq!(fields.counters["n"], i64::try_from(fields.sets["s"].len()).unwrap(), "each counts once or not at all");
    check_keys(&cluster.nodes[shard + 3]).await;
}
