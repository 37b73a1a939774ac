//! The layer: what is the same for every request, made once.

use std::{fmt, sync::Arc, time::Duration};

use http::request::Parts;
use tower_layer::Layer;

use super::{
    budget::Budget,
    counters::Counts,
    handle::CacheHandle,
    rules::Rules,
    service::Cache,
    status::{CacheStatus, Labels},
    stored::Stored,
};
use crate::{
    clock::{Clock, SystemClock},
    store::{
        Seed, Store,
        fetch::{Fetch, Limits},
    },
};

/// Caches the responses of the service it wraps.
///
/// One layer is one set of rules over a store; routes that want other rules have layers of their own over the same
/// store. A clone is the same cache.
pub struct CacheLayer<T> {
    /// One pointer, since routers clone their layers; a change of the plan begins it anew.
    shared: Arc<Shared<T>>,
}

/// What the services and handles of a layer share.
pub(crate) struct Shared<T> {
    pub(crate) fetch: Fetch<T>,
    pub(crate) seed: Seed,
    pub(crate) plan: Plan,
    pub(crate) labels: Labels,
    pub(crate) counts: Counts,
    pub(crate) budget: Budget,
}

/// What the layer's setters set.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rules: RuleSource,
    name: Box<str>,
    told: CacheStatus,
    limits: Limits,
    fill_bytes: u64,
}

/// Where a request's rules come from.
#[derive(Clone)]
pub(crate) enum RuleSource {
    Constant(Rules),
    Computed(Arc<dyn Fn(&Parts) -> Rules + Send + Sync>),
}

// === impl CacheLayer ===

impl<T: Store<Stored>> CacheLayer<T> {
    /// Caches what handlers declare cacheable, and nothing else.
    pub fn new(store: T) -> Self {
        let plan = Plan {
            clock: Arc::new(SystemClock),
            rules: RuleSource::Constant(Rules::new()),
            name: Labels::DEFAULT_NAME.into(),
            told: CacheStatus::new(),
            limits: Limits {
                wait: Duration::from_secs(10),
                turns: 16,
                detached: 256,
                detached_time: Duration::from_secs(30),
            },
            fill_bytes: 64 << 20,
        };
        Self { shared: plan.carry_out(store) }
    }

    /// How long a response is fresh that does not say so itself. Short for [`Rules::default_ttl`] in
    /// [`rules`](Self::rules).
    ///
    /// # Panics
    ///
    /// When the rules are computed: say it there.
    #[must_use]
    pub fn default_ttl(self, ttl: Duration) -> Self {
        let rules = match &self.shared.plan.rules {
            RuleSource::Constant(rules) => rules.clone().default_ttl(ttl),
            RuleSource::Computed(_) => panic!("rules computed from the request say their own default TTL"),
        };
        self.rules(rules)
    }

    /// The same rules for every request.
    #[must_use]
    pub fn rules(self, rules: Rules) -> Self {
        self.change(|plan| plan.rules = RuleSource::Constant(rules))
    }

    /// Rules computed from a request's head. They are asked for on every request: make them once and clone.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bartizan::{CacheLayer, Memory, Rules};
    ///
    /// let pages = Rules::new().default_ttl(Duration::from_secs(60));
    /// let layer = CacheLayer::new(Memory::with_capacity(1 << 20)).rules_by(move |parts| {
    ///     if parts.uri.path().starts_with("/admin") { Rules::bypass() } else { pages.clone() }
    /// });
    /// ```
    #[must_use]
    pub fn rules_by(self, rules: impl Fn(&Parts) -> Rules + Send + Sync + 'static) -> Self {
        self.change(|plan| plan.rules = RuleSource::Computed(Arc::new(rules)))
    }

    /// The time. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        self.change(|plan| plan.clock = Arc::new(clock))
    }

    /// How the cache names itself in `Cache-Status`. Default: `bartizan`.
    ///
    /// # Panics
    ///
    /// When `name` is not a token as of RFC 9651, 3.3.4.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        self.change(|plan| plan.name = name.into())
    }

    /// What the cache tells in `Cache-Status` beyond how a request was answered. Default: nothing.
    #[must_use]
    pub fn cache_status(self, told: CacheStatus) -> Self {
        self.change(|plan| plan.told = told)
    }

    /// How long a request waits for the response to another's before it tries for a turn of its own, and how long it
    /// waits for that turn before it goes anyway. Default: 10 s.
    #[must_use]
    pub fn wait_limit(self, limit: Duration) -> Self {
        self.change(|plan| plan.limits.wait = limit)
    }

    /// How many requests for one key go to the inner service at once where the one they waited for failed. At least 1;
    /// default 16.
    #[must_use]
    pub fn failing_concurrency(self, turns: usize) -> Self {
        self.change(|plan| plan.limits.turns = turns.max(1))
    }

    /// How many fills may go on at once after their client left, and for how long each: until the head of the response
    /// is there, and as long again for its body. Default: 256, for 30 s.
    ///
    /// Beyond the limits a fill is cancelled with its client, and one of those who wait for it leads.
    #[must_use]
    pub fn detached_fills(self, number: usize, time: Duration) -> Self {
        self.change(|plan| (plan.limits.detached, plan.limits.detached_time) = (number, time))
    }

    /// How many bytes of bodies all fills of this layer may have collected at once, those included that are stored
    /// while their client still reads. Default: 64 MiB.
    ///
    /// Beyond that, bodies are delivered and not stored.
    #[must_use]
    pub fn fill_bytes(self, bytes: u64) -> Self {
        self.change(|plan| plan.fill_bytes = bytes)
    }

    /// A handle to purge, count and drain with. It belongs to the layer as it is now: take it once all is set.
    pub fn handle(&self) -> CacheHandle<T> {
        CacheHandle::new(Arc::clone(&self.shared))
    }

    fn change(self, change: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = self.shared.plan.clone();
        change(&mut plan);
        Self { shared: plan.carry_out(self.shared.fetch.store().clone()) }
    }
}

impl<S, T> Layer<S> for CacheLayer<T> {
    type Service = Cache<S, T>;

    fn layer(&self, inner: S) -> Cache<S, T> {
        Cache::new(inner, Arc::clone(&self.shared))
    }
}

impl<T> Clone for CacheLayer<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T: fmt::Debug> fmt::Debug for CacheLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer")
            .field("store", self.shared.fetch.store())
            .field("name", &self.shared.plan.name)
            .field("rules", &self.shared.plan.rules)
            .finish_non_exhaustive()
    }
}

// === impl Plan ===

impl Plan {
    fn carry_out<T: Store<Stored>>(self, store: T) -> Arc<Shared<T>> {
        Arc::new(Shared {
            seed: store.seed(),
            fetch: Fetch::new(store, self.limits),
            labels: Labels::new(&self.name, self.told),
            counts: Counts::default(),
            budget: Budget::new(self.fill_bytes),
            plan: self,
        })
    }
}

impl fmt::Debug for RuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(rules) => rules.fmt(f),
            Self::Computed(_) => f.write_str("computed"),
        }
    }
}
