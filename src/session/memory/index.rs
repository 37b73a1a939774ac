//! Which sessions are whose.

use std::collections::{BTreeSet, HashMap};

use crate::session::{record::Principal, token::RecordId};

/// Kept exactly: a record is in it as long as it is held and has a principal.
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<Principal, BTreeSet<RecordId>>);

// === impl Index ===

impl Index {
    pub(super) fn add(&mut self, principal: &Principal, id: RecordId) {
        self.0.entry(principal.clone()).or_default().insert(id);
    }

    pub(super) fn remove(&mut self, principal: &Principal, id: &RecordId) {
        if let Some(ids) = self.0.get_mut(principal) {
            ids.remove(id);
            if ids.is_empty() {
                self.0.remove(principal);
            }
        }
    }

    pub(super) fn of(&self, principal: &Principal) -> Vec<RecordId> {
        self.0.get(principal).into_iter().flatten().copied().collect()
    }
}
