//! Limits among other layers: axum's addresses, the cache, HTTP/2.

use std::net::SocketAddr;

use axum::{
    Router,
    body::Body,
    routing::{get, post},
};
use bartizan::{
    RateLimitLayer,
    limit::{Key, Policy},
    quota::Quota,
};
use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body as _, Incoming};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::{Calls, layer};

/// Serves until the test ends, and tells handlers who is connected.
async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn fetch(address: SocketAddr, http2: bool, request: http::request::Builder) -> Response<Incoming> {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
    let request = request.uri(format!("http://{address}/")).body(Empty::new()).expect("a request");
    client.request(request).await.expect("an answer")
}

fn field<B>(response: &Response<B>, name: &str) -> String {
    let lines = response.headers().get_all(name).iter();
    lines.map(|line| line.to_str().expect("a text")).collect::<Vec<_>>().join(", ")
}

fn ask() -> Request<Body> {
    Request::get("/").body(Body::empty()).expect("a request")
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn axum_tells_who_is_connected() {
    let limit = RateLimitLayer::new(Quota::per_minute(2));
    let counters = limit.handle();
    let address = serve(Router::new().route("/", get(async || "hello")).layer(limit)).await;
    for status in [StatusCode::OK, StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        assert_eq!(fetch(address, false, Request::get("/")).await.status(), status);
    }
    assert_eq!(counters.counters().nobody, 0, "the address was found");
}

#[tokio::test]
async fn a_refused_call_of_grpc_is_one_frame_of_http2() {
    let limit = RateLimitLayer::new(Policy::new(Quota::per_minute(1)).by(Key::everyone()));
    let address = serve(Router::new().route("/", post(async || "hello")).layer(limit)).await;
    let call = || Request::post("/").header("content-type", "application/grpc+proto").header("te", "trailers");
    fetch(address, true, call()).await;
    let refused = fetch(address, true, call()).await;
    assert_eq!((refused.version(), refused.status()), (http::Version::HTTP_2, StatusCode::OK));
    assert_eq!(field(&refused, "grpc-status"), "8");
    assert!(refused.body().is_end_stream(), "the head ends the stream");
}

#[tokio::test]
async fn a_cache_further_out_stores_no_refusal_and_nothing_that_a_client_has_left() {
    let calls = Calls::default();
    let user = Key::header(HeaderName::from_static("x-user"));
    let limit = RateLimitLayer::new(Policy::new(Quota::per_minute(1)).by(user)).legacy_fields(true);
    let app = Router::new().route("/", calls.route()).layer(limit).layer(layer());
    let page = |path: &str| Request::get(path).header("x-user", "ada").body(Body::empty()).expect("a request");
    let stored = app.clone().oneshot(page("/?a")).await.unwrap();
    assert_eq!(field(&stored, "ratelimit"), "\"1-per-minute\";r=0;t=60");
    let hit = app.clone().oneshot(page("/?a")).await.unwrap();
    assert_eq!(field(&hit, "cache-status"), "bartizan; hit");
    for name in ["ratelimit", "x-ratelimit-remaining"] {
        assert_eq!(field(&hit, name), "", "{name}");
    }

    for _ in 0..2 {
        let refused = app.clone().oneshot(page("/?b")).await.unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert!(!field(&refused, "cache-status").contains("hit"), "{}", field(&refused, "cache-status"));
    }
    assert_eq!(calls.number(), 1);
}

#[tokio::test]
async fn two_layers_tell_of_their_limits_side_by_side() {
    let everyone = |quota: Quota| RateLimitLayer::new(Policy::new(quota).by(Key::everyone()));
    let route = get(async || "hello").layer(everyone(Quota::per_second(5)));
    let app = Router::new().route("/", route).layer(everyone(Quota::per_hour(100)));
    let passed = app.oneshot(ask()).await.unwrap();
    assert_eq!(field(&passed, "ratelimit-policy"), "\"5-per-second\";q=5;w=1, \"100-per-hour\";q=100;w=3600");
    assert_eq!(field(&passed, "ratelimit"), "\"5-per-second\";r=4;t=1, \"100-per-hour\";r=99;t=3600");
    let body = passed.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "hello");
}
