//! The future of a cached service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Response};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{body::CacheBody, rules::Rules, status, word::Caching};

pin_project! {
    /// The future of [`Cache`](super::Cache).
    ///
    /// # Cancellation
    ///
    /// Dropping it cancels the inner service's work, as if the cache were not there, except for a fill: that goes on
    /// for those who wait for it and for the store, within the layer's limits.
    pub struct ResponseFuture<F, B, E>
    where
        B: Body,
    {
        #[pin]
        state: State<F, B, E>,
    }
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pin_project! {
    #[project = StateProj]
    enum State<F, B, E>
    where
        B: Body,
    {
        Answered { response: Option<Response<CacheBody<B>>> },
        Forwarded { #[pin] inner: F, label: Option<HeaderValue>, rules: Option<Rules> },
        Working { work: BoxFuture<Result<Response<CacheBody<B>>, E>> },
    }
}

// === impl ResponseFuture ===

impl<F, B: Body, E> ResponseFuture<F, B, E> {
    /// Ready at once.
    pub(super) fn answered(response: Response<CacheBody<B>>) -> Self {
        Self { state: State::Answered { response: Some(response) } }
    }

    /// The inner service's response, with a `Cache-Status`.
    pub(super) fn forwarded(inner: F, label: HeaderValue) -> Self {
        Self { state: State::Forwarded { inner, label: Some(label), rules: None } }
    }

    /// The same, with the `Vary` of the rules and without the handler's word.
    pub(super) fn forwarded_by(rules: Rules, inner: F, label: HeaderValue) -> Self {
        Self { state: State::Forwarded { inner, label: Some(label), rules: Some(rules) } }
    }

    /// Whatever else.
    pub(super) fn working(work: impl Future<Output = Result<Response<CacheBody<B>>, E>> + Send + 'static) -> Self {
        Self { state: State::Working { work: Box::pin(work) } }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<CacheBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Answered { response } => {
                Poll::Ready(Ok(response.take().expect("a future is not polled after it was ready")))
            }
            StateProj::Forwarded { inner, label, rules } => {
                let mut response = ready!(inner.poll(cx))?;
                if let Some(rules) = rules {
                    rules.settings().add_vary(response.headers_mut());
                    response.extensions_mut().remove::<Caching>();
                }
                if let Some(label) = label.take() {
                    status::add(response.headers_mut(), label);
                }
                Poll::Ready(Ok(response.map(CacheBody::inner)))
            }
            StateProj::Working { work } => work.as_mut().poll(cx),
        }
    }
}

impl<F, B: Body, E> fmt::Debug for ResponseFuture<F, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.state {
            State::Answered { .. } => "ResponseFuture::Answered",
            State::Forwarded { .. } => "ResponseFuture::Forwarded",
            State::Working { .. } => "ResponseFuture::Working",
        })
    }
}
