//! The ACL user that sessions need: all that is done it may do, and nothing it may do is not done.

use std::time::Duration;

use bartizan::{
    Redis,
    clock::TestClock,
    session::{RedisSessions, SessionStore, changes::Changes, conformance},
};

use crate::{
    redis_scene::{add, fresh_name, id, member, new, of, principal, rights, set, unset},
    redis_servers::{Cluster, Server},
};

/// `ACL SETUSER web ..`, as `docs/redis.md` is to have it.
const USER: &str = "ACL SETUSER web on >secret ~bartizan:* +ping +info +eval +evalsha +time \
    +exists +del +pexpire +pexpireat +pttl +hget +hgetall +hset +hdel +hincrby +hstrlen +hexists +hkeys \
    +zadd +zcount +zrange +zrem +zremrangebyscore";

fn words() -> Vec<&'static str> {
    USER.split_whitespace().collect()
}

fn as_web(url: &str) -> Redis {
    Redis::builder(url).unwrap().user("web").password("secret").deadline(Duration::from_secs(5)).build().unwrap()
}

/// What was denied, by the name of the command, or the key.
async fn denied(server: &Server) -> Vec<String> {
    let entries: Vec<Vec<redis::Value>> = server.ask(&["ACL", "LOG"]).await.unwrap();
    let text = |value: &redis::Value| redis::from_redis_value_ref::<String>(value).unwrap_or_default();
    let object =
        |entry: Vec<redis::Value>| entry.windows(2).find(|pair| text(&pair[0]) == "object").map(|pair| text(&pair[1]));
    // Where it may, redis-rs says its name.
    entries.into_iter().filter_map(object).filter(|object| object != "client|setinfo").collect()
}

/// The contract by both clocks.
async fn play_all(redis: &Redis) {
    let clock = TestClock::new();
    let fresh = async || RedisSessions::builder(redis.clone()).name(&fresh_name()).clock(clock.clone()).build();
    conformance::run_with(fresh, async |time| clock.advance(time), Duration::from_secs(60), 0..4).await;
    play(redis).await;
}

/// Everything once, whatever comes of it.
async fn play(redis: &Redis) {
    let store = RedisSessions::builder(redis.clone()).name(&fresh_name()).build();
    let zero = Default::default();
    drop(redis.command("PING").run().await);
    drop(redis.capabilities().await);
    drop(store.create(of(1, "ann")).await);
    drop(store.create(new(2)).await);
    drop(store.create(new(2)).await);
    for changes in [
        Changes { counters: add("n", 1).counters, ..set("a", b"") },
        Changes { counters: add("n", 1).counters, ..set("a", b"") },
        Changes { clear: true, ..member("s", b"m") },
        Changes {
            sets: [("s".into(), bartizan::session::changes::Members { clear: true, ..Default::default() })].into(),
            ..unset("a")
        },
        rights(2, Some("ann")),
    ] {
        drop(store.apply(&id(2), zero, changes).await);
    }
    drop(store.load(&id(2)).await);
    drop(store.destroy(&id(1)).await);
    drop(store.list(&principal("ann")).await);
    drop(store.destroy_all(&principal("ann"), None).await);
    let by_clock = RedisSessions::builder(redis.clone()).name(&fresh_name()).clock(TestClock::new()).build();
    drop(by_clock.create(new(1)).await);
}

#[tokio::test]
async fn the_documented_user_may_do_all_that_is_done() {
    let server = Server::start().await;
    server.tell(&words()).await;
    play_all(&as_web(&server.url())).await;
    assert_eq!(denied(&server).await, [""; 0]);
}

#[tokio::test]
async fn the_documented_user_may_do_all_that_is_done_in_a_cluster() {
    let cluster = Cluster::start().await;
    for node in &cluster.nodes {
        node.tell(&[&words()[..], &["+cluster|slots"]].concat()).await;
    }
    let hosts: Vec<_> = cluster.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    play_all(&as_web(&format!("redis+cluster://{}", hosts.join(",")))).await;
    for node in &cluster.nodes {
        assert_eq!(denied(node).await, [""; 0]);
    }
}

#[tokio::test]
async fn each_of_its_permissions_is_needed() {
    let server = Server::start().await;
    let mut needless = Vec::new();
    for permission in words().into_iter().filter_map(|word| word.strip_prefix('+')) {
        server.tell(&["ACL", "DELUSER", "web"]).await;
        server.tell(&words()).await;
        server.tell(&["ACL", "SETUSER", "web", &format!("-{permission}")]).await;
        server.tell(&["ACL", "LOG", "RESET"]).await;
        server.tell(&["SCRIPT", "FLUSH"]).await;
        play(&as_web(&server.url())).await;
        if !denied(&server).await.iter().any(|object| object == permission) {
            needless.push(permission);
        }
    }
    assert_eq!(needless, [""; 0]);
}
