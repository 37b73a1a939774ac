//! The layer: what is the same for every request, made once.

use std::{fmt, sync::Arc};

use http::request::Parts;
use tower_layer::Layer;

use super::{
    answer::Fields,
    contract::Limiter,
    counters::{Counts, RateLimitCounters},
    failing::Failing,
    memory::MemoryLimiter,
    policy::Policy,
    refusal::{Refusal, Reject},
    service::RateLimit,
    shaping::{Queues, Shaping},
};

/// Refuses requests that are more than a limit allows.
///
/// One layer has one policy or several, from all of which a request must be allowed: it is counted by all of them or by none. Routes
/// that want other limits have layers of their own; over one limiter, policies of the same name share their counts.
///
/// A clone is the same layer, with the same counts.
pub struct RateLimitLayer<L = MemoryLimiter> {
    /// One pointer, since routers clone their layers; a change of the plan begins it anew.
    shared: Arc<Shared<L>>,
}

/// Reads what a [`RateLimitLayer`] has done.
pub struct RateLimitHandle<L> {
    shared: Arc<Shared<L>>,
}

/// What the services and handles of a layer share.
pub(super) struct Shared<L> {
    pub(super) limiter: L,
    pub(super) plan: Plan,
    pub(super) fields: Fields,
    /// Counts for itself while the limiter cannot be asked.
    pub(super) alone: Option<MemoryLimiter>,
    pub(super) queues: Option<Queues>,
    /// Some functions of the program's own look at requests.
    pub(super) reads_parts: bool,
    /// Some requests wait for their turn, or some responses say what they cost.
    pub(super) waits: bool,
    pub(super) counts: Counts,
}

/// What the layer's setters set.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) policies: Vec<Policy>,
    pub(super) exempt: Option<Arc<dyn Fn(&Parts) -> bool + Send + Sync>>,
    pub(super) failing: Failing,
    pub(super) shadow: bool,
    pub(super) told: Told,
    pub(super) reject: Option<Arc<Reject>>,
    shaping: Option<Shaping>,
}

/// Which fields an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) standard: bool,
    pub(super) legacy: bool,
}

// === impl RateLimitLayer ===

impl RateLimitLayer {
    /// Limits by `policy`, counted in the memory of this process: a [`MemoryLimiter`] of its own.
    ///
    /// # Panics
    ///
    /// When the policy has a burst and its algorithm none.
    pub fn new(policy: impl Into<Policy>) -> Self {
        Self::over(MemoryLimiter::new(), policy)
    }
}

impl<L: Limiter> RateLimitLayer<L> {
    /// Limits by `policy`, counted by `limiter`.
    ///
    /// # Panics
    ///
    /// When the policy has a burst and its algorithm none.
    pub fn over(limiter: L, policy: impl Into<Policy>) -> Self {
        let plan = Plan {
            policies: Vec::new(),
            exempt: None,
            failing: Failing::default(),
            shadow: false,
            told: Told { standard: true, legacy: false },
            reject: None,
            shaping: None,
        };
        Self { shared: plan.carry_out(limiter) }.and(policy)
    }

    /// Limits by `policy`, too.
    ///
    /// # Panics
    ///
    /// When another policy has its name, or when it has a burst and its algorithm none.
    #[must_use]
    pub fn and(self, policy: impl Into<Policy>) -> Self {
        let policy = policy.into();
        policy.check();
        let twice = self.shared.plan.policies.iter().any(|other| other.name() == policy.name());
        assert!(!twice, "two policies of a layer are both called {:?}", policy.name());
        self.change(|plan| plan.policies.push(policy))
    }

    /// Lets such requests through without counting them. The default is none.
    #[must_use]
    pub fn exempt(self, such: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.change(|plan| plan.exempt = Some(Arc::new(such)))
    }

    /// What becomes of requests while the limiter cannot be asked. The default is a [share](Failing::Share) of one: this process
    /// counts for itself.
    #[must_use]
    pub fn when_failing(self, failing: Failing) -> Self {
        self.change(|plan| plan.failing = failing)
    }

    /// Counts, and refuses nobody: to see what a limit would do. Answers tell nothing of it; the [counters](RateLimitHandle::counters)
    /// do, and an event for each request that would have been refused.
    #[must_use]
    pub fn shadow(self) -> Self {
        self.change(|plan| plan.shadow = true)
    }

    /// Lets requests wait for their turn that would be refused. The default is that they are refused at once.
    ///
    /// Whoever waits holds a connection and memory, so bound them further out.
    #[must_use]
    pub fn shape(self, shaping: Shaping) -> Self {
        self.change(|plan| plan.shaping = Some(shaping))
    }

    /// Whether answers have `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10). The default is that they have.
    /// `Retry-After` is in every refusal, if there is a time at all.
    #[must_use]
    pub fn fields(self, told: bool) -> Self {
        self.change(|plan| plan.told.standard = told)
    }

    /// Whether answers have `X-RateLimit-Limit`, `-Remaining` and `-Reset` (in seconds from now) of the policy that has the least left. The
    /// default is that they have not.
    #[must_use]
    pub fn legacy_fields(self, told: bool) -> Self {
        self.change(|plan| plan.told.legacy = told)
    }

    /// Answers those who are refused. The default is [`Refusal::respond`]. Whatever it answers, the
    /// fields that tell of limits are added.
    #[must_use]
    pub fn reject(self, reject: impl Fn(&Refusal<'_>) -> http::Response<bytes::Bytes> + Send + Sync + 'static) -> Self {
        self.change(|plan| plan.reject = Some(Arc::new(reject)))
    }

    /// A handle on this layer and its clones. Later changes of the layer make another.
    pub fn handle(&self) -> RateLimitHandle<L> {
        RateLimitHandle { shared: Arc::clone(&self.shared) }
    }

    fn change(self, change: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = self.shared.plan.clone();
        change(&mut plan);
        Self { shared: plan.carry_out(self.shared.limiter.clone()) }
    }
}

impl<S, L> Layer<S> for RateLimitLayer<L> {
    type Service = RateLimit<S, L>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimit::new(inner, Arc::clone(&self.shared))
    }
}

impl<L> Clone for RateLimitLayer<L> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<L> fmt::Debug for RateLimitLayer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer").field("policies", &self.shared.plan.policies).finish_non_exhaustive()
    }
}

// === impl RateLimitHandle ===

impl<L: Limiter> RateLimitHandle<L> {
    /// What the layer has done since it was made.
    pub fn counters(&self) -> RateLimitCounters {
        self.shared.counts.read()
    }

    /// Where it counts.
    pub fn limiter(&self) -> &L {
        &self.shared.limiter
    }
}

impl<L> Clone for RateLimitHandle<L> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<L> fmt::Debug for RateLimitHandle<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitHandle").field("counters", &self.shared.counts.read()).finish_non_exhaustive()
    }
}

// === impl Plan ===

impl Plan {
    fn carry_out<L>(self, limiter: L) -> Arc<Shared<L>> {
        let alone = matches!(self.failing, Failing::Share { .. }).then(|| MemoryLimiter::with_capacity(8 << 20));
        Arc::new(Shared {
            limiter,
            fields: Fields::new(&self.policies),
            alone,
            queues: self.shaping.map(Queues::new),
            reads_parts: self.exempt.is_some() || self.policies.iter().any(Policy::reads_parts),
            waits: self.shaping.is_some() || self.policies.iter().any(Policy::settles),
            counts: Counts::default(),
            plan: self,
        })
    }
}
