//! A group, and how it is to work.

use std::{fmt, time::Duration};

use serde::de::DeserializeOwned;

use super::{
    failure::{Failure, Message},
    id::Position,
    log::Stream,
    worker::{Summary, Worker},
};
use crate::{
    error::Error,
    redis::{
        breaker::Backoff,
        client::Redis,
        name::checked,
        script::{Script, ScriptCall},
    },
};

/// A group of consumers, of which each message of a [`Stream`] is given to one. Made by [`Stream::group`].
///
/// See the [module](super).
#[must_use]
pub struct Group<T> {
    pub(super) stream: Stream<T>,
    pub(super) settings: Settings,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    pub(super) retry: String,
    pub(super) dead: String,
    pub(super) start: Position,
    pub(super) consumer: Option<String>,
    pub(super) concurrency: usize,
    pub(super) prefetch: usize,
    pub(super) claim_after: Duration,
    pub(super) max_attempts: u32,
    pub(super) backoff: Backoff,
    pub(super) drain_time: Duration,
    pub(super) trim: Option<Duration>,
}

// === impl Group ===

impl<T: DeserializeOwned> Group<T> {
    pub(super) fn new(stream: Stream<T>, name: &str) -> Result<Self, Error> {
        let settings = Settings {
            retry: stream.inner.key("retry", name),
            dead: stream.inner.key("dead", name),
            name: name.to_owned(),
            start: Position::Beginning,
            consumer: None,
            concurrency: 16,
            prefetch: 64,
            claim_after: Duration::from_secs(30),
            max_attempts: 10,
            backoff: Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(60) },
            drain_time: Duration::from_secs(20),
            trim: None,
        };
        Ok(Self { stream, settings })
    }

    /// Where the group begins when it is made. The default is the beginning. One that was lost with all else on the server, or
    /// deleted, is made again from the beginning: rather twice than never.
    pub fn start(mut self, position: Position) -> Self {
        self.settings.start = position;
        self
    }

    /// What the consumer is called, for a process that comes back under the same name: it goes on at once with what it had, where the
    /// others wait for [`claim_after`](Self::claim_after). No two may have it at a time, or both work at the same. The default is
    /// a name of its own for each run.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), for a name as in [`Stream::new`], and for `~`, who has what nobody has.
    pub fn consumer(mut self, name: &str) -> Result<Self, Error> {
        if name == "~" {
            return Err(Error::invalid("no consumer is called `~`"));
        }
        self.settings.consumer = Some(checked("a consumer", name)?.to_owned());
        Ok(self)
    }

    /// How many handlers run at a time, in the one task that polls them. The default is 16.
    ///
    /// # Panics
    ///
    /// When it is zero.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        assert!(handlers > 0, "a consumer runs at least one handler at a time");
        self.settings.concurrency = handlers;
        self
    }

    /// How many messages are read ahead of the handlers. The default is 64. With zero one is read when a handler is free.
    pub fn prefetch(mut self, messages: usize) -> Self {
        self.settings.prefetch = messages;
        self
    }

    /// For how long a consumer may not be heard of until what it has is given to others, at least 100 ms. The default is 30 s. What is
    /// worked at is renewed three times in that time, however long it takes. All consumers of a group should agree.
    ///
    /// # Panics
    ///
    /// When it is under 100 ms.
    pub fn claim_after(mut self, time: Duration) -> Self {
        assert!(time >= Duration::from_millis(100), "a consumer is waited for for at least 100 ms");
        self.settings.claim_after = time;
        self
    }

    /// How often a message is given out until it is dead, at least once. The default is 10. It counts when a process dies, for all that it
    /// had been given: with few attempts and processes that die often, what did no harm dies too.
    ///
    /// # Panics
    ///
    /// When it is zero.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        assert!(attempts > 0, "a message is given out at least once");
        self.settings.max_attempts = attempts;
        self
    }

    /// The pause before the second attempt, which doubles with each, up to `longest`; half of it is drawn by lot. The defaults are 500 ms and a
    /// minute.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.settings.backoff = Backoff { first, longest };
        self
    }

    /// How long handlers have to come to their end once the consumer is to stop. The default is 20 s.
    pub fn drain_time(mut self, time: Duration) -> Self {
        self.settings.drain_time = time;
        self
    }

    /// Also [trims](Stream::trim) the log, every ten seconds. The default is not to.
    pub fn trim(mut self, stays: Duration) -> Self {
        self.settings.trim = Some(stays);
        self
    }

    /// Gives messages to `handler` until `stop` is over, and tells what became of them.
    ///
    /// What fails is tried again after a [pause](Self::backoff), here or elsewhere; a panic is a failure. While Redis cannot be asked it
    /// waits, and what is done is acknowledged when it can be. After `stop` nothing more is begun: handlers have their
    /// [time](Self::drain_time) to end, then they are dropped, and what is not done is given back, to be taken by others at once.
    ///
    /// A handler whose message was given to somebody else meanwhile, since this consumer was not heard of, is dropped where it awaits.
    ///
    /// # Errors
    ///
    /// When Redis refuses for good: what is there is no stream, or a permission is missing. What can be given back is given back.
    ///
    /// # Cancellation
    ///
    /// Dropped, it drops its handlers. Nothing is lost: what it had is given to others [`claim_after`](Self::claim_after) later. What was done
    /// and not acknowledged yet is done again then.
    pub async fn run_until<H, F>(&self, handler: H, stop: impl Future<Output = ()>) -> Result<Summary, Error>
    where
        H: Fn(Message<T>) -> F,
        F: Future<Output = Result<(), Failure>>,
    {
        let handler = |mut batch: Vec<Message<T>>| handler(batch.pop().expect("a batch has at least one message"));
        Worker::new(self.clone(), 1, handler).run_until(stop).await
    }

    /// As [`run_until`](Self::run_until), with up to `size` messages at a time, in the order of the log: all those that wait. They
    /// succeed or fail together; after that each comes alone, so that one that fails lets the others pass.
    ///
    /// # Errors
    ///
    /// As those of [`run_until`](Self::run_until).
    ///
    /// # Panics
    ///
    /// When `size` is zero.
    pub async fn run_batches_until<H, F>(
        &self,
        size: usize,
        handler: H,
        stop: impl Future<Output = ()>,
    ) -> Result<Summary, Error>
    where
        H: Fn(Vec<Message<T>>) -> F,
        F: Future<Output = Result<(), Failure>>,
    {
        assert!(size > 0, "a batch has at least one message");
        Worker::new(self.clone(), size, handler).run_until(stop).await
    }
}

impl<T> Group<T> {
    pub(super) fn redis(&self) -> &Redis {
        &self.stream.inner.redis
    }

    /// A script of the group's, called by the consumer `me`.
    pub(super) fn script<'a>(&'a self, script: &'a Script, me: &str) -> ScriptCall<'a> {
        let call =
            self.redis().script(script).key(&self.stream.inner.log).key(&self.settings.retry).key(&self.settings.dead);
        call.arg(&self.settings.name).arg(me)
    }
}

impl<T> Clone for Group<T> {
    fn clone(&self) -> Self {
        Self { stream: self.stream.clone(), settings: self.settings.clone() }
    }
}

impl<T> fmt::Debug for Group<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("stream", &self.stream).field("settings", &self.settings).finish()
    }
}
