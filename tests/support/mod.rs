//! The scene that behaviour is tested on: a scripted origin, a clock wound by hand, a store and the layer over it.
#![allow(dead_code, reason = "each test binary takes what it needs")]

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bartizan::{
    CacheHandle, CacheLayer, Memory, Rules,
    cache::{Cache, CacheBody, Stored},
    clock::TestClock,
    expiry::Jitter,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use tower::{Layer, Service, ServiceExt};

pub(crate) type Body = UnsyncBoxBody<Bytes, BodyBroken>;
pub(crate) type Reply = Pin<Box<dyn Future<Output = Result<Response<Body>, Failed>> + Send>>;

/// What a broken body breaks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyBroken;

/// What a failing origin fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

/// An inner service that answers by script and counts its calls. It insists on being polled ready before each call.
pub(crate) struct Origin {
    script: Arc<dyn Fn(Call) -> Reply + Send + Sync>,
    pub(crate) calls: Arc<AtomicUsize>,
    /// How many calls are being answered, and the most that ever were.
    running: Arc<AtomicUsize>,
    pub(crate) most: Arc<AtomicUsize>,
    ready: bool,
}

/// One call of an origin.
pub(crate) struct Call {
    /// How many came before it.
    pub(crate) number: usize,
    pub(crate) request: Request<Full<Bytes>>,
}

pub(crate) struct Scene {
    pub(crate) origin: Origin,
    pub(crate) clock: TestClock,
    pub(crate) cache: CacheHandle<Memory<Stored>>,
    pub(crate) service: Cache<Origin, Memory<Stored>>,
}

/// A response that was read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Bytes,
}

/// Where calls stop until the test lets them on.
#[derive(Clone)]
pub(crate) struct Gate {
    arrived: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

// === impl Gate ===

impl Gate {
    pub(crate) fn new() -> Self {
        Self { arrived: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }

    /// For the origin: says that it is here, and waits to be let on.
    pub(crate) async fn pass(&self) {
        self.arrived.add_permits(1);
        self.open.acquire().await.expect("gates are not closed").forget();
    }

    /// Waits until so many more calls have come.
    pub(crate) async fn arrived(&self, number: u32) {
        self.arrived.acquire_many(number).await.expect("gates are not closed").forget();
    }

    /// Lets so many calls on, those to come included.
    pub(crate) fn open(&self, number: usize) {
        self.open.add_permits(number);
    }
}

/// Lets everything that can go on do so, on a runtime of one thread.
pub(crate) async fn run_others() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Lifetimes exactly as stated.
pub(crate) fn exact() -> Rules {
    Rules::new().jitter(Jitter::NONE)
}

/// Answers after 100 ms of tokio's paused time, with these fields and the number of the call.
pub(crate) fn slow(status: u16, fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |call| async move {
        take(100).await;
        Ok(response(status, fields, call.number.to_string()))
    })
}

// === impl Origin ===

impl Origin {
    pub(crate) fn new<F>(script: impl Fn(Call) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Response<Body>, Failed>> + Send + 'static,
    {
        Self {
            script: Arc::new(move |call| Box::pin(script(call))),
            calls: Arc::default(),
            running: Arc::default(),
            most: Arc::default(),
            ready: false,
        }
    }

    /// Always the same head; the body is the number of the call.
    pub(crate) fn says(fields: &'static [(&'static str, &'static str)]) -> Self {
        Self::new(move |call| async move { Ok(response(200, fields, call.number.to_string())) })
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

impl Clone for Origin {
    fn clone(&self) -> Self {
        Self {
            script: Arc::clone(&self.script),
            calls: Arc::clone(&self.calls),
            running: Arc::clone(&self.running),
            most: Arc::clone(&self.most),
            ready: false,
        }
    }
}

impl Service<Request<Full<Bytes>>> for Origin {
    type Response = Response<Body>;
    type Error = Failed;
    type Future = Reply;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Reply {
        assert!(std::mem::take(&mut self.ready), "the inner service was called without being polled ready");
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let running = Running::new(&self.running, &self.most);
        let reply = (self.script)(Call { number, request });
        Box::pin(async move {
            let _running = running;
            reply.await
        })
    }
}

struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(running: &Arc<AtomicUsize>, most: &AtomicUsize) -> Self {
        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Self(Arc::clone(running))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

// === impl Scene ===

impl Scene {
    pub(crate) fn new(rules: Rules, origin: Origin) -> Self {
        Self::with(origin, |layer| layer.rules(rules))
    }

    pub(crate) fn with(
        origin: Origin,
        layer: impl FnOnce(CacheLayer<Memory<Stored>>) -> CacheLayer<Memory<Stored>>,
    ) -> Self {
        let clock = TestClock::new();
        let layer = layer(CacheLayer::new(Memory::with_capacity(64 << 20)).clock(clock.clone()));
        Self { cache: layer.handle(), service: layer.layer(origin.clone()), clock, origin }
    }

    pub(crate) fn advance(&self, secs: u64) {
        self.clock.advance(std::time::Duration::from_secs(secs));
    }

    pub(crate) fn calls(&self) -> usize {
        self.origin.calls()
    }

    /// Sends a request as far as its head.
    pub(crate) fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<CacheBody<Body>>, Failed>> + Send + 'static {
        self.service.clone().oneshot(request)
    }

    /// Sends a request and reads the whole response.
    pub(crate) fn ask(&self, request: Request<Full<Bytes>>) -> impl Future<Output = Answer> + Send + 'static {
        let sent = self.send(request);
        async move { Answer::read(sent.await.expect("the origin did not fail")).await }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(get(path, &[])).await
    }
}

// === impl Answer ===

impl Answer {
    pub(crate) async fn read(response: Response<CacheBody<Body>>) -> Self {
        let (head, body) = response.into_parts();
        Self { head, body: body.collect().await.expect("the body did not break").to_bytes() }
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text")
    }

    /// All lines of a field, joined.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let lines: Vec<&str> =
            self.head.headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("?")).collect();
        (!lines.is_empty()).then(|| lines.join(", "))
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub(crate) fn cache_status(&self) -> String {
        self.field("cache-status").unwrap_or_default()
    }

    pub(crate) fn is_hit(&self) -> bool {
        self.cache_status().starts_with("bartizan; hit")
    }
}

pub(crate) fn get(path: &str, fields: &[(&str, &str)]) -> Request<Full<Bytes>> {
    request("GET", path, fields)
}

pub(crate) fn request(method: &str, path: &str, fields: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(path);
    let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Full::default()).expect("a request")
}

pub(crate) fn response(status: u16, fields: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(body.into()).map_err(|never: Infallible| match never {});
    streamed(status, fields, body.boxed_unsync())
}

pub(crate) fn streamed(status: u16, fields: &[(&str, &str)], body: Body) -> Response<Body> {
    let response = Response::builder().status(status);
    let response = fields.iter().fold(response, |response, (name, value)| response.header(*name, *value));
    response.body(body).expect("a response")
}

/// A body that comes as it is sent. It ends when its sender is dropped.
pub(crate) struct Pipe(mpsc::Receiver<Result<Frame<Bytes>, BodyBroken>>);

/// The other end of a [`Pipe`].
pub(crate) struct Tap(mpsc::Sender<Result<Frame<Bytes>, BodyBroken>>);

pub(crate) fn pipe() -> (Tap, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (Tap(sender), Pipe(receiver).boxed_unsync())
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the origin failed")
    }
}

impl std::error::Error for Failed {}

// === impl Tap ===

impl Tap {
    /// Sends data. `false` if nobody reads any more.
    pub(crate) async fn data(&self, data: impl Into<Bytes>) -> bool {
        self.0.send(Ok(Frame::data(data.into()))).await.is_ok()
    }

    pub(crate) async fn trailers(&self, trailers: http::HeaderMap) -> bool {
        self.0.send(Ok(Frame::trailers(trailers))).await.is_ok()
    }

    pub(crate) async fn broken(self) {
        let _ = self.0.send(Err(BodyBroken)).await;
    }

    /// Resolves when nobody reads any more.
    pub(crate) async fn gone(&self) {
        self.0.closed().await;
    }
}

impl http_body::Body for Pipe {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        self.0.poll_recv(cx)
    }
}

/// Counts how often work was dropped before it was done.
#[derive(Clone, Default)]
pub(crate) struct Cancelled(Arc<AtomicUsize>);

/// Work that is not done yet.
pub(crate) struct Undone(Option<Arc<AtomicUsize>>);

// === impl Cancelled ===

impl Cancelled {
    pub(crate) fn watch(&self) -> Undone {
        Undone(Some(Arc::clone(&self.0)))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

// === impl Undone ===

impl Undone {
    pub(crate) fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Undone {
    fn drop(&mut self) {
        if let Some(count) = &self.0 {
            count.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Takes so long of tokio's paused time, which passes once nothing else can be done.
pub(crate) async fn take(millis: u64) {
    let _ = tokio::time::timeout(Duration::from_millis(millis), std::future::pending::<()>()).await;
}

/// Until every task has done what it can. With tokio's time paused.
pub(crate) async fn settle() {
    take(1).await;
}

/// Many requests at once, each a task of its own.
pub(crate) fn crowd(scene: &Scene, number: usize, path: &str) -> Vec<JoinHandle<Answer>> {
    (0..number).map(|_| tokio::spawn(scene.ask(get(path, &[])))).collect()
}

/// The answers of a crowd, none of which may be missing.
pub(crate) async fn answers(crowd: Vec<JoinHandle<Answer>>) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(crowd.len());
    for one in crowd {
        let answer = tokio::time::timeout(Duration::from_secs(3600), one).await;
        answers.push(answer.expect("everyone is answered").expect("nobody panics"));
    }
    answers
}

/// The texts of answers, each once, in order.
pub(crate) fn texts(answers: &[Answer]) -> Vec<&str> {
    let mut texts: Vec<&str> = answers.iter().map(Answer::text).collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}
