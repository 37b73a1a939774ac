//! The right to fill one key, and every way in which it ends.

use std::{collections::VecDeque, fmt, sync::Arc};

use super::{
    flight::{Flight, Waiter},
    seal::Seal,
    store::{Memory, Slot},
};
use crate::{
    clock::Timestamp,
    error::Error,
    store::{
        contract::{Ending, Filled, Lease, Store, Value, Woken},
        kept::{Kept, Tags, Version},
        key::Key,
    },
};

/// The right to fill one key of a [`Memory`].
pub struct MemoryLease<V> {
    store: Memory<V>,
    key: Key,
    sequence: u64,
    /// Taken by whatever ends the lease; still there when it is dropped.
    flight: Option<Arc<Flight<V>>>,
}

/// Where a value comes from that is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was made for those who wait.
    Made,
    /// So it was, but a store that knows more does not keep it.
    Refused,
    /// It was in another store.
    #[cfg(feature = "redis")]
    Present,
}

/// After so many holders in a row vanished, those who wait are no longer made to wait for the next.
const MOST_VANISHED: u8 = 3;

// === impl MemoryLease ===

impl<V> MemoryLease<V> {
    pub(super) fn new(store: Memory<V>, key: Key, sequence: u64, flight: Arc<Flight<V>>) -> Self {
        Self { store, key, sequence, flight: Some(flight) }
    }

    /// The seals of a value of this lease, and whether one of them was broken since the lease was won: of the tags', of
    /// all.
    fn seals(&self, tags: &Tags, resource: Option<Seal>) -> (Option<Arc<[Seal]>>, bool, bool) {
        if tags.is_empty() && resource.is_none() {
            return (None, false, false);
        }
        let mut table = self.store.tags().lock();
        let seals: Arc<[Seal]> = tags.iter().map(|tag| table.of(tag.clone())).chain(resource).collect();
        drop(table);
        let is_broken = |seal: &Seal| seal.broken_at() > self.sequence;
        let (untagged, broken) = (seals[..tags.len()].iter().any(is_broken), seals.iter().any(is_broken));
        (Some(seals), untagged, broken)
    }

    /// Detaches the flight. Those who waited in it are returned, with whether the lease held until now.
    fn land(&mut self) -> (bool, u8, VecDeque<Waiter<V>>) {
        let Some(flight) = self.flight.take() else { return (false, 0, VecDeque::new()) };
        let mut desk = self.store.desk(self.key.primary()).lock();
        let held = desk.detach(&self.key, &flight);
        (held, flight.vanished, flight.empty())
    }
}

impl<V: Value> MemoryLease<V> {
    #[cfg(feature = "redis")]
    pub(crate) fn primary(&self) -> crate::store::Primary {
        self.key.primary()
    }

    /// The version of what it fills.
    pub(crate) fn version(&self) -> Version {
        Version::new(self.sequence)
    }

    /// Keeps what may be another store's, and gives it to those who wait.
    pub(crate) fn keep(mut self, kept: &Kept<V>, origin: Origin) -> Filled {
        let weight = kept.weight() + size_of::<V>() + kept.tags().weight();
        let flight = self.flight.take().expect("a lease that was not ended has its flight");
        // Dropped after the lock: values are not dropped under it.
        let mut evicted = Vec::new();

        let mut desk = self.store.desk(self.key.primary()).lock();
        let held = desk.detach(&self.key, &flight);
        let vanished = flight.vanished;
        let waiters = flight.empty();
        let resource = (self.key.variant() != 0).then(|| desk.resources.of(self.key.primary()));
        let (seals, untagged, broken) = self.seals(kept.tags(), resource);
        let stored = held && !broken && origin != Origin::Refused;
        if stored {
            self.store.insert(self.key, Slot::new(kept.clone(), self.sequence, seals, weight), &mut evicted);
        }
        drop(desk);

        if untagged {
            // Who came after the removal may not have what was read before it. Who that is cannot be told: of several
            // removals of a tag its seal knows the last, and one who came before that may have come after the first.
            self.store.requeue(self.key, waiters, vanished.saturating_add(1));
        } else {
            // Where the resource was removed, its flight was detached: all who are in it came before.
            tell_all(waiters, || match origin {
                Origin::Made | Origin::Refused => Woken::Found(kept.clone()),
                #[cfg(feature = "redis")]
                Origin::Present => Woken::Present(kept.clone()),
            });
        }
        if stored { Filled::Stored } else { Filled::Superseded }
    }

    /// Keeps a sign that may be another store's, and moves.
    pub(crate) fn narrow_to(mut self, variant: u128, sign: &Kept<V>) -> Option<Self> {
        let weight = sign.weight() + size_of::<V>();
        let flight = self.flight.take().expect("a lease that was not ended has its flight");
        let narrowed = Key::new(self.key.primary()).with_variant(variant);
        let mut evicted = Vec::new();

        let mut desk = self.store.desk(self.key.primary()).lock();
        let held = desk.detach(&self.key, &flight);
        let waiters = flight.empty();
        let is_taken = held && desk.flight(&narrowed).is_some();
        if held {
            let seals = (self.key.variant() != 0).then(|| desk.resources.of(self.key.primary()));
            let seals = seals.map(|seal| Arc::from([seal]));
            self.store.insert(self.key, Slot::new(sign.clone(), self.sequence, seals, weight), &mut evicted);
        }
        if held && !is_taken {
            desk.attach(&narrowed, Arc::clone(&flight));
        }
        drop(desk);

        tell_all(waiters, || Woken::Found(sign.clone()));
        if !is_taken {
            // One that no longer holds moves unattached, and its fill says so.
            (self.key, self.flight) = (narrowed, Some(flight));
        }
        (!is_taken).then_some(self)
    }

    /// For a holder who made nothing, but waited elsewhere, and leaves: another goes on, and nobody vanished.
    #[cfg(feature = "redis")]
    pub(crate) fn step_aside(mut self) {
        let (_, vanished, waiters) = self.land();
        self.store.requeue(self.key, waiters, vanished);
    }

    pub(crate) fn disband_now(mut self, ending: Ending) {
        let (_, _, waiters) = self.land();
        tell_all(waiters, || Woken::Alone(ending));
    }

    pub(crate) fn replace_all_now(mut self, variant: u128, tags: &Tags) -> Option<Self> {
        let flight = self.flight.take().expect("a lease that was not ended has its flight");
        let before = self.key;
        let mut desk = self.store.desk(before.primary()).lock();
        let held = desk.detach(&before, &flight);
        let waiters = flight.empty();
        let removed = self.store.remove_at(&mut desk, before.primary());
        let mut table = self.store.tags().lock();
        let replaces = held && !tags.iter().any(|tag| table.of(tag.clone()).broken_at() > self.sequence);
        if replaces {
            // Still under the lock of the tags: a tag that is removed after this look is younger than the lease.
            (self.key, self.sequence) = (Key::new(before.primary()).with_variant(variant), self.store.next());
        }
        drop(table);
        if replaces {
            desk.attach(&self.key, Arc::clone(&flight));
        }
        drop((desk, removed));
        self.store.requeue(before, waiters, flight.vanished);
        self.flight = replaces.then_some(flight);
        replaces.then_some(self)
    }
}

impl<V: Value> Lease<V> for MemoryLease<V> {
    fn replaces(&self) -> Option<Version> {
        self.store.get_now(&self.key).map(|kept| kept.version())
    }

    async fn fill(self, value: V, keep_until: Timestamp, tags: Tags) -> Result<Filled, Error> {
        let kept = Kept::new(value, self.version(), keep_until, tags);
        Ok(self.keep(&kept, Origin::Made))
    }

    async fn narrow(self, variant: u128, sign: V, keep_until: Timestamp) -> Result<Option<Self>, Error> {
        let sign = Kept::new(sign, self.version(), keep_until, Tags::default());
        Ok(self.narrow_to(variant, &sign))
    }

    async fn replace_all(self, variant: u128, tags: Tags) -> Result<Option<Self>, Error> {
        Ok(self.replace_all_now(variant, &tags))
    }

    async fn disband(self, ending: Ending) {
        self.disband_now(ending);
    }
}

/// The holder vanished: one of those who wait goes on.
impl<V> Drop for MemoryLease<V> {
    fn drop(&mut self) {
        let (_, vanished, waiters) = self.land();
        self.store.requeue(self.key, waiters, vanished.saturating_add(1));
    }
}

impl<V> fmt::Debug for MemoryLease<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLease").field("key", &self.key).field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl<V> Memory<V> {
    /// Those whose flight ended without a value for them queue up again: the first who is still there leads, the others
    /// follow it; or all join whoever leads by now.
    fn requeue(&self, key: Key, mut waiters: VecDeque<Waiter<V>>, vanished: u8) {
        if vanished >= MOST_VANISHED {
            return tell_all(waiters, || Woken::Alone(Ending::Failed));
        }
        // A loop and not the drop of a lease that nobody took, which would recurse once for each waiter that is gone.
        loop {
            waiters.retain(|waiter| !waiter.tell.is_closed());
            let Some(first) = waiters.pop_front() else { return };

            let mut desk = self.desk(key.primary()).lock();
            if let Some(flight) = desk.flight(&key) {
                waiters.push_front(first);
                return flight.join_all(waiters);
            }
            let flight = Flight::new(vanished);
            flight.join_all(std::mem::take(&mut waiters));
            let lease = MemoryLease::new(self.clone(), key, self.next(), Arc::clone(&flight));
            desk.attach(&key, flight);
            drop(desk);

            match first.tell.send(Woken::Won(lease)) {
                Err(Woken::Won(mut lease)) => waiters = lease.land().2,
                Ok(()) | Err(_) => return,
            }
        }
    }
}

fn tell_all<V>(waiters: VecDeque<Waiter<V>>, mut word: impl FnMut() -> Woken<V, MemoryLease<V>>) {
    for waiter in waiters {
        // Whoever gave up waiting is not there to be told.
        let _ = waiter.tell.send(word());
    }
}
