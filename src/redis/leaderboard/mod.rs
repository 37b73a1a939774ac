//! Leaderboards: who has the most, who is near whom, today, this week, ever.
//!
//! ```no_run
//! use bartizan::redis::leaderboard::{Leaderboard, Period};
//!
//! # async fn example(redis: bartizan::Redis) -> Result<(), bartizan::Error> {
//! let board = Leaderboard::builder(&redis, "chess")?.periods([Period::EVER, Period::DAY]).build();
//! board.set_best("ada", 1840).await?;
//! board.increment("bob", 25, "game 4711").await?;
//! board.increment("bob", 25, "game 4711").await?; // a repetition changes nothing
//!
//! for entry in board.today().top(10).await?.entries {
//!     println!("{}. {} {}", entry.rank, entry.member, entry.score);
//! }
//! if let Some(standing) = board.ever().standing("bob").await? {
//!     println!("better than {:.0} % of the others", standing.percentile());
//! }
//! let neighbours = board.ever().around("bob", 2).await?; // up to two on either side
//! # Ok(()) }
//! ```
//!
//! A change counts in all of the board's periods at once, or in none. Each call is one script, so ranks, places and scores of one
//! answer belong together, and half of a change is never seen.
//!
//! # Scores
//!
//! Whole numbers from -9 007 199 254 740 991 to as much above zero ([`LARGEST`]), which is what a sorted set tells apart. What is
//! beyond is refused, a sum too. Fractions are counted in their smallest part: cents, milliseconds. Where less is better, say
//! [`lowest_first`](LeaderboardBuilder::lowest_first).
//!
//! # Ties
//!
//! Of equal scores, who reached it first comes first. The usual way is to put the time into the score, which leaves 21 bits for
//! the score itself, or less; here the score keeps its whole range, since the time is in the *element*: a sorted set puts
//! elements of one score in the order of their bytes, so each begins with 14 hexadecimal digits that fall with time, and a hash
//! remembers the digits of each member. A member takes about 190 bytes in place of 100. Times are those of the server, in
//! microseconds, and no two are equal: of those that are written together, in the order in which they are written. A score that
//! is set again, and is what it was, keeps its time.
//!
//! | | with 9, 7, 7, 4 | |
//! |---|---|---|
//! | [`place`](Entry::place) | 1, 2, 3, 4 | the number of the line |
//! | [`rank`](Entry::rank) | 1, 2, 2, 4 | what sports call standard competition ranking |
//! | [`dense_rank`](Entry::dense_rank) | 1, 2, 2, 3 | needs the [distinct scores](LeaderboardBuilder::dense_ranks) in a set of their own |
//!
//! # Repetition
//!
//! Whoever got no answer does not know whether it was done, and a Cluster sends again what a broken connection swallowed. To set
//! a score twice is to set it once; an increment therefore has the id of an operation, remembered together with the member for a
//! day ([`remember_operations`](LeaderboardBuilder::remember_operations)). A failover may lose the last changes along with their
//! ids, so repeating them is right then too. Of a change that was sent twice the answer is that of the second: nothing changed,
//! and this is the score.
//!
//! # Periods
//!
//! In UTC, by the clock of the server: the caller's clock only guesses the key, and the script says when it guessed wrong, which
//! costs a second round trip. A [day](Period::DAY) or [week](Period::WEEK) can be [read afterwards](Standings::ago), for 35 days
//! ([`keep`](LeaderboardBuilder::keep)); then it expires. [`Period::EVER`] does not.
//!
//! # What it takes
//!
//! Of the server, O(log n) for everything but trimming. All keys of a board (`leaderboard:{name}:..`) have one slot, so one shard
//! of a Cluster carries it. It must not be evicted: with a policy other than `noeviction` the server may drop a part of it, which
//! is an error from then on ([`Undecodable`](crate::error::ErrorKind::Undecodable)) until [`Standings::clear`].
//!
//! Where permissions are given one by one:
//!
//! ```text
//! +eval +evalsha +time +type +unlink +pttl +pexpire +pexpireat +hget +hset +hdel +hlen
//! +zadd +zrem +zscore +zcard +zcount +zrange +zrevrange +zrevrank +zremrangebyscore +zpopmin
//! ```

mod board;
mod entry;
mod period;
mod scripts;
mod settings;
mod standings;
mod update;

pub use board::Leaderboard;
pub use entry::{Change, Entry, Outcome, Page, Standing};
pub use period::Period;
pub use settings::LeaderboardBuilder;
pub use standings::Standings;
pub use update::Update;

/// The largest score, 2^53 - 1; the smallest is as far below zero.
pub const LARGEST: i64 = (1 << 53) - 1;

/// How many members one page has at most.
pub const LARGEST_PAGE: u64 = 1000;

/// How many bytes the name of a member has at most.
pub const LONGEST_MEMBER: usize = 256;
