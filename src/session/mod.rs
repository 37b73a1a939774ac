//! Sessions that lose nothing: parallel requests merge what they change, and what has ended stays ended.
//!
//! ```
//! use bartizan::{MemorySessions, Session, SessionLayer};
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bartizan::Error> {
//! let handler = service_fn(async |request: Request<Full<Bytes>>| {
//!     let session = Session::of(request.extensions()).expect("the layer is around it");
//!     let visits = session.increment("visits", 1).await?;
//!     Ok::<_, bartizan::Error>(Response::new(Full::new(Bytes::from(format!("visit {visits}")))))
//! });
//! let service = SessionLayer::new(MemorySessions::new()).layer(handler);
//!
//! let first = service.clone().oneshot(Request::new(Full::default())).await?;
//! let cookie = first.headers()["set-cookie"].to_str().unwrap();
//! assert!(cookie.starts_with("__Host-id=") && cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"));
//! let pair = cookie.split(';').next().unwrap();
//! let second = Request::get("/").header("cookie", pair).body(Full::default()).unwrap();
//! let second = service.oneshot(second).await?;
//! assert!(!second.headers().contains_key("set-cookie"));
//! # use http_body_util::BodyExt;
//! # assert_eq!(second.into_body().collect().await.unwrap().to_bytes(), "visit 2");
//! # Ok(()) }
//! ```
//!
//! In axum, with the feature of that name, [`Session`] is an extractor and an [`Error`](crate::Error) is a response:
//!
//! ```
//! # #[cfg(feature = "axum")] mod site {
//! use axum::{Router, routing::post};
//! use bartizan::{Error, MemorySessions, Session, SessionLayer};
//!
//! async fn log_in(session: Session) -> Result<&'static str, Error> {
//!     // .. once the password was found to be right:
//!     session.set_principal("user:42").await?;
//!     session.flash("notice", "Welcome back").await?;
//!     Ok("you are logged in")
//! }
//!
//! async fn log_out(session: Session) -> Result<&'static str, Error> {
//!     session.destroy().await?;
//!     Ok("you are logged out")
//! }
//!
//! # pub(super) fn site() -> Router {
//! Router::new()
//!     .route("/login", post(log_in))
//!     .route("/logout", post(log_out))
//!     .layer(SessionLayer::new(MemorySessions::new()))
//! # }
//! # }
//! # #[cfg(feature = "axum")] let _ = site::site();
//! ```
//!
//! # When what happens
//!
//! | | the store is asked |
//! |---|---|
//! | a request that does not use its session | never |
//! | the first method of [`Session`] that is called, where the request came with a token | to load it, once |
//! | .. without a token, or with what cannot be one | never |
//! | the handler has answered, and changed something | to save the changes, before the head of the response leaves |
//! | .. and changed nothing | only if a [touch](SessionLayer::touch_after) or a [renewal](SessionLayer::renew_after) is due |
//! | [`update`](Session::update), [`destroy`](Session::destroy), [`devices`](Session::devices) and its kin | at once |
//!
//! So a redirect finds what was saved before it, on whichever node it arrives. A session is begun with the first change; who only
//! reads has none, and gets no cookie. Once the head has left, a change is an error: what streams a body saves nothing.
//!
//! A handler that panics, is cancelled, or fails with an error of the service saves nothing, but what was done at once. An answer
//! of any status is an answer, and saves.
//!
//! # Parallel requests
//!
//! What a request changes is a difference, merged into the session as it is by then.
//!
//! | | two requests at the same time |
//! |---|---|
//! | [`insert`](Session::insert), [`remove`](Session::remove) | different names: both count; the same: the last one counts |
//! | [`update`](Session::update) | both count, one after the other |
//! | [`increment`](Session::increment), [`add_member`](Session::add_member) | both count |
//! | [`clear`](Session::clear) | removes what is there when it is saved |
//! | one changes, the other [destroys](Session::destroy) | it is as if the change came first: the session is gone |
//! | one changes, in the other somebody [logs in](Session::set_principal) | what began before the login sees an empty session, changes nothing, ends nothing, and is answered 409 if it meant to change something |
//! | two renew | one does; the secret so far is good for [the overlap](SessionLayer::overlap) |
//!
//! # What the client holds
//!
//! Two halves of 256 random bits each: one names the record, whose key in the store is its SHA-256 and never changes, the other
//! is the secret, of which the record has the SHA-256. A rotation swaps the secret, so that it is one step in one record; a
//! reader of the store cannot make a cookie. An id of a client's own making is never taken over.
//!
//! It goes no further than the layer: the cookie is taken out of the request, so no handler can pass it on, and a cache within
//! the layer sees a request without it. Layers stand side by side, then, and not one within another.
//!
//! A response that sets or removes the cookie has `Cache-Control: no-store`, and neither `CDN-Cache-Control` nor
//! `Surrogate-Control`; one of a request that used its session has it unless the handler says otherwise, and no cache of this crate
//! shares it ([`private`](crate::private)). Caches of others know the fields alone: what the handler of such a request calls
//! `public`, or sets for a CDN, they share, whoever is logged in.
//!
//! # The parts
//!
//! | | |
//! |---|---|
//! | [`SessionLayer`], [`Session`], [`SessionHandle`] | what a program uses |
//! | [`SessionCookie`], [`SigningKeys`], [`Lifetime`], [`Codec`], [`OnOutage`] | what it may set |
//! | [`MemorySessions`], [`BoxSessions`], and `RedisSessions` with the feature `redis` | where sessions are kept |
//! | [`contract`], [`record`], [`changes`] | what a store of your own has to do |

pub mod changes;
mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod contract;
mod cookie;
mod core;
mod erased;
#[cfg(feature = "axum")]
mod extract;
mod future;
mod handle;
mod keys;
mod layer;
mod memory;
pub mod record;
#[cfg(feature = "redis")]
pub mod redis;
mod save;
mod service;
#[expect(clippy::module_inception, reason = "the handle is the session")]
mod session;
mod token;
mod transport;
mod view;

pub use codec::Codec;
pub use contract::SessionStore;
pub use cookie::{SameSite, SessionCookie};
pub use erased::BoxSessions;
#[cfg(feature = "axum")]
pub use extract::NoSessionLayer;
pub use future::ResponseFuture;
pub use handle::{SessionCounters, SessionHandle};
pub use keys::SigningKeys;
pub use layer::{OnOutage, SessionLayer};
pub use memory::{MemorySessions, SessionUsage};
pub use record::{Client, Lifetime, Principal};
#[cfg(feature = "redis")]
pub use redis::RedisSessions;
pub use save::Unsaved;
pub use service::SessionService;
pub use session::{Device, Session, SessionInfo};
pub use token::{RecordId, SecretDigest};
