//! The future of a limited service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{answer::Dress, body::LimitBody};
use crate::origin::{self, Begun};

pin_project! {
    /// The future of [`RateLimit`](super::RateLimit).
    ///
    /// # Cancellation
    ///
    /// Dropping it cancels the inner service's work, and gives up the place of a request that waits. What was taken stays taken.
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
        Refused { response: Option<Response<Bytes>> },
        Forwarded { #[pin] inner: F, dress: Option<Dress> },
        Working { work: BoxFuture<Result<Response<LimitBody<B>>, E>> },
    }
}

// === impl ResponseFuture ===

impl<F, B: Body, E> ResponseFuture<F, B, E> {
    pub(super) fn refused(response: Response<Bytes>) -> Self {
        Self { state: State::Refused { response: Some(response) } }
    }

    /// The inner service's response, with what is told of the limits.
    pub(super) fn forwarded<S, R>(begun: Begun<S, R>, dress: Dress) -> Self
    where
        S: Service<Request<R>, Response = Response<B>, Future = F, Error = E> + Send + 'static,
        R: Send + 'static,
        F: Send,
        B: 'static,
        E: Send + 'static,
    {
        match begun {
            Begun::Called(inner) => Self { state: State::Forwarded { inner, dress: Some(dress) } },
            Begun::Failed(error) => Self::working(async { Err(error) }),
            Begun::Waiting(inner, request) => {
                Self::working(async { Ok(dressed(origin::call(inner, request).await?, dress)) })
            }
        }
    }

    pub(super) fn working(work: impl Future<Output = Result<Response<LimitBody<B>>, E>> + Send + 'static) -> Self {
        Self { state: State::Working { work: Box::pin(work) } }
    }
}

fn dressed<B: Body>(mut response: Response<B>, dress: Dress) -> Response<LimitBody<B>> {
    dress.put_on(response.headers_mut());
    response.map(LimitBody::inner)
}

impl<F, B, E> Future for ResponseFuture<F, B, E>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<LimitBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Refused { response } => {
                Poll::Ready(Ok(response.take().expect("polled after it was ready").map(LimitBody::own)))
            }
            StateProj::Forwarded { inner, dress } => {
                let response = ready!(inner.poll(cx))?;
                Poll::Ready(Ok(dressed(response, dress.take().expect("polled after it was ready"))))
            }
            StateProj::Working { work } => work.as_mut().poll(cx),
        }
    }
}

impl<F, B: Body, E> fmt::Debug for ResponseFuture<F, B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
