//! Each way to reach a server, and what is told when there is none.

use std::{error::Error as _, time::Duration};

use bartizan::{Redis, redis::RedisBuilder};

use crate::support::{Certificates, Cluster, Sentinels, Server, eventually, within};

const SECOND: Duration = Duration::from_secs(1);

async fn answers(redis: &Redis) {
    redis.command("SET").key("greeting").arg("hello").arg("PX").arg(60_000).run().await.unwrap();
    let greeting = redis.command("GET").key("greeting").run().await.unwrap();
    assert_eq!(greeting.text().unwrap().as_deref(), Some("hello"));
    assert!(redis.command("GET").key("nothing").within(Duration::MAX).run().await.unwrap().is_nil());
}

#[tokio::test]
async fn a_server_answers_by_tcp_and_by_its_socket() {
    let server = Server::start_with(&["--unixsocket", "redis.sock"]).await;
    answers(&Redis::connect(&server.url()).await.unwrap()).await;
    answers(&Redis::connect(&format!("redis+unix://{}", server.socket().display())).await.unwrap()).await;
    let info = redis::IntoConnectionInfo::into_connection_info(server.url()).unwrap();
    answers(&RedisBuilder::from_connection_info(info).connect().await.unwrap()).await;
}

#[tokio::test]
async fn keys_have_the_namespace_and_live_in_the_database() {
    let server = Server::start().await;
    let redis = Redis::builder(&format!("{}/3", server.url())).unwrap().namespace("shop").connect().await.unwrap();
    answers(&redis).await;
    assert_eq!(redis.key("greeting"), b"shop:greeting");
    let keyspace: String = server.ask(&["INFO", "keyspace"]).await.unwrap();
    assert!(keyspace.contains("db3:keys=1") && !keyspace.contains("db0"), "{keyspace}");
    let keys = redis.scan("*").step().await.unwrap().unwrap();
    assert_eq!(keys, [b"greeting"]);
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_repeated() {
    let server = Server::start_with(&["--user", "web", "on", ">s3cret", "~bartizan:*", "+@all", "-flushall"]).await;
    let url = |login: &str| format!("redis://{login}@127.0.0.1:{}", server.port);
    answers(&Redis::connect(&url("web:s3cret")).await.unwrap()).await;
    let by_builder = Redis::builder(&server.url()).unwrap().user("web").password("s3cret");
    assert!(!format!("{by_builder:?}").contains("s3cret"));
    let redis = by_builder.connect().await.unwrap();
    assert!(!format!("{redis:?}").contains("s3cret"));
    answers(&redis).await;

    let error = redis.command("FLUSHALL").run().await.unwrap_err();
    assert_eq!((error.is_refused(), error.code()), (true, Some("NOPERM")), "{error}");

    let error = Redis::connect(&url("web:hunter2")).await.unwrap_err();
    assert!(error.is_refused(), "{error:?}");
    let mut told = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        told += &format!("{error} {error:?}");
        source = error.source();
    }
    assert!(!told.contains("hunter2") && told.contains("WRONGPASS"), "{told}");
}

#[tokio::test]
async fn a_server_without_hello_is_spoken_to_in_the_old_protocol() {
    let server = Server::start_with(&["--rename-command", "HELLO", ""]).await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    answers(&redis).await;
    assert!(!redis.capabilities().await.unwrap().has_resp3());
}

#[tokio::test]
async fn capabilities_are_asked_for_once() {
    let server = Server::start().await;
    let redis = Redis::connect(&server.url()).await.unwrap();
    assert!(redis.capabilities().await.unwrap().has_resp3());
    let capabilities = redis.capabilities().await.unwrap();
    let (version, name) = (capabilities.version(), if capabilities.is_valkey() { "valkey" } else { "redis" });
    let info: String = server.ask(&["INFO", "server"]).await.unwrap();
    let said = format!("{name}_version:{}.{}.{}", version.major, version.minor, version.patch);
    assert!(info.contains(&said), "{said} in {info}");
    redis.capabilities().await.unwrap();
    let stats: String = server.ask(&["INFO", "commandstats"]).await.unwrap();
    // Twice by us here, once by the handle.
    assert!(stats.lines().any(|line| line.starts_with("cmdstat_info:calls=2,")), "{stats}");
}

#[tokio::test]
async fn where_nobody_listens_the_error_comes_at_once() {
    let mut server = Server::start().await;
    server.kill();
    let (result, took) = within(SECOND, Redis::connect(&server.url())).await;
    let error = result.unwrap_err();
    assert!(error.is_unavailable() && took < SECOND / 4, "{error} after {took:?}");

    // The handle may be made all the same, and works when the server comes.
    let redis = Redis::builder(&server.url()).unwrap().build().unwrap();
    assert!(redis.command("PING").run().await.unwrap_err().is_unavailable());
    server.restart().await;
    eventually("it connects", SECOND, async || redis.command("PING").run().await.ok()).await;
    answers(&redis).await;
}

#[tokio::test]
async fn what_is_impossible_is_told_before_connecting() {
    for url in ["localhost:6379", "http://localhost", "redis://", "redis+cluster://a/1"] {
        assert!(Redis::connect(url).await.unwrap_err().is_invalid(), "{url}");
    }
    assert!(Redis::sentinel(&["a:x"], "main").unwrap_err().is_invalid());
    #[cfg(not(feature = "redis-tls"))]
    assert!(Redis::connect("rediss://localhost").await.unwrap_err().is_invalid());
}

#[cfg(feature = "redis-tls")]
#[tokio::test]
async fn tls_is_believed_only_with_the_right_authority() {
    let (ours, other) = (Certificates::new(), Certificates::new());
    let server = Server::start_with_tls(&ours).await;
    let builder = || Redis::builder(&format!("rediss://127.0.0.1:{}", server.port)).unwrap();
    answers(&builder().root_certificates(ours.authority.clone()).connect().await.unwrap()).await;
    let error = builder().root_certificates(other.authority).connect().await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    let error = builder().root_certificates("no certificate").client_certificate("none", "none").build().unwrap_err();
    assert!(error.is_invalid(), "{error:?}");
}

#[tokio::test]
async fn the_primary_is_found_by_its_sentinels() {
    let group = Sentinels::start().await;
    let redis = Redis::connect(&group.url()).await.unwrap();
    answers(&redis).await;
    let keys: u32 = group.servers[0].ask(&["DBSIZE"]).await.unwrap();
    assert_eq!(keys, 1, "on the primary");

    // Who may not ask whether it is the primary believes the sentinels.
    let rules = ["ACL", "SETUSER", "web", "on", ">s3cret", "~*", "+@all", "-role"];
    group.servers[0].tell(&rules).await;
    let builder = Redis::builder(&group.url()).unwrap().user("web").password("s3cret");
    answers(&builder.connect().await.unwrap()).await;

    let error = Redis::connect(&group.url().replace("/main", "/other")).await.unwrap_err();
    assert!(error.is_refused(), "{error:?}");

    // One that hangs does not keep the others' word from counting.
    group.sentinels[0].pause();
    let (result, took) = within(SECOND, Redis::connect(&group.url())).await;
    answers(&result.unwrap()).await;
    assert!(took < SECOND / 4, "{took:?}");
}

#[tokio::test]
async fn every_slot_of_a_cluster_is_reached() {
    let cluster = Cluster::start().await;
    let hosts: Vec<_> = cluster.nodes[..2].iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let redis = Redis::cluster(&hosts).unwrap().connect_deadline(5 * SECOND).connect().await.unwrap();
    answers(&redis).await;

    let set = (0..300).fold(redis.pipeline(), |pipe, i| {
        pipe.add_command(redis.command("SET").key(format!("k{i}")).arg(i).arg("PX").arg(60_000))
    });
    assert!(set.run().await.iter().all(Result::is_ok));
    let get = (0..300).fold(redis.pipeline(), |pipe, i| pipe.add_command(redis.command("GET").key(format!("k{i}"))));
    let got: Vec<_> = get.run().await.into_iter().map(|reply| reply.unwrap().int().unwrap()).collect();
    assert_eq!(got, (0..300).collect::<Vec<_>>(), "in the order they were asked for");

    let mut seen = std::collections::BTreeSet::new();
    let mut scan = redis.scan("k*").count(20);
    let mut steps = 0;
    while let Some(keys) = scan.step().await.unwrap() {
        steps += 1;
        assert!(keys.len() < 100, "a step is bounded");
        seen.extend(keys);
    }
    assert_eq!(seen.len(), 300);
    assert!(steps > 9, "{steps}");

    let several = redis.command("DEL").key("k1").key("k2").key("k3").run().await.unwrap();
    assert_eq!(several.int().unwrap(), 3, "keys of several slots");
    assert!(redis.capabilities().await.unwrap().has_resp3(), "whichever node is asked");
}
