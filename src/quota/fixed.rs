//! The fixed window.

use super::{
    decision::Taken,
    meter::{Account, LAST},
    policy::Quota,
};

/// The fixed window: a count that begins anew with every period. Periods are counted from the Unix epoch, so that those of
/// [`Quota::per_day`] begin at midnight, UTC.
///
/// | | |
/// |---|---|
/// | worst trailing window | 2.000 of the limit: all of it at the end of a period, and again when the next begins |
/// | a key nobody used | the whole limit at once |
/// | steady traffic | gets all of the limit, at the beginning of each period |
/// | state | 24 bytes |
///
/// For quotas whose end people should be able to name. All who were denied come back at the same moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FixedWindow {
    /// What was taken before this is not in `used`.
    since: u64,
    newest: u64,
    /// Of the period that `newest` is in.
    used: u64,
}

impl Account for FixedWindow {
    fn newest(&self) -> u64 {
        self.newest
    }

    fn used(&self, quota: &Quota, at: u64) -> u64 {
        if self.newest >= quota.period(at) { self.used } else { 0 }
    }

    fn when(&self, quota: &Quota, target: u64, at: u64) -> Option<u64> {
        Some(if self.used(quota, at) <= target { at } else { quota.period(at) + quota.window_millis() })
    }

    fn add(&mut self, quota: &Quota, cost: u64, at: u64) -> u64 {
        let used = self.used(quota, at);
        if used == 0 {
            self.since = self.since.max(at);
        }
        self.newest = at;
        self.used = used.saturating_add(cost).min(Quota::MAX_LIMIT);
        self.used
    }

    fn give_back(&mut self, quota: &Quota, taken: &Taken, at: u64) -> u64 {
        let used = if taken.at < self.since { 0 } else { self.used(quota, at) };
        let back = taken.cost.min(used);
        self.used -= back;
        back
    }

    fn clear(&mut self, at: u64) {
        *self = Self { since: at + 1, newest: at, used: 0 };
    }

    fn state(&self) -> Vec<u64> {
        vec![self.since, self.newest, self.used]
    }

    fn restored(&self, state: &[u64]) -> Option<Self> {
        let &[since, newest, used] = state else { return None };
        let sound = since <= LAST + 1 && newest <= LAST && used <= Quota::MAX_LIMIT;
        sound.then_some(Self { since, newest, used })
    }
}
