//! Listening.

use std::{fmt, future::pending, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::{
    event::{Event, Missed},
    handle::{Bus, Spread, send},
};
use crate::{
    error::Error,
    redis::{
        inbox::ROOM,
        name,
        subscription::{Heard, Subscription, literal},
    },
};

/// Hears what is published on topics of a [`Bus`]. Made by [`Bus::subscribe`].
///
/// It has a connection of its own, and no task: what it does, heartbeats too, it does while it is asked for what is
/// [next](Self::next). Dropped, it hears nothing more.
#[must_use]
pub struct Feed<T> {
    bus: Bus<T>,
    subscription: Subscription,
    /// Those that were subscribed to by name, then that of the heartbeat.
    channels: Vec<String>,
    has_begun: bool,
    /// Was told of, and has not come back.
    is_lost: bool,
    beat: Beat,
}

struct Beat {
    every: Duration,
    due: Instant,
    /// The number of the last one.
    count: u64,
    /// Of those that should come back, and of those that did, the last.
    awaited: u64,
    back: u64,
    sending: Option<BoxFuture<'static, bool>>,
}

enum Turn {
    Heard(Heard),
    Sent(bool),
    Due,
}

// === impl Feed ===

impl<T: DeserializeOwned> Feed<T> {
    pub(super) fn new(bus: Bus<T>, topics: &[impl AsRef<str>]) -> Result<Self, Error> {
        let mut channels = topics.iter().map(|topic| bus.channel(topic.as_ref())).collect::<Result<Vec<_>, _>>()?;
        // Topics stand behind a colon.
        channels.push(format!("{}!{:016x}", bus.prefix, rand::random::<u64>()));
        let mut subscription = bus.redis.subscribe(&channels).keeping_newest(ROOM);
        if bus.spread == Spread::Shard {
            subscription = subscription.sharded();
        }
        let beat =
            Beat { every: Duration::from_secs(5), due: Instant::now(), count: 0, awaited: 0, back: 0, sending: None };
        Ok(Self { bus, subscription, channels, has_begun: false, is_lost: false, beat })
    }

    /// Listens also to all topics that match one of `patterns`: globs, with `*`, `?`, `[ab]`, and `\` before what is meant as it
    /// stands. A message on a topic that was named too, or matches several, comes as often.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when a pattern is empty, longer than 200 bytes, or has a brace or a control
    /// character, and when the bus is [sharded](Bus::sharded) in a Cluster.
    pub fn patterns(mut self, patterns: &[impl AsRef<str>]) -> Result<Self, Error> {
        if self.bus.spread == Spread::Shard {
            return Err(Error::invalid(
                "a sharded bus has no patterns: the server matches them with other channels only",
            ));
        }
        let prefix = &self.bus.prefix;
        let globs = patterns.iter().map(|pattern| {
            let pattern = name::checked("a pattern of topics", pattern.as_ref())?;
            Ok(format!("{}:{pattern}", String::from_utf8_lossy(&literal(prefix.as_bytes()))))
        });
        self.subscription = self.subscription.patterns(&globs.collect::<Result<Vec<_>, Error>>()?);
        Ok(self)
    }

    /// How many bytes of messages wait to be taken, 64 counted more for each, before the oldest are dropped. The default is
    /// 4 MiB. One that is larger waits alone.
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.subscription = self.subscription.keeping_newest(bytes);
        self
    }

    /// How often a message to itself proves that others would come. The default is 5 s.
    ///
    /// # Panics
    ///
    /// When it is shorter than 10 ms.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        assert!(
            every >= Duration::from_millis(10),
            "a heartbeat comes every 10 ms or more seldom, not every {every:?}"
        );
        self.beat.every = every;
        self
    }

    /// What comes next. It never ends, and connects again by itself, with pauses as those of the breaker.
    ///
    /// # Cancellation
    ///
    /// Safe: nothing is lost.
    pub async fn next(&mut self) -> Event<T> {
        loop {
            match self.turn().await {
                Turn::Heard(heard) => {
                    if let Some(event) = self.take(heard) {
                        return event;
                    }
                }
                Turn::Sent(is_awaited) => self.beat.was_sent(is_awaited),
                Turn::Due if self.beat.is_missing() => {
                    self.subscription.abandon();
                    self.is_lost = true;
                    return Event::Disconnected(Error::timed_out("a heartbeat of the bus did not come back"));
                }
                Turn::Due => self.send_beat(),
            }
        }
    }

    async fn turn(&mut self) -> Turn {
        let beats = self.has_begun && !self.is_lost;
        let Beat { due, sending, .. } = &mut self.beat;
        tokio::select! {
            // What has come is looked at before it is missed.
            biased;
            heard = self.subscription.next() => Turn::Heard(heard),
            sent = async { sending.as_mut().expect("it is being sent").await }, if sending.is_some() => Turn::Sent(sent),
            _ = timeout_at(*due, pending::<()>()), if beats && sending.is_none() => Turn::Due,
        }
    }

    fn send_beat(&mut self) {
        let (redis, spread) = (self.bus.redis.clone(), self.bus.spread);
        let channel = self.channels.last().expect("there is that of the heartbeat").clone();
        self.beat.count += 1;
        let number = self.beat.count.to_string();
        self.beat.sending = Some(Box::pin(async move {
            // What could not be sent does not come back either, as what others send. Who may not publish has no heartbeat.
            !send(&redis, spread, &channel, number.as_bytes()).await.is_err_and(|error| error.is_refused())
        }));
    }

    fn take(&mut self, heard: Heard) -> Option<Event<T>> {
        match heard {
            Heard::Begun { .. } => {
                self.beat.begin_anew();
                self.is_lost = false;
                let is_first = !std::mem::replace(&mut self.has_begun, true);
                Some(if is_first { Event::Begun } else { Event::Missed(Missed::Disconnected) })
            }
            Heard::Said { channel, text } if channel + 1 == self.channels.len() => {
                self.beat.came_back(&text);
                None
            }
            Heard::Said { channel, text } => {
                let channel = self.channels[channel].clone();
                Some(self.message(&channel, &text))
            }
            Heard::Matched { channel, text } => Some(self.message(&String::from_utf8_lossy(&channel), &text)),
            Heard::Dropped(dropped) => {
                // That of the heartbeat may be among them.
                self.beat.begin_anew();
                Some(Event::Missed(Missed::Slow { dropped }))
            }
            Heard::Lost(error) => {
                let was_lost = std::mem::replace(&mut self.is_lost, true);
                (!was_lost).then_some(Event::Disconnected(error))
            }
            Heard::Changed(_) | Heard::ChangedAll => None,
        }
    }

    fn message(&self, channel: &str, text: &Bytes) -> Event<T> {
        let topic = channel.get(self.bus.prefix.len() + 1..).unwrap_or_default().to_owned();
        match self.bus.format.decode(text, channel) {
            Ok(payload) => Event::Message { topic, payload },
            Err(error) => Event::Undecodable { topic, error },
        }
    }
}

// === impl Beat ===

impl Beat {
    fn is_missing(&self) -> bool {
        self.awaited > self.back
    }

    fn was_sent(&mut self, is_awaited: bool) {
        self.sending = None;
        self.due = Instant::now() + self.every;
        if is_awaited {
            self.awaited = self.count;
        }
    }

    fn came_back(&mut self, text: &[u8]) {
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        self.back = self.back.max(number.unwrap_or(0));
    }

    /// Of those that were sent before, none is waited for.
    fn begin_anew(&mut self) {
        self.sending = None;
        self.due = Instant::now() + self.every;
        self.back = self.count;
    }
}

impl<T> fmt::Debug for Feed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("bus", &self.bus).field("subscription", &self.subscription).finish_non_exhaustive()
    }
}
