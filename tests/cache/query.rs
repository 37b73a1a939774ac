//! `QUERY` (RFC 10008): safe, and cached by its content where a layer reads that.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bartizan::{
    CacheHandle, CacheLayer, Memory, QueryMethodLayer, Rules,
    cache::{Cache, QueryMethod},
    clock::TestClock,
};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};

use crate::support::exact;

const MINUTE: Duration = Duration::from_secs(60);

type Origin<B> = BoxCloneSyncService<Request<B>, Response<Full<Bytes>>, Infallible>;

/// Frames as they are given, then the end.
#[derive(Clone, Default)]
struct Frames(Vec<Result<Piece, Broken>>);

#[derive(Clone)]
enum Piece {
    Data(&'static [u8]),
    Trailers(HeaderMap),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Broken;

impl Body for Frames {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(self.0.remove(0).map(|frame| match frame {
            Piece::Data(data) => Frame::data(Bytes::from_static(data)),
            Piece::Trailers(trailers) => Frame::trailers(trailers),
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

fn data(parts: &[&'static str]) -> Frames {
    Frames(parts.iter().map(|part| Ok(Piece::Data(part.as_bytes()))).collect())
}

/// Answers with the method, what it read and how that ended.
async fn tell<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible>
where
    B: Body<Data = Bytes, Error = Broken> + Unpin,
{
    let method = request.method().clone();
    let mut body = request.into_body();
    let (mut read, mut end) = (Vec::new(), "ended");
    let hint = body.size_hint();
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => read.extend_from_slice(&data),
            Ok(Err(_)) => end = "trailers",
            Err(Broken) => end = "broken",
        }
    }
    assert!(hint.lower() <= read.len() as u64 && hint.upper().is_none_or(|upper| read.len() as u64 <= upper));
    let text = format!("{method} {} {end}", String::from_utf8(read).expect("a text"));
    Ok(Response::builder().header("etag", "\"1\"").body(Full::from(text)).expect("a response"))
}

type Stored = bartizan::cache::Stored;
type Reading = QueryMethod<Cache<Origin<bartizan::cache::ReadAhead<Frames>>, Memory<Stored>>>;

struct Scene {
    service: Reading,
    cache: CacheHandle,
    clock: TestClock,
}

impl Scene {
    fn new(rules: Rules, limit: u64) -> Self {
        let clock = TestClock::new();
        let layer = CacheLayer::new(Memory::with_capacity(1 << 20)).rules(rules).clock(clock.clone());
        let origin = BoxCloneSyncService::new(tower::service_fn(tell));
        let service = QueryMethodLayer::new().content_limit(limit).layer(layer.layer(origin));
        Self { service, cache: layer.handle(), clock }
    }

    /// Status, text and `Cache-Status`.
    async fn ask(&self, request: Request<Frames>) -> (u16, String, String) {
        let response = self.service.clone().oneshot(request).await.expect("no failure");
        let (head, body) = response.into_parts();
        let status = head.headers["cache-status"].to_str().expect("a text");
        let status = status.strip_prefix("bartizan; ").expect("our line").to_owned();
        let body = body.collect().await.expect("a body").to_bytes();
        (head.status.as_u16(), String::from_utf8(body.to_vec()).expect("a text"), status)
    }
}

fn scene() -> Scene {
    Scene::new(exact().default_ttl(MINUTE), 16)
}

fn query(path: &str, fields: &[(&str, &str)], body: Frames) -> Request<Frames> {
    let request = Request::builder().method("QUERY").uri(path);
    fields.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(body).expect("a request")
}

fn answer(text: &str, status: &str) -> (u16, String, String) {
    (200, text.to_owned(), status.to_owned())
}

#[tokio::test]
async fn a_query_is_answered_from_the_store_by_its_content() {
    let scene = scene();
    assert_eq!(scene.ask(query("/", &[], data(&["a=1"]))).await, answer("QUERY a=1 ended", "fwd=uri-miss; stored"));
    assert_eq!(scene.ask(query("/", &[], data(&["a", "=", "1"]))).await, answer("QUERY a=1 ended", "hit"));
    assert_eq!(scene.ask(query("/", &[], data(&["a=2"]))).await.2, "fwd=uri-miss; stored");
    assert_eq!(scene.ask(query("/", &[], data(&[]))).await, answer("QUERY  ended", "fwd=uri-miss; stored"));
    assert_eq!(scene.ask(query("/other", &[], data(&["a=1"]))).await.2, "fwd=uri-miss; stored");
    let get = Request::get("/").body(data(&[])).expect("a request");
    assert_eq!(scene.ask(get.clone()).await, answer("GET  ended", "fwd=uri-miss; stored"), "a GET is another matter");
    assert_eq!(scene.ask(get).await.2, "hit");
    assert_eq!(scene.ask(query("/", &[], data(&["a=1"]))).await.2, "hit");
}

// RFC 10008, 2.7: the key must incorporate the content and its metadata
#[tokio::test]
async fn what_says_how_the_content_is_to_be_read_is_in_the_key() {
    let scene = scene();
    let fields = [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::CONTENT_LOCATION];
    scene.ask(query("/", &[], data(&["a"]))).await;
    for name in &fields {
        for value in ["a", "b"] {
            let ask = || query("/", &[(name.as_str(), value)], data(&["a"]));
            assert_eq!(scene.ask(ask()).await.2, "fwd=uri-miss; stored", "{name}: {value}");
            assert_eq!(scene.ask(ask()).await.2, "hit", "{name}: {value}");
        }
    }
}

#[tokio::test]
async fn nothing_is_lost_of_what_is_too_long_broken_or_trailed() {
    let mut broken = data(&["a"]);
    broken.0.push(Err(Broken));
    let mut trailed = data(&["a", "b"]);
    trailed.0.push(Ok(Piece::Trailers(HeaderMap::new())));
    for (body, want) in [
        (data(&["0123456789", "012345", "6", "789"]), "QUERY 01234567890123456789 ended"),
        (data(&["0123456789abcdefg"]), "QUERY 0123456789abcdefg ended"),
        (broken, "QUERY a broken"),
        (trailed, "QUERY ab trailers"),
    ] {
        let scene = scene();
        for _ in 0..2 {
            assert_eq!(scene.ask(query("/", &[], body.clone())).await, answer(want, "fwd=method"));
        }
    }
    let scene = scene();
    scene.ask(query("/", &[], data(&["0123456789", "abcdef"]))).await;
    assert_eq!(scene.ask(query("/", &[], data(&["0123456789abcdef"]))).await.2, "hit", "as long as the limit");
}

#[tokio::test]
async fn a_purge_of_the_resource_removes_all_its_results() {
    for way in ["uri", "unsafe"] {
        let scene = scene();
        let asks = || ["a", "b"].map(|content| query("http://h/", &[], data(&[content])));
        for ask in asks() {
            scene.ask(ask).await;
        }
        match way {
            "uri" => scene.cache.purge_uri(&"http://h/".parse().expect("a URI")).await.expect("memory does not fail"),
            _ => drop(scene.ask(Request::post("http://h/").body(data(&["x"])).expect("a request")).await),
        }
        for ask in asks() {
            assert_eq!(scene.ask(ask).await.2, "fwd=uri-miss; stored", "{way}");
        }
    }
}

#[tokio::test]
async fn conditions_and_ranges_are_those_of_a_get() {
    let scene = scene();
    scene.ask(query("/", &[], data(&["a"]))).await;
    let (status, ..) = scene.ask(query("/", &[("if-none-match", "\"1\"")], data(&["a"]))).await;
    assert_eq!(status, 304, "RFC 10008, 2.6");
    let part = scene.ask(query("/", &[("range", "bytes=0-4")], data(&["a"]))).await;
    assert_eq!(part, (206, "QUERY".to_owned(), "hit".to_owned()), "RFC 10008, 2.8");
}

#[tokio::test]
async fn a_refresh_sends_the_query_again() {
    let scene = Scene::new(exact().default_ttl(MINUTE).stale_while_revalidate(MINUTE), 16);
    let ask = || query("/", &[], data(&["a"]));
    scene.ask(ask()).await;
    scene.clock.advance(Duration::from_secs(61));
    assert_eq!(scene.ask(ask()).await, answer("QUERY a ended", "hit; ttl=-1"));
    scene.cache.drain().await;
    assert_eq!(scene.ask(ask()).await, answer("QUERY a ended", "hit"));
}

#[tokio::test]
async fn without_the_layer_a_query_is_forwarded() {
    let layer = CacheLayer::new(Memory::with_capacity(1 << 20)).rules(exact().default_ttl(MINUTE));
    let mut service = layer.layer(tower::service_fn(tell::<Frames>));
    for _ in 0..2 {
        let response = service.ready().await.expect("ready").call(query("/", &[], data(&["a"]))).await;
        assert_eq!(response.expect("no failure").headers()["cache-status"], "bartizan; fwd=method");
    }
}

#[tokio::test]
async fn other_methods_are_not_read() {
    let scene = scene();
    let post = Request::post("/").body(data(&["0123456789", "0123456789"])).expect("a request");
    assert_eq!(scene.ask(post).await, answer("POST 01234567890123456789 ended", "fwd=method"));
    let fat = Request::get("/").body(data(&["a"])).expect("a request");
    assert_eq!(scene.ask(fat).await.2, "fwd=bypass");
}

#[tokio::test]
async fn a_router_of_axum_takes_what_was_read_ahead() {
    let layer = CacheLayer::new(Memory::with_capacity(1 << 20)).rules(exact().default_ttl(MINUTE));
    let found = axum::routing::any(async |query: String| format!("found by {query}"));
    let app = axum::Router::new().route("/", found).layer(layer).layer(QueryMethodLayer::new());
    for want in ["bartizan; fwd=uri-miss; stored", "bartizan; hit"] {
        let request = Request::builder().method("QUERY").uri("/").body(axum::body::Body::from("name"));
        let response = app.clone().oneshot(request.expect("a request")).await.expect("no failure");
        assert_eq!(response.headers()["cache-status"], want);
        assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), "found by name");
    }
}
