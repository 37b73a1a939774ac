//! Rate limits: a bound on how much passes, in front of any Tower service.
//!
//! ```
//! use bartizan::{RateLimitLayer, quota::Quota};
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), std::convert::Infallible> {
//! let hello = async |_: Request<()>| Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from("hello"))));
//! let service = RateLimitLayer::new(Quota::per_minute(1)).layer(service_fn(hello));
//!
//! let get = || Request::get("/").extension(std::net::IpAddr::from([192, 0, 2, 7])).body(()).unwrap();
//! let passed = service.clone().oneshot(get()).await?;
//! assert_eq!(passed.headers()["ratelimit"], "\"1-per-minute\";r=0;t=60");
//! let refused = service.oneshot(get()).await?;
//! assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
//! # Ok(()) }
//! ```
//!
//! A limit means what it says: by the default algorithm no trailing window ever holds more than the limit, wherever it begins; a key that
//! nobody used has the whole limit at once; what is denied is not counted. [`quota`](crate::quota) compares the algorithms.
//!
//! # What is limited
//!
//! A layer has one [`Policy`] or several, of which each says how much ([`Quota`](crate::quota::Quota)), who ([`Key`]), by which
//! [algorithm](Policy::algorithm), and what a request costs. A request is counted by all of them or by none.
//!
//! ```
//! use bartizan::{RateLimitLayer, limit::{Key, MemoryLimiter, Policy, Proxies}, quota::Quota};
//! # #[derive(Clone)] struct User { id: u64 }
//!
//! let limiter = MemoryLimiter::new();
//! let address = Key::forwarded(Proxies::hops(1)); // one proxy of our own is in front
//! let user = Key::extension(|user: &User| Some(user.id.to_string().as_str().into())).or(address.clone());
//!
//! let everywhere = RateLimitLayer::over(limiter.clone(), Policy::new(Quota::per_minute(600)).by(address.clone()));
//! let search = RateLimitLayer::over(limiter, Policy::new(Quota::per_second(5).named("search")?).by(user))
//!     .and(Policy::new(Quota::per_hour(1_000).named("search-hourly")?).by(address));
//! # let _ = (everywhere, search);
//! # Ok::<(), bartizan::Error>(())
//! ```
//!
//! Each route has limits of its own by a layer of its own; policies of one name over one limiter share their counts, so several routes
//! can have a quota together. What costs more or less than it seemed is [settled](Policy::settle) with the response:
//! [`refund_on`](Policy::refund_on) counts failed logins only.
//!
//! # What is answered
//!
//! | | status | fields |
//! |---|---|---|
//! | allowed | the handler's | `RateLimit-Policy`, `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10); on request `X-RateLimit-*` |
//! | refused | 429, a problem (RFC 9457) | the same, `Retry-After` (rounded up, at least 1, spread), `Cache-Control: no-store` |
//! | refused, gRPC | 200, trailers-only `RESOURCE_EXHAUSTED` | `grpc-retry-pushback-ms` |
//! | more than could ever be | 429 | no `Retry-After` |
//! | the counts cannot be asked, and the rule is [`Failing::Closed`] | 503 | `Retry-After` |
//!
//! No answer, event or `Debug` tells a key. A [cache](crate::cache) further out does not store a refusal, and one that is further in, or out, does not
//! store what a client has left.
//!
//! # Behind a proxy
//!
//! The peer address is then the proxy's, and everyone is one. [`Key::forwarded`] believes as many hops as there are proxies of one's
//! own, counted from the right, or the networks they are in; never the leftmost, which the client writes. Without a proxy,
//! believing the field lets anyone be anybody.
//!
//! # Where to put the layer
//!
//! Outside of the cache it limits what is asked, inside of the cache what the handler has to do. Outside of authentication it knows addresses,
//! inside of it users; a login wants both. It is always ready: what is refused does not wait for a saturated inner service.

mod answer;
mod body;
mod check;
#[cfg_attr(not(feature = "axum"), path = "no_connect_info.rs")]
mod connect_info;
mod contract;
mod counters;
mod failing;
mod forwarding;
mod future;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod head;
mod identity;
mod key;
mod layer;
mod memory;
mod network;
mod peer;
mod policy;
#[cfg(feature = "redis")]
pub mod redis;
mod refusal;
mod service;
mod shaping;
mod text;

pub use body::LimitBody;
pub use contract::{Charge, Ledger, Limiter, Verdict};
pub use counters::RateLimitCounters;
pub use failing::Failing;
pub use forwarding::Proxies;
pub use future::ResponseFuture;
pub use identity::Identity;
pub use key::Key;
pub use layer::{RateLimitHandle, RateLimitLayer};
pub use memory::{MemoryLimiter, MemoryUsage};
pub use policy::{Policy, Unit};
#[cfg(feature = "redis")]
pub use redis::RedisLimiter;
pub use refusal::{Reason, Refusal};
pub use service::RateLimit;
pub use shaping::Shaping;
