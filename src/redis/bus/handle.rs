//! Publishing.

use std::{fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};

use super::feed::Feed;
use crate::{
    error::Error,
    redis::{
        client::Redis,
        listener::is_unknown_command,
        name,
        payload::{Format, LARGEST},
    },
};

/// A bus for messages of one type, on any number of topics. See the [module](crate::redis::bus).
pub struct Bus<T> {
    pub(super) redis: Redis,
    pub(super) prefix: String,
    pub(super) format: Format,
    pub(super) spread: Spread,
    largest: usize,
    of: PhantomData<fn(T) -> T>,
}

/// To which nodes of a Cluster messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    All,
    Shard,
}

// === impl Bus ===

impl<T> Bus<T> {
    /// The bus called `name` in the handle's namespace.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when the name is empty, longer than 200 bytes, or has a brace or a control
    /// character.
    pub fn new(redis: &Redis, name: &str) -> Result<Self, Error> {
        Ok(Self {
            redis: redis.clone(),
            prefix: format!("bus:{{{}}}", name::checked("a bus", name)?),
            format: Format::default(),
            spread: Spread::All,
            largest: LARGEST,
            of: PhantomData,
        })
    }

    /// How payloads are written. The default is [`Format::Postcard`]. All who share the bus have to agree.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// How many bytes a payload may have. The default is 1 MiB.
    #[must_use]
    pub fn largest(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }

    /// In a Cluster, keeps messages to the nodes of the shard that the bus belongs to by its name (`SPUBLISH`), where the server
    /// knows of that (from 7.0): a message then costs as much in a large Cluster as in a small one, and buses with
    /// different names are spread over the shards. There are no [patterns](Feed::patterns). Elsewhere it changes nothing.
    ///
    /// All who share the bus have to agree: who publishes the one way is not heard the other.
    #[must_use]
    pub fn sharded(mut self) -> Self {
        self.spread = if self.redis.is_cluster() { Spread::Shard } else { Spread::All };
        self
    }

    pub(super) fn channel(&self, topic: &str) -> Result<String, Error> {
        Ok(format!("{}:{}", self.prefix, name::checked("a topic", topic)?))
    }
}

impl<T: Serialize> Bus<T> {
    /// Publishes `payload` to who listens to `topic` now. Tells how many the server counts; in a Cluster, those at one node.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when the topic is no name, or the payload cannot be written or is too large.
    /// When no answer came, it may have been published.
    ///
    /// # Cancellation
    ///
    /// It may or may not be published. In a Cluster, one whose connection breaks may be published twice.
    pub async fn publish(&self, topic: &str, payload: &T) -> Result<u64, Error> {
        let channel = self.channel(topic)?;
        let bytes = self.format.encode(payload, &channel, self.largest)?;
        send(&self.redis, self.spread, &channel, &bytes).await
    }
}

impl<T: DeserializeOwned> Bus<T> {
    /// Listens to `topics`. It connects when it is first asked for what is [next](Feed::next).
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when a topic is no name: empty, longer than 200 bytes, or with a brace or a
    /// control character.
    pub fn subscribe<S: AsRef<str>>(&self, topics: &[S]) -> Result<Feed<T>, Error> {
        Feed::new(self.clone(), topics)
    }
}

/// Publishes what is encoded already.
pub(super) async fn send(redis: &Redis, spread: Spread, channel: &str, bytes: &[u8]) -> Result<u64, Error> {
    let publish = async |command| redis.command(command).key(channel).arg(bytes).run().await;
    let heard = match spread {
        Spread::All => publish("PUBLISH").await,
        Spread::Shard => match publish("SPUBLISH").await {
            Err(error) if is_unknown_command(&error) => publish("PUBLISH").await,
            heard => heard,
        },
    };
    let heard = heard.map_err(|error| name::at(channel, error))?.int()?;
    u64::try_from(heard).map_err(|_| Error::undecodable("Redis counts listeners below zero"))
}

impl<T> Clone for Bus<T> {
    fn clone(&self) -> Self {
        let Self { redis, prefix, format, spread, largest, of } = self;
        let (redis, prefix) = (redis.clone(), prefix.clone());
        Self { redis, prefix, format: *format, spread: *spread, largest: *largest, of: *of }
    }
}

impl<T> fmt::Debug for Bus<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prefix, format, spread, .. } = self;
        f.debug_struct("Bus")
            .field("prefix", prefix)
            .field("format", format)
            .field("spread", spread)
            .finish_non_exhaustive()
    }
}
