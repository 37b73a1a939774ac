//! Random traffic on one counter, and what it left.

use std::time::Duration;

use bartizan::{
    clock::Timestamp,
    quota::{Algorithm, Counter, Denied, Meter, Quota, Standing, Taken},
};
use proptest::{collection, prelude::*};

/// A step of a schedule, in shares of the quota it is played on.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Take(Cost),
    Penalise(Cost),
    Refund { back: usize, kept: u64 },
    Wait(Span),
    Rewind(Span),
}

#[derive(Clone, Debug)]
pub(crate) enum Cost {
    Of(u64),
    Share(u64),
    /// All that remains, and so much more.
    Rest(u64),
}

#[derive(Clone, Debug)]
pub(crate) enum Span {
    Millis(u64),
    /// Thousandths of the window.
    Share(u64),
    /// A window, less or more by so many milliseconds.
    Window(i64),
}

/// What was taken and not given back, by the guarded time at which it was.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: u64,
    pub(crate) cost: u64,
}

pub(crate) struct Scene {
    pub(crate) quota: Quota,
    pub(crate) counter: Counter,
    /// What the clock shows.
    pub(crate) now: u64,
    pub(crate) events: Vec<Event>,
    pub(crate) receipts: Vec<Option<Taken>>,
}

pub(crate) const START: u64 = 1_700_000_000_123;

impl Scene {
    pub(crate) fn new(algorithm: Algorithm, quota: &Quota) -> Self {
        let counter = algorithm.counter();
        Self { quota: quota.clone(), counter, now: START, events: Vec::new(), receipts: Vec::new() }
    }

    pub(crate) fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    /// The time as a meter counts it: not before the last take.
    pub(crate) fn guarded(&self) -> u64 {
        self.now.max(self.events.last().map_or(0, |event| event.at))
    }

    pub(crate) fn standing(&self) -> Standing {
        self.counter.peek(&self.quota, 0, self.time()).expect("nothing is always to be had")
    }

    pub(crate) fn cost(&self, cost: &Cost) -> u64 {
        match cost {
            Cost::Of(cost) => *cost,
            Cost::Share(share) => self.quota.at_once() * share / 100,
            Cost::Rest(more) => self.standing().remaining() + more,
        }
    }

    pub(crate) fn span(&self, span: &Span) -> u64 {
        let window = self.quota.window().as_millis() as u64;
        match span {
            Span::Millis(millis) => *millis,
            Span::Share(share) => window * share / 1_000,
            Span::Window(more) => window.saturating_add_signed(*more),
        }
    }

    pub(crate) fn take(&mut self, cost: u64) -> Result<Standing, Denied> {
        let at = self.guarded();
        let taken = self.counter.take(&self.quota, cost, self.time())?;
        let standing = taken.standing();
        if cost > 0 {
            self.events.push(Event { at, cost });
            self.receipts.push(Some(taken));
        }
        Ok(standing)
    }

    /// Gives back the last take but `back`, all but `kept`.
    pub(crate) fn refund(&mut self, back: usize, kept: u64) -> Option<(u64, u64)> {
        let index = self.receipts.len().checked_sub(back + 1)?;
        let taken = self.receipts[index].take()?.all_but(kept);
        let asked = taken.cost();
        let given = self.counter.refund(&self.quota, taken, self.time());
        self.events[index].cost -= given;
        Some((asked, given))
    }

    /// Plays one step; tells the cost and the answer of a take.
    pub(crate) fn step(&mut self, step: &Step) -> Option<(u64, Result<Standing, Denied>)> {
        match step {
            Step::Take(cost) => {
                let cost = self.cost(cost);
                return Some((cost, self.take(cost)));
            }
            Step::Refund { back, kept } => {
                self.refund(*back, *kept);
            }
            Step::Penalise(cost) => {
                let (cost, at) = (self.cost(cost), self.guarded());
                self.counter.penalise(&self.quota, cost, self.time());
                if cost > 0 {
                    self.events.push(Event { at, cost });
                    self.receipts.push(None);
                }
            }
            Step::Wait(span) => self.now += self.span(span),
            Step::Rewind(span) => self.now = self.now.saturating_sub(self.span(span)).max(START / 2),
        }
        None
    }

    /// What is left of the events in the window that ends at `at`.
    pub(crate) fn in_window(&self, at: u64) -> u64 {
        let window = self.quota.window().as_millis() as u64;
        self.events.iter().filter(|event| event.at <= at && event.at + window > at).map(|event| event.cost).sum()
    }

    /// The worst window there was.
    pub(crate) fn worst(&self) -> u64 {
        self.events.iter().map(|event| self.in_window(event.at)).max().unwrap_or(0)
    }
}

pub(crate) fn algorithms() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(&Algorithm::ALL[..])
}

pub(crate) fn quotas() -> impl Strategy<Value = Quota> {
    let limits = prop_oneof![8 => 1u64..100, 4 => 100u64..5_000, 1 => Just(u64::from(u32::MAX)), 1 => 1..=Quota::MAX_LIMIT / 1_000];
    let ten_years = Quota::MAX_WINDOW.as_millis() as u64;
    let windows = prop_oneof![1 => 1u64..4, 8 => 4u64..3_000, 1 => Just(86_400_000), 1 => 1..=ten_years];
    (limits, windows, prop::option::of(1u64..200)).prop_map(|(limit, window, burst)| {
        let quota = Quota::new(limit, Duration::from_millis(window)).expect("limit and window are within bounds");
        match burst {
            Some(burst) => quota.burst(burst),
            None => quota,
        }
    })
}

pub(crate) fn schedules() -> impl Strategy<Value = Vec<Step>> {
    let costs = || prop_oneof![6 => (0u64..4).prop_map(Cost::Of), 2 => (0u64..120).prop_map(Cost::Share), 2 => (0u64..2).prop_map(Cost::Rest)];
    let spans = || {
        prop_oneof![
            4 => (0u64..5).prop_map(Span::Millis),
            4 => (0u64..30).prop_map(Span::Share),
            2 => (0u64..2_500).prop_map(Span::Share),
            1 => (-2i64..3).prop_map(Span::Window),
        ]
    };
    let steps = prop_oneof![
        12 => costs().prop_map(Step::Take),
        8 => spans().prop_map(Step::Wait),
        2 => (0usize..12, 0u64..3).prop_map(|(back, kept)| Step::Refund { back, kept }),
        1 => spans().prop_map(Step::Rewind),
        1 => costs().prop_map(Step::Penalise),
    ];
    collection::vec(steps, 1..250)
}
