//! How a group stands.

use std::time::Duration;

use super::{group::Group, scripts};
use crate::{error::Error, redis::reply::Reply};

/// How a group stood at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupStatus {
    /// Entries in the log, whoever needs them.
    pub entries: u64,
    /// What has not been given out yet. `None` when the server does not know: before Redis 7.0 beyond a thousand, and where
    /// entries were deleted from the middle.
    pub lag: Option<u64>,
    /// What was given out and is not settled, `delayed` included.
    pub pending: u64,
    /// What failed and waits to be tried again.
    pub delayed: u64,
    /// How long ago the oldest that is pending was appended.
    pub oldest_pending: Option<Duration>,
    /// Consumers, of which some may be gone.
    pub consumers: u64,
    /// Dead letters.
    pub dead: u64,
}

impl<T> Group<T> {
    /// How the group stands.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked, or what is there is no stream.
    pub async fn status(&self) -> Result<GroupStatus, Error> {
        let reply = match self.script(&scripts::STATUS, "").run().await {
            Ok(reply) => reply,
            Err(error) => return Err(self.named(error).await),
        };
        let numbers = reply.list()?.iter().map(Reply::int).collect::<Result<Vec<_>, _>>()?;
        let &[entries, pending, delayed, consumers, dead, lag, oldest] = &numbers[..] else {
            return Err(Error::undecodable("Redis answered no status of a group"));
        };
        let count = |number: i64| u64::try_from(number).ok();
        Ok(GroupStatus {
            entries: count(entries).unwrap_or(0),
            lag: count(lag),
            pending: count(pending).unwrap_or(0),
            delayed: count(delayed).unwrap_or(0),
            oldest_pending: count(oldest).map(Duration::from_millis),
            consumers: count(consumers).unwrap_or(0),
            dead: count(dead).unwrap_or(0),
        })
    }
}
