//! What a handler is given, and what it says when that went wrong.

use std::{fmt, time::Duration};

use super::id::EntryId;
use crate::redis::payload::cut;

/// What a handler is to work at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<T> {
    /// What it is called by, the same in each attempt.
    pub id: EntryId,
    /// What was appended.
    pub value: T,
    /// How often it was given out, this time included: 1 for the first.
    pub attempt: u32,
}

/// Why a message was not done, and what is to become of it.
///
/// Every error becomes one by `?`, by which the message is tried again. Of its reason 1 KiB is kept.
#[derive(Clone, Debug)]
pub struct Failure {
    pub(super) then: Then,
    pub(super) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Retry(Option<Duration>),
    Die,
}

// === impl Failure ===

impl Failure {
    /// It is tried again after a pause ([`Group::backoff`](super::Group::backoff)), unless that was its last attempt.
    pub fn retry(reason: impl fmt::Display) -> Self {
        Self::new(Then::Retry(None), &reason)
    }

    /// It is tried again after `pause`, unless that was its last attempt.
    pub fn retry_after(pause: Duration, reason: impl fmt::Display) -> Self {
        Self::new(Then::Retry(Some(pause)), &reason)
    }

    /// No attempt can help: it goes to the dead letters.
    pub fn dead(reason: impl fmt::Display) -> Self {
        Self::new(Then::Die, &reason)
    }

    fn new(then: Then, reason: &dyn fmt::Display) -> Self {
        Self { then, reason: cut(reason.to_string()) }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::retry(error)
    }
}
