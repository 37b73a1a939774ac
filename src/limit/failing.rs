//! What holds while the counts cannot be asked.

use crate::quota::Quota;

/// What becomes of requests when the limiter cannot be asked: Redis is away, or too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failing {
    /// They pass, without a limit.
    Open,
    /// They are refused, as 503.
    Closed,
    /// This process counts them itself, in 8 MiB of memory for each layer, and lets an equal share of each limit through, rounded
    /// down: while nobody reaches the limiter, all processes together let through no more than the limit for each layer. What the
    /// limiter still lets through for others, or let through just before, comes on top: up to twice the limit in a window. A
    /// limit lower than the number of processes lets nothing through.
    Share {
        /// How many processes share the limits; less than 1 counts as 1.
        among: u32,
    },
}

// === impl Failing ===

impl Failing {
    /// What of a quota is this process's own.
    pub(super) fn share(self, quota: &Quota) -> Quota {
        match self {
            Self::Share { among } => quota.share(among.max(1).into()),
            Self::Open | Self::Closed => quota.clone(),
        }
    }
}

impl Default for Failing {
    /// The share of one: each process lets the whole limit through.
    fn default() -> Self {
        Self::Share { among: 1 }
    }
}
