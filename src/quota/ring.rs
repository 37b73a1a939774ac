//! Runs of takes, oldest first: what the sliding window and the exact log are made of.

use std::collections::VecDeque;

use super::{decision::Taken, meter::LAST, policy::Quota};

/// Takes, in at most `RUNS` runs. All of a run is held until its newest leaves the window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ring<const RUNS: usize> {
    /// What was taken before this is not in here any more.
    since: u64,
    /// The sum of all runs.
    used: u64,
    newest: u64,
    runs: VecDeque<Run>,
}

/// A count and the time of the newest take in it, both below 2^48, in 12 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    low: [u32; 2],
    high: [u16; 2],
}

/// How many runs are left of a ring that is thinned.
const FEW: usize = 4;

// === impl Ring ===

impl<const RUNS: usize> Ring<RUNS> {
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    pub(super) fn used(&self, quota: &Quota, at: u64) -> u64 {
        let gone = self.runs.iter().take_while(|run| run.is_over(quota, at));
        self.used - gone.map(|run| run.count()).sum::<u64>()
    }

    pub(super) fn when(&self, quota: &Quota, target: u64, at: u64) -> Option<u64> {
        let mut used = self.used;
        if used <= target {
            return Some(at);
        }
        if let Some(last) = self.runs.back().filter(|last| target < last.count()) {
            return Some((last.stamp() + quota.window_millis()).max(at));
        }
        let freeing = self.runs.iter().find(|run| {
            used -= run.count();
            used <= target
        })?;
        Some((freeing.stamp() + quota.window_millis()).max(at))
    }

    pub(super) fn add(&mut self, quota: &Quota, cost: u64, at: u64) -> u64 {
        self.drop_those_over(quota, at);
        if self.runs.is_empty() {
            self.since = self.since.max(at);
        }
        let cost = cost.min(Quota::MAX_LIMIT - self.used);
        self.used += cost;
        self.newest = at;
        // Runs that are full count the limit together before they are one too many.
        let full = quota.limit().div_ceil(RUNS as u64);
        match self.runs.back_mut() {
            // Within one millisecond nothing is held too long by sharing a run.
            Some(run) if run.stamp() == at || run.count() < full => *run = Run::new(at, run.count() + cost),
            _ => {
                if self.runs.len() >= RUNS {
                    self.join_two();
                }
                self.runs.push_back(Run::new(at, cost));
            }
        }
        self.used
    }

    pub(super) fn give_back(&mut self, quota: &Quota, taken: &Taken, at: u64) -> u64 {
        // Nothing is dropped: this is no time that a clock must not step behind.
        if taken.at < self.since || taken.at + quota.window_millis() <= at {
            return 0;
        }
        let index = self.runs.partition_point(|run| run.stamp() < taken.at);
        let Some(run) = self.runs.get_mut(index) else { return 0 };
        let back = taken.cost.min(run.count());
        *run = Run::new(run.stamp(), run.count() - back);
        self.used -= back;
        back
    }

    pub(super) fn clear(&mut self, at: u64) {
        *self = Self { since: at + 1, newest: at, ..Self::default() };
    }

    pub(super) fn heap(&self) -> usize {
        self.runs.capacity() * size_of::<Run>()
    }

    /// Neighbours become one until there are few.
    pub(super) fn thin(&mut self) {
        while self.runs.len() > FEW {
            self.join_two();
        }
        self.runs.shrink_to_fit();
    }

    pub(super) fn state(&self) -> Vec<u64> {
        let runs = self.runs.iter().flat_map(|run| [run.stamp(), run.count()]);
        [self.since, self.newest].into_iter().chain(runs).collect()
    }

    pub(super) fn restored(state: &[u64]) -> Option<Self> {
        let (&[since, newest], runs) = state.split_first_chunk()?;
        let (runs, rest) = runs.as_chunks();
        let ascend = runs.is_sorted_by(|&[earlier, _], &[later, _]| earlier < later);
        let ends = runs.last().is_none_or(|&[stamp, _]| stamp == newest && runs.len() <= RUNS);
        let used = runs.iter().try_fold(0u64, |used, &[_, count]| used.checked_add(count))?;
        if !rest.is_empty() || !ascend || !ends || newest > LAST || since > LAST + 1 || used > Quota::MAX_LIMIT {
            return None;
        }
        let runs = runs.iter().map(|&[stamp, count]| Run::new(stamp, count)).collect();
        Some(Self { since, used, newest, runs })
    }

    fn drop_those_over(&mut self, quota: &Quota, at: u64) {
        while let Some(run) = self.runs.front().filter(|run| run.is_over(quota, at)) {
            self.used -= run.count();
            self.since = self.since.max(run.stamp() + 1);
            self.runs.pop_front();
        }
    }

    /// Makes room where refunds emptied runs, or the limit was lower when they were made: of all neighbours, those two
    /// become one that count least together. No run grows over two shares of the limit by that.
    fn join_two(&mut self) {
        let pairs = self.runs.iter().zip(self.runs.iter().skip(1)).map(|(one, next)| one.count() + next.count());
        if let Some((index, joined)) = pairs.enumerate().min_by_key(|&(_, joined)| joined)
            && let Some(next) = self.runs.get_mut(index + 1)
        {
            *next = Run::new(next.stamp(), joined);
            self.runs.remove(index);
        }
    }
}

// === impl Run ===

impl Run {
    fn new(stamp: u64, count: u64) -> Self {
        Self { low: [stamp as u32, count as u32], high: [(stamp >> 32) as u16, (count >> 32) as u16] }
    }

    fn stamp(self) -> u64 {
        u64::from(self.high[0]) << 32 | u64::from(self.low[0])
    }

    fn count(self) -> u64 {
        u64::from(self.high[1]) << 32 | u64::from(self.low[1])
    }

    fn is_over(self, quota: &Quota, at: u64) -> bool {
        self.stamp() + quota.window_millis() <= at
    }
}
