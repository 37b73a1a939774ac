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
    /// What is out of the bucket, in parts.
    #[inline]
    fn parts(&self, quota: &Quota, at: u64) -> u128 {
        let back = u128::from(quota.limit()) * u128::from(at - self.at);
        in_parts(self.out, quota).saturating_add(self.part.into()).saturating_sub(back)
    }
}

impl Account for TokenBucket {
    fn capacity(&self, quota: &Quota) -> u64 {
        quota.at_once()
    }

    fn newest(&self) -> u64 {
        self.at
    }

    fn used(&self, quota: &Quota, at: u64) -> u64 {
        let (whole, part) = in_tokens(self.parts(quota, at), quota);
        whole + u64::from(part > 0)
    }

    fn when(&self, quota: &Quota, target: u64, at: u64) -> Option<u64> {
        let missing = self.parts(quota, at).saturating_sub(in_parts(target, quota));
        if missing == 0 {
            return Some(at);
        }
        (quota.limit() > 0).then(|| at.saturating_add(divided_up(missing, quota.limit())))
    }

    fn more(&self, quota: &Quota, used: u64, at: u64) -> Option<(u64, u64)> {
        let then = self.when(quota, used - 1, at)?;
        // Where no more than one token comes back in a millisecond, the next is one.
        let is_slow = quota.limit() <= quota.window_millis();
        Some((then, if is_slow { 1 } else { used - self.used(quota, then).min(used) }))
    }

    fn add(&mut self, quota: &Quota, cost: u64, at: u64) -> u64 {
        let before = self.parts(quota, at);
        if before == 0 {
            self.since = self.since.max(at);
        }
        let (out, part) = in_tokens(before, quota);
        let out = out.saturating_add(cost);
        let is_full = out >= Quota::MAX_LIMIT;
        (self.at, self.out, self.part) = (at, out.min(Quota::MAX_LIMIT), if is_full { 0 } else { part });
        self.out
    }

    fn give_back(&mut self, quota: &Quota, taken: &Taken, at: u64) -> u64 {
        if taken.at < self.since {
            return 0;
        }
        let come_back = u128::from(quota.limit()) * u128::from(at - taken.at);
        let still_out = in_parts(taken.level, quota).saturating_sub(come_back) / u128::from(quota.window_millis());
        let now_out = self.parts(quota, at) / u128::from(quota.window_millis());
        let back = taken.cost.min(still_out as u64).min(now_out as u64);
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

/// Whole tokens, and what is left. Most parts have few digits, and are divided in a quarter of the time.
#[inline]
fn in_tokens(parts: u128, quota: &Quota) -> (u64, u64) {
    let whole = quota.window_millis();
    match u64::try_from(parts) {
        Ok(parts) => (parts / whole, parts % whole),
        Err(_) => ((parts / u128::from(whole)) as u64, (parts % u128::from(whole)) as u64),
    }
}

#[inline]
fn divided_up(parts: u128, by: u64) -> u64 {
    match u64::try_from(parts) {
        Ok(parts) => parts.div_ceil(by),
        Err(_) => u64::try_from(parts.div_ceil(by.into())).unwrap_or(u64::MAX),
    }
}

#[inline]
fn in_parts(tokens: u64, quota: &Quota) -> u128 {
    u128::from(tokens) * u128::from(quota.window_millis())
}
