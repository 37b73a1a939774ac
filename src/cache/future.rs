//! The future of a cached service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{asked::Asked, body::CacheBody, rules::Rules, status, word::Caching};
use crate::origin::{self, Begun};

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
        Forwarded { #[pin] inner: F, dress: Option<Dress> },
        Working { work: BoxFuture<Result<Response<CacheBody<B>>, E>> },
    }
}

/// What a response that is only forwarded is given on its way out.
pub(super) struct Dress {
    pub(super) label: HeaderValue,
    /// Where the response may be shared by others further out: their `Vary` is added, and the handler's word taken off.
    pub(super) rules: Option<(Rules, Asked)>,
}

// === impl ResponseFuture ===

impl<F, B: Body, E> ResponseFuture<F, B, E> {
    /// Ready at once.
    pub(super) fn answered(response: Response<CacheBody<B>>) -> Self {
        Self { state: State::Answered { response: Some(response) } }
    }

    /// The inner service's response.
    pub(super) fn forwarded<S, ReqBody>(begun: Begun<S, ReqBody>, dress: Dress) -> Self
    where
        S: Service<Request<ReqBody>, Response = Response<B>, Future = F, Error = E> + Send + 'static,
        ReqBody: Send + 'static,
        F: Send,
        B: 'static,
        E: Send + 'static,
    {
        match begun {
            Begun::Called(inner) => Self { state: State::Forwarded { inner, dress: Some(dress) } },
            Begun::Failed(error) => Self::working(async { Err(error) }),
            Begun::Waiting(inner, request) => {
                Self::working(async { Ok(dress.put_on(origin::call(inner, request).await?)) })
            }
        }
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
            StateProj::Forwarded { inner, dress } => {
                let response = ready!(inner.poll(cx))?;
                let dress = dress.take().expect("a future is not polled after it was ready");
                Poll::Ready(Ok(dress.put_on(response)))
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

// === impl Dress ===

impl Dress {
    fn put_on<B: Body>(self, mut response: Response<B>) -> Response<CacheBody<B>> {
        if let Some((rules, asked)) = self.rules {
            rules.settings().add_vary(asked, response.headers_mut());
            response.extensions_mut().remove::<Caching>();
        }
        status::add(response.headers_mut(), self.label);
        response.map(CacheBody::inner)
    }
}
