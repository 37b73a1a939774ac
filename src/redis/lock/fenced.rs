//! A value that refuses whoever had the lock before its last holder.

use bytes::Bytes;

use super::{guard::LockGuard, scripts, token::FencingToken};
use crate::{
    error::Error,
    redis::{client::Redis, name, reply::Reply},
};

/// A value on the server that accepts nothing of an older holder than one it has heard of.
///
/// It is a hash, `fenced:{name}`, of the value (`v`) and the token of the newest holder (`t`), and has no time to live: what
/// forgets the token accepts an older one.
#[derive(Clone, Debug)]
pub struct Fenced {
    redis: Redis,
    key: String,
    largest: usize,
}

// === impl Fenced ===

impl Fenced {
    /// The fenced value called `name` in the handle's namespace.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when the name is empty, longer than 200 bytes, or has a brace or a control
    /// character.
    pub fn new(redis: &Redis, name: &str) -> Result<Self, Error> {
        let key = format!("fenced:{{{}}}", name::checked("a fenced value", name)?);
        Ok(Self { redis: redis.clone(), key, largest: 1 << 20 })
    }

    /// How many bytes a value may have. The default is 1 MiB.
    #[must_use]
    pub fn largest(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }

    /// The value, if one was written. From now on holders before `guard` are refused, so that none of them changes what this
    /// one goes by.
    ///
    /// # Errors
    ///
    /// As those of [`write`](Self::write).
    ///
    /// # Cancellation
    ///
    /// They may or may not be refused.
    pub async fn read(&self, guard: &LockGuard) -> Result<Option<Bytes>, Error> {
        self.touch(guard, None).await
    }

    /// Writes `value`. One holder may write several times.
    ///
    /// # Errors
    ///
    /// [`Lost`](crate::error::ErrorKind::Lost), when a newer holder was here; `guard` is then lost, and the next one of its lock is
    /// newer. [`Invalid`](crate::error::ErrorKind::Invalid), when the value is too large. When no answer came, it may have been
    /// written; writing it again does no harm.
    ///
    /// # Cancellation
    ///
    /// It may or may not be written.
    pub async fn write(&self, guard: &LockGuard, value: impl AsRef<[u8]>) -> Result<(), Error> {
        let value = value.as_ref();
        if value.len() > self.largest {
            let message =
                format!("`{}`: the value has {} bytes, of which {} are allowed", self.key, value.len(), self.largest);
            return Err(Error::invalid(&message));
        }
        self.touch(guard, Some(value)).await.map(drop)
    }

    /// The value, if one was written, for who holds nothing.
    ///
    /// # Errors
    ///
    /// When the server could not be asked, or something else lies there.
    pub async fn peek(&self) -> Result<Option<Bytes>, Error> {
        self.field("v").await?.bytes()
    }

    /// The token of the newest holder that was here.
    ///
    /// # Errors
    ///
    /// As those of [`peek`](Self::peek).
    pub async fn token(&self) -> Result<Option<FencingToken>, Error> {
        self.field("t").await?.text()?.map(|token| token.parse()).transpose()
    }

    async fn touch(&self, guard: &LockGuard, value: Option<&[u8]>) -> Result<Option<Bytes>, Error> {
        let mut call = self.redis.script(&scripts::WRITE).key(&self.key).arg(&guard.token().to_string());
        if let Some(value) = value {
            call = call.arg(value);
        }
        let mut answer = call.run().await?.list()?.into_iter();
        let word = answer.next().map(Reply::text).transpose()?.flatten();
        let detail = answer.next().map(Reply::bytes).transpose()?.flatten();
        match (word.as_deref(), detail) {
            (Some("accepted"), before) => Ok(before),
            (Some("refused"), Some(newest)) => Err(guard.is_outdone(String::from_utf8_lossy(&newest).parse()?)),
            _ => Err(Error::undecodable("Redis answered what no script of a fenced value says")),
        }
    }

    async fn field(&self, field: &str) -> Result<Reply, Error> {
        let read = self.redis.command("HGET").key(&self.key).arg(field).run().await;
        read.map_err(|error| name::at(&self.key, error))
    }
}
