//! What the documentation of a lock and of a bus says that their user must be allowed: that is enough, and none of it is too much.

use std::time::Duration;

use bartizan::{
    Error, Redis,
    redis::{
        bus::{Bus, Event},
        lock::{Fenced, Lock},
    },
};
use redis::Value;

use crate::support::{Server, within};

const SOON: Duration = Duration::from_secs(10);

/// The lines of a module's documentation that are permissions.
fn documented(module: &str) -> Vec<Vec<&str>> {
    let lines = module.lines().filter_map(|line| line.strip_prefix("//! +").map(|_| &line[4..]));
    lines.map(|line| line.split_whitespace().collect()).collect()
}

async fn user(server: &Server, permissions: &[&str]) -> Redis {
    server.tell(&["FLUSHALL"]).await;
    server.tell(&["SCRIPT", "FLUSH"]).await;
    server.tell(&["ACL", "DELUSER", "web"]).await;
    server.tell(&[&["ACL", "SETUSER", "web", "on", ">secret", "~bartizan:*", "+ping"], permissions].concat()).await;
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

async fn try_all(permissions: &[&str], play: impl AsyncFn(&Redis) -> Result<(), Error>) {
    let server = Server::start().await;
    within(SOON, play(&user(&server, permissions).await)).await.0.unwrap();
    assert_eq!(denied(&server).await, [""; 0]);
    for without in permissions {
        let others: Vec<_> = permissions.iter().filter(|one| *one != without).copied().collect();
        drop(within(SOON, play(&user(&server, &others).await)).await);
        assert!(!denied(&server).await.is_empty(), "{without} is not needed");
    }
}

#[tokio::test]
async fn a_lock_needs_what_it_says() {
    let permissions = documented(include_str!("../../src/redis/lock/mod.rs"));
    assert_eq!(permissions.len(), 2);
    try_all(&permissions.concat(), async |redis| {
        let lock = Lock::new(redis, "books")?.wait(Duration::from_secs(1));
        let value = Fenced::new(redis, "total")?;
        let guard = lock.acquire().await?;
        guard.extend(Duration::from_secs(60)).await?;
        value.write(&guard, "1").await?;
        value.peek().await?;
        let other = lock.clone();
        let (_, next) = futures_util::join!(guard.release(), other.acquire());
        let next = next?;
        drop(lock.clone().wait(Duration::from_millis(10)).acquire().await);
        next.release().await
    })
    .await;
}

#[tokio::test]
async fn a_bus_needs_what_it_says() {
    let permissions = documented(include_str!("../../src/redis/bus/mod.rs"));
    assert_eq!(permissions.len(), 2);
    try_all(&permissions[0], async |redis| {
        let prices: Bus<u64> = Bus::new(redis, "prices")?;
        let mut feed = prices.subscribe(&["shoes"])?.patterns(&["*"])?.heartbeat(Duration::from_millis(10));
        loop {
            match feed.next().await {
                Event::Begun => drop(prices.publish("shoes", &1).await?),
                Event::Disconnected(error) => return Err(error),
                Event::Message { .. } => return Ok(()),
                _ => {}
            }
        }
    })
    .await;
}
