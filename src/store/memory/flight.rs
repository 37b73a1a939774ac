//! Values in the making, and those who wait for them.

use std::{collections::HashMap, collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{lease::MemoryLease, seal::Seals};
use crate::store::{
    contract::Woken,
    key::{Key, Prehashed, Primary},
};

/// What is going on for the resources of one shard.
#[derive(Debug)]
pub(super) struct Desk<V> {
    /// The attached flights of each resource, by variant. A resource has few at a time.
    flights: HashMap<u128, Vec<(u128, Arc<Flight<V>>)>, Prehashed>,
    /// Held by the variants of each resource, since there is no list of them.
    pub(super) resources: Seals<Primary>,
}

/// One value in the making.
#[derive(Debug)]
pub(super) struct Flight<V> {
    /// Changed only under the desk's lock.
    waiters: Mutex<VecDeque<Waiter<V>>>,
    /// How many holders in a row vanished before this one.
    pub(super) vanished: u8,
}

/// One caller who waits.
#[derive(Debug)]
pub(super) struct Waiter<V> {
    pub(super) tell: oneshot::Sender<Woken<V, MemoryLease<V>>>,
}

// === impl Desk ===

impl<V> Desk<V> {
    pub(super) fn flight(&self, key: &Key) -> Option<&Arc<Flight<V>>> {
        let variants = self.flights.get(&key.primary().0)?;
        variants.iter().find_map(|(variant, flight)| (*variant == key.variant()).then_some(flight))
    }

    /// Makes `flight` the one that callers of `key` join.
    pub(super) fn attach(&mut self, key: &Key, flight: Arc<Flight<V>>) {
        debug_assert!(self.flight(key).is_none(), "a key has at most one attached flight");
        self.flights.entry(key.primary().0).or_default().push((key.variant(), flight));
    }

    /// Whether `flight` was attached to `key` until now.
    pub(super) fn detach(&mut self, key: &Key, flight: &Arc<Flight<V>>) -> bool {
        let Some(variants) = self.flights.get_mut(&key.primary().0) else { return false };
        let Some(at) = variants.iter().position(|(_, attached)| Arc::ptr_eq(attached, flight)) else { return false };
        variants.swap_remove(at);
        if variants.is_empty() {
            self.flights.remove(&key.primary().0);
        }
        true
    }

    /// Callers of any variant begin anew from now on.
    pub(super) fn detach_all_of(&mut self, primary: Primary) {
        self.flights.remove(&primary.0);
    }

    /// Callers of anything begin anew from now on.
    pub(super) fn detach_all(&mut self) {
        self.flights.clear();
    }
}

impl<V> Default for Desk<V> {
    fn default() -> Self {
        Self { flights: HashMap::default(), resources: Seals::default() }
    }
}

// === impl Flight ===

impl<V> Flight<V> {
    pub(super) fn new(vanished: u8) -> Arc<Self> {
        Arc::new(Self { waiters: Mutex::default(), vanished })
    }

    pub(super) fn join(&self, waiter: Waiter<V>) {
        let mut waiters = self.waiters.lock();
        // Who gave up long ago need not be carried to the end, or a slow origin collects the impatient without bound.
        if waiters.len() == waiters.capacity() {
            waiters.retain(|waiter| !waiter.tell.is_closed());
        }
        waiters.push_back(waiter);
    }

    pub(super) fn join_all(&self, waiters: VecDeque<Waiter<V>>) {
        self.waiters.lock().extend(waiters);
    }

    pub(super) fn empty(&self) -> VecDeque<Waiter<V>> {
        std::mem::take(&mut *self.waiters.lock())
    }
}
