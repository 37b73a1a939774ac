//! How often a request through the cache asks for memory, beside the same request to the bare service.
//!
//! The budgets, which the program asserts:
//!
//! | request | allocations |
//! |---|---|
//! | bypassed, by rule | none that the bare service does not make |
//! | answered from memory, also in front of Redis | 2: the response's own header map |
//! | with a session that is not used | 6: the handle and the private mark, and where the request's extensions keep them |
//!
//! The service is a plain tower service outside of any router; the request is made before counting begins.
//!
//! ```text
//! cargo bench --bench allocations
//! cargo bench --bench allocations --features redis     with memory in front of Redis, too
//! ```

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::pin,
    process::ExitCode,
    task::{Context, Poll, Waker},
    time::Duration,
};

#[cfg(feature = "redis")]
use bartizan::store::Store;
use bartizan::{CacheLayer, Memory, MemorySessions, Rules, SessionLayer};
use bytes::Bytes;
use http::{
    Method, Request, Response,
    header::{ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderValue},
};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, service_fn};

#[cfg(feature = "redis")]
#[path = "../tests/redis/support/mod.rs"]
#[expect(dead_code, unused_imports, clippy::unwrap_used, reason = "it is the tests', who need more of it")]
mod support;

/// The header map's two tables.
const HIT_BUDGET: u64 = 2;
/// The handle and its mark, each with a place in the request's extensions, and the two tables of these.
const SESSION_BUDGET: u64 = 6;
const HOUR: Duration = Duration::from_secs(3600);

fn main() -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime needs no more than this");
    // One thread, and nothing else runs on it between two awaits: what is counted is the request's own.
    let held = runtime.block_on(async {
        let bare = service_fn(origin);
        let store = Memory::with_capacity(16 << 20);
        let cached = CacheLayer::new(store.clone()).default_ttl(HOUR).layer(bare);
        let bypassed = CacheLayer::new(store).rules(Rules::bypass()).layer(bare);
        let selecting = Rules::new().default_ttl(HOUR).add_key_header(ACCEPT_ENCODING).normalise_vary();
        let selected = CacheLayer::new(Memory::with_capacity(16 << 20)).rules(selecting).layer(bare);
        let sessions = SessionLayer::new(MemorySessions::new()).layer(bare);
        fill(&cached).await;
        fill(&selected).await;

        let floor = allocations(&bare, &Method::GET);
        println!("{:<28}{:>12}{:>10}", "request", "allocations", "budget");
        let held = [
            row("bare", floor, None),
            row("bypassed", allocations(&bypassed, &Method::GET), Some(floor)),
            row("hit in memory", allocations(&cached, &Method::GET), Some(HIT_BUDGET)),
            row("hit in memory, HEAD", allocations(&cached, &Method::HEAD), Some(HIT_BUDGET)),
            row("session, untouched", allocations(&sessions, &Method::GET), Some(floor + SESSION_BUDGET)),
            row("hit, selected by meaning", allocations(&selected, &Method::GET), Some(HIT_BUDGET)),
            #[cfg(feature = "redis")]
            row("hit in front of Redis", in_front_of_redis(bare).await, Some(HIT_BUDGET)),
            // Last, because it invalidates what the others hit.
            row("unsafe method", allocations(&cached, &Method::POST), None),
        ];
        held.iter().all(|held| *held)
    });
    if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(feature = "redis")]
async fn in_front_of_redis<S, B>(bare: S) -> u64
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug + Send> + Send + 'static,
{
    let server = support::Server::start().await;
    let redis = bartizan::Redis::connect(&server.url()).await.expect("the server is up");
    let (far, memory) = (bartizan::RedisStore::new(redis), Memory::with_capacity(16 << 20));
    // Believed until all is counted.
    let store = bartizan::Tiered::with_staleness_bound(memory, far, Duration::from_secs(20));
    let cached = CacheLayer::new(store.clone()).default_ttl(HOUR).layer(bare);
    // Whoever asks first has the channel opened.
    drop(cached.clone().call(request(&Method::GET)).await);
    support::eventually("the channel works", Duration::from_secs(20), async || store.is_connected().then_some(()))
        .await;
    support::eventually("the page is near", Duration::from_secs(10), async || {
        let Ok(response) = cached.clone().call(request(&Method::GET)).await;
        drop(response.into_body().collect().await);
        (store.usage().entries > 0).then_some(())
    })
    .await;
    allocations(&cached, &Method::GET)
}

fn origin(_request: Request<Empty<Bytes>>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    let mut response = Response::new(Full::new(Bytes::from_static(&[b'x'; 1024])));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    ready(Ok(response))
}

/// Asks once, to the end of the body, and sees to it that the next answer is a hit.
async fn fill<S, B>(service: &S)
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
    B: http_body::Body<Data = Bytes>,
{
    for expected in ["stored", "hit"] {
        let Ok(response) = service.clone().call(request(&Method::GET)).await;
        let status = response.headers().get("cache-status").and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert!(status.contains(expected), "Cache-Status is {status:?} where {expected} belongs");
        // Whether the body could be read to its end shows in the next answer.
        drop(response.into_body().collect().await);
    }
}

/// The most that one of a hundred requests made. The first ones are not counted: they fill thread-locals.
fn allocations<S, B>(service: &S, method: &Method) -> u64
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
{
    let mut service = service.clone();
    let mut counts = (0..200).map(|_| {
        let request = request(method);
        let made = allocation_counter::measure(|| {
            let Ok(response) = at_once(service.call(request));
            drop(response);
        });
        made.count_total
    });
    counts.by_ref().take(100).for_each(drop);
    counts.max().unwrap_or_default()
}

fn request(method: &Method) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = method.clone();
    *request.uri_mut() = http::Uri::from_static("/page/17");
    request.headers_mut().insert(HOST, HeaderValue::from_static("bench.example"));
    request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate, br;q=0.9"));
    request
}

/// The output of a future that has nothing to wait for.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("neither the origin nor a hit waits"),
    }
}

fn row(name: &str, made: u64, budget: Option<u64>) -> bool {
    let held = budget.is_none_or(|budget| made <= budget);
    let budget = budget.map_or_else(|| "-".to_owned(), |budget| budget.to_string());
    println!("{name:<28}{made:>12}{budget:>10}{}", if held { "" } else { "  EXCEEDED" });
    held
}
