//! The exact log.

use super::{decision::Taken, meter::Account, policy::Quota, ring::Ring};

/// The exact sliding log: every take, with its time. Nothing is denied that the limit would allow.
///
/// | | |
/// |---|---|
/// | worst trailing window | 1.000 of the limit |
/// | a key nobody used | the whole limit at once |
/// | held too long | nothing |
/// | state | 56 bytes, and 12 for each millisecond of the window in which something was taken |
///
/// A flood costs as much memory as the limit allows requests, up to 65 536 times 12 bytes: beyond a limit of that many it is
/// [`SlidingWindow`](super::SlidingWindow) with so many runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlidingLog(Ring<RUNS>);

const RUNS: usize = 1 << 16;

impl Account for SlidingLog {
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
