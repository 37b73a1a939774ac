//! Having a lock.

use std::{
    fmt,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use super::{handle::check_ttl, keeper::Keeper, token::FencingToken};
use crate::error::Error;

/// The right to do what a [`Lock`](super::Lock) is for, until it is released, dropped or lost.
///
/// Dropped, it gives the lock up in the background: the server is asked once, within the deadline of the handle. Where that
/// fails, or no runtime is left to do it, the lock ends with its time to live: before the process ends,
/// [release](Self::release) it.
#[must_use = "the lock is given up when its guard is dropped"]
pub struct LockGuard {
    keeper: Keeper,
    token: FencingToken,
    _claim: Claim,
}

/// That a handle holds its lock, or asks for it.
#[derive(Debug)]
pub(super) struct Claim(Arc<AtomicBool>);

// === impl LockGuard ===

impl LockGuard {
    pub(super) fn new(keeper: Keeper, token: FencingToken, claim: Claim) -> Self {
        Self { keeper, token, _claim: claim }
    }

    /// What goes with every write to the resource.
    pub fn token(&self) -> FencingToken {
        self.token
    }

    /// Whether the lock may be another's by now.
    ///
    /// That it is not lost is true of the past: only the resource, which knows the last [`token`](Self::token), can refuse what
    /// comes too late.
    pub fn is_lost(&self) -> bool {
        self.keeper.tenure.is_over()
    }

    /// Ends as soon as the lock may be another's: the server says that it is not ours any more, or could not be told to keep
    /// it, a tenth of the time to live before it ends. Ends also when this guard is released or dropped.
    ///
    /// Each time it is polled it looks at the clock, so a process that was stopped knows when it goes on.
    ///
    /// # Cancellation
    ///
    /// Safe.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let tenure = Arc::clone(&self.keeper.tenure);
        async move {
            let mut over = pin!(tenure.over());
            poll_fn(|cx| if tenure.is_over() { Poll::Ready(()) } else { over.as_mut().poll(cx) }).await;
        }
    }

    /// Lets the lock live for at least `ttl` from now on, which may be longer than it lives otherwise: before something that
    /// keeps the runtime from renewing it. It never shortens its life.
    ///
    /// # Errors
    ///
    /// [`Lost`](crate::error::ErrorKind::Lost), when it is not ours any more. When the server could not be asked, it lives on
    /// as before.
    ///
    /// # Panics
    ///
    /// When `ttl` is shorter than 10 ms or longer than a day.
    ///
    /// # Cancellation
    ///
    /// Its life may or may not be longer.
    pub async fn extend(&self, ttl: Duration) -> Result<(), Error> {
        check_ttl(ttl);
        let tenure = &self.keeper.tenure;
        if tenure.is_over() {
            return Err(tenure.place.lost());
        }
        if !tenure.renew(ttl).await? {
            tenure.end();
        }
        if tenure.is_over() { Err(tenure.place.lost()) } else { Ok(()) }
    }

    /// Gives the lock up, and wakes who waits for it. When it returns, another can have it.
    ///
    /// # Errors
    ///
    /// [`Lost`](crate::error::ErrorKind::Lost), when it had been lost before. When the server could not be asked, it is asked
    /// once more in the background, as when the guard is dropped.
    ///
    /// # Cancellation
    ///
    /// As when the guard is dropped.
    pub async fn release(self) -> Result<(), Error> {
        let tenure = &self.keeper.tenure;
        let was_over = tenure.is_over();
        if tenure.release().await? && !was_over { Ok(()) } else { Err(tenure.place.lost()) }
    }

    /// A resource has accepted `newest`, and so refuses this holder.
    pub(super) fn is_outdone(&self, newest: FencingToken) -> Error {
        let tenure = &self.keeper.tenure;
        tenure.place.observe(newest);
        tenure.end();
        tenure.place.lost()
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.keeper.tenure.place.name;
        f.debug_struct("LockGuard").field("name", name).field("token", &self.token).finish_non_exhaustive()
    }
}

// === impl Claim ===

impl Claim {
    /// `None` while there is another.
    pub(super) fn of(claimed: &Arc<AtomicBool>) -> Option<Self> {
        (!claimed.swap(true, Ordering::AcqRel)).then(|| Self(Arc::clone(claimed)))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
