//! Limits: how much may be taken in a window of time, as pure arithmetic.
//!
//! ```
//! use std::time::Duration;
//! use bartizan::{clock::Timestamp, quota::{Meter, Quota, Retry, SlidingWindow}};
//!
//! let quota = Quota::per_second(2);
//! let mut meter = SlidingWindow::default(); // one for each key: a user, an address
//!
//! let at = |millis: u64| Timestamp::from_millis(1_700_000_000_000 + millis);
//! assert_eq!(meter.take(&quota, 1, at(0)).unwrap().standing().remaining(), 1);
//! assert!(meter.take(&quota, 1, at(700)).is_ok());
//!
//! let denied = meter.take(&quota, 1, at(800)).unwrap_err();
//! assert_eq!(denied.retry(), Retry::After(Duration::from_millis(200)));
//! assert!(meter.take(&quota, 1, at(1_000)).is_ok());
//! assert_eq!(meter.take(&quota, 3, at(5_000)).unwrap_err().retry(), Retry::Never, "more than the limit");
//! ```
//!
//! There is no clock, no waiting and no map in here: the time is an argument, and where meters are kept, and who holds which, is
//! for others to say. What fails is given back, and what needs two quotas takes from both or from neither:
//!
//! ```
//! use bartizan::{clock::Timestamp, quota::{Algorithm, Claim, Decision, Meter, Quota, take_all}};
//!
//! let (by_address, by_user) = (Quota::per_second(10), Quota::per_day(1_000));
//! let mut address = Algorithm::Sliding.counter();
//! let mut user = Algorithm::Fixed.counter();
//!
//! let now = Timestamp::from_secs(1_700_000_000);
//! let mut claims = [Claim::new(&by_address, &mut address, 1), Claim::new(&by_user, &mut user, 1)];
//! take_all(&mut claims, now).expect("nothing was taken before");
//!
//! let [_, claim] = claims;
//! let Some(Decision::Taken(taken)) = claim.into_decision() else { unreachable!() };
//! assert_eq!(user.refund(&by_user, taken, now), 1);
//! ```
//!
//! # Which algorithm when
//!
//! *Any window* is any stretch of time as long as the quota's, wherever it begins; *steady* is what traffic that comes evenly,
//! and faster than the limit, gets of it.
//!
//! | | in any window, at most | steady | bytes per key | for |
//! |---|---|---|---|---|
//! | [`SlidingWindow`] | the limit | as the log up to a limit of 60; above, 0.985 of that | 56, and 12 for each run, at most 60 | the default |
//! | [`SlidingLog`] | the limit | what there is | 56, and 12 for each take | limits that must be exact; to measure the others by |
//! | [`TokenBucket`] | limit and burst | all | 32 | an even rate; very many keys |
//! | [`FixedWindow`] | twice the limit | all | 24 | a budget by hour or day, whose end can be named |
//! | [`ApproximateWindow`] | nearly twice the limit | about as the log | 32 | very many keys, without a burst after each pause |
//!
//! [`Algorithm::worst_window`] is the first column as a number; `examples/limiter_error.rs` measures all of them. (What there is:
//! no limiter that holds small limits in any window gives random traffic all of it. At one and a half times the limit the
//! exact log admits 0.82 of 5, 0.98 of 100.)
//!
//! [`Concurrency`] limits something else: how many are at work at once, however long that takes them.
//!
//! Time has a resolution of a millisecond, as the clock tells it: a window of 1 s is a thousand milliseconds in a row.
//!
//! # On other machines
//!
//! A meter tells its state as a few integers ([`Meter::numbers`]), and every step of the arithmetic is one on integers that a
//! script in Lua can repeat. The table of cases in `tests/quota/cases` says what must come out.

mod algorithm;
mod approximate;
mod bucket;
mod claim;
mod concurrency;
mod decision;
mod fixed;
mod log;
mod meter;
mod policy;
mod ring;
mod sliding;

pub use algorithm::{Algorithm, Counter};
pub use approximate::ApproximateWindow;
pub use bucket::TokenBucket;
pub use claim::{Claim, take_all};
pub use concurrency::Concurrency;
pub use decision::{Decision, Denied, Retry, Standing, Taken};
pub use fixed::FixedWindow;
pub use log::SlidingLog;
pub use meter::Meter;
pub use policy::Quota;
pub use sliding::SlidingWindow;
