//! What a program holds.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use super::{
    codec::{Codec, Postcard},
    counters::{Counters, Counts},
    entry::Entry,
    key::EntityKey,
    policy::{Policy, Standing},
};
use crate::{
    clock::{Clock, SystemClock, Timestamp},
    error::Error,
    store::{
        Kept, Key, Primary, Seed, Store, Tag, Value,
        fetch::{Fetch, Limits},
    },
};

/// Keeps values of one type in front of what they are loaded from. Clones are handles of the same cache.
///
/// What is set by a method that takes it by value, other than the [`policy`](Self::policy), is set before it is used:
/// it begins the cache anew, without counts, and without those who wait.
///
/// See the [module](crate::aside).
pub struct Aside<V, S, C = Postcard> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) policy: Policy,
    kind: PhantomData<fn() -> (V, C)>,
}

pub(super) struct Shared<S> {
    pub(super) fetch: Fetch<S>,
    pub(super) counts: Counts,
    seed: Seed,
    plan: Plan,
}

/// What the setters set that is the same for all calls.
#[derive(Clone)]
struct Plan {
    clock: Arc<dyn Clock>,
    limits: Limits,
    schema: u32,
}

/// What was kept when somebody looked, and what it was to them.
pub(super) type Seen<V, C> = Option<(Standing, Kept<Entry<V, C>>)>;

// === impl Aside ===

impl<V, S: Store<Entry<V>>> Aside<V, S>
where
    V: Send + Sync + 'static,
{
    /// A cache over `store`, with the defaults of [`Policy`]; its values are written in [`Postcard`].
    ///
    /// ```
    /// use bartizan::{Aside, Memory};
    ///
    /// let names: Aside<String, _> = Aside::new(Memory::with_capacity(16 << 20));
    /// ```
    pub fn new(store: S) -> Self {
        Self::with_codec(store)
    }
}

impl<V, S, C> Aside<V, S, C>
where
    V: Send + Sync + 'static,
    S: Store<Entry<V, C>>,
    C: Codec,
{
    /// The same with values written by the codec `C`.
    pub fn with_codec(store: S) -> Self {
        let plan = Plan {
            clock: Arc::new(SystemClock),
            limits: Limits {
                wait: Duration::from_secs(10),
                turns: 16,
                detached: 256,
                detached_time: Duration::from_secs(30),
            },
            schema: 0,
        };
        Self { shared: plan.carry_out::<Entry<V, C>, S>(store), policy: Policy::new(), kind: PhantomData }
    }

    /// For how long values are good, and how long callers wait.
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The same cache under another policy: for a single call, or for a part of the program.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bartizan::{Aside, Memory};
    /// # async fn doc(names: Aside<String, Memory<bartizan::aside::Entry<String>>>) -> Result<(), bartizan::Error> {
    /// # async fn ask() -> Result<String, std::io::Error> { Ok(String::new()) }
    /// let briefly = names.under(|policy| policy.ttl(Duration::from_secs(1)));
    /// let name = briefly.get_or_load(("user", 42), ask).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn under(&self, change: impl FnOnce(Policy) -> Policy) -> Self {
        Self { shared: Arc::clone(&self.shared), policy: change(self.policy), kind: PhantomData }
    }

    /// The time. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        self.change(|plan| plan.clock = Arc::new(clock))
    }

    /// Which form `V` has. Raise it when the type changes, where other processes or their past share the store: values
    /// of another schema are not found, and yet removed together with those of this one. Default: 0.
    #[must_use]
    pub fn schema(self, number: u32) -> Self {
        self.change(|plan| plan.schema = number)
    }

    /// How long a caller waits for another's load before it tries for a turn of its own, and how long for that. Default:
    /// 10 s.
    #[must_use]
    pub fn wait_limit(self, limit: Duration) -> Self {
        self.change(|plan| plan.limits.wait = limit)
    }

    /// How many callers for one key load at once where the load that they waited for came to nothing. At least 1;
    /// default 16.
    #[must_use]
    pub fn failing_concurrency(self, turns: usize) -> Self {
        self.change(|plan| plan.limits.turns = turns.max(1))
    }

    /// How many loads and writes may go on at once without their caller, each key of a batch being one, and for how long
    /// each. Default: 256, for 30 s.
    ///
    /// Beyond the limits a load is dropped, and one of those who wait for it loads.
    #[must_use]
    pub fn detached_loads(self, number: usize, time: Duration) -> Self {
        self.change(|plan| (plan.limits.detached, plan.limits.detached_time) = (number, time))
    }

    /// Removes a value, or that there is none. No call that begins after this has returned is answered with what was
    /// kept, or was being loaded, before: change the source first, then invalidate.
    ///
    /// # Errors
    ///
    /// When the store could not be told; the value may then still be found. A store that others share tells it later.
    ///
    /// # Cancellation
    ///
    /// It may be removed or not.
    pub async fn invalidate(&self, key: impl Into<EntityKey>) -> Result<(), Error> {
        let key = self.key(&key.into());
        self.shared.fetch.store().remove(key.primary()).await
    }

    /// Removes all that was loaded with this tag, in the whole store. Otherwise as [`invalidate`](Self::invalidate).
    ///
    /// # Errors
    ///
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_tag(&self, tag: impl Into<Tag>) -> Result<(), Error> {
        self.shared.fetch.store().remove_tagged(tag.into()).await
    }

    /// Removes all that is in the store, whoever keeps it there. Otherwise as [`invalidate`](Self::invalidate).
    ///
    /// # Errors
    ///
    /// As [`invalidate`](Self::invalidate).
    pub async fn invalidate_all(&self) -> Result<(), Error> {
        self.shared.fetch.store().clear().await
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.shared.counts.snapshot(self.shared.fetch.store().usage())
    }

    /// Waits for the loads and writes that go on without their caller. For shutdown, and for tests.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the waiting, and nothing else.
    pub async fn drain(&self) {
        self.shared.fetch.drain().await;
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.plan.clock.now()
    }

    /// The resource is the value in whatever form; the form is a variant, so that one removal finds all.
    pub(super) fn key(&self, name: &EntityKey) -> Key {
        let mut hasher = self.shared.seed.hasher();
        hasher.field_of_kind(KIND, name.as_str().as_bytes());
        let form = u128::from(C::ID) << 32 | u128::from(self.shared.plan.schema);
        Key::new(Primary::from(hasher.finish())).with_variant(form)
    }

    pub(super) fn look(&self, key: &Key, now: Timestamp) -> Seen<V, C> {
        let kept = self.shared.fetch.store().get_now(key)?;
        Some((self.standing(&kept, now), kept))
    }

    #[inline]
    pub(super) fn standing(&self, kept: &Kept<Entry<V, C>>, now: Timestamp) -> Standing {
        if kept.is_failed() {
            return Standing::Dead;
        }
        self.policy.standing((kept.fresh_until(), kept.keep_until()), kept.cost(), now, rand::random)
    }

    fn change(self, change: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = self.shared.plan.clone();
        change(&mut plan);
        Self { shared: plan.carry_out::<Entry<V, C>, S>(self.shared.fetch.store().clone()), ..self }
    }
}

/// Sets the names of values apart from those of responses in the same store.
const KIND: u8 = b'a';

impl<V, S, C> Clone for Aside<V, S, C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), policy: self.policy, kind: PhantomData }
    }
}

impl<V, S: fmt::Debug, C> fmt::Debug for Aside<V, S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aside")
            .field("store", self.shared.fetch.store())
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

// === impl Plan ===

impl Plan {
    fn carry_out<E: Value, S: Store<E>>(self, store: S) -> Arc<Shared<S>> {
        let (seed, fetch) = (store.seed(), Fetch::new(store, self.limits));
        Arc::new(Shared { fetch, counts: Counts::default(), seed, plan: self })
    }
}
