//! Rate limits in one process: a check alone, and a request through a layer, beside `governor` and `tower_governor`.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml --bin limit
//! ```
//!
//! See a table for each: nanoseconds (medians of rounds in turns), ratios to the first row, allocations. Of those with a bucket, the one
//! of bartizan is to be lower.

use std::{
    convert::Infallible,
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    pin::pin,
    sync::Barrier,
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::ConnectInfo, routing::get};
use bartizan::{
    limit::{Charge, Identity, Ledger, Limiter, MemoryLimiter, Policy, RateLimitLayer},
    quota::{Algorithm, Quota},
};
use bartizan_peers::{Racer, print, race};
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use http::{Request, Response};
use tower::Service;
use tower_governor::{GovernorLayer, governor::GovernorConfigBuilder};

/// So much that nothing is ever denied.
const AMPLE: u64 = 1_000_000_000;
const KEYS: u64 = 10_000;

fn main() {
    for (title, keys) in [("a check, one key", 1), ("a check, 10 000 keys", KEYS)] {
        for (verdict, limit) in [("allowed", AMPLE), ("denied", 1)] {
            let mut racers = [
                governor(limit, keys),
                governor_that_tells(limit, keys),
                bartizan("bartizan, bucket", Algorithm::Bucket, limit, keys),
                bartizan("bartizan, sliding", Algorithm::Sliding, limit, keys),
            ];
            print(&format!("{title}, {verdict}"), &race(&mut racers));
        }
    }
    two_threads();
    for (verdict, limit) in [("allowed", AMPLE), ("denied", 1)] {
        let mut racers = [
            site("bare route", Router::new().route("/", get(async || "hello"))),
            site("tower_governor", route(GovernorLayer::new(governor_config(limit).finish().unwrap()))),
            site("tower_governor, with fields", {
                route(GovernorLayer::new(governor_config(limit).use_headers().finish().unwrap()))
            }),
            site("bartizan, bucket, without fields", route(layer(Algorithm::Bucket, limit).fields(false))),
            site("bartizan, bucket", route(layer(Algorithm::Bucket, limit))),
            site("bartizan, sliding, without fields", route(layer(Algorithm::Sliding, limit).fields(false))),
            site("bartizan, sliding", route(layer(Algorithm::Sliding, limit))),
        ];
        print(&format!("a request, {verdict}"), &race(&mut racers));
    }
}

fn address(number: u64) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number as u32).into()
}

fn per_second(limit: u64) -> NonZeroU32 {
    NonZeroU32::new(limit as u32).expect("a limit is more than 0")
}

fn keyed(limit: u64) -> DefaultKeyedRateLimiter<IpAddr> {
    let quota = if limit == AMPLE {
        governor::Quota::per_second(per_second(limit))
    } else {
        governor::Quota::per_hour(per_second(limit))
    };
    RateLimiter::keyed(quota)
}

fn quota(limit: u64) -> Quota {
    if limit == AMPLE { Quota::per_second(limit) } else { Quota::per_hour(limit) }
}

fn governor<'a>(limit: u64, keys: u64) -> Racer<'a> {
    let limiter = keyed(limit);
    Racer::new("governor", move |number| limiter.check_key(&address(number % keys)).is_ok())
}

/// As every check of bartizan does, this one tells how much remains.
fn governor_that_tells<'a>(limit: u64, keys: u64) -> Racer<'a> {
    let limiter = keyed(limit).with_middleware::<governor::middleware::StateInformationMiddleware>();
    Racer::new("governor, telling what remains", move |number| {
        limiter.check_key(&address(number % keys)).map(|state| state.remaining_burst_capacity()).ok()
    })
}

fn bartizan<'a>(name: &'static str, algorithm: Algorithm, limit: u64, keys: u64) -> Racer<'a> {
    let (limiter, ledger, quota) = (MemoryLimiter::new(), Ledger::new("address", algorithm), quota(limit));
    Racer::new(name, move |number| takes(&limiter, &ledger, &quota, address(number % keys)))
}

fn takes(limiter: &MemoryLimiter, ledger: &Ledger, quota: &Quota, address: IpAddr) -> bool {
    let identity = Identity::from(address);
    let verdict = limiter.take_now(&[Charge { ledger, identity: &identity, quota, cost: 1 }]);
    verdict.is_some_and(|verdict| verdict.is_allowed())
}

/// How long a check takes while another thread checks, too.
fn two_threads() {
    println!("\na check from two threads at once, 10 000 keys      ns");
    let limiter = keyed(AMPLE);
    let nanos = both(|number| limiter.check_key(&address(number % KEYS)).is_ok());
    println!("{:<46} {nanos:>8.0}", "governor");
    for (name, algorithm) in [("bartizan, bucket", Algorithm::Bucket), ("bartizan, sliding", Algorithm::Sliding)] {
        let (limiter, ledger, quota) = (MemoryLimiter::new(), Ledger::new("address", algorithm), quota(AMPLE));
        let nanos = both(|number| takes(&limiter, &ledger, &quota, address(number % KEYS)));
        println!("{name:<46} {nanos:>8.0}");
    }
}

fn both(check: impl Fn(u64) -> bool + Sync) -> f64 {
    const TIMES: u64 = 1_000_000;
    let mut nanos: Vec<f64> = (0..9)
        .map(|_| {
            let barrier = Barrier::new(2);
            let took: Vec<Duration> = thread::scope(|scope| {
                let threads: Vec<_> = (0..2_u64)
                    .map(|thread| {
                        let (barrier, check) = (&barrier, &check);
                        scope.spawn(move || {
                            barrier.wait();
                            let start = Instant::now();
                            for number in 0..TIMES {
                                std::hint::black_box(check(number + thread * KEYS / 2));
                            }
                            start.elapsed()
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().expect("it only counts")).collect()
            });
            took.into_iter().max().unwrap_or_default().as_nanos() as f64 / TIMES as f64
        })
        .collect();
    nanos.sort_by(f64::total_cmp);
    nanos[nanos.len() / 2]
}

// === through a layer ===

fn layer(algorithm: Algorithm, limit: u64) -> RateLimitLayer {
    RateLimitLayer::new(Policy::new(quota(limit)).algorithm(algorithm))
}

fn governor_config(
    limit: u64,
) -> GovernorConfigBuilder<tower_governor::key_extractor::PeerIpKeyExtractor, governor::middleware::NoOpMiddleware> {
    let mut config = GovernorConfigBuilder::default();
    if limit == AMPLE {
        config.per_nanosecond(1).burst_size(AMPLE as u32);
    } else {
        config.period(Duration::from_secs(3_600)).burst_size(1);
    }
    config
}

fn route<L>(layer: L) -> Router
where
    L: tower::Layer<axum::routing::Route> + Clone + Send + Sync + 'static,
    L::Service: Service<Request<Body>, Error: Into<Infallible>> + Clone + Send + Sync + 'static,
    <L::Service as Service<Request<Body>>>::Response: axum::response::IntoResponse + 'static,
    <L::Service as Service<Request<Body>>>::Future: Send + 'static,
{
    Router::new().route("/", get(async || "hello")).layer(layer)
}

fn site<'a>(name: &'static str, router: Router) -> Racer<'a> {
    let mut router = router.with_state::<()>(());
    let peer = ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 40_000)));
    Racer::new(name, move |_| {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(peer);
        ready(Service::<Request<Body>>::call(&mut router, request))
    })
}

fn ready(call: impl Future<Output = Result<Response<Body>, Infallible>>) -> Response<Body> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => response.unwrap_or_else(|never| match never {}),
        Poll::Pending => panic!("nothing in it waits"),
    }
}
