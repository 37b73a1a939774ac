//! What a check answers.

use std::time::Duration;

#[cfg(feature = "limit")]
use crate::clock::Timestamp;

/// How a quota stands: what `RateLimit` headers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub(super) limit: u64,
    pub(super) remaining: u64,
    pub(super) more: Option<More>,
}

/// What comes back next, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct More {
    pub(super) after: u64,
    pub(super) amount: u64,
}

/// What was taken. It can be given back once, by [`Meter::refund`](super::Meter::refund).
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    pub(super) cost: u64,
    /// When, as the meter counted it.
    pub(super) at: u64,
    /// All that was out, this included.
    pub(super) level: u64,
    pub(super) standing: Standing,
}

/// Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    pub(super) retry: Retry,
    pub(super) standing: Standing,
}

/// When what was denied could be taken, if nothing else is until then. The later is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retry {
    /// After this long, in whole milliseconds, and not a millisecond before. `Retry-After` is this, rounded up to seconds.
    After(Duration),
    /// Never: the cost is above what the quota could ever have at once.
    Never,
}

/// What became of one of several quotas in one check.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// The cost was taken.
    Taken(Taken),
    /// The cost could have been taken, and was not: another quota denied, or nobody asked to take.
    Open(Standing),
    /// The cost could not be taken.
    Denied(Denied),
}

// === impl Standing ===

impl Standing {
    #[cfg(all(feature = "limit", any(feature = "redis", test)))]
    /// One that was found elsewhere: after `after` milliseconds `amount` more remains.
    pub(crate) const fn told(limit: u64, remaining: u64, more: Option<(u64, u64)>) -> Self {
        let more = match more {
            Some((after, amount)) => Some(More { after, amount }),
            None => None,
        };
        Self { limit, remaining, more }
    }

    /// The most that could remain: the quota's limit, or the burst of a token bucket.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// How much could be taken now; the `r` of `RateLimit`.
    pub const fn remaining(&self) -> u64 {
        self.remaining
    }

    /// After how long more remains than now, in whole milliseconds, rounded up; the `t` of `RateLimit`. `None` when all of
    /// the limit remains, and when nothing ever comes back.
    pub fn more_after(&self) -> Option<Duration> {
        self.more.map(|more| Duration::from_millis(more.after))
    }

    /// How much more remains after [`more_after`](Self::more_after), if nothing is taken until then.
    pub fn more(&self) -> u64 {
        self.more.map_or(0, |more| more.amount)
    }
}

// === impl Taken ===

impl Taken {
    #[cfg(all(feature = "limit", feature = "redis"))]
    /// One that was counted elsewhere.
    pub(crate) const fn told(cost: u64, at: Timestamp, level: u64, standing: Standing) -> Self {
        Self { cost, at: at.as_millis(), level, standing }
    }

    /// When it was taken, as the meter counted it.
    #[cfg(feature = "limit")]
    pub(crate) const fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at)
    }

    #[cfg(all(feature = "limit", feature = "redis"))]
    /// All that was out then, this included.
    pub(crate) const fn level(&self) -> u64 {
        self.level
    }

    /// How much was taken.
    pub const fn cost(&self) -> u64 {
        self.cost
    }

    /// How the quota stands since.
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// A receipt for all but `kept` of it, for what turned out to be cheaper.
    #[must_use]
    pub const fn all_but(mut self, kept: u64) -> Self {
        self.cost = self.cost.saturating_sub(kept);
        self
    }
}

// === impl Denied ===

impl Denied {
    #[cfg(all(feature = "limit", feature = "redis"))]
    /// One that was found elsewhere.
    pub(crate) const fn told(retry: Retry, standing: Standing) -> Self {
        Self { retry, standing }
    }

    /// When the same could be taken.
    pub const fn retry(&self) -> Retry {
        self.retry
    }

    /// How the quota stands.
    pub const fn standing(&self) -> Standing {
        self.standing
    }
}

// === impl Decision ===

impl Decision {
    /// How the quota stands after it.
    pub const fn standing(&self) -> Standing {
        match self {
            Self::Taken(taken) => taken.standing,
            Self::Open(standing) => *standing,
            Self::Denied(denied) => denied.standing,
        }
    }

    /// When the cost could be taken, if it was denied.
    pub const fn retry(&self) -> Option<Retry> {
        match self {
            Self::Denied(denied) => Some(denied.retry),
            Self::Taken(_) | Self::Open(_) => None,
        }
    }

    /// Whether this quota was not what denied.
    pub const fn is_allowed(&self) -> bool {
        !matches!(self, Self::Denied(_))
    }
}

impl From<Result<Taken, Denied>> for Decision {
    fn from(answer: Result<Taken, Denied>) -> Self {
        answer.map_or_else(Self::Denied, Self::Taken)
    }
}

impl From<Result<Standing, Denied>> for Decision {
    fn from(answer: Result<Standing, Denied>) -> Self {
        answer.map_or_else(Self::Denied, Self::Open)
    }
}
