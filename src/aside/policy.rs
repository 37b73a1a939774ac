//! How long values are good for, and how long a caller waits. No clock: `now` is an argument.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    expiry::{EarlyRefresh, Jitter},
};

/// How long what is loaded is good for, what is done when it is not, and how long a caller waits.
///
/// Lifetimes are fixed by the policy of whoever loads. The windows for stale values, early refresh and time-outs are
/// those of whoever asks; no window reaches beyond the longest that the loading one's policy had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    ttl: Duration,
    negative_ttl: Duration,
    stale_while_revalidate: Duration,
    stale_if_error: Duration,
    soft_timeout: Option<Duration>,
    hard_timeout: Option<Duration>,
    jitter: Jitter,
    early_refresh: EarlyRefresh,
}

/// What a kept value is to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Fresh,
    /// Fresh, and to be made anew already.
    Due,
    /// To be made anew while it is served.
    Stale,
    /// To be served only where no newer one can be had.
    Spare,
    Dead,
}

/// What is kept at the least, so that those who wait find what they waited for. On Redis they ask within half a second.
const HEARD: Duration = Duration::from_secs(2);

// === impl Policy ===

impl Policy {
    /// The defaults: what each setter says.
    pub const fn new() -> Self {
        Self {
            ttl: Duration::from_secs(60),
            negative_ttl: Duration::from_secs(10),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            soft_timeout: None,
            hard_timeout: None,
            jitter: Jitter::percent(10),
            early_refresh: EarlyRefresh::beta(1.0),
        }
    }

    /// How long a value is fresh. Zero keeps nothing beyond those who wait for it. Default: 60 s.
    #[must_use]
    pub const fn ttl(self, ttl: Duration) -> Self {
        Self { ttl, ..self }
    }

    /// How long it is remembered that there is no value. Default: 10 s.
    #[must_use]
    pub const fn negative_ttl(self, ttl: Duration) -> Self {
        Self { negative_ttl: ttl, ..self }
    }

    /// For how long after its lifetime a value is still served at once, while one caller's loader runs in the background.
    /// Default: zero.
    #[must_use]
    pub const fn stale_while_revalidate(self, window: Duration) -> Self {
        Self { stale_while_revalidate: window, ..self }
    }

    /// For how long after its lifetime a value is served where the loader fails, or takes longer than the
    /// [soft time-out](Self::soft_timeout). Default: zero.
    #[must_use]
    pub const fn stale_if_error(self, window: Duration) -> Self {
        Self { stale_if_error: window, ..self }
    }

    /// How long a caller waits if there is a stale value, which it has then. The load goes on in the background. Without
    /// [`stale_if_error`](Self::stale_if_error) there never is one. Default: until the loader is done.
    #[must_use]
    pub const fn soft_timeout(self, limit: Duration) -> Self {
        Self { soft_timeout: Some(limit), ..self }
    }

    /// How long a caller waits at all. The load goes on in the background; the caller has an error that
    /// [`is_timed_out`](crate::Error::is_timed_out). Default: until the loader is done.
    #[must_use]
    pub const fn hard_timeout(self, limit: Duration) -> Self {
        Self { hard_timeout: Some(limit), ..self }
    }

    /// How far lifetimes are spread, so that what was loaded together does not expire together. One that the loader
    /// [stated](super::Loaded::ttl) is only shortened. Default: 10 %.
    #[must_use]
    pub const fn jitter(self, jitter: Jitter) -> Self {
        Self { jitter, ..self }
    }

    /// How eagerly a value is made anew before its end. Default: [`EarlyRefresh::default`].
    #[must_use]
    pub const fn early_refresh(self, early_refresh: EarlyRefresh) -> Self {
        Self { early_refresh, ..self }
    }

    /// How long what was loaded is fresh.
    pub(super) fn lifetime(&self, stated: Option<Duration>, is_absent: bool, draw: u64) -> Duration {
        match stated {
            Some(stated) => self.jitter.shorten(stated, draw),
            None if is_absent => self.jitter.spread(self.negative_ttl, draw),
            None => self.jitter.spread(self.ttl, draw),
        }
    }

    /// Until when a value is kept that is fresh until then.
    pub(super) fn keep_until(&self, fresh_until: Timestamp, now: Timestamp) -> Timestamp {
        fresh_until.plus(self.stale_while_revalidate.max(self.stale_if_error)).max(now.plus(HEARD))
    }

    /// Until when a failure is kept, for those who wait. Nobody else is told of it.
    pub(super) fn keep_failure_until(now: Timestamp) -> Timestamp {
        now.plus(HEARD)
    }

    /// `draw` is called at most once, as [`EarlyRefresh::is_due`] does.
    #[inline]
    pub(super) fn standing(
        &self,
        (fresh_until, keep_until): (Timestamp, Timestamp),
        cost: Duration,
        now: Timestamp,
        draw: impl FnOnce() -> u64,
    ) -> Standing {
        if now >= keep_until {
            return Standing::Dead;
        }
        if now < fresh_until {
            let is_due = self.early_refresh.is_due(fresh_until.since(now), cost, draw);
            return if is_due { Standing::Due } else { Standing::Fresh };
        }
        let age = now.since(fresh_until);
        if age < self.stale_while_revalidate {
            Standing::Stale
        } else if age < self.stale_if_error {
            Standing::Spare
        } else {
            Standing::Dead
        }
    }

    /// How long a caller waits who has a stale value, if that is shorter than how long it waits at all.
    pub(super) fn soft_limit(&self) -> Option<Duration> {
        self.soft_timeout.filter(|soft| self.hard_timeout.is_none_or(|hard| *soft < hard))
    }

    pub(super) const fn hard_limit(&self) -> Option<Duration> {
        self.hard_timeout
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_value_is_fresh_then_stale_then_a_spare_and_never_kept_beyond() {
        let policy = Policy::new()
            .stale_while_revalidate(5 * SECOND)
            .stale_if_error(20 * SECOND)
            .early_refresh(EarlyRefresh::NEVER);
        let fresh_until = Timestamp::from_secs(100);
        let keep_until = policy.keep_until(fresh_until, Timestamp::from_secs(40));
        let at = |policy: Policy, millis| {
            policy.standing((fresh_until, keep_until), SECOND, Timestamp::from_millis(millis), || unreachable!())
        };
        for (millis, standing) in [
            (99_999, Standing::Fresh),
            (100_000, Standing::Stale),
            (104_999, Standing::Stale),
            (105_000, Standing::Spare),
            (119_999, Standing::Spare),
            (120_000, Standing::Dead),
        ] {
            assert_eq!(at(policy, millis), standing, "at {millis}");
        }
        assert_eq!(at(policy.stale_if_error(90 * SECOND), 120_000), Standing::Dead, "it is not kept for longer");
        assert_eq!(at(policy.stale_while_revalidate(Duration::ZERO), 100_000), Standing::Spare);
        assert_eq!(at(Policy::new().early_refresh(EarlyRefresh::NEVER), 100_000), Standing::Dead);
    }

    #[test]
    fn a_fresh_value_is_due_near_its_end() {
        let (policy, until) = (Policy::new(), Timestamp::from_secs(100));
        let at = |millis| policy.standing((until, until), SECOND, Timestamp::from_millis(millis), || u64::MAX / 2);
        assert_eq!((at(99_000), at(99_400)), (Standing::Fresh, Standing::Due), "ln 2 of the cost before it");
    }

    #[test]
    fn the_soft_limit_counts_only_below_the_hard_one() {
        let policy = Policy::new().soft_timeout(2 * SECOND);
        assert_eq!(policy.soft_limit(), Some(2 * SECOND));
        assert_eq!(policy.hard_timeout(SECOND).soft_limit(), None);
        assert_eq!(policy.hard_timeout(3 * SECOND).soft_limit(), Some(2 * SECOND));
    }

    #[test]
    fn what_the_loader_states_is_never_exceeded() {
        let policy = Policy::new();
        for draw in [0, u64::MAX / 2, u64::MAX] {
            assert!(policy.lifetime(Some(SECOND), false, draw) <= SECOND);
        }
        assert_eq!(policy.jitter(Jitter::NONE).lifetime(None, true, 7), 10 * SECOND);
    }
}
