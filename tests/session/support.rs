//! The scene: a store that counts what it is asked and fails on demand, a layer, a clock wound by hand, and browsers.

use std::{
    cell::RefCell,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bartizan::{
    Error, MemorySessions, Session, SessionLayer,
    clock::TestClock,
    session::{
        Principal, RecordId, SessionStore,
        changes::Changes,
        contract::{Applied, Condition, Creation, Destroyed, Listed, Loaded, NewRecord},
        record::Generation,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::Full;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tower::{Layer, ServiceExt, service_fn};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) struct Scene {
    pub(crate) clock: TestClock,
    pub(crate) store: Watched,
    pub(crate) layer: SessionLayer,
}

/// A store under watch.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) memory: MemorySessions,
    calls: Arc<AtomicU64>,
    is_down: Arc<AtomicBool>,
    is_slow: Arc<AtomicBool>,
}

/// Holds the session cookie, as a browser does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Browser {
    pub(crate) pair: Option<String>,
}

/// A response, and what its handler made.
pub(crate) struct Visit<T> {
    pub(crate) response: Response<Full<Bytes>>,
    pub(crate) made: Option<T>,
}

/// A request that stops where its handler waits for the word to go on.
pub(crate) struct Underway<'a> {
    future: Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + 'a>>,
    go_on: Option<oneshot::Sender<()>>,
}

// === impl Scene ===

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(|layer| layer)
    }

    pub(crate) fn with(set: impl FnOnce(SessionLayer) -> SessionLayer) -> Self {
        Self::over(MemorySessions::new(), set)
    }

    pub(crate) fn over(memory: MemorySessions, set: impl FnOnce(SessionLayer) -> SessionLayer) -> Self {
        let clock = TestClock::new();
        let memory = memory.clock(clock.clone());
        let store = Watched { memory, calls: Arc::default(), is_down: Arc::default(), is_slow: Arc::default() };
        let layer = set(SessionLayer::new(store.clone()));
        Self { clock, store, layer }
    }

    /// A request of `browser` that `handler` answers, from its beginning to its end.
    pub(crate) async fn visit<T>(&self, browser: &mut Browser, handler: impl AsyncFnOnce(Session) -> T) -> Visit<T> {
        let visit = self.send(browser.request(), handler).await;
        browser.receive(&visit.response);
        visit
    }

    /// The same, for what is made alone.
    pub(crate) async fn on<T>(&self, browser: &mut Browser, handler: impl AsyncFnOnce(Session) -> T) -> T {
        let visit = self.visit(browser, handler).await;
        assert_eq!(visit.response.status(), StatusCode::OK, "the session was saved");
        visit.made.expect("the handler was called")
    }

    pub(crate) async fn send<T>(
        &self,
        request: Request<Full<Bytes>>,
        handler: impl AsyncFnOnce(Session) -> T,
    ) -> Visit<T> {
        let (handler, made) = (RefCell::new(Some(handler)), RefCell::new(None));
        let inner = service_fn(async |request: Request<Full<Bytes>>| {
            let session = Session::of(request.extensions()).expect("the layer is around it").clone();
            let handler = handler.borrow_mut().take().expect("one call");
            let answer = handler(session).await;
            *made.borrow_mut() = Some(answer);
            Ok::<_, Infallible>(Response::new(Full::from("page")))
        });
        let Ok(response) = self.layer.layer(inner).oneshot(request).await;
        Visit { response, made: made.into_inner() }
    }

    /// A request of `browser` whose session is loaded, and which `act` then waits to use.
    pub(crate) fn begin<'a>(
        &'a self,
        browser: &Browser,
        act: impl AsyncFnOnce(Session) -> Result<(), Error> + 'a,
    ) -> Underway<'a> {
        let (go_on, word) = oneshot::channel();
        let request = browser.request();
        let future = Box::pin(async move {
            let handler = async |session: Session| {
                session.get::<u32>("anything").await?;
                word.await.ok();
                act(session).await
            };
            self.send(request, handler).await.response
        });
        let mut underway = Underway { future, go_on: Some(go_on) };
        assert!(underway.poll().is_none(), "the handler waits for the word");
        underway
    }

    pub(crate) fn id(&self, browser: &Browser) -> RecordId {
        let pair = browser.pair.as_deref().expect("the browser has a cookie");
        let (_, text) = pair.split_once('=').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&text[..86]).unwrap();
        RecordId::from_bytes(Sha256::digest(&bytes[..32]).into())
    }

    pub(crate) async fn is_there(&self, id: &RecordId) -> bool {
        self.store.memory.load(id).await.unwrap().is_some()
    }
}

// === impl Browser ===

impl Browser {
    pub(crate) fn with(pair: &str) -> Self {
        Self { pair: Some(pair.to_owned()) }
    }

    pub(crate) fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::get("/").body(Full::default()).unwrap();
        if let Some(pair) = &self.pair {
            request.headers_mut().insert(header::COOKIE, pair.parse().unwrap());
        }
        request
    }

    pub(crate) fn receive<B>(&mut self, response: &Response<B>) {
        if let Some(line) = set_cookie(response.headers()) {
            let pair = line.split(';').next().unwrap().to_owned();
            self.pair = Some(pair).filter(|_| !line.contains("Max-Age=0"));
        }
    }
}

pub(crate) fn set_cookie(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(header::SET_COOKIE).into_iter();
    let line = lines.next()?;
    assert!(lines.next().is_none(), "one cookie at the most");
    Some(line.to_str().unwrap().to_owned())
}

// === impl Underway ===

impl Underway<'_> {
    /// Lets it act and save.
    pub(crate) fn end(mut self) -> Response<Full<Bytes>> {
        self.go_on.take().unwrap().send(()).ok();
        self.poll().expect("nothing else is waited for")
    }

    fn poll(&mut self) -> Option<Response<Full<Bytes>>> {
        match self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(response) => Some(response),
            Poll::Pending => None,
        }
    }
}

// === impl Watched ===

impl Watched {
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Each answer is waited for, once all is done.
    pub(crate) fn slow(&self, is_slow: bool) {
        self.is_slow.store(is_slow, Ordering::SeqCst);
    }

    async fn answer<T>(&self, answer: T) -> T {
        if self.is_slow.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        answer
    }

    fn call(&self) -> Result<&MemorySessions, Error> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            return Err(Error::unavailable("the store is down", "as the test wants it"));
        }
        Ok(&self.memory)
    }
}

impl SessionStore for Watched {
    fn field_bytes(&self) -> usize {
        self.memory.field_bytes()
    }

    async fn create(&self, new: NewRecord) -> Result<Creation, Error> {
        self.call()?.create(new).await
    }

    async fn load(&self, id: &RecordId) -> Result<Option<Loaded>, Error> {
        self.answer(self.call()?.load(id).await).await
    }

    async fn apply(&self, id: &RecordId, generation: Generation, changes: Changes) -> Result<Applied, Error> {
        self.call()?.apply(id, generation, changes).await
    }

    async fn destroy(&self, id: &RecordId) -> Result<bool, Error> {
        self.call()?.destroy(id).await
    }

    async fn destroy_if(&self, id: &RecordId, condition: Condition) -> Result<Destroyed, Error> {
        self.answer(self.call()?.destroy_if(id, condition).await).await
    }

    async fn list(&self, principal: &Principal) -> Result<Vec<Listed>, Error> {
        self.call()?.list(principal).await
    }

    async fn destroy_all(&self, principal: &Principal, except: Option<RecordId>) -> Result<usize, Error> {
        self.call()?.destroy_all(principal, except).await
    }
}
