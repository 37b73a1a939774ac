//! A small site behind a layer, and what it answers.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bartizan::limit::{LimitBody, Limiter, RateLimit, RateLimitLayer};
use bytes::Bytes;
use http::{Request, Response, StatusCode, request};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt};

/// Answers 200, or the status that a request's field `answer` says; counts its calls.
#[derive(Clone, Default)]
pub(crate) struct Handler {
    calls: Arc<AtomicU64>,
}

pub(crate) struct Site<L> {
    service: RateLimit<Handler, L>,
    handler: Handler,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    head: http::response::Parts,
    pub(crate) body: String,
}

impl Handler {
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Service<Request<()>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mut response = Response::new(Full::from("hello"));
        if let Some(status) = request.headers().get("answer") {
            *response.status_mut() = StatusCode::from_bytes(status.as_bytes()).expect("a status");
        }
        ready(Ok(response))
    }
}

impl<L: Limiter> Site<L> {
    pub(crate) fn new(layer: &RateLimitLayer<L>) -> Self {
        let handler = Handler::default();
        Self { service: layer.layer(handler.clone()), handler }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.handler.calls()
    }

    /// A request from `address`.
    pub(crate) async fn get(&self, address: &str) -> Answer {
        self.ask(from(address)).await
    }

    pub(crate) async fn ask(&self, request: request::Builder) -> Answer {
        let response = self
            .service
            .clone()
            .oneshot(request.body(()).expect("a request"))
            .await
            .unwrap_or_else(|never| match never {});
        Answer::of(response).await
    }
}

impl Answer {
    async fn of(response: Response<LimitBody<Full<Bytes>>>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap_or_else(|never| match never {}).to_bytes();
        Self { status: head.status, head, body: String::from_utf8(body.into()).expect("a text") }
    }

    /// The values of a field, in one line.
    pub(crate) fn field(&self, name: &str) -> String {
        let values: Vec<_> =
            self.head.headers.get_all(name).iter().map(|value| value.to_str().expect("a text")).collect();
        values.join(", ")
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.head.headers.contains_key(name)
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.status == StatusCode::OK
    }
}

pub(crate) fn from(address: &str) -> request::Builder {
    Request::get("/page").extension(address.parse::<IpAddr>().expect("an address"))
}
