//! Lua on the server, called by its digest.

use std::time::Duration;

use ::redis::{Cmd, cmd};

use crate::{
    error::Error,
    redis::{client::Redis, command::Arg, line::Target, reply::Reply, slot::Slots},
};

/// A script. It is sent once to each server that does not know it (yet, or any more); else only its digest travels.
///
/// ```
/// # #[cfg(feature = "redis")] {
/// use std::sync::LazyLock;
/// use bartizan::redis::Script;
///
/// static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('DECRBY', KEYS[1], ARGV[1])"));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Script {
    text: Box<str>,
    digest: Box<str>,
}

/// A call of a [`Script`]. Made by [`Redis::script`].
///
/// # Cancellation
///
/// As that of a [`Command`](crate::redis::Command).
#[derive(Clone, Debug)]
#[must_use]
pub struct ScriptCall<'a> {
    redis: &'a Redis,
    script: &'a Script,
    keys: Cmd,
    args: Cmd,
    pub(super) slots: Slots,
    within: Option<Duration>,
}

// === impl Script ===

impl Script {
    /// A script of this Lua text. Its keys are named by the caller, and share a slot in a Cluster.
    pub fn new(text: &str) -> Self {
        Self { text: text.into(), digest: ::redis::Script::new(text).get_hash().into() }
    }

    /// The SHA-1 by which the server knows it.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

// === impl ScriptCall ===

impl<'a> ScriptCall<'a> {
    pub(super) fn new(redis: &'a Redis, script: &'a Script) -> Self {
        Self { redis, script, keys: Cmd::new(), args: Cmd::new(), slots: Slots::None, within: None }
    }

    /// The next of `KEYS`, before which the namespace is put.
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.slots = self.redis.push_key(&mut self.keys, self.slots, key.as_ref());
        self
    }

    /// The next of `ARGV`.
    pub fn arg<'b>(mut self, arg: impl Into<Arg<'b>>) -> Self {
        arg.into().push(&mut self.args);
        self
    }

    /// A deadline of its own, in place of the handle's.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.within = Some(deadline);
        self
    }

    /// Runs it. What it was sent for happens once, also when it has to be sent a second time, with its text.
    ///
    /// # Errors
    ///
    /// As those of [`Command::run`](crate::redis::Command::run).
    pub async fn run(self) -> Result<Reply, Error> {
        let until = self.redis.until(self.within, Duration::ZERO);
        let target = Target::Keys(self.slots);
        match self.redis.one(self.by_digest(), &target, until).await {
            // `EVAL` goes to the node that said so, and leaves the script there: no `SCRIPT LOAD` that would have to find
            // the same node, which after a failover is another one.
            Err(error) if is_unknown(&error) => self.redis.one(self.by_text(), &target, until).await,
            result => result,
        }
        .map(Reply::new)
    }

    pub(super) fn by_digest(&self) -> Cmd {
        self.named("EVALSHA", &self.script.digest)
    }

    pub(super) fn by_text(&self) -> Cmd {
        self.named("EVAL", &self.script.text)
    }

    fn named(&self, name: &str, script: &str) -> Cmd {
        let mut call = cmd(name);
        call.arg(script).arg(self.keys.args_iter().len());
        for arg in self.keys.args_iter().chain(self.args.args_iter()) {
            if let ::redis::Arg::Simple(arg) = arg {
                call.arg(arg);
            }
        }
        call
    }
}

/// The server does not have the script: it is new, was restarted or promoted, or forgot.
pub(super) fn is_unknown(error: &Error) -> bool {
    error.code() == Some("NOSCRIPT")
}
