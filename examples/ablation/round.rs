//! What makes a moment come out the same however busy the machine is: the origin answers nobody before everyone has asked.

use std::{mem, sync::Arc};

use bartizan::{
    BoxStore, Error,
    cache::Stored,
    store::{Kept, Key, Leased, Primary, Seed, Store, Tag, Usage, Version, Wait},
};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

/// Where the callers of a moment are. Clones are handles of the same.
#[derive(Clone, Default)]
pub(crate) struct Round(Arc<Inner>);

#[derive(Default)]
struct Inner {
    callers: Mutex<Callers>,
    moved: Notify,
}

/// Whoever is none of these is on the way.
#[derive(Default)]
struct Callers {
    answered: usize,
    /// For what another makes.
    waiting: usize,
    calling: Vec<Call>,
}

/// A request that has reached the origin.
pub(crate) struct Call {
    pub(crate) key: usize,
    pub(crate) node: usize,
    /// Whether it is answered with the page.
    pub(crate) told: oneshot::Sender<bool>,
}

/// A store that tells who waits.
#[derive(Clone)]
pub(crate) struct Watched {
    pub(crate) inner: BoxStore<Stored>,
    pub(crate) round: Round,
}

struct Waiting(Round);

// === impl Round ===

impl Round {
    /// Those at the origin, when each of the `asked` is answered, waits or is there itself. None, when all are answered.
    pub(crate) async fn calls(&self, asked: usize) -> Vec<Call> {
        loop {
            if let Some(calls) = self.settled(asked) {
                return calls;
            }
            self.0.moved.notified().await;
        }
    }

    fn settled(&self, asked: usize) -> Option<Vec<Call>> {
        let mut callers = self.0.callers.lock();
        let Callers { answered, waiting, calling } = &mut *callers;
        if *answered == asked {
            *answered = 0;
            return Some(Vec::new());
        }
        (!calling.is_empty() && *answered + *waiting + calling.len() == asked).then(|| mem::take(calling))
    }

    /// Whether the origin answers with the page.
    pub(crate) async fn call(&self, key: usize, node: usize) -> bool {
        let (told, answer) = oneshot::channel();
        self.change(|callers| callers.calling.push(Call { key, node, told }));
        answer.await.unwrap_or(false)
    }

    pub(crate) fn answered(&self) {
        self.change(|callers| callers.answered += 1);
    }

    fn change(&self, change: impl FnOnce(&mut Callers)) {
        change(&mut self.0.callers.lock());
        self.0.moved.notify_one();
    }
}

// === impl Waiting ===

impl Waiting {
    fn new(round: Round) -> Self {
        round.change(|callers| callers.waiting += 1);
        Self(round)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.change(|callers| callers.waiting -= 1);
    }
}

// === impl Watched ===

impl Store<Stored> for Watched {
    type Lease = <BoxStore<Stored> as Store<Stored>>::Lease;

    fn seed(&self) -> Seed {
        self.inner.seed()
    }

    fn get_now(&self, key: &Key) -> Option<Kept<Stored>> {
        self.inner.get_now(key)
    }

    async fn lease(&self, key: Key, seen: Option<Version>) -> Result<Leased<Stored, Self::Lease>, Error> {
        let leased = self.inner.lease(key, seen).await?;
        let Leased::Busy(wait) = leased else { return Ok(leased) };
        let waiting = Waiting::new(self.round.clone());
        Ok(Leased::Busy(Wait::new(async move {
            let woken = wait.await;
            drop(waiting);
            woken
        })))
    }

    async fn remove(&self, primary: Primary) -> Result<(), Error> {
        self.inner.remove(primary).await
    }

    async fn remove_tagged(&self, tag: Tag) -> Result<(), Error> {
        self.inner.remove_tagged(tag).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.inner.clear().await
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}
