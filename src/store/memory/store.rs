//! The map, and what else a store of one process is made of.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter, sync::Cache};
use tokio::sync::oneshot;

use super::{
    flight::{Desk, Flight, Waiter},
    lease::MemoryLease,
    seal::{Seal, Seals},
};
use crate::{
    error::Error,
    store::{
        contract::{Ending, Leased, Store, Usage, Value, Wait, Woken},
        kept::{Kept, Tag, Version},
        key::{Key, Prehashed, Primary, Seed},
    },
};

/// Keeps values in this process, bounded by bytes. Clones are handles of the same store.
pub struct Memory<V>(Arc<Shared<V>>);

struct Shared<V> {
    seed: Seed,
    map: Cache<Key, Slot<V>, ByWeight, Prehashed, Evicted>,
    sequence: AtomicU64,
    evicted: AtomicU64,
    /// By resource. Locked before `tags`, never after.
    desks: Box<[Mutex<Desk<V>>]>,
    tags: Mutex<Seals<Tag>>,
}

/// A value in the map. The version in `kept` may be another store's; `sequence` is this one's.
pub(super) struct Slot<V> {
    kept: Kept<V>,
    sequence: u64,
    seals: Option<Arc<[Seal]>>,
    weight: usize,
}

#[derive(Clone)]
struct ByWeight;

#[derive(Clone)]
struct Evicted;

/// What the map, the slot and the reference counts take beside the value.
const OVERHEAD: usize = 200;

/// What one value may take at the most is a shard's share of the capacity, so shards are not made smaller than this.
const SHARD_BYTES: u64 = 8 << 20;

const DESKS: usize = 64;

// === impl Memory ===

impl<V> Memory<V> {
    /// A store that holds up to `bytes` of values, their keys, tags and bookkeeping included.
    ///
    /// A value that takes more than an eighth of that, or more than 8 MiB where the capacity is larger than 64 MiB, may
    /// not be kept.
    ///
    /// # Panics
    ///
    /// When `bytes` is zero.
    pub fn with_capacity(bytes: u64) -> Self {
        assert!(bytes > 0, "a memory store needs room: its capacity is at least one byte");
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let shards = (bytes / SHARD_BYTES).clamp(1, 4 * threads as u64);
        let options = OptionsBuilder::new()
            .weight_capacity(bytes)
            .estimated_items_capacity((bytes / 4096).clamp(32 * shards, 1 << 20) as usize)
            .shards(shards as usize)
            .build()
            .expect("both capacities are given");
        Self(Arc::new(Shared {
            seed: Seed::random(),
            map: Cache::with_options(options, ByWeight, Prehashed, Evicted),
            sequence: AtomicU64::new(1),
            evicted: AtomicU64::new(0),
            desks: (0..DESKS).map(|_| Mutex::default()).collect(),
            tags: Mutex::default(),
        }))
    }

    pub(super) fn next(&self) -> u64 {
        self.0.sequence.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn desk(&self, primary: Primary) -> &Mutex<Desk<V>> {
        &self.0.desks[(primary.0 >> 64) as usize % DESKS]
    }

    pub(super) fn tags(&self) -> &Mutex<Seals<Tag>> {
        &self.0.tags
    }

    pub(super) fn insert(&self, key: Key, slot: Slot<V>, evicted: &mut Vec<(Key, Slot<V>)>) {
        let (before, sequence) = (evicted.len(), slot.sequence);
        self.0.map.insert_with_lifecycle(key, slot, evicted);
        // The map hands the value that was replaced back with those that made room.
        let given_up = evicted[before..].iter().filter(|(of, slot)| *of != key || slot.sequence == sequence).count();
        self.0.evicted.fetch_add(given_up as u64, Ordering::Relaxed);
    }

    /// Removes a resource at whose desk the caller is. What it gets is to be dropped after the lock.
    pub(super) fn remove_at(&self, desk: &mut Desk<V>, primary: Primary) -> Option<impl Sized + use<V>> {
        desk.detach_all_of(primary);
        desk.resources.remove_kept(&primary, self.next());
        self.0.map.remove(&Key::new(primary))
    }

    #[inline]
    fn find(&self, key: &Key) -> Option<Kept<V>> {
        let slot = self.0.map.get(key)?;
        if slot.is_removed() {
            self.0.map.remove_if(key, Slot::is_removed);
            return None;
        }
        Some(slot.kept)
    }
}

impl<V: Value> Memory<V> {
    fn lease_now(&self, key: Key, seen: Option<Version>) -> Leased<V, MemoryLease<V>> {
        let mut desk = self.desk(key.primary()).lock();
        // Looked up again under the lock: it may have been filled since the caller looked.
        if let Some(kept) = self.find(&key)
            && Some(kept.version()) != seen
        {
            return Leased::Found(kept);
        }
        if let Some(flight) = desk.flight(&key) {
            let (tell, told) = oneshot::channel();
            flight.join(Waiter { tell });
            return Leased::Busy(Wait::new(async { told.await.unwrap_or(Woken::Alone(Ending::Failed)) }));
        }
        let flight = Flight::new(0);
        desk.attach(&key, Arc::clone(&flight));
        Leased::Won(MemoryLease::new(self.clone(), key, self.next(), flight))
    }

    pub(crate) fn remove_now(&self, primary: Primary) {
        let removed = self.remove_at(&mut self.desk(primary).lock(), primary);
        drop(removed);
    }

    pub(crate) fn remove_tagged_now(&self, tag: Tag) {
        self.0.tags.lock().remove(tag, self.next());
    }

    #[cfg(feature = "redis")]
    pub(crate) fn give_up(&self, key: &Key, version: Version) {
        self.0.map.remove_if(key, |slot| slot.kept.version() == version);
    }

    pub(crate) fn clear_now(&self) {
        // A fill needs its flight attached: once all are detached, only values younger than this call come in.
        for desk in &self.0.desks {
            desk.lock().detach_all();
        }
        self.0.map.clear();
    }
}

impl<V: Value> Store<V> for Memory<V> {
    type Lease = MemoryLease<V>;

    fn seed(&self) -> Seed {
        self.0.seed
    }

    #[inline]
    fn get_now(&self, key: &Key) -> Option<Kept<V>> {
        self.find(key)
    }

    async fn lease(&self, key: Key, seen: Option<Version>) -> Result<Leased<V, MemoryLease<V>>, Error> {
        Ok(self.lease_now(key, seen))
    }

    async fn remove(&self, primary: Primary) -> Result<(), Error> {
        self.remove_now(primary);
        Ok(())
    }

    async fn remove_tagged(&self, tag: Tag) -> Result<(), Error> {
        self.remove_tagged_now(tag);
        Ok(())
    }

    async fn clear(&self) -> Result<(), Error> {
        self.clear_now();
        Ok(())
    }

    fn usage(&self) -> Usage {
        Usage::new(self.0.map.len() as u64, self.0.map.weight(), self.0.evicted.load(Ordering::Relaxed))
    }
}

impl<V> Clone for Memory<V> {
    #[inline]
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V> fmt::Debug for Memory<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("capacity", &self.0.map.capacity())
            .field("entries", &self.0.map.len())
            .field("bytes", &self.0.map.weight())
            .finish_non_exhaustive()
    }
}

// === impl Slot ===

impl<V> Slot<V> {
    pub(super) fn new(kept: Kept<V>, sequence: u64, seals: Option<Arc<[Seal]>>, weight: usize) -> Self {
        let sealed = seals.as_ref().map_or(0, |seals| seals.len() * 2 * size_of::<Seal>());
        Self { kept, sequence, seals, weight: weight + sealed + OVERHEAD }
    }

    #[inline]
    fn is_removed(&self) -> bool {
        self.seals.as_ref().is_some_and(|seals| seals.iter().any(|seal| seal.broken_at() > self.sequence))
    }
}

impl<V> Clone for Slot<V> {
    #[inline]
    fn clone(&self) -> Self {
        Self { kept: self.kept.clone(), sequence: self.sequence, seals: self.seals.clone(), weight: self.weight }
    }
}

// === impl ByWeight ===

impl<V> Weighter<Key, Slot<V>> for ByWeight {
    fn weight(&self, _: &Key, slot: &Slot<V>) -> u64 {
        slot.weight as u64
    }
}

// === impl Evicted ===

impl<V> Lifecycle<Key, Slot<V>> for Evicted {
    type RequestState = Vec<(Key, Slot<V>)>;

    fn on_evict(&self, evicted: &mut Vec<(Key, Slot<V>)>, key: Key, slot: Slot<V>) {
        evicted.push((key, slot));
    }
}
