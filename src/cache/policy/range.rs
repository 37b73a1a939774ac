//! Byte ranges of a complete stored body. RFC 9110, 14

use std::ops::Range;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    conditional::{EntityTag, etag, strong_last_modified},
    date,
    list::{Members, trimmed},
    number::decimal,
};
use crate::clock::Timestamp;

/// What part of a stored body a request gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it, with the stored status.
    Whole,
    /// A 206 with these bytes; never empty.
    Part(Range<u64>),
    /// A 206 with each of these, in the order asked for. Two at least; none is empty or overlaps another.
    Parts(Vec<Range<u64>>),
    /// A 416.
    Unsatisfiable,
}

/// More ranges than a viewer that leaps through a document asks for. Beyond them, the whole costs less than its parts.
const MOST_RANGES: usize = 8;

/// Selects from a body of `length` bytes, for a GET of a stored 200. RFC 9110, 14.2
///
/// Another unit, whatever is malformed, and sets that cost more than they are worth (too many ranges, or such that ask for
/// the same bytes twice) get the whole body, which is always a right answer.
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
    // RFC 9110, 14.1.2: one that can be satisfied makes the set satisfiable.
    let mut parts: Vec<Range<u64>> =
        wanted.iter().map(|one| one.within(length)).filter(|part| !part.is_empty()).collect();
    match parts.len() {
        0 => Extent::Unsatisfiable,
        1 => Extent::Part(parts.remove(0)),
        _ if any_overlap(&parts) => Extent::Whole,
        _ => Extent::Parts(parts),
    }
}

/// The `Content-Range` of a 206.
pub(crate) fn content_range(part: &Range<u64>, length: u64) -> HeaderValue {
    let last = part.end.saturating_sub(1);
    HeaderValue::try_from(format!("bytes {}-{last}/{length}", part.start)).expect("digits are visible ASCII")
}

/// The fields of a 416 for a stored response: without those that describe what it does not have, and above all without
/// those by which another cache would keep it in the place of the response.
pub(crate) fn unsatisfied(stored: &HeaderMap, length: u64) -> HeaderMap {
    let mut head = HeaderMap::with_capacity(stored.keys_len() + 2);
    for (name, value) in stored {
        // RFC 9213 has others of that name: `CDN-Cache-Control` ..
        if !DESCRIBES_WHOLE.contains(name) && !name.as_str().ends_with("cache-control") {
            head.append(name, value.clone());
        }
    }
    head.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
    let range = HeaderValue::try_from(format!("bytes */{length}")).expect("digits are visible ASCII");
    head.insert(header::CONTENT_RANGE, range);
    head
}

const DESCRIBES_WHOLE: [HeaderName; 9] = [
    header::AGE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::CONTENT_TYPE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    HeaderName::from_static("surrogate-control"),
];

enum Wanted {
    /// From the first to the last position.
    From(u64, u64),
    /// So many at the end.
    Last(u64),
}

// === impl Wanted ===

impl Wanted {
    fn parse(range: &[u8]) -> Option<Self> {
        let dash = range.iter().position(|byte| *byte == b'-')?;
        match (&range[..dash], &range[dash + 1..]) {
            ([], count) => Some(Self::Last(decimal(count)?)),
            (first, []) => Some(Self::From(decimal(first)?, u64::MAX)),
            (first, last) => {
                let (first, last) = (decimal(first)?, decimal(last)?);
                (first <= last).then_some(Self::From(first, last))
            }
        }
    }

    fn within(&self, length: u64) -> Range<u64> {
        match *self {
            Self::From(first, last) => first..last.saturating_add(1).min(length),
            Self::Last(count) => length.saturating_sub(count)..length,
        }
    }
}

/// The ranges of a field line; nothing if one of them is malformed, or there are too many or none.
fn wanted(line: &[u8]) -> Option<Vec<Wanted>> {
    let equals = line.iter().position(|byte| *byte == b'=')?;
    if !trimmed(&line[..equals]).eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let wanted: Option<Vec<_>> = Members::of(&line[equals + 1..]).take(MOST_RANGES + 1).map(Wanted::parse).collect();
    wanted.filter(|wanted| (1..=MOST_RANGES).contains(&wanted.len()))
}

fn any_overlap(parts: &[Range<u64>]) -> bool {
    let overlap = |one: &Range<u64>, other: &Range<u64>| one.start < other.end && other.start < one.end;
    parts.iter().enumerate().any(|(at, one)| parts[..at].iter().any(|other| overlap(one, other)))
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
    strong_last_modified(stored, now).is_some_and(|modified| date::parse(line, now) == Some(modified))
}

#[cfg(test)]
mod tests;
