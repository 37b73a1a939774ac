//! How a store of sessions on Redis is to work.

use std::{fmt, sync::Arc};

use super::store::RedisSessions;
use crate::{clock::Clock, redis::Redis};

/// A [`RedisSessions`] still to be made. From [`RedisSessions::builder`].
#[derive(Clone)]
#[must_use]
pub struct RedisSessionsBuilder {
    pub(super) redis: Redis,
    pub(super) name: String,
    pub(super) field_bytes: usize,
    pub(super) value_bytes: usize,
    pub(super) sessions_each: usize,
    pub(super) clock: Option<Arc<dyn Clock>>,
}

// === impl RedisSessionsBuilder ===

impl RedisSessionsBuilder {
    pub(super) fn new(redis: Redis) -> Self {
        Self {
            redis,
            name: "session".to_owned(),
            field_bytes: 64 << 10,
            value_bytes: usize::MAX,
            sessions_each: 1000,
            clock: None,
        }
    }

    /// What the store is called in its keys, which tells it from others in the same namespace. The default is `session`.
    ///
    /// # Panics
    ///
    /// When it contains a brace.
    pub fn name(mut self, name: &str) -> Self {
        assert!(!name.contains(['{', '}']), "the name of a store has no braces: they make a key's slot");
        self.name = name.to_owned();
        self
    }

    /// How many bytes the fields of one session may [weigh](crate::session::record::Fields::weight), from 1 byte to 64 MiB. The default
    /// is 64 KiB. All of it travels with every request that uses the session.
    ///
    /// # Panics
    ///
    /// When it is out of range.
    pub fn session_bytes(mut self, bytes: usize) -> Self {
        assert!((1..=64 << 20).contains(&bytes), "the fields of a session may take from 1 byte to 64 MiB");
        self.field_bytes = bytes;
        self
    }

    /// How many bytes one value, or one member of a set, may have. The default is as many as the session. What is larger is
    /// [refused](crate::Error::is_refused) with the code `TOO_LARGE`.
    ///
    /// # Panics
    ///
    /// When it is zero.
    pub fn value_bytes(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "a value of no bytes at the most holds nothing");
        self.value_bytes = bytes;
        self
    }

    /// How many sessions a principal may have, from 1 to 100 000. The default is 1000. One more is [refused](crate::Error::is_refused) with
    /// the code `TOO_MANY`, and ends none for it; those that ended count for ten minutes more. It bounds what an account costs, and is no
    /// rule for how many devices it may have: that is for the application, with [`devices`](crate::Session::devices).
    ///
    /// # Panics
    ///
    /// When it is out of range.
    pub fn sessions_each(mut self, sessions: usize) -> Self {
        assert!((1..=100_000).contains(&sessions), "a principal may have from 1 to 100 000 sessions");
        self.sessions_each = sessions;
        self
    }

    /// The clock that says when something happens: for tests. The default is the server's own, which is the same for all processes; with
    /// another one keys live for an hour at the least, and what is over by that clock is not found.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// The store.
    pub fn build(self) -> RedisSessions {
        RedisSessions::from(self)
    }
}

impl fmt::Debug for RedisSessionsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSessionsBuilder")
            .field("redis", &self.redis)
            .field("name", &self.name)
            .field("field_bytes", &self.field_bytes)
            .field("value_bytes", &self.value_bytes)
            .field("sessions_each", &self.sessions_each)
            .finish_non_exhaustive()
    }
}
