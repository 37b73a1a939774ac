//! The content of `QUERY` requests, read so that a cache further in can have it in its key (RFC 10008, 2.7).
//!
//! It is a layer of its own because a cache hands the request on that it was given, whatever its body is made of: it can
//! neither read that body and keep it, nor make another of the same type. This layer gives the services within a body
//! type that can be both, [`ReadAhead`]. Only who wants `QUERY` cached has services that take it; axum's take any.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    policy::invalidate::is_query,
    read_ahead::{ReadAhead, Then},
    spool::into_bytes,
};

/// Lets a [`CacheLayer`](super::CacheLayer) directly within it answer `QUERY` requests from its store.
///
/// The content of a request is in the key, byte for byte, together with its `Content-Type`, `Content-Encoding`,
/// `Content-Language` and `Content-Location`; otherwise rules apply as to a `GET`. What is stored belongs to the resource
/// that was queried: purging that, or an unsafe request to it, removes every result.
///
/// ```
/// use std::time::Duration;
/// use axum::{Router, routing::any};
/// use bartizan::{CacheLayer, Memory, QueryMethodLayer};
///
/// let cache = CacheLayer::new(Memory::with_capacity(64 << 20)).default_ttl(Duration::from_secs(60));
/// let app: Router = Router::new()
///     .route("/contacts", any(|query: String| async move { format!("found by {query}") }))
///     .layer(cache)
///     .layer(QueryMethodLayer::new());
/// ```
///
/// Content that is longer than the [limit](Self::content_limit), breaks off or has trailers reaches the handler as it
/// came, and the cache forwards the request as if this layer were not there. Other methods are not touched.
///
/// # Deployment caveat
///
/// What stands between this layer and the cache must not change the content.
#[derive(Clone, Copy, Debug)]
pub struct QueryMethodLayer {
    limit: u64,
}

/// A service whose `QUERY` requests can be cached further in. Made by [`QueryMethodLayer`].
#[derive(Clone, Copy, Debug)]
pub struct QueryMethod<S> {
    inner: S,
    limit: u64,
}

/// The content of a `QUERY`, among its extensions.
#[derive(Clone)]
pub(crate) struct Content(pub(crate) Bytes);

pin_project! {
    /// The future of [`QueryMethod`].
    pub struct QueryMethodFuture<F>
    where
        F: Future,
    {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F>
    where
        F: Future,
    {
        Called { #[pin] inner: F },
        Reading { work: Pin<Box<dyn Future<Output = F::Output> + Send>> },
    }
}

// === impl QueryMethodLayer ===

impl QueryMethodLayer {
    /// Reads up to 16 KiB of each request's content.
    pub const fn new() -> Self {
        Self { limit: 16 << 10 }
    }

    /// How much of a request's content is read, and held until the handler has read it in turn. Bytes; default 16 KiB.
    #[must_use]
    pub const fn content_limit(self, bytes: u64) -> Self {
        Self { limit: bytes }
    }
}

impl Default for QueryMethodLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for QueryMethodLayer {
    type Service = QueryMethod<S>;

    fn layer(&self, inner: S) -> QueryMethod<S> {
        QueryMethod { inner, limit: self.limit }
    }
}

// === impl QueryMethod ===

impl<S, B> Service<Request<B>> for QueryMethod<S>
where
    S: Service<Request<ReadAhead<B>>> + Clone + Send + 'static,
    S::Future: Send,
    B: Body + Send + 'static,
    B::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = QueryMethodFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !is_query(request.method()) || request.body().size_hint().lower() > self.limit {
            return QueryMethodFuture {
                state: State::Called { inner: self.inner.call(request.map(ReadAhead::unread)) },
            };
        }
        // The clone may not be ready; the one that was polled is.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let limit = self.limit;
        let work = Box::pin(async move { inner.call(read(request, limit).await).await });
        QueryMethodFuture { state: State::Reading { work } }
    }
}

async fn read<B: Body>(request: Request<B>, limit: u64) -> Request<ReadAhead<B>> {
    let (mut parts, body) = request.into_parts();
    let mut body = Box::pin(body);
    let mut content = Vec::new();
    let then = loop {
        match poll_fn(|cx| body.as_mut().poll_frame(cx).map(into_bytes)).await.map(|frame| frame.map(Frame::into_data))
        {
            Some(Ok(Ok(data))) => content.extend_from_slice(&data),
            Some(Ok(Err(frame))) => break Then::Frame(frame),
            Some(Err(error)) => break Then::Broken(error),
            None => break Then::End,
        }
        if content.len() as u64 > limit {
            break Then::Rest(body);
        }
    };
    let content = Bytes::from(content);
    if matches!(then, Then::End) {
        parts.extensions.insert(Content(content.clone()));
    }
    Request::from_parts(parts, ReadAhead::read(content, then))
}

// === impl QueryMethodFuture ===

impl<F: Future> Future for QueryMethodFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().state.project() {
            StateProj::Called { inner } => inner.poll(cx),
            StateProj::Reading { work } => Poll::Ready(ready!(work.as_mut().poll(cx))),
        }
    }
}

impl<F: Future> fmt::Debug for QueryMethodFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.state {
            State::Called { .. } => "QueryMethodFuture::Called",
            State::Reading { .. } => "QueryMethodFuture::Reading",
        })
    }
}
