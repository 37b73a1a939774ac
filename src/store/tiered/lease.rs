//! The right to fill one key in both tiers.

use std::fmt;

use super::store::Tiered;
use crate::{
    clock::{Moment, Timestamp},
    error::Error,
    store::{
        contract::{Ending, Filled, Lease, Store},
        kept::{Kept, Tags, Version},
        memory::{MemoryLease, Origin},
        redis::RedisLease,
        wire::Wire,
    },
};

/// The right to fill one key of a [`Tiered`] store.
pub struct TieredLease<V> {
    store: Tiered<V>,
    near: MemoryLease<V>,
    /// Absent while Redis cannot be asked: others may make the same value, and what is filled stands for a moment only.
    far: Option<RedisLease>,
    /// What it fills was read no earlier.
    since: Moment,
}

// === impl TieredLease ===

impl<V: Wire> TieredLease<V> {
    pub(super) fn new(store: Tiered<V>, near: MemoryLease<V>, far: Option<RedisLease>, since: Moment) -> Self {
        Self { store, near, far, since }
    }

    async fn settle(self, value: V, (keep_until, tags): (Timestamp, Tags), is_new: bool) -> Result<Filled, Error> {
        let Self { store, near, far, since } = self;
        let Some(far) = far else {
            let kept = store.nearby(Kept::new(value, near.version(), keep_until, tags), since, true);
            return Ok(near.keep(&kept, Origin::Made));
        };
        let version = far.version();
        let filled = if is_new {
            far.fill_with(&value, keep_until, &tags).await
        } else {
            far.refresh_with(&value, keep_until, &tags).await
        };
        // What Redis may not have heard of it cannot tell us to drop when it is too late for that.
        let kept = store.nearby(Kept::new(value, version, keep_until, tags), since, filled.is_err());
        near.keep(&kept, if matches!(filled, Ok(Filled::Superseded)) { Origin::Refused } else { Origin::Made });
        filled
    }
}

impl<V: Wire> Lease<V> for TieredLease<V> {
    fn replaces(&self) -> Option<Version> {
        match &self.far {
            Some(far) => Lease::<V>::replaces(far),
            None => self.near.replaces(),
        }
    }

    async fn fill(self, value: V, keep_until: Timestamp, tags: Tags) -> Result<Filled, Error> {
        self.settle(value, (keep_until, tags), true).await
    }

    async fn refresh(self, value: V, keep_until: Timestamp, tags: Tags) -> Result<Filled, Error> {
        self.settle(value, (keep_until, tags), false).await
    }

    async fn narrow(self, variant: u128, sign: V, keep_until: Timestamp) -> Result<Option<Self>, Error> {
        let Self { store, near, far, since } = self;
        let far = match far {
            // The variant of a lease that Redis was not told of is made for this process alone, too.
            None => None,
            Some(far) => {
                let version = far.version();
                far.narrow_with(variant, &sign, keep_until).await.ok().map(|far| (version, far))
            }
        };
        let version = far.as_ref().map_or_else(|| near.version(), |(version, _)| *version);
        let sign = store.nearby(Kept::new(sign, version, keep_until, Tags::default()), since, far.is_none());
        let near = near.narrow_to(variant, &sign);
        Ok(match (near, far) {
            (Some(near), None) => Some(Self { store, near, far: None, since }),
            (Some(near), Some((_, Some(far)))) => Some(Self { store, near, far: Some(far), since }),
            // Another process makes the variant: those who wait here wait for that one.
            (_, Some((_, None))) | (None, _) => None,
        })
    }

    async fn replace_all(self, variant: u128, tags: Tags) -> Result<Option<Self>, Error> {
        let Self { store, near, far, since } = self;
        let far = match far {
            None => store.remove(near.primary()).await.map(|()| Some(None)),
            Some(far) => far.replace_all_with(variant, &tags).await.map(|far| far.map(Some)),
        };
        let near = near.replace_all_now(variant, &tags);
        Ok(far?.zip(near).map(|(far, near)| Self { store, near, far, since }))
    }

    async fn disband(self, ending: Ending) {
        let Self { near, far, .. } = self;
        // Those who wait here need not wait for Redis.
        near.disband_now(ending);
        if let Some(far) = far {
            far.disband_with(ending).await;
        }
    }
}

impl<V> fmt::Debug for TieredLease<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TieredLease").field("near", &self.near).field("far", &self.far).finish_non_exhaustive()
    }
}
