//! The cache layer among others: axum, hyper, tower and tower-http.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router, ServiceExt as _,
    body::Body,
    extract::Request,
    response::IntoResponse,
    routing::{get, post},
};
use bartizan::{BoxStore, CacheHandle, CacheLayer, Memory, Rules, cache::Stored};
use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_http::{catch_panic::CatchPanicLayer, trace::TraceLayer};

mod compression;
mod limit;

const MINUTE: Duration = Duration::from_secs(60);

fn layer() -> CacheLayer<Memory<Stored>> {
    CacheLayer::new(Memory::with_capacity(1 << 20)).default_ttl(MINUTE)
}

/// Counts calls, and answers with the number of each.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn next(&self) -> String {
        self.0.fetch_add(1, Ordering::SeqCst).to_string()
    }

    fn number(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// An axum route that counts.
    fn route(&self) -> axum::routing::MethodRouter {
        let calls = self.clone();
        get(move || async move { calls.next() })
    }
}

fn ask(path: &str) -> Request {
    http::Request::get(path).body(axum::body::Body::empty()).expect("a request")
}

fn cache_status<B>(response: &Response<B>) -> String {
    let lines = response.headers().get_all("cache-status").iter();
    lines.map(|line| line.to_str().expect("a text")).collect::<Vec<_>>().join(", ")
}

const STORED: &str = "bartizan; fwd=uri-miss; stored";
const HIT: &str = "bartizan; hit";

/// The cache's word and the body, for each of these paths in turn.
async fn answers<S, B>(service: S, paths: &[&str]) -> Vec<(String, String)>
where
    S: Service<Request, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let mut answers = Vec::new();
    for path in paths {
        let response = service.clone().oneshot(ask(path)).await.unwrap_or_else(|never| match never {});
        let status = cache_status(&response);
        let body = response.into_body().collect().await.expect("the body does not break").to_bytes();
        answers.push((status, String::from_utf8(body.to_vec()).expect("a text")));
    }
    answers
}

fn want(answers: &[(&str, &str)]) -> Vec<(String, String)> {
    answers.iter().map(|(status, body)| ((*status).to_owned(), (*body).to_owned())).collect()
}

#[tokio::test]
async fn a_layer_around_all_routes_of_an_axum_router() {
    let calls = Calls::default();
    let app = Router::new().route("/a", calls.route()).route("/b", calls.route()).layer(layer());
    let got = answers(app, &["/a", "/b", "/a", "/b"]).await;
    assert_eq!(got, want(&[(STORED, "0"), (STORED, "1"), (HIT, "0"), (HIT, "1")]));
}

#[tokio::test]
async fn a_layer_on_one_route_of_an_axum_router() {
    let calls = Calls::default();
    let app = Router::new().route("/a", calls.route().layer(layer())).route("/b", calls.route());
    let got = answers(app, &["/a", "/b", "/a", "/b"]).await;
    assert_eq!(got, want(&[(STORED, "0"), ("", "1"), (HIT, "0"), ("", "2")]));
}

#[tokio::test]
async fn a_layer_around_an_axum_router() {
    let calls = Calls::default();
    let app = layer().layer(Router::new().route("/a", calls.route()));
    let got = answers(app, &["/a", "/a", "/none"]).await;
    assert_eq!(got, want(&[(STORED, "0"), (HIT, "0"), ("bartizan; fwd=uri-miss; detail=no-freshness", "")]));
}

#[tokio::test]
async fn layers_on_routes_share_a_store() {
    let calls = Calls::default();
    let store = Memory::with_capacity(1 << 20);
    let one = CacheLayer::new(store.clone()).default_ttl(MINUTE).name("one");
    let two = CacheLayer::new(store).default_ttl(MINUTE).name("two");
    let cache = one.handle();
    let app = Router::new().route("/a", calls.route().layer(one)).route("/b", calls.route().layer(two));
    answers(app.clone(), &["/a", "/b"]).await;
    assert_eq!(cache.counters().entries, 2);
    cache.purge_all().await.expect("memory does not fail");
    let got = answers(app, &["/a", "/b"]).await;
    assert_eq!(got, want(&[("one; fwd=uri-miss; stored", "2"), ("two; fwd=uri-miss; stored", "3")]));
}

#[tokio::test]
async fn nested_routers_that_say_where_they_are_share_a_store_and_no_page() {
    let store = Memory::with_capacity(1 << 20);
    let nested = |at: &str| {
        let (text, changed) = (at.to_owned(), StatusCode::OK);
        let rules = Rules::new().default_ttl(MINUTE).mounted_at(at).site("http://example.com");
        let layer = CacheLayer::new(store.clone()).rules(rules);
        let items = get(async move || text).merge(post(async move || changed));
        (Router::new().route("/items", items).layer(layer.clone()), layer.handle())
    };
    let ((public, purge), (admin, _)) = (nested("/public"), nested("/admin"));
    let app = Router::new().nest("/public", public).nest("/admin", admin);
    let bodies = answers(app.clone(), &["/public/items", "/admin/items"]).await;
    assert_eq!((bodies[0].1.as_str(), bodies[1].1.as_str()), ("/public", "/admin"));

    purge.purge_uri(&"/admin/items".parse().unwrap()).await.expect("memory does not fail");
    let hits = async |app: Router| answers(app, &["/public/items", "/admin/items"]).await.into_iter().map(|one| one.0);
    assert_eq!(hits(app.clone()).await.collect::<Vec<_>>(), ["bartizan; hit", "bartizan; fwd=uri-miss; stored"]);
    let change = http::Request::post("/public/items").body(Body::empty()).unwrap();
    app.clone().oneshot(change).await.unwrap();
    assert_eq!(hits(app).await.collect::<Vec<_>>(), ["bartizan; fwd=uri-miss; stored", "bartizan; hit"]);
}

#[tokio::test]
async fn any_store_behind_one_type() {
    let calls = Calls::default();
    let store: BoxStore<Stored> = BoxStore::new(Memory::with_capacity(1 << 20));
    let layer = CacheLayer::new(store).default_ttl(MINUTE);
    let cache: CacheHandle<BoxStore<Stored>> = layer.handle();
    let app = Router::new().route("/a", calls.route()).layer(layer);
    let got = answers(app.clone(), &["/a", "/a"]).await;
    assert_eq!(got, want(&[(STORED, "0"), (HIT, "0")]));
    cache.purge_all().await.expect("memory does not fail");
    assert_eq!(answers(app, &["/a"]).await, want(&[(STORED, "1")]));
    assert_eq!((cache.counters().hits, cache.counters().stored, cache.counters().entries), (1, 2, 1));
}

/// Serves until the test ends.
async fn serve<S, B>(app: S) -> SocketAddr
where
    S: Service<Request, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let app = ServiceExt::<Request>::map_response(app, IntoResponse::into_response);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app.into_make_service()).await });
    address
}

async fn fetch(address: SocketAddr, http2: bool, path: &str) -> (String, String, Option<String>) {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
    let uri = format!("http://{address}{path}").parse().expect("a URI");
    let response = client.get(uri).await.expect("an answer");
    let version = if http2 { http::Version::HTTP_2 } else { http::Version::HTTP_11 };
    assert_eq!(response.version(), version);
    let status = cache_status(&response);
    let age = response.headers().get(header::AGE).map(|age| age.to_str().expect("a text").to_owned());
    let body = response.into_body().collect().await.expect("the body does not break").to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("a text"), age)
}

#[tokio::test]
async fn a_hit_is_seen_over_http_1_and_http_2() {
    for http2 in [false, true] {
        let calls = Calls::default();
        let inside = serve(Router::new().route("/a", calls.route()).layer(layer())).await;
        let around = serve(layer().layer(Router::new().route("/a", calls.route()))).await;
        for (what, address) in [("inside", inside), ("around", around)] {
            let (status, first, age) = fetch(address, http2, "/a").await;
            assert_eq!((status.as_str(), age), (STORED, None), "{what}, HTTP/2: {http2}");
            let (status, second, age) = fetch(address, http2, "/a").await;
            assert_eq!((status.as_str(), second), (HIT, first), "{what}, HTTP/2: {http2}");
            assert!(age.is_some(), "{what}, HTTP/2: {http2}");
        }
        assert_eq!(calls.number(), 2);
    }
}

#[tokio::test]
async fn http_1_and_http_2_share_a_page() {
    let calls = Calls::default();
    let address = serve(layer().layer(Router::new().route("/a", calls.route()))).await;
    assert_eq!(fetch(address, false, "/a").await.0, STORED);
    assert_eq!(fetch(address, true, "/a").await.0, HIT);
}

#[tokio::test]
async fn a_hyper_service_without_axum() {
    let calls = Calls::default();
    let counting = calls.clone();
    let service = ServiceBuilder::new().layer(layer()).service_fn(move |_: http::Request<Incoming>| {
        let body = counting.next();
        async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body)))) }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    for http2 in [false, true] {
        let path = if http2 { "/2" } else { "/1" };
        let first = fetch(address, http2, path).await;
        let second = fetch(address, http2, path).await;
        assert_eq!((first.0.as_str(), second.0.as_str()), (STORED, HIT), "HTTP/2: {http2}");
        assert_eq!(first.1, second.1, "HTTP/2: {http2}");
    }
    assert_eq!(calls.number(), 2);
}

#[tokio::test]
async fn what_stands_outside_sees_every_request_and_what_stands_inside_sees_misses() {
    let (outside, inside) = (Calls::default(), Calls::default());
    let (count_outside, count_inside) = (outside.clone(), inside.clone());
    let service = ServiceBuilder::new()
        .map_request(move |request: Request| {
            count_outside.next();
            request
        })
        .layer(layer())
        .map_request(move |request: Request| {
            count_inside.next();
            request
        })
        .service(Router::new().route("/a", get(|| async { "page" })));
    answers(service, &["/a", "/a", "/a"]).await;
    assert_eq!((outside.number(), inside.number()), (3, 1));
}

#[tokio::test]
async fn tower_http_stands_on_either_side() {
    let calls = Calls::default();
    let service = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(CatchPanicLayer::new())
        .layer(layer())
        .layer(TraceLayer::new_for_http())
        .layer(CatchPanicLayer::new())
        .service(Router::new().route("/a", calls.route()));
    let got = answers(service, &["/a", "/a"]).await;
    assert_eq!(got, want(&[(STORED, "0"), (HIT, "0")]));
    let app = Router::new().route("/a", calls.route()).layer(
        ServiceBuilder::new().layer(TraceLayer::new_for_http()).layer(layer()).layer(TraceLayer::new_for_http()),
    );
    let got = answers(app, &["/a", "/a"]).await;
    assert_eq!(got, want(&[(STORED, "1"), (HIT, "1")]));
}

/// Panics at its first call.
fn panicking(calls: &Calls) -> Router {
    let calls = calls.clone();
    Router::new().route(
        "/a",
        get(move || async move {
            let call = calls.next();
            if call == "0" {
                std::panic::resume_unwind(Box::new("the handler panicked".to_owned()));
            }
            call
        }),
    )
}

#[tokio::test]
async fn a_handlers_panic_is_caught_outside_of_the_cache_and_inside() {
    let calls = Calls::default();
    let service = ServiceBuilder::new().layer(CatchPanicLayer::new()).layer(layer()).service(panicking(&calls));
    let response = service.clone().oneshot(ask("/a")).await.expect("no failure");
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "outside");
    let got = answers(service, &["/a", "/a"]).await;
    assert_eq!(got, want(&[(STORED, "1"), (HIT, "1")]), "outside: nobody is stranded");

    let calls = Calls::default();
    let service = ServiceBuilder::new().layer(layer()).layer(CatchPanicLayer::new()).service(panicking(&calls));
    let response = service.clone().oneshot(ask("/a")).await.expect("no failure");
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "inside");
    let got = answers(service, &["/a", "/a"]).await;
    assert_eq!(got, want(&[(STORED, "1"), (HIT, "1")]), "inside: the error was not stored");
}

#[tokio::test]
async fn a_panic_over_http_is_a_500_of_its_own_request() {
    let calls = Calls::default();
    let app = ServiceBuilder::new().layer(CatchPanicLayer::new()).layer(layer()).service(panicking(&calls));
    let address = serve(app).await;
    assert_eq!(fetch(address, false, "/a").await.0, "", "the cache had no say in it");
    assert_eq!(fetch(address, false, "/a").await.0, STORED);
    assert_eq!(fetch(address, false, "/a").await.0, HIT);
}

#[tokio::test]
async fn services_that_are_not_always_ready_are_waited_for() {
    let calls = Calls::default();
    let service = ServiceBuilder::new()
        .layer(layer())
        .buffer(4)
        .concurrency_limit(1)
        .service(Router::new().route("/{page}", calls.route()));
    let asked: Vec<_> = (0..50)
        .map(|number| {
            let service = service.clone();
            tokio::spawn(async move {
                let response = service.oneshot(ask(&format!("/{}", number % 5))).await.expect("no failure");
                response.into_body().collect().await.expect("the body does not break").to_bytes()
            })
        })
        .collect();
    for answer in asked {
        assert!(!answer.await.expect("no panic").is_empty());
    }
    assert_eq!(calls.number(), 5);
}

#[tokio::test]
async fn an_upgrade_passes_through() {
    let app = Router::new().route(
        "/echo",
        get(|mut request: Request| async move {
            tokio::spawn(async move {
                let upgraded = hyper::upgrade::on(&mut request).await.expect("an upgrade");
                let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded));
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
            let fields = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")];
            (StatusCode::SWITCHING_PROTOCOLS, fields, ()).into_response()
        }),
    );
    let address = serve(layer().layer(app)).await;
    for round in 0..2 {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (mut client, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
        tokio::spawn(connection.with_upgrades());
        let request = http::Request::get("/echo")
            .header(header::HOST, "h")
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, "echo")
            .body(Empty::<Bytes>::new())
            .expect("a request");
        let response = client.send_request(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS, "round {round}");
        assert_eq!(cache_status(&response), "bartizan; fwd=bypass", "round {round}");
        let mut upgraded = TokioIo::new(hyper::upgrade::on(response).await.expect("an upgrade"));
        upgraded.write_all(b"ping").await.expect("written");
        let mut echo = [0; 4];
        upgraded.read_exact(&mut echo).await.expect("read");
        assert_eq!(&echo, b"ping", "round {round}");
    }
}
