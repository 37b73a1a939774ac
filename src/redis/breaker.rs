//! The breaker's arithmetic: when to stop asking, and when to ask again. No clock, no lock, no randomness of its own.

use std::time::Duration;

/// Whether calls reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// They do.
    Closed,
    /// One of them does, to find out; the others fail at once.
    HalfOpen,
    /// They fail at once.
    Open,
}

/// How a call ended, as far as the server's health is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The server answered, be it with an error.
    Answered,
    /// It did not, or not as a server that is up.
    Failed,
    /// The caller went away before either.
    Abandoned,
}

/// The right to make one call. It belongs to one period between two changes of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) period: u64,
}

/// Pauses between attempts: each twice as long as the one before, up to a longest, and half of it drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

/// Closed, it weighs failures against answers: a failure weighs ten answers, and five failures open it. So it opens after
/// five failures in a row, and also when more than a tenth of all calls fail for long. Open, it lets one call through after
/// a pause, and the outcome of that call decides.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    backoff: Backoff,
    state: State,
    /// Changes with the state, so that a call that began before the change says nothing about what came after it.
    period: u64,
    /// Openings since it was last closed.
    openings: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { weight: u32 },
    Open { until: Duration },
    HalfOpen,
}

const FAILURE: u32 = 10;
const ANSWER: u32 = 1;
const TOO_HEAVY: u32 = 5 * FAILURE;

// === impl Backoff ===

impl Backoff {
    /// The pause after `attempts` failed ones, from half of its length to the whole. `draw` is uniform over all of `u64`.
    pub(super) fn pause(self, attempts: u32, draw: u64) -> Duration {
        let factor = 2u32.saturating_pow(attempts.saturating_sub(1));
        let whole = self.first.saturating_mul(factor).min(self.longest);
        let half = whole / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        half.saturating_add(Duration::from_nanos(((u128::from(nanos) * u128::from(draw)) >> 64) as u64))
    }
}

// === impl Breaker ===

impl Breaker {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { backoff, state: State::Closed { weight: 0 }, period: 0, openings: 0 }
    }

    /// The right to call at `now`, or how long there will be none.
    ///
    /// `now` is the time since any fixed moment.
    pub(super) fn admit(&mut self, now: Duration) -> Result<Pass, Duration> {
        match self.state {
            State::Closed { .. } => Ok(Pass { period: self.period }),
            State::Open { until } if now < until => Err(until - now),
            State::Open { .. } => {
                self.turn(State::HalfOpen);
                Ok(Pass { period: self.period })
            }
            State::HalfOpen => Err(Duration::ZERO),
        }
    }

    /// Takes note of how the call with `pass` ended. `draw` is uniform over all of `u64`.
    pub(super) fn ended(&mut self, pass: Pass, outcome: Outcome, now: Duration, draw: u64) {
        if pass.period != self.period {
            return;
        }
        match (self.state, outcome) {
            (State::Closed { weight }, Outcome::Answered) => {
                self.state = State::Closed { weight: weight.saturating_sub(ANSWER) };
            }
            (State::Closed { weight }, Outcome::Failed) if weight + FAILURE < TOO_HEAVY => {
                self.state = State::Closed { weight: weight + FAILURE };
            }
            (State::Closed { .. } | State::HalfOpen, Outcome::Failed) => {
                self.openings = self.openings.saturating_add(1);
                let until = now.saturating_add(self.backoff.pause(self.openings, draw));
                self.turn(State::Open { until });
            }
            (State::HalfOpen, Outcome::Answered) => {
                self.openings = 0;
                self.turn(State::Closed { weight: 0 });
            }
            // The next caller probes, at once: nothing was learnt.
            (State::HalfOpen, Outcome::Abandoned) => self.turn(State::Open { until: now }),
            (State::Closed { .. }, Outcome::Abandoned) | (State::Open { .. }, _) => {}
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen => BreakerState::HalfOpen,
        }
    }

    /// The period, if it is closed and no failure weighs on it: an answer would change nothing.
    pub(super) fn calm(&self) -> Option<u64> {
        matches!(self.state, State::Closed { weight: 0 }).then_some(self.period)
    }

    fn turn(&mut self, state: State) {
        self.state = state;
        self.period += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(5) };

    fn breaker() -> Breaker {
        Breaker::new(BACKOFF)
    }

    fn fail(breaker: &mut Breaker, times: usize, now: Duration) {
        for _ in 0..times {
            let pass = breaker.admit(now).expect("it is closed");
            breaker.ended(pass, Outcome::Failed, now, u64::MAX);
        }
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_four_do_not() {
        let mut breaker = breaker();
        fail(&mut breaker, 4, Duration::ZERO);
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(&mut breaker, 1, Duration::ZERO);
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn a_fifth_of_failures_opens_it_in_the_end_and_a_twentieth_never_does() {
        let run = |every: usize| {
            let mut breaker = breaker();
            (1..10_000).find(|call| {
                let pass = breaker.admit(Duration::ZERO).expect("it is closed until it is found open");
                let outcome = if call % every == 0 { Outcome::Failed } else { Outcome::Answered };
                breaker.ended(pass, outcome, Duration::ZERO, 0);
                breaker.state() == BreakerState::Open
            })
        };
        assert!(run(5).is_some_and(|calls| calls < 200), "one in five");
        assert_eq!(run(20), None, "one in twenty");
    }

    #[test]
    fn one_call_probes_and_its_answer_closes() {
        let mut breaker = breaker();
        fail(&mut breaker, 5, Duration::ZERO);
        let left = breaker.admit(Duration::ZERO).expect_err("it is open");
        assert!(left > Duration::from_millis(99) && left <= Duration::from_millis(100), "{left:?}");
        let probe = breaker.admit(left).expect("the pause is over");
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        assert!(breaker.admit(left).is_err(), "a second call during the probe");
        breaker.ended(probe, Outcome::Answered, left, 0);
        assert_eq!(breaker.state(), BreakerState::Closed);
        assert!(breaker.calm().is_some());
    }

    #[test]
    fn an_abandoned_probe_makes_room_for_the_next() {
        let mut breaker = breaker();
        fail(&mut breaker, 5, Duration::ZERO);
        let now = Duration::from_secs(1);
        let probe = breaker.admit(now).expect("the pause is over");
        breaker.ended(probe, Outcome::Abandoned, now, 0);
        breaker.admit(now).expect("the slot is free");
        assert!(breaker.admit(now).is_err(), "and taken again");
    }

    #[test]
    fn what_began_before_a_change_says_nothing_after_it() {
        let mut breaker = breaker();
        let old = breaker.admit(Duration::ZERO).expect("it is closed");
        fail(&mut breaker, 5, Duration::ZERO);
        breaker.ended(old, Outcome::Answered, Duration::ZERO, 0);
        assert_eq!(breaker.state(), BreakerState::Open, "a late answer");
        let now = Duration::from_secs(1);
        let probe = breaker.admit(now).expect("the pause is over");
        breaker.ended(old, Outcome::Failed, now, 0);
        assert_eq!(breaker.state(), BreakerState::HalfOpen, "a late failure");
        breaker.ended(probe, Outcome::Answered, now, 0);
        for _ in 0..100 {
            breaker.ended(old, Outcome::Failed, now, 0);
        }
        assert_eq!(breaker.state(), BreakerState::Closed, "late failures");
    }

    proptest! {
        #[test]
        fn a_pause_is_between_half_and_whole_and_doubles_up_to_the_longest(attempts in 1u32..200, draw: u64) {
            let whole = BACKOFF.first.saturating_mul(2u32.saturating_pow(attempts - 1)).min(BACKOFF.longest);
            let pause = BACKOFF.pause(attempts, draw);
            prop_assert!(pause >= whole / 2 && pause <= whole, "{pause:?} of {whole:?}");
        }

        /// Whatever happens: at most one probe at a time, an open breaker admits nobody before its time and somebody
        /// after it, and it is never open for longer than the longest pause.
        #[test]
        fn it_never_sticks(steps in prop::collection::vec((0u8..4, 0u64..3000, any::<u64>(), any::<prop::sample::Index>()), 1..300)) {
            let mut breaker = breaker();
            let mut now = Duration::ZERO;
            let mut calls: Vec<Pass> = Vec::new();
            for (what, millis, draw, which) in steps {
                now += Duration::from_millis(millis);
                match what {
                    0 => match breaker.admit(now) {
                        Ok(pass) => calls.push(pass),
                        Err(left) => prop_assert!(left <= BACKOFF.longest),
                    },
                    _ if calls.is_empty() => {}
                    outcome => {
                        let pass = calls.swap_remove(which.index(calls.len()));
                        let outcome = [Outcome::Answered, Outcome::Failed, Outcome::Abandoned][usize::from(outcome) - 1];
                        breaker.ended(pass, outcome, now, draw);
                    }
                }
                let probes = calls.iter().filter(|pass| pass.period == breaker.period).count();
                match breaker.state() {
                    BreakerState::HalfOpen => prop_assert_eq!(probes, 1),
                    BreakerState::Open => prop_assert_eq!(probes, 0),
                    BreakerState::Closed => {}
                }
            }
            for pass in calls {
                breaker.ended(pass, Outcome::Abandoned, now, 0);
            }
            prop_assert!(breaker.admit(now + BACKOFF.longest).is_ok());
        }
    }
}
