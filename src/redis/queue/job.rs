//! What is pushed.

use std::{fmt, str::FromStr, time::Duration};

use crate::{clock::Timestamp, error::Error, redis::reply::Reply};

/// What a job is called by. Jobs that were pushed later have greater ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u64);

/// A job to be [pushed](super::Queue::push).
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Job<'a, T> {
    pub(super) value: &'a T,
    pub(super) priority: u8,
    pub(super) due: Due,
    pub(super) key: &'a str,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    In(Duration),
    At(Timestamp),
}

/// What came of a [push](super::Queue::push).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is a new job.
    New(JobId),
    /// There is, or lately was, a job of the same key: this one.
    Known(JobId),
}

// === impl Job ===

impl<'a, T> Job<'a, T> {
    /// A job to be done at once.
    pub fn new(value: &'a T) -> Self {
        Self { value, priority: 128, due: Due::In(Duration::ZERO), key: "" }
    }

    /// From 0 to 255; higher ones are given out first. The default is 128.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// It is not given out for so long.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.due = Due::In(delay);
        self
    }

    /// It is not given out before this moment, by the server's clock.
    pub fn at(mut self, time: Timestamp) -> Self {
        self.due = Due::At(time);
        self
    }

    /// Of the jobs of one key there is one at a time: up to 256 bytes. The default is none, or an empty one: any number.
    pub fn key(mut self, key: &'a str) -> Self {
        self.key = key;
        self
    }
}

// === impl Pushed ===

impl Pushed {
    /// The job, new or not.
    pub fn id(self) -> JobId {
        match self {
            Self::New(id) | Self::Known(id) => id,
        }
    }
}

// === impl JobId ===

impl JobId {
    pub(super) fn of(reply: Reply) -> Result<Self, Error> {
        reply.text()?.unwrap_or_default().parse().map_err(|_| Error::undecodable("Redis answered no id of a job"))
    }
}

/// As it is written on the server: 16 digits.
impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016}", self.0)
    }
}

impl FromStr for JobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let is_good = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_good
            .then(|| text.parse().ok().map(Self))
            .flatten()
            .ok_or_else(|| Error::invalid("the id of a job has 16 digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_are_read_as_they_are_written_and_ordered_alike(a in 0..10u64.pow(16), b in 0..10u64.pow(16)) {
            let (one, other) = (JobId(a), JobId(b));
            prop_assert_eq!(one.to_string().parse::<JobId>().unwrap(), one);
            prop_assert_eq!(one.to_string().cmp(&other.to_string()), a.cmp(&b));
        }

        #[test]
        fn no_text_panics(text: String) {
            drop(text.parse::<JobId>());
        }
    }
}
