//! What is told to who listens.

use crate::error::Error;

/// What a [`Feed`](super::Feed) tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<T> {
    /// The first: from now on everything is heard.
    Begun,
    /// A message.
    Message {
        /// The topic it was published on.
        topic: String,
        /// What was published.
        payload: T,
    },
    /// Messages may have been missed before this, and from now on none is.
    Missed(Missed),
    /// The connection is lost, or cannot be made. What is published is missed until [`Begun`](Self::Begun) or
    /// [`Missed`](Self::Missed) comes. It is told once, however many attempts fail.
    Disconnected(Error),
    /// A message that is no `T`.
    Undecodable {
        /// The topic it was published on.
        topic: String,
        /// Why it is none.
        error: Error,
    },
}

/// Why messages may have been missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missed {
    /// There was no connection, or one that nothing came by.
    Disconnected,
    /// More came than was taken.
    Slow {
        /// How many were dropped.
        dropped: u64,
    },
}
