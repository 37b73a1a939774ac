//! Records in shards, and the bytes they may take together.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::{index::Index, shard::Shard};
use crate::{
    clock::{Clock, SystemClock, Timestamp},
    error::Error,
    session::{
        changes::{Changes, Rotation},
        contract::{Applied, Condition, Creation, Destroyed, Listed, Loaded, NewRecord, SessionStore, Stamped},
        record::{Fields, Generation, Principal, Record},
        token::RecordId,
    },
};

/// The sessions of one process. A restart ends them all.
///
/// It is bounded in bytes. A live session is never given up for a new one: where there is no room, after all that expired was
/// reclaimed, whatever would grow the store is [refused](Error::is_refused) with the code `FULL`. Who wants to fill it has to
/// make sessions, which takes a handler that writes to one.
///
/// Expired sessions are not found, and their memory is reclaimed by those who create sessions; no task runs.
#[derive(Clone)]
pub struct MemorySessions(Arc<Shared>);

/// What a [`MemorySessions`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionUsage {
    /// Sessions held; some of them may have expired.
    pub sessions: u64,
    /// What they take, in bytes.
    pub bytes: u64,
    /// Sessions that expired and were reclaimed since the start.
    pub expired: u64,
    /// Changes and creations refused for want of room since the start.
    pub refused: u64,
}

struct Shared {
    clock: Arc<dyn Clock>,
    capacity: u64,
    field_bytes: usize,
    /// Found by the last byte of an id. Locked for one step; the index may be locked meanwhile, another shard never.
    shards: Box<[Mutex<Shard>]>,
    index: Mutex<Index>,
    /// The latest moment that anyone was told, in milliseconds.
    latest: AtomicU64,
    bytes: AtomicU64,
    expired: AtomicU64,
    refused: AtomicU64,
}

/// There is no room, unless some is made.
struct NoRoom;

const SHARDS: usize = 64;

/// What a record takes besides its texts and bytes: itself, its places in the tables, and what an allocator adds.
const RECORD_BYTES: usize = size_of::<Record>() + 256;

/// The same for a field.
const FIELD_BYTES: usize = 96;

/// How many expired records a creation reclaims at once: more than it makes, so that they do not pile up.
const RECLAIMED_AT_ONCE: usize = 4;

// === impl MemorySessions ===

impl MemorySessions {
    /// Room for 64 MiB of sessions.
    pub fn new() -> Self {
        Self::with_capacity(64 << 20)
    }

    /// Room for `bytes` of sessions, their bookkeeping included: about 700 bytes for a small one.
    ///
    /// # Panics
    ///
    /// When `bytes` is zero.
    pub fn with_capacity(bytes: u64) -> Self {
        assert!(bytes > 0, "a store of sessions needs room: its capacity is at least one byte");
        Self::build(Arc::new(SystemClock), bytes, 64 << 10)
    }

    /// The time, which decides what has expired. Default: [`SystemClock`]. To be said before the first session.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self::build(Arc::new(clock), self.0.capacity, self.0.field_bytes)
    }

    /// How many bytes the fields of one session may take. Default: 64 KiB. To be said before the first session.
    ///
    /// # Panics
    ///
    /// When `bytes` is zero.
    #[must_use]
    pub fn session_bytes(self, bytes: usize) -> Self {
        assert!(bytes > 0, "a session without room for a field holds nothing");
        Self::build(Arc::clone(&self.0.clock), self.0.capacity, bytes)
    }

    /// What is held now.
    pub fn usage(&self) -> SessionUsage {
        SessionUsage {
            sessions: self.0.shards.iter().map(|shard| shard.lock().len() as u64).sum(),
            bytes: self.0.bytes.load(Ordering::Relaxed),
            expired: self.0.expired.load(Ordering::Relaxed),
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }

    fn build(clock: Arc<dyn Clock>, capacity: u64, field_bytes: usize) -> Self {
        Self(Arc::new(Shared {
            clock,
            capacity,
            field_bytes,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            index: Mutex::default(),
            latest: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    fn create_now(&self, new: &NewRecord) -> Result<Creation, NoRoom> {
        let (id, now) = (new.id, self.0.now());
        let mut shard = self.0.shard(&id).lock();
        for _ in 0..RECLAIMED_AT_ONCE {
            if !self.0.reclaim_one(&mut shard, now) {
                break;
            }
        }
        if shard.get(&id).is_some() {
            return Ok(Creation::Exists);
        }
        let record = new.clone().begin(now);
        if record.fields.weight() > self.0.field_bytes {
            return Ok(Creation::TooLarge);
        }
        let (head, weight) = (record.head.clone(), weight(&record));
        self.0.owe(0, weight)?;
        if let Some(principal) = &head.principal {
            self.0.index.lock().add(principal, id);
        }
        shard.insert(id, record, weight);
        Ok(Creation::Created(Stamped { head, now }))
    }

    fn apply_now(&self, id: &RecordId, generation: Generation, changes: &Changes) -> Result<Applied, NoRoom> {
        let mut shard = self.0.shard(id).lock();
        let now = self.0.now();
        let Some((before, owed)) = self.0.find(&mut shard, id, now) else { return Ok(Applied::Gone) };
        if before.head.generation != generation {
            return Ok(Applied::Superseded);
        }
        if let Err(value) = changes.check(&before.fields) {
            return Ok(Applied::Differs(value));
        }
        let mut record = Record::clone(&before);
        changes.merge_into(&mut record.fields);
        if record.fields.weight() > self.0.field_bytes {
            return Ok(Applied::TooLarge);
        }
        changes.touch(&mut record.head, now);
        let weight = weight(&record);
        self.0.owe(owed, weight)?;
        if matches!(changes.rotation, Some(Rotation::Rights { .. })) {
            let mut index = self.0.index.lock();
            if let Some(principal) = &before.head.principal {
                index.remove(principal, id);
            }
            if let Some(principal) = &record.head.principal {
                index.add(principal, *id);
            }
        }
        let head = record.head.clone();
        shard.replace(id, record, weight);
        Ok(Applied::Done(Stamped { head, now }))
    }

    fn load_now(&self, id: &RecordId) -> Option<Loaded> {
        let mut shard = self.0.shard(id).lock();
        let now = self.0.now();
        let (record, _) = self.0.find(&mut shard, id, now)?;
        Some(Loaded { record, now })
    }

    fn destroy_now(&self, id: &RecordId, condition: Option<&Condition>) -> Destroyed {
        let mut shard = self.0.shard(id).lock();
        let Some((record, _)) = self.0.find(&mut shard, id, self.0.now()) else { return Destroyed::Gone };
        if condition.is_some_and(|condition| !condition.holds(&record.head)) {
            return Destroyed::Superseded;
        }
        self.0.remove(&mut shard, id);
        Destroyed::Done
    }

    /// `attempt`, and again after whatever expired was reclaimed.
    fn with_room<T>(&self, attempt: impl Fn() -> Result<T, NoRoom>) -> Result<T, Error> {
        attempt()
            .or_else(|NoRoom| {
                self.0.reclaim_all();
                attempt()
            })
            .map_err(|NoRoom| {
                self.0.refused.fetch_add(1, Ordering::Relaxed);
                let message =
                    format!("the session store is full: its {} bytes are taken by live sessions", self.0.capacity);
                Error::refused(&message, "FULL")
            })
    }
}

impl SessionStore for MemorySessions {
    fn field_bytes(&self) -> usize {
        self.0.field_bytes
    }

    async fn create(&self, new: NewRecord) -> Result<Creation, Error> {
        self.with_room(|| self.create_now(&new))
    }

    async fn load(&self, id: &RecordId) -> Result<Option<Loaded>, Error> {
        Ok(self.load_now(id))
    }

    async fn apply(&self, id: &RecordId, generation: Generation, changes: Changes) -> Result<Applied, Error> {
        self.with_room(|| self.apply_now(id, generation, &changes))
    }

    async fn destroy(&self, id: &RecordId) -> Result<bool, Error> {
        Ok(self.destroy_now(id, None) == Destroyed::Done)
    }

    async fn destroy_if(&self, id: &RecordId, condition: Condition) -> Result<Destroyed, Error> {
        Ok(self.destroy_now(id, Some(&condition)))
    }

    async fn list(&self, principal: &Principal) -> Result<Vec<Listed>, Error> {
        let ids = self.0.index.lock().of(principal);
        let heads = ids.into_iter().filter_map(|id| Some((id, self.load_now(&id)?.record)));
        let of_principal = heads.filter(|(_, record)| record.head.principal.as_ref() == Some(principal));
        Ok(of_principal.map(|(id, record)| Listed { id, head: record.head.clone() }).collect())
    }

    async fn destroy_all(&self, principal: &Principal, except: Option<RecordId>) -> Result<usize, Error> {
        let ids = self.0.index.lock().of(principal);
        let others = ids.into_iter().filter(|id| Some(*id) != except);
        let condition = Condition::Principal(principal.clone());
        Ok(others.filter(|id| self.destroy_now(id, Some(&condition)) == Destroyed::Done).count())
    }
}

impl Default for MemorySessions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemorySessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySessions")
            .field("capacity", &self.0.capacity)
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    /// Never earlier than before: a secret that was found to be dead does not come back with a clock that steps back.
    fn now(&self) -> Timestamp {
        let now = self.clock.now().as_millis();
        let latest = self.latest.load(Ordering::SeqCst);
        if now <= latest {
            return Timestamp::from_millis(latest);
        }
        Timestamp::from_millis(self.latest.fetch_max(now, Ordering::SeqCst).max(now))
    }

    fn shard(&self, id: &RecordId) -> &Mutex<Shard> {
        &self.shards[usize::from(id.as_bytes()[31]) % SHARDS]
    }

    /// A live record, and what is owed for it.
    fn find(&self, shard: &mut Shard, id: &RecordId, now: Timestamp) -> Option<(Arc<Record>, u64)> {
        let held = shard.get(id)?;
        if held.record.head.expires() > now {
            return Some((Arc::clone(&held.record), held.weight));
        }
        self.remove(shard, id);
        self.expired.fetch_add(1, Ordering::Relaxed);
        None
    }

    fn remove(&self, shard: &mut Shard, id: &RecordId) {
        if let Some(held) = shard.remove(id) {
            self.settle(id, &held.record, held.weight);
        }
    }

    fn reclaim_all(&self) {
        for shard in &self.shards {
            while self.reclaim_one(&mut shard.lock(), self.now()) {}
        }
    }

    /// Whether there was an expired record in the shard.
    fn reclaim_one(&self, shard: &mut Shard, now: Timestamp) -> bool {
        let Some((id, held)) = shard.take_expired(now) else { return false };
        self.settle(&id, &held.record, held.weight);
        self.expired.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// What is done for a record that was taken out.
    fn settle(&self, id: &RecordId, record: &Record, weight: u64) {
        self.bytes.fetch_sub(weight, Ordering::Relaxed);
        if let Some(principal) = &record.head.principal {
            self.index.lock().remove(principal, id);
        }
    }

    /// Takes room for `after` bytes where `before` are taken. To shrink is always possible.
    fn owe(&self, before: u64, after: u64) -> Result<(), NoRoom> {
        let change = |bytes: u64| {
            let sum = bytes - before + after;
            (after <= before || sum <= self.capacity).then_some(sum)
        };
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).map(drop).map_err(|_| NoRoom)
    }
}

/// What a record takes in memory, roughly.
fn weight(record: &Record) -> u64 {
    let Record { head, fields } = record;
    let Fields { values, counters, sets } = fields;
    let members = sets.values().map(BTreeSet::len).sum::<usize>();
    let many = values.len() + counters.len() + sets.len() + members;
    let principal = head.principal.as_ref().map_or(0, |principal| principal.as_str().len() + FIELD_BYTES);
    let agent = head.client.agent.as_ref().map_or(0, |agent| agent.len());
    (RECORD_BYTES + fields.weight() + many * FIELD_BYTES + principal + agent) as u64
}
