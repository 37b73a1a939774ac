//! The log itself.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    entry::{Entry, PAYLOAD, Raw},
    group::Group,
    id::{EntryId, Position},
    scripts,
    tail::Tail,
};
use crate::{
    error::Error,
    redis::{
        client::Redis,
        name::{at, checked},
        payload::{Format, LARGEST},
        reply::Reply,
    },
};

/// A log of values of one type. Its clones are the same.
///
/// See the [module](super).
pub struct Stream<T> {
    pub(super) inner: Arc<Inner>,
    values: PhantomData<fn(T) -> T>,
}

/// A [`Stream`] still to be made. From [`Stream::builder`].
#[must_use]
pub struct StreamBuilder<T> {
    inner: Inner,
    values: PhantomData<fn(T) -> T>,
}

#[derive(Clone, Debug)]
pub(super) struct Inner {
    pub(super) redis: Redis,
    /// `stream:{name}:`, with which all its keys begin.
    prefix: String,
    pub(super) log: String,
    format: Format,
    largest: usize,
    cap: Option<u64>,
    once_for: Duration,
}

/// The longest key of idempotence, in bytes.
const LONGEST_KEY: usize = 256;

// === impl Stream ===

impl<T> Stream<T> {
    /// The stream `name`, which begins to be with the first entry, or group.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when the name is empty, has more than 200 bytes, a brace or a control character.
    pub fn new(redis: &Redis, name: &str) -> Result<Self, Error> {
        Ok(Self::builder(redis, name)?.build())
    }

    /// The stream `name`, still to be configured.
    ///
    /// # Errors
    ///
    /// As those of [`new`](Self::new).
    pub fn builder(redis: &Redis, name: &str) -> Result<StreamBuilder<T>, Error> {
        let prefix = format!("stream:{{{}}}:", checked("a stream", name)?);
        let inner = Inner {
            redis: redis.clone(),
            log: format!("{prefix}log"),
            prefix,
            format: Format::default(),
            largest: LARGEST,
            cap: None,
            once_for: Duration::from_secs(3600),
        };
        Ok(StreamBuilder { inner, values: PhantomData })
    }

    /// How many entries there are.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked, or what is there is no stream.
    pub async fn length(&self) -> Result<u64, Error> {
        let inner = &*self.inner;
        let length = inner.asked(inner.redis.command("XLEN").key(&inner.log).run().await)?.int()?;
        Ok(u64::try_from(length).unwrap_or(0))
    }

    /// Removes what every group has settled, except what is younger than `stays`: zero for nothing. Tells how many entries were removed.
    ///
    /// Where there is no group, nothing is removed; a group that nobody uses any more holds up everything until it is deleted
    /// (`XGROUP DESTROY`). A consumer can see to it: [`Group::trim`].
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked, or what is there is no stream.
    pub async fn trim(&self, stays: Duration) -> Result<u64, Error> {
        let inner = &*self.inner;
        let call = inner.redis.script(&scripts::TRIM).key(&inner.log).arg(millis(stays));
        Ok(u64::try_from(inner.asked(call.run().await)?.int()?).unwrap_or(0))
    }
}

impl<T: Serialize> Stream<T> {
    /// Appends `value`.
    ///
    /// When it is not known whether that was done (an error that [timed out](Error::is_timed_out)), doing it again may append it twice;
    /// [`append_once`](Self::append_once) does not. In a Cluster a connection that breaks may do it twice by itself.
    ///
    /// # Errors
    ///
    /// When the value is too large, Redis cannot be asked, or what is there is no stream.
    ///
    /// # Cancellation
    ///
    /// Dropped, it may or may not be appended.
    pub async fn append(&self, value: &T) -> Result<EntryId, Error> {
        let inner = &*self.inner;
        let mut command = inner.redis.command("XADD").key(&inner.log);
        if let Some(cap) = inner.cap {
            command = command.arg("MAXLEN").arg("~").arg(cap);
        }
        let payload = inner.format.encode(value, &inner.log, inner.largest)?;
        EntryId::of(inner.asked(command.arg("*").arg(PAYLOAD).arg(&payload).run().await)?)
    }

    /// Appends `value`, unless something was already appended for `key` within the last hour ([`StreamBuilder::once_for`]); tells
    /// the id of what was. So it can be called again until it succeeds.
    ///
    /// # Errors
    ///
    /// As those of [`append`](Self::append), and when the key is empty or has more than 256 bytes.
    ///
    /// # Cancellation
    ///
    /// Dropped, it may or may not be appended; called again, it is appended once.
    pub async fn append_once(&self, key: &str, value: &T) -> Result<EntryId, Error> {
        let inner = &*self.inner;
        if key.is_empty() || key.len() > LONGEST_KEY {
            let message = format!("a key of idempotence has from 1 to {LONGEST_KEY} bytes, not {}", key.len());
            return Err(at(&inner.log, Error::invalid(&message)));
        }
        let payload = inner.format.encode(value, &inner.log, inner.largest)?;
        let call = inner.redis.script(&scripts::APPEND).key(&inner.log).key(format!("{}once:{key}", inner.prefix));
        let cap = inner.cap.map(|cap| cap.to_string()).unwrap_or_default();
        EntryId::of(inner.asked(call.arg(&payload).arg(&cap).arg(millis(inner.once_for)).run().await)?)
    }
}

impl<T: DeserializeOwned> Stream<T> {
    /// Up to `count` entries from `position` on, without waiting for any.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked, what is there is no stream, or one of them is no `T`.
    pub async fn read(&self, position: Position, count: u32) -> Result<Vec<Entry<T>>, Error> {
        let inner = &*self.inner;
        let Some(after) = position.after() else { return Ok(Vec::new()) };
        let command = inner.redis.command("XRANGE").key(&inner.log).arg(&format!("({after}")).arg("+");
        let entries = Raw::list(inner.asked(command.arg("COUNT").arg(count).run().await)?)?;
        entries.into_iter().map(|raw| Ok(Entry { id: raw.id, value: inner.value(raw.id, raw.payload())? })).collect()
    }

    /// Follows the log from `position` on, for as long as it is asked.
    pub fn tail(&self, position: Position) -> Tail<T> {
        Tail::new(self.clone(), position)
    }

    /// The group `name`, of which each message is given to one consumer. It is made when it first runs.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), for a name as in [`new`](Self::new).
    pub fn group(&self, name: &str) -> Result<Group<T>, Error> {
        Group::new(self.clone(), checked("a group", name)?)
    }
}

impl<T> Clone for Stream<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), values: PhantomData }
    }
}

impl<T> fmt::Debug for Stream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream").field(&self.inner.log).finish()
    }
}

// === impl StreamBuilder ===

impl<T> StreamBuilder<T> {
    /// How values are written. The default is [`Format::Postcard`].
    pub fn format(mut self, format: Format) -> Self {
        self.inner.format = format;
        self
    }

    /// How many bytes a value may have. The default is 1 MiB.
    pub fn largest(mut self, bytes: usize) -> Self {
        self.inner.largest = bytes;
        self
    }

    /// How many entries the log keeps, roughly and at least: appending removes the oldest beyond, **also those that a group still needs**,
    /// which are then among its dead. For logs that are only followed. The default is any number.
    ///
    /// # Panics
    ///
    /// When it is zero.
    pub fn cap(mut self, entries: u64) -> Self {
        assert!(entries > 0, "a stream keeps at least one entry");
        self.inner.cap = Some(entries);
        self
    }

    /// For how long a key of idempotence is remembered, at least a millisecond. The default is an hour.
    ///
    /// # Panics
    ///
    /// When it is under a millisecond.
    pub fn once_for(mut self, time: Duration) -> Self {
        assert!(millis(time) > 0, "a key of idempotence is remembered for at least a millisecond");
        self.inner.once_for = time;
        self
    }

    /// The stream.
    pub fn build(self) -> Stream<T> {
        Stream { inner: Arc::new(self.inner), values: PhantomData }
    }
}

impl<T> fmt::Debug for StreamBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

// === impl Inner ===

impl Inner {
    /// A key of ours that ends in `what`.
    pub(super) fn key(&self, what: &str, of: &str) -> String {
        format!("{}{what}:{of}", self.prefix)
    }

    /// An answer about the log, whose failure names it.
    pub(super) fn asked(&self, answer: Result<Reply, Error>) -> Result<Reply, Error> {
        answer.map_err(|error| at(&self.log, error))
    }

    /// The value of the entry `id`.
    pub(super) fn value<T: DeserializeOwned>(&self, id: EntryId, payload: Option<&bytes::Bytes>) -> Result<T, Error> {
        let key = format!("{}` at `{id}", self.log);
        match payload {
            Some(payload) => self.format.decode(payload, &key),
            None => Err(Error::undecodable(&format!("`{key}`: there is no field `{PAYLOAD}`"))),
        }
    }
}

/// Whole milliseconds, as the server counts; up to 292 million years.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
