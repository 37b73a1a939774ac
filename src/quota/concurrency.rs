//! How many may be at work at once.

use std::time::Duration;

use super::decision::{Denied, More, Retry, Standing};
use crate::clock::Timestamp;

/// Who is at work under one key, where a limit says how many may be at once. Each place is held until it is left, or until its
/// time is over: what crashed frees it in the end.
///
/// ```
/// use std::time::Duration;
/// use bartizan::{clock::Timestamp, quota::{Concurrency, Retry}};
///
/// let (mut exports, hold) = (Concurrency::default(), Duration::from_secs(30));
/// let at = |secs: u64| Timestamp::from_secs(1_700_000_000 + secs);
/// exports.enter(7, 2, hold, at(0)).expect("nobody is at work");
/// exports.enter(8, 2, hold, at(1)).expect("one is at work");
/// let denied = exports.enter(9, 2, hold, at(5)).unwrap_err();
/// assert_eq!(denied.retry(), Retry::After(Duration::from_secs(25)), "at the latest");
/// assert!(exports.leave(8, at(6)));
/// assert!(exports.enter(9, 2, hold, at(6)).is_ok());
/// ```
///
/// Never more are at work at once than the limit, as long as each leaves or [renews](Self::renew) before its time is over. A
/// place takes 16 bytes, all of it 32 besides, and each call looks at all places. A `now` that is earlier than that of the
/// last who entered or renewed counts as that one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concurrency {
    newest: u64,
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    who: u64,
    /// The first moment at which it is free again.
    until: u64,
}

impl Concurrency {
    /// Takes a place for `hold`, in whole milliseconds. `who` is a number that nobody else has; who has a place already keeps
    /// it, and has `hold` anew, so that a call whose answer was lost can be made again.
    ///
    /// # Errors
    ///
    /// [`Denied`] when `limit` are at work. The time to retry after is the latest: sooner, when somebody leaves.
    pub fn enter(&mut self, who: u64, limit: u64, hold: Duration, now: Timestamp) -> Result<Standing, Denied> {
        if self.renew(who, hold, now) {
            return Ok(self.standing(limit, now));
        }
        let standing = self.standing(limit, now);
        if standing.remaining == 0 {
            let retry = standing.more_after().map_or(Retry::Never, Retry::After);
            return Err(Denied { retry, standing });
        }
        let at = self.guarded(now);
        self.places.retain(|place| place.until > at.as_millis());
        self.places.push(Place { who, until: at.plus(hold).as_millis() });
        self.newest = at.as_millis();
        Ok(self.standing(limit, now))
    }

    /// Keeps the place for `hold` from now on. `false` when it is over: somebody else may have it.
    pub fn renew(&mut self, who: u64, hold: Duration, now: Timestamp) -> bool {
        let at = self.guarded(now);
        match self.places.iter_mut().find(|place| place.who == who && place.until > at.as_millis()) {
            Some(place) => {
                place.until = at.plus(hold).as_millis();
                self.newest = at.as_millis();
                true
            }
            None => false,
        }
    }

    /// Gives the place back. `false` when it was over.
    pub fn leave(&mut self, who: u64, now: Timestamp) -> bool {
        let at = self.guarded(now).as_millis();
        let place = self.places.iter().position(|place| place.who == who);
        place.is_some_and(|index| self.places.swap_remove(index).until > at)
    }

    /// How many are at work.
    pub fn at_work(&self, now: Timestamp) -> u64 {
        self.ends(now).count() as u64
    }

    /// How it stands against `limit`: [`more_after`](Standing::more_after) is when more remains if nobody leaves or renews.
    pub fn standing(&self, limit: u64, now: Timestamp) -> Standing {
        let at_work = self.at_work(now);
        let remaining = limit.saturating_sub(at_work);
        // After the limit was lowered several have to leave before one may enter.
        let leaving = at_work - limit.min(at_work);
        let mut ends: Vec<u64> = self.ends(now).collect();
        ends.sort_unstable();
        let next = ends.get(leaving as usize).filter(|_| limit > 0);
        let more = next.map(|&then| More {
            after: then.saturating_sub(now.as_millis()),
            amount: limit - ends.iter().filter(|&&end| end > then).count() as u64 - remaining,
        });
        Standing { limit, remaining, more }
    }

    fn ends(&self, now: Timestamp) -> impl Iterator<Item = u64> {
        let at = self.guarded(now).as_millis();
        self.places.iter().map(|place| place.until).filter(move |&until| until > at)
    }

    fn guarded(&self, now: Timestamp) -> Timestamp {
        now.max(Timestamp::from_millis(self.newest))
    }
}
