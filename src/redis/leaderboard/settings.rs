//! How a leaderboard is to work.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    clock::Clock,
    redis::{
        Redis,
        leaderboard::{Leaderboard, Period},
    },
};

/// A [`Leaderboard`] still to be made. From [`Leaderboard::builder`].
#[derive(Clone)]
#[must_use]
pub struct LeaderboardBuilder {
    pub(super) redis: Redis,
    pub(super) name: Box<str>,
    pub(super) periods: Vec<Period>,
    pub(super) dense: bool,
    pub(super) lowest: bool,
    pub(super) capacity: u64,
    pub(super) keep: Duration,
    pub(super) remember: Duration,
    pub(super) remembered: u64,
    pub(super) clock: Option<Arc<dyn Clock>>,
}

// === impl LeaderboardBuilder ===

impl LeaderboardBuilder {
    pub(super) fn new(redis: &Redis, name: &str) -> Self {
        Self {
            redis: redis.clone(),
            name: name.into(),
            periods: vec![Period::EVER],
            dense: false,
            lowest: false,
            capacity: 1_000_000,
            keep: Duration::from_secs(35 * 24 * 3600),
            remember: Duration::from_secs(24 * 3600),
            remembered: 100_000,
            clock: None,
        }
    }

    /// The periods that each change counts in. The default is [`Period::EVER`] alone.
    ///
    /// # Panics
    ///
    /// When there are none, or more than eight.
    pub fn periods(mut self, periods: impl IntoIterator<Item = Period>) -> Self {
        self.periods = periods.into_iter().collect();
        assert!((1..=8).contains(&self.periods.len()), "a leaderboard has from one to eight periods");
        self
    }

    /// Lower scores are better: times, strokes. All processes that share the board must say so.
    pub fn lowest_first(mut self) -> Self {
        self.lowest = true;
        self
    }

    /// Also tells [dense ranks](super::Entry::dense_rank). It takes about 100 bytes more for each score that somebody has. All
    /// processes that share the board must say so.
    pub fn dense_ranks(mut self) -> Self {
        self.dense = true;
        self
    }

    /// How many members a board has at most, in each period. The default is 1 000 000. Beyond that the last are dropped, and a
    /// newcomer must have more than they do.
    ///
    /// # Panics
    ///
    /// When it is zero.
    pub fn capacity(mut self, members: u64) -> Self {
        assert!(members > 0, "a leaderboard has room for somebody");
        self.capacity = members;
        self
    }

    /// How long after its end a period can be read. The default is 35 days.
    pub fn keep(mut self, span: Duration) -> Self {
        self.keep = span;
        self
    }

    /// How long operations are remembered, and how many, so that a repetition changes nothing. The default is a day and 100 000,
    /// about 12 MB; beyond that the oldest are forgotten.
    ///
    /// # Panics
    ///
    /// When either is zero.
    pub fn remember_operations(mut self, span: Duration, most: u64) -> Self {
        assert!(span >= Duration::from_millis(1) && most > 0, "a leaderboard remembers an operation for a while");
        (self.remember, self.remembered) = (span, most);
        self
    }

    /// A clock that decides in place of the server's. For tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// The leaderboard.
    pub fn build(self) -> Leaderboard {
        Leaderboard::from(self)
    }
}

impl fmt::Debug for LeaderboardBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaderboardBuilder")
            .field("name", &self.name)
            .field("periods", &self.periods)
            .field("dense_ranks", &self.dense)
            .field("lowest_first", &self.lowest)
            .field("capacity", &self.capacity)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}
