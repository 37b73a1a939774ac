//! Places in a log.

use std::{fmt, str::FromStr};

use crate::{clock::Timestamp, error::Error, redis::reply::Reply};

/// What an entry is called by: the server's milliseconds when it was appended, and a count within them. Later entries have greater ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    millis: u64,
    count: u64,
}

/// From where on a log is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Position {
    /// From the oldest entry there is.
    #[default]
    Beginning,
    /// What is appended from now on.
    End,
    /// What follows this entry, whether that is still there or not.
    After(EntryId),
    /// What was appended at this moment, by the server's clock, or later.
    Since(Timestamp),
}

// === impl EntryId ===

impl EntryId {
    /// Before every entry.
    pub const ZERO: Self = Self { millis: 0, count: 0 };

    /// The id `millis-count`.
    pub const fn new(millis: u64, count: u64) -> Self {
        Self { millis, count }
    }

    /// When it was appended, by the server's clock.
    pub const fn time(self) -> Timestamp {
        Timestamp::from_millis(self.millis)
    }

    pub(super) fn of(reply: Reply) -> Result<Self, Error> {
        reply.text()?.unwrap_or_default().parse().map_err(|_| Error::undecodable("Redis answered no id of an entry"))
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.count)
    }
}

impl FromStr for EntryId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten();
        text.split_once('-')
            .and_then(|(millis, count)| Some(Self { millis: number(millis)?, count: number(count)? }))
            .ok_or_else(|| Error::invalid("the id of an entry is two numbers with a hyphen between them"))
    }
}

// === impl Position ===

impl Position {
    /// The id after which it is read; none for the end, which only the server knows.
    pub(super) fn after(self) -> Option<EntryId> {
        match self {
            Self::Beginning => Some(EntryId::ZERO),
            Self::End => None,
            Self::After(id) => Some(id),
            Self::Since(time) => Some(match time.as_millis().checked_sub(1) {
                Some(millis) => EntryId::new(millis, u64::MAX),
                None => EntryId::ZERO,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_are_read_as_they_are_written(millis: u64, count: u64) {
            let id = EntryId::new(millis, count);
            prop_assert_eq!(id.to_string().parse::<EntryId>().unwrap(), id);
        }

        #[test]
        fn no_text_panics(text: String) {
            drop(text.parse::<EntryId>());
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for bad in ["", "1", "-1", "1-", "1-2-3", "+1-2", "$", "99999999999999999999-0"] {
            assert!(bad.parse::<EntryId>().unwrap_err().is_invalid(), "{bad}");
        }
    }

    #[test]
    fn a_moment_stands_before_what_was_appended_in_it() {
        let after = Position::Since(Timestamp::from_millis(7)).after().unwrap();
        assert!(after > EntryId::new(6, 99) && after < EntryId::new(7, 0));
        assert_eq!(Position::Since(Timestamp::from_millis(0)).after(), Some(EntryId::ZERO));
    }
}
