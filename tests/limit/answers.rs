//! What those are told who pass, and those who are refused.

use std::{convert::Infallible, time::Duration};

use bartizan::{
    RateLimitLayer,
    clock::TestClock,
    limit::{Key, LimitBody, MemoryLimiter, Policy},
    quota::{Algorithm, Quota},
};
use bytes::Bytes;
use http::{HeaderName, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};

type Answer = Response<LimitBody<Full<Bytes>>>;

async fn ask(layer: &RateLimitLayer, request: Request<()>) -> Answer {
    let service =
        layer.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(Full::from("told")))));
    let Ok(answer) = service.oneshot(request).await;
    answer
}

fn limited(policy: impl Into<Policy>) -> (RateLimitLayer, TestClock) {
    let clock = TestClock::new();
    let limiter = MemoryLimiter::with_clock(1 << 20, clock.clone());
    (RateLimitLayer::over(limiter, policy.into().by(Key::everyone())), clock)
}

fn get() -> Request<()> {
    Request::new(())
}

fn told<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers().get(name).map(|value| value.to_str().expect("it is ASCII"))
}

fn number(answer: &Answer, name: &str) -> u64 {
    told(answer, name).expect("the field is there").parse().expect("it is a number")
}

#[tokio::test]
async fn who_passes_is_told_how_much_is_left() {
    let (layer, clock) =
        limited(Policy::new(Quota::per_minute(2).named("searches").unwrap()).algorithm(Algorithm::Log));
    for (left, more) in [(1, ";t=60"), (0, ";t=50")] {
        let answer = ask(&layer, get()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(told(&answer, "ratelimit-policy"), Some(r#""searches";q=2;w=60"#));
        assert_eq!(told(&answer, "ratelimit"), Some(&*format!(r#""searches";r={left}{more}"#)));
        assert_eq!(told(&answer, "x-ratelimit-limit"), None);
        clock.advance(Duration::from_secs(10));
    }
}

#[tokio::test]
async fn who_waits_as_long_as_told_is_served() {
    for algorithm in Algorithm::ALL {
        let (layer, clock) =
            limited(Policy::new(Quota::new(3, Duration::from_millis(7_300)).unwrap()).algorithm(algorithm));
        for _ in 0..20 {
            let answer = ask(&layer, get()).await;
            if answer.status() == StatusCode::OK {
                continue;
            }
            assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
            let wait = number(&answer, "retry-after");
            assert!(wait >= 1);
            let more = told(&answer, "ratelimit").unwrap().split(";t=").nth(1).map_or(0, |t| t.parse().unwrap());
            assert!(wait >= more, "{algorithm:?}: {wait} s is before {more} s");
            clock.advance(Duration::from_secs(wait));
            assert_eq!(ask(&layer, get()).await.status(), StatusCode::OK, "{algorithm:?} after {wait} s");
        }
    }
}

#[tokio::test]
async fn nobody_waits_for_the_day_who_was_refused_for_the_second() {
    let (layer, _) = limited(Quota::per_second(1).named("second").unwrap());
    let daily =
        Policy::new(Quota::per_day(1_000).named("day").unwrap()).algorithm(Algorithm::Fixed).by(Key::everyone());
    let layer = layer.and(daily);
    ask(&layer, get()).await;
    let answer = ask(&layer, get()).await;
    assert!(number(&answer, "retry-after") <= 2);
    assert_eq!(told(&answer, "ratelimit"), Some(r#""second";r=0;t=1, "day";r=999"#));
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["violated-policies"], serde_json::json!(["second"]), "the day was not exceeded");
}

#[tokio::test]
async fn what_costs_more_than_the_limit_is_told_never() {
    let (layer, _) = limited(Policy::new(Quota::per_second(5)).cost(6));
    let answer = ask(&layer, get()).await;
    assert_eq!((answer.status(), told(&answer, "retry-after")), (StatusCode::TOO_MANY_REQUESTS, None));
}

#[tokio::test]
async fn head_has_the_fields_alone() {
    let (layer, _) = limited(Quota::per_second(0));
    let head = Request::head("/").body(()).unwrap();
    let (head, get) = (ask(&layer, head).await, ask(&layer, get()).await);
    assert!(head.body().is_end_stream());
    assert_eq!(number(&head, "content-length"), get.body().size_hint().exact().unwrap());
    assert_eq!(told(&head, "content-type"), told(&get, "content-type"));
}

#[tokio::test]
async fn grpc_is_told_in_its_own_words() {
    let (layer, _) = limited(Quota::per_minute(0));
    let call = Request::post("/shop.Shop/Buy").header(header::CONTENT_TYPE, "application/grpc+proto").body(()).unwrap();
    let answer = ask(&layer, call).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(told(&answer, "grpc-status"), Some("8"));
    assert!(answer.body().is_end_stream(), "it is one frame of HTTP/2");
    assert!(told(&answer, "ratelimit").is_some(), "as metadata");
}

#[tokio::test]
async fn fields_are_chosen() {
    let (layer, clock) = limited(Policy::new(Quota::per_minute(4)).algorithm(Algorithm::Log));
    let layer = layer.fields(false).legacy_fields(true);
    let answer = ask(&layer, get()).await;
    clock.advance(Duration::from_millis(500));
    assert_eq!(told(&answer, "ratelimit"), None);
    let names = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];
    assert_eq!(names.map(|name| number(&answer, name)), [4, 3, 60]);
    let silent = layer.legacy_fields(false);
    assert!(ask(&silent, get()).await.headers().is_empty());
}

#[tokio::test]
async fn a_rejection_of_ones_own_is_given_what_there_is_to_know() {
    let (layer, _) = limited(Quota::per_minute(0).named("none").unwrap());
    let layer = layer.reject(|refusal| {
        assert_eq!((refusal.policies(), refusal.is_grpc()), (&["none"][..], false));
        let mut response = refusal.respond();
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        *response.body_mut() = "no coffee".into();
        response
    });
    let answer = ask(&layer, get()).await;
    assert_eq!(answer.status(), StatusCode::IM_A_TEAPOT);
    assert!(told(&answer, "ratelimit").is_some());
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "no coffee");
}

proptest! {
    #[test]
    fn no_answer_tells_who_took(secret in "sk_[a-z0-9]{12,300}", method in 0usize..3, limit in 0u64..2) {
        let (method, media) = [(Method::GET, None), (Method::HEAD, None), (Method::POST, Some("application/grpc"))][method].clone();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(async {
            const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
            let layer = RateLimitLayer::new(Policy::new(Quota::per_hour(limit)).by(Key::header(API_KEY))).legacy_fields(true);
            let mut request = Request::builder().method(method).header(API_KEY, &secret).body(()).unwrap();
            if let Some(media) = media {
                request.headers_mut().insert(header::CONTENT_TYPE, media.parse().unwrap());
            }
            let (head, body) = ask(&layer, request).await.into_parts();
            format!("{head:?} {:?} {layer:?}", body.collect().await.unwrap().to_bytes())
        });
        prop_assert!(answer.contains("ratelimit"), "{}", answer);
        prop_assert!(!answer.contains(&secret[3..15]), "{}", answer);
    }
}
