//! The contract every store keeps; [`conformance`](super::conformance) tests it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    kept::{Kept, Tag, Tags, Version},
    key::{Key, Primary, Seed},
};
use crate::{clock::Timestamp, error::Error};

/// What can be kept.
pub trait Value: Send + Sync + 'static {
    /// Roughly what it takes in memory, in bytes, beyond its own size. Bounded stores add it up.
    fn weight(&self) -> usize;
}

/// Keeps values under keys, and gives one caller at a time the right to make a missing one.
///
/// One rule carries the whole contract. A lease has the [`Version`] at which it was won, and so has what it fills. A fill
/// is refused, and a kept value is dead, once its key, its resource, one of its tags or the whole store was removed after
/// that version. So what was read before an invalidation is never found after it, however long the reading took.
///
/// Clones are handles of the same store.
pub trait Store<V: Value>: Clone + Send + Sync + 'static {
    /// The right to fill one key of this store.
    type Lease: Lease<V>;

    /// The secret its keys are to be hashed with.
    fn seed(&self) -> Seed;

    /// What can be found without waiting. A store that must ask elsewhere finds nothing here.
    ///
    /// No clock is read: compare [`Kept::keep_until`] with your own present.
    fn get_now(&self, key: &Key) -> Option<Kept<V>>;

    /// Anything but the value `seen`, or the right to make it.
    ///
    /// With `seen` absent that is the first value or the right to make one; with the version of a value in hand it is
    /// revalidation, early refresh and forced reload.
    ///
    /// # Cancellation
    ///
    /// Dropping the future, or what it answered, leaves nothing behind: a lease passes on, a wait is given up.
    fn lease(
        &self,
        key: Key,
        seen: Option<Version>,
    ) -> impl Future<Output = Result<Leased<V, Self::Lease>, Error>> + Send;

    /// Removes every variant of a resource, and voids the leases on them.
    ///
    /// When it has returned, no caller that begins finds what was kept or being made before.
    ///
    /// # Errors
    ///
    /// When the store could not be told; the value may then still be found.
    fn remove(&self, primary: Primary) -> impl Future<Output = Result<(), Error>> + Send;

    /// Removes what was filled with `tag`, or is about to be. Otherwise as [`remove`](Self::remove).
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    fn remove_tagged(&self, tag: Tag) -> impl Future<Output = Result<(), Error>> + Send;

    /// Removes everything. Otherwise as [`remove`](Self::remove).
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    fn clear(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// What the store holds in this process.
    fn usage(&self) -> Usage;
}

/// The right to fill one key, and the duty to end the wait of those who want its value.
///
/// Dropped, it says that its holder vanished: the right passes to one of those who wait. It is owned, so that it moves
/// into the task that makes the value.
pub trait Lease<V>: Send + Sized + 'static {
    /// The version of the value that a fill takes the place of: kept when the lease was won, and as far as is known since.
    ///
    /// A value seen earlier that is another was removed. It is not to be validated and kept anew, nor served where that fails:
    /// the lease is younger than the removal, and would not refuse it.
    fn replaces(&self) -> Option<Version>;

    /// Keeps `value`, if the lease still holds, and gives it to those who wait. If it does not hold, those who came after
    /// the removal begin anew, and those who came before may have the value or begin anew.
    ///
    /// # Errors
    ///
    /// When the store could not be told.
    fn fill(self, value: V, keep_until: Timestamp, tags: Tags) -> impl Future<Output = Result<Filled, Error>> + Send;

    /// As [`fill`](Self::fill), where only the value's head differs from the value that the lease was asked for with:
    /// a store may then leave the rest where it is.
    ///
    /// # Errors
    ///
    /// As [`fill`](Self::fill).
    fn refresh(
        self,
        value: V,
        keep_until: Timestamp,
        tags: Tags,
    ) -> impl Future<Output = Result<Filled, Error>> + Send {
        self.fill(value, keep_until, tags)
    }

    /// The value turned out to be one variant of several: keeps `sign` under the lease's key, which tells others where
    /// to look, gives it to those who wait, and moves the lease, with its version, to `variant`.
    ///
    /// `None` when the variant is already being made. A lease that no longer holds leaves no sign, and its fill says so.
    ///
    /// # Errors
    ///
    /// As [`fill`](Self::fill).
    fn narrow(
        self,
        variant: u128,
        sign: V,
        keep_until: Timestamp,
    ) -> impl Future<Output = Result<Option<Self>, Error>> + Send;

    /// For a holder who changed the resource and has what it is now: removes all else of it, as [`Store::remove`] does, and
    /// moves the lease to `variant` as if it were won there in that moment. Who waits begins anew.
    ///
    /// `None`, if since the lease was won anything was removed that would void its fill with `tags`: what its holder has may
    /// be older than that. The resource is removed nevertheless.
    ///
    /// # Errors
    ///
    /// As [`Store::remove`].
    fn replace_all(self, variant: u128, tags: Tags) -> impl Future<Output = Result<Option<Self>, Error>> + Send;

    /// There is nothing to keep, and nobody is to queue for it: all who wait go [alone](Woken::Alone).
    fn disband(self, ending: Ending) -> impl Future<Output = ()> + Send;
}

/// What [`Store::lease`] answers.
#[derive(Debug)]
pub enum Leased<V, L> {
    /// A value other than the one seen. It may be stale: the store does not judge.
    Found(Kept<V>),
    /// The caller makes it.
    Won(L),
    /// Another makes it already.
    Busy(Wait<V, L>),
}

/// What a [`Wait`] ends with. It is never busy again.
#[derive(Debug)]
pub enum Woken<V, L> {
    /// The value that was waited for.
    Found(Kept<V>),
    /// A value that was there already, further away, and came while this caller waited. It may be stale: nobody made it for
    /// those who wait.
    Present(Kept<V>),
    /// Who made it vanished; this caller makes it now.
    Won(L),
    /// Nothing will come: see for yourself, and keep nothing.
    Alone(Ending),
}

/// Why a fill ended without a value for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// What came is for its asker only. Others lose nothing by asking side by side.
    Uncacheable,
    /// The attempt failed, so that a crowd of further attempts would only do harm.
    Failed,
}

/// Whether a fill was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// It is what the next caller finds.
    Stored,
    /// Something was removed since the lease was won; the value was not kept.
    Superseded,
}

/// What a store holds in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Values held.
    pub entries: u64,
    /// Their weight in bytes.
    pub bytes: u64,
    /// Values given up for want of room since the start.
    pub evicted: u64,
    /// Of a store that others share, how it is with them.
    pub sharing: Option<Sharing>,
}

/// How it is with those who share a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sharing {
    /// For how long something that another removed may be seen here, at the most.
    pub staleness_bound: Duration,
    /// Whether their removals are heard of. While they are not, nothing is believed for longer than the bound.
    pub is_connected: bool,
}

/// Waits for another's fill. Dropping it gives the wait up.
pub struct Wait<V, L>(Pin<Box<dyn Future<Output = Woken<V, L>> + Send>>);

// === impl Wait ===

impl<V, L> Wait<V, L> {
    /// For [`Store`] implementations.
    pub fn new(wait: impl Future<Output = Woken<V, L>> + Send + 'static) -> Self {
        Self(Box::pin(wait))
    }
}

impl<V, L> Future for Wait<V, L> {
    type Output = Woken<V, L>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Woken<V, L>> {
        self.0.as_mut().poll(cx)
    }
}

impl<V, L> fmt::Debug for Wait<V, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wait(..)")
    }
}

// === impl Usage ===

impl Usage {
    /// For [`Store`] implementations.
    pub const fn new(entries: u64, bytes: u64, evicted: u64) -> Self {
        Self { entries, bytes, evicted, sharing: None }
    }

    /// The same of a store that others share.
    #[must_use]
    pub const fn shared(self, staleness_bound: Duration, is_connected: bool) -> Self {
        Self { sharing: Some(Sharing { staleness_bound, is_connected }), ..self }
    }
}
