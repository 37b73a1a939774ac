//! What `Cache-Status` tells (RFC 9211).

use bartizan::{CacheStatus, store::Primary};
use http::Uri;
use sfv::{BareItem, Item, List, ListEntry, Parser, TokenRef};

use crate::support::{Answer, Gate, Origin, Scene, exact, get, request, response, run_others};

const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=60"), ("etag", "\"1\"")];

/// An origin behind a gate.
fn gated(gate: &Gate, fields: &'static [(&'static str, &'static str)]) -> Origin {
    let gate = gate.clone();
    Origin::new(move |_| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            Ok(response(200, fields, ""))
        }
    })
}

/// This cache's member of the list.
fn member(answer: &Answer) -> Item {
    let field = answer.cache_status();
    let list = Parser::new(&field).parse::<List>().unwrap_or_else(|error| panic!("{field}: {error}"));
    match list.into_iter().next_back() {
        Some(ListEntry::Item(item)) => item,
        _ => panic!("{field} has no member"),
    }
}

fn key(answer: &Answer) -> String {
    let member = member(answer);
    let key = member.params.get("key").and_then(BareItem::as_string).expect("a key");
    key.as_str().to_owned()
}

#[tokio::test]
async fn ttl_is_told_on_request() {
    let told = |told| Scene::with(Origin::says(FRESH), move |layer| layer.rules(exact()).cache_status(told));
    let scene = told(CacheStatus::new().ttl());
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=uri-miss; stored; ttl=60");
    scene.advance(21);
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; hit; ttl=39");
    let part = scene.ask(get("/", &[("range", "bytes=0-0")])).await;
    assert_eq!((part.status(), part.cache_status().as_str()), (206, "bartizan; hit; ttl=39"));
    let scene = told(CacheStatus::new());
    scene.get("/").await;
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; hit");
}

#[tokio::test]
async fn the_key_that_is_told_is_the_key_that_is_used() {
    let origin = Origin::says(&[("cache-control", "max-age=60"), ("vary", "accept")]);
    let scene = Scene::with(origin, |layer| layer.rules(exact()).cache_status(CacheStatus::new().key()));
    let ask = async |path, accept| key(&scene.ask(get(path, &[("host", "a"), ("accept", accept)])).await);
    let one = ask("/1", "x").await;
    assert_eq!(one, ask("/1", "x").await, "stored and found under the same");
    let (resource, variant) = one.split_once('-').expect("two halves");
    let other = ask("/1", "y").await;
    assert!(other.starts_with(resource) && !other.ends_with(variant), "another variant of the same resource");
    assert!(!ask("/2", "x").await.starts_with(resource), "another resource");
    let named = scene.cache.key(&Uri::from_static("http://a/1"));
    assert_eq!(named, u128::from_str_radix(resource, 16).ok().map(Primary::from));
}

#[tokio::test]
async fn a_status_other_than_the_clients_is_told() {
    let scene = Scene::new(exact(), Origin::says(FRESH));
    let condition = [("if-none-match", "\"1\"")];
    let first = scene.ask(get("/", &condition)).await;
    assert_eq!(
        (first.status(), first.cache_status().as_str()),
        (304, "bartizan; fwd=uri-miss; fwd-status=200; stored")
    );
    let hit = scene.ask(get("/", &condition)).await;
    assert_eq!((hit.status(), hit.cache_status().as_str()), (304, "bartizan; hit"), "nothing was forwarded");
}

#[tokio::test]
async fn who_waited_says_whether_it_was_of_use() {
    for (fields, want) in [
        (FRESH, ["fwd=uri-miss; stored", "fwd=uri-miss; collapsed", "fwd=uri-miss; collapsed; fwd-status=200"]),
        (
            &[("cache-control", "private"), ("etag", "\"1\"")],
            [
                "fwd=uri-miss; detail=private",
                "fwd=uri-miss; collapsed=?0",
                // A request of its own, with its own condition.
                "fwd=uri-miss; collapsed=?0",
            ],
        ),
    ] {
        let gate = Gate::new();
        let scene = Scene::new(exact(), gated(&gate, fields));
        let requests = [get("/", &[]), get("/", &[]), get("/", &[("if-none-match", "\"1\"")])];
        let mut asked = Vec::new();
        for request in requests {
            asked.push(tokio::spawn(scene.ask(request)));
            run_others().await;
        }
        gate.open(3);
        for (asked, want) in asked.into_iter().zip(want) {
            assert_eq!(asked.await.expect("no panic").cache_status(), format!("bartizan; {want}"), "{fields:?}");
        }
    }
}

#[tokio::test]
async fn the_lines_of_caches_nearer_to_the_origin_stay_before_ours() {
    let fields = &[("cache-control", "max-age=60"), ("cache-status", "\"A cache\"; hit; ttl=7")];
    let scene = Scene::with(Origin::says(fields), |layer| {
        layer.rules(exact()).name("edge").cache_status(CacheStatus::new().ttl().key())
    });
    for ask in [get("/", &[]), get("/", &[]), request("POST", "/", &[]), get("/", &[("if-match", "*")])] {
        let answer = scene.ask(ask).await;
        assert!(answer.cache_status().starts_with("\"A cache\"; hit; ttl=7, edge; "), "{}", answer.cache_status());
        assert_eq!(member(&answer).bare_item.as_token().map(TokenRef::as_str), Some("edge"));
    }
}
