//! Servers that are full, gone or hold garbage, and what is too much.

use std::time::Duration;

use bartizan::{
    Redis,
    clock::TestClock,
    session::{
        Lifetime, RedisSessions, SessionStore,
        changes::Changes,
        contract::{Applied, Creation, NewRecord},
    },
};

use crate::{
    redis_scene::{
        IDLE, SOON, add, apply, check_keys, connect, create, done, fields, id, key, listed, member, new, of, principal,
        renewal, rights, set, unset,
    },
    redis_servers::{Cluster, Link, Proxy, Server},
};

async fn scene() -> (Server, RedisSessions) {
    let server = Server::start().await;
    let store = RedisSessions::new(connect(&server.url()).await);
    (server, store)
}

/// There is no session, whoever asks, and it is counted.
async fn is_no_session(store: &RedisSessions, n: u32, what: &str) {
    let before = store.usage().spoilt;
    assert!(store.load(&id(n)).await.unwrap().is_none(), "{what} is no session");
    assert_eq!(store.usage().spoilt, before + 1, "{what} is counted");
}

#[tokio::test]
async fn what_is_no_record_is_no_session() {
    let (server, store) = scene().await;
    let key = key(1);
    create(&store, of(1, "ann")).await;
    done(&store, 1, Changes { counters: add("n", 1).counters, sets: member("s", b"m").sets, ..renewal(1, 2) }).await;
    let head: Vec<u8> = server.ask(&["HGET", &key, "h"]).await.unwrap();
    for (field, value) in [("z", "1"), ("", "1"), ("cn", "many"), ("cn", ""), ("s", "1"), ("s9:x", "1"), ("s-1:x", "1")]
    {
        server.tell(&["HSET", &key, field, value]).await;
        is_no_session(&store, 1, field).await;
        server.tell(&["HDEL", &key, field]).await;
    }
    assert!(store.load(&id(1)).await.unwrap().is_some(), "it was restored");

    let mut heads: Vec<Vec<u8>> = (0..head.len()).map(|end| head[..end].to_vec()).collect();
    heads.push([&head[..], b"x"].concat());
    heads.push([b"\x02", &head[1..]].concat());
    heads.push([&head[..2], b"\xff", &head[3..]].concat());
    heads.push([&head[..3], b"\xff", &head[4..]].concat());
    let patient = redis::AsyncConnectionConfig::new().set_response_timeout(Some(SOON));
    let raw = redis::Client::open(server.url()).unwrap();
    let mut raw = raw.get_multiplexed_async_connection_with_config(&patient).await.unwrap();
    for head in heads {
        let _: () = redis::cmd("HSET").arg(&key).arg("h").arg(&head).query_async(&mut raw).await.unwrap();
        is_no_session(&store, 1, "a head that is cut").await;
        let changed = store.apply(&id(1), Default::default(), set("a", b"1")).await;
        assert!(changed.is_ok() || changed.is_err_and(|error| error.is_undecodable()), "nor a panic");
    }
    server.tell(&["HDEL", &key, "h"]).await;
    is_no_session(&store, 1, "a hash without a head").await;
    assert_eq!(apply(&store, 1, set("a", b"1")).await, Applied::Gone, "it is not made one either");

    for make in [vec!["SET", &key, "x"], vec!["RPUSH", &key, "x"], vec!["SADD", &key, "x"]] {
        server.tell(&["DEL", &key]).await;
        server.tell(&make).await;
        is_no_session(&store, 1, make[0]).await;
        assert_eq!(apply(&store, 1, set("a", b"1")).await, Applied::Gone, "nor can it be changed");
        assert_eq!(store.create(new(1)).await.unwrap(), Creation::Exists, "nor begun");
        assert_eq!(listed(&store, "ann").await, [0; 0], "nor is it listed");
        assert_eq!(store.destroy_all(&principal("ann"), None).await.unwrap(), 0, "nor ended as somebody's");
        assert!(!store.destroy(&id(1)).await.unwrap(), "it was no session");
        assert_eq!(server.ask::<i64>(&["EXISTS", &key]).await.unwrap(), 0, "but it may be removed");
    }
}

#[tokio::test]
async fn what_is_no_index_is_begun_anew() {
    let (server, store) = scene().await;
    create(&store, of(1, "ann")).await;
    let keys: Vec<String> = server.ask(&["KEYS", "*:index"]).await.unwrap();
    server.tell(&["SET", &keys[0], "x"]).await;
    assert_eq!(listed(&store, "ann").await, [0; 0]);
    assert_eq!(store.destroy_all(&principal("ann"), None).await.unwrap(), 0);
    assert_eq!(store.usage().spoilt, 2, "that is counted");
    create(&store, of(2, "ann")).await;
    assert_eq!((listed(&store, "ann").await, store.usage().spoilt), (vec![2], 3));
    server.tell(&["ZADD", &keys[0], "1e15", "x"]).await;
    server.tell(&["ZADD", &keys[0], "inf", &"y".repeat(38)]).await;
    assert_eq!(listed(&store, "ann").await, [2], "what is no entry is none");
    check_keys(&server).await;
}

#[tokio::test]
async fn a_full_server_refuses_what_grows_and_ends_what_is_to_end() {
    let (server, store) = scene().await;
    for n in 1..=5 {
        create(&store, of(n, "ann")).await;
    }
    done(&store, 1, Changes { counters: add("n", 1).counters, ..set("a", b"12345") }).await;
    server.tell(&["CONFIG", "SET", "maxmemory", "1"]).await;

    let refusals = [
        store.create(new(9)).await.map(drop),
        store.create(of(9, "ann")).await.map(drop),
        store.apply(&id(1), Default::default(), set("b", b"1")).await.map(drop),
        store.apply(&id(1), Default::default(), member("s", b"1")).await.map(drop),
        store.apply(&id(1), Default::default(), rights(2, Some("eve"))).await.map(drop),
    ];
    for refusal in refusals {
        let error = refusal.unwrap_err();
        assert!(error.is_refused() && error.code() == Some("OOM"), "{error:?}");
        assert_eq!(error.to_string(), "the session store is full: Redis has no memory left for more");
    }
    assert!(store.load(&id(9)).await.unwrap().is_none(), "nothing was begun");
    let found = fields(&store, 1).await;
    assert_eq!((found.values.len(), found.counters["n"]), (1, 1), "nothing was changed");
    check_keys(&server).await;

    done(&store, 1, Changes::default()).await;
    done(&store, 1, add("n", 1)).await;
    done(&store, 1, unset("a")).await;
    done(&store, 1, Changes { clear: true, ..Changes::default() }).await;
    assert_eq!(fields(&store, 1).await, Default::default(), "to shrink is always possible");
    check_keys(&server).await;
    assert!(store.destroy(&id(1)).await.unwrap(), "and so is to end");
    assert_eq!(listed(&store, "ann").await, [2, 3, 4, 5]);
    assert_eq!(store.destroy_all(&principal("ann"), Some(id(3))).await.unwrap(), 3, "one or all");
    assert_eq!(listed(&store, "ann").await, [3]);
}

#[tokio::test]
async fn nor_does_a_full_cluster_refuse_what_does_not_grow() {
    let cluster = Cluster::start().await;
    let handle = cluster.handle(Duration::from_secs(5)).deadline(Duration::from_secs(5));
    let store = RedisSessions::new(handle.connect().await.unwrap());
    create(&store, new(1)).await;
    done(&store, 1, Changes { counters: add("n", 1).counters, ..set("a", b"12345") }).await;
    for node in &cluster.nodes {
        node.tell(&["CONFIG", "SET", "maxmemory", "1"]).await;
    }
    for changes in [add("n", 1), set("a", b"54321"), unset("a")] {
        done(&store, 1, changes).await;
    }
    assert_eq!(fields(&store, 1).await.counters["n"], 2);
    let grown = store.apply(&id(1), Default::default(), set("b", b"1")).await;
    assert!(grown.is_err_and(|error| error.code() == Some("OOM")));
}

#[tokio::test]
async fn what_is_too_much_is_said() {
    let server = Server::start().await;
    let redis = connect(&server.url()).await;
    let store = RedisSessions::builder(redis).session_bytes(1000).value_bytes(100).build();
    create(&store, new(1)).await;
    for changes in [set("a", &[0; 101]), member("a", &[0; 101])] {
        let begun = store.create(NewRecord { changes: changes.clone(), ..new(2) }).await.map(drop);
        let changed = store.apply(&id(1), Default::default(), changes).await.map(drop);
        for error in [begun.unwrap_err(), changed.unwrap_err()] {
            assert_eq!(error.code(), Some("TOO_LARGE"));
            assert_eq!(error.to_string(), "`a` of a session would have 101 bytes: at most 100 are allowed");
        }
    }
    for n in 0..9 {
        done(&store, 1, set(&format!("{n}"), &[0; 100])).await;
    }
    assert_eq!(apply(&store, 1, set("9", &[0; 100])).await, Applied::TooLarge, "1010 bytes in all");
    done(&store, 1, set("9", &[0; 90])).await;
    assert_eq!(apply(&store, 1, add("n", 1)).await, Applied::TooLarge, "a counter is 8 bytes and its name");
    done(&store, 1, Changes { values: unset("9").values, ..add("n", 1) }).await;
    check_keys(&server).await;

    let smaller = RedisSessions::builder(connect(&server.url()).await).session_bytes(10).build();
    done(&smaller, 1, Changes::default()).await;
    done(&smaller, 1, unset("0")).await;
    assert_eq!(apply(&smaller, 1, set("new", b"1")).await, Applied::TooLarge, "what is too large does not grow");
}

#[tokio::test]
async fn a_principal_has_so_many_sessions_and_those_that_ended_make_room() {
    let server = Server::start().await;
    let clock = TestClock::new();
    let store = RedisSessions::builder(connect(&server.url()).await).sessions_each(3).clock(clock.clone()).build();
    let lasting = |n| NewRecord { lifetime: Lifetime::new(IDLE, 100 * IDLE), ..of(n, "ann") };
    for n in 1..=3 {
        create(&store, lasting(n)).await;
    }
    create(&store, new(4)).await;
    for refused in [
        store.create(of(5, "ann")).await.map(drop),
        store.apply(&id(4), Default::default(), rights(2, Some("ann"))).await.map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(error.is_refused() && error.code() == Some("TOO_MANY"), "{error:?}");
    }
    assert!(store.load(&id(5)).await.unwrap().is_none(), "it was not begun");
    create(&store, of(5, "eve")).await;
    assert!(store.destroy(&id(2)).await.unwrap());
    clock.advance(IDLE / 2);
    for n in [1, 3] {
        done(&store, n, Changes::default()).await;
    }
    // An entry without a record may be of one that is about to be written.
    assert!(store.create(of(6, "ann")).await.is_err());
    for _ in 0..12 {
        clock.advance(IDLE - Duration::from_secs(1));
        if store.create(lasting(6)).await.is_ok() {
            break;
        }
        done(&store, 3, Changes::default()).await;
    }
    assert_eq!(listed(&store, "ann").await, [3, 6], "the others ended more than ten minutes ago, or were idle");
    check_keys(&server).await;
}

#[tokio::test]
async fn who_logs_in_again_and_again_is_listed_once() {
    let (server, store) = scene().await;
    create(&store, of(1, "ann")).await;
    for generation in 0..5 {
        let applied = store.apply(&id(1), generation_of(generation), rights(2, Some("ann"))).await.unwrap();
        assert!(matches!(applied, Applied::Done(_)));
    }
    assert_eq!(store.list(&principal("ann")).await.unwrap().len(), 1);
    assert_eq!(store.destroy_all(&principal("ann"), None).await.unwrap(), 1);
    let keys: Vec<String> = server.ask(&["KEYS", "*"]).await.unwrap();
    assert_eq!(keys, [""; 0], "and nothing is left");
}

fn generation_of(number: u64) -> bartizan::session::record::Generation {
    bartizan::session::record::Generation::from_number(number)
}

#[tokio::test]
async fn a_server_that_is_gone_is_said_to_be_and_nothing_is_lost_silently() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let redis = Redis::builder(&proxy.url()).unwrap().deadline(Duration::from_millis(300)).connect().await.unwrap();
    let store = RedisSessions::new(redis);
    create(&store, of(1, "ann")).await;
    for link in [Link::Held, Link::Cut] {
        proxy.set(link);
        for error in [
            store.load(&id(1)).await.map(drop).unwrap_err(),
            store.apply(&id(1), Default::default(), set("a", b"1")).await.map(drop).unwrap_err(),
            store.create(of(2, "ann")).await.map(drop).unwrap_err(),
            store.destroy(&id(1)).await.map(drop).unwrap_err(),
            store.list(&principal("ann")).await.map(drop).unwrap_err(),
            store.destroy_all(&principal("ann"), None).await.map(drop).unwrap_err(),
        ] {
            assert!(error.is_unavailable(), "{link:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn nothing_of_a_session_is_printed() {
    let (_server, store) = scene().await;
    create(&store, of(1, "ann")).await;
    let printed = format!("{store:?} {:?}", store.load(&id(1)).await.unwrap());
    assert!(!printed.contains("ann") && !printed.contains("5a5a") && !printed.contains("90, 90"), "{printed}");
}

#[tokio::test]
async fn a_record_whose_end_was_taken_away_is_read_and_given_one_again() {
    let (server, store) = scene().await;
    create(&store, new(1)).await;
    let before = store.load(&id(1)).await.unwrap().unwrap().now;
    server.tell(&["PERSIST", &key(1)]).await;
    let loaded = store.load(&id(1)).await.unwrap().expect("it has not ended");
    assert!(loaded.now >= before && loaded.now < before.plus(SOON), "the time is the server's");
    done(&store, 1, Changes::default()).await;
    check_keys(&server).await;
}
