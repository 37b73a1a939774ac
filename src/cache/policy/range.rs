//! Single byte ranges of a complete stored body. RFC 9110, 14

use std::{ops::Range, time::Duration};

use http::{HeaderMap, HeaderValue, header};

use super::{conditional::EntityTag, conditional::etag, date, freshness::single_date, list::trimmed, number::decimal};
use crate::clock::Timestamp;

/// What part of a stored body a request gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it, with the stored status.
    Whole,
    /// A 206 with these bytes; never empty.
    Part(Range<u64>),
    /// A 416.
    Unsatisfiable,
}

/// Selects from a body of `length` bytes, for a GET of a stored 200. RFC 9110, 14.2
///
/// Several ranges, another unit and whatever is malformed get the whole body, which is always a right answer.
pub(crate) fn extent(asked: &HeaderMap, stored: &HeaderMap, length: u64, now: Timestamp) -> Extent {
    let mut lines = asked.get_all(header::RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Extent::Whole;
    };
    let Some(wanted) = wanted(line.as_bytes()) else {
        return Extent::Whole;
    };
    if asked.contains_key(header::IF_RANGE) && !is_unchanged(asked, stored, now) {
        return Extent::Whole;
    }
    let part = match wanted {
        Wanted::From(first, last) => first..last.saturating_add(1).min(length),
        Wanted::Last(count) => length.saturating_sub(count)..length,
    };
    if part.is_empty() { Extent::Unsatisfiable } else { Extent::Part(part) }
}

/// The `Content-Range` of a 206.
pub(crate) fn content_range(part: &Range<u64>, length: u64) -> HeaderValue {
    let last = part.end.saturating_sub(1);
    HeaderValue::try_from(format!("bytes {}-{last}/{length}", part.start)).expect("digits are visible ASCII")
}

/// The `Content-Range` of a 416.
pub(crate) fn unsatisfied_range(length: u64) -> HeaderValue {
    HeaderValue::try_from(format!("bytes */{length}")).expect("digits are visible ASCII")
}

enum Wanted {
    /// From the first to the last position.
    From(u64, u64),
    /// So many at the end.
    Last(u64),
}

fn wanted(line: &[u8]) -> Option<Wanted> {
    let equals = line.iter().position(|byte| *byte == b'=')?;
    if !trimmed(&line[..equals]).eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let range = trimmed(&line[equals + 1..]);
    let dash = range.iter().position(|byte| *byte == b'-')?;
    match (&range[..dash], &range[dash + 1..]) {
        ([], count) => Some(Wanted::Last(decimal(count)?)),
        (first, []) => Some(Wanted::From(decimal(first)?, u64::MAX)),
        (first, last) => {
            let (first, last) = (decimal(first)?, decimal(last)?);
            (first <= last).then_some(Wanted::From(first, last))
        }
    }
}

/// Whether `If-Range` names exactly the stored representation. RFC 9110, 13.1.5
fn is_unchanged(asked: &HeaderMap, stored: &HeaderMap, now: Timestamp) -> bool {
    let mut lines = asked.get_all(header::IF_RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    if let Some(tag) = EntityTag::parse(line.as_bytes()) {
        return etag(stored).is_some_and(|current| current.strongly_equals(tag));
    }
    let modified = single_date(stored, &header::LAST_MODIFIED, now);
    // RFC 9110, 8.8.2.2: a date is a strong validator only if the response was made well after it.
    let made = single_date(stored, &header::DATE, now);
    let is_strong = modified.zip(made).is_some_and(|(modified, made)| modified.plus(MINUTE) <= made);
    is_strong && date::parse(line, now) == modified
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
