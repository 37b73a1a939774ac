//! Callers that go away, at whatever await they are.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use bartizan::{
    Redis,
    redis::{BreakerState, Script},
};

use crate::support::{Server, eventually, within};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Polls `future` up to `polls` times, and tells whether it was done by then.
pub(crate) async fn dropped_after(polls: usize, future: impl Future) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        let done = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
        if done {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

#[tokio::test]
async fn whoever_leaves_at_any_await_spoils_nothing_for_the_next() {
    let server = Server::start().await;
    let script = Script::new("return redis.call('INCR', KEYS[1])");
    let mut polls = 0;
    loop {
        // A new handle each time: the awaits for the connection are among those left.
        let redis = Redis::builder(&server.url()).unwrap().build().unwrap();
        server.tell(&["SCRIPT", "FLUSH"]).await;
        let done = dropped_after(polls, async {
            redis.script(&script).key("n").run().await.unwrap();
            redis.pipeline().add_command(redis.command("PING")).add_command(redis.command("PING")).run().await;
        })
        .await;
        for _ in 0..3 {
            let key = format!("k{polls}");
            redis.command("SET").key(&key).arg(&key).run().await.unwrap();
            let got = redis.command("GET").key(&key).run().await.unwrap();
            assert_eq!(got.text().unwrap(), Some(key), "each has its own answer, after {polls} polls");
        }
        assert_eq!(redis.breaker(), BreakerState::Closed, "after {polls} polls");
        if done {
            break;
        }
        polls += 1;
    }
    assert!(polls > 3, "several awaits were left: {polls}");
    eventually("no connection is left over", SECOND, async || (server.clients().await == 0).then_some(())).await;
}

#[tokio::test]
async fn a_probe_that_is_dropped_leaves_its_place() {
    let server = Server::start().await;
    let redis =
        Redis::builder(&server.url()).unwrap().deadline(100 * MILLI).backoff(MILLI, MILLI).connect().await.unwrap();
    server.pause();
    futures_util::future::join_all((0..8).map(|_| redis.command("PING").run())).await;
    assert_eq!(redis.breaker(), BreakerState::Open);
    eventually("somebody probes, and leaves", SECOND, async || {
        let probe = redis.command("PING").run();
        let left = !dropped_after(1, async { drop(probe.await) }).await;
        left.then_some(())
    })
    .await;
    server.resume();
    let (result, _) = within(SECOND, redis.command("PING").run()).await;
    result.expect("the next one probes, at once");
    assert_eq!(redis.breaker(), BreakerState::Closed);
}

#[tokio::test]
async fn who_blocks_holds_up_nobody_and_takes_nothing_along() {
    let server = Server::start().await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    let pop = || redis.command("BLPOP").key("queue").arg(30).run_blocking(30 * SECOND);
    for _ in 0..4 {
        let left = tokio::time::timeout(50 * MILLI, pop()).await;
        assert!(left.is_err(), "it blocks");
        let (pong, took) = within(SECOND, redis.command("PING").run()).await;
        pong.unwrap();
        assert!(took < 100 * MILLI, "{took:?}");
    }
    eventually("the server waits for nobody any more", SECOND, async || {
        let info: String = server.ask(&["INFO", "clients"]).await.unwrap();
        info.contains("blocked_clients:0").then_some(())
    })
    .await;
    redis.command("RPUSH").key("queue").arg("message").run().await.unwrap();
    let got = pop().await.unwrap().list().unwrap();
    assert_eq!(got[1].clone().text().unwrap().as_deref(), Some("message"), "none of those who left took it");

    // One that came to its end gives its connection back.
    let before = server.clients().await;
    for _ in 0..5 {
        let nothing = redis.command("BLPOP").key("queue").arg("0.01").run_blocking(SECOND).await.unwrap();
        assert!(nothing.is_nil());
    }
    assert_eq!(server.clients().await, before);
}
