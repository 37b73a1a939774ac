//! What an [`Aside`](super::Aside) did, in numbers.

use crate::{observe::Count, store::Usage};

/// A snapshot of what an [`Aside`](super::Aside) and its clones did since it was made, and of what its store holds.
///
/// Each key that was asked for is counted once, as a hit, as stale, or as collapsed; or by the load that was made for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Answered with what was kept, and fresh; also that there is nothing.
    pub hits: u64,
    /// Answered with a stale value, within one of the windows.
    pub stale: u64,
    /// Answered with what another caller loaded, or with that one's error.
    pub collapsed: u64,
    /// Keys that were loaded, those in the background included.
    pub loads: u64,
    /// Those whose loader failed.
    pub failures: u64,
    /// Callers who had an error after the hard time-out.
    pub timeouts: u64,
    /// Loads that an invalidation overtook, so that they were not kept; and those that are too large for the store.
    pub superseded: u64,
    /// Values that the codec could not write, so that they were not kept.
    pub unwritable: u64,
    /// What the store holds in this process. Others may share it.
    pub usage: Usage,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: Count,
    pub(super) stale: Count,
    pub(super) collapsed: Count,
    pub(super) loads: Count,
    pub(super) failures: Count,
    pub(super) timeouts: Count,
    pub(super) superseded: Count,
    pub(super) unwritable: Count,
}

// === impl Counts ===

impl Counts {
    pub(super) fn snapshot(&self, usage: Usage) -> Counters {
        Counters {
            hits: self.hits.sum(),
            stale: self.stale.sum(),
            collapsed: self.collapsed.sum(),
            loads: self.loads.sum(),
            failures: self.failures.sum(),
            timeouts: self.timeouts.sum(),
            superseded: self.superseded.sum(),
            unwritable: self.unwritable.sum(),
            usage,
        }
    }
}
