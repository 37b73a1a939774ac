//! A lock: who has it, who waits for it, and how it is lost.

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use bartizan::{
    Redis,
    redis::lock::{Fenced, Lock},
};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::support::{Cluster, Link, Proxy, Server, eventually, within};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Longer than any test: what ends sooner was ended.
const LONG: Duration = Duration::from_secs(600);

/// A lock is free, or lost, or another's, well before this.
const SOON: Duration = Duration::from_secs(10);

const HOLDER: &str = "bartizan:lock:{books}:holder";

async fn books(server: &Server) -> (Redis, Lock) {
    let redis = Redis::connect(&server.url()).await.unwrap();
    let lock = Lock::new(&redis, "books").unwrap().ttl(LONG).wait(SOON);
    (redis, lock)
}

async fn is_waited_for(server: &Server) {
    eventually("somebody waits", SOON, async || {
        let clients: String = server.ask(&["INFO", "clients"]).await.unwrap();
        clients.lines().any(|line| line == "blocked_clients:1").then_some(())
    })
    .await;
}

#[tokio::test]
async fn one_has_it_at_a_time_and_each_later_one_has_a_greater_token() {
    let server = Server::start().await;
    let (_, one) = books(&server).await;
    let (_, two) = books(&server).await;
    let first = one.try_acquire().await.unwrap();
    let error = two.try_acquire().await.unwrap_err();
    assert!(error.is_held() && error.to_string().contains("`books`"), "{error}");
    assert!(two.clone().wait(20 * MILLI).acquire().await.unwrap_err().is_held());
    let token = first.token();
    assert!(!first.is_lost());
    first.release().await.unwrap();
    let second = two.try_acquire().await.unwrap();
    assert!(second.token() > token);
    let ttls: Vec<i64> = join_all(
        ["holder", "token"]
            .map(async |field| server.ask(&["PTTL", &format!("bartizan:lock:{{books}}:{field}")]).await.unwrap()),
    )
    .await;
    assert!(ttls.iter().all(|ttl| *ttl > 0), "every key has a time to live: {ttls:?}");
    assert!(one.try_acquire().await.unwrap_err().is_held());
}

#[tokio::test]
async fn who_waits_is_woken_when_it_is_given_up_and_asks_no_more_often() {
    let server = Server::start().await;
    let (_, one) = books(&server).await;
    let (_, two) = books(&server).await;
    let guard = one.acquire().await.unwrap();
    let waiting = tokio::spawn(async move { two.acquire().await });
    is_waited_for(&server).await;
    server.tell(&["CONFIG", "RESETSTAT"]).await;
    guard.release().await.unwrap();
    let (second, took) = within(SOON, waiting).await;
    println!("woken after {took:?}");
    let stats: String = server.ask(&["INFO", "commandstats"]).await.unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls=")).unwrap();
    assert!(calls.starts_with("2,"), "given up and taken: {calls}");
    drop(second.unwrap().unwrap());
}

#[tokio::test]
async fn a_guard_that_is_dropped_gives_it_up() {
    let server = Server::start().await;
    let (_, one) = books(&server).await;
    let (_, two) = books(&server).await;
    let guard = one.acquire().await.unwrap();
    let lost = guard.lost();
    drop(guard);
    within(SOON, lost).await;
    drop(within(SOON, two.acquire()).await.0.unwrap());
}

#[test]
fn a_holder_that_died_is_followed_after_its_time() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outer = runtime();
    let server = outer.block_on(Server::start());
    let doomed = runtime();
    let guard = doomed.block_on(async { books(&server).await.1.ttl(300 * MILLI).acquire().await.unwrap() });
    // With its runtime goes whatever could renew the lock, or give it up.
    doomed.shutdown_background();
    outer.block_on(async {
        let (_, two) = books(&server).await;
        let (next, took) = within(SOON, two.acquire()).await;
        assert!(next.unwrap().token() > guard.token());
        assert!(took > 100 * MILLI && took < 2 * SECOND, "{took:?}");
        assert!(guard.is_lost(), "it need not be told");
    });
}

#[tokio::test]
async fn it_is_kept_for_longer_than_its_time_to_live() {
    let server = Server::start().await;
    let (_, lock) = books(&server).await;
    let guard = lock.clone().ttl(150 * MILLI).acquire().await.unwrap();
    let other = lock.clone().wait(SECOND);
    assert!(other.acquire().await.unwrap_err().is_held());
    assert!(!guard.is_lost());
    let once = Lock::new(&books(&server).await.0, "other").unwrap().ttl(150 * MILLI).without_renewal();
    let guard = once.acquire().await.unwrap();
    within(SECOND, guard.lost()).await;
    assert!(guard.is_lost() && guard.release().await.unwrap_err().is_lost());
}

#[tokio::test]
async fn a_lock_that_the_server_forgot_is_lost_and_so_is_one_that_is_another_s() {
    let server = Server::start().await;
    for forget in [&["FLUSHALL"][..], &["SET", HOLDER, "somebody"], &["DEL", HOLDER], &["LPUSH", HOLDER, "1"]] {
        let (_, lock) = books(&server).await;
        let guard = lock.ttl(300 * MILLI).acquire().await.unwrap();
        server.tell(&["DEL", HOLDER]).await;
        server.tell(forget).await;
        let ((), took) = within(SOON, guard.lost()).await;
        assert!(guard.is_lost() && took < 250 * MILLI, "{forget:?}: {took:?}");
        assert!(guard.extend(SECOND).await.unwrap_err().is_lost());
        let there: i64 = server.ask(&["EXISTS", HOLDER]).await.unwrap();
        assert!(guard.release().await.unwrap_err().is_lost());
        assert_eq!(server.ask::<i64>(&["EXISTS", HOLDER]).await.unwrap(), there, "another's is left alone: {forget:?}");
        server.tell(&["FLUSHALL"]).await;
    }
}

#[tokio::test]
async fn who_cannot_reach_the_server_loses_it_before_another_can_have_it() {
    let server = Server::start().await;
    for link in [Link::Held, Link::Cut] {
        let proxy = Proxy::to(server.port).await;
        let far = Redis::connect(&proxy.url()).await.unwrap();
        let guard = Lock::new(&far, "books").unwrap().ttl(2 * SECOND).acquire().await.unwrap();
        proxy.set(link);
        let ((), took) = within(SOON, guard.lost()).await;
        let left: i64 = server.ask(&["PTTL", HOLDER]).await.unwrap();
        assert!(took > SECOND && left > 50, "{link:?}: lost after {took:?}, {left} ms too soon");
        server.tell(&["FLUSHALL"]).await;
    }
    // A link that breaks for less loses nothing, nor one besides which another can be made.
    let proxy = Proxy::to(server.port).await;
    let far = Redis::connect(&proxy.url()).await.unwrap();
    let guard = Lock::new(&far, "books").unwrap().ttl(SECOND).acquire().await.unwrap();
    proxy.set(Link::Cut);
    assert!(timeout(500 * MILLI, guard.lost()).await.is_err());
    proxy.set(Link::Up);
    assert!(timeout(2 * SECOND, guard.lost()).await.is_err());
    let guard = Lock::new(&far, "others").unwrap().ttl(4 * SECOND).acquire().await.unwrap();
    proxy.set(Link::HalfOpen);
    assert!(timeout(6 * SECOND, guard.lost()).await.is_err());
}

#[tokio::test]
async fn who_has_it_and_asks_again_is_refused_and_not_left_to_wait() {
    let server = Server::start().await;
    let (_, lock) = books(&server).await;
    let guard = lock.acquire().await.unwrap();
    let (again, _) = within(SECOND, lock.acquire()).await;
    let error = again.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("`books`"), "{error}");
    assert!(lock.clone().try_acquire().await.unwrap_err().is_held(), "a clone is another handle");
    let nested = lock.clone();
    drop(guard);
    let inner = within(SOON, nested.with_lock(async |_| nested.acquire().await.map(drop).unwrap_err())).await.0;
    assert!(inner.unwrap().is_invalid());
    drop(lock.acquire().await.unwrap());
}

#[tokio::test]
async fn it_can_be_made_to_live_longer() {
    let server = Server::start().await;
    let (_, lock) = books(&server).await;
    let guard = lock.clone().ttl(300 * MILLI).without_renewal().acquire().await.unwrap();
    guard.extend(LONG).await.unwrap();
    guard.extend(SECOND).await.unwrap();
    let left: i64 = server.ask(&["PTTL", HOLDER]).await.unwrap();
    assert!(left > 500_000, "it is never made to live shorter: {left}");
    assert!(timeout(500 * MILLI, guard.lost()).await.is_err());
    guard.release().await.unwrap();
    drop(lock.try_acquire().await.unwrap());
}

#[tokio::test]
async fn work_ends_with_the_lock_and_the_lock_with_the_work() {
    let server = Server::start().await;
    let (_, lock) = books(&server).await;
    let other = lock.clone();
    // As it is used in a handler: the future can be sent.
    let token = tokio::spawn(async move { lock.with_lock(async |guard| guard.token()).await }).await.unwrap().unwrap();
    let guard = other.try_acquire().await.unwrap();
    assert!(guard.token() > token);
    drop(guard);

    let short = other.clone().ttl(300 * MILLI);
    let mut begun = false;
    let lost = short.with_lock(async |_| {
        begun = true;
        server.tell(&["FLUSHALL"]).await;
        pending::<()>().await;
    });
    assert!(within(SOON, lost).await.0.unwrap_err().is_lost());
    assert!(begun);
    drop(within(SOON, other.acquire()).await.0.unwrap());
}

#[tokio::test]
async fn a_value_refuses_whoever_had_the_lock_before() {
    let server = Server::start().await;
    let (redis, lock) = books(&server).await;
    let total = Fenced::new(&redis, "total").unwrap().largest(10);
    let first = lock.acquire().await.unwrap();
    assert_eq!(total.read(&first).await.unwrap(), None);
    total.write(&first, "1").await.unwrap();
    total.write(&first, "2").await.unwrap();
    assert_eq!(total.read(&first).await.unwrap().unwrap(), "2");
    server.tell(&["FLUSHALL"]).await;
    let second = lock.clone().acquire().await.unwrap();
    assert_eq!(total.read(&second).await.unwrap(), None);
    let error = total.write(&first, "3").await.unwrap_err();
    assert!(error.is_lost() && first.is_lost(), "reading is enough to keep older ones out: {error}");
    total.write(&second, "4").await.unwrap();
    assert_eq!(total.peek().await.unwrap().unwrap(), "4");
    assert_eq!(total.token().await.unwrap(), Some(second.token()));
    let error = total.write(&second, "x".repeat(11)).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("fenced:{total}"), "{error}");
}

#[tokio::test]
async fn a_token_below_the_last_one_is_refused_and_the_next_one_is_above_it() {
    let server = Server::start().await;
    let (redis, lock) = books(&server).await;
    let total = Fenced::new(&redis, "total").unwrap();
    // A server whose clock is ahead, and the next, which has forgotten the token.
    server.tell(&["SET", "bartizan:lock:{books}:token", "8000000000000000"]).await;
    let ahead = lock.acquire().await.unwrap();
    assert!(ahead.token().to_string().starts_with("8000000000000001-"), "{}", ahead.token());
    total.write(&ahead, "1").await.unwrap();
    ahead.release().await.unwrap();
    server.tell(&["DEL", "bartizan:lock:{books}:token"]).await;
    let (_, other) = books(&server).await;
    let behind = other.acquire().await.unwrap();
    assert!(total.write(&behind, "2").await.unwrap_err().is_lost());
    drop(behind);
    let next = other.acquire().await.unwrap();
    assert!(next.token().to_string().starts_with("8000000000000002-"), "{}", next.token());
    total.write(&next, "2").await.unwrap();
    drop(next);

    // Whoever had it knows by themselves.
    server.tell(&["DEL", "bartizan:lock:{books}:token"]).await;
    assert!(other.acquire().await.unwrap().token().to_string().starts_with("8000000000000003-"));
    server.tell(&["SET", "bartizan:lock:{books}:token", "9007199254740991"]).await;
    let error = within(SOON, other.acquire()).await.0.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("lock:{books}:token"), "{error}");
}

#[tokio::test]
async fn what_is_no_lock_and_what_is_no_name_is_told_of() {
    let server = Server::start().await;
    let (redis, lock) = books(&server).await;
    for field in ["holder", "token"] {
        let key = format!("bartizan:lock:{{books}}:{field}");
        server.tell(&["RPUSH", &key, "1"]).await;
        let error = lock.acquire().await.unwrap_err();
        assert_eq!(error.code(), Some("WRONGTYPE"), "{error}");
        assert!(error.to_string().contains(&key), "{error}");
        server.tell(&["DEL", &key]).await;
    }
    for garbage in ["", "soon", "1e300", "-5", "nan", "9007199254740992"] {
        server.tell(&["SET", "bartizan:lock:{books}:token", garbage]).await;
        let error = lock.acquire().await.unwrap_err();
        assert!(error.is_refused() && error.to_string().contains(":token"), "{garbage}: {error}");
    }
    server.tell(&["DEL", "bartizan:lock:{books}:token"]).await;
    server.tell(&["SET", "bartizan:lock:{books}:wake", "no list"]).await;
    let one = lock.clone().acquire().await.unwrap();
    server.tell(&["SET", "bartizan:lock:{books}:wake", "no list"]).await;
    let waiting = tokio::spawn(async move { lock.acquire().await.map(drop) });
    one.release().await.unwrap();
    within(SOON, waiting).await.0.unwrap().unwrap();

    let total = Fenced::new(&redis, "total").unwrap();
    let guard = Lock::new(&redis, "other").unwrap().acquire().await.unwrap();
    server.tell(&["SET", "bartizan:fenced:{total}", "1"]).await;
    for error in [total.write(&guard, "1").await.unwrap_err(), total.peek().await.unwrap_err()] {
        assert_eq!(error.code(), Some("WRONGTYPE"), "{error}");
        assert!(error.to_string().contains("fenced:{total}"), "{error}");
    }
    server.tell(&["DEL", "bartizan:fenced:{total}"]).await;
    server.tell(&["HSET", "bartizan:fenced:{total}", "t", "yesterday"]).await;
    assert!(total.write(&guard, "1").await.unwrap_err().is_refused());
    assert!(total.token().await.unwrap_err().is_invalid());

    for name in ["", "a}b", "{a}", "a\nb"] {
        assert!(
            Lock::new(&redis, name).unwrap_err().is_invalid() && Fenced::new(&redis, name).unwrap_err().is_invalid()
        );
    }
}

/// Polls `future` up to `polls` times, and drops it; what it told by then.
async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(told) = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
            return Some(told);
        }
        tokio::task::yield_now().await;
    }
    None
}

#[tokio::test]
async fn whoever_leaves_at_any_await_leaves_no_lock_behind() {
    let server = Server::start().await;
    let (_, other) = books(&server).await;
    let (mut polls, mut left) = (0, 0);
    loop {
        let (_, lock) = books(&server).await;
        let value = Fenced::new(&books(&server).await.0, "total").unwrap();
        let whole = async {
            let guard = lock.acquire().await.unwrap();
            guard.extend(LONG).await.unwrap();
            value.write(&guard, "v").await.unwrap();
            value.read(&guard).await.unwrap();
            guard.release().await.unwrap();
            lock.with_lock(async |_| tokio::task::yield_now().await).await.unwrap();
        };
        let done = dropped_after(polls, whole).await.is_some();
        let next = within(SOON, other.acquire()).await.0.unwrap();
        next.release().await.unwrap();
        drop(within(SOON, lock.acquire()).await.0.unwrap());
        if done {
            break;
        }
        left += 1;
        polls += 1;
    }
    assert!(left > 5, "several awaits were left: {left}");

    // And who leaves while waiting.
    let (_, lock) = books(&server).await;
    let guard = within(SOON, other.acquire()).await.0.unwrap();
    for polls in 1..20 {
        assert!(dropped_after(polls, lock.acquire()).await.is_none());
    }
    assert!(!guard.is_lost());
    guard.release().await.unwrap();
    drop(within(SOON, lock.acquire()).await.0.unwrap());
}

#[tokio::test]
async fn an_answer_that_did_not_come_is_asked_for_again_and_the_lock_is_ours() {
    let server = Server::start().await;
    let redis = Redis::builder(&server.url()).unwrap().deadline(100 * MILLI).connect().await.unwrap();
    let lock = Lock::new(&redis, "books").unwrap().ttl(LONG).wait(SOON);
    drop(lock.acquire().await.unwrap());
    // What is asked meanwhile is done later, when its asker no longer waits for the answer.
    server.tell(&["CLIENT", "PAUSE", "500"]).await;
    let (guard, took) = within(SOON, lock.acquire()).await;
    let guard = guard.unwrap();
    assert!(took > 400 * MILLI && took < 5 * SECOND, "{took:?}");
    let holder: String = server.ask(&["GET", HOLDER]).await.unwrap();
    assert_eq!(holder, guard.token().to_string());
    guard.release().await.unwrap();
    drop(Lock::new(&redis, "books").unwrap().try_acquire().await.unwrap());
}

#[tokio::test]
async fn the_task_of_a_guard_ends_with_it() {
    let server = Server::start().await;
    let (_, lock) = books(&server).await;
    drop(lock.acquire().await.unwrap());
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let idle = eventually("it is free", SOON, async || lock.try_acquire().await.ok()).await.0;
    let before = tasks();
    for _ in 0..100 {
        assert!(lock.clone().try_acquire().await.unwrap_err().is_held());
        assert!(dropped_after(2, lock.clone().acquire()).await.is_none());
    }
    server.tell(&["FLUSHALL"]).await;
    drop(idle);
    eventually("all have ended", SOON, async || (tasks() < before).then_some(())).await;
}

#[tokio::test]
async fn more_wait_than_there_are_connections_and_all_have_it_in_the_end() {
    let server = Server::start().await;
    let redis = Redis::builder(&server.url()).unwrap().blocking_connections(2).connect().await.unwrap();
    let lock = Lock::new(&redis, "books").unwrap().ttl(LONG).wait(LONG);
    let tokens = join_all((0..40).map(|_| {
        let lock = lock.clone();
        async move { lock.with_lock(async |guard| guard.token()).await.unwrap() }
    }));
    let (mut tokens, took) = within(60 * SECOND, tokens).await;
    println!("forty had it within {took:?}");
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 40);
}

#[tokio::test]
async fn who_waits_gets_it_though_the_server_was_away() {
    let mut server = Server::start().await;
    let (_, one) = books(&server).await;
    let (_, two) = books(&server).await;
    let guard = one.acquire().await.unwrap();
    let two = two.wait(LONG);
    let waiting = tokio::spawn(async move { two.acquire().await.map(|guard| guard.token()) });
    is_waited_for(&server).await;
    server.kill();
    server.restart().await;
    let (second, _) = within(2 * SOON, waiting).await;
    assert!(second.unwrap().unwrap() > guard.token());
    server.kill();
    assert!(one.clone().try_acquire().await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn it_is_one_lock_in_a_cluster_as_well() {
    let cluster = Cluster::start().await;
    let redis = cluster.handle(4 * SECOND).connect().await.unwrap();
    let other = cluster.handle(4 * SECOND).connect().await.unwrap();
    for name in ["a", "b", "c"] {
        let one = Lock::new(&redis, name).unwrap().ttl(LONG);
        let two = Lock::new(&other, name).unwrap().ttl(LONG);
        let guard = one.acquire().await.unwrap();
        let value = Fenced::new(&redis, name).unwrap();
        value.write(&guard, name).await.unwrap();
        let waiting = tokio::spawn(async move { two.acquire().await.map(|guard| guard.token()) });
        let first = guard.token();
        guard.release().await.unwrap();
        assert!(within(SOON, waiting).await.0.unwrap().unwrap() > first);
        assert_eq!(value.peek().await.unwrap().unwrap(), name);
    }
}
