//! A source that is loaded from under the test's eyes, and values of it on each store.

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bartizan::{
    Aside, BoxStore, Memory,
    aside::{EntityKey, Entry, Loaded, Policy},
    clock::TestClock,
    expiry::{EarlyRefresh, Jitter},
};
use parking_lot::Mutex;
use tokio::{sync::Semaphore, task::JoinHandle, time::timeout};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// How long something may take that should happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Numbers = Aside<u64, BoxStore<Entry<u64>>>;
pub(crate) type Answer = Result<Option<Arc<u64>>, bartizan::Error>;

pub(crate) struct Scene {
    pub(crate) numbers: Numbers,
    pub(crate) clock: TestClock,
    pub(crate) source: Source,
    /// Which store it is on.
    pub(crate) on: &'static str,
}

/// What is true, and who asks for it. Loads stop at the gate until the test opens it.
#[derive(Clone, Default)]
pub(crate) struct Source {
    truth: Arc<Mutex<HashMap<u64, u64>>>,
    pub(crate) gate: Gate,
    calls: Arc<AtomicUsize>,
    /// So many of the next loads fail.
    failing: Arc<AtomicUsize>,
}

#[derive(Clone)]
pub(crate) struct Gate {
    arrived: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

/// What a failing source fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Down(pub(crate) usize);

/// Plays a scene on each store.
pub(crate) async fn on_every_store(play: impl AsyncFn(Scene)) {
    play(Scene::new("memory", BoxStore::new(Memory::with_capacity(16 << 20)), TestClock::new())).await;
    #[cfg(feature = "redis")]
    {
        use bartizan::{RedisStore, Tiered};
        let server = crate::support::Server::start().await;
        let store = async |name: &str, clock: &TestClock| {
            let redis = connect(&server.url()).await;
            RedisStore::builder(redis).name(name).clock(clock.clone()).build()
        };
        let clock = TestClock::new();
        play(Scene::new("redis", BoxStore::new(store("far", &clock).await), clock)).await;
        let clock = TestClock::new();
        let tiered = Tiered::new(Memory::with_capacity(16 << 20), store("tiered", &clock).await);
        let scene = Scene::new("tiered", BoxStore::new(tiered.clone()), clock);
        crate::support::eventually("the channel works", PATIENCE, async || {
            scene.numbers.invalidate(("none", 0)).await.unwrap();
            tiered.is_connected().then_some(())
        })
        .await;
        play(scene).await;
    }
}

/// A handle that gives up on no answer, however busy the machine is: what cannot be asked is loaded by everyone.
#[cfg(feature = "redis")]
pub(crate) async fn connect(url: &str) -> bartizan::Redis {
    bartizan::Redis::builder(url).unwrap().deadline(PATIENCE).connect_deadline(PATIENCE).connect().await.unwrap()
}

/// Lifetimes exactly as stated.
pub(crate) fn exact() -> Policy {
    Policy::new().jitter(Jitter::NONE).early_refresh(EarlyRefresh::NEVER)
}

pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Lets everything that can go on without a server do so.
pub(crate) async fn run_others() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// What all of them have, sorted, each once.
pub(crate) async fn values(what: &str, crowd: Vec<JoinHandle<Answer>>) -> Vec<Option<u64>> {
    let mut values = Vec::new();
    for one in crowd {
        let answer = soon(what, one).await.unwrap();
        values.push(answer.unwrap_or_else(|error| panic!("{what}: {error}")).map(|value| *value));
    }
    values.sort_unstable();
    values.dedup();
    values
}

// === impl Scene ===

impl Scene {
    pub(crate) fn new(on: &'static str, store: BoxStore<Entry<u64>>, clock: TestClock) -> Self {
        let numbers = Aside::new(store).policy(exact()).clock(clock.clone());
        Self { numbers, clock, source: Source::default(), on }
    }

    pub(crate) fn in_memory() -> Self {
        Self::new("memory", BoxStore::new(Memory::with_capacity(16 << 20)), TestClock::new())
    }

    /// The same under another policy.
    pub(crate) fn under(self, change: impl FnOnce(Policy) -> Policy) -> Self {
        Self { numbers: self.numbers.under(change), ..self }
    }

    pub(crate) fn set_up(self, change: impl FnOnce(Numbers) -> Numbers) -> Self {
        Self { numbers: change(self.numbers), ..self }
    }

    /// Asks for a number, whose tags are `all` and its own.
    pub(crate) fn ask(&self, id: u64) -> impl Future<Output = Answer> + Send + use<> {
        let (numbers, source) = (self.numbers.clone(), self.source.clone());
        async move { numbers.get_or_load(("number", id), move || source.load(id)).await }
    }

    pub(crate) fn spawn(&self, id: u64) -> JoinHandle<Answer> {
        tokio::spawn(self.ask(id))
    }

    pub(crate) fn crowd(&self, number: usize, id: u64) -> Vec<JoinHandle<Answer>> {
        (0..number).map(|_| self.spawn(id)).collect()
    }

    /// What is answered to who asks now, with the gate open.
    pub(crate) async fn get(&self, id: u64) -> Option<u64> {
        let source = self.source.ungated();
        let asked = self.numbers.get_or_load(("number", id), move || source.load(id));
        soon(self.on, asked).await.unwrap().map(|value| *value)
    }

    /// Whether what is kept answers, and what with.
    pub(crate) async fn kept(&self, id: u64) -> Option<Option<u64>> {
        let loaded = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&loaded);
        // What nobody may see is not kept: it fails.
        let asked = self.numbers.get_or_load(("number", id), move || {
            count.fetch_add(1, Ordering::SeqCst);
            async { Err::<u64, _>(Down(0)) }
        });
        let answer = soon(self.on, asked).await;
        if loaded.load(Ordering::SeqCst) > 0 { None } else { Some(answer.unwrap().map(|value| *value)) }
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }
}

// === impl Source ===

impl Source {
    pub(crate) fn set(&self, id: u64, value: u64) {
        self.truth.lock().insert(id, value);
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn fail(&self, number: usize) {
        self.failing.store(number, Ordering::SeqCst);
    }

    /// The same behind a gate of its own.
    pub(crate) fn regated(&self) -> Self {
        Self { gate: Gate::default(), ..self.clone() }
    }

    /// The same, through which loads go without a stop.
    pub(crate) fn ungated(&self) -> Self {
        let source = self.regated();
        source.gate.open(1000);
        source
    }

    /// Reads at once, however long the answer takes.
    pub(crate) fn load(self, id: u64) -> Pin<Box<dyn Future<Output = Result<Loaded<u64>, Down>> + Send>> {
        Box::pin(async move {
            Ok(self.load_all(vec![id]).await?.pop().map_or_else(Loaded::absent, |(_, found)| found).tag("all"))
        })
    }

    pub(crate) async fn load_all(self, ids: Vec<u64>) -> Result<Vec<(u64, Loaded<u64>)>, Down> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let read: Vec<_> = {
            let truth = self.truth.lock();
            ids.iter().filter_map(|id| Some((*id, *truth.get(id)?))).collect()
        };
        self.gate.pass().await;
        let fails = self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if fails {
            return Err(Down(number));
        }
        Ok(read
            .into_iter()
            .map(|(id, value)| (id, Loaded::new(value).tag("all").tag(format!("number:{id}"))))
            .collect())
    }
}

// === impl Gate ===

impl Gate {
    async fn pass(&self) {
        self.arrived.add_permits(1);
        self.open.acquire().await.expect("gates are not closed").forget();
    }

    /// Waits until so many more loads have come.
    pub(crate) async fn arrived(&self, number: u32) {
        soon("loads begin", self.arrived.acquire_many(number)).await.expect("gates are not closed").forget();
    }

    /// Lets so many loads on, those to come included.
    pub(crate) fn open(&self, number: usize) {
        self.open.add_permits(number);
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self { arrived: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the source is down, call {}", self.0)
    }
}

impl Error for Down {}

/// The key of a number.
pub(crate) fn number(id: &u64) -> EntityKey {
    EntityKey::new("number", id)
}
