//! The stores that are tried, and what they promise.

use std::{convert::Infallible, fmt, str::FromStr, time::Duration};

use bartizan::{BoxStore, Memory, Redis, RedisStore, Tiered, cache::Stored};

/// How a store is made: in words that fit into an environment variable, for nodes of their own.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) url: String,
    /// For a call of Redis.
    pub(crate) deadline: Duration,
    pub(crate) lease: Duration,
    pub(crate) doubt: Duration,
    /// Whether there is a near tier.
    pub(crate) is_tiered: bool,
}

/// The promise that the tests ask for: a third of the default, so that a schedule takes seconds.
pub(crate) const BOUND: Duration = Duration::from_millis(300);

/// For how long a server that restarted is doubted: several times the longest back-off of the handle.
pub(crate) const DOUBT: Duration = Duration::from_secs(1);

// === impl Made ===

impl Made {
    pub(crate) fn tiered(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            deadline: Duration::from_millis(100),
            lease: Duration::from_secs(1),
            doubt: DOUBT,
            is_tiered: true,
        }
    }

    /// Without a near tier: what it finds is what Redis holds.
    pub(crate) fn far(url: &str) -> Self {
        Self { is_tiered: false, ..Self::tiered(url) }
    }

    pub(crate) async fn store(&self) -> BoxStore<Stored> {
        self.over(self.redis())
    }

    /// A handle that gives up soon.
    pub(crate) fn redis(&self) -> Redis {
        Redis::builder(&self.url)
            .unwrap()
            .deadline(self.deadline)
            .connect_deadline(Duration::from_millis(400))
            .backoff(Duration::from_millis(20), Duration::from_millis(200))
            .build()
            .unwrap()
    }

    pub(crate) fn over(&self, redis: Redis) -> BoxStore<Stored> {
        let far = RedisStore::builder(redis).lease_time(self.lease).doubt(self.doubt).build();
        if !self.is_tiered {
            return BoxStore::new(far);
        }
        BoxStore::new(Tiered::with_staleness_bound(Memory::with_capacity(64 << 20), far, BOUND))
    }
}

impl FromStr for Made {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let words: Vec<&str> = text.split(' ').collect();
        let [url, deadline, lease, doubt, tiers] = words[..] else { panic!("{text:?} is no store") };
        let millis = |text: &str| Duration::from_millis(text.parse().unwrap());
        Ok(Self {
            url: url.to_owned(),
            deadline: millis(deadline),
            lease: millis(lease),
            doubt: millis(doubt),
            is_tiered: tiers == "2",
        })
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, deadline, lease, doubt, is_tiered } = self;
        let [deadline, lease, doubt] = [deadline, lease, doubt].map(Duration::as_millis);
        write!(f, "{url} {deadline} {lease} {doubt} {}", if *is_tiered { 2 } else { 1 })
    }
}
