//! What is left to the store's task: giving leases up and renewing them, and comparing what is near.

use std::collections::HashMap;

use futures_util::future::join_all;
use parking_lot::Mutex;

use super::{
    envelope,
    lease::{release, text_of},
    scripts,
    store::{RedisStore, Shared, millis},
};
use crate::{redis::Reply, store::key::Key};

/// What is to be done when there is time, and which leases are held.
#[derive(Debug, Default)]
pub(super) struct Orders(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: HashMap<u64, Key>,
    queue: Vec<Order>,
}

#[derive(Debug)]
pub(super) enum Order {
    /// The holder of this lease vanished.
    Release(Key, u64),
    /// Somebody changed an entry that is near.
    Compare(Key),
}

/// More than that are left to expire.
const MOST_ORDERS: usize = 8192;

/// How many leases are renewed, and given up, at once.
const BATCH: usize = 256;

// === impl Orders ===

impl Orders {
    /// To be renewed from now on.
    pub(super) fn hold(&self, number: u64, key: Key) {
        self.0.lock().held.insert(number, key);
    }

    pub(super) fn let_go(&self, number: u64) {
        self.0.lock().held.remove(&number);
    }

    pub(super) fn give(&self, order: Order) {
        let queue = &mut self.0.lock().queue;
        if queue.len() < MOST_ORDERS {
            queue.push(order);
        }
    }

    /// The leases of this key that are still to be given up. Whoever asks for them gives them up.
    fn take_releases(&self, key: &Key) -> Vec<u64> {
        let queue = &mut self.0.lock().queue;
        let releases = queue.extract_if(.., |order| matches!(order, Order::Release(of, _) if of == key));
        releases.filter_map(|order| if let Order::Release(_, number) = order { Some(number) } else { None }).collect()
    }

    pub(super) fn is_full(&self) -> bool {
        self.0.lock().queue.len() >= MOST_ORDERS
    }

    fn take(&self) -> Vec<Order> {
        let queue = &mut self.0.lock().queue;
        let rest = queue.split_off(queue.len().min(BATCH));
        std::mem::replace(queue, rest)
    }

    fn held(&self) -> Vec<(u64, Key)> {
        self.0.lock().held.iter().map(|(number, key)| (*number, *key)).collect()
    }
}

// === impl RedisStore ===

impl RedisStore {
    pub(super) async fn follow_orders(&self) {
        loop {
            let orders = self.0.orders.take();
            if orders.is_empty() {
                return;
            }
            join_all(orders.iter().map(async |order| match order {
                // One that cannot be given up expires.
                Order::Release(key, number) => drop(release(self, key, *number, "r").await),
                Order::Compare(key) => self.compare(key).await,
            }))
            .await;
        }
    }

    /// Gives up the leases of this key that somebody here dropped, so that the next does not wait for them.
    pub(super) async fn give_up_at_once(&self, key: &Key) {
        for number in self.0.orders.take_releases(key) {
            // One that cannot be given up expires.
            drop(release(self, key, number, "r").await);
        }
    }

    /// Gives up what is near, if it is not what is far.
    async fn compare(&self, key: &Key) {
        let Some((near, version)) = self.0.near().and_then(|near| near.version(key).map(|version| (near, version)))
        else {
            return;
        };
        let entry = self.0.names.of(key.primary()).entry(key);
        let fixed = self.0.redis.command("GETRANGE").key(entry).arg(0).arg(envelope::FIXED as u64 - 1).run().await;
        let far = fixed.and_then(Reply::bytes).ok().flatten().and_then(|fixed| envelope::sequence(&fixed));
        if far != Some(version.sequence()) {
            near.give_up(key, version);
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Renews what is held.
    pub(super) async fn renew(&self) {
        let held = self.orders.held();
        join_all(held.chunks(BATCH).map(async |batch| {
            let mut pipeline = self.redis.pipeline();
            for (number, key) in batch {
                let call = self.redis.script(&scripts::RENEW).key(self.names.of(key.primary()).lease(key));
                pipeline = pipeline.add_script(call.arg(&text_of(*number)).arg(millis(self.settings.lease_time)));
            }
            // One that could not be renewed may expire, and its fill is refused.
            drop(pipeline.run().await);
        }))
        .await;
    }
}
