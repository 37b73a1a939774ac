//! How a limiter on Redis is to work.

use std::{fmt, sync::Arc};

use super::limiter::RedisLimiter;
use crate::{clock::Clock, redis::Redis};

/// A [`RedisLimiter`] still to be made. From [`RedisLimiter::builder`].
#[derive(Clone)]
#[must_use]
pub struct RedisLimiterBuilder {
    pub(super) redis: Redis,
    pub(super) one_slot: bool,
    pub(super) denied_capacity: usize,
    pub(super) clock: Option<Arc<dyn Clock>>,
}

// === impl RedisLimiterBuilder ===

impl RedisLimiterBuilder {
    pub(super) fn new(redis: Redis) -> Self {
        Self { redis, one_slot: false, denied_capacity: 16_384, clock: None }
    }

    /// Puts all keys into one slot of a Cluster, so that quotas of several identities are taken by one script. One shard carries all
    /// of it then. The default is a slot for each identity. It changes the names of the keys: processes that share counts must agree.
    pub fn one_slot(mut self) -> Self {
        self.one_slot = true;
        self
    }

    /// How many accounts are remembered as denied. The default is 16 384, which take up to 4 MB; with 0 every check asks Redis.
    pub fn denied_capacity(mut self, accounts: usize) -> Self {
        self.denied_capacity = accounts;
        self
    }

    /// The clock that says when something is taken: for tests. The default is the server's own, which is the same for all processes; with
    /// another one keys live for an hour at the least.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// The limiter.
    pub fn build(self) -> RedisLimiter {
        RedisLimiter::from(self)
    }
}

impl fmt::Debug for RedisLimiterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimiterBuilder")
            .field("redis", &self.redis)
            .field("one_slot", &self.one_slot)
            .field("denied_capacity", &self.denied_capacity)
            .finish_non_exhaustive()
    }
}
