//! What a leaderboard tells.

use crate::clock::Timestamp;

/// One member, and where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Who.
    pub member: String,
    /// What they have.
    pub score: i64,
    /// The number of their line, from 1: of equal scores, who reached it first comes first.
    pub place: u64,
    /// One more than there are members with a better score: 1, 2, 2, 4.
    pub rank: u64,
    /// One more than there are better scores: 1, 2, 2, 3. For boards [with dense ranks](super::LeaderboardBuilder::dense_ranks).
    pub dense_rank: Option<u64>,
    /// When they came to this score, by the server's clock.
    pub reached: Timestamp,
}

/// Members in a row, and how many there are in all, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// From better to worse.
    pub entries: Vec<Entry>,
    /// How many members the board has.
    pub of: u64,
}

/// Where one member is among all, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// Their line.
    pub entry: Entry,
    /// How many members the board has.
    pub of: u64,
    /// How many members have this score, this one included.
    pub tied: u64,
}

/// What became of an [`Update`](super::Update).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Whether anything changed, and why not.
    pub outcome: Outcome,
    /// What the member has now, in the first of the board's periods; `None` if they are not on it.
    pub score: Option<i64>,
}

/// Whether an [`Update`](super::Update) changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// In one of the periods at least.
    Changed,
    /// It was so already, was better already, was done already, or does not count now.
    Unchanged,
    /// The sum is no score: see [`LARGEST`](super::LARGEST). It was not changed in any period.
    OutOfRange,
}

// === impl Standing ===

impl Standing {
    /// How many of the other members have a worse score, in per cent; 100 for who is alone.
    pub fn percentile(&self) -> f64 {
        let others = self.of.saturating_sub(1);
        if others == 0 {
            return 100.0;
        }
        let worse = self.of.saturating_sub(self.entry.rank - 1).saturating_sub(self.tied);
        100.0 * worse as f64 / others as f64
    }
}

// === impl Change ===

impl Change {
    /// Whether anything changed.
    pub fn is_changed(&self) -> bool {
        self.outcome == Outcome::Changed
    }
}
