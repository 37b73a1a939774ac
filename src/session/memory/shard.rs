//! A part of the records, behind one lock.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use crate::{
    clock::Timestamp,
    session::{record::Record, token::RecordId},
};

#[derive(Debug, Default)]
pub(super) struct Shard {
    records: HashMap<RecordId, Held, BuildHasherDefault<Prehashed>>,
    /// Each record once, at a moment at which it may have expired.
    due: BTreeSet<(Timestamp, RecordId)>,
}

/// A record, and what is owed for it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) record: Arc<Record>,
    /// What the record takes of the store's capacity.
    pub(super) weight: u64,
    due: Timestamp,
}

/// Ids are digests of random bytes, and a stranger's are only ever looked up.
#[derive(Debug, Default)]
struct Prehashed(u64);

// === impl Shard ===

impl Shard {
    pub(super) fn get(&self, id: &RecordId) -> Option<&Held> {
        self.records.get(id)
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether it was put there: an id that is taken stays what it is.
    pub(super) fn insert(&mut self, id: RecordId, record: Record, weight: u64) -> bool {
        let due = record.head.expires();
        let Entry::Vacant(place) = self.records.entry(id) else { return false };
        place.insert(Held { record: Arc::new(record), weight, due });
        self.due.insert((due, id));
        true
    }

    /// Puts another record in the place of one that is there.
    pub(super) fn replace(&mut self, id: &RecordId, record: Record, weight: u64) {
        let Some(held) = self.records.get_mut(id) else { return };
        let expires = record.head.expires();
        // A deadline that moved on is met with when the old one comes, so that a touch costs no more than this comparison.
        if expires < held.due {
            self.due.remove(&(held.due, *id));
            self.due.insert((expires, *id));
            held.due = expires;
        }
        (held.record, held.weight) = (Arc::new(record), weight);
    }

    pub(super) fn remove(&mut self, id: &RecordId) -> Option<Held> {
        let held = self.records.remove(id)?;
        self.due.remove(&(held.due, *id));
        Some(held)
    }

    /// The next record that expired by `now`, taken out.
    pub(super) fn take_expired(&mut self, now: Timestamp) -> Option<(RecordId, Held)> {
        while let Some(&(due, id)) = self.due.first().filter(|(due, _)| *due <= now) {
            let expires = self.records.get(&id).map(|held| held.record.head.expires());
            match expires.filter(|expires| *expires > now) {
                None => return self.remove(&id).map(|held| (id, held)),
                Some(expires) => {
                    self.due.remove(&(due, id));
                    self.due.insert((expires, id));
                    if let Some(held) = self.records.get_mut(&id) {
                        held.due = expires;
                    }
                }
            }
        }
        None
    }
}

// === impl Prehashed ===

impl Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }
}
