//! What the documentation of a tool says that its user must be allowed: that is enough, and none of it is too much.

use std::time::Duration;

use bartizan::{
    Error, Redis,
    redis::{
        health::Checkup,
        leaderboard::{Leaderboard, Period},
    },
};
use redis::Value;

use crate::support::Server;

/// The lines of a module's documentation that are permissions.
fn documented(module: &str) -> Vec<&str> {
    let lines = module.lines().filter_map(|line| line.strip_prefix("//! +").map(|_| &line[4..]));
    lines.flat_map(str::split_whitespace).collect()
}

async fn user(server: &Server, permissions: &[&str]) -> Redis {
    server.tell(&["FLUSHALL"]).await;
    server.tell(&["SCRIPT", "FLUSH"]).await;
    server.tell(&["ACL", "DELUSER", "web"]).await;
    server.tell(&[&["ACL", "SETUSER", "web", "on", ">secret", "~bartizan:*"], permissions].concat()).await;
    server.tell(&["ACL", "LOG", "RESET"]).await;
    let redis = Redis::builder(&server.url()).unwrap().user("web").password("secret");
    redis.deadline(Duration::from_secs(5)).build().unwrap()
}

/// What was denied. That redis-rs may not introduce itself (`CLIENT SETINFO`) is no matter.
async fn denied(server: &Server) -> Vec<String> {
    let entries: Vec<Vec<Value>> = server.ask(&["ACL", "LOG"]).await.unwrap();
    let text = |value: &Value| redis::from_redis_value_ref::<String>(value).unwrap_or_default();
    let object =
        |entry: Vec<Value>| entry.windows(2).find(|pair| text(&pair[0]) == "object").map(|pair| text(&pair[1]));
    entries.into_iter().filter_map(object).filter(|object| !object.starts_with("client")).collect()
}

async fn try_all(module: &str, play: impl AsyncFn(&Server, &Redis)) {
    let server = Server::start().await;
    let permissions = documented(module);
    assert!(permissions.len() > 5, "{permissions:?}");
    play(&server, &user(&server, &permissions).await).await;
    assert_eq!(denied(&server).await, [""; 0]);
    for without in &permissions {
        let others: Vec<_> = permissions.iter().filter(|one| *one != without).copied().collect();
        play(&server, &user(&server, &others).await).await;
        assert!(!denied(&server).await.is_empty(), "{without} is not needed");
    }
}

#[tokio::test]
async fn a_leaderboard_needs_what_it_says() {
    try_all(include_str!("../../src/redis/leaderboard/mod.rs"), async |server, redis| {
        let board = Leaderboard::builder(redis, "race").unwrap().periods([Period::DAY, Period::EVER]);
        let board = board.dense_ranks().capacity(2).remember_operations(Duration::from_secs(60), 1).build();
        let play = async || {
            for (member, score) in [("ada", 1), ("bob", 2), ("cid", 3), ("cid", 4)] {
                board.add(member, score).await?;
            }
            for operation in ["1", "2"] {
                board.increment("cid", 1, operation).await?;
            }
            board.ever().top(3).await?;
            board.ever().around("cid", 3).await?;
            board.ever().trim(1).await?;
            board.remove("cid").await?;
            board.add("ada", 1).await?;
            board.ever().clear().await?;
            Ok::<_, Error>(())
        };
        let _ = play().await;
        server.tell(&["SET", "bartizan:leaderboard:{race}:ever:order", "mine"]).await;
        let _ = board.add("ada", 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_checkup_needs_what_it_says() {
    try_all(include_str!("../../src/redis/health/mod.rs"), async |server, redis| {
        server.tell(&["SET", "bartizan:page:1", "text"]).await;
        let _ = Checkup::new(redis).run().await;
    })
    .await;
}
