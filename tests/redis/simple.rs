//! Counters, flags, recent values, unique members.

use std::time::Duration;

use bartizan::{
    Error, Redis,
    redis::{
        Counter, Flag, Recent, Uniques,
        health::Checkup,
        leaderboard::{Leaderboard, Update},
    },
};
use futures_util::future::join_all;

use crate::support::{Cluster, Server, eventually};

const SECOND: Duration = Duration::from_secs(1);

async fn redis(server: &Server) -> Redis {
    Redis::builder(&server.url()).unwrap().deadline(5 * SECOND).connect().await.unwrap()
}

async fn pttl(server: &Server, key: &str) -> i64 {
    server.ask(&["PTTL", &format!("bartizan:{key}")]).await.unwrap()
}

#[tokio::test]
async fn a_counter_counts_what_came_once() {
    let server = Server::start().await;
    let redis = redis(&server).await;
    let counter = Counter::new(&redis, "views").unwrap();
    assert_eq!(counter.get().await.unwrap(), 0);
    let sums = join_all((0..100).map(|_| counter.add(2))).await;
    assert_eq!(sums.into_iter().map(Result::unwrap).max(), Some(200));
    for _ in 0..3 {
        assert_eq!(counter.add_once(50, "may").await.unwrap(), 250);
    }
    assert_eq!(counter.add_once(-50, "june").await.unwrap(), 200);
    assert_eq!(counter.reset().await.unwrap(), 200);
    assert_eq!((counter.get().await.unwrap(), counter.add_once(50, "may").await.unwrap()), (0, 0));
    assert_eq!(pttl(&server, "counter:{views}:value").await, -2);

    // What doubles cannot tell apart.
    counter.add(i64::MAX - 1).await.unwrap();
    assert_eq!(counter.add_once(1, "last").await.unwrap(), i64::MAX);
    for error in [counter.add(1).await.unwrap_err(), counter.add_once(1, "more").await.unwrap_err()] {
        assert!(error.is_invalid() && error.to_string().contains("counter:{views}"), "{error}");
    }
    assert_eq!(counter.get().await.unwrap(), i64::MAX);
    for operation in ["", &"x".repeat(257)] {
        assert!(counter.add_once(1, operation).await.unwrap_err().is_invalid());
    }
}

#[tokio::test]
async fn a_counter_that_expires_does_so_after_its_first() {
    let server = Server::start().await;
    let counter = Counter::new(&redis(&server).await, "minute").unwrap().expires_after(60 * SECOND);
    counter.add(1).await.unwrap();
    server.tell(&["PEXPIRE", "bartizan:counter:{minute}:value", "30000"]).await;
    counter.add(1).await.unwrap();
    counter.add_once(1, "a").await.unwrap();
    let left = pttl(&server, "counter:{minute}:value").await;
    assert!((1..=30_000).contains(&left), "it is not prolonged: {left}");
    assert!(pttl(&server, "counter:{minute}:done").await > 0);
    server.tell(&["PEXPIRE", "bartizan:counter:{minute}:value", "1"]).await;
    eventually("it is zero again", SECOND, async || (counter.get().await.unwrap() == 0).then_some(())).await;
    counter.add(1).await.unwrap();
    assert!(pttl(&server, "counter:{minute}:value").await > 30_000);
}

#[tokio::test]
async fn a_flag_tells_who_raised_it_first() {
    let server = Server::start().await;
    let flag = Flag::new(&redis(&server).await, "maintenance").unwrap();
    assert!(!flag.is_raised().await.unwrap());
    let first = join_all((0..20).map(|_| flag.raise())).await;
    assert_eq!(first.into_iter().filter(|raised| *raised.as_ref().unwrap()).count(), 1);
    assert!(flag.is_raised().await.unwrap());
    assert!(flag.lower().await.unwrap() && !flag.lower().await.unwrap());

    assert!(flag.raise_for(60 * SECOND).await.unwrap());
    assert!((1..=60_000).contains(&pttl(&server, "flag:{maintenance}:raised").await));
    assert!(!flag.raise().await.unwrap());
    assert_eq!(pttl(&server, "flag:{maintenance}:raised").await, -1, "until it is lowered");
    flag.raise_for(Duration::MAX).await.unwrap();
    flag.raise_for(Duration::ZERO).await.unwrap();
    eventually("it is down", SECOND, async || (!flag.is_raised().await.unwrap()).then_some(())).await;
}

#[tokio::test]
async fn a_list_keeps_the_latest() {
    let server = Server::start().await;
    let redis = redis(&server).await;
    let list = Recent::<(u32, String)>::new(&redis, "seen").unwrap().capacity(3).expires_after(60 * SECOND);
    assert_eq!(list.latest(9).await.unwrap(), []);
    for n in 0..1_000 {
        list.push(&(n % 10, "x".to_owned())).await.unwrap();
    }
    let numbers = async || list.latest(9).await.unwrap().into_iter().map(|(n, _)| n).collect::<Vec<_>>();
    assert_eq!(numbers().await, [9, 8, 7]);
    assert_eq!(list.latest(1).await.unwrap(), [(9, "x".to_owned())]);
    assert_eq!(list.latest(0).await.unwrap(), []);
    assert_eq!(server.ask::<u64>(&["LLEN", "bartizan:recent:{seen}:items"]).await.unwrap(), 3);
    assert!((1..=60_000).contains(&pttl(&server, "recent:{seen}:items").await));

    let list = list.distinct();
    list.push(&(7, "x".to_owned())).await.unwrap();
    assert_eq!(list.latest(9).await.unwrap().iter().map(|(n, _)| *n).collect::<Vec<_>>(), [7, 9, 8]);
    list.clear().await.unwrap();
    assert_eq!(list.latest(9).await.unwrap(), []);

    let error = list.push(&(1, "x".repeat(2 << 20))).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("recent:{seen}"), "{error}");
    server.tell(&["RPUSH", "bartizan:recent:{seen}:items", "what a postcard is not"]).await;
    let error = list.latest(1).await.unwrap_err();
    assert!(error.is_undecodable() && error.to_string().contains("recent:{seen}"), "{error}");
}

#[tokio::test]
async fn members_are_counted_once_in_all_sets_together() {
    let server = Server::start().await;
    let visitors = Uniques::new(&redis(&server).await, "visitors").unwrap().expires_after(60 * SECOND);
    assert!(visitors.add("monday", "ada").await.unwrap());
    assert!(!visitors.add("monday", "ada").await.unwrap());
    let crowd: Vec<_> = (0..2_500).map(|n| format!("m{n}")).collect();
    assert_eq!(visitors.add_all("monday", &crowd).await.unwrap(), 2_500);
    assert_eq!(visitors.add_all("tuesday", &crowd[2_000..]).await.unwrap(), 500);
    visitors.add("tuesday", "bob").await.unwrap();
    assert_eq!(visitors.count(&["monday"]).await.unwrap(), 2_501);
    assert_eq!(visitors.count(&["monday", "tuesday", "sunday"]).await.unwrap(), 2_502);
    assert_eq!(visitors.count(&[] as &[&str]).await.unwrap(), 0);
    assert_eq!(visitors.union(&["monday", "tuesday"]).await.unwrap().len(), 2_502);
    assert!(visitors.contains("tuesday", "bob").await.unwrap() && !visitors.contains("monday", "bob").await.unwrap());
    assert!(visitors.remove("tuesday", "bob").await.unwrap() && !visitors.remove("tuesday", "bob").await.unwrap());
    assert!((1..=60_000).contains(&pttl(&server, "unique:{visitors}:set:monday").await));
    assert_eq!(server.ask::<u64>(&["DBSIZE"]).await.unwrap(), 2, "nothing is left of the unions");

    let few = visitors.capacity(3);
    for n in 0..3 {
        few.add("small", &format!("m{n}")).await.unwrap();
    }
    let error = few.add("small", "m3").await.unwrap_err();
    assert_eq!((error.is_refused(), error.code()), (true, Some("FULL")), "{error}");
    assert!(!few.add("small", "m2").await.unwrap(), "who is in it already is not refused");
    assert_eq!(few.count(&["small"]).await.unwrap(), 3);
    for (set, member) in [("", "a"), ("a{", "a"), ("a", ""), ("a", &*"x".repeat(201))] {
        assert!(few.add(set, member).await.unwrap_err().is_invalid());
    }
    let many: Vec<_> = (0..401).map(|n| n.to_string()).collect();
    assert!(few.count(&many).await.unwrap_err().is_invalid());
    assert_eq!(few.count(&many[..400]).await.unwrap(), 0);
}

#[tokio::test]
async fn keys_that_hold_something_else_are_named() {
    let server = Server::start().await;
    let redis = redis(&server).await;
    let counter = Counter::new(&redis, "a").unwrap();
    let list = Recent::<u32>::new(&redis, "a").unwrap();
    let sets = Uniques::new(&redis, "a").unwrap();
    let flag = Flag::new(&redis, "a").unwrap();
    let named = |error: Error, key: &str, kind: &str| {
        assert_eq!((error.is_refused(), error.code()), (true, Some("WRONGTYPE")), "{error}");
        assert_eq!(error.to_string(), format!("`bartizan:{key}`: the key holds a hash, where a {kind} is kept"));
    };
    for (key, kind) in [
        ("counter:{a}:value", "string"),
        ("counter:{b}:done", "zset"),
        ("recent:{a}:items", "list"),
        ("unique:{a}:set:x", "set"),
        ("flag:{a}:raised", "string"),
    ] {
        server.tell(&["HSET", &format!("bartizan:{key}"), "f", "v"]).await;
        let errors = match key.split(':').next().unwrap() {
            "counter" if kind == "zset" => vec![Counter::new(&redis, "b").unwrap().add_once(1, "x").await.unwrap_err()],
            "counter" => vec![
                counter.add(1).await.unwrap_err(),
                counter.add_once(1, "x").await.unwrap_err(),
                counter.get().await.unwrap_err(),
                counter.reset().await.unwrap_err(),
            ],
            "recent" => vec![list.push(&1).await.unwrap_err(), list.latest(1).await.unwrap_err()],
            "unique" => vec![
                sets.add("x", "m").await.unwrap_err(),
                sets.contains("x", "m").await.unwrap_err(),
                sets.count(&["x"]).await.unwrap_err(),
                sets.union(&["y", "x"]).await.unwrap_err(),
            ],
            _ => vec![
                flag.raise().await.unwrap_err(),
                flag.lower().await.unwrap_err(),
                flag.is_raised().await.unwrap_err(),
            ],
        };
        errors.into_iter().for_each(|error| named(error, key, kind));
    }
    assert_eq!(Counter::new(&redis, "b").unwrap().get().await.unwrap(), 0, "nor was anything added");

    server.tell(&["DEL", "bartizan:counter:{a}:value"]).await;
    server.tell(&["SET", "bartizan:counter:{a}:value", "many"]).await;
    for error in [
        counter.add(1).await.unwrap_err(),
        counter.add_once(1, "x").await.unwrap_err(),
        counter.get().await.unwrap_err(),
        counter.reset().await.unwrap_err(),
    ] {
        assert!(error.is_undecodable() && error.to_string().contains("counter:{a}:value"), "{error}");
    }
    for name in ["", "{a}", "a\n"] {
        assert!(Counter::new(&redis, name).unwrap_err().is_invalid());
        assert!(Flag::new(&redis, name).unwrap_err().is_invalid());
        assert!(Recent::<u32>::new(&redis, name).unwrap_err().is_invalid());
        assert!(Uniques::new(&redis, name).unwrap_err().is_invalid());
    }
}

#[tokio::test]
async fn what_lasts_for_ever_and_a_day_is_no_error() {
    let server = Server::start().await;
    let redis = redis(&server).await;
    Counter::new(&redis, "a").unwrap().expires_after(Duration::MAX).add(1).await.unwrap();
    Recent::<u32>::new(&redis, "a").unwrap().expires_after(Duration::MAX).push(&1).await.unwrap();
    Uniques::new(&redis, "a").unwrap().expires_after(Duration::MAX).add("a", "b").await.unwrap();
    let keys: Vec<String> = server.ask(&["KEYS", "*"]).await.unwrap();
    assert_eq!(keys.len(), 3);
    for key in keys {
        assert!(server.ask::<i64>(&["PTTL", &key]).await.unwrap() > 1 << 60, "{key}");
    }
}

#[tokio::test]
async fn they_work_in_a_cluster() {
    let cluster = Cluster::start().await;
    let redis = cluster.handle(5 * SECOND).deadline(5 * SECOND).connect().await.unwrap();
    for n in 0..12 {
        let name = format!("n{n}");
        let counter = Counter::new(&redis, &name).unwrap().expires_after(60 * SECOND);
        counter.add_once(2, "x").await.unwrap();
        counter.add_once(2, "x").await.unwrap();
        assert_eq!(counter.add(1).await.unwrap(), 3);
        let sets = Uniques::new(&redis, &name).unwrap();
        sets.add_all("a", &["x", "y"]).await.unwrap();
        sets.add_all("b", &["y", "z"]).await.unwrap();
        assert_eq!(sets.count(&["a", "b"]).await.unwrap(), 3);
        let list = Recent::<u32>::new(&redis, &name).unwrap();
        list.push(&n).await.unwrap();
        assert_eq!(list.latest(9).await.unwrap(), [n]);
        assert!(Flag::new(&redis, &name).unwrap().raise().await.unwrap());
    }
}

/// Whoever is spawned may use them.
#[tokio::test]
async fn their_futures_can_be_sent() {
    fn sent<T: Send>(_: &T) {}
    let redis = Redis::builder("redis://127.0.0.1:1").unwrap().build().unwrap();
    let board = Leaderboard::new(&redis, "a").unwrap();
    let (ever, updates) = (board.ever(), [Update::set("a", 1)]);
    sent(&(board.apply(&updates), board.add("a", 1), board.increment("a", 1, "b"), board.remove("a")));
    sent(&(ever.top(1), ever.around("a", 1), ever.standing("a"), ever.trim(1), ever.clear(), ever.count()));
    let (counter, flag) = (Counter::new(&redis, "a").unwrap(), Flag::new(&redis, "a").unwrap());
    sent(&(counter.add(1), counter.add_once(1, "a"), counter.get(), counter.reset(), flag.raise(), flag.is_raised()));
    let (list, sets) = (Recent::<String>::new(&redis, "a").unwrap(), Uniques::new(&redis, "a").unwrap());
    let value = String::new();
    sent(&(list.push(&value), list.latest(1), list.clear()));
    sent(&(sets.add("a", "b"), sets.add_all("a", &["b"]), sets.count(&["a"]), sets.union(&["a"])));
    sent(&Checkup::new(&redis).run());
}
