//! Following a log without a group.

use std::{collections::VecDeque, fmt, time::Duration};

use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::{
    entry::{Entry, Raw},
    id::{EntryId, Position},
    log::Stream,
};
use crate::{error::Error, redis::breaker::Backoff};

/// Follows a log. Made by [`Stream::tail`].
///
/// It holds no connection between two calls of [`next`](Self::next). What was trimmed before it came there is passed over.
///
/// ```no_run
/// # use bartizan::redis::stream::{Position, Stream};
/// # async fn example(orders: Stream<u64>) -> Result<(), bartizan::Error> {
/// let mut tail = orders.tail(Position::End);
/// loop {
///     let entry = tail.next().await?;
///     println!("{} at {}", entry.value, entry.id); // keep the id, and go on from `Position::After` it
/// }
/// # }
/// ```
#[must_use]
pub struct Tail<T> {
    stream: Stream<T>,
    from: Position,
    /// What was read and not yet told.
    read: VecDeque<Raw>,
    failures: u32,
}

/// How many entries are read at once.
const BATCH: u32 = 100;

/// For how long the server lets one call wait.
const WAIT: Duration = Duration::from_secs(5);

const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(2) };

// === impl Tail ===

impl<T: DeserializeOwned> Tail<T> {
    pub(super) fn new(stream: Stream<T>, from: Position) -> Self {
        Self { stream, from, read: VecDeque::new(), failures: 0 }
    }

    /// The next entry, for which it waits. While it waits it has a connection of its own (`blocking_connections`).
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked, or what is there is no stream: the next call tries again, after a pause. When an entry is no `T`:
    /// the next call goes on after it.
    ///
    /// # Cancellation
    ///
    /// Safe: what was not told is told by the next call.
    pub async fn next(&mut self) -> Result<Entry<T>, Error> {
        loop {
            if let Some(raw) = self.read.pop_front() {
                self.from = Position::After(raw.id);
                let value = self.stream.inner.value(raw.id, raw.payload())?;
                return Ok(Entry { id: raw.id, value });
            }
            if self.failures > 0 {
                #[expect(clippy::disallowed_methods, reason = "nothing but time ends the pause between attempts")]
                sleep(BACKOFF.pause(self.failures, rand::random())).await;
            }
            match self.fill().await {
                Ok(()) => self.failures = 0,
                Err(error) => {
                    self.failures = self.failures.saturating_add(1);
                    return Err(error);
                }
            }
        }
    }

    /// The position after what was told last. [`Position::End`] until the first entry, if it began there and never reached the server.
    pub fn position(&self) -> Position {
        self.from
    }

    async fn fill(&mut self) -> Result<(), Error> {
        let inner = &*self.stream.inner;
        let after = match self.from.after() {
            Some(after) => after,
            // `$` in each call would miss what comes between two of them.
            None => {
                let last = inner.redis.command("XREVRANGE").key(&inner.log).arg("+").arg("-").arg("COUNT").arg(1);
                let last = Raw::list(inner.asked(last.run().await)?)?;
                let last = last.first().map_or(EntryId::ZERO, |raw| raw.id);
                self.from = Position::After(last);
                last
            }
        };
        let read = || inner.redis.command("XREAD").arg("COUNT").arg(BATCH);
        let at_once = read().arg("STREAMS").key(&inner.log).arg(&after.to_string()).run();
        let mut entries = Raw::of_one_stream(inner.asked(at_once.await)?)?;
        if entries.is_empty() {
            let wait = i64::try_from(WAIT.as_millis()).unwrap_or(i64::MAX);
            let waiting = read().arg("BLOCK").arg(wait).arg("STREAMS").key(&inner.log).arg(&after.to_string());
            entries = Raw::of_one_stream(inner.asked(waiting.run_blocking(WAIT).await)?)?;
        }
        self.read = entries.into();
        Ok(())
    }
}

impl<T> fmt::Debug for Tail<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("stream", &self.stream).field("from", &self.from).finish_non_exhaustive()
    }
}
