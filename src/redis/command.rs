//! One command.

use std::time::Duration;

use ::redis::Cmd;

use crate::{
    error::Error,
    redis::{client::Redis, line::Target, reply::Reply, slot::Slots},
};

/// A command under construction. Made by [`Redis::command`].
///
/// # Cancellation
///
/// Dropped while it runs, it may or may not be carried out; the connection and the breaker bear it.
///
/// # On a Cluster
///
/// Commands go to primaries, by the keys given with [`key`](Self::key). One whose connection breaks is sent again to the
/// node that took over, so it may be carried out twice.
#[derive(Clone, Debug)]
#[must_use]
pub struct Command<'a> {
    pub(super) redis: &'a Redis,
    pub(super) cmd: Cmd,
    pub(super) slots: Slots,
    within: Option<Duration>,
}

/// What a command can be given: text, bytes, a number.
#[derive(Clone, Copy, Debug)]
pub struct Arg<'a>(Kind<'a>);

#[derive(Clone, Copy, Debug)]
enum Kind<'a> {
    Bytes(&'a [u8]),
    Signed(i64),
    Unsigned(u64),
}

// === impl Command ===

impl<'a> Command<'a> {
    pub(super) fn new(redis: &'a Redis, name: &str) -> Self {
        // As much as most commands need, so that it does not grow.
        let mut cmd = Cmd::with_capacity(4, 128);
        cmd.arg(name);
        Self { redis, cmd, slots: Slots::None, within: None }
    }

    /// A key, before which the namespace is put.
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.slots = self.redis.push_key(&mut self.cmd, self.slots, key.as_ref());
        self
    }

    /// What is no key.
    pub fn arg<'b>(mut self, arg: impl Into<Arg<'b>>) -> Self {
        arg.into().push(&mut self.cmd);
        self
    }

    /// A deadline of its own, in place of the handle's.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.within = Some(deadline);
        self
    }

    /// Sends it, and tells the answer.
    ///
    /// # Errors
    ///
    /// When there is no answer within the deadline, the breaker is open, the connection breaks, or the server refuses.
    pub async fn run(self) -> Result<Reply, Error> {
        let until = self.redis.until(self.within, Duration::ZERO);
        self.redis.one(self.cmd, &Target::Keys(self.slots), until).await.map(Reply::new)
    }

    /// Sends it on a connection that nobody else uses, since it may make the server wait for up to `wait` (`BLPOP`,
    /// `XREAD BLOCK`). The deadline begins after that.
    ///
    /// Dropped, it takes its connection along, so that the server stops waiting. The breaker counts only what does not block.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), and when no connection becomes free.
    pub async fn run_blocking(self, wait: Duration) -> Result<Reply, Error> {
        let until = self.redis.until(self.within, wait);
        self.redis.alone(self.cmd, &Target::Keys(self.slots), until).await.map(Reply::new)
    }
}

// === impl Arg ===

impl Arg<'_> {
    pub(super) fn push(self, cmd: &mut Cmd) {
        match self.0 {
            Kind::Bytes(bytes) => cmd.arg(bytes),
            Kind::Signed(number) => cmd.arg(number),
            Kind::Unsigned(number) => cmd.arg(number),
        };
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Self(Kind::Bytes(text.as_bytes()))
    }
}

impl<'a> From<&'a String> for Arg<'a> {
    fn from(text: &'a String) -> Self {
        Self(Kind::Bytes(text.as_bytes()))
    }
}

impl<'a> From<&'a [u8]> for Arg<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Kind::Bytes(bytes))
    }
}

impl<'a> From<&'a Vec<u8>> for Arg<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self(Kind::Bytes(bytes))
    }
}

impl From<i64> for Arg<'_> {
    fn from(number: i64) -> Self {
        Self(Kind::Signed(number))
    }
}

impl From<i32> for Arg<'_> {
    fn from(number: i32) -> Self {
        Self(Kind::Signed(number.into()))
    }
}

impl From<u64> for Arg<'_> {
    fn from(number: u64) -> Self {
        Self(Kind::Unsigned(number))
    }
}

impl From<u32> for Arg<'_> {
    fn from(number: u32) -> Self {
        Self(Kind::Unsigned(number.into()))
    }
}
