//! The sliding window.

use super::{decision::Taken, meter::Account, policy::Quota, ring::Ring};

/// The sliding window, by runs: the default. No trailing window ever holds more than the limit.
///
/// What is taken joins the newest run until that counts a sixtieth of the limit; then a run begins. A run is held in full
/// until its newest take leaves the window.
///
/// | | |
/// |---|---|
/// | worst trailing window | 1.000 of the limit |
/// | a key nobody used | the whole limit at once |
/// | held too long | less than a sixtieth of the limit, at any moment; nothing at limits up to 60, where it is the exact log |
/// | state | 56 bytes, and 12 for each run: at most 60, and no more than there were takes in the window |
/// | a take touches | the oldest run, the newest, and those that leave the window |
///
/// Runs by what they count and not by the time they span: only the oldest can have a part that has left the window, so what
/// is held too long is bounded by the size of a run, whatever the traffic. By time, one run could hold all of a burst and
/// give none of it back until the last of it is due.
///
/// Where refunds emptied runs that lie between others, or the limit was raised, there may come to be more runs than sixty.
/// Then two neighbours become one, and less than a twenty-ninth of the limit is held too long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlidingWindow(Ring<RUNS>);

const RUNS: usize = 60;

impl Account for SlidingWindow {
    fn newest(&self) -> u64 {
        self.0.newest()
    }

    fn used(&self, quota: &Quota, at: u64) -> u64 {
        self.0.used(quota, at)
    }

    fn when(&self, quota: &Quota, target: u64, at: u64) -> Option<u64> {
        self.0.when(quota, target, at)
    }

    fn add(&mut self, quota: &Quota, cost: u64, at: u64) -> u64 {
        self.0.add(quota, cost, at)
    }

    fn give_back(&mut self, quota: &Quota, taken: &Taken, at: u64) -> u64 {
        self.0.give_back(quota, taken, at)
    }

    fn clear(&mut self, at: u64) {
        self.0.clear(at);
    }

    fn heap(&self) -> usize {
        self.0.heap()
    }

    fn thin(&mut self) {
        self.0.thin();
    }

    fn state(&self) -> Vec<u64> {
        self.0.state()
    }

    fn restored(&self, state: &[u64]) -> Option<Self> {
        Ring::restored(state).map(Self)
    }
}
