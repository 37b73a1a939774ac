//! Response caching: a shared cache as RFC 9111 defines it, in front of any Tower service.
//!
//! ```
//! use std::time::Duration;
//! use bartizan::{CacheLayer, Memory};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), std::convert::Infallible> {
//! let handler = service_fn(async |_: Request<Full<Bytes>>| {
//!     Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from("slow to make"))))
//! });
//! let layer = CacheLayer::new(Memory::with_capacity(64 << 20)).default_ttl(Duration::from_secs(60));
//! let service = layer.layer(handler);
//!
//! let get = || Request::get("http://example.com/").body(Full::default()).unwrap();
//! let miss = service.clone().oneshot(get()).await?;
//! assert_eq!(miss.headers()["cache-status"], "bartizan; fwd=uri-miss; stored");
//! let hit = service.clone().oneshot(get()).await?;
//! assert_eq!(hit.headers()["cache-status"], "bartizan; hit");
//! # Ok(()) }
//! ```
//!
//! # Who decides
//!
//! In this order, each within what the one before allows:
//!
//! 1. **The response**: `Cache-Control`, `Expires`, `Vary`, `Set-Cookie` and what else RFC 9111 looks at.
//! 2. **The handler's word**: [`Caching`] in the response's extensions, for this cache alone. Its TTL takes the place of
//!    the header's; it opens nothing that the header closes.
//! 3. **The route's rules**: [`Rules`], for responses that say nothing of their own, and to shorten.
//!
//! In front of an origin of somebody else, which says in its fields what may be shared, all of RFC 9111 applies, and more
//! than is safe for an application: [`Rules::reverse_proxy`].
//!
//! A route has rules of its own through a layer of its own over the same store; or through rules that are
//! [computed](CacheLayer::rules_by) from the request's head.
//!
//! ```
//! use std::time::Duration;
//! use bartizan::{CacheLayer, Memory, Query, Rules};
//!
//! let store = Memory::with_capacity(64 << 20);
//! let search = CacheLayer::new(store.clone()).rules(
//!     Rules::new()
//!         .default_ttl(Duration::from_secs(60))
//!         .stale_while_revalidate(Duration::from_secs(30))
//!         .query(Query::only(["q", "page"]))
//!         .tag("catalogue"),
//! );
//! let pages = CacheLayer::new(store).rules(Rules::new().add_key_header(http::header::ACCEPT_LANGUAGE));
//! # let _ = (search, pages);
//! ```
//!
//! # What is decided
//!
//! `Cache-Status` (RFC 9211) tells it on every response; [`CacheStatus`] has it say more.
//!
//! | request or response | what happens | `Cache-Status: bartizan; ..` |
//! |---|---|---|
//! | `GET` or `HEAD`, a fresh response is stored | answered from the store, as 200, 206 or 304 | `hit` |
//! | .. a stale one, within `stale-while-revalidate` | answered from the store, made anew in the background | `hit; ttl=-3` |
//! | .. a stale one with a validator | the origin is asked whether it is still good | `fwd=stale; fwd-status=304; stored` |
//! | `HEAD`, and the stored `GET` is stale | forwarded; if its validators match, the stored one is fresh again | `fwd=stale; stored` |
//! | `GET`, and the origin fails, within `stale-if-error` | answered from the store | `fwd=stale; fwd-status=503; ttl=-3` |
//! | `GET`, nothing is stored | one request goes to the handler, others wait for it | `fwd=uri-miss; stored`, `..; collapsed` |
//! | .. but not for these `Vary` fields | the same | `fwd=vary-miss; stored` |
//! | the response may not be stored | delivered; the key is remembered, and nobody waits for it for a while | `fwd=uri-miss; detail=private`, later `..; detail=pass` |
//! | the handler fails, nothing stale may be used | the one who asked has the error; the others go on their own, a few at a time | `fwd=uri-miss; detail=no-freshness` |
//! | `POST`, `PUT`, `DELETE`, an unknown method | forwarded; if it succeeds, all variants of the URI are removed | `fwd=method` |
//! | .. that says `Cache-Group-Invalidation` (RFC 9875) | what is stored of these groups, `Cache-Groups`, is removed too | `fwd=method` |
//! | `QUERY` (RFC 10008) within a [`QueryMethodLayer`] | as a `GET`, by its content | as a `GET` |
//! | `OPTIONS`, `TRACE`, `CONNECT`, any other `QUERY` | forwarded | `fwd=method` |
//! | a `GET` with a body, `Upgrade`, `If-Match`, `X-HTTP-Method-Override`, several `Host`s; a rule says [bypass](Rules::bypass) | forwarded | `fwd=bypass` |
//! | a cookie that no rule names, or `Authorization` | stored, and answered from the store, only on the response's own `public` or `s-maxage` (for `Authorization` also `must-revalidate`) | `..; detail=personal-cookie` |
//!
//! # Waiting
//!
//! The request that finds nothing leads: its response is read by a task of its own, at the handler's pace, whatever its
//! client does. The others wait until that task has the whole body, then judge it as if it had been stored before.
//! What the leader's end means to them:
//!
//! | the leader | calls of the handler | those who wait |
//! |---|---|---|
//! | stores | 1 | have the response |
//! | loses its client | 1 | have the response |
//! | panics, errs, its body breaks off | 2 | one of them leads; after three in a row, all go on their own |
//! | brings a 5xx, and a stale response may be used | 1 | have the stale one |
//! | brings a 5xx otherwise | each its own | a few [at a time](CacheLayer::failing_concurrency) |
//! | brings something private | each its own | side by side |
//! | brings something that is stale at once | each its own | side by side, each with the validators |
//! | is overtaken by a purge | 2 | who came after the purge has the new response |
//! | finds that the response varies | one per variant | go to their variant |
//!
//! # Where to put the layer
//!
//! Around the whole router it is fastest: a hit does not route. Inside a route it has that route's rules. Outside of what
//! must see every request (logging, tracing, rate limits), put the cache further in; inside of what changes responses
//! per client (compression is fine on either side, as it says `Vary`), put it further out. Authentication that rejects
//! belongs outside of the cache.
//!
//! # Deployment caveats
//!
//! - **Headers that change the response are in the key, or in `Vary`.** What frameworks believe of a proxy in front
//!   (`X-Forwarded-Host` and its kin) is in the key unless it is [trusted](Rules::trust_header); a handler that reads other
//!   headers and says nothing can be made to store a response for everyone that only one client asked for. Name them with
//!   [`Rules::add_key_header`], or strip them with [`Rules::ignore_header`]. `docs/poisoning.md` goes through all inputs.
//! - **What else changes it is not in the key.** An identity that an outer layer puts into the request's extensions, with
//!   no cookie or `Authorization` left beside it (a client certificate, say), must be made a [principal](Rules::principal).
//! - **Compression belongs inside where ranges are asked for.** There each encoding is a variant with its own bytes. Outside,
//!   one response is stored and encoded for each client; tower-http's layer then leaves a strong `ETag` as it is, for other
//!   bytes than those it was made for, and encodes an answer of several ranges as if it were a page.
//! - **The key has the URI that the layer sees.** axum's `nest` strips its prefix before layers inside of it: `/a/items` and
//!   `/b/items` are then one resource in a shared store, unless their rules say where they are
//!   [mounted](Rules::mounted_at). Or put the layer around the outer router.
//! - HTTP/2 tells the scheme and HTTP/1.1 does not: over TLS a page has an entry for each, and what is changed or purged
//!   by one stays under the other, unless the rules name the [site](Rules::site).
//! - A service that serves one site should [say so](Rules::site): else each `Host` a client makes up has entries of its own.
//! - Task-locals of the caller are not there in a fill; its `tracing` span is.
//! - The cache is always ready. The inner service's readiness is awaited by the requests that need it, each with a clone
//!   of its own: a `ConcurrencyLimit` inside of the cache holds up misses and no hit. `LoadShed` sheds what it should if
//!   it lies inside too, directly around the limit.

mod answer;
mod asked;
mod body;
mod budget;
mod counters;
mod errand;
mod etag;
mod fill;
mod future;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod handle;
mod invalidation;
mod key;
mod language;
mod layer;
mod look;
mod multipart;
mod policy;
mod post;
mod profile;
mod query;
mod query_method;
mod read_ahead;
mod renewal;
mod rules;
mod sent;
mod service;
mod spool;
mod status;
mod stored;
mod tally;
mod walk;
mod wire;
mod word;

pub use body::CacheBody;
pub use counters::{Counters, Misses};
pub use future::ResponseFuture;
pub use handle::CacheHandle;
pub use layer::CacheLayer;
pub use policy::storable::Reason;
pub use query::Query;
pub use query_method::{QueryMethod, QueryMethodFuture, QueryMethodLayer};
pub use read_ahead::ReadAhead;
pub use rules::Rules;
pub use service::Cache;
pub use status::CacheStatus;
pub use stored::Stored;
pub use word::Caching;
