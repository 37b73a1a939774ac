//! The two tiers as one store.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use super::{lease::TieredLease, trust::Trust};
use crate::{
    clock::Moment,
    error::Error,
    observe::event,
    redis::Redis,
    store::{
        contract::{Leased, Store, Usage, Value, Wait, Woken},
        kept::{Kept, Tag, Version},
        key::{Key, Primary, Seed},
        memory::{Memory, MemoryLease, Origin},
        redis::{Name, Near, RedisLease, RedisStore},
        wire::Wire,
    },
};

/// A [`Memory`] in front of a [`RedisStore`], kept true by a channel of removals. Clones are handles of the same store.
///
/// See the [module](crate::store::tiered).
pub struct Tiered<V>(Arc<Shared<V>>);

struct Shared<V> {
    near: Arc<Believed<V>>,
    far: RedisStore,
}

/// What is near, and whether it may be believed.
struct Believed<V> {
    memory: Memory<V>,
    trust: Trust,
}

/// Asks Redis and waits for another process, for all in this one. Dropped, another of those does.
struct Waiting<V: Value>(Option<MemoryLease<V>>);

// === impl Tiered ===

impl<V: Wire> Tiered<V> {
    /// `near` in front of `far`. What is seen of something removed elsewhere is seen for one second at the most.
    pub fn new(near: Memory<V>, far: impl Into<RedisStore>) -> Self {
        Self::with_staleness_bound(near, far, Duration::from_secs(1))
    }

    /// With another bound. Each process writes to each bucket four times within it.
    ///
    /// # Panics
    ///
    /// When it is under 20 ms.
    pub fn with_staleness_bound(near: Memory<V>, far: impl Into<RedisStore>, bound: Duration) -> Self {
        assert!(bound >= Duration::from_millis(20), "what memory is believed for is at least 20 ms");
        let near = Arc::new(Believed { memory: near, trust: Trust::new(bound) });
        let weak: Weak<Believed<V>> = Arc::downgrade(&near);
        let far = far.into().behind(weak, bound);
        Self(Arc::new(Shared { near, far }))
    }

    /// For how long after a removal has returned another process may serve what was removed, at the most.
    pub fn staleness_bound(&self) -> Duration {
        self.0.near.trust.bound()
    }

    /// Whether the channel of removals works, so that memory is believed beyond the bound.
    pub fn is_connected(&self) -> bool {
        !self.0.near.trust.is_alone() && self.0.near.trust.holds(Moment::now())
    }

    /// The handle on Redis. [`Redis::breaker`] says whether it is asked at all.
    pub fn redis(&self) -> &Redis {
        self.0.far.redis()
    }

    pub(super) fn near(&self) -> &Memory<V> {
        &self.0.near.memory
    }

    /// What was read no earlier than `since`, as it may be kept near: for no longer than the bound, if Redis may not have heard
    /// of it (it `is_stray`), or cannot tell us of removals.
    pub(super) fn nearby(&self, kept: Kept<V>, since: Moment, is_stray: bool) -> Kept<V> {
        let trust = &self.0.near.trust;
        if is_stray || trust.is_alone() { kept.lapsing(since.plus(trust.bound())) } else { kept }
    }

    /// Asks Redis, with the right to fill near.
    async fn lease_far(&self, key: Key, seen: Option<Version>, near: MemoryLease<V>) -> Leased<V, TieredLease<V>> {
        let (since, waiting) = (Moment::now(), Waiting(Some(near)));
        match Store::<V>::lease(&self.0.far, key, seen).await {
            Ok(Leased::Found(kept)) => Leased::Found(self.keep(waiting.over(), (kept, Origin::Present), since)),
            Ok(Leased::Won(far)) => Leased::Won(self.to_fill(waiting.over(), Some(far))),
            Ok(Leased::Busy(wait)) => {
                let store = self.clone();
                Leased::Busy(Wait::new(async move {
                    let woken = wait.await;
                    let near = waiting.over();
                    match woken {
                        Woken::Found(kept) => Woken::Found(store.keep(near, (kept, Origin::Made), since)),
                        Woken::Present(kept) => Woken::Present(store.keep(near, (kept, Origin::Present), since)),
                        Woken::Won(far) => Woken::Won(store.to_fill(near, Some(far))),
                        Woken::Alone(ending) => {
                            near.disband_now(ending);
                            Woken::Alone(ending)
                        }
                    }
                }))
            }
            Err(_error) => {
                event!(error = %_error, "Redis could not be asked for a lease");
                Leased::Won(self.to_fill(waiting.over(), None))
            }
        }
    }

    /// The right to fill with what is read from now on.
    fn to_fill(&self, near: MemoryLease<V>, far: Option<RedisLease>) -> TieredLease<V> {
        TieredLease::new(self.clone(), near, far, Moment::now())
    }

    fn keep(&self, near: MemoryLease<V>, (kept, origin): (Kept<V>, Origin), since: Moment) -> Kept<V> {
        let kept = self.nearby(kept, since, false);
        near.keep(&kept, origin);
        kept
    }

    async fn follow(self, key: Key, seen: Option<Version>, wait: Wait<V, MemoryLease<V>>) -> Woken<V, TieredLease<V>> {
        match wait.await {
            Woken::Found(kept) => Woken::Found(kept),
            Woken::Present(kept) => Woken::Present(kept),
            Woken::Alone(ending) => Woken::Alone(ending),
            // Who led in this process vanished; it may have led for all, or waited for another.
            Woken::Won(near) => match self.lease_far(key, seen, near).await {
                Leased::Found(kept) => Woken::Present(kept),
                Leased::Won(lease) => Woken::Won(lease),
                Leased::Busy(wait) => wait.await,
            },
        }
    }
}

impl<V: Wire> Store<V> for Tiered<V> {
    type Lease = TieredLease<V>;

    fn seed(&self) -> Seed {
        Seed::public()
    }

    #[inline]
    fn get_now(&self, key: &Key) -> Option<Kept<V>> {
        let near = &self.0.near;
        let now = Moment::now();
        if !near.trust.holds(now) {
            return None;
        }
        near.memory.get_now(key).filter(|kept| !kept.has_lapsed(now))
    }

    async fn lease(&self, key: Key, seen: Option<Version>) -> Result<Leased<V, TieredLease<V>>, Error> {
        let near = &self.0.near;
        self.0.far.tend();
        let now = Moment::now();
        near.trust.settle(now, || near.memory.clear_now());
        if let Some(kept) = near.memory.get_now(&key)
            && kept.has_lapsed(now)
        {
            near.memory.give_up(&key, kept.version());
        }
        Ok(match near.memory.lease(key, seen).await? {
            Leased::Found(kept) => Leased::Found(kept),
            Leased::Won(lease) => self.lease_far(key, seen, lease).await,
            Leased::Busy(wait) => Leased::Busy(Wait::new(self.clone().follow(key, seen, wait))),
        })
    }

    // What is near is removed by what is far, whichever way that goes.

    async fn remove(&self, primary: Primary) -> Result<(), Error> {
        Store::<V>::remove(&self.0.far, primary).await
    }

    async fn remove_tagged(&self, tag: Tag) -> Result<(), Error> {
        Store::<V>::remove_tagged(&self.0.far, tag).await
    }

    async fn clear(&self) -> Result<(), Error> {
        Store::<V>::clear(&self.0.far).await
    }

    /// What is near.
    fn usage(&self) -> Usage {
        self.near().usage().shared(self.staleness_bound(), self.is_connected())
    }
}

impl<V> Clone for Tiered<V> {
    #[inline]
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V> fmt::Debug for Tiered<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiered").field("near", &self.0.near.memory).field("far", &self.0.far).finish_non_exhaustive()
    }
}

// === impl Waiting ===

impl<V: Value> Waiting<V> {
    fn over(mut self) -> MemoryLease<V> {
        self.0.take().expect("it is taken once")
    }
}

impl<V: Value> Drop for Waiting<V> {
    fn drop(&mut self) {
        if let Some(near) = self.0.take() {
            near.step_aside();
        }
    }
}

// === impl Believed ===

impl<V: Wire> Near for Believed<V> {
    fn remove(&self, name: &Name) {
        match name {
            Name::Resource(primary) => self.memory.remove_now(*primary),
            Name::Tag(tag) => self.memory.remove_tagged_now(tag.clone()),
            Name::All => self.memory.clear_now(),
        }
    }

    fn distrust(&self) {
        self.trust.distrust(|| self.memory.clear_now());
    }

    fn believe(&self, then: Moment) {
        self.trust.believe(then, Moment::now(), || self.memory.clear_now());
    }

    fn version(&self, key: &Key) -> Option<Version> {
        self.memory.get_now(key).map(|kept| kept.version())
    }

    fn give_up(&self, key: &Key, version: Version) {
        self.memory.give_up(key, version);
    }
}
