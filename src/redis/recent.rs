//! The last so many.

use std::{fmt, marker::PhantomData, sync::LazyLock, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::Error,
    redis::{Format, Redis, Script, name::checked, payload::LARGEST, wrong_type},
};

static PUSH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/push.lua")));

/// The last so many values, latest first: what somebody looked at, what just happened.
///
/// ```no_run
/// use bartizan::redis::Recent;
///
/// # async fn example(redis: bartizan::Redis) -> Result<(), bartizan::Error> {
/// let viewed = Recent::<u64>::new(&redis, "viewed by ada")?.capacity(20).distinct();
/// viewed.push(&4711).await?;
/// let last_five = viewed.latest(5).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`Invalid`](crate::error::ErrorKind::Invalid), when a value has more than 1 MiB; [`Undecodable`](crate::error::ErrorKind::Undecodable), when
/// its key (`recent:{name}:items`) has bytes that are no `T`; [`Refused`](crate::error::ErrorKind::Refused), when it holds
/// another type; else as those of [`Command::run`](crate::redis::Command::run).
///
/// # Cancellation
///
/// A call that is dropped may or may not have been carried out. Repeated, or sent again by a Cluster whose connection broke, a
/// value is in the list twice, unless values are [`distinct`](Self::distinct).
pub struct Recent<T> {
    redis: Redis,
    key: Box<str>,
    capacity: u32,
    ttl: Option<Duration>,
    distinct: bool,
    format: Format,
    values: PhantomData<fn(T) -> T>,
}

// === impl Recent ===

impl<T: Serialize + DeserializeOwned> Recent<T> {
    /// The list of that name.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when the name is empty, longer than 200 bytes, or has braces or control characters.
    pub fn new(redis: &Redis, name: &str) -> Result<Self, Error> {
        Ok(Self {
            redis: redis.clone(),
            key: format!("recent:{{{}}}:items", checked("a list", name)?).into(),
            capacity: 100,
            ttl: None,
            distinct: false,
            format: Format::default(),
            values: PhantomData,
        })
    }

    /// How many are kept, from 1 to 10 000. The default is 100.
    ///
    /// # Panics
    ///
    /// When it is out of range.
    #[must_use]
    pub fn capacity(mut self, values: u32) -> Self {
        assert!((1..=10_000).contains(&values), "a list keeps from 1 to 10 000 values");
        self.capacity = values;
        self
    }

    /// It is empty again so long after the last value came. The default is never.
    ///
    /// # Panics
    ///
    /// When that is under a millisecond.
    #[must_use]
    pub fn expires_after(mut self, span: Duration) -> Self {
        assert!(span >= Duration::from_millis(1), "a list lasts for a while");
        self.ttl = Some(span);
        self
    }

    /// A value that is there already moves to the front. The server compares bytes, one after the other.
    #[must_use]
    pub fn distinct(mut self) -> Self {
        self.distinct = true;
        self
    }

    /// How values are written. The default is [`Format::Postcard`].
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Puts a value before all others; the last one goes when there are too many.
    pub async fn push(&self, value: &T) -> Result<(), Error> {
        let bytes = self.format.encode(value, &self.key, LARGEST)?;
        let ttl = self.ttl.map_or_else(String::new, |ttl| ttl.as_millis().min(i64::MAX as u128 / 2).to_string());
        let call = self.redis.script(&PUSH).key(&*self.key).arg(&bytes).arg(self.capacity).arg(&ttl);
        match call.arg(if self.distinct { "d" } else { "" }).run().await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.named(error).await),
        }
    }

    /// Up to `count`, latest first.
    pub async fn latest(&self, count: u32) -> Result<Vec<T>, Error> {
        let last = i64::from(count.min(self.capacity)) - 1;
        if last < 0 {
            return Ok(Vec::new());
        }
        let values = match self.redis.command("LRANGE").key(&*self.key).arg(0).arg(last).run().await {
            Ok(values) => values.list()?,
            Err(error) => return Err(self.named(error).await),
        };
        values.into_iter().map(|value| self.format.decode(&value.bytes()?.unwrap_or_default(), &self.key)).collect()
    }

    /// Drops all.
    pub async fn clear(&self) -> Result<(), Error> {
        self.redis.command("UNLINK").key(&*self.key).run().await.map(|_| ())
    }

    async fn named(&self, error: Error) -> Error {
        wrong_type::named(&self.redis, error, &[(&self.key, "list")]).await
    }
}

impl<T> Clone for Recent<T> {
    fn clone(&self) -> Self {
        let Self { redis, key, capacity, ttl, distinct, format, values } = self;
        Self {
            redis: redis.clone(),
            key: key.clone(),
            capacity: *capacity,
            ttl: *ttl,
            distinct: *distinct,
            format: *format,
            values: *values,
        }
    }
}

impl<T> fmt::Debug for Recent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").field("key", &self.key).field("capacity", &self.capacity).finish_non_exhaustive()
    }
}
