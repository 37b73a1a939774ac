//! One call for one key: what it makes of what is kept, and how it loads.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    codec::Codec,
    entry::Entry,
    handle::Aside,
    key::EntityKey,
    loaded::Loaded,
    policy::{Policy, Standing},
};
use crate::{
    clock::Timestamp,
    error::Error,
    observe::event,
    store::{
        Ending, Filled, Kept, Key, Lease, Store, Tags, Version,
        fetch::{Alone, Arrival, Caller, Made, Verdict},
    },
};

/// A call that could not be answered at once.
pub(super) struct Call<V, S, C, F, A> {
    aside: Aside<V, S, C>,
    name: EntityKey,
    /// Taken by whatever loads.
    load: Option<F>,
    /// Dropped as soon as it is known whether this call loads.
    asking: Option<A>,
    spare: Spare<V, C>,
    /// The last value that was not good enough.
    seen: Option<Version>,
    asker: Asker,
}

pub(super) type Answer<V> = Result<Option<Arc<V>>, Error>;

/// What is served where no newer value can be had in time.
pub(super) struct Spare<V, C>(Arc<Mutex<Option<Kept<Entry<V, C>>>>>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asker {
    Caller,
    /// A refresh that nobody waits for.
    Nobody,
}

// === impl Call ===

impl<V, S, C, F, A> Call<V, S, C, F, A> {
    pub(super) fn new(aside: Aside<V, S, C>, name: EntityKey, load: F, asking: A) -> Self {
        Self {
            aside,
            name,
            load: Some(load),
            asking: Some(asking),
            spare: Spare(Arc::default()),
            seen: None,
            asker: Asker::Caller,
        }
    }

    pub(super) fn name(&self) -> &EntityKey {
        &self.name
    }

    pub(super) fn spare(&self) -> Spare<V, C> {
        Spare(Arc::clone(&self.spare.0))
    }

    fn load<Fut>(&mut self) -> Fut
    where
        F: FnOnce(EntityKey) -> Fut,
    {
        let load = self.load.take().expect("a call loads once, and not what it was answered with");
        self.aside.shared.counts.loads.raise();
        let loading = load(self.name.clone());
        self.asking = None;
        loading
    }
}

impl<V, S, C, F, A, Fut> Call<V, S, C, F, A>
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    S: Store<Entry<V, C>>,
    C: Codec,
    F: FnOnce(EntityKey) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Loaded<V>, Error>> + Send + 'static,
    A: Send + 'static,
{
    /// What it makes of a value that was there.
    pub(super) fn weigh(&mut self, standing: Standing, key: &Key, kept: &Kept<Entry<V, C>>) -> Verdict<Answer<V>> {
        let counts = &self.aside.shared.counts;
        match standing {
            Standing::Fresh => counts.hits.raise(),
            Standing::Due => {
                counts.hits.raise();
                self.refresh(*key, kept);
            }
            Standing::Stale => {
                counts.stale.raise();
                self.refresh(*key, kept);
            }
            Standing::Spare => {
                *self.spare.0.lock() = Some(kept.clone());
                self.seen = Some(kept.version());
                return Verdict::Expired;
            }
            Standing::Dead => {
                self.seen = Some(kept.version());
                return Verdict::Expired;
            }
        }
        Verdict::Answer(kept.answer())
    }

    /// Has the value made anew in the background, unless that was begun just now.
    fn refresh(&mut self, key: Key, kept: &Kept<Entry<V, C>>) {
        if !kept.claim_refresh(self.aside.now()) {
            return;
        }
        let call = Self {
            aside: self.aside.clone(),
            name: self.name.clone(),
            load: self.load.take(),
            asking: self.asking.take(),
            spare: Spare(Arc::default()),
            seen: None,
            asker: Asker::Nobody,
        };
        self.aside.shared.fetch.refresh(key, kept.clone(), call);
    }

    fn served_stale(&self, stale: &Kept<Entry<V, C>>) -> Option<Answer<V>> {
        if self.aside.standing(stale, self.aside.now()) == Standing::Dead {
            return None;
        }
        if self.asker == Asker::Caller {
            self.aside.shared.counts.stale.raise();
        }
        Some(stale.answer())
    }
}

impl<V, S, C, F, A, Fut, L> Caller<Entry<V, C>, L> for Call<V, S, C, F, A>
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    S: Store<Entry<V, C>, Lease = L>,
    C: Codec,
    F: FnOnce(EntityKey) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Loaded<V>, Error>> + Send + 'static,
    A: Send + 'static,
    L: Lease<Entry<V, C>>,
{
    type Answer = Answer<V>;

    fn judge(&mut self, key: &Key, kept: &Kept<Entry<V, C>>, arrival: Arrival) -> Verdict<Answer<V>> {
        let now = self.aside.now();
        // What another made while this one waited is for this one too, whatever its lifetime; and so is what it failed with.
        if arrival == Arrival::Awaited && self.seen != Some(kept.version()) && now < kept.keep_until() {
            self.aside.shared.counts.collapsed.raise();
            return Verdict::Answer(kept.answer());
        }
        self.weigh(self.aside.standing(kept, now), key, kept)
    }

    fn rescue(&mut self, stale: &Kept<Entry<V, C>>) -> Option<Answer<V>> {
        self.served_stale(stale)
    }

    async fn lead(mut self, _: Key, lease: L, seen: Option<Kept<Entry<V, C>>>) -> Made<Answer<V>> {
        let begun = self.aside.now();
        let error = match self.load().await {
            Ok(loaded) => return self.aside.keep(lease, loaded, begun).await,
            Err(error) => error,
        };
        self.aside.shared.counts.failures.raise();
        event!(key = %self.name, error = %error, "the loader failed");
        if let Some(answer) = seen.and_then(|seen| self.served_stale(&seen)) {
            return Made::with_rest(answer, Box::pin(lease.disband(Ending::Failed))).await;
        }
        let (failed, until) = (Entry::failed(error.clone()), Policy::keep_failure_until(self.aside.now()));
        // Before the answer: who asks after that is not to wait for a failure that is on its way.
        drop(lease.fill(failed, until, Tags::default()).await);
        Made::now(Err(error))
    }

    fn waits(&mut self) {
        self.asking = None;
    }

    fn may_follow(&self, _: Option<&Kept<Entry<V, C>>>) -> bool {
        true
    }

    async fn alone(mut self, _why: Alone) -> Answer<V> {
        event!(key = %self.name, why = ?_why, "without a lease");
        let error = match self.load().await {
            Ok(loaded) => return Ok(loaded.value),
            Err(error) => error,
        };
        self.aside.shared.counts.failures.raise();
        self.spare.answer(&self.aside).unwrap_or(Err(error))
    }
}

impl<V, S, C> Aside<V, S, C>
where
    V: Serialize + Send + Sync + 'static,
    S: Store<Entry<V, C>>,
    C: Codec,
{
    /// Keeps what was loaded, and answers with it.
    pub(super) async fn keep(&self, lease: S::Lease, loaded: Loaded<V>, begun: Timestamp) -> Made<Answer<V>> {
        let Loaded { value, tags, ttl } = loaded;
        let (now, answer) = (self.now(), Ok(value.clone()));
        let fresh_until = now.plus(self.policy.lifetime(ttl, value.is_none(), rand::random()));
        let keep_until = self.policy.keep_until(fresh_until, now);
        let shared = Arc::clone(&self.shared);
        let keeping = match Entry::new(value, fresh_until, now.since(begun)) {
            Ok(entry) => Ok(lease.fill(entry, keep_until, tags.into_iter().collect())),
            Err(_error) => {
                event!(error = %_error, "a value cannot be written, and is not kept");
                shared.counts.unwritable.raise();
                Err(lease.disband(Ending::Uncacheable))
            }
        };
        let rest = async move {
            match keeping {
                Ok(filling) => match filling.await {
                    Ok(Filled::Stored) => {}
                    Ok(Filled::Superseded) => shared.counts.superseded.raise(),
                    Err(_error) => event!(error = %_error, "the store could not be told of a value"),
                },
                Err(disbanding) => disbanding.await,
            }
        };
        Made::with_rest(answer, Box::pin(rest)).await
    }
}

// === impl Spare ===

impl<V, C> Spare<V, C> {
    /// What there is, if it may still be served.
    pub(super) fn answer<S>(&self, aside: &Aside<V, S, C>) -> Option<Answer<V>>
    where
        V: Send + Sync + 'static,
        S: Store<Entry<V, C>>,
        C: Codec,
    {
        let kept = self.0.lock().clone()?;
        if aside.standing(&kept, aside.now()) == Standing::Dead {
            return None;
        }
        aside.shared.counts.stale.raise();
        Some(kept.answer())
    }
}
