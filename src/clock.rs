//! Time, as an argument: every rule of this crate is told what time it is.
//!
//! [`SystemClock`] is what a program uses; [`TestClock`] is wound by hand, so that a test of an hour's expiry takes no
//! time at all.

#[cfg(any(feature = "limit", all(feature = "redis", not(target_os = "linux"))))]
use std::sync::LazyLock;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The present moment. It may step backwards, as wall clocks do; every rule here bears it.
    fn now(&self) -> Timestamp;
}

/// A moment, in whole milliseconds since the Unix epoch.
///
/// Arithmetic saturates: a wall clock that steps back makes nothing negative, and no sum overflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// The machine's wall clock. The default of every layer.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The wall clock as it was when the process first looked, and the time that has passed since: set the machine's clock, and this one
/// goes on evenly. The default where nothing is compared with other machines. As exact as the system's last tick.
#[cfg(feature = "limit")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SteadyClock;

/// A clock that stands still until it is wound. Its clones show the same time.
///
/// For exact lifetimes switch off [`Jitter`](crate::expiry::Jitter::NONE) too, which spreads them by a tenth, and
/// [`EarlyRefresh`](crate::expiry::EarlyRefresh::NEVER).
///
/// ```
/// use std::time::Duration;
/// use bartizan::clock::{Clock, TestClock};
///
/// let clock = TestClock::new();
/// let start = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().since(start), Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct TestClock(Arc<AtomicU64>);

/// A moment of the process's own, for time that passes: it never steps back, and means nothing elsewhere. It is as exact as
/// the system's last tick.
#[cfg(any(feature = "limit", feature = "redis"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

// === impl Timestamp ===

impl Timestamp {
    /// The moment `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The moment `secs` seconds after the Unix epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    #[inline]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The time that passed since `earlier`; zero if `earlier` is in the future.
    #[inline]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment and `span` more.
    #[must_use]
    #[inline]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// This moment and `span` less; the epoch at the least.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }
}

/// Without the 128-bit division of `Duration::as_millis`, which a hit would notice.
fn millis(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1000).saturating_add(u64::from(span.subsec_millis()))
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, millis))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(time.0)
    }
}

// === impl Moment ===

#[cfg(any(feature = "limit", feature = "redis"))]
impl Moment {
    #[inline]
    pub(crate) fn now() -> Self {
        #[cfg(target_os = "linux")]
        {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
            let (secs, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
            Self(secs.unwrap_or(0).saturating_mul(1000) + nanos.unwrap_or(0) / 1_000_000)
        }
        #[cfg(not(target_os = "linux"))]
        {
            use std::time::Instant;
            static START: LazyLock<Instant> = LazyLock::new(Instant::now);
            Self(millis(START.elapsed()))
        }
    }

    #[cfg(feature = "redis")]
    pub(crate) const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    #[cfg(feature = "redis")]
    pub(crate) const fn as_millis(self) -> u64 {
        self.0
    }

    pub(crate) const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    #[cfg(feature = "redis")]
    pub(crate) fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }
}

// === impl SystemClock ===

impl Clock for SystemClock {
    /// Where the system has a coarse clock (Linux), that one: it is as old as the last tick, at most 10 ms, and read in a
    /// quarter of the time.
    #[inline]
    fn now(&self) -> Timestamp {
        #[cfg(target_os = "linux")]
        {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
            let (secs, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
            Timestamp(secs.unwrap_or(0).saturating_mul(1000) + nanos.unwrap_or(0) / 1_000_000)
        }
        #[cfg(not(target_os = "linux"))]
        #[expect(clippy::disallowed_methods, reason = "this is where the wall clock is read")]
        SystemTime::now().into()
    }
}

// === impl SteadyClock ===

#[cfg(feature = "limit")]
impl Clock for SteadyClock {
    #[inline]
    fn now(&self) -> Timestamp {
        static START: LazyLock<(Timestamp, Moment)> = LazyLock::new(|| (SystemClock.now(), Moment::now()));
        START.0.plus(Moment::now().since(START.1))
    }
}

// === impl TestClock ===

impl TestClock {
    /// A clock at a fixed moment of the year 2023.
    pub fn new() -> Self {
        Self::at(Timestamp::from_secs(1_700_000_000))
    }

    /// A clock at `time`.
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(time.as_millis())))
    }

    /// Winds it forward.
    pub fn advance(&self, span: Duration) {
        self.set(self.now().plus(span));
    }

    /// Sets it to `time`, which may lie in its past.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.as_millis(), Ordering::SeqCst);
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_steps_back_makes_nothing_negative() {
        let (early, late) = (Timestamp::from_secs(1), Timestamp::from_secs(9));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.minus(Duration::MAX), Timestamp::default());
        assert_eq!(late.plus(Duration::MAX).as_millis(), u64::MAX);
    }
}
