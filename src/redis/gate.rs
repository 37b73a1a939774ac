//! Breakers as callers meet them: shared, with a pass that gives itself back, and changes that are told.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    observe::event,
    redis::breaker::{Backoff, Breaker, BreakerState, Outcome, Pass},
};

/// One breaker. While it is calm, a call costs two loads of one word that nobody writes.
#[derive(Debug)]
pub(super) struct Gate {
    breaker: Mutex<Breaker>,
    /// The period of a calm breaker; [`RESTLESS`] else.
    calm: AtomicU64,
    born: Instant,
}

/// A call under way. Dropped, it was abandoned.
#[derive(Debug)]
pub(super) struct Call<'a> {
    gate: &'a Gate,
    pass: Pass,
    over: bool,
}

const RESTLESS: u64 = u64::MAX;

// === impl Gate ===

impl Gate {
    pub(super) fn new(backoff: Backoff) -> Self {
        let breaker = Breaker::new(backoff);
        Self { calm: AtomicU64::new(calm(&breaker)), breaker: Mutex::new(breaker), born: Instant::now() }
    }

    /// The right to call now, or how long there will be none.
    #[inline]
    pub(super) fn enter(&self) -> Result<Call<'_>, Duration> {
        let period = self.calm.load(Ordering::Acquire);
        let pass = if period == RESTLESS { self.with(Breaker::admit)? } else { Pass { period } };
        Ok(Call { gate: self, pass, over: false })
    }

    pub(super) fn state(&self) -> BreakerState {
        self.breaker.lock().state()
    }

    fn with<T>(&self, turn: impl FnOnce(&mut Breaker, Duration) -> T) -> T {
        let mut breaker = self.breaker.lock();
        let before = breaker.state();
        let result = turn(&mut breaker, self.born.elapsed());
        let after = breaker.state();
        self.calm.store(calm(&breaker), Ordering::Release);
        drop(breaker);
        if before != after {
            event!(from = ?before, to = ?after, "redis breaker");
        }
        result
    }
}

fn calm(breaker: &Breaker) -> u64 {
    breaker.calm().unwrap_or(RESTLESS)
}

// === impl Call ===

impl Call<'_> {
    #[inline]
    pub(super) fn answered(mut self) {
        self.end(Outcome::Answered);
    }

    /// Tells the state that this failure led to.
    #[cold]
    pub(super) fn failed(mut self) -> BreakerState {
        self.end(Outcome::Failed);
        self.gate.state()
    }

    fn end(&mut self, outcome: Outcome) {
        self.over = true;
        if outcome != Outcome::Failed && self.gate.calm.load(Ordering::Acquire) == self.pass.period {
            return;
        }
        self.gate.with(|breaker, now| breaker.ended(self.pass, outcome, now, rand::random()));
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.end(Outcome::Abandoned);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_call_gives_the_probe_back() {
        let gate = Gate::new(Backoff { first: Duration::ZERO, longest: Duration::ZERO });
        for _ in 0..5 {
            gate.enter().expect("it is closed").failed();
        }
        assert_eq!(gate.state(), BreakerState::Open);
        let probe = gate.enter().expect("the pause is over");
        assert!(gate.enter().is_err(), "one probe at a time");
        drop(probe);
        gate.enter().expect("the slot is free").answered();
        assert_eq!(gate.state(), BreakerState::Closed);
    }

    #[test]
    fn a_failure_is_forgotten_after_ten_answers() {
        let gate = Gate::new(Backoff { first: Duration::ZERO, longest: Duration::ZERO });
        gate.enter().expect("it is closed").failed();
        assert_eq!(gate.calm.load(Ordering::Relaxed), RESTLESS);
        for _ in 0..10 {
            gate.enter().expect("it is closed").answered();
        }
        assert_ne!(gate.calm.load(Ordering::Relaxed), RESTLESS);
    }
}
