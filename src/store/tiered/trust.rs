//! Whether what is near may be believed.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use crate::clock::Moment;

/// In one word, since every hit reads it: until when the channel is believed, or one of the two below.
#[derive(Debug)]
pub(super) struct Trust {
    until: AtomicU64,
    /// Held while that changes and what was near before is dropped.
    changing: Mutex<()>,
    bound: Duration,
}

/// Near is on its own: what is there was filled since, and says itself for how long it stands.
const ALONE: u64 = u64::MAX;

/// What is near is being dropped.
const NOTHING: u64 = 0;

// === impl Trust ===

impl Trust {
    pub(super) fn new(bound: Duration) -> Self {
        Self { until: AtomicU64::new(ALONE), changing: Mutex::new(()), bound }
    }

    pub(super) fn bound(&self) -> Duration {
        self.bound
    }

    /// Whether what is near may be served.
    #[inline]
    pub(super) fn holds(&self, now: Moment) -> bool {
        now.as_millis() < self.until.load(Ordering::Acquire)
    }

    /// Whether what is kept near from now on must say itself for how long it stands: on its own, or about to be.
    pub(super) fn is_alone(&self) -> bool {
        matches!(self.until.load(Ordering::Acquire), ALONE | NOTHING)
    }

    /// Sees to it that what is near from now on may be served.
    pub(super) fn settle(&self, now: Moment, drop_all: impl FnOnce()) {
        if !self.holds(now) {
            let changing = self.changing.lock();
            if !self.holds(now) {
                self.change(ALONE, drop_all);
            }
            drop(changing);
        }
    }

    /// The channel was proven as of `then`.
    pub(super) fn believe(&self, then: Moment, now: Moment, drop_all: impl FnOnce()) {
        let until = then.plus(self.bound).as_millis();
        let _changing = self.changing.lock();
        if until <= now.as_millis() {
            return;
        }
        if self.is_alone() || !self.holds(now) {
            self.change(until, drop_all);
        } else {
            self.until.fetch_max(until, Ordering::AcqRel);
        }
    }

    /// Something may have been missed.
    pub(super) fn distrust(&self, drop_all: impl FnOnce()) {
        let _changing = self.changing.lock();
        // What was filled alone says itself for how long it stands, and those who make something for others go on.
        if !self.is_alone() {
            self.change(ALONE, drop_all);
        }
    }

    fn change(&self, to: u64, drop_all: impl FnOnce()) {
        self.until.store(NOTHING, Ordering::Release);
        drop_all();
        self.until.store(to, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn near_is_dropped_whenever_its_ground_for_belief_changes() {
        let (trust, dropped) = (Trust::new(Duration::from_millis(100)), Cell::new(0));
        let drop_all = || dropped.set(dropped.get() + 1);
        let at = Moment::from_millis;
        assert!(trust.is_alone() && trust.holds(at(7)), "what is filled alone is served");
        trust.believe(at(1000), at(1010), drop_all);
        assert!(dropped.get() == 1 && !trust.is_alone());
        trust.believe(at(1050), at(1060), drop_all);
        assert_eq!(dropped.get(), 1, "the same belief goes on");
        assert!(trust.holds(at(1149)) && !trust.holds(at(1150)), "as long as the bound, from when it was proven");
        trust.believe(at(1040), at(1060), drop_all);
        assert!(trust.holds(at(1149)), "an older proof takes nothing back");
        trust.settle(at(1149), drop_all);
        assert_eq!(dropped.get(), 1);
        trust.settle(at(1150), drop_all);
        assert!(dropped.get() == 2 && trust.is_alone());
        trust.believe(at(1150), at(1300), drop_all);
        assert!(trust.is_alone(), "a proof that comes too late is none");
        trust.believe(at(1290), at(1300), drop_all);
        trust.distrust(drop_all);
        assert!(dropped.get() == 4 && trust.is_alone());
    }
}
