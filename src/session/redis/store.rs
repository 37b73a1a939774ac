//! The store.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use super::{
    index::Index,
    names,
    scripts::{APPLY, CREATE, DESTROY},
    settings::RedisSessionsBuilder,
    wire,
};
use crate::{
    clock::{Clock, Timestamp},
    error::Error,
    observe::{Count, event},
    redis::{Redis, Reply, Script, ScriptCall},
    session::{
        changes::{Changes, Rotation},
        contract::{Applied, Condition, Creation, Destroyed, Listed, Loaded, NewRecord, SessionStore, Stamped},
        record::{Generation, Head, Principal},
        token::RecordId,
    },
};

/// Sessions on a Redis, for all processes that ask it.
///
/// See the [module](crate::session::redis).
#[derive(Clone)]
pub struct RedisSessions {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) redis: Redis,
    pub(super) name: Box<str>,
    pub(super) sessions_each: usize,
    pub(super) clock: Option<Arc<dyn Clock>>,
    field_bytes: usize,
    value_bytes: usize,
    spoilt: Count,
}

/// What a [`RedisSessions`] met with in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisSessionsUsage {
    /// How often what lay under a key of ours was nothing that makes sense. Of a record that is a session that is not there.
    pub spoilt: u64,
}

// What scripts answer first.
const MISSING: i64 = 0;
const SPOILT: i64 = 1;
const SUPERSEDED: i64 = 2;
const DIFFERS: i64 = 3;
const TOO_LARGE: i64 = 4;
const TAKEN: i64 = 5;
const DONE: i64 = 6;

// === impl RedisSessions ===

impl RedisSessions {
    /// On the server of `redis`, with the defaults of [`RedisSessionsBuilder`].
    pub fn new(redis: Redis) -> Self {
        Self::builder(redis).build()
    }

    /// On the server of `redis`, still to be configured.
    pub fn builder(redis: Redis) -> RedisSessionsBuilder {
        RedisSessionsBuilder::new(redis)
    }

    /// What it met with so far.
    pub fn usage(&self) -> RedisSessionsUsage {
        RedisSessionsUsage { spoilt: self.inner.spoilt.sum() }
    }

    fn index<'a>(&'a self, principal: &Principal) -> Index<'a> {
        Index::new(&self.inner, principal)
    }

    /// `write`, after the principal's index knows of the record. A crash in between leaves an entry of no use; the other order would leave
    /// a session that nobody finds to end it.
    async fn enlisted<T>(
        &self,
        id: &RecordId,
        owner: Option<(&Principal, Duration)>,
        write: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let Some((principal, absolute)) = owner else { return write.await };
        let index = self.index(principal);
        let noted = index.add(id, absolute).await?;
        let written = write.await;
        // Who stood still meanwhile may find the entry taken for one of no use.
        if noted.is_old() && !written.as_ref().is_err_and(|error| !error.is_timed_out()) {
            index.add(id, absolute).await?;
        }
        written
    }

    /// Larger values are not sent.
    fn check(&self, changes: &Changes) -> Result<(), Error> {
        let largest = self.inner.value_bytes;
        let values = changes.values.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let members = changes.sets.iter().flat_map(|(name, set)| set.added.iter().map(move |member| (name, member)));
        match values.chain(members).find(|(_, bytes)| bytes.len() > largest) {
            None => Ok(()),
            Some((name, bytes)) => {
                let found = bytes.len();
                let message = format!("`{name}` of a session would have {found} bytes: at most {largest} are allowed");
                Err(Error::refused(&message, "TOO_LARGE"))
            }
        }
    }

    /// Tells a change that arrives twice from two that are alike. Only the connection to a Cluster sends again what may have arrived.
    fn token(&self, changes: &Changes) -> Option<[u8; 8]> {
        (self.inner.redis.is_cluster() && !changes.is_touch()).then(rand::random)
    }
}

impl SessionStore for RedisSessions {
    fn field_bytes(&self) -> usize {
        self.inner.field_bytes
    }

    async fn create(&self, new: NewRecord) -> Result<Creation, Error> {
        self.check(&new.changes)?;
        let id = new.id;
        // The times are the server's.
        let record = new.begin(Timestamp::default());
        if record.fields.weight() > self.inner.field_bytes {
            return Ok(Creation::TooLarge);
        }
        let call = self.inner.script(&CREATE, &id).arg(&wire::beginning(&record));
        let write = async { parts(self.inner.run(wire::push_fields(call, &record.fields)).await?) };
        let owner = record.head.principal.as_ref().map(|principal| (principal, record.head.lifetime.absolute));
        let (status, rest) = self.enlisted(&id, owner, write).await?;
        match status {
            DONE => Ok(Creation::Created(stamped(rest)?)),
            TAKEN => Ok(Creation::Exists),
            _ => Err(wire::nonsense()),
        }
    }

    async fn load(&self, id: &RecordId) -> Result<Option<Loaded>, Error> {
        self.inner.load(id).await
    }

    async fn apply(&self, id: &RecordId, generation: Generation, changes: Changes) -> Result<Applied, Error> {
        self.check(&changes)?;
        let token = self.token(&changes);
        let call = self.inner.script(&APPLY, id).arg(token.as_ref().map_or(&[][..], |token| token));
        let call = call.arg(generation.number().min(wire::MOST)).arg(self.inner.field_bytes as u64);
        let write = async { parts(self.inner.run(wire::push_changes(call, &changes)).await?) };
        let owner = match &changes.rotation {
            Some(Rotation::Rights { principal: Some(principal), lifetime, .. }) => Some((principal, lifetime.absolute)),
            _ => None,
        };
        let (status, mut rest) = self.enlisted(id, owner, write).await?;
        match status {
            DONE => Ok(Applied::Done(stamped(rest)?)),
            MISSING => Ok(Applied::Gone),
            SPOILT => {
                self.inner.note_spoilt();
                Ok(Applied::Gone)
            }
            SUPERSEDED => Ok(Applied::Superseded),
            DIFFERS => Ok(Applied::Differs(rest.pop().ok_or_else(wire::nonsense)?.bytes()?)),
            TOO_LARGE => Ok(Applied::TooLarge),
            _ => Err(wire::nonsense()),
        }
    }

    async fn destroy(&self, id: &RecordId) -> Result<bool, Error> {
        Ok(self.inner.run(self.inner.script(&DESTROY, id).arg("").arg("")).await?.int()? == 1)
    }

    async fn destroy_if(&self, id: &RecordId, condition: Condition) -> Result<Destroyed, Error> {
        let call = self.inner.script(&DESTROY, id);
        let call = match &condition {
            Condition::Generation(generation) => call.arg("").arg(generation.number().min(wire::MOST)),
            Condition::Principal(principal) => call.arg(principal.as_str()).arg(""),
        };
        match self.inner.run(call).await?.int()? {
            0 => Ok(Destroyed::Gone),
            1 => Ok(Destroyed::Done),
            2 => Ok(Destroyed::Superseded),
            _ => Err(wire::nonsense()),
        }
    }

    async fn list(&self, principal: &Principal) -> Result<Vec<Listed>, Error> {
        self.index(principal).live().await
    }

    async fn destroy_all(&self, principal: &Principal, except: Option<RecordId>) -> Result<usize, Error> {
        self.index(principal).destroy_all(except).await
    }
}

impl From<RedisSessionsBuilder> for RedisSessions {
    fn from(builder: RedisSessionsBuilder) -> Self {
        let RedisSessionsBuilder { redis, name, field_bytes, value_bytes, sessions_each, clock } = builder;
        let (name, spoilt) = (name.into(), Count::default());
        Self { inner: Arc::new(Inner { redis, name, sessions_each, field_bytes, value_bytes, clock, spoilt }) }
    }
}

impl fmt::Debug for RedisSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessions")
            .field("redis", &self.inner.redis)
            .field("name", &self.inner.name)
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

// === impl Inner ===

impl Inner {
    /// A call for one record, with its first argument.
    pub(super) fn script<'a>(&'a self, script: &'a Script, id: &RecordId) -> ScriptCall<'a> {
        self.timed(self.redis.script(script).key(names::record(&self.name, id)))
    }

    /// The time is the first argument of every script.
    pub(super) fn timed<'a>(&self, call: ScriptCall<'a>) -> ScriptCall<'a> {
        match &self.clock {
            None => call.arg(""),
            Some(clock) => call.arg(clock.now().as_millis().min(wire::MOST)),
        }
    }

    /// Whether a record with this head is still there, as far as the server does not know by itself.
    pub(super) fn is_live(&self, head: &Head) -> bool {
        self.clock.as_ref().is_none_or(|clock| head.expires() > clock.now())
    }

    pub(super) async fn run(&self, call: ScriptCall<'_>) -> Result<Reply, Error> {
        call.run().await.map_err(|error| match error.code() {
            // What a script of Redis 6 hands on has the second spelling.
            Some("OOM" | "-OOM") => {
                Error::refused("the session store is full: Redis has no memory left for more", "OOM").because(error)
            }
            _ => error,
        })
    }

    pub(super) fn note_spoilt(&self) {
        self.spoilt.raise();
        event!("what lay under a key of the session store makes no sense");
    }
}

/// What a script answers first, and the rest.
fn parts(reply: Reply) -> Result<(i64, Vec<Reply>), Error> {
    let mut parts = reply.list()?;
    if parts.is_empty() {
        return Err(wire::nonsense());
    }
    let status = parts.remove(0).int()?;
    Ok((status, parts))
}

fn stamped(parts: Vec<Reply>) -> Result<Stamped, Error> {
    let [now, head] = parts.try_into().map_err(|_| wire::nonsense())?;
    let head = head.bytes()?.as_deref().and_then(wire::head).ok_or_else(wire::nonsense)?;
    Ok(Stamped { head, now: wire::moment(&now)? })
}
