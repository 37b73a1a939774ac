//! What is heard, and that nothing is missed without a word.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use bartizan::{Redis, redis::Heard};
use tokio::time::timeout;

use crate::support::{Link, Proxy, Server, begun, eventually, heard, lost, publish, resumed, said, within};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Beyond what the servers themselves need to agree on a new primary.
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn messages_come_in_their_order_and_each_from_its_channel() {
    let server = Server::start().await;
    let redis = Redis::builder(&format!("{}/3", server.url())).unwrap().namespace("shop").connect().await.unwrap();
    let mut subscription = redis.subscribe(&["news", "weather"]);
    assert!(!begun(&mut subscription).await, "nothing is to be tracked");
    server.tell(&["PUBLISH", "news", "of another namespace"]).await;
    let all = (0..1000).fold(redis.pipeline(), |pipe, n| {
        let channel = ["news", "weather", "nobody's"][n % 3];
        pipe.add_command(redis.command("PUBLISH").key(channel).arg(&n.to_string()))
    });
    assert!(all.run().await.iter().all(Result::is_ok));
    for n in (0..1000).filter(|n| n % 3 != 2) {
        assert_eq!(said(&mut subscription).await, (n % 3, n.to_string()));
    }
    let bytes = [0, 0xff, b'\r', b'\n'];
    redis.command("PUBLISH").key("weather").arg(&bytes[..]).run().await.unwrap();
    assert!(matches!(heard(&mut subscription).await, Heard::Said { channel: 1, text } if text[..] == bytes));
}

#[tokio::test]
async fn a_server_that_was_away_is_lost_and_then_heard_again() {
    for args in [&[][..], &["--rename-command", "HELLO", ""]] {
        let mut server = Server::start_with(args).await;
        let redis = Redis::connect(&server.url()).await.unwrap();
        let mut subscription = redis.subscribe(&["news"]);
        begun(&mut subscription).await;
        publish(&redis, "news", "before").await;
        // The server answers who publishes before it tells who listens.
        redis.command("PING").run().await.unwrap();
        server.kill();
        assert_eq!(said(&mut subscription).await.1, "before", "what had come is not lost");
        assert!(lost(&mut subscription).await.is_unavailable());
        let error = lost(&mut subscription).await;
        assert!(error.is_unavailable(), "each attempt is told of: {error}");
        server.restart().await;
        resumed(&mut subscription).await;
        publish(&redis, "news", "after").await;
        assert_eq!(said(&mut subscription).await.1, "after");
    }
}

#[tokio::test]
async fn it_begins_when_there_is_a_server() {
    let mut server = Server::start().await;
    server.kill();
    let redis = Redis::builder(&server.url()).unwrap().backoff(20 * MILLI, 40 * MILLI).build().unwrap();
    let mut subscription = redis.subscribe(&["news"]);
    // Ten attempts, and nine pauses of which each is at least half of its length.
    let (_, took) = within(LIMIT, async {
        for _ in 0..10 {
            assert!(lost(&mut subscription).await.is_unavailable());
        }
    })
    .await;
    assert!(took >= 170 * MILLI, "it is not tried all the time: {took:?}");
    server.restart().await;
    resumed(&mut subscription).await;
    publish(&redis, "news", "hello").await;
    assert_eq!(said(&mut subscription).await.1, "hello");
}

#[tokio::test]
async fn a_connection_that_leads_nowhere_is_abandoned() {
    let server = Server::start().await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    let proxy = Proxy::to(server.port).await;
    let far = Redis::builder(&proxy.url()).unwrap().connect_deadline(200 * MILLI).build().unwrap();
    let mut subscription = far.subscribe(&["news"]);
    subscription.abandon();
    begun(&mut subscription).await;

    proxy.set(Link::HalfOpen);
    publish(&redis, "news", "into the void").await;
    assert!(timeout(100 * MILLI, subscription.next()).await.is_err(), "nobody is told");
    subscription.abandon();
    begun(&mut subscription).await;
    publish(&redis, "news", "1").await;
    assert_eq!(said(&mut subscription).await.1, "1");

    proxy.set(Link::Held);
    publish(&redis, "news", "held back").await;
    subscription.abandon();
    let error = lost(&mut subscription).await;
    assert!(error.is_timed_out(), "{error}");
    proxy.set(Link::Up);
    resumed(&mut subscription).await;
    publish(&redis, "news", "2").await;
    assert_eq!(said(&mut subscription).await.1, "2", "what was held back belonged to a connection that is gone");
    eventually("no connection is left over", SECOND, async || {
        let clients: String = server.ask(&["CLIENT", "LIST", "TYPE", "pubsub"]).await.unwrap();
        (clients.lines().count() == 1).then_some(())
    })
    .await;

    proxy.set(Link::Garbled);
    publish(&redis, "news", "garbled").await;
    lost(&mut subscription).await;
}

/// Polls `future` once, and drops it.
async fn once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(told) => Some(told),
            Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn who_stops_listening_at_any_await_misses_nothing() {
    for args in [&[][..], &["--rename-command", "HELLO", ""]] {
        let server = Server::start_with(args).await;
        let redis = Redis::connect(&server.url()).await.unwrap();
        let before: u64 = connections(&server).await;
        let mut subscription = redis.subscribe(&["news"]);
        let mut left = 0;
        let first = within(LIMIT, async {
            loop {
                match once(subscription.next()).await {
                    Some(heard) => return heard,
                    None => left += 1,
                }
                tokio::task::yield_now().await;
            }
        });
        assert!(matches!(first.await.0, Heard::Begun { .. }));
        assert!(left > 2, "several awaits were left: {left}");
        let made = connections(&server).await - before - 1;
        assert!(made <= 2, "what was begun went on: {made} connections");

        let publishing = async {
            for n in 0..300 {
                redis.command("PUBLISH").key("news").arg(n).run().await.unwrap();
            }
        };
        let listening = async {
            let mut expected = 0;
            while expected < 300 {
                match once(subscription.next()).await {
                    Some(Heard::Said { text, .. }) => {
                        assert_eq!(text, expected.to_string());
                        expected += 1;
                    }
                    Some(other) => panic!("{other:?}"),
                    None => tokio::task::yield_now().await,
                }
            }
        };
        within(LIMIT, async { futures_util::join!(publishing, listening) }).await;
    }
}

async fn connections(server: &Server) -> u64 {
    let stats: String = server.ask(&["INFO", "stats"]).await.unwrap();
    let made = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    made.unwrap().parse().unwrap()
}

#[tokio::test]
async fn who_falls_far_behind_is_told_so_and_may_begin_again() {
    for args in [&[][..], &["--rename-command", "HELLO", ""]] {
        let server = Server::start_with(args).await;
        // Else the server gives up first.
        server.tell(&["CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0 normal 0 0 0"]).await;
        let redis = Redis::builder(&server.url()).unwrap().deadline(5 * SECOND).connect().await.unwrap();
        let mut subscription = redis.subscribe(&["news"]);
        begun(&mut subscription).await;
        let text = "x".repeat(64 << 10);
        for _ in 0..1000 {
            redis.command("PUBLISH").key("news").arg(&text).run().await.unwrap();
        }
        // Far more was sent than sockets hold: it is here.
        eventually("all was sent", LIMIT, async || {
            let clients: String = server.ask(&["CLIENT", "LIST", "TYPE", "pubsub"]).await.unwrap();
            (clients.contains("omem=0") || clients.is_empty()).then_some(())
        })
        .await;
        let mut messages = 0;
        let error = loop {
            match heard(&mut subscription).await {
                Heard::Said { .. } => messages += 1,
                Heard::Lost(error) => break error,
                other => panic!("{other:?}"),
            }
        };
        assert!(error.to_string().contains("given up"), "{error}");
        assert!(messages < 100, "{messages}");
        begun(&mut subscription).await;
        publish(&redis, "news", "after").await;
        assert_eq!(said(&mut subscription).await.1, "after");
    }
}

#[tokio::test]
async fn who_may_not_track_hears_messages_and_who_may_not_listen_is_told_so() {
    let rules = ["--user", "web", "on", ">s3cret", "~*", "&bartizan:news", "+@all", "-client|tracking"];
    let server = Server::start_with(&rules).await;
    let redis = Redis::builder(&server.url()).unwrap().user("web").password("s3cret").connect().await.unwrap();
    let mut subscription = redis.subscribe(&["news"]).tracking("page:");
    assert!(!begun(&mut subscription).await);
    publish(&redis, "news", "hello").await;
    assert_eq!(said(&mut subscription).await.1, "hello");

    let mut subscription = redis.subscribe(&["news", "secrets"]);
    let error = lost(&mut subscription).await;
    assert_eq!((error.is_refused(), error.code()), (true, Some("NOPERM")), "{error}");
    server.tell(&["ACL", "SETUSER", "web", "allchannels"]).await;
    resumed(&mut subscription).await;
    publish(&redis, "secrets", "hello").await;
    assert_eq!(said(&mut subscription).await, (1, "hello".to_owned()));
}

#[tokio::test]
async fn a_server_without_hello_is_heard_but_tracks_nothing() {
    let server = Server::start_with(&["--rename-command", "HELLO", ""]).await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    let proxy = Proxy::to(server.port).await;
    let far = Redis::connect(&proxy.url()).await.unwrap();
    let mut subscription = far.subscribe(&["news", "weather"]).tracking("page:");
    assert!(!begun(&mut subscription).await);
    redis.command("SET").key("page:1").arg("v").run().await.unwrap();
    publish(&redis, "weather", "hello").await;
    assert_eq!(said(&mut subscription).await, (1, "hello".to_owned()));

    proxy.set(Link::Garbled);
    publish(&redis, "news", "garbled").await;
    lost(&mut subscription).await;
    proxy.set(Link::Up);
    resumed(&mut subscription).await;
    subscription.abandon();
    begun(&mut subscription).await;
    publish(&redis, "news", "hello").await;
    assert_eq!(said(&mut subscription).await, (0, "hello".to_owned()));
}

#[cfg(feature = "redis-tls")]
#[tokio::test]
async fn it_listens_over_tls_as_well() {
    let certificates = crate::support::Certificates::new();
    let server = Server::start_with_tls(&certificates).await;
    let builder = Redis::builder(&format!("rediss://127.0.0.1:{}", server.port)).unwrap();
    let redis = builder.root_certificates(certificates.authority).connect().await.unwrap();
    let mut subscription = redis.subscribe(&["news"]);
    begun(&mut subscription).await;
    publish(&redis, "news", "hello").await;
    assert_eq!(said(&mut subscription).await.1, "hello");
}

#[tokio::test]
async fn it_can_be_driven_by_a_task_and_ends_with_it() {
    let server = Server::start().await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    let mut subscription = redis.subscribe(&["news"]);
    let (began, begins) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async move {
        let _ = began.send(matches!(subscription.next().await, Heard::Begun { .. }));
        loop {
            subscription.next().await;
        }
    });
    assert!(within(LIMIT, begins).await.0.unwrap());
    let listeners = async || {
        let (_, count): (String, u32) = server.ask(&["PUBSUB", "NUMSUB", "bartizan:news"]).await.unwrap();
        count
    };
    assert_eq!(listeners().await, 1);
    task.abort();
    eventually("the server knows", SECOND, async || (listeners().await == 0).then_some(())).await;
}
