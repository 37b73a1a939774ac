//! What the cache costs and saves, beside the same handler without it, in the same run.
//!
//! The floor is an axum route with a path parameter whose handler returns ready bytes. Every request is built anew
//! (about 160 ns, on both sides) and the service is cloned for it, as hyper-util does; the response is dropped unread
//! where both sides have it ready at once. The end of the run measures floor and cache in turns and fails when a ratio
//! exceeds its bound:
//!
//! | | bound |
//! |---|---|
//! | hit of 1 KiB in the route / floor | 1.15 |
//! | hit of 1 KiB outside the router / floor | 0.60 |
//! | hit of 64 KiB / hit of 1 KiB | 1.10 |
//! | hit among 10 000 keys from two threads / from one | 1.3 |
//!
//! ```text
//! cargo bench --bench cache                    everything, a few minutes
//! cargo bench --bench cache -- no-such-group   only the ratios
//! ```
#![expect(clippy::disallowed_methods, reason = "a bench measures the machine's own time")]

use std::{
    convert::Infallible,
    future::Future,
    hint::black_box,
    pin::pin,
    process::ExitCode,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::Path,
    routing::{get, post},
};
use bartizan::{CacheLayer, Memory, Rules, cache::Stored};
use bytes::Bytes;
use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use http::{
    Method, Request, Response, Uri,
    header::{CONTENT_TYPE, HOST, HeaderValue},
};
use http_body_util::BodyExt;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::{runtime::Runtime, task::JoinSet};
use tower::{Layer, Service};

const KEYS: usize = 10_000;
const KIB: usize = 1 << 10;

fn main() -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime needs no more than this");
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();
    for (name, size) in [("hit of 1 KiB", KIB), ("hit of 64 KiB", 64 * KIB), ("hit of 1 MiB", 1024 * KIB)] {
        hits(&mut criterion, &runtime, name, size, &[page(17)]);
    }
    hits(&mut criterion, &runtime, "hit among 10 000 zipf keys", KIB, &zipf_pages());
    misses(&mut criterion, &runtime);
    bypasses(&mut criterion);
    bursts(&mut criterion, &runtime);
    threads(&mut criterion, &runtime);
    criterion.final_summary();

    // `cargo test --benches` only asks whether the bench runs.
    if !std::env::args().any(|arg| arg == "--bench") || ratios(&runtime) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

// === the three places ===

fn bare(size: usize) -> Router {
    router(size, None)
}

fn in_route(size: usize) -> Router {
    router(size, Some(cache()))
}

fn outside(size: usize) -> impl Site {
    cache().layer(bare(size))
}

fn router(size: usize, cache: Option<CacheLayer<Memory<Stored>>>) -> Router {
    let body = Bytes::from(vec![b'x'; size]);
    let handler = async move |Path(_id): Path<u64>| ([(CONTENT_TYPE, HeaderValue::from_static("text/html"))], body);
    let route = get(handler.clone()).merge(post(handler));
    Router::new()
        .route(
            "/page/{id}",
            match cache {
                Some(cache) => route.layer(cache),
                None => route,
            },
        )
        // As `axum::serve` does; else every request would make its route anew.
        .with_state(())
}

fn cache() -> CacheLayer<Memory<Stored>> {
    let rules = Rules::new().default_ttl(Duration::from_secs(3600)).body_limit(2 << 20);
    CacheLayer::new(Memory::with_capacity(256 << 20)).rules(rules)
}

// === the groups ===

fn hits(criterion: &mut Criterion, runtime: &Runtime, name: &str, size: usize, pages: &[Uri]) {
    fn run(group: &mut BenchmarkGroup<'_, WallTime>, place: &str, site: &impl Site, pages: &[Uri]) {
        let mut pages = pages.iter().cycle();
        group.bench_function(place, |bencher| {
            bencher.iter(|| pages.next().map(|page| site.answer(get_request(page))));
        });
    }
    let mut group = criterion.benchmark_group(name);
    run(&mut group, "floor", &bare(size), pages);
    run(&mut group, "in the route", &filled(runtime, in_route(size), pages), pages);
    run(&mut group, "outside the router", &filled(runtime, outside(size), pages), pages);
    group.finish();
}

/// A fresh key each time, read to the end: what the first visitor pays.
fn misses(criterion: &mut Criterion, runtime: &Runtime) {
    fn run(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime, place: &str, site: &impl Site) {
        let mut fresh = (0..).map(page);
        group.bench_function(place, |bencher| {
            bencher.iter_custom(|iterations| {
                runtime.block_on(async {
                    let start = Instant::now();
                    for page in fresh.by_ref().take(iterations as usize) {
                        black_box(site.read(get_request(&page)).await);
                    }
                    start.elapsed()
                })
            });
        });
    }
    let mut group = criterion.benchmark_group("miss");
    run(&mut group, runtime, "floor", &bare(KIB));
    run(&mut group, runtime, "in the route", &in_route(KIB));
    run(&mut group, runtime, "outside the router", &outside(KIB));
    group.finish();
}

/// What has nothing to do with the cache, and a method that it forwards.
fn bypasses(criterion: &mut Criterion) {
    fn run(group: &mut BenchmarkGroup<'_, WallTime>, place: &str, site: &impl Site, method: &Method) {
        let page = page(17);
        group.bench_function(place, |bencher| {
            bencher.iter(|| {
                let mut request = get_request(&page);
                *request.method_mut() = method.clone();
                site.answer(request)
            });
        });
    }
    let by_rule = || cache().rules(Rules::bypass());
    let mut group = criterion.benchmark_group("bypass");
    run(&mut group, "floor", &bare(KIB), &Method::GET);
    run(&mut group, "in the route", &router(KIB, Some(by_rule())), &Method::GET);
    run(&mut group, "outside the router", &by_rule().layer(bare(KIB)), &Method::GET);
    group.finish();
    let mut group = criterion.benchmark_group("POST");
    run(&mut group, "floor", &bare(KIB), &Method::POST);
    run(&mut group, "in the route", &in_route(KIB), &Method::POST);
    run(&mut group, "outside the router", &outside(KIB), &Method::POST);
    group.finish();
}

/// A thousand requests at once for one cold key. With the cache the handler runs once for all of them.
fn bursts(criterion: &mut Criterion, runtime: &Runtime) {
    const CALLERS: usize = 1_000;
    /// Returns how many bursts it ran.
    fn run(group: &mut BenchmarkGroup<'_, WallTime>, runtime: &Runtime, place: &str, site: &impl Site) -> u64 {
        let mut cold = (0..).map(page);
        group.bench_function(place, |bencher| {
            bencher.iter_custom(|iterations| {
                runtime.block_on(async {
                    let start = Instant::now();
                    for page in cold.by_ref().take(iterations as usize) {
                        let mut callers = JoinSet::new();
                        for _ in 0..CALLERS {
                            let site = site.clone();
                            let request = get_request(&page);
                            callers.spawn(async move { site.read(request).await });
                        }
                        black_box(callers.join_all().await);
                    }
                    start.elapsed()
                })
            });
        });
        // The next one is the first that was not asked for.
        cold.next().and_then(|page| page.path().rsplit('/').next().and_then(|id| id.parse().ok())).unwrap_or_default()
    }
    let calls = Arc::new(AtomicU64::new(0));
    let origin = {
        let calls = Arc::clone(&calls);
        let handler = async move || {
            calls.fetch_add(1, Ordering::Relaxed);
            // Long enough for all the others to arrive.
            tokio::task::yield_now().await;
            Bytes::from_static(&[b'x'; KIB])
        };
        Router::new().route("/page/{id}", get(handler))
    };
    let mut group = criterion.benchmark_group("burst of 1 000 on a cold key");
    run(&mut group, runtime, "floor", &origin);
    calls.store(0, Ordering::Relaxed);
    let bursts = run(&mut group, runtime, "outside the router", &cache().layer(origin));
    group.finish();
    assert_eq!(calls.load(Ordering::Relaxed), bursts, "the origin is called once for each burst");
}

/// The time of one request as each of two threads sees it, while the other does the same.
fn threads(criterion: &mut Criterion, runtime: &Runtime) {
    fn run(group: &mut BenchmarkGroup<'_, WallTime>, place: &str, site: &impl Site, pages: &[Uri]) {
        group.bench_function(format!("{place}, one thread"), |bencher| {
            bencher.iter_custom(|iterations| timed(site, pages, iterations));
        });
        group.bench_function(format!("{place}, two threads"), |bencher| {
            bencher.iter_custom(|iterations| timed_on_two_threads(site, pages, iterations));
        });
    }
    let pages = zipf_pages();
    let mut group = criterion.benchmark_group("threads, 10 000 zipf keys");
    run(&mut group, "floor", &bare(KIB), &pages);
    run(&mut group, "in the route", &filled(runtime, in_route(KIB), &pages), &pages);
    run(&mut group, "outside the router", &filled(runtime, outside(KIB), &pages), &pages);
    group.finish();
}

// === the ratios ===

/// Measures in turns, so that a noisy neighbour disturbs both sides alike, and takes the median of the rounds' ratios.
fn ratios(runtime: &Runtime) -> bool {
    let one = [page(17)];
    let zipf = zipf_pages();
    let floor = bare(KIB);
    let in_route = filled(runtime, in_route(KIB), &one);
    let around = filled(runtime, outside(KIB), &one);
    let around_64 = filled(runtime, outside(64 * KIB), &one);
    let around_many = filled(runtime, outside(KIB), &zipf);
    println!();
    let held = [
        ratio("in the route / floor", Some(1.15), || nanos(&in_route, &one), || nanos(&floor, &one)),
        ratio("outside the router / floor", Some(0.60), || nanos(&around, &one), || nanos(&floor, &one)),
        ratio("64 KiB / 1 KiB", Some(1.10), || nanos(&around_64, &one), || nanos(&around, &one)),
        // What the machine makes of two threads: the next line cannot be better than that.
        ratio("floor, two threads / one", None, || nanos_on_two_threads(&floor, &zipf), || nanos(&floor, &zipf)),
        ratio(
            "two threads / one",
            Some(1.3),
            || nanos_on_two_threads(&around_many, &zipf),
            || nanos(&around_many, &zipf),
        ),
    ];
    held.iter().all(|held| *held)
}

fn ratio(what: &str, bound: Option<f64>, this: impl Fn() -> f64, that: impl Fn() -> f64) -> bool {
    const ROUNDS: usize = 25;
    this();
    that();
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| (this(), that())).collect();
    rounds.sort_by(|(a, b), (c, d)| (a / b).total_cmp(&(c / d)));
    let (this, that) = rounds[ROUNDS / 2];
    let ratio = this / that;
    let held = bound.is_none_or(|bound| ratio <= bound);
    let verdict = match bound {
        None => String::new(),
        Some(bound) => format!(", at most {bound:.2}: {}", if held { "held" } else { "EXCEEDED" }),
    };
    println!("{what:<28}{this:>6.0} ns /{that:>6.0} ns = {ratio:.2}{verdict}");
    held
}

const PER_ROUND: u64 = 20_000;

fn nanos(site: &impl Site, pages: &[Uri]) -> f64 {
    timed(site, pages, PER_ROUND).as_nanos() as f64 / PER_ROUND as f64
}

fn nanos_on_two_threads(site: &impl Site, pages: &[Uri]) -> f64 {
    timed_on_two_threads(site, pages, PER_ROUND).as_nanos() as f64 / PER_ROUND as f64
}

fn timed(site: &impl Site, pages: &[Uri], requests: u64) -> Duration {
    let start = Instant::now();
    for page in pages.iter().cycle().take(requests as usize) {
        black_box(site.answer(get_request(page)));
    }
    start.elapsed()
}

/// The mean of both threads.
fn timed_on_two_threads(site: &impl Site, pages: &[Uri], requests: u64) -> Duration {
    let start_line = Barrier::new(2);
    let start_line = &start_line;
    let (left, right) = pages.split_at(pages.len() / 2);
    let run = |pages: &[Uri], site: &_| {
        start_line.wait();
        timed(site, pages, requests)
    };
    thread::scope(|scope| {
        let site_of_other = site.clone();
        let other = scope.spawn(move || run(right, &site_of_other));
        (run(left, site) + other.join().expect("a visitor does not panic")) / 2
    })
}

// === a site ===

/// A service as a server sees it: cloned for each request.
trait Site: Clone + Send + 'static {
    /// The response, body unread, from a service that has it ready.
    fn answer(&self, request: Request<Body>) -> impl Sized;
    /// The length of the body, which is read to its end.
    fn read(&self, request: Request<Body>) -> impl Future<Output = usize> + Send;
    /// Whether the answer to this came from the cache.
    fn hits(&self, request: Request<Body>) -> bool;
}

impl<S, B> Site for S
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Send> + Send + 'static,
{
    fn answer(&self, request: Request<Body>) -> impl Sized {
        let mut service = self.clone();
        let context = &mut Context::from_waker(Waker::noop());
        let ready = service.poll_ready(context);
        assert!(ready.is_ready(), "no service of this bench is ever busy");
        match pin!(service.call(request)).poll(context) {
            Poll::Ready(Ok(response)) => response,
            Poll::Pending => unreachable!("neither the handler nor a hit waits"),
        }
    }

    fn read(&self, request: Request<Body>) -> impl Future<Output = usize> + Send {
        let answer = tower::ServiceExt::oneshot(self.clone(), request);
        async {
            let Ok(response) = answer.await;
            response.into_body().collect().await.map_or(0, |body| body.to_bytes().len())
        }
    }

    fn hits(&self, request: Request<Body>) -> bool {
        match pin!(self.clone().call(request)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(response)) => {
                let status = response.headers().get("cache-status").and_then(|status| status.to_str().ok());
                status.is_some_and(|status| status.contains("; hit"))
            }
            Poll::Pending => false,
        }
    }
}

/// The site after each page was read once, so that what is measured is a hit.
fn filled<S: Site>(runtime: &Runtime, site: S, pages: &[Uri]) -> S {
    runtime.block_on(async {
        for page in pages {
            site.read(get_request(page)).await;
        }
    });
    let missed = pages.iter().filter(|page| !site.hits(get_request(page))).count();
    assert_eq!(missed, 0, "every page is in the cache");
    site
}

fn get_request(page: &Uri) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = page.clone();
    request.headers_mut().insert(HOST, HeaderValue::from_static("bench.example"));
    request
}

fn page(id: usize) -> Uri {
    Uri::try_from(format!("/page/{id}")).expect("digits need no escape")
}

/// 65 536 draws of 10 000 pages, the n-th as often as 1/n^0.99.
fn zipf_pages() -> Vec<Uri> {
    let mut sum = 0.0;
    let cumulated: Vec<f64> = (1..=KEYS)
        .map(|rank| {
            sum += (rank as f64).powf(-0.99);
            sum
        })
        .collect();
    let pages: Vec<Uri> = (0..KEYS).map(page).collect();
    let mut random = SmallRng::seed_from_u64(42);
    (0..1 << 16)
        .map(|_| {
            let draw = random.random::<f64>() * sum;
            pages[cumulated.partition_point(|below| *below < draw).min(KEYS - 1)].clone()
        })
        .collect()
}
