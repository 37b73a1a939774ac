//! What a store on Redis does of its own accord: hears, beats, and pays its debts. One task for each store and process.

use std::{
    future::pending,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use super::{
    channel::{Channel, Effect, Near},
    names::Name,
    orders::Order,
    removing::NOBODY,
    scripts,
    store::{RedisStore, Shared, fresh_epoch, millis, table_time},
};
use crate::{
    clock::Moment,
    observe::{event, in_current_span},
    redis::{Heard, Reply, Subscription},
    store::key::Key,
};

/// The task. It is begun by whoever needs it first, again where its runtime ended, and ends with the store.
#[derive(Debug, Default)]
pub(super) struct Tending(Mutex<Option<JoinHandle<()>>>);

/// What is to be told of removals, so soon that nothing is served for longer than `bound` after.
pub(super) struct Attached {
    pub(super) near: Weak<dyn Near>,
    pub(super) bound: Duration,
}

/// For how long the channel is believed where nothing near says for how long.
const BOUND: Duration = Duration::from_secs(1);

/// How often what could not be removed is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// How many beats there are in the time for which the channel is believed.
const BEATS: u32 = 4;

// === impl Tending ===

impl Tending {
    pub(super) fn begin(&self, shared: &Arc<Shared>) {
        let mut task = self.0.lock();
        if task.as_ref().is_none_or(JoinHandle::is_finished)
            && let Ok(runtime) = Handle::try_current()
        {
            *task = Some(runtime.spawn(in_current_span(keep(Arc::downgrade(shared)))));
        }
    }
}

impl Drop for Tending {
    fn drop(&mut self) {
        if let Some(task) = self.0.lock().take() {
            task.abort();
        }
    }
}

// === the task ===

async fn keep(store: Weak<Shared>) {
    let process = format!("{:016x}", rand::random::<u64>());
    let Some(shared) = store.upgrade() else { return };
    let stamps = shared.names.buckets().iter().map(|bucket| bucket.stamp.clone());
    let own = shared.names.buckets().iter().map(|bucket| format!("{}:{process}", bucket.stamp));
    let subscription = shared.redis.subscribe(&stamps.chain(own).collect::<Vec<_>>());
    let changes = shared.near.get().map(|_| {
        let mut changes = shared.redis.subscribe(&[""; 0]);
        for bucket in shared.names.buckets() {
            changes = changes.tracking(bucket.entries());
        }
        changes
    });
    drop(shared);
    tokio::select! {
        () = hear(&store, subscription) => {}
        () = watch(&store, changes) => {}
        () = beat(&store, &process) => {}
        () = renew(&store) => {}
        () = tend(&store) => {}
    }
}

/// Watches for changes by others than this store, where the server can tell of them. Apart from what is said on the channels,
/// since in a Cluster it takes all primaries.
async fn watch(store: &Weak<Shared>, changes: Option<Subscription>) {
    let Some(mut changes) = changes else { return pending().await };
    let mut is_watching = false;
    loop {
        let heard = changes.next().await;
        let Some(shared) = store.upgrade() else { return };
        match heard {
            Heard::Begun { tracks: false } => {
                drop((shared, changes));
                return pending().await;
            }
            Heard::Begun { .. } => is_watching = true,
            Heard::Changed(entry) => shared.changed(&entry),
            Heard::ChangedAll => shared.distrust(),
            Heard::Lost(_) if std::mem::take(&mut is_watching) => shared.distrust(),
            _ => {}
        }
    }
}

/// Hears what is said, for as long as there is a store.
async fn hear(store: &Weak<Shared>, mut subscription: Subscription) {
    let Some((buckets, bound)) = store.upgrade().map(|shared| (shared.names.buckets().len(), shared.bound())) else {
        return;
    };
    let mut channel = Channel::new(buckets);
    // Since when nothing was heard that proves the channel, while there is one.
    let mut silent: Option<Instant> = None;
    loop {
        let heard = match silent {
            Some(silent) => timeout_at(silent + 2 * bound, subscription.next()).await.ok(),
            None => Some(subscription.next().await),
        };
        let Some(shared) = store.upgrade() else { return };
        match heard {
            Some(Heard::Said { channel: at, text }) => {
                for effect in channel.hear(at % buckets, &text) {
                    if let Effect::Proven(_) = effect {
                        silent = Some(Instant::now());
                    }
                    shared.take_effect(effect);
                }
            }
            Some(Heard::Begun { .. }) => {
                silent = Some(Instant::now());
                shared.waits.tell_all_to_ask();
            }
            Some(Heard::Lost(_error)) => {
                event!(error = %_error, "what is said of removals cannot be heard");
                // Told once: what is filled while there is no channel is not dropped at each attempt.
                if silent.take().is_some() {
                    channel.lose();
                    shared.distrust();
                }
            }
            Some(_) => {}
            // It may lead to a server that is cut off from the others.
            None => {
                event!("the channel of removals is silent");
                channel.lose();
                shared.distrust();
                subscription.abandon();
                silent = None;
            }
        }
    }
}

/// Proves the channels, and finds out which servers answer.
async fn beat(store: &Weak<Shared>, process: &str) {
    let mut next = Instant::now();
    loop {
        let _ = timeout_at(next, pending::<()>()).await;
        let Some(shared) = store.upgrade() else { return };
        shared.send_beats(process).await;
        next = (next + shared.bound() / BEATS).max(Instant::now());
    }
}

/// Renews what is held. Apart from all else that there is to do: a lease does not wait.
async fn renew(store: &Weak<Shared>) {
    let mut next = Instant::now();
    loop {
        let _ = timeout_at(next, pending::<()>()).await;
        let Some(shared) = store.upgrade() else { return };
        next = Instant::now() + shared.settings.lease_time / 3;
        shared.renew().await;
    }
}

/// Does what is to be done.
async fn tend(store: &Weak<Shared>) {
    loop {
        let Some(shared) = store.upgrade() else { return };
        let (wake, owes) = (Arc::clone(&shared.wake), shared.removals.lock().owes());
        drop(shared);
        if owes {
            // Woken or in time: what is to be done is looked up either way.
            let _ = timeout(RETRY, wake.notified()).await;
        } else {
            wake.notified().await;
        }
        let Some(shared) = store.upgrade() else { return };
        RedisStore(Arc::clone(&shared)).follow_orders().await;
        shared.pay().await;
    }
}

impl Shared {
    /// For how long the channel is believed.
    fn bound(&self) -> Duration {
        self.near.get().map_or(BOUND, |attached| attached.bound)
    }

    pub(super) fn near(&self) -> Option<Arc<dyn Near>> {
        self.near.get()?.near.upgrade()
    }

    pub(super) fn tell_near(&self, name: &Name) {
        if let Some(near) = self.near() {
            near.remove(name);
        }
    }

    /// Somebody wrote an entry, or it expired. It may have been this process.
    fn changed(&self, entry: &[u8]) {
        let Some((near, key)) = self.near().zip(self.names.key_of(entry)) else { return };
        if near.version(&key).is_none() {
            return;
        }
        if self.orders.is_full() {
            return near.distrust();
        }
        self.orders.give(Order::Compare(key));
        self.wake.notify_one();
    }

    fn distrust(&self) {
        self.proven.store(0, Ordering::Release);
        if let Some(near) = self.near() {
            near.distrust();
        }
    }

    fn take_effect(&self, effect: Effect<'_>) {
        match effect {
            Effect::Removed(name, token) => {
                if !self.removals.lock().is_own(token) {
                    self.tell_near(&name);
                }
            }
            Effect::Gap => self.distrust(),
            Effect::Proven(then) => {
                self.proven.store(then.plus(self.bound()).as_millis(), Ordering::Release);
                if let Some(near) = self.near() {
                    near.believe(then);
                }
            }
            Effect::Ended(nonce, entry, word) => self.waits.tell(entry, nonce, word),
        }
    }

    async fn send_beats(&self, process: &str) {
        let now = Moment::now().as_millis();
        // Within the handle's own deadline: one that is too late for the bound is no failure of the server.
        let mut pipeline = self.redis.pipeline();
        for bucket in self.names.buckets() {
            let call = self.redis.script(&scripts::BEAT).key(&bucket.table).key(&bucket.stamp);
            let call = call
                .arg(fresh_epoch())
                .arg(table_time(Duration::ZERO))
                .arg(process)
                .arg(now)
                .arg(millis(self.settings.doubt));
            pipeline = pipeline.add_script(call);
        }
        for (at, answer) in pipeline.run().await.into_iter().enumerate() {
            match answer.and_then(Reply::text) {
                Ok(server) => drop(self.observe(at, &server.unwrap_or_default())),
                Err(_error) => event!(error = %_error, bucket = at, "no beat"),
            }
        }
    }

    /// Removes what could not be removed, or has to be removed again.
    async fn pay(&self) {
        let owed = self.removals.lock().owed();
        let names: Vec<(usize, &Name, Option<&Key>, u64)> =
            owed.iter().map(|debt| (debt.bucket, &debt.name, None, NOBODY)).collect();
        if names.is_empty() {
            return;
        }
        for (debt, (_, removed)) in owed.iter().zip(self.send_removals(names).await) {
            if removed.is_ok() {
                self.removals.lock().pay(Moment::now(), debt);
            }
        }
    }
}
