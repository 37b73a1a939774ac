//! Who is counted with whom.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use bartizan::{
    RateLimitLayer,
    clock::TestClock,
    limit::{Identity, Key, MemoryLimiter, Policy, Proxies, RateLimit},
    quota::Quota,
};
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::Empty;
use tower::{Layer, Service, ServiceExt, service_fn};

type Answer = Response<Empty<bytes::Bytes>>;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A service that lets each of these take once.
fn once_for_each(
    key: Key,
) -> RateLimit<impl Service<Request<()>, Response = Answer, Error = Infallible, Future: Send> + Clone, MemoryLimiter> {
    let limiter = MemoryLimiter::with_clock(1 << 20, TestClock::new());
    let layer = RateLimitLayer::over(limiter, Policy::new(Quota::per_hour(1)).by(key));
    layer.layer(service_fn(async |_: Request<()>| Ok(Response::new(Empty::new()))))
}

struct Asking(Request<()>);

impl Asking {
    fn from(peer: &str) -> Self {
        let mut request = Request::new(());
        request.extensions_mut().insert(SocketAddr::new(peer.parse().expect("it is an address"), 4711));
        Self(request)
    }

    fn unknown() -> Self {
        Self(Request::new(()))
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().append(name, value.parse().expect("it is a field value"));
        self
    }

    async fn passes<S>(self, service: &RateLimit<S, MemoryLimiter>) -> bool
    where
        S: Service<Request<()>, Response = Answer, Error = Infallible, Future: Send> + Clone + Send + 'static,
    {
        let Ok(response) = service.clone().oneshot(self.0).await;
        match response.status() {
            StatusCode::OK => true,
            StatusCode::TOO_MANY_REQUESTS => false,
            other => panic!("{other} is neither yes nor no"),
        }
    }
}

#[tokio::test]
async fn each_address_counts_for_itself_over_all_clones() {
    let service = once_for_each(Key::peer());
    assert!(Asking::from("192.0.2.1").passes(&service).await);
    assert!(!Asking::from("192.0.2.1").passes(&service.clone()).await);
    assert!(!Asking::from("::ffff:192.0.2.1").passes(&service).await, "in IPv6 clothes");
    assert!(Asking::from("192.0.2.2").passes(&service).await);
}

#[tokio::test]
async fn neighbours_in_one_network_share() {
    let service = once_for_each(Key::peer());
    assert!(Asking::from("2001:db8:0:1200::1").passes(&service).await);
    assert!(!Asking::from("2001:db8:0:12ff:1:2:3:4").passes(&service).await);
    assert!(Asking::from("2001:db8:0:1300::1").passes(&service).await);
}

#[tokio::test]
async fn a_forged_address_buys_nothing() {
    for proxies in [Proxies::hops(1), Proxies::networks(["10.0.0.0/8"]).unwrap()] {
        let service = once_for_each(Key::forwarded(proxies));
        let asking = |said: &str| Asking::from("10.0.0.1").with("x-forwarded-for", said);
        assert!(asking("192.0.2.1").passes(&service).await);
        for forged in ["198.51.100.1, 192.0.2.1", "10.0.0.9, 192.0.2.1", "\", 192.0.2.1", "x, , 192.0.2.1:443"] {
            assert!(!asking(forged).passes(&service).await, "{forged}");
        }
        assert!(!asking("198.51.100.1").with("x-forwarded-for", "192.0.2.1").passes(&service).await, "two lines");
        assert!(asking("192.0.2.2").passes(&service).await);
    }
}

#[tokio::test]
async fn malformed_forwarding_counts_for_the_proxy_and_is_no_error() {
    let service = once_for_each(Key::forwarded(Proxies::hops(1).forwarded()));
    let asking = |said: &str| Asking::from("10.0.0.1").with("forwarded", said);
    assert!(asking("for=unknown").passes(&service).await);
    for malformed in ["for=_hidden", "for=", "\"", "for=\"[::1\"", "for=1.2.3.4.5", ";;,=,"] {
        assert!(!asking(malformed).passes(&service).await, "{malformed} is counted as the proxy");
    }
}

#[tokio::test]
async fn those_of_whom_nothing_is_known_are_one() {
    let service = once_for_each(Key::header(API_KEY));
    assert!(Asking::unknown().passes(&service).await);
    assert!(!Asking::from("192.0.2.1").passes(&service).await);
    assert!(!Asking::unknown().with("x-api-key", "a").with("x-api-key", "b").passes(&service).await);
    assert!(Asking::unknown().with("x-api-key", "a").passes(&service).await);
    assert!(!Asking::unknown().with("x-api-key", "a").passes(&service).await);
    let long = "k".repeat(20_000);
    assert!(Asking::unknown().with("x-api-key", &long).passes(&service).await);
    assert!(!Asking::unknown().with("x-api-key", &long).passes(&service).await);
}

#[tokio::test]
async fn a_user_counts_wherever_they_come_from_and_others_by_address() {
    #[derive(Clone)]
    struct User(u64);
    let service = once_for_each(
        Key::extension(|user: &User| Some(Identity::new().text(user.0.to_be_bytes())))
            .or(Key::peer())
            .and(Key::method()),
    );
    let logged_in = |peer, user| {
        let mut asking = Asking::from(peer);
        asking.0.extensions_mut().insert(User(user));
        asking
    };
    assert!(logged_in("192.0.2.1", 7).passes(&service).await);
    assert!(!logged_in("192.0.2.2", 7).passes(&service).await);
    assert!(logged_in("192.0.2.1", 8).passes(&service).await);
    assert!(Asking::from("192.0.2.1").passes(&service).await);
    assert!(!Asking::from("192.0.2.1").passes(&service).await);
    let mut posting = Asking::from("192.0.2.1");
    *posting.0.method_mut() = http::Method::POST;
    assert!(posting.passes(&service).await);
}

#[test]
fn whoever_holds_a_request_finds_the_identity_the_layer_counts() {
    let key = Key::forwarded(Proxies::hops(1));
    let (parts, ()) = Asking::unknown().with("x-forwarded-for", "192.0.2.1").0.into_parts();
    assert_eq!(key.identity(&parts), Some(IpAddr::from([192, 0, 2, 1]).into()));
}
