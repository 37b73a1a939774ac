//! What every algorithm can do, made of what each of them counts.

use std::{fmt, time::Duration};

use super::{
    decision::{Denied, More, Retry, Standing, Taken},
    policy::Quota,
};
use crate::{clock::Timestamp, error::Error};

/// What has been taken under one key, and the rules by which more may be.
///
/// The quota is an argument of every method: when it changes, what has been taken is still counted.
///
/// # Time
///
/// `now` is in whole milliseconds, and "in a window" means: in this many of them in a row. A `now` that is earlier than that
/// of the last take, penalty or reset counts as that one: a clock that steps back frees nothing early. The price is that
/// nothing is freed either until the clock is where it was; [`reset`](Self::reset) helps where it had been far ahead.
///
/// # Cost
///
/// A cost of 0 is always allowed and changes nothing. What is denied changes nothing either, so a store need not write it.
pub trait Meter: Account + Clone + Default + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// Takes `cost`, or nothing.
    ///
    /// # Errors
    ///
    /// [`Denied`], with the time after which it could be taken, when less remains.
    fn take(&mut self, quota: &Quota, cost: u64, now: Timestamp) -> Result<Taken, Denied> {
        self.took(quota, cost, now)
    }

    /// What [`take`](Self::take) would answer, without taking: how the quota stands now.
    ///
    /// # Errors
    ///
    /// [`Denied`], as `take` would.
    fn peek(&self, quota: &Quota, cost: u64, now: Timestamp) -> Result<Standing, Denied> {
        self.looked(quota, cost, now)
    }

    /// Gives back what was taken, into the period it was taken from, and says how much that was: 0 when the period is over
    /// or was reset.
    ///
    /// What was taken later is never given back by it, so refunds let no more in than if nothing had been taken.
    fn refund(&mut self, quota: &Quota, taken: Taken, now: Timestamp) -> u64 {
        let at = guarded(self, now);
        if taken.cost == 0 { 0 } else { self.give_back(quota, &taken, at) }
    }

    /// Takes `cost` whether it remains or not, and says how the quota stands then. It lasts as long as what is taken; a cost
    /// over [`Quota::MAX_LIMIT`] in all counts as that.
    fn penalise(&mut self, quota: &Quota, cost: u64, now: Timestamp) -> Standing {
        let at = guarded(self, now);
        if cost > 0 {
            self.add(quota, cost, at);
        }
        standing(self, quota, self.used(quota, at), now)
    }

    /// Forgets all that was taken. Receipts from before, and from the same millisecond, give nothing back.
    fn reset(&mut self, now: Timestamp) {
        self.clear(guarded(self, now));
    }

    /// From when on all of the limit remains if nothing is taken: then this is worth as much as a new one, and may be dropped.
    /// `None` when that never comes.
    fn full_at(&self, quota: &Quota) -> Option<Timestamp> {
        self.when(quota, 0, self.newest()).map(Timestamp::from_millis)
    }

    /// The memory it takes, in bytes, with what it has on the heap.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.heap()
    }

    /// Takes as little memory as it can for what it still holds: it may hold it for longer then, never shorter.
    fn shrink(&mut self) {
        self.thin();
    }

    /// All of its state, as integers below 2^53, which a script can hold as they are.
    fn numbers(&self) -> Vec<u64> {
        self.state()
    }

    /// What [`numbers`](Self::numbers) told.
    ///
    /// # Errors
    ///
    /// When `numbers` are not what a meter of this kind tells.
    fn with_numbers(&self, numbers: &[u64]) -> Result<Self, Error> {
        self.restored(numbers).ok_or_else(|| Error::undecodable("the numbers are not the state of such a meter"))
    }
}

impl<A: Account + Clone + Default + PartialEq + fmt::Debug + Send + Sync + 'static> Meter for A {}

/// What an algorithm counts. Times are milliseconds since the epoch, at most [`LAST`]; `at` is never before
/// [`newest`](Account::newest).
pub trait Account: Sized {
    /// [`Meter::take`]. Here, so that who is one of several asks once which.
    #[inline]
    fn took(&mut self, quota: &Quota, cost: u64, now: Timestamp) -> Result<Taken, Denied> {
        let at = guarded(self, now);
        let used = self.used(quota, at);
        fits(self, quota, cost, used, now)?;
        let level = if cost > 0 { self.add(quota, cost, at) } else { 0 };
        Ok(Taken { cost, at, level, standing: standing(self, quota, used + cost, now) })
    }

    /// [`Meter::peek`].
    #[inline]
    fn looked(&self, quota: &Quota, cost: u64, now: Timestamp) -> Result<Standing, Denied> {
        let used = self.used(quota, guarded(self, now));
        fits(self, quota, cost, used, now)?;
        Ok(standing(self, quota, used, now))
    }

    /// The most that can be used.
    fn capacity(&self, quota: &Quota) -> u64 {
        quota.limit()
    }

    /// The time of the last take, penalty or reset, which a clock must not step behind.
    fn newest(&self) -> u64;

    /// How much counts as taken at `at`; over the capacity after a penalty or a lowered limit.
    fn used(&self, quota: &Quota, at: u64) -> u64;

    /// The first moment, `at` or later, at which no more than `target` counts as taken.
    fn when(&self, quota: &Quota, target: u64, at: u64) -> Option<u64>;

    /// The first moment at which less than `used` counts as taken, which is at most the capacity and not 0; and how much less.
    fn more(&self, quota: &Quota, used: u64, at: u64) -> Option<(u64, u64)> {
        let then = self.when(quota, used - 1, at)?;
        Some((then, used - self.used(quota, then).min(used)))
    }

    /// Counts `cost` as taken at `at`, up to [`Quota::MAX_LIMIT`] in all. Answers how much is out then, rounded down.
    fn add(&mut self, quota: &Quota, cost: u64, at: u64) -> u64;

    /// Takes `taken` back out of the period it is in, and answers how much was still there.
    fn give_back(&mut self, quota: &Quota, taken: &Taken, at: u64) -> u64;

    /// Forgets all; receipts up to `at` are worth nothing.
    fn clear(&mut self, at: u64);

    /// Bytes on the heap.
    fn heap(&self) -> usize {
        0
    }

    /// Lets go of memory; what it holds may be held for longer.
    fn thin(&mut self) {}

    /// All of it, as [`Meter::numbers`] tells it.
    fn state(&self) -> Vec<u64>;

    /// What [`state`](Account::state) told, if it can have.
    fn restored(&self, state: &[u64]) -> Option<Self>;
}

/// The last moment that is told from others, in the year 10889. It leaves room for every window.
pub(super) const LAST: u64 = (1 << 48) - 1;

#[inline]
fn guarded(account: &impl Account, now: Timestamp) -> u64 {
    now.as_millis().min(LAST).max(account.newest())
}

/// Whether `cost` is to be had where `used` counts as taken.
#[inline]
fn fits(account: &impl Account, quota: &Quota, cost: u64, used: u64, now: Timestamp) -> Result<(), Denied> {
    let capacity = account.capacity(quota);
    if cost == 0 || cost <= capacity.saturating_sub(used) {
        return Ok(());
    }
    Err(denied(account, quota, cost, used, now))
}

#[inline]
fn denied(account: &impl Account, quota: &Quota, cost: u64, used: u64, now: Timestamp) -> Denied {
    let capacity = account.capacity(quota);
    let room = capacity.checked_sub(cost);
    let then = room.and_then(|room| account.when(quota, room, guarded(account, now)));
    let retry = then.map_or(Retry::Never, |then| Retry::After(Duration::from_millis(since(then, now))));
    Denied { retry, standing: standing(account, quota, used, now) }
}

#[inline]
fn standing(account: &impl Account, quota: &Quota, used: u64, now: Timestamp) -> Standing {
    let limit = account.capacity(quota);
    let used = used.min(limit);
    let more = if used == 0 { None } else { account.more(quota, used, guarded(account, now)) };
    let more = more.map(|(then, amount)| More { after: since(then, now), amount });
    Standing { limit, remaining: limit - used, more }
}

fn since(then: u64, now: Timestamp) -> u64 {
    then.saturating_sub(now.as_millis())
}
