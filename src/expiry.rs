//! How long a value is good for: jitter, and refreshing before the end. Pure arithmetic.

use std::time::Duration;

/// How far lifetimes are spread, so that what was stored together does not expire together.
///
/// A lifetime that the layer chose itself is moved by up to this share in either direction; one that the origin stated
/// is only ever shortened, since serving it longer would be serving it stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jitter {
    percent: u8,
}

/// Whether, and how eagerly, a value is made anew shortly before it expires.
///
/// Each hit draws once: the nearer the end and the dearer the fill, the likelier this request starts a refresh in the
/// background while it is answered from the store. Under load exactly such a request comes by in time, and nobody ever
/// waits; a value that nobody asks for is not refreshed. (XFetch; Vattani, Chierichetti, Lowenstein: "Optimal
/// Probabilistic Cache Stampede Prevention", VLDB 2015.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlyRefresh {
    beta: f64,
    /// How many times the cost of a fill before the end a refresh is possible at all.
    reach: u32,
}

// === impl Jitter ===

impl Jitter {
    /// Every lifetime exactly as stated.
    pub const NONE: Self = Self { percent: 0 };

    /// Up to `percent` of the lifetime. The default is 10.
    ///
    /// # Panics
    ///
    /// When `percent` is over 50: a lifetime that may double is no longer one.
    #[must_use]
    pub const fn percent(percent: u8) -> Self {
        assert!(percent <= 50, "the jitter is at most 50 percent of a lifetime");
        Self { percent }
    }

    /// `lifetime`, moved by up to the share in either direction. `draw` is uniform over all of `u64`.
    pub fn spread(self, lifetime: Duration, draw: u64) -> Duration {
        let reach = self.reach(lifetime);
        lifetime.saturating_sub(reach).saturating_add(scaled(reach.saturating_mul(2), draw))
    }

    /// `lifetime`, shortened by up to the share. `draw` is uniform over all of `u64`.
    pub fn shorten(self, lifetime: Duration, draw: u64) -> Duration {
        lifetime.saturating_sub(scaled(self.reach(lifetime), draw))
    }

    fn reach(self, lifetime: Duration) -> Duration {
        lifetime / 100 * u32::from(self.percent)
    }
}

impl Default for Jitter {
    fn default() -> Self {
        Self::percent(10)
    }
}

/// `span * draw / 2^64`, in whole milliseconds.
fn scaled(span: Duration, draw: u64) -> Duration {
    let millis = span.as_millis().min(u128::from(u64::MAX));
    Duration::from_millis(((millis * u128::from(draw)) >> 64) as u64)
}

// === impl EarlyRefresh ===

impl EarlyRefresh {
    /// Values are used to their end.
    pub const NEVER: Self = Self { beta: 0.0, reach: 0 };

    /// Over 1 refreshes earlier, under 1 later. The default is 1, which is optimal for fills of exponential length.
    ///
    /// # Panics
    ///
    /// When `beta` is negative, infinite or not a number.
    #[must_use]
    pub const fn beta(beta: f64) -> Self {
        assert!(beta >= 0.0 && beta < f64::INFINITY, "beta is a finite number, zero or more");
        // -ln(2^-64) = 44.4 is what no draw exceeds.
        Self { beta, reach: ((beta * 45.0) as u32).saturating_add(1) }
    }

    /// Whether a hit that finds `remaining` of the lifetime left starts a refresh, where the last fill took `cost`.
    ///
    /// `draw` is called at most once, for a value uniform over all of `u64`; far from the end it is not called at all.
    #[inline]
    pub fn is_due(self, remaining: Duration, cost: Duration, draw: impl FnOnce() -> u64) -> bool {
        // On nearly every hit this comparison is all that is done.
        if self.beta == 0.0 || remaining >= cost.saturating_mul(self.reach) {
            return false;
        }
        let (remaining, scale) = (remaining.as_secs_f64(), cost.as_secs_f64() * self.beta);
        let uniform = (draw() as f64 + 1.0) / (u64::MAX as f64 + 1.0);
        scale * -uniform.ln() >= remaining
    }
}

impl Default for EarlyRefresh {
    fn default() -> Self {
        Self::beta(1.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    proptest! {
        #[test]
        fn jitter_stays_within_its_share(secs in 0u64..100_000_000, percent in 0u8..=50, draw: u64) {
            let (lifetime, jitter) = (Duration::from_secs(secs), Jitter::percent(percent));
            let reach = lifetime * u32::from(percent) / 100;
            let spread = jitter.spread(lifetime, draw);
            prop_assert!(spread >= lifetime - reach && spread <= lifetime + reach);
            let shortened = jitter.shorten(lifetime, draw);
            prop_assert!(shortened >= lifetime - reach && shortened <= lifetime);
        }

        #[test]
        fn no_lifetime_overflows(draw: u64) {
            Jitter::percent(50).spread(Duration::MAX, draw);
            Jitter::percent(50).shorten(Duration::MAX, draw);
            EarlyRefresh::default().is_due(Duration::MAX, Duration::MAX, || draw);
        }
    }

    #[test]
    fn the_whole_share_is_used() {
        let jitter = Jitter::percent(10);
        assert_eq!(jitter.spread(100 * SECOND, 0), 90 * SECOND);
        assert_eq!(jitter.spread(100 * SECOND, u64::MAX).as_secs_f64().round(), 110.0);
        assert_eq!(jitter.shorten(100 * SECOND, 0), 100 * SECOND);
        assert_eq!(jitter.shorten(100 * SECOND, u64::MAX).as_secs_f64().round(), 90.0);
        assert_eq!(Jitter::NONE.spread(100 * SECOND, u64::MAX), 100 * SECOND);
    }

    #[test]
    fn early_refresh_draws_only_near_the_end_and_follows_the_exponential() {
        let early = EarlyRefresh::default();
        assert!(!early.is_due(100 * SECOND, SECOND, || panic!("far from the end")));
        let quick = Duration::from_millis(5);
        assert!(!early.is_due(SECOND, quick, || panic!("far from the end, for a quick fill")));
        assert!(!EarlyRefresh::NEVER.is_due(SECOND, 100 * SECOND, || panic!("never")));
        let half = u64::MAX / 2; // -ln(1/2) = 0.69 of the cost
        assert!(early.is_due(Duration::from_millis(690), SECOND, || half));
        assert!(!early.is_due(Duration::from_millis(700), SECOND, || half));
        assert!(EarlyRefresh::beta(2.0).is_due(Duration::from_millis(1380), SECOND, || half));
    }

    #[test]
    fn the_chance_of_an_early_refresh_is_that_of_the_paper() {
        // P(cost * -ln(u) >= remaining) = exp(-remaining / cost)
        let due = (0..10_000u64)
            .map(|i| i * (u64::MAX / 10_000))
            .filter(|&draw| EarlyRefresh::default().is_due(2 * SECOND, SECOND, || draw))
            .count();
        assert!((1330..=1370).contains(&due), "exp(-2) = 0.135, got {due} of 10000");
    }
}
