//! What the route's own rules and the handler's word do.

use std::time::Duration;

use bartizan::Rules;

use crate::support::{Origin, Scene, exact};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_response_that_says_nothing_is_stored_by_rule_only() {
    let scene = Scene::new(exact(), Origin::says(&[]));
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=uri-miss; detail=no-freshness");
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=uri-miss; detail=pass");

    let scene = Scene::new(exact().default_ttl(MINUTE), Origin::says(&[]));
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=uri-miss; stored");
    scene.advance(59);
    let hit = scene.get("/").await;
    assert_eq!((hit.text(), hit.cache_status().as_str()), ("0", "bartizan; hit"));
    assert_eq!(hit.field("age").as_deref(), Some("59"));
    assert!(hit.field("date").is_some());
    scene.advance(1);
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=stale; stored");
    assert_eq!(scene.calls(), 2);
    println!("{}", scene.cache.counters());
}

#[tokio::test]
async fn no_jitter_exceeds_the_longest_lifetime() {
    let rules = Rules::new().default_ttl(MINUTE).max_ttl(MINUTE);
    for _ in 0..50 {
        let scene = Scene::new(rules.clone(), Origin::says(&[]));
        scene.get("/").await;
        scene.advance(60);
        assert!(!scene.get("/").await.is_hit(), "a minute is over");
    }
}
