//! What callers see while the server hangs, is gone, or says what makes no sense.

use std::time::Duration;

use bartizan::{Redis, redis::BreakerState};
use futures_util::future::join_all;

use crate::support::{Link, Proxy, Server, eventually, within};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

async fn ping(redis: &Redis) -> Result<(), bartizan::Error> {
    redis.command("PING").run().await.map(drop)
}

#[tokio::test]
async fn a_server_that_hangs_costs_one_deadline_and_then_nothing_until_it_is_back() {
    let server = Server::start().await;
    let redis = Redis::builder(&server.url()).unwrap().deadline(200 * MILLI).connect().await.unwrap();
    server.pause();
    let (error, took) = within(SECOND, ping(&redis)).await;
    let error = error.unwrap_err();
    assert!(error.is_timed_out() && error.is_unavailable(), "{error}");
    assert!(took >= 200 * MILLI && took < 400 * MILLI, "{took:?}");

    let (errors, took) = within(SECOND, join_all((0..64).map(|_| ping(&redis)))).await;
    assert!(errors.iter().all(Result::is_err));
    assert!(took < 400 * MILLI, "all wait for the same deadline, not one after the other: {took:?}");
    assert_eq!(redis.breaker(), BreakerState::Open);
    let (error, took) = within(SECOND, ping(&redis)).await;
    let error = error.unwrap_err();
    assert!(error.is_unavailable() && !error.is_timed_out() && took < 100 * MILLI, "{error} after {took:?}");

    server.resume();
    let ((), took) = eventually("it recovers by itself", 5 * SECOND, async || ping(&redis).await.ok()).await;
    println!("recovered {took:?} after the server was resumed");
    assert_eq!(redis.breaker(), BreakerState::Closed);
    join_all((0..64).map(|_| ping(&redis))).await.into_iter().for_each(|result| result.unwrap());
}

#[tokio::test]
async fn a_restart_while_nobody_asks_costs_nobody_a_command() {
    let mut server = Server::start().await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    server.kill();
    server.restart().await;
    ping(&redis).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_gone_fails_at_once_and_comes_back() {
    let mut server = Server::start().await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    server.kill();
    let (errors, took) = within(SECOND, async {
        let mut errors = Vec::new();
        for _ in 0..10 {
            errors.push(ping(&redis).await.unwrap_err());
        }
        errors
    })
    .await;
    assert!(errors.iter().all(bartizan::Error::is_unavailable));
    assert!(took < SECOND / 4, "nobody waits for what is known: {took:?}");
    assert_eq!(redis.breaker(), BreakerState::Open);
    server.restart().await;
    let ((), took) = eventually("it comes back", 5 * SECOND, async || ping(&redis).await.ok()).await;
    println!("back {took:?} after the server was");
}

#[tokio::test]
async fn a_connection_that_leads_nowhere_is_replaced() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let redis = Redis::builder(&proxy.url()).unwrap().deadline(150 * MILLI).connect().await.unwrap();
    proxy.set(Link::HalfOpen);
    for _ in 0..2 {
        assert!(ping(&redis).await.unwrap_err().is_timed_out());
    }
    ping(&redis).await.expect("a new connection works");
}

#[tokio::test]
async fn a_cut_link_is_noticed_and_a_slow_one_borne() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let redis = Redis::builder(&proxy.url()).unwrap().deadline(300 * MILLI).connect().await.unwrap();
    proxy.set(Link::Slow(50 * MILLI));
    let ((), took) = within(SECOND, async { ping(&redis).await.unwrap() }).await;
    assert!(took >= 100 * MILLI, "{took:?}");
    proxy.set(Link::Held);
    let waiting = join_all((0..8).map(|_| ping(&redis)));
    let (errors, took) = within(SECOND, async {
        let cut = async { proxy.set(Link::Cut) };
        futures_util::join!(waiting, cut).0
    })
    .await;
    assert!(errors.iter().all(|result| result.as_ref().is_err_and(|error| !error.is_timed_out())), "{errors:?}");
    assert!(took < 200 * MILLI, "an end is known before the deadline: {took:?}");
    proxy.set(Link::Up);
    eventually("it connects anew", 5 * SECOND, async || ping(&redis).await.ok()).await;
}

#[tokio::test]
async fn garbage_is_an_error_and_ends_the_connection() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let redis = Redis::builder(&proxy.url()).unwrap().deadline(300 * MILLI).connect().await.unwrap();
    proxy.set(Link::Garbled);
    let error = ping(&redis).await.unwrap_err();
    assert!(error.is_undecodable(), "{error:?}");
    proxy.set(Link::Up);
    ping(&redis).await.expect("a new connection works");
}

#[tokio::test]
async fn what_the_server_does_not_want_is_no_failure_of_the_server() {
    let server = Server::start().await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    server.tell(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for _ in 0..20 {
        let error = redis.command("SET").key("k").arg("v").run().await.unwrap_err();
        assert_eq!((error.is_refused(), error.code()), (true, Some("OOM")), "{error}");
    }
    assert_eq!(redis.breaker(), BreakerState::Closed);
    server.tell(&["CONFIG", "SET", "maxmemory", "0"]).await;
    redis.command("RPUSH").key("k").arg("v").run().await.unwrap();
    let error = redis.command("GET").key("k").run().await.unwrap_err();
    assert_eq!(error.code(), Some("WRONGTYPE"), "{error}");
    let error = redis.command("LRANGE").key("k").arg(0).arg(-1).run().await.unwrap().int().unwrap_err();
    assert!(error.is_undecodable(), "{error}");
    let replies = redis
        .pipeline()
        .add_command(redis.command("GET").key("k"))
        .add_command(redis.command("LLEN").key("k"))
        .run()
        .await;
    assert_eq!(replies[0].as_ref().unwrap_err().code(), Some("WRONGTYPE"));
    assert_eq!(replies[1].as_ref().unwrap().int().unwrap(), 1, "each on its own");
}

#[tokio::test]
async fn a_primary_that_became_a_replica_is_left() {
    let (server, other) = (Server::start().await, Server::start().await);
    let redis = Redis::connect(&server.url()).await.unwrap();
    let id = async || redis.command("CLIENT").arg("ID").run().await.unwrap().int().unwrap();
    let before = id().await;
    server.tell(&["REPLICAOF", "127.0.0.1", &other.port.to_string()]).await;
    let error = redis.command("SET").key("k").arg("v").run().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert_ne!(id().await, before, "who answers read-only is asked for on a new connection");
}

#[cfg(feature = "tracing")]
#[tokio::test]
async fn each_change_of_the_breaker_is_an_event() {
    use std::sync::{Arc, Mutex};
    use tracing::{Event, Metadata, Subscriber, field::Visit, span};

    struct Lines(Arc<Mutex<Vec<String>>>);
    struct Line(String);
    impl Visit for Line {
        fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
            self.0 += &format!("{}={value:?} ", field.name());
        }
    }
    impl Subscriber for Lines {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target().starts_with("bartizan::redis")
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut line = Line(String::new());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    let lines = Arc::new(Mutex::new(Vec::new()));
    let guard = tracing::subscriber::set_default(Lines(Arc::clone(&lines)));
    let mut server = Server::start().await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    server.kill();
    for _ in 0..6 {
        ping(&redis).await.unwrap_err();
    }
    server.restart().await;
    eventually("it comes back", 5 * SECOND, async || ping(&redis).await.ok()).await;
    drop(guard);
    let lines = lines.lock().unwrap();
    for (at, change) in [(0, "from=Closed to=Open"), (1, "from=Open to=HalfOpen")] {
        assert!(lines[at].contains(change), "{lines:?}");
    }
    assert!(lines.last().unwrap().contains("from=HalfOpen to=Closed"), "{lines:?}");
}
