//! What a handler is given, and what it says when that went wrong.

use std::{fmt, time::Duration};

use super::id::EntryId;

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
/// Every error becomes one by `?`, by which the message is tried again.
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

/// How much of a reason is kept, in bytes.
const LONGEST: usize = 1024;

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
        let mut reason = reason.to_string();
        // TODO: with MSRV 1.91, use `str::floor_char_boundary`.
        let end = (0..=LONGEST.min(reason.len())).rev().find(|&at| reason.is_char_boundary(at));
        reason.truncate(end.unwrap_or(0));
        Self { then, reason }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::retry(error)
    }
}
