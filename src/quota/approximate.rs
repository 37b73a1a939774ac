//! The approximate sliding window.

use super::{
    decision::Taken,
    meter::{Account, LAST},
    policy::Quota,
};

/// The approximate sliding window: two counters. What was taken in the period before this one is taken to have come evenly, and
/// counts for as much of that period as the trailing window still covers.
///
/// | | |
/// |---|---|
/// | worst trailing window | just under 2.000 of the limit: all of it at the end of a period, and most of it in the next |
/// | a key nobody used | the whole limit at once |
/// | traffic that comes evenly | within 1.0 of the limit |
/// | state | 32 bytes |
///
/// It is wrong in both directions: what came at the beginning of the last period is held too long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApproximateWindow {
    /// What was taken before this is in neither count.
    since: u64,
    newest: u64,
    /// Of the period before the one that `newest` is in.
    before: u64,
    /// Of the period that `newest` is in.
    current: u64,
}

impl ApproximateWindow {
    /// The counts as they are in the period of `at`.
    fn turned(&self, quota: &Quota, at: u64) -> (u64, u64) {
        let (theirs, ours) = (quota.period(self.newest), quota.period(at));
        if ours == theirs {
            (self.before, self.current)
        } else if ours - theirs == quota.window_millis() {
            (self.current, 0)
        } else {
            (0, 0)
        }
    }
}

impl Account for ApproximateWindow {
    fn newest(&self) -> u64 {
        self.newest
    }

    fn used(&self, quota: &Quota, at: u64) -> u64 {
        let (before, current) = self.turned(quota, at);
        // How many milliseconds of the period before are in the trailing window.
        let covered = quota.window_millis() - 1 - at % quota.window_millis();
        let share = (u128::from(before) * u128::from(covered)).div_ceil(quota.window_millis().into());
        current + share as u64
    }

    fn when(&self, quota: &Quota, target: u64, at: u64) -> Option<u64> {
        if self.used(quota, at) <= target {
            return Some(at);
        }
        let window = quota.window_millis();
        // The first moment of a period at which so much of what was taken before it counts as `room` allows.
        let falls_to = |before: u64, room: u64| match u128::from(room) * u128::from(window) / u128::from(before.max(1))
        {
            covered if covered >= u128::from(window) => 0,
            covered => window - 1 - covered as u64,
        };
        let (before, current) = self.turned(quota, at);
        Some(match target.checked_sub(current) {
            Some(room) => quota.period(at) + falls_to(before, room),
            None => quota.period(at) + window + falls_to(current, target),
        })
    }

    fn add(&mut self, quota: &Quota, cost: u64, at: u64) -> u64 {
        (self.before, self.current) = self.turned(quota, at);
        if (self.before, self.current) == (0, 0) {
            self.since = self.since.max(at);
        }
        self.newest = at;
        self.current = self.current.saturating_add(cost).min(Quota::MAX_LIMIT);
        self.current
    }

    fn give_back(&mut self, quota: &Quota, taken: &Taken, at: u64) -> u64 {
        let (then, newest, window) = (quota.period(taken.at), quota.period(self.newest), quota.window_millis());
        if taken.at < self.since || then + window < quota.period(at) {
            return 0;
        }
        let count = match newest.checked_sub(then) {
            Some(0) => &mut self.current,
            Some(gap) if gap == window => &mut self.before,
            _ => return 0,
        };
        let back = taken.cost.min(*count);
        *count -= back;
        back
    }

    fn clear(&mut self, at: u64) {
        *self = Self { since: at + 1, newest: at, ..Self::default() };
    }

    fn state(&self) -> Vec<u64> {
        vec![self.since, self.newest, self.before, self.current]
    }

    fn restored(&self, state: &[u64]) -> Option<Self> {
        let &[since, newest, before, current] = state else { return None };
        let sound = since <= LAST + 1 && newest <= LAST && before.max(current) <= Quota::MAX_LIMIT;
        sound.then_some(Self { since, newest, before, current })
    }
}
