//! What the layer lets through, and what it answers.

use std::{sync::Arc, time::Duration};

use bartizan::{
    clock::TestClock,
    limit::{Failing, Key, MemoryLimiter, Policy, Proxies, RateLimitLayer, Reason},
    private::PrivateMark,
    quota::{Algorithm, Quota},
};
use http::{HeaderName, Method, Request, Response, StatusCode};
use parking_lot::Mutex;

use crate::{
    broken::Broken,
    site::{Site, from},
};

fn layer(clock: &TestClock, policy: impl Into<Policy>) -> RateLimitLayer {
    RateLimitLayer::over(MemoryLimiter::with_clock(1 << 20, clock.clone()), policy)
}

fn api_key() -> Key {
    Key::header(HeaderName::from_static("x-api-key"))
}

#[tokio::test]
async fn so_many_pass_in_a_window_and_each_address_has_its_own() {
    let clock = TestClock::new();
    let site = Site::new(&layer(&clock, Quota::per_second(3)));
    for _ in 0..3 {
        assert!(site.get("192.0.2.1").await.is_ok());
    }
    assert_eq!(site.get("192.0.2.1").await.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(site.get("192.0.2.2").await.is_ok());
    assert_eq!(site.calls(), 4, "who is refused does not reach the handler");
    clock.advance(Duration::from_secs(1));
    assert!(site.get("192.0.2.1").await.is_ok());
}

#[tokio::test]
async fn a_refusal_tells_when_and_why_and_not_of_whom() {
    let clock = TestClock::new();
    let layer = layer(&clock, Policy::new(Quota::per_minute(1).named("pages").unwrap()).by(api_key()));
    let site = Site::new(&layer);
    let request = || Request::get("/").header("x-api-key", "the-secret-of-ada");
    let passed = site.ask(request()).await;
    assert_eq!(passed.field("ratelimit-policy"), "\"pages\";q=1;w=60");
    assert_eq!(passed.field("ratelimit"), "\"pages\";r=0;t=60");
    assert_eq!(passed.body, "hello");
    clock.advance(Duration::from_millis(10_500));

    let refused = site.ask(request()).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.field("ratelimit"), "\"pages\";r=0;t=50");
    let retry_after: u64 = refused.field("retry-after").parse().unwrap();
    assert!((50..=55).contains(&retry_after), "{retry_after}");
    assert_eq!(refused.field("cache-control"), "no-store");
    assert_eq!(refused.field("content-type"), "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(&refused.body).unwrap();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["violated-policies"], serde_json::json!(["pages"]));
    assert!(!format!("{refused:?}{layer:?}{:?}", layer.handle()).contains("the-secret"), "{refused:?}");
}

#[tokio::test]
async fn what_one_policy_denies_is_not_taken_from_the_other() {
    let clock = TestClock::new();
    let by_address = Policy::new(Quota::per_minute(10).named("address").unwrap());
    let by_user = Policy::new(Quota::per_minute(2).named("user").unwrap()).by(api_key());
    let site = Site::new(&layer(&clock, by_address).and(by_user));
    let request = |user: &str| from("192.0.2.1").header("x-api-key", user);
    for _ in 0..2 {
        assert!(site.ask(request("ada")).await.is_ok());
    }
    for _ in 0..20 {
        let refused = site.ask(request("ada")).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(refused.body.contains(r#""violated-policies":["user"]"#), "{}", refused.body);
    }
    let other = site.ask(request("bea")).await;
    assert_eq!(other.field("ratelimit-policy"), "\"address\";q=10;w=60, \"user\";q=2;w=60");
    assert!(other.field("ratelimit").starts_with("\"address\";r=7;"), "{}", other.field("ratelimit"));
}

#[tokio::test]
async fn a_cost_above_the_limit_is_told_never() {
    let clock = TestClock::new();
    let site = Site::new(&layer(&clock, Policy::new(Quota::per_second(5)).cost(6)));
    let refused = site.get("192.0.2.1").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!refused.has("retry-after"), "{refused:?}");
}

#[tokio::test]
async fn an_address_that_the_client_invents_changes_nothing() {
    let clock = TestClock::new();
    let site = Site::new(&layer(&clock, Policy::new(Quota::per_minute(1)).by(Key::forwarded(Proxies::hops(1)))));
    let request = |forged: &str| from("10.0.0.1").header("x-forwarded-for", format!("{forged}, 192.0.2.1"));
    assert!(site.ask(request("198.51.100.1")).await.is_ok());
    for forged in ["198.51.100.2", "127.0.0.1", "unknown", ", ,", "198.51.100.1, 198.51.100.9"] {
        assert!(!site.ask(request(forged)).await.is_ok(), "{forged}");
    }
    assert!(site.ask(from("10.0.0.1").header("x-forwarded-for", "192.0.2.2")).await.is_ok(), "another client");
}

#[tokio::test]
async fn neighbours_in_one_ipv6_network_share() {
    let clock = TestClock::new();
    let site = Site::new(&layer(&clock, Quota::per_minute(2)));
    assert!(site.get("2001:db8:0:1200::1").await.is_ok());
    assert!(site.get("2001:db8:0:12ff::2").await.is_ok());
    assert!(!site.get("2001:db8:0:1234::3").await.is_ok());
    assert!(site.get("2001:db8:0:1300::1").await.is_ok());
}

#[tokio::test]
async fn those_of_whom_nothing_is_known_are_one_and_no_error() {
    let clock = TestClock::new();
    let layer = layer(&clock, Quota::per_minute(1));
    let site = Site::new(&layer);
    assert!(site.ask(Request::get("/")).await.is_ok());
    assert_eq!(site.ask(Request::get("/other")).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(site.get("192.0.2.1").await.is_ok());
    assert_eq!(layer.handle().counters().nobody, 2);
}

#[tokio::test]
async fn every_clone_enforces_the_same() {
    let clock = TestClock::new();
    let layer = layer(&clock, Quota::per_minute(2));
    let (one, other) = (Site::new(&layer), Site::new(&layer.clone()));
    assert!(one.get("192.0.2.1").await.is_ok());
    assert!(other.get("192.0.2.1").await.is_ok());
    assert!(!one.get("192.0.2.1").await.is_ok());
    assert!(!other.get("192.0.2.1").await.is_ok());
}

#[tokio::test]
async fn only_such_requests_and_none_that_are_exempt() {
    let clock = TestClock::new();
    let posts = Policy::new(Quota::per_minute(1)).only(|head| head.method == Method::POST);
    let layer = layer(&clock, posts).exempt(|head| head.uri.path() == "/health");
    let site = Site::new(&layer);
    let post = |path: &str| from("192.0.2.1").method(Method::POST).uri(path);
    for _ in 0..3 {
        assert!(site.get("192.0.2.1").await.is_ok());
        assert!(site.ask(post("/health")).await.is_ok());
    }
    assert!(site.ask(post("/")).await.is_ok());
    assert!(!site.ask(post("/")).await.is_ok());
    let counters = layer.handle().counters();
    assert_eq!((counters.exempt, counters.allowed, counters.denied), (6, 1, 1));
}

#[tokio::test]
async fn a_shadow_counts_and_refuses_nobody() {
    let clock = TestClock::new();
    let layer = layer(&clock, Quota::per_minute(2)).shadow();
    let site = Site::new(&layer);
    for _ in 0..5 {
        let passed = site.get("192.0.2.1").await;
        assert!(passed.is_ok());
        assert!(!passed.has("ratelimit") && !passed.has("ratelimit-policy"));
    }
    assert!(!site.get("192.0.2.1").await.has("retry-after"));
    let counters = layer.handle().counters();
    assert_eq!((counters.allowed, counters.shadowed, counters.denied), (2, 4, 0));
}

#[tokio::test]
async fn what_the_response_says_is_given_back() {
    let clock = TestClock::new();
    let guesses = Policy::new(Quota::per_hour(2)).refund_on(|status| status != StatusCode::UNAUTHORIZED);
    let site = Site::new(&layer(&clock, guesses));
    for _ in 0..10 {
        assert!(site.get("192.0.2.1").await.is_ok(), "what succeeds costs nothing");
    }
    for _ in 0..2 {
        assert_eq!(site.ask(from("192.0.2.1").header("answer", "401")).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(site.get("192.0.2.1").await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn what_turns_out_dearer_is_taken_though_it_does_not_remain() {
    let clock = TestClock::new();
    let policy =
        Policy::new(Quota::per_minute(10)).settle(|head, _| if head.status == StatusCode::OK { 1 } else { 10 });
    let site = Site::new(&layer(&clock, policy));
    assert!(site.get("192.0.2.1").await.is_ok());
    assert_eq!(site.ask(from("192.0.2.1").header("answer", "500")).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    let refused = site.get("192.0.2.1").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    clock.advance(Duration::from_secs(60));
    assert!(site.get("192.0.2.1").await.is_ok());
}

#[tokio::test]
async fn a_quota_may_be_computed_and_change() {
    let clock = TestClock::new();
    let plan = Arc::new(Mutex::new(Some(Quota::per_minute(1))));
    let asked = Arc::clone(&plan);
    let site = Site::new(&layer(&clock, Policy::computed("plan", move |_| asked.lock().clone())));
    assert_eq!(site.get("192.0.2.1").await.field("ratelimit-policy"), "\"plan\";q=1;w=60");
    assert!(!site.get("192.0.2.1").await.is_ok());
    *plan.lock() = Some(Quota::per_minute(3));
    let raised = site.get("192.0.2.1").await;
    assert_eq!(
        (raised.field("ratelimit-policy").as_str(), raised.field("ratelimit").as_str()),
        ("\"plan\";q=3;w=60", "\"plan\";r=1;t=60")
    );
    *plan.lock() = None;
    for _ in 0..9 {
        assert!(site.get("192.0.2.1").await.is_ok(), "no quota is no limit");
    }
}

#[tokio::test]
async fn a_rejection_of_ones_own() {
    let clock = TestClock::new();
    let layer = layer(&clock, Quota::per_minute(1)).reject(|refusal| {
        assert_eq!((refusal.reason(), refusal.policies()), (Reason::Exceeded, &["1-per-minute"][..]));
        let mut response = Response::new("slowly".into());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    });
    let site = Site::new(&layer);
    site.get("192.0.2.1").await;
    let refused = site.get("192.0.2.1").await;
    assert_eq!((refused.status, refused.body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "slowly"));
    assert!(refused.field("ratelimit").starts_with("\"1-per-minute\";r=0"));
}

#[tokio::test]
async fn fields_are_told_as_they_are_asked_for() {
    let clock = TestClock::new();
    let site = Site::new(&layer(&clock, Quota::per_minute(5)).fields(false).legacy_fields(true));
    let passed = site.get("192.0.2.1").await;
    assert!(!passed.has("ratelimit") && !passed.has("ratelimit-policy"));
    assert_eq!(passed.field("x-ratelimit-limit"), "5");
    assert_eq!(passed.field("x-ratelimit-remaining"), "4");
    assert_eq!(passed.field("x-ratelimit-reset"), "60");
}

#[tokio::test]
async fn a_refusal_marks_the_exchange_as_private() {
    let clock = TestClock::new();
    let site = Site::new(&layer(&clock, Quota::per_minute(1)));
    let mark = PrivateMark::default();
    for (call, marked) in [(1, 0), (2, 1)] {
        site.ask(from("192.0.2.1").extension(mark.clone())).await;
        assert_eq!(mark.reading(), marked, "call {call}");
    }
}

#[tokio::test]
async fn grpc_is_refused_in_its_own_words() {
    let clock = TestClock::new();
    let site = Site::new(&layer(&clock, Quota::per_minute(1)));
    let call = || from("192.0.2.1").method(Method::POST).header("content-type", "application/grpc");
    site.ask(call()).await;
    let refused = site.ask(call()).await;
    assert_eq!((refused.status, refused.field("grpc-status").as_str()), (StatusCode::OK, "8"));
    assert_eq!(refused.field("cache-control"), "no-store");
    assert!(refused.body.is_empty());

    // A refusal that is a 200 would be stored by a cache that knows nothing of gRPC.
    let forged = site.ask(call().method(Method::GET)).await;
    assert_eq!((forged.status, forged.has("grpc-status")), (StatusCode::TOO_MANY_REQUESTS, false));
}

#[tokio::test]
async fn while_the_counts_cannot_be_asked_each_does_as_its_rule_says() {
    let quota = || Quota::per_minute(6);
    let open = RateLimitLayer::over(Broken, quota()).when_failing(Failing::Open);
    let site = Site::new(&open);
    for _ in 0..20 {
        assert!(site.get("192.0.2.1").await.is_ok());
    }
    assert_eq!(open.handle().counters().unasked, 20);

    let closed = Site::new(&RateLimitLayer::over(Broken, quota()).when_failing(Failing::Closed));
    let refused = closed.get("192.0.2.1").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.body.contains("#temporary-reduced-capacity"), "{}", refused.body);
    assert!(refused.field("retry-after").parse::<u64>().unwrap() >= 1);

    let share = RateLimitLayer::over(Broken, quota()).when_failing(Failing::Share { among: 3 });
    let site = Site::new(&share);
    let mut passed = 0;
    for _ in 0..20 {
        passed += u64::from(site.get("192.0.2.1").await.is_ok());
    }
    assert_eq!(passed, 2, "a third of six");
    assert_eq!(share.handle().counters().alone, 20);

    let alone = Site::new(&RateLimitLayer::over(Broken, quota()));
    let mut passed = 0;
    for _ in 0..20 {
        passed += u64::from(alone.get("192.0.2.1").await.is_ok());
    }
    assert_eq!(passed, 6, "by default each process holds the whole limit");
}

#[test]
#[should_panic(expected = "two policies of a layer are both called \"5-per-second\"")]
fn two_policies_of_one_name_are_told_at_once() {
    let _ = RateLimitLayer::new(Quota::per_second(5)).and(Policy::new(Quota::per_second(5)).by(Key::path()));
}

#[test]
#[should_panic(expected = "only a bucket has one")]
fn a_burst_for_a_window_is_told_at_once() {
    let _ = RateLimitLayer::new(Quota::per_second(5).burst(7));
}

#[test]
fn every_algorithm_can_be_chosen() {
    for algorithm in Algorithm::ALL {
        let _ = RateLimitLayer::new(Policy::new(Quota::per_second(5)).algorithm(algorithm));
    }
}
