//! The loop between a miss and its answer: lead, or follow; wait once; refresh behind the client's back.
//!
//! What a value is, whether it is good enough and how one is made is the [`Caller`]'s; in which order things happen, who
//! makes, who waits and for how long is decided here. Nothing else in the crate spawns a task.
//!
//! | the leader's value | those who wait |
//! |---|---|
//! | is kept | have it, if it is good enough for them too |
//! | is of no use to others | go on their own, side by side |
//! | could not be made | have the stale value where that is allowed, or go on their own, a few at a time |
//! | is not there because the leader vanished | one of them leads |
//!
//! Who waited once goes on its own rather than wait again: a value that is stale on arrival would otherwise be fetched
//! once per waiter, one after the other.

use std::{panic, pin::pin, sync::Arc, task::Poll, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{Semaphore, SemaphorePermit, oneshot},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use super::{
    contract::{Ending, Lease, Leased, Store, Value, Wait, Woken},
    kept::Kept,
    key::Key,
};
use crate::observe::{event, in_current_span};

/// What the one who wants a value knows of it.
pub(crate) trait Caller<V, L>: Send + Sized + 'static {
    /// What it wants in the end.
    type Answer: Send + 'static;

    /// Whether `kept`, found under `key`, will do.
    fn judge(&mut self, key: &Key, kept: &Kept<V>, arrival: Arrival) -> Verdict<Self::Answer>;

    /// An answer from a value that is not good enough, when no better one can be made.
    fn rescue(&mut self, stale: &Kept<V>) -> Option<Self::Answer>;

    /// Makes a value, for the one who wants it and for the store. Runs in a task of its own.
    fn lead(self, key: Key, lease: L, seen: Option<Kept<V>>) -> impl Future<Output = Made<Self::Answer>> + Send;

    /// It is going to wait for another's value.
    fn waits(&mut self);

    /// Whether another's value could serve this caller at all, so that waiting for it makes sense. `seen` is the last.
    fn may_follow(&self, seen: Option<&Kept<V>>) -> bool;

    /// Gets an answer without the store.
    fn alone(self, why: Alone) -> impl Future<Output = Self::Answer> + Send;
}

/// How a value came to the one who wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It was there.
    Stored,
    /// Another made it meanwhile.
    Awaited,
}

/// What a caller says of a value.
#[derive(Debug)]
pub(crate) enum Verdict<A> {
    /// Good enough: this is made of it.
    Answer(A),
    /// It only says under which key to look.
    Elsewhere(Key),
    /// It says that there is nothing to look for.
    Alone,
    /// Not good enough; another is wanted.
    Expired,
}

/// What a leader comes back with.
pub(crate) struct Made<A> {
    /// For the one who wants it, at once.
    pub(crate) answer: A,
    /// What remains to be done for the store.
    pub(crate) rest: Option<BoxedRest>,
}

type BoxedRest = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

// === impl Made ===

impl<A> Made<A> {
    /// All is done.
    pub(crate) fn now(answer: A) -> Self {
        Self { answer, rest: None }
    }

    /// What can be done of `rest` at once is done before the answer is given.
    pub(crate) async fn with_rest(answer: A, mut rest: BoxedRest) -> Self {
        let is_done = std::future::poll_fn(|cx| Poll::Ready(rest.as_mut().poll(cx).is_ready())).await;
        Self { answer, rest: (!is_done).then_some(rest) }
    }
}

/// Why a caller gets its answer without the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alone {
    /// A value said so, or the leader's was for its own asker only.
    Uncacheable,
    /// The leader's attempt failed.
    LeaderFailed,
    /// The leader took too long, or what it brought does not serve this caller.
    WaitedOnce,
    /// The store could not be asked.
    StoreFailed,
}

/// How much waiting and detached work there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long a caller waits for another's value before it tries for a turn of its own, and how long for that.
    pub(crate) wait: Duration,
    /// How many of those whose leader failed go on at once, for each key.
    pub(crate) turns: usize,
    /// How many fills may go on without their client.
    pub(crate) detached: usize,
    /// How long each of them may.
    pub(crate) detached_time: Duration,
}

/// The loop, over one store. Clones share limits and tasks.
pub(crate) struct Fetch<T> {
    store: T,
    limits: Limits,
    tasks: TaskTracker,
    detached: Detached,
    turns: Arc<[Semaphore]>,
}

/// Work that goes on without the client it was begun for, within limits.
#[derive(Clone, Debug)]
pub(crate) struct Detached {
    places: Arc<Semaphore>,
    time: Duration,
}

/// Keys share turns by hash; so many that two failing keys rarely do.
const TURNSTILES: usize = 64;

/// More moves than any chain of variants needs; a store that sends callers in circles is left.
const MOST_MOVES: usize = 16;

// === impl Fetch ===

impl<T> Fetch<T> {
    pub(crate) fn new(store: T, limits: Limits) -> Self {
        Self {
            store,
            limits,
            tasks: TaskTracker::new(),
            detached: Detached { places: Arc::new(Semaphore::new(limits.detached)), time: limits.detached_time },
            turns: (0..TURNSTILES).map(|_| Semaphore::new(limits.turns)).collect(),
        }
    }

    pub(crate) fn store(&self) -> &T {
        &self.store
    }

    pub(crate) fn detached(&self) -> &Detached {
        &self.detached
    }

    /// Waits until no task is left. New ones may begin meanwhile; they are waited for as well.
    pub(crate) async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
    }

    /// An answer from a value under `key` that is good enough. `seen` is one that is not.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends what is done for this caller alone. A value it was making for the store is made to its
    /// end, within the limits of [`Detached`].
    pub(crate) async fn answer<V, C>(&self, mut key: Key, mut seen: Option<Kept<V>>, mut caller: C) -> C::Answer
    where
        V: Value,
        T: Store<V>,
        C: Caller<V, T::Lease>,
    {
        let mut waited = false;
        for _ in 0..MOST_MOVES {
            let leased = match self.store.lease(key, seen.as_ref().map(Kept::version)).await {
                Ok(leased) => leased,
                Err(_error) => {
                    event!(error = %_error, "the store could not be asked");
                    return caller.alone(Alone::StoreFailed).await;
                }
            };
            let mut arrival = Arrival::Stored;
            let mut turn = None;
            let woken = match leased {
                Leased::Found(kept) => Woken::Found(kept),
                Leased::Won(lease) => Woken::Won(lease),
                Leased::Busy(_) if waited => return caller.alone(Alone::WaitedOnce).await,
                Leased::Busy(_) if !caller.may_follow(seen.as_ref()) => return caller.alone(Alone::Uncacheable).await,
                Leased::Busy(wait) => {
                    (waited, arrival) = (true, Arrival::Awaited);
                    caller.waits();
                    match self.follow(&key, wait).await {
                        Followed::Woken(woken) => woken,
                        Followed::Impatient(permit) => {
                            turn = Some(permit);
                            Woken::Alone(Ending::Failed)
                        }
                    }
                }
            };
            // What was there already is found like anything else: who wants another may still wait for that.
            let woken = match woken {
                Woken::Present(kept) => {
                    (waited, arrival) = (false, Arrival::Stored);
                    Woken::Found(kept)
                }
                woken => woken,
            };
            match woken {
                Woken::Won(lease) => {
                    let seen = seen.filter(|seen| replaces(&lease, seen));
                    return self.lead(key, lease, seen, caller).await;
                }
                Woken::Found(kept) | Woken::Present(kept) => match caller.judge(&key, &kept, arrival) {
                    Verdict::Answer(answer) => return answer,
                    Verdict::Alone => return caller.alone(Alone::Uncacheable).await,
                    Verdict::Expired if waited => return caller.alone(Alone::WaitedOnce).await,
                    Verdict::Expired => seen = Some(kept),
                    // Another key is another value: its maker may be waited for as well.
                    Verdict::Elsewhere(variant) => (key, seen, waited) = (variant, None, false),
                },
                Woken::Alone(Ending::Uncacheable) => return caller.alone(Alone::Uncacheable).await,
                Woken::Alone(Ending::Failed) => {
                    if let Some(answer) = seen.as_ref().and_then(|stale| caller.rescue(stale)) {
                        return answer;
                    }
                    let _turn = match turn {
                        Some(turn) => turn,
                        None => self.turn(&key).await,
                    };
                    // Someone before this one may have had better luck.
                    if let Some(kept) = self.store.get_now(&key)
                        && let Verdict::Answer(answer) = caller.judge(&key, &kept, Arrival::Awaited)
                    {
                        return answer;
                    }
                    return caller.alone(Alone::LeaderFailed).await;
                }
            }
        }
        caller.alone(Alone::WaitedOnce).await
    }

    /// Makes another value than `seen` in the background, unless someone does already.
    pub(crate) fn refresh<V, C>(&self, key: Key, seen: Kept<V>, caller: C)
    where
        V: Value,
        T: Store<V>,
        C: Caller<V, T::Lease>,
    {
        let Ok(place) = Arc::clone(&self.detached.places).try_acquire_owned() else { return };
        let (store, time) = (self.store.clone(), self.limits.detached_time);
        self.tasks.spawn(in_current_span(async move {
            let refreshed = timeout(time, async {
                match store.lease(key, Some(seen.version())).await {
                    Ok(Leased::Won(lease)) if replaces(&lease, &seen) => caller.lead(key, lease, Some(seen)).await.rest,
                    Ok(_) | Err(_) => None,
                }
            });
            if let Ok(Some(rest)) = refreshed.await {
                // The rest takes a place of its own.
                drop(place);
                rest.await;
            }
        }));
    }

    /// Does something small that must not be lost with the client it was begun for. Outside of a runtime, which then
    /// is shutting down, nothing can be done.
    pub(crate) fn finish(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = Handle::try_current() {
            self.tasks.spawn_on(in_current_span(work), &runtime);
        }
    }

    async fn lead<V, L, C>(&self, key: Key, lease: L, seen: Option<Kept<V>>, caller: C) -> C::Answer
    where
        V: Value,
        L: Send + 'static,
        C: Caller<V, L>,
    {
        // Spawned when the lease is won and not when the client leaves: read at the client's pace, one slow client
        // would hold up everyone who waits.
        self.carry(caller.lead(key, lease, seen)).await
    }

    /// Does `work` in a task of its own, which goes on without its client within the limits of [`Detached`].
    pub(crate) async fn carry<A: Send + 'static>(&self, work: impl Future<Output = Made<A>> + Send + 'static) -> A {
        let (mut tell, told) = oneshot::channel();
        let detached = self.detached.clone();
        let task = self.tasks.spawn(in_current_span(async move {
            let made = detached.run(tell.closed(), work).await;
            let Some(Made { answer, rest }) = made else { return };
            let _ = tell.send(answer);
            if let Some(rest) = rest {
                rest.await;
            }
        }));
        match told.await {
            Ok(answer) => answer,
            Err(_) => match task.await {
                // A panic of the inner service is the inner service's: it goes where it would have gone.
                Err(failed) if failed.is_panic() => panic::resume_unwind(failed.into_panic()),
                // The runtime is shutting down, and this future with it.
                _ => std::future::pending().await,
            },
        }
    }

    /// Waits for another's value; after a while, for that or a turn; after as long again, no more.
    async fn follow<V, L>(&self, key: &Key, mut wait: Wait<V, L>) -> Followed<'_, V, L> {
        if let Ok(woken) = timeout(self.limits.wait, &mut wait).await {
            return Followed::Woken(woken);
        }
        tokio::select! {
            biased;
            woken = &mut wait => Followed::Woken(woken),
            turn = self.turn(key) => Followed::Impatient(turn),
        }
    }

    /// A turn among those whose leader failed, or none after too long a wait for it.
    async fn turn(&self, key: &Key) -> Option<SemaphorePermit<'_>> {
        let turnstile = &self.turns[key.primary().0 as usize % TURNSTILES];
        timeout(self.limits.wait, turnstile.acquire()).await.ok()?.ok()
    }
}

enum Followed<'a, V, L> {
    Woken(Woken<V, L>),
    Impatient(Option<SemaphorePermit<'a>>),
}

impl<T: Clone> Clone for Fetch<T> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            limits: self.limits,
            tasks: self.tasks.clone(),
            detached: self.detached.clone(),
            turns: Arc::clone(&self.turns),
        }
    }
}

// === impl Detached ===

impl Detached {
    /// Does `work` to its end while its client is there. Once `gone` says that it is not, the work needs a place and
    /// has its time; `None` if there is no place, or the time is up.
    pub(crate) async fn run<W: Future>(&self, gone: impl Future<Output = ()>, work: W) -> Option<W::Output> {
        let mut work = pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = gone => {}
        }
        let _place = self.places.try_acquire().ok()?;
        timeout(self.time, work).await.ok()
    }
}

/// Whether `seen` is still what is kept.
pub(crate) fn replaces<V>(lease: &impl Lease<V>, seen: &Kept<V>) -> bool {
    lease.replaces() == Some(seen.version())
}
