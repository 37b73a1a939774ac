//! The choice between the algorithms, at run time.

use std::{str::FromStr, time::Duration};

use super::{
    approximate::ApproximateWindow,
    bucket::TokenBucket,
    decision::{Denied, Standing, Taken},
    fixed::FixedWindow,
    log::SlidingLog,
    meter::Account,
    policy::Quota,
    sliding::SlidingWindow,
};
use crate::{clock::Timestamp, error::Error};

/// By which rules a quota is kept. The [module](super) compares them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// [`SlidingWindow`]: never more than the limit in any window.
    #[default]
    Sliding,
    /// [`SlidingLog`]: the same, and nothing denied that the limit would allow.
    Log,
    /// [`TokenBucket`]: a rate, with a burst.
    Bucket,
    /// [`FixedWindow`]: periods with an end that has a name.
    Fixed,
    /// [`ApproximateWindow`]: two counters.
    Approximate,
}

/// What has been taken under one key, by the [`Algorithm`] that was chosen.
///
/// Where there is no choice, the meter of the algorithm itself takes less memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter(Any);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Any {
    Sliding(SlidingWindow),
    Log(SlidingLog),
    Bucket(TokenBucket),
    Fixed(FixedWindow),
    Approximate(ApproximateWindow),
}

// === impl Algorithm ===

impl Algorithm {
    /// All of them, the default first.
    pub const ALL: [Self; 5] = [Self::Sliding, Self::Log, Self::Bucket, Self::Fixed, Self::Approximate];

    /// A counter from which nothing was taken.
    pub fn counter(self) -> Counter {
        Counter(match self {
            Self::Sliding => Any::Sliding(SlidingWindow::default()),
            Self::Log => Any::Log(SlidingLog::default()),
            Self::Bucket => Any::Bucket(TokenBucket::default()),
            Self::Fixed => Any::Fixed(FixedWindow::default()),
            Self::Approximate => Any::Approximate(ApproximateWindow::default()),
        })
    }

    /// The most that any trailing window can hold of what was taken, without penalties and changes of the quota.
    pub fn worst_window(self, quota: &Quota) -> u64 {
        let (limit, window) = (quota.limit(), u128::from(quota.window_millis()));
        let comes_back = (u128::from(limit) * (window - 1) / window) as u64;
        match self {
            Self::Sliding | Self::Log => limit,
            Self::Bucket => quota.at_once() + comes_back,
            Self::Approximate => limit + comes_back,
            // A window of a millisecond is a period.
            Self::Fixed => limit * window.min(2) as u64,
        }
    }

    /// How long what is taken counts, at the most; without penalties and changes of the quota.
    #[inline]
    pub fn memory(self, quota: &Quota) -> Duration {
        let windows = match self {
            Self::Sliding | Self::Log | Self::Fixed => 1,
            Self::Approximate => 2,
            Self::Bucket if quota.at_once() <= quota.limit() => 1,
            Self::Bucket => quota.at_once().div_ceil(quota.limit()),
        };
        Duration::from_millis(quota.window_millis().saturating_mul(windows))
    }

    /// Whether all that was said of `quota` means something to this algorithm.
    ///
    /// # Errors
    ///
    /// When the quota has a burst and this is not a token bucket.
    pub fn suits(self, quota: &Quota) -> Result<(), Error> {
        if quota.has_burst() && self != Self::Bucket {
            let name = self.as_str();
            return Err(Error::invalid(&format!("a burst for the algorithm {name}: only a bucket has one")));
        }
        Ok(())
    }

    /// The name in lower case, as [`FromStr`] takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sliding => "sliding",
            Self::Log => "log",
            Self::Bucket => "bucket",
            Self::Fixed => "fixed",
            Self::Approximate => "approximate",
        }
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid(&format!("an algorithm named {name:?}: {names} would do"))
        })
    }
}

// === impl Counter ===

/// The same on whichever it is.
macro_rules! each {
    ($any:expr, $meter:ident => $do:expr) => {
        match $any {
            Any::Sliding($meter) => $do,
            Any::Log($meter) => $do,
            Any::Bucket($meter) => $do,
            Any::Fixed($meter) => $do,
            Any::Approximate($meter) => $do,
        }
    };
}

impl Counter {
    /// By which rules it counts.
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Any::Sliding(_) => Algorithm::Sliding,
            Any::Log(_) => Algorithm::Log,
            Any::Bucket(_) => Algorithm::Bucket,
            Any::Fixed(_) => Algorithm::Fixed,
            Any::Approximate(_) => Algorithm::Approximate,
        }
    }
}

impl Default for Counter {
    fn default() -> Self {
        Algorithm::default().counter()
    }
}

impl Account for Counter {
    #[inline]
    fn took(&mut self, quota: &Quota, cost: u64, now: Timestamp) -> Result<Taken, Denied> {
        each!(&mut self.0, meter => meter.took(quota, cost, now))
    }

    fn looked(&self, quota: &Quota, cost: u64, now: Timestamp) -> Result<Standing, Denied> {
        each!(&self.0, meter => meter.looked(quota, cost, now))
    }

    fn capacity(&self, quota: &Quota) -> u64 {
        each!(&self.0, meter => meter.capacity(quota))
    }

    fn newest(&self) -> u64 {
        each!(&self.0, meter => meter.newest())
    }

    fn used(&self, quota: &Quota, at: u64) -> u64 {
        each!(&self.0, meter => meter.used(quota, at))
    }

    fn when(&self, quota: &Quota, target: u64, at: u64) -> Option<u64> {
        each!(&self.0, meter => meter.when(quota, target, at))
    }

    fn more(&self, quota: &Quota, used: u64, at: u64) -> Option<(u64, u64)> {
        each!(&self.0, meter => meter.more(quota, used, at))
    }

    fn add(&mut self, quota: &Quota, cost: u64, at: u64) -> u64 {
        each!(&mut self.0, meter => meter.add(quota, cost, at))
    }

    fn give_back(&mut self, quota: &Quota, taken: &Taken, at: u64) -> u64 {
        each!(&mut self.0, meter => meter.give_back(quota, taken, at))
    }

    fn clear(&mut self, at: u64) {
        each!(&mut self.0, meter => meter.clear(at));
    }

    fn heap(&self) -> usize {
        each!(&self.0, meter => meter.heap())
    }

    fn thin(&mut self) {
        each!(&mut self.0, meter => meter.thin());
    }

    fn state(&self) -> Vec<u64> {
        each!(&self.0, meter => meter.state())
    }

    fn restored(&self, state: &[u64]) -> Option<Self> {
        Some(Self(match &self.0 {
            Any::Sliding(meter) => Any::Sliding(meter.restored(state)?),
            Any::Log(meter) => Any::Log(meter.restored(state)?),
            Any::Bucket(meter) => Any::Bucket(meter.restored(state)?),
            Any::Fixed(meter) => Any::Fixed(meter.restored(state)?),
            Any::Approximate(meter) => Any::Approximate(meter.restored(state)?),
        }))
    }
}
