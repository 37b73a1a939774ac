//! What a program holds.

use std::{error::Error as StdError, fmt, marker::PhantomData, pin::pin, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::{
    batch::Batch,
    call::{Answer, Call},
    codec::{Codec, Postcard},
    counters::{Counters, Counts},
    entry::Entry,
    key::EntityKey,
    loaded::Loaded,
    policy::{Policy, Standing},
    write::Write,
};
use crate::{
    clock::{Clock, SystemClock, Timestamp},
    error::Error,
    store::{
        Kept, Key, Primary, Seed, Store, Tag, Value,
        fetch::{Fetch, Limits, Verdict},
    },
};

/// Keeps values of one type in front of what they are loaded from. Clones are handles of the same cache.
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

    // What is set below is set before the cache is used: each setter begins it anew, without those who wait and without counts.

    /// The time. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        self.change(|plan| plan.clock = Arc::new(clock))
    }

    /// Which form `V` has. Raise it when the type changes, where other processes or their past share the store: values of another
    /// schema are not found, and yet removed together with those of this one. Default: 0.
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

    /// How many callers for one key load at once where the load that they waited for came to nothing. At least 1; default 16.
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

    /// Removes a value, or that there is none. No call that begins after this has returned is answered with what was kept, or was being loaded,
    /// before: change the source first, then invalidate.
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

impl<V, S, C> Aside<V, S, C>
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    S: Store<Entry<V, C>>,
    C: Codec,
{
    /// The value under `key`, or `None` if there is none: what is kept, or what `load` brings, which is kept then.
    ///
    /// Of all who ask for a key at once one loads; the others have the same value, the same absence, or the same error.
    /// What is not there is kept too. `load` returns a value, an `Option` of one, or a [`Loaded`] with tags.
    ///
    /// ```
    /// # use std::{io, time::Duration};
    /// # use bartizan::{Aside, Memory};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bartizan::Error> {
    /// # let users: Aside<String, _> = Aside::new(Memory::with_capacity(16 << 20));
    /// # async fn select(id: u64) -> Result<Option<String>, io::Error> { Ok((id == 42).then(|| "Ada".to_owned())) }
    /// let user = users.get_or_load(("user", 42), || select(42)).await?;
    /// assert_eq!(user.as_deref().map(String::as_str), Some("Ada"));
    /// assert_eq!(users.get_or_load(("user", 43), || select(43)).await?, None);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// One that [`is_failed`](Error::is_failed) when the loader failed, whose error is the source: the loader's own in this process, its text
    /// in others. One that [`is_timed_out`](Error::is_timed_out) after the [hard time-out](Policy::hard_timeout). A store
    /// that fails is no error: the caller loads for itself.
    ///
    /// # Panics
    ///
    /// As the loader does, where it was run for this caller; outside of a tokio runtime.
    ///
    /// # Cancellation
    ///
    /// Dropping the future does not stop a load that others may wait for: it goes on, within the limits of
    /// [`detached_loads`](Self::detached_loads). A load for this caller alone is dropped.
    pub fn get_or_load<F, Fut, L, E>(
        &self,
        key: impl Into<EntityKey>,
        load: F,
    ) -> impl Future<Output = Result<Option<Arc<V>>, Error>> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let name = key.into();
        let key = self.key(&name);
        async move {
            let seen = self.look(&key, self.now());
            if let Some((Standing::Fresh, kept)) = &seen {
                self.shared.counts.hits.raise();
                return kept.answer();
            }
            let load = move |name: EntityKey| async move {
                load().await.map(Into::into).map_err(|error| Error::failed(&format!("loading `{name}` failed"), error))
            };
            self.ask(key, seen, Call::new(self.clone(), name, load, ())).await
        }
    }

    /// The values under the keys of all `ids`, in their order. What is not kept is loaded together: `load` is called once
    /// with all ids that are nobody's to load yet, and brings pairs of an id and what is under it. An id that it does not bring is absent.
    ///
    /// On Redis what is kept is read in one round trip, however many ids there are; in a Cluster in one to each group of slots
    /// ([bucket](crate::store)), side by side. Looking for what is not kept is a second one, and keeping it a third. `load` is called again, with
    /// fewer ids, for those that another caller was loading and failed to.
    ///
    /// ```
    /// # use std::{io, sync::Arc};
    /// # use bartizan::{Aside, Memory, aside::EntityKey};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bartizan::Error> {
    /// # let users: Aside<String, _> = Aside::new(Memory::with_capacity(16 << 20));
    /// # async fn select(ids: Vec<u64>) -> Result<Vec<(u64, String)>, io::Error> {
    /// #     Ok(ids.into_iter().filter(|id| *id != 2).map(|id| (id, format!("user {id}"))).collect())
    /// # }
    /// let named = users.get_or_load_many([1, 2, 3], |id| EntityKey::new("user", id), select).await?;
    /// assert_eq!(named[0].as_deref().map(String::as_str), Some("user 1"));
    /// assert_eq!(named[1], None);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Self::get_or_load): the first, if there are several.
    ///
    /// # Panics
    ///
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancellation
    ///
    /// As [`get_or_load`](Self::get_or_load).
    pub fn get_or_load_many<K, F, Fut, I, L, E>(
        &self,
        ids: impl IntoIterator<Item = K>,
        name: impl Fn(&K) -> EntityKey,
        load: F,
    ) -> impl Future<Output = Result<Vec<Option<Arc<V>>>, Error>> + Send
    where
        K: Clone + Eq + std::hash::Hash + Send + Sync + 'static,
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, L)>,
        L: Into<Loaded<V>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let named = ids.into_iter().map(|id| (name(&id), id)).collect();
        Batch::new(load).ask(self.clone(), named)
    }

    /// Changes the source and keeps what it holds from then on: write-through. `write` makes the change, and returns what is there now.
    ///
    /// All that was kept under `key` is removed, and so is what is being loaded. What `write` returns is kept in their place unless anything was
    /// removed, or written, since it was called: what is there now may then be something else, and the next caller loads it.
    ///
    /// ```
    /// # use std::io;
    /// # use bartizan::{Aside, Memory};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bartizan::Error> {
    /// # let users: Aside<String, _> = Aside::new(Memory::with_capacity(16 << 20));
    /// # async fn update(_: u64, name: &str) -> Result<String, io::Error> { Ok(name.to_owned()) }
    /// users.put(("user", 42), || update(42, "Grace")).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// One that [`is_failed`](Error::is_failed) when `write` failed, whose error is the source; the value is removed all the same, since the
    /// change may have been made. Any other means that the change was made, and that others may not see it until a store that
    /// others share can be told.
    ///
    /// # Panics
    ///
    /// As `write` does; outside of a tokio runtime.
    ///
    /// # Cancellation
    ///
    /// The write goes on, within the limits of [`detached_loads`](Self::detached_loads). Where it is dropped half way, or
    /// panics, the value is removed.
    pub fn put<F, Fut, L, E>(
        &self,
        key: impl Into<EntityKey>,
        write: F,
    ) -> impl Future<Output = Result<Option<Arc<V>>, Error>> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let name = key.into();
        let work = Write::new(self.clone(), self.key(&name)).through(async move {
            write().await.map(Into::into).map_err(|error| Error::failed(&format!("writing `{name}` failed"), error))
        });
        self.shared.fetch.carry(work)
    }

    /// For one who cannot be answered at once: within the time-outs of the policy.
    pub(super) async fn ask<F, Fut, A>(&self, key: Key, seen: Seen<V, C>, mut call: Call<V, S, C, F, A>) -> Answer<V>
    where
        F: FnOnce(EntityKey) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Loaded<V>, Error>> + Send + 'static,
        A: Send + 'static,
    {
        if let Some((standing, kept)) = &seen
            && let Verdict::Answer(answer) = call.weigh(*standing, &key, kept)
        {
            return answer;
        }
        let (soft, hard) = (self.policy.soft_limit(), self.policy.hard_limit());
        let Some(longest) = soft.or(hard) else {
            return self.shared.fetch.answer(key, seen.map(|(_, kept)| kept), call).await;
        };
        let (spare, name) = (call.spare(), call.name().clone());
        let mut answering = pin!(self.shared.fetch.answer(key, seen.map(|(_, kept)| kept), call));
        if let Ok(answer) = timeout(longest, &mut answering).await {
            return answer;
        }
        if let Some(answer) = spare.answer(self) {
            return answer;
        }
        let answered = match (soft, hard) {
            (Some(soft), Some(hard)) => timeout(hard.saturating_sub(soft), answering).await.ok(),
            (Some(_), None) => Some(answering.await),
            (None, _) => None,
        };
        answered.unwrap_or_else(|| {
            self.shared.counts.timeouts.raise();
            Err(Error::timed_out(&format!("loading `{name}` took longer than {:?}", hard.unwrap_or(longest))))
        })
    }
}

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
