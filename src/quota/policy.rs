//! How much may be taken in a window.

use std::{sync::Arc, time::Duration};

use crate::error::Error;

/// How much may be taken in a window of time.
///
/// Every value of this type has a meaning, however absurd: a limit of 0 lets nothing through.
///
/// ```
/// use std::time::Duration;
/// use bartizan::quota::Quota;
///
/// let search = Quota::per_minute(30);
/// let upload = Quota::new(50_000_000, Duration::from_secs(600))?.named("upload-bytes")?;
/// let login = Quota::per_hour(20).burst(5); // for a token bucket: five at once, then one every three minutes
/// # Ok::<(), bartizan::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    limit: u64,
    /// In milliseconds.
    window: u64,
    burst: Option<u64>,
    name: Option<Arc<str>>,
}

impl Quota {
    /// The largest limit: 2^48 - 1, about 281 trillion.
    pub const MAX_LIMIT: u64 = (1 << 48) - 1;

    /// The longest window: ten years.
    pub const MAX_WINDOW: Duration = Duration::from_secs(3_653 * 86_400);

    /// `limit` in every second. Over [`MAX_LIMIT`](Self::MAX_LIMIT) counts as that.
    #[must_use]
    pub const fn per_second(limit: u64) -> Self {
        Self::of(limit, 1_000)
    }

    /// `limit` in every minute. Over [`MAX_LIMIT`](Self::MAX_LIMIT) counts as that.
    #[must_use]
    pub const fn per_minute(limit: u64) -> Self {
        Self::of(limit, 60_000)
    }

    /// `limit` in every hour. Over [`MAX_LIMIT`](Self::MAX_LIMIT) counts as that.
    #[must_use]
    pub const fn per_hour(limit: u64) -> Self {
        Self::of(limit, 3_600_000)
    }

    /// `limit` in every 24 hours. Over [`MAX_LIMIT`](Self::MAX_LIMIT) counts as that.
    #[must_use]
    pub const fn per_day(limit: u64) -> Self {
        Self::of(limit, 86_400_000)
    }

    /// `limit` in every `window`, for numbers that come from elsewhere. What is less than a millisecond of the window
    /// counts as one.
    ///
    /// # Errors
    ///
    /// When `limit` is 0, which in a configuration is rarely meant to refuse everyone, or over
    /// [`MAX_LIMIT`](Self::MAX_LIMIT); when `window` is zero or over [`MAX_WINDOW`](Self::MAX_WINDOW).
    pub fn new(limit: u64, window: Duration) -> Result<Self, Error> {
        if limit == 0 || limit > Self::MAX_LIMIT {
            return Err(Error::invalid(&format!("a limit of {limit}: 1 to {} would do", Self::MAX_LIMIT)));
        }
        if window.is_zero() || window > Self::MAX_WINDOW {
            return Err(Error::invalid(&format!("a window of {window:?}: 1 ms to {:?} would do", Self::MAX_WINDOW)));
        }
        Ok(Self::of(limit, window.as_nanos().div_ceil(1_000_000) as u64))
    }

    /// How much may come at once, for [`TokenBucket`](super::TokenBucket), which then admits up to the limit *and* the burst in
    /// a window. The default is the limit; over [`MAX_LIMIT`](Self::MAX_LIMIT) counts as that; 0 lets nothing through.
    ///
    /// The windows admit the whole limit at once, and know no burst:
    /// [`Algorithm::suits`](super::Algorithm::suits) says so.
    #[must_use]
    pub const fn burst(mut self, burst: u64) -> Self {
        self.burst = Some(at_most_max(burst));
        self
    }

    /// What the quota is called in answers (`RateLimit-Policy`). The default is no name; the layer then finds one.
    ///
    /// # Errors
    ///
    /// When `name` is empty or has other characters than printable ASCII, which is all that the header can bear.
    pub fn named(mut self, name: &str) -> Result<Self, Error> {
        if name.is_empty() || !name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(Error::invalid(&format!("a quota named {name:?}: printable ASCII would do")));
        }
        self.name = Some(name.into());
        Ok(self)
    }

    /// How much may be taken in a window.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// The window, in whole milliseconds.
    pub const fn window(&self) -> Duration {
        Duration::from_millis(self.window)
    }

    /// How much may come at once: the burst, or else the limit.
    pub const fn at_once(&self) -> u64 {
        match self.burst {
            Some(_) if self.limit == 0 => 0,
            Some(burst) => burst,
            None => self.limit,
        }
    }

    /// What the quota is called in answers, if it was [`named`](Self::named).
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The part of one among `many`, rounded down; but who may take something may take one at once.
    #[cfg_attr(not(feature = "limit"), expect(dead_code, reason = "only a layer shares"))]
    pub(crate) fn share(&self, many: u64) -> Self {
        let limit = self.limit / many;
        let burst = self.burst.map(|burst| (burst / many).max(u64::from(limit > 0 && burst > 0)));
        Self { limit, burst, ..self.clone() }
    }

    pub(super) const fn window_millis(&self) -> u64 {
        self.window
    }

    /// When the period of `at` began, both in milliseconds.
    pub(super) const fn period(&self, at: u64) -> u64 {
        at - at % self.window
    }

    pub(super) const fn has_burst(&self) -> bool {
        self.burst.is_some()
    }

    const fn of(limit: u64, window: u64) -> Self {
        Self { limit: at_most_max(limit), window, burst: None, name: None }
    }
}

const fn at_most_max(limit: u64) -> u64 {
    if limit > Quota::MAX_LIMIT { Quota::MAX_LIMIT } else { limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_told_at_construction() {
        let second = Duration::from_secs(1);
        let told = |limit, window| Quota::new(limit, window).unwrap_err().to_string();
        assert_eq!(told(0, second), "a limit of 0: 1 to 281474976710655 would do");
        assert_eq!(told(u64::MAX, second), "a limit of 18446744073709551615: 1 to 281474976710655 would do");
        assert_eq!(told(1, Duration::ZERO), "a window of 0ns: 1 ms to 315619200s would do");
        assert_eq!(told(1, Duration::MAX).split(':').nth(1), Some(" 1 ms to 315619200s would do"));
        for name in ["", "naïve", "two\nlines"] {
            assert!(Quota::per_second(1).named(name).unwrap_err().is_invalid(), "{name:?}");
        }
    }

    #[test]
    fn absurd_quotas_have_a_meaning() {
        assert_eq!(Quota::per_second(u64::MAX).limit(), Quota::MAX_LIMIT);
        assert_eq!(Quota::per_second(1).burst(u64::MAX).at_once(), Quota::MAX_LIMIT);
        assert_eq!(Quota::per_second(0).burst(9).at_once(), 0, "a limit of 0 lets nothing through");
        let window = |window| Quota::new(1, window).map(|quota| quota.window()).unwrap();
        assert_eq!(window(Duration::from_nanos(1)), Duration::from_millis(1));
        assert_eq!(window(Duration::from_micros(1_500)), Duration::from_millis(2));
        assert_eq!(window(Quota::MAX_WINDOW), Quota::MAX_WINDOW);
    }

    #[test]
    fn a_constant_can_hold_a_quota() {
        const LOGIN: Quota = Quota::per_hour(20).burst(5);
        assert_eq!((LOGIN.limit(), LOGIN.at_once(), LOGIN.window()), (20, 5, Duration::from_secs(3_600)));
        let named = LOGIN.named("login").unwrap();
        assert_eq!(named.name(), Some("login"));
    }
}
