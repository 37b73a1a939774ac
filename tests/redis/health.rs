//! What is found in a server, and what is said of it.

use std::{collections::BTreeSet, time::Duration};

use bartizan::{
    Redis,
    redis::{
        Script,
        health::{Checkup, Finding, Purpose, Report},
    },
};

use futures_util::future::join_all;
use tokio::net::TcpStream;

use crate::support::{Cluster, Sentinels, Server, eventually, within};

const ALL: [Purpose; 4] = [Purpose::Cache, Purpose::Limits, Purpose::Sessions, Purpose::Tools];

/// What the documentation tells to set, where sessions and a cache share a server.
const GOOD: [&str; 10] = [
    "--maxmemory",
    "256mb",
    "--maxmemory-policy",
    "noeviction",
    "--appendonly",
    "yes",
    "--appendfsync",
    "everysec",
    "--tcp-keepalive",
    "300",
];

async fn redis(server: &Server) -> Redis {
    Redis::builder(&server.url()).unwrap().deadline(Duration::from_secs(5)).connect().await.unwrap()
}

async fn checkup(server: &Server, purposes: &[Purpose]) -> Report {
    Checkup::new(&redis(server).await).serves(purposes.iter().copied()).run().await.unwrap()
}

fn findings(report: &Report) -> BTreeSet<Finding> {
    report.advice.iter().map(|advice| advice.finding).collect()
}

fn set(findings: &[Finding]) -> BTreeSet<Finding> {
    findings.iter().copied().collect()
}

#[tokio::test]
async fn a_server_that_is_set_up_well_gets_no_advice() {
    let server = Server::start_with(&GOOD).await;
    let redis = redis(&server).await;
    redis.command("SET").key("page").arg("text").arg("PX").arg(60_000).run().await.unwrap();
    redis.command("SET").key("leaderboard:{race}:ever:order").arg("stays").run().await.unwrap();
    let report = Checkup::new(&redis).run().await.unwrap();
    assert_eq!(report.advice, []);

    let [node] = &report.nodes[..] else { panic!("{report:?}") };
    let (info, settings) = (node.info.as_ref().unwrap(), node.settings.as_ref().unwrap());
    assert_eq!((info.memory.limit, info.memory.policy.as_deref()), (Some(256 << 20), Some("noeviction")));
    assert!(info.memory.used > 100_000 && info.memory.resident > info.memory.used / 2);
    assert!(info.persistence.append_only && !info.replication.is_replica);
    assert!(info.stats.clients > 0 && info.stats.commands > 0 && info.version.contains('.'));
    assert_eq!((settings.save.as_deref(), settings.appendfsync.as_deref()), (Some(""), Some("everysec")));
    assert_eq!((settings.tcp_keepalive, settings.slowlog_log_slower_than), (Some(300), Some(10_000)));
    assert!(node.round_trip < Duration::from_secs(5) && node.withheld.is_empty() && node.address.is_none());
    assert_eq!((report.keys.seen, report.keys.complete, report.keys.largest.len()), (2, true, 2));
}

#[tokio::test]
async fn a_server_that_is_set_up_badly_gets_advice() {
    use Finding::{
        EvictsWhatMustStay, NeverEvicts, NoKeepalive, NoMemoryLimit, NotPersisted, NotSynced, RarelyPersisted, Slowlog,
        SnapshotsRevive,
    };
    let cache = &[Purpose::Cache][..];
    let sessions = &[Purpose::Sessions][..];
    let limits = &[Purpose::Limits][..];
    let server = Server::start_with(&GOOD).await;
    for (settings, purposes, want) in [
        (&[("maxmemory", "0")][..], &ALL[..], &[NoMemoryLimit][..]),
        (&[("maxmemory-policy", "allkeys-lru")], &ALL, &[EvictsWhatMustStay]),
        (&[("maxmemory-policy", "volatile-ttl")], limits, &[EvictsWhatMustStay]),
        (&[("maxmemory-policy", "allkeys-lfu")], cache, &[]),
        (&[("maxmemory-policy", "noeviction")], cache, &[NeverEvicts]),
        (&[("appendonly", "no")], sessions, &[NotPersisted]),
        (&[("appendonly", "no")], limits, &[]),
        (&[("appendonly", "no"), ("save", "3600 1")], &ALL, &[RarelyPersisted, SnapshotsRevive]),
        (&[("appendonly", "no"), ("save", "3600 1")], limits, &[]),
        (&[("appendfsync", "no")], sessions, &[NotSynced]),
        (&[("appendfsync", "no")], limits, &[]),
        (&[("tcp-keepalive", "0")], &ALL, &[NoKeepalive]),
        (&[("slowlog-log-slower-than", "-1")], &ALL, &[Slowlog]),
        (&[("slowlog-log-slower-than", "0")], &ALL, &[Slowlog]),
        (&[("slowlog-log-slower-than", "1000000")], &ALL, &[Slowlog]),
    ] {
        let before: Vec<Vec<String>> = {
            let mut before = Vec::new();
            for (name, _) in settings {
                before.push(server.ask(&["CONFIG", "GET", name]).await.unwrap());
            }
            before
        };
        for (name, value) in settings {
            server.tell(&["CONFIG", "SET", name, value]).await;
        }
        let report = checkup(&server, purposes).await;
        assert_eq!(findings(&report), set(want), "{settings:?}: {:?}", report.advice);
        for advice in &report.advice {
            let text = advice.to_string();
            assert!(settings.iter().any(|(name, _)| text.contains(name)), "{text:?} names what to set");
        }
        for pair in before {
            server.tell(&["CONFIG", "SET", &pair[0], &pair[1]]).await;
        }
    }
}

#[tokio::test]
async fn what_happened_to_a_server_is_told() {
    let server = Server::start_with(&GOOD).await;
    let redis = redis(&server).await;
    server.tell(&["CONFIG", "SET", "maxmemory", "20mb"]).await;
    server.tell(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    let filler = "x".repeat(100_000);
    for at in 0..400 {
        redis.command("SET").key(format!("filler:{at}")).arg(&filler).arg("PX").arg(60_000).run().await.unwrap();
    }
    server.tell(&["CONFIG", "SET", "latency-monitor-threshold", "1"]).await;
    let busy = Script::new("for _ = 1, 1e8 do end return KEYS[1]");
    redis.script(&busy).key("busy").run().await.unwrap();
    let report = Checkup::new(&redis).run().await.unwrap();
    let found = findings(&report);
    for finding in [Finding::Evicted, Finding::NearlyFull, Finding::EvictsWhatMustStay, Finding::SlowCommands] {
        assert!(found.contains(&finding), "{finding:?}: {:?}", report.advice);
    }
    let slow = &report.nodes[0].slow[0];
    assert!(slow.command.starts_with("EVAL") && slow.command.ends_with(" bartizan:busy"), "{slow:?}");
    assert!(slow.took >= Duration::from_millis(100));
    assert!(!report.nodes[0].spikes.is_empty(), "{report:?}");

    // Ours, and those of the one who sets it.
    server.tell(&["CONFIG", "SET", "maxclients", "10"]).await;
    let others: Vec<_> = join_all((0..8).map(|_| TcpStream::connect(("127.0.0.1", server.port)))).await;
    let refused = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let refused = [refused, TcpStream::connect(("127.0.0.1", server.port)).await.unwrap()];
    let crowded = async || {
        let found = findings(&Checkup::new(&redis).keys(0).run().await.unwrap());
        (found.contains(&Finding::ManyConnections) && found.contains(&Finding::RejectsConnections)).then_some(())
    };
    eventually("it is crowded", Duration::from_secs(5), crowded).await;
    drop((others, refused));
}

#[tokio::test]
async fn large_and_lasting_keys_are_found_among_a_bounded_number() {
    let server = Server::start_with(&GOOD).await;
    let redis = redis(&server).await;
    let big = "x".repeat(2 << 20);
    redis.command("SET").key("report:\n\u{1b}[31m").arg(&big).run().await.unwrap();
    for at in 0..3_000 {
        redis.command("SET").key(format!("page:{at}")).arg("x").arg("PX").arg(600_000).run().await.unwrap();
    }
    redis.command("SET").key("flag:{on}").arg("1").run().await.unwrap();
    server.tell(&["SET", "other:of-somebody-else", &big]).await;

    let report = Checkup::new(&redis).run().await.unwrap();
    assert_eq!(findings(&report), set(&[Finding::BigKeys, Finding::KeysWithoutExpiry]));
    assert_eq!((report.keys.seen, report.keys.complete, report.keys.lasting), (3_002, true, 1));
    assert_eq!(report.keys.largest.len(), 10);
    assert_eq!(report.keys.largest[0].name, r"report:\n\u{1b}[31m");
    assert!(report.keys.largest[0].bytes > 2 << 20);
    assert!(report.keys.largest.windows(2).all(|pair| pair[0].bytes >= pair[1].bytes));
    assert_eq!(report.keys.lasting_examples, [r"report:\n\u{1b}[31m"]);

    let report = Checkup::new(&redis).keys(1_000).run().await.unwrap();
    assert!(!report.keys.complete && report.keys.seen <= 1_200, "{:?}", report.keys);
    let report = Checkup::new(&redis).keys(0).run().await.unwrap();
    assert_eq!((report.keys.seen, report.advice.len()), (0, 0));
}

#[tokio::test]
async fn what_is_withheld_is_no_error_and_gives_no_advice() {
    let server = Server::start_with(&["--maxmemory", "0"]).await;
    server.tell(&["ACL", "SETUSER", "web", "on", ">secret", "~bartizan:*", "+ping", "+get"]).await;
    let redis = Redis::builder(&server.url()).unwrap().user("web").password("secret").connect().await.unwrap();
    let report = Checkup::new(&redis).run().await.unwrap();
    assert_eq!(report.advice, []);
    assert_eq!(report.nodes[0].withheld, ["INFO", "CONFIG", "SLOWLOG", "LATENCY", "SCAN"]);
    assert!(report.nodes[0].info.is_none() && report.nodes[0].settings.is_none());

    server.tell(&["ACL", "SETUSER", "web", "+info", "+scan", "+pttl"]).await;
    server.tell(&["SET", "bartizan:a", "1"]).await;
    let report = Checkup::new(&redis).run().await.unwrap();
    assert_eq!(report.nodes[0].withheld, ["CONFIG", "SLOWLOG", "LATENCY"]);
    assert_eq!(findings(&report), set(&[Finding::NoMemoryLimit, Finding::KeysWithoutExpiry]));
    assert_eq!((report.keys.seen, report.keys.largest[0].bytes), (1, 0), "what it takes is not known");
}

#[tokio::test]
async fn sentinels_lead_to_the_primary_whose_replicas_are_told() {
    let sentinels = Sentinels::start().await;
    let redis = Redis::builder(&sentinels.url()).unwrap().deadline(Duration::from_secs(5)).connect().await.unwrap();
    let report = Checkup::new(&redis).serves([Purpose::Limits]).run().await.unwrap();
    assert_eq!(findings(&report), set(&[Finding::SplitBrain, Finding::NoMemoryLimit]));
    let replication = &report.nodes[0].info.as_ref().unwrap().replication;
    assert_eq!(replication.replicas[0].address, format!("127.0.0.1:{}", sentinels.servers[1].port));
    assert!(replication.replicas[0].is_online);

    sentinels.servers[0].tell(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    let report = Checkup::new(&redis).serves([Purpose::Limits]).run().await.unwrap();
    assert_eq!(findings(&report), set(&[Finding::NoMemoryLimit]));

    // Who names a replica by its own address is told.
    let wrong = Redis::builder(&sentinels.servers[1].url()).unwrap().connect().await.unwrap();
    let report = Checkup::new(&wrong).serves([Purpose::Limits]).run().await.unwrap();
    assert!(findings(&report).contains(&Finding::Replica), "{:?}", report.advice);
}

#[tokio::test]
async fn of_a_cluster_each_primary_is_told_and_one_that_is_gone() {
    let mut cluster = Cluster::start().await;
    let redis = cluster.handle(Duration::from_secs(5)).deadline(Duration::from_secs(2)).connect().await.unwrap();
    for at in 0..50 {
        redis.command("SET").key(format!("page:{at}")).arg("x").arg("PX").arg(600_000).run().await.unwrap();
    }
    cluster.nodes[1].tell(&["CONFIG", "SET", "tcp-keepalive", "0"]).await;
    let report = Checkup::new(&redis).serves([Purpose::Limits]).run().await.unwrap();
    let address = |at: usize| format!("127.0.0.1:{}", cluster.nodes[at].port);
    let addresses: BTreeSet<_> = report.nodes.iter().map(|node| node.address.clone().unwrap()).collect();
    assert_eq!(addresses, (0..3).map(address).collect());
    assert_eq!((report.keys.seen, report.keys.complete), (50, true));
    let keepalive: Vec<_> = report.advice.iter().filter(|one| one.finding == Finding::NoKeepalive).collect();
    assert_eq!(keepalive.len(), 1);
    assert!(keepalive[0].to_string().starts_with(&format!("{}: `tcp-keepalive 0`", address(1))), "{}", keepalive[0]);

    // Without its replica nobody takes over.
    let gone = address(0);
    cluster.nodes[3].kill();
    cluster.nodes[0].kill();
    eventually("the others go on, and one is missed", Duration::from_secs(30), async || {
        let report = Checkup::new(&redis).run().await.ok()?;
        let missed = report.advice.iter().find(|one| one.finding == Finding::Unreachable)?;
        (missed.node.as_deref() == Some(&gone) && report.nodes.len() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_hangs_is_an_error_within_the_deadline() {
    let server = Server::start().await;
    let redis = Redis::builder(&server.url()).unwrap().deadline(Duration::from_millis(100)).connect().await.unwrap();
    server.pause();
    let (result, _) = within(Duration::from_secs(2), Checkup::new(&redis).run()).await;
    assert!(result.unwrap_err().is_unavailable());
    server.resume();
}
