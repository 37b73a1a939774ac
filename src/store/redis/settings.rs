//! How a store on Redis is to work.

use std::{fmt, sync::Arc, time::Duration};

use super::store::RedisStore;
use crate::{
    clock::{Clock, SystemClock},
    redis::Redis,
};

/// A [`RedisStore`] still to be made. From [`RedisStore::builder`].
#[derive(Clone)]
#[must_use]
pub struct RedisStoreBuilder {
    pub(super) redis: Redis,
    pub(super) name: String,
    pub(super) buckets: u16,
    pub(super) settings: Settings,
}

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) lease_time: Duration,
    pub(super) doubt: Duration,
    pub(super) compress_from: usize,
    pub(super) largest: usize,
    pub(super) clock: Arc<dyn Clock>,
}

// === impl RedisStoreBuilder ===

impl RedisStoreBuilder {
    pub(super) fn new(redis: Redis) -> Self {
        Self {
            redis,
            name: "pages".to_owned(),
            buckets: 16,
            settings: Settings {
                lease_time: Duration::from_secs(3),
                doubt: Duration::from_secs(5),
                compress_from: 64 << 10,
                largest: 1 << 20,
                clock: Arc::new(SystemClock),
            },
        }
    }

    /// What the store is called in its keys, which tells it from others in the same namespace. The default is `pages`.
    ///
    /// # Panics
    ///
    /// When it contains a brace.
    pub fn name(mut self, name: &str) -> Self {
        assert!(!name.contains(['{', '}']), "the name of a store has no braces: they make a key's slot");
        self.name = name.to_owned();
        self
    }

    /// Into how many parts the keys fall, from 1 to 1024. The default is 16, for a Cluster of a few shards.
    ///
    /// A removal by tag costs one small write in each, and a tag that was removed about 80 bytes. Processes that
    /// share a store must agree: those with another number have a store of their own, and are not told of removals.
    ///
    /// # Panics
    ///
    /// When it is out of range.
    pub fn buckets(mut self, buckets: u16) -> Self {
        assert!((1..=1024).contains(&buckets), "a store has from 1 to 1024 buckets");
        self.buckets = buckets;
        self
    }

    /// How long a lease lasts when its holder is not heard of any more: so late another takes the place of one that was killed. It is
    /// renewed three times in that time. The default is 3 s.
    ///
    /// # Panics
    ///
    /// When it is under 100 ms.
    pub fn lease_time(mut self, time: Duration) -> Self {
        assert!(time >= Duration::from_millis(100), "a lease lasts for at least 100 ms");
        self.settings.lease_time = time;
        self
    }

    /// For how long, after another server took over (or the same restarted), nothing is found that was kept before. The default
    /// is 5 s.
    ///
    /// It is what the processes are given to make those removals again that the new server may not know of: longer than the longest
    /// back-off of the handle. With zero the cache is warm at once, and such a removal is seen undone for a moment.
    pub fn doubt(mut self, time: Duration) -> Self {
        self.settings.doubt = time;
        self
    }

    /// From how many bytes on a body is compressed (LZ4) on its way to Redis, unless it is already. The default is 64 KiB.
    pub fn compress_from(mut self, bytes: usize) -> Self {
        self.settings.compress_from = bytes;
        self
    }

    /// How many bytes a value may have to be sent to Redis. The default is 1 MiB. What is larger is not kept there, and made once
    /// in each process.
    pub fn largest(mut self, bytes: usize) -> Self {
        self.settings.largest = bytes;
        self
    }

    /// The clock that says how long a value has to live. The default is [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }

    /// The store.
    pub fn build(self) -> RedisStore {
        RedisStore::from(self)
    }
}

impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("name", &self.name)
            .field("buckets", &self.buckets)
            .field("lease_time", &self.settings.lease_time)
            .field("doubt", &self.settings.doubt)
            .field("compress_from", &self.settings.compress_from)
            .field("largest", &self.settings.largest)
            .finish_non_exhaustive()
    }
}
