//! What the server is asked for.

use std::time::Duration;

use bartizan::session::{
    RedisSessions, SessionStore,
    changes::{Changes, Expected},
};
use futures_util::StreamExt;
use redis::aio::Monitor;

use crate::{
    redis_scene::{
        SOON, add, check_keys, connect, create, done, id, key, member, new, of, principal, renewal, rights, set,
    },
    redis_servers::{Cluster, Server, within},
};

/// The names of the commands that clients sent, not those of scripts, up to a mark of the test's own.
async fn heard(server: &Server, monitor: &mut Monitor, mark: &str) -> Vec<String> {
    server.tell(&["ECHO", mark]).await;
    let mut names = Vec::new();
    let mut lines = monitor.on_message::<String>();
    loop {
        let line = within(SOON, lines.next()).await.0.unwrap();
        if line.contains(mark) {
            return names;
        }
        let (source, command) = line.split_once("] ").unwrap();
        let name = command.trim_start_matches('"').split('"').next().unwrap();
        if !source.ends_with(" lua") && !["HELLO", "CLIENT", "ECHO", "PING", "INFO"].contains(&name) {
            names.push(name.to_owned());
        }
    }
}

#[tokio::test]
async fn a_load_and_a_save_are_one_round_trip_each() {
    let server = Server::start().await;
    let store = RedisSessions::new(connect(&server.url()).await);
    // The scripts are known from here on.
    create(&store, of(1, "ann")).await;
    done(&store, 1, Changes::default()).await;
    store.load(&id(1)).await.unwrap();
    store.destroy(&id(1)).await.unwrap();
    store.list(&principal("ann")).await.unwrap();
    let mut monitor = redis::Client::open(server.url()).unwrap().get_async_monitor().await.unwrap();

    create(&store, new(2)).await;
    assert_eq!(heard(&server, &mut monitor, "created").await, ["EVALSHA"], "a session is begun");
    store.load(&id(2)).await.unwrap();
    assert_eq!(heard(&server, &mut monitor, "loaded").await, LOAD, "and loaded, by one pipeline of plain commands");
    done(&store, 2, Changes::default()).await;
    assert_eq!(heard(&server, &mut monitor, "touched").await, ["EVALSHA"], "and touched");
    let everything = Changes {
        expected: Some(Expected { name: "a".into(), value: None }),
        counters: add("n", 1).counters,
        sets: member("s", b"m").sets,
        rotation: renewal(1, 2).rotation,
        clear: true,
        ..set("a", b"1")
    };
    done(&store, 2, everything).await;
    assert_eq!(heard(&server, &mut monitor, "changed").await, ["EVALSHA"], "and changed, whatever it is");
    done(&store, 2, rights(3, Some("ann"))).await;
    assert_eq!(heard(&server, &mut monitor, "login").await, ["EVALSHA"; 2], "a login tells the index first");
    store.load(&id(7)).await.unwrap();
    assert_eq!(heard(&server, &mut monitor, "unknown").await, LOAD, "a forged id is asked for once");
    assert_eq!(store.list(&principal("ann")).await.unwrap().len(), 1);
    // The first session ended: its entry is looked at, and too young to go.
    assert_eq!(heard(&server, &mut monitor, "listed").await, ["ZRANGE", "HGET", "HGET", "EVALSHA"]);
    store.destroy(&id(2)).await.unwrap();
    assert_eq!(heard(&server, &mut monitor, "destroyed").await, ["EVALSHA"], "and it ends");
}

const LOAD: [&str; 3] = ["HGET", "PTTL", "HGETALL"];

/// A command as it was sent.
fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut bytes = line.bytes();
    while bytes.by_ref().any(|byte| byte == b'"') {
        let mut word = Vec::new();
        loop {
            match bytes.next().unwrap() {
                b'"' => break,
                b'\\' => word.push(match bytes.next().unwrap() {
                    b'x' => {
                        let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                        u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
                    }
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'a' => 7,
                    b'b' => 8,
                    other => other,
                }),
                other => word.push(other),
            }
        }
        words.push(word);
    }
    words
}

/// Sends again what clients sent to scripts, and tells how each of them begins to answer.
async fn send_again(node: &Server, monitor: &mut Monitor) -> Vec<i64> {
    let patient = redis::AsyncConnectionConfig::new().set_response_timeout(Some(SOON));
    let raw = redis::Client::open(node.url()).unwrap();
    let mut raw = raw.get_multiplexed_async_connection_with_config(&patient).await.unwrap();
    node.tell(&["ECHO", "end"]).await;
    let mut sent = Vec::new();
    let mut lines = monitor.on_message::<String>();
    loop {
        let line = within(SOON, lines.next()).await.0.unwrap();
        if line.contains("\"ECHO\" \"end\"") {
            break;
        }
        if line.contains("] \"EVAL") && !line.contains(" lua]") {
            sent.push(words(line.split_once("] ").unwrap().1));
        }
    }
    let mut answers = Vec::new();
    for words in sent {
        let mut again = redis::cmd(std::str::from_utf8(&words[0]).unwrap());
        for word in &words[1..] {
            again.arg(word);
        }
        let answer: Vec<redis::Value> = again.query_async(&mut raw).await.unwrap();
        answers.push(redis::from_redis_value_ref(&answer[0]).unwrap());
    }
    drop(lines);
    // What was sent again is not to be sent again.
    heard(node, monitor, "sent again").await;
    answers
}

/// What a connection to a Cluster does when it breaks: it sends again what may have arrived.
#[tokio::test]
async fn what_arrives_twice_is_done_once() {
    let cluster = Cluster::start().await;
    let info: String = cluster.nodes[0].ask(&["INFO", "server"]).await.unwrap();
    if info.contains("valkey") {
        // It tells commands without escapes, so that they cannot be read back.
        return;
    }
    let handle = cluster.handle(Duration::from_secs(5)).deadline(Duration::from_secs(5));
    let store = RedisSessions::new(handle.connect().await.unwrap());
    create(&store, new(1)).await;
    done(&store, 1, Changes::default()).await;
    let key = key(2);
    let slot: u16 = cluster.nodes[0].ask(&["CLUSTER", "KEYSLOT", &key]).await.unwrap();
    let node = &cluster.nodes[usize::from(slot / 5461).min(2)];
    let mut monitor = redis::Client::open(node.url()).unwrap().get_async_monitor().await.unwrap();

    create(&store, new(2)).await;
    assert!(send_again(node, &mut monitor).await.iter().all(|answer| *answer == DONE), "it was begun");
    done(&store, 2, Changes { counters: add("n", 1).counters, sets: member("s", b"m").sets, ..set("a", b"1") }).await;
    let expected = Some(Expected { name: "a".into(), value: Some("1".into()) });
    done(&store, 2, Changes { expected, ..set("a", b"2") }).await;
    done(&store, 2, rights(2, None)).await;
    let answers = send_again(node, &mut monitor).await;
    assert!(answers.len() >= 3 && answers.iter().all(|answer| *answer == DONE), "{answers:?}");
    let record = store.load(&id(2)).await.unwrap().unwrap().record.clone();
    assert_eq!((record.fields.counters["n"], record.head.generation.number()), (1, 1), "and it was done once");
    assert_eq!(record.fields.values["a"], "2");
    check_keys(node).await;
}

/// How a script begins to answer that did what it was asked to.
const DONE: i64 = 6;
