//! The inner service: cloned for each call that is made of it, and called when it is ready.

use std::{
    fmt,
    future::poll_fn,
    task::{Context, Poll, Waker},
};

use http::Request;
use parking_lot::Mutex;
use tower_service::Service;

/// The inner service as the layer was given it. Every call has a clone of its own.
///
/// What is answered without it neither clones it nor waits until it is ready.
pub(crate) struct Origin<S>(
    /// Locked for no longer than a clone takes: a `Service` need not be `Sync`.
    Mutex<S>,
);

/// A call that was begun at once, where the service was ready at once.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made, and a call must not need a box")]
pub(crate) enum Begun<S: Service<Request<B>>, B> {
    Called(S::Future),
    Waiting(S, Request<B>),
    Failed(S::Error),
}

// === impl Origin ===

impl<S> Origin<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self(Mutex::new(inner))
    }
}

impl<S: Clone> Origin<S> {
    /// Calls it as soon as it is ready.
    pub(crate) async fn call<B>(&self, request: Request<B>) -> Result<S::Response, S::Error>
    where
        S: Service<Request<B>>,
    {
        call(self.clone_inner(), request).await
    }

    /// Calls it now if it is ready, which most services always are: their future needs no box then.
    pub(crate) fn begin<B>(&self, request: Request<B>) -> Begun<S, B>
    where
        S: Service<Request<B>>,
    {
        let mut inner = self.clone_inner();
        match inner.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Begun::Called(inner.call(request)),
            Poll::Ready(Err(error)) => Begun::Failed(error),
            Poll::Pending => Begun::Waiting(inner, request),
        }
    }

    fn clone_inner(&self) -> S {
        self.0.lock().clone()
    }
}

impl<S: fmt::Debug> fmt::Debug for Origin<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Calls `inner` as soon as it is ready.
pub(crate) async fn call<S, B>(mut inner: S, request: Request<B>) -> Result<S::Response, S::Error>
where
    S: Service<Request<B>>,
{
    poll_fn(|cx| inner.poll_ready(cx)).await?;
    inner.call(request).await
}
