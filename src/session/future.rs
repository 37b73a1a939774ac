//! The future of a service with sessions.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{
    HeaderName, HeaderValue, Response,
    header::{CACHE_CONTROL, Entry},
};
use pin_project_lite::pin_project;

use super::{
    layer::OnOutage,
    save::{Saved, save},
    session::Session,
};

pin_project! {
    /// The future of [`SessionService`](super::SessionService).
    ///
    /// # Cancellation
    ///
    /// Dropped before the handler has answered, it saves nothing. Dropped while that is saved, it saves all or nothing.
    pub struct ResponseFuture<F, B> {
        #[pin]
        state: State<F, B>,
        session: Session,
    }
}

type Saving = Pin<Box<dyn Future<Output = Saved> + Send>>;

pin_project! {
    #[project = StateProj]
    enum State<F, B> {
        Answering { #[pin] inner: F },
        Saving { saving: Saving, response: Option<Response<B>> },
    }
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// They go before `Cache-Control` (RFC 9213, 2.2; Edge Architecture 1.0, 2), and a handler may have set them for its page.
const TARGETED: [HeaderName; 2] =
    [HeaderName::from_static("cdn-cache-control"), HeaderName::from_static("surrogate-control")];
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
const CLEARED: HeaderValue = HeaderValue::from_static("\"cache\", \"storage\"");

// === impl ResponseFuture ===

impl<F, B> ResponseFuture<F, B> {
    pub(super) fn new(inner: F, session: Session) -> Self {
        Self { state: State::Answering { inner }, session }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Answering { inner } => {
                    let answer = ready!(inner.poll(cx));
                    if this.session.core().seal_untouched() {
                        return Poll::Ready(answer);
                    }
                    let response = answer.inspect_err(|_| this.session.core().seal_unsaved())?;
                    let saving = Box::pin(save(this.session.clone()));
                    this.state.set(State::Saving { saving, response: Some(response) });
                }
                StateProj::Saving { saving, response } => {
                    let saved = ready!(saving.as_mut().poll(cx));
                    let response = response.take().expect("a future is not polled after it was ready");
                    return Poll::Ready(Ok(dress(response, saved, this.session)));
                }
            }
        }
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.state {
            State::Answering { .. } => "ResponseFuture::Answering",
            State::Saving { .. } => "ResponseFuture::Saving",
        })
    }
}

/// Gives the response of a request that used its session what it needs.
fn dress<B: Default>(mut response: Response<B>, saved: Saved, session: &Session) -> Response<B> {
    let shared = &session.core().shared;
    if let Some(unsaved) = saved.unsaved {
        let status = unsaved.status();
        if shared.plan.on_outage == OnOutage::Refuse || saved.refused || !status.is_server_error() {
            response = Response::new(B::default());
            *response.status_mut() = status;
        }
        response.extensions_mut().insert(unsaved);
    }
    let headers = response.headers_mut();
    if let Some(told) = &saved.told {
        shared.transport.tell(told, headers);
        headers.insert(CACHE_CONTROL, NO_STORE);
        for name in TARGETED {
            headers.remove(name);
        }
    } else if let Entry::Vacant(unsaid) = headers.entry(CACHE_CONTROL) {
        unsaid.insert(NO_STORE);
    }
    if saved.destroyed && shared.plan.clear_site_data {
        headers.insert(CLEAR_SITE_DATA, CLEARED);
    }
    response
}
