//! The token bucket.

use super::{
    decision::Taken,
    meter::{Account, LAST},
    policy::Quota,
};

/// The token bucket (GCRA): [`Quota::at_once`] tokens, which come back at the rate of the limit.
///
/// | | |
/// |---|---|
/// | worst trailing window | the limit and the burst together; without a burst of its own 2.000 of the limit |
/// | a key nobody used | the burst at once |
/// | steady traffic | gets all of the limit, however small the burst, once it comes evenly |
/// | state | 32 bytes |
///
/// Tokens come back by the millisecond, in exact fractions, so that no rate is rounded.
///
/// A refund gives back at most what was out when it was taken, less what has come back since: it cannot know what the bucket
/// would hold otherwise, and errs for the limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenBucket {
    /// What was taken before this was before the bucket was new or reset.
    since: u64,
    /// When `out` was counted.
    at: u64,
    /// Whole tokens that are out of the bucket, and a part of one: so many as the window has milliseconds make a whole.
    out: u64,
    part: u64,
}

impl TokenBucket {
    /// What is out of the bucket: whole tokens, and the parts of one.
    #[inline]
    fn out_at(&self, quota: &Quota, at: u64) -> (u64, u64) {
        let whole = quota.window_millis();
        let (mut out, mut part) = (self.out, self.part);
        // The window may have been another when it was counted.
        if part >= whole {
            (out, part) = (out + part / whole, part % whole);
        }
        let elapsed = at.saturating_sub(self.at);
        if elapsed == 0 {
            return (out, part);
        }
        let (back, back_part) = in_tokens(u128::from(quota.limit()) * u128::from(elapsed), whole);
        let (rest, borrowed) = part.overflowing_sub(back_part);
        match out.checked_sub(back).and_then(|out| out.checked_sub(borrowed.into())) {
            Some(out) => (out, if borrowed { rest.wrapping_add(whole) } else { rest }),
            None => (0, 0),
        }
    }

    /// Where more is out than there may be.
    #[cold]
    fn more_of_too_many(&self, quota: &Quota, used: u64, at: u64) -> Option<(u64, u64)> {
        let then = self.when(quota, used - 1, at)?;
        Some((then, used - self.used(quota, then).min(used)))
    }

    /// How long it takes until no more than `target` are out, of so many.
    #[inline]
    fn until(quota: &Quota, (out, part): (u64, u64), target: u64) -> Option<u64> {
        let Some(whole) = out.checked_sub(target) else { return Some(0) };
        let missing = u128::from(whole) * u128::from(quota.window_millis()) + u128::from(part);
        match quota.limit() {
            0 if missing > 0 => None,
            _ if missing == 0 => Some(0),
            limit => Some(match u64::try_from(missing) {
                Ok(missing) => missing.div_ceil(limit),
                Err(_) => u64::try_from(missing.div_ceil(limit.into())).unwrap_or(u64::MAX),
            }),
        }
    }
}

impl Account for TokenBucket {
    fn capacity(&self, quota: &Quota) -> u64 {
        quota.at_once()
    }

    fn newest(&self) -> u64 {
        self.at
    }

    #[inline]
    fn used(&self, quota: &Quota, at: u64) -> u64 {
        let (out, part) = self.out_at(quota, at);
        out + u64::from(part > 0)
    }

    #[inline]
    fn when(&self, quota: &Quota, target: u64, at: u64) -> Option<u64> {
        Self::until(quota, self.out_at(quota, at), target).map(|wait| at.saturating_add(wait))
    }

    #[inline]
    fn more(&self, quota: &Quota, used: u64, at: u64) -> Option<(u64, u64)> {
        let (out, part) = self.out_at(quota, at);
        if used < out + u64::from(part > 0) || quota.limit() == 0 {
            return self.more_of_too_many(quota, used, at);
        }
        if quota.limit() > quota.window_millis() {
            return Some((at + 1, used - self.used(quota, at + 1)));
        }
        // No more than one token comes back in a millisecond.
        let missing = if part > 0 { part } else { quota.window_millis() };
        Some((at + missing.div_ceil(quota.limit()), 1))
    }

    #[inline]
    fn add(&mut self, quota: &Quota, cost: u64, at: u64) -> u64 {
        let (before, part) = self.out_at(quota, at);
        if (before, part) == (0, 0) {
            self.since = self.since.max(at);
        }
        self.at = at;
        (self.out, self.part) = match before.saturating_add(cost) {
            out if out < Quota::MAX_LIMIT => (out, part),
            _ => (Quota::MAX_LIMIT, 0),
        };
        self.out
    }

    fn give_back(&mut self, quota: &Quota, taken: &Taken, at: u64) -> u64 {
        if taken.at < self.since {
            return 0;
        }
        let then = Self { at: taken.at, out: taken.level, ..Self::default() };
        let (still_out, _) = then.out_at(quota, at);
        let (now_out, _) = self.out_at(quota, at);
        let back = taken.cost.min(still_out).min(now_out);
        self.out -= back;
        back
    }

    fn clear(&mut self, at: u64) {
        *self = Self { since: at + 1, at, ..Self::default() };
    }

    fn state(&self) -> Vec<u64> {
        vec![self.since, self.at, self.out, self.part]
    }

    fn restored(&self, state: &[u64]) -> Option<Self> {
        let &[since, at, out, part] = state else { return None };
        let sound = since <= LAST + 1 && at <= LAST && out <= Quota::MAX_LIMIT && part <= LAST;
        sound.then_some(Self { since, at, out, part })
    }
}

/// Whole tokens, and what is left. Most products have few digits, and are divided in a quarter of the time.
#[inline]
fn in_tokens(parts: u128, whole: u64) -> (u64, u64) {
    match u64::try_from(parts) {
        Ok(parts) => (parts / whole, parts % whole),
        Err(_) => in_many_tokens(parts, whole.into()),
    }
}

#[cold]
fn in_many_tokens(parts: u128, whole: u128) -> (u64, u64) {
    (u64::try_from(parts / whole).unwrap_or(u64::MAX), (parts % whole) as u64)
}
