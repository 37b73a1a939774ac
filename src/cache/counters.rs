//! What the cache did, in numbers.

use std::fmt;

use crate::{
    observe::Count,
    store::{Sharing, Usage},
};

/// A snapshot of what a cache did since it was made, and of what its store holds.
///
/// Each request is counted once: as a hit, as stale, as collapsed, or as a miss for one reason. One that `only-if-cached`
/// kept from the inner service is not counted, nor is a refresh in the background.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Answered from the store, fresh; 304 and 206 included.
    pub hits: u64,
    /// Answered from the store after its lifetime, within a stale window.
    pub stale: u64,
    /// Answered with the response to another's request, waited for: `collapsed` in `Cache-Status`.
    pub collapsed: u64,
    /// Went to the inner service.
    pub misses: Misses,
    /// Fills that were kept.
    pub stored: u64,
    /// Fills that a purge overtook, so that they were not kept.
    pub superseded: u64,
    /// Responses that could not be stored.
    pub uncacheable: u64,
    /// Entries that the store gave up for want of room. Of the store, which other caches may share.
    pub evicted: u64,
    /// Entries in the store. Of the store, which other caches may share.
    pub entries: u64,
    /// What they take, in bytes. Of the store, which other caches may share.
    pub bytes: u64,
    /// Of a store that other processes share, how it is with them.
    pub sharing: Option<Sharing>,
}

/// Requests that went to the inner service, by reason: `fwd` in `Cache-Status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Misses {
    /// Nothing was stored: `uri-miss`.
    pub absent: u64,
    /// What was stored did not match the request's `Vary` fields: `vary-miss`.
    pub variant: u64,
    /// What was stored was too old: `stale`.
    pub expired: u64,
    /// The key is known as uncacheable: `uri-miss; detail=pass`.
    pub pass: u64,
    /// The method is not one that is answered from a cache: `method`.
    pub method: u64,
    /// A rule, or the request itself, keeps it from the cache: `bypass`.
    pub bypass: u64,
    /// The client asked for a fresher response, and may: `request`.
    pub requested: u64,
}

/// The running counts behind [`Counters`].
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) hits: Count,
    pub(crate) stale: Count,
    pub(crate) collapsed: Count,
    pub(crate) absent: Count,
    pub(crate) variant: Count,
    pub(crate) expired: Count,
    pub(crate) pass: Count,
    pub(crate) method: Count,
    pub(crate) bypass: Count,
    pub(crate) requested: Count,
    pub(crate) stored: Count,
    pub(crate) superseded: Count,
    pub(crate) uncacheable: Count,
}

// === impl Misses ===

impl Misses {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.absent + self.variant + self.expired + self.pass + self.method + self.bypass + self.requested
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} hits, {} stale, {} collapsed, {} misses; {} stored, {} uncacheable, {} superseded; {} entries, {} bytes, {} evicted",
            self.hits,
            self.stale,
            self.collapsed,
            self.misses.total(),
            self.stored,
            self.uncacheable,
            self.superseded,
            self.entries,
            self.bytes,
            self.evicted,
        )?;
        match self.sharing {
            None => Ok(()),
            Some(Sharing { staleness_bound, is_connected: true }) => {
                write!(f, "; at most {staleness_bound:?} behind the others")
            }
            Some(Sharing { staleness_bound, is_connected: false }) => {
                write!(f, "; cut off from the others, nothing is believed for longer than {staleness_bound:?}")
            }
        }
    }
}

// === impl Counts ===

impl Counts {
    pub(crate) fn snapshot(&self, usage: Usage) -> Counters {
        Counters {
            hits: self.hits.sum(),
            stale: self.stale.sum(),
            collapsed: self.collapsed.sum(),
            misses: Misses {
                absent: self.absent.sum(),
                variant: self.variant.sum(),
                expired: self.expired.sum(),
                pass: self.pass.sum(),
                method: self.method.sum(),
                bypass: self.bypass.sum(),
                requested: self.requested.sum(),
            },
            stored: self.stored.sum(),
            superseded: self.superseded.sum(),
            uncacheable: self.uncacheable.sum(),
            evicted: usage.evicted,
            entries: usage.entries,
            bytes: usage.bytes,
            sharing: usage.sharing,
        }
    }
}
