//! Reading, and asking for leases.

use std::{
    fmt,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::sync::Notify;

use super::{
    channel::Near,
    envelope::{self, Envelope},
    keeper::{Attached, Tending},
    lease::RedisLease,
    names::{Bucket, Name, Names},
    orders::Orders,
    reads::Reads,
    removals::Removals,
    settings::{RedisStoreBuilder, Settings},
    waits::Waits,
};
use crate::{
    clock::Moment,
    error::Error,
    observe::event,
    redis::{Redis, Reply, ScriptCall},
    store::{
        contract::{Leased, Store, Usage},
        kept::{Kept, Tag, Version},
        key::{Key, Prehashed, Primary, Seed},
        wire::Wire,
    },
};

/// Keeps values on a Redis, which processes share. Clones are handles of the same store.
///
/// See the [module](crate::store::redis).
#[derive(Clone)]
pub struct RedisStore(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) redis: Redis,
    pub(super) names: Names,
    pub(super) settings: Settings,
    reads: Reads,
    pub(super) waits: Waits,
    pub(super) orders: Orders,
    pub(super) removals: Mutex<Removals>,
    /// Which server answered last for each bucket.
    servers: Box<[Mutex<Arc<str>>]>,
    /// Up to which removal in its bucket a value is known to stand.
    verified: Cache<Key, (u64, Stamp), quick_cache::UnitWeighter, Prehashed>,
    pub(super) near: OnceLock<Attached>,
    /// There is something to do.
    pub(super) wake: Arc<Notify>,
    /// Until when it is known that no other server has taken over, nor has any removal been missed; a [`Moment`].
    pub(super) proven: AtomicU64,
    tending: Tending,
}

/// The epoch of a bucket, and the sequence of its last removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    epoch: u64,
    last: u64,
}

/// How long a table is kept beyond the values it speaks of.
const TABLE_TIME: Duration = Duration::from_secs(3600);

/// How many names a table remembers.
pub(super) const MOST_NAMES: u32 = 16_384;

/// How many values are remembered to stand though something was removed since.
const MOST_VERIFIED: usize = 16_384;

// === impl RedisStore ===

impl RedisStore {
    /// A store on `redis`, with the defaults of [`RedisStoreBuilder`]. Nothing is sent yet: the server may be down.
    pub fn new(redis: Redis) -> Self {
        Self::builder(redis).build()
    }

    /// A store on `redis`, still to be configured.
    pub fn builder(redis: Redis) -> RedisStoreBuilder {
        RedisStoreBuilder::new(redis)
    }

    /// The handle it stands on.
    pub fn redis(&self) -> &Redis {
        &self.0.redis
    }

    /// The same store, with `near` to be told of removals.
    pub(crate) fn behind(&self, near: Weak<dyn Near>, bound: Duration) -> Self {
        let Shared { redis, names, settings, .. } = &*self.0;
        let builder = RedisStoreBuilder {
            redis: redis.clone(),
            name: names.name().to_owned(),
            buckets: names.buckets().len() as u16,
            settings: settings.clone(),
        };
        Self(Arc::new(Shared::new(builder, OnceLock::from(Attached { near, bound }))))
    }

    pub(crate) fn clock(&self) -> &dyn crate::clock::Clock {
        &*self.0.settings.clock
    }

    /// Sees to it that what this process hears is heard.
    pub(crate) fn tend(&self) {
        self.0.tending.begin(&self.0);
    }

    /// What stands under `key`: one round trip, and one more for the first time after a removal in its bucket.
    async fn read<V: Wire>(&self, key: &Key) -> Result<Option<Kept<V>>, Error> {
        match self.0.reads.read(&self.0.redis, &self.0.names, *key).await? {
            // Who leads and is not polled for a while reads any time later.
            Some((entry, stamp)) if self.is_proven() => self.judge(key, entry, stamp).await,
            _ => Ok(None),
        }
    }

    fn is_proven(&self) -> bool {
        Moment::now().as_millis() < self.0.proven.load(Ordering::Acquire)
    }

    /// The value that was read together with `stamp`, if it stands.
    pub(super) async fn judge<V: Wire>(&self, key: &Key, entry: Bytes, stamp: Stamp) -> Result<Option<Kept<V>>, Error> {
        let Some(envelope) = envelope::unpack(entry, self.0.settings.largest) else {
            event!("what lies in Redis under the key of a value is none");
            return Ok(None);
        };
        if envelope.epoch != stamp.epoch {
            return Ok(None);
        }
        if envelope.sequence < stamp.last
            && self.0.verified.get(key) != Some((envelope.sequence, stamp))
            && !self.stands(key, &envelope).await?
        {
            return Ok(None);
        }
        if envelope.sequence < stamp.last {
            self.0.verified.insert(*key, (envelope.sequence, stamp));
        }
        Ok(kept(envelope))
    }

    /// Whether the table knows of no removal of any of its names.
    async fn stands(&self, key: &Key, envelope: &Envelope) -> Result<bool, Error> {
        let bucket = self.0.names.of(key.primary());
        let mut ask = self.0.redis.command("HMGET").key(&bucket.table).arg("e").arg("f");
        ask = ask.arg(&Name::Resource(key.primary()).field());
        for tag in envelope.tags.iter() {
            ask = ask.arg(&Name::Tag(tag.clone()).field());
        }
        let mut answers = ask.run().await?.list()?.into_iter();
        let same_epoch = answers.next().is_some_and(|epoch| number(&epoch) == Some(envelope.epoch));
        Ok(same_epoch && answers.all(|at| at.is_nil() || number(&at).is_some_and(|at| at <= envelope.sequence)))
    }

    /// A call of one of the store's scripts, of which table and stamp are the first keys.
    pub(super) fn script<'a>(&'a self, script: &'a crate::redis::Script, bucket: &Bucket) -> ScriptCall<'a> {
        self.0.redis.script(script).key(&bucket.table).key(&bucket.stamp)
    }

    /// Notes which server answered for a bucket. Another than before may not know what was removed.
    pub(super) fn observe(&self, primary: Primary, server: &Reply) -> Result<Arc<str>, Error> {
        let server = server.clone().text()?.ok_or_else(nonsense)?;
        Ok(self.0.observe(self.0.names.place(primary), &server))
    }
}

impl<V: Wire> Store<V> for RedisStore {
    type Lease = RedisLease;

    fn seed(&self) -> Seed {
        Seed::public()
    }

    fn get_now(&self, _: &Key) -> Option<Kept<V>> {
        None
    }

    async fn lease(&self, key: Key, seen: Option<Version>) -> Result<Leased<V, RedisLease>, Error> {
        self.tend();
        // Another server may have taken over, and not know what was removed. Only a script finds out.
        if self.is_proven()
            && let Some(kept) = self.read::<V>(&key).await?
            && Some(kept.version()) != seen
        {
            return Ok(Leased::Found(kept));
        }
        self.give_up_at_once(&key).await;
        // Before the script, or what is said between it and this would be missed.
        let waiting = self.join(&key);
        self.lease_by_script(key, seen, waiting).await
    }

    async fn remove(&self, primary: Primary) -> Result<(), Error> {
        self.tend();
        self.remove_in(&[self.0.names.place(primary)], Name::Resource(primary), Some(Key::new(primary))).await
    }

    async fn remove_tagged(&self, tag: Tag) -> Result<(), Error> {
        self.tend();
        self.remove_in(&self.all(), Name::Tag(tag), None).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.tend();
        self.remove_in(&self.all(), Name::All, None).await
    }

    /// Nothing is held in this process.
    fn usage(&self) -> Usage {
        Usage::default()
    }
}

impl From<RedisStoreBuilder> for RedisStore {
    fn from(builder: RedisStoreBuilder) -> Self {
        Self(Arc::new(Shared::new(builder, OnceLock::new())))
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("buckets", &self.0.names.buckets().len()).finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    fn new(builder: RedisStoreBuilder, near: OnceLock<Attached>) -> Self {
        let RedisStoreBuilder { redis, name, buckets, settings } = builder;
        let names = Names::new(&name, buckets);
        let nobody: Arc<str> = Arc::default();
        Self {
            reads: Reads::new(&redis, names.buckets().len()),
            redis,
            settings,
            waits: Waits::default(),
            orders: Orders::default(),
            removals: Mutex::new(Removals::new(names.buckets().len())),
            servers: names.buckets().iter().map(|_| Mutex::new(Arc::clone(&nobody))).collect(),
            verified: Cache::with(
                MOST_VERIFIED,
                MOST_VERIFIED as u64,
                quick_cache::UnitWeighter,
                Prehashed,
                quick_cache::sync::DefaultLifecycle::default(),
            ),
            near,
            wake: Arc::default(),
            proven: AtomicU64::new(0),
            tending: Tending::default(),
            names,
        }
    }

    pub(super) fn observe(&self, bucket: usize, server: &str) -> Arc<str> {
        let mut known = self.servers[bucket].lock();
        if **known != *server {
            let is_first = known.is_empty();
            *known = server.into();
            if !is_first {
                self.removals.lock().owe_recent(Moment::now(), bucket);
                self.wake.notify_one();
            }
        }
        Arc::clone(&known)
    }
}

// === impl Stamp ===

impl Stamp {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (epoch, last) = std::str::from_utf8(text).ok()?.split_once(':')?;
        Some(Self { epoch: epoch.parse().ok()?, last: last.parse().ok()? })
    }
}

fn kept<V: Wire>(envelope: Envelope) -> Option<Kept<V>> {
    let value = V::decode(envelope.head, envelope.body)?;
    Some(Kept::new(value, Version::new(envelope.sequence), envelope.keep_until, envelope.tags))
}

/// Below 2^53, which is as far as Lua counts.
pub(super) fn fresh_epoch() -> u64 {
    rand::random_range(1..1 << 53)
}

/// How long a table has to live, in milliseconds, that speaks of values which live for `longest`.
pub(super) fn table_time(longest: Duration) -> u64 {
    millis(longest.saturating_add(TABLE_TIME))
}

pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).min(1 << 50)
}

pub(super) fn number(reply: &Reply) -> Option<u64> {
    reply.int().ok().and_then(|number| u64::try_from(number).ok())
}

#[cold]
pub(super) fn nonsense() -> Error {
    Error::undecodable("a script of the store answered what it never answers")
}
