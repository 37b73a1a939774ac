//! What a layer has done.

use crate::observe::Count;

/// What a [`RateLimitLayer`](super::RateLimitLayer) has done since it was made. Every request it saw is in one of the first five.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitCounters {
    /// Requests that were allowed.
    pub allowed: u64,
    /// Requests that were refused because a policy denied.
    pub denied: u64,
    /// Requests that would have been refused, and passed: the layer is in shadow mode.
    pub shadowed: u64,
    /// Requests that no policy concerned, or that were exempt.
    pub exempt: u64,
    /// Requests that passed or were refused without being counted, since the limiter could not be asked.
    pub unasked: u64,
    /// Requests that were decided by this process's own share, since the limiter could not be asked. They are in `allowed` and `denied`, too.
    pub alone: u64,
    /// Requests of whom a policy did not find whose they are. They are counted with all others like them.
    pub nobody: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) allowed: Count,
    pub(super) denied: Count,
    pub(super) shadowed: Count,
    pub(super) exempt: Count,
    pub(super) unasked: Count,
    pub(super) alone: Count,
    pub(super) nobody: Count,
}

// === impl Counts ===

impl Counts {
    pub(super) fn read(&self) -> RateLimitCounters {
        RateLimitCounters {
            allowed: self.allowed.sum(),
            denied: self.denied.sum(),
            shadowed: self.shadowed.sum(),
            exempt: self.exempt.sum(),
            unasked: self.unasked.sum(),
            alone: self.alone.sum(),
            nobody: self.nobody.sum(),
        }
    }
}
