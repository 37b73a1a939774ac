//! What others say, as they say it: published messages, and keys that change.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use crate::{
    error::Error,
    redis::{
        breaker::Backoff,
        inbox::{Item, Names, Room},
        listener::Listener,
        manager::Manager,
    },
};

/// Hears what is published to channels, on a connection of its own that is made anew when it ends. Made by
/// [`Redis::subscribe`](crate::Redis::subscribe).
///
/// Redis keeps no message for who is not there. So nothing is resumed in silence: whenever something may have been missed,
/// [`Heard::Lost`] says so, and the next [`Heard::Begun`] says from when on nothing is. A connection whose other end
/// vanished ends after 15 s (on Linux); who must know sooner publishes something now and then, listens for it, and
/// [abandons](Self::abandon) a connection on which it does not come back. That also finds a primary or a node that is cut
/// off from the others, and still answers.
///
/// ```no_run
/// # use bartizan::{Redis, redis::Heard};
/// # async fn example(redis: Redis) {
/// let mut subscription = redis.subscribe(&["news"]);
/// loop {
///     match subscription.next().await {
///         Heard::Said { text, .. } => println!("{text:?}"),
///         Heard::Begun { .. } => println!("what was said before may have been missed"),
///         Heard::Lost(error) => println!("{error}"),
///         _ => {}
///     }
/// }
/// # }
/// // Elsewhere:
/// # async fn publish(redis: Redis) -> Result<(), bartizan::Error> {
/// redis.command("PUBLISH").key("news").arg("it rains").run().await?;
/// # Ok(()) }
/// ```
///
/// 4 MiB of what is heard wait for [`next`](Self::next), 64 bytes counted more for each message; who falls further behind
/// loses the connection and all that waits, unless [`keeping_newest`](Self::keeping_newest) says otherwise. A server without `HELLO` is listened to in RESP2, where that holds from one call
/// of [`next`](Self::next) to another, and what comes between them is not bounded.
///
/// # What it needs
///
/// The login needs `+subscribe` and the channels (`&bartizan:*`), for patterns `+psubscribe` and the very patterns; who publishes, `+publish` and the same. For
/// [`tracking`](Self::tracking) `+client|tracking`.
#[must_use]
pub struct Subscription {
    manager: Arc<Manager>,
    names: Arc<Names>,
    backoff: Backoff,
    /// Connections in a row that could not be made, or did not last.
    failures: u32,
    state: State,
}

/// What a [`Subscription`] hears.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Heard {
    /// From now on everything is heard. What was said before may have been missed.
    Begun {
        /// Also changes of keys, for which [`Subscription::tracking`] asked.
        tracks: bool,
    },
    /// A message.
    Said {
        /// The place of its channel among those that were subscribed to.
        channel: usize,
        /// All of it.
        text: Bytes,
    },
    /// A message on a channel that matches a [pattern](Subscription::patterns).
    Matched {
        /// The channel, without the namespace.
        channel: Bytes,
        /// All of it.
        text: Bytes,
    },
    /// This key, without the namespace, was written, deleted, evicted or expired, in whatever database.
    Changed(Bytes),
    /// Every key may have changed: a database was flushed, whichever.
    ChangedAll,
    /// So much of what was heard was dropped, all of it before what is heard next. See [`Subscription::keeping_newest`].
    Dropped(u64),
    /// The connection ended, or could not be made. What is said until [`Begun`](Self::Begun) is missed. The next call of
    /// [`Subscription::next`] connects again.
    Lost(Error),
}

enum State {
    /// To be connected, not before this moment.
    Idle(Instant),
    Connecting(BoxFuture<'static, Result<Listener, Error>>),
    Live(Listener, Instant),
}

// === impl Subscription ===

impl Subscription {
    pub(super) fn new(manager: Manager, names: Names, backoff: Backoff) -> Self {
        let state = State::Idle(Instant::now());
        Self { manager: Arc::new(manager), names: Arc::new(names), backoff, failures: 0, state }
    }

    /// Hears also of every key that changes and, after the namespace, begins with `prefix` (`CLIENT TRACKING ON BCAST`),
    /// where the server can and the login may; [`Heard::Begun`] says whether.
    ///
    /// A key that is written is heard of also when its value stays the same, and one that is deleted only if it was there.
    /// The server tells of both from whichever client they come, this process too.
    ///
    /// In a Cluster this takes a connection to each primary that has slots when the subscription begins, and each has to be
    /// reached, or [`Heard::Lost`] comes for as long. One that gets its first slots later is not heard until the subscription
    /// is [abandoned](Self::abandon), or lost.
    ///
    /// A connection that there is already is given up.
    pub fn tracking(mut self, prefix: impl AsRef<[u8]>) -> Self {
        let names = Arc::make_mut(&mut self.names);
        let prefix = [&names.namespace[..], prefix.as_ref()].concat();
        // The server refuses prefixes of which one contains the other.
        if !names.prefixes.iter().any(|wider| prefix.starts_with(wider)) {
            names.prefixes.retain(|narrower| !narrower.starts_with(&prefix));
            names.prefixes.push(prefix);
        }
        self.state = State::Idle(Instant::now());
        self
    }

    /// Hears also what is published to every channel that, after the namespace, matches one of `patterns`: globs, with `*`, `?`,
    /// `[ab]` and `\` before what is meant as it stands. A message whose channel was subscribed to as well, or matches
    /// several, is heard as often.
    ///
    /// A connection that there is already is given up.
    pub fn patterns(mut self, patterns: &[impl AsRef<[u8]>]) -> Self {
        let names = Arc::make_mut(&mut self.names);
        let own = literal(&names.namespace);
        names.patterns.extend(patterns.iter().map(|pattern| [&own[..], pattern.as_ref()].concat()));
        self.state = State::Idle(Instant::now());
        self
    }

    /// Drops the oldest of what waits for [`next`](Self::next), when that is more than `bytes` (64 counted more for each
    /// message), in place of losing the connection. [`Heard::Dropped`] says so where they were.
    ///
    /// A connection that there is already is given up.
    pub fn keeping_newest(mut self, bytes: usize) -> Self {
        Arc::make_mut(&mut self.names).room = Room::OrDropOldest(bytes);
        self.state = State::Idle(Instant::now());
        self
    }

    /// In a Cluster, hears what is published by `SPUBLISH` and not by `PUBLISH`. All its channels share a slot.
    pub(super) fn sharded(mut self) -> Self {
        Arc::make_mut(&mut self.names).sharded = true;
        self.state = State::Idle(Instant::now());
        self
    }

    /// What is heard next. Without a connection it makes one, within the deadline for connecting; between attempts it
    /// pauses as the breaker does. It never ends.
    ///
    /// # Cancellation
    ///
    /// Safe: nothing that was heard is lost, and a connection that is being made goes on being made in the next call.
    pub async fn next(&mut self) -> Heard {
        loop {
            match &mut self.state {
                State::Idle(due) => {
                    #[expect(clippy::disallowed_methods, reason = "nothing but time ends the pause between attempts")]
                    sleep_until(*due).await;
                    let (manager, names) = (Arc::clone(&self.manager), Arc::clone(&self.names));
                    let connecting = async move { Listener::connect(&manager, &names).await };
                    self.state = State::Connecting(Box::pin(connecting));
                }
                State::Connecting(connecting) => match connecting.await {
                    Ok(listener) => {
                        let tracks = listener.tracks;
                        self.state = State::Live(listener, Instant::now());
                        return Heard::Begun { tracks };
                    }
                    Err(error) => {
                        self.again();
                        return Heard::Lost(error);
                    }
                },
                State::Live(listener, _) => match listener.next().await {
                    Ok(item) => return item.into(),
                    Err(error) => {
                        self.again();
                        return Heard::Lost(error);
                    }
                },
            }
        }
    }

    /// Gives this connection up, with what was heard on it and not yet told. The next call of [`next`](Self::next) makes
    /// another, for which it asks the sentinels, or another node of the Cluster. Does nothing while there is none.
    pub fn abandon(&mut self) {
        if let State::Live(..) = self.state {
            self.again();
        }
    }

    fn again(&mut self) {
        let now = Instant::now();
        let lasted = matches!(self.state, State::Live(_, since) if now - since > self.backoff.longest);
        self.failures = if lasted { 0 } else { self.failures.saturating_add(1) };
        let pause = self.backoff.pause(self.failures, rand::random());
        self.state = State::Idle(if lasted { now } else { now + pause });
    }
}

/// A glob that matches `text` alone.
pub(super) fn literal(text: &[u8]) -> Vec<u8> {
    let escaped = |byte: &u8| [b'\\', *byte].into_iter().skip(usize::from(!b"*?[\\".contains(byte)));
    text.iter().flat_map(escaped).collect()
}

impl From<Item> for Heard {
    fn from(item: Item) -> Self {
        match item {
            Item::Said { channel, text } => Self::Said { channel, text },
            Item::Matched { channel, text } => Self::Matched { channel, text },
            Item::Dropped(count) => Self::Dropped(count),
            Item::Changed(key) => Self::Changed(key),
            Item::ChangedAll => Self::ChangedAll,
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state: &dyn fmt::Debug = match &self.state {
            State::Idle(_) => &"idle",
            State::Connecting(_) => &"connecting",
            State::Live(listener, _) => listener,
        };
        f.debug_struct("Subscription").field("names", &self.names).field("state", state).finish()
    }
}
