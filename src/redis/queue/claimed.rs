//! A job in hand.

use std::{fmt, pin::pin, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{
    job::JobId,
    jobs::{Queue, millis},
    scripts,
};
use crate::{error::Error, observe::event, redis::payload::cut};

/// A job that was given to us, until we settle it or are not heard of for the [visibility](super::QueueBuilder::visibility).
///
/// Dropping it does nothing: the job is ready again when its time is over. [`nack`](Self::nack) gives it back at once.
#[must_use]
pub struct Claimed<T> {
    queue: Queue<T>,
    /// What the job is called by.
    pub id: JobId,
    /// What was pushed.
    pub value: T,
    /// How often it was given out, this time included: 1 for the first.
    pub attempt: u32,
    /// What it was pushed with.
    pub priority: u8,
}

/// What became of a job that was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is done, and gone.
    Done,
    /// It is given out again, when it is due.
    Back,
    /// It is among the dead.
    Dead,
    /// It was not ours any more: it is settled already (maybe by a call of ours before, that failed), or somebody else has it.
    Lost,
}

/// Whether a job is still ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// For the visibility, from now on.
    Kept,
    /// It is settled, or somebody else has it.
    Lost,
}

// === impl Claimed ===

impl<T> Claimed<T> {
    pub(super) fn new(queue: Queue<T>, id: JobId, value: T, attempt: u32, priority: u8) -> Self {
        Self { queue, id, value, attempt, priority }
    }

    /// It is done. After an error it may be called again.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked.
    ///
    /// # Cancellation
    ///
    /// Dropped, it is either done or still ours.
    pub async fn ack(&self) -> Result<Settled, Error> {
        let inner = &self.queue.inner;
        let call = inner.script(&scripts::ACK).arg(&self.id.to_string()).arg(self.attempt);
        Ok(if inner.run(call).await?.int()? == 1 { Settled::Done } else { Settled::Lost })
    }

    /// It failed, and is given out again after `pause`, unless that was its last attempt. 1 KiB of the reason is kept.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked.
    ///
    /// # Cancellation
    ///
    /// As [`ack`](Self::ack).
    pub async fn nack(&self, pause: Duration, reason: impl fmt::Display) -> Result<Settled, Error> {
        self.give_back(millis(pause), &cut(reason.to_string())).await
    }

    /// It failed, and no attempt can help. 1 KiB of the reason is kept.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked.
    ///
    /// # Cancellation
    ///
    /// As [`ack`](Self::ack).
    pub async fn bury(&self, reason: impl fmt::Display) -> Result<Settled, Error> {
        self.give_back(-1, &cut(reason.to_string())).await
    }

    async fn give_back(&self, wait: i64, reason: &str) -> Result<Settled, Error> {
        let word = self.queue.inner.give_back(self.id, self.attempt, wait, reason).await?.text()?;
        Ok(match word.as_deref() {
            Some("back") => Settled::Back,
            Some("dead") => Settled::Dead,
            _ => Settled::Lost,
        })
    }

    /// It is worked at: it stays ours for the visibility, from now on. `progress` is kept for [`Queue::find`], 1 KiB of it; an empty
    /// one leaves what was said before.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked.
    ///
    /// # Cancellation
    ///
    /// Dropped, it may or may not be prolonged.
    pub async fn heartbeat(&self, progress: &str) -> Result<Hold, Error> {
        let inner = &self.queue.inner;
        let call = inner.script(&scripts::HEARTBEAT).arg(&self.id.to_string()).arg(self.attempt);
        let call = call.arg(millis(inner.visibility)).arg(&cut(progress.to_owned()));
        Ok(if inner.run(call).await?.int()? == 1 { Hold::Kept } else { Hold::Lost })
    }

    /// What `work` tells, while the job is kept by a heartbeat three times in its visibility. `None` when it was lost: then `work` is
    /// dropped where it awaits. What does not await for that long is not interrupted, and not kept.
    ///
    /// While Redis cannot be asked, `work` goes on; the job may be given to somebody else meanwhile.
    ///
    /// # Cancellation
    ///
    /// Dropped, it drops `work`; the job stays ours until its time is over.
    pub async fn keep_while<R>(&self, work: impl Future<Output = R>) -> Option<R> {
        let (mut work, beat) = (pin!(work), self.queue.inner.visibility / 3);
        loop {
            if let Ok(told) = timeout_at(Instant::now() + beat, &mut work).await {
                return Some(told);
            }
            let mut beating = pin!(self.heartbeat(""));
            tokio::select! {
                told = &mut work => return Some(told),
                hold = &mut beating => match hold {
                    Ok(Hold::Kept) => {}
                    Ok(Hold::Lost) => return None,
                    Err(_error) => event!(error = %_error, "a job was not kept"),
                },
            }
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Claimed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queue: _, id, value, attempt, priority } = self;
        let mut shown = f.debug_struct("Claimed");
        shown.field("id", id).field("value", value).field("attempt", attempt).field("priority", priority).finish()
    }
}
