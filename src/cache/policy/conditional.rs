//! Conditional requests: those of clients, answered from a stored response, and those the cache makes itself.
//! RFC 9111, 4.3; RFC 9110, 13
//!
//! [`answer`] runs on every hit: nothing in it allocates.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::{freshness::single_date, groups, list::trimmed};
use crate::clock::Timestamp;

/// What a client gets that has asked for a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A 304.
    NotModified,
    /// The stored response.
    Full,
}

/// What a response can be validated by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Validators {
    /// For `If-None-Match`.
    etag: Option<HeaderValue>,
    /// For `If-Modified-Since`.
    last_modified: Option<HeaderValue>,
}

/// An entity tag. RFC 9110, 8.8.3
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntityTag<'a> {
    /// What stands between the quotation marks; commas and backslashes are characters like others.
    pub(crate) opaque: &'a [u8],
    /// Whether it is marked as weak.
    pub(crate) strength: Strength,
}

/// Whether equal tags mean equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strength {
    /// They do.
    Strong,
    /// They mean that one may stand for the other.
    Weak,
}

/// Answers the conditions of a request from a usable stored response. RFC 9111, 4.3.2
pub(crate) fn answer(
    method: &Method,
    asked: &HeaderMap,
    status: StatusCode,
    stored: &HeaderMap,
    now: Timestamp,
) -> Answer {
    // RFC 9110, 13.2.1: conditions are for what would be a 200.
    if status != StatusCode::OK || !matches!(*method, Method::GET | Method::HEAD) {
        return Answer::Full;
    }
    let unchanged = if asked.contains_key(header::IF_NONE_MATCH) {
        names_stored(asked, stored)
    } else if asked.contains_key(header::IF_MODIFIED_SINCE) {
        unmodified_since(asked, stored, now)
    } else {
        false
    };
    if unchanged { Answer::NotModified } else { Answer::Full }
}

/// RFC 9110, 13.1.2
fn names_stored(asked: &HeaderMap, stored: &HeaderMap) -> bool {
    let current = etag(stored);
    asked.get_all(header::IF_NONE_MATCH).iter().any(|line| {
        trimmed(line.as_bytes()) == b"*"
            || current.is_some_and(|current| EntityTags(line.as_bytes()).any(|tag| tag.weakly_equals(current)))
    })
}

/// RFC 9110, 13.1.3; RFC 9111, 4.3.2: against `Date` where there is no `Last-Modified`
fn unmodified_since(asked: &HeaderMap, stored: &HeaderMap, now: Timestamp) -> bool {
    let Some(since) = single_date(asked, &header::IF_MODIFIED_SINCE, now) else {
        return false;
    };
    let field = if stored.contains_key(header::LAST_MODIFIED) { header::LAST_MODIFIED } else { header::DATE };
    single_date(stored, &field, now).is_some_and(|changed| changed <= since)
}

/// The fields of a stored response that its 304 carries. RFC 9110, 15.4.5
///
/// To them come `Age` and `Cache-Status`, which the cache writes itself.
pub(crate) fn not_modified(stored: &HeaderMap) -> HeaderMap {
    let mut head = HeaderMap::with_capacity(CARRIED.len() + 3);
    for name in &CARRIED {
        for value in stored.get_all(name) {
            head.append(name, value.clone());
        }
    }
    // What steers caches further out, as `Cache-Control` does: RFC 9213, RFC 9875.
    let steers = |name: &HeaderName| name.as_str().ends_with("-cache-control") || name == groups::CACHE_GROUPS;
    for (name, value) in stored.iter().filter(|(name, _)| steers(name)) {
        head.append(name, value.clone());
    }
    // It guides updates only where no entity tag does.
    if !head.contains_key(header::ETAG) {
        for value in stored.get_all(header::LAST_MODIFIED) {
            head.append(header::LAST_MODIFIED, value.clone());
        }
    }
    head
}

const CARRIED: [HeaderName; 6] =
    [header::CACHE_CONTROL, header::CONTENT_LOCATION, header::DATE, header::ETAG, header::EXPIRES, header::VARY];

/// Removes a client's own conditions and range, so that the origin answers in full.
pub(crate) fn strip(asked: &mut HeaderMap) {
    for name in [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_RANGE, header::RANGE] {
        asked.remove(name);
    }
}

/// The entity tag of a response, if it has a valid one.
pub(crate) fn etag(headers: &HeaderMap) -> Option<EntityTag<'_>> {
    headers.get(header::ETAG).and_then(|value| EntityTag::parse(value.as_bytes()))
}

/// The `Last-Modified` of a response, if equal dates mean equal bytes: RFC 9110, 8.8.2.2 asks that the response was made
/// well after it.
pub(crate) fn strong_last_modified(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let modified = single_date(headers, &header::LAST_MODIFIED, now)?;
    let made = single_date(headers, &header::DATE, now)?;
    (modified.plus(WELL_AFTER) <= made).then_some(modified)
}

const WELL_AFTER: Duration = Duration::from_secs(60);

// === impl Validators ===

impl Validators {
    /// Those of a stored response; `None` if it can only be fetched anew. RFC 9111, 4.3.1
    pub(crate) fn of(stored: &HeaderMap, now: Timestamp) -> Option<Self> {
        let field = |name| stored.get(name).cloned();
        let found = Self {
            etag: etag(stored).and_then(|_| field(header::ETAG)),
            last_modified: single_date(stored, &header::LAST_MODIFIED, now).and_then(|_| field(header::LAST_MODIFIED)),
        };
        (found.etag.is_some() || found.last_modified.is_some()).then_some(found)
    }

    /// Without the entity tag, of which the origin does not know.
    pub(crate) fn without_etag(self) -> Option<Self> {
        self.last_modified.is_some().then_some(Self { etag: None, ..self })
    }

    /// Makes a request ask whether the stored response still holds, instead of whatever its client asked.
    pub(crate) fn write(self, asked: &mut HeaderMap) {
        strip(asked);
        for (name, value) in [(header::IF_NONE_MATCH, self.etag), (header::IF_MODIFIED_SINCE, self.last_modified)] {
            if let Some(value) = value {
                let _full = asked.try_insert(name, value);
            }
        }
    }
}

// === impl EntityTag ===

impl<'a> EntityTag<'a> {
    /// Reads a single tag.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        match Self::split(trimmed(text))? {
            (tag, []) => Some(tag),
            _ => None,
        }
    }

    /// RFC 9110, 8.8.3.2: equal, and both strong
    pub(crate) fn strongly_equals(self, other: EntityTag<'_>) -> bool {
        !self.is_weak() && !other.is_weak() && self.opaque == other.opaque
    }

    /// RFC 9110, 8.8.3.2: equal, be they strong or weak
    pub(crate) fn weakly_equals(self, other: EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }

    /// Whether equal tags may stand for different bytes.
    pub(crate) fn is_weak(self) -> bool {
        self.strength == Strength::Weak
    }

    /// The tag at the head of `text`, and what follows it.
    fn split(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (strength, text) = match text {
            [b'W', b'/', b'"', rest @ ..] => (Strength::Weak, rest),
            [b'"', rest @ ..] => (Strength::Strong, rest),
            _ => return None,
        };
        let end = text.iter().position(|byte| *byte == b'"')?;
        Some((Self { opaque: &text[..end], strength }, &text[end + 1..]))
    }
}

/// The tags of one line. What is none is skipped up to the next comma.
struct EntityTags<'a>(&'a [u8]);

impl<'a> Iterator for EntityTags<'a> {
    type Item = EntityTag<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let text = trimmed_start(self.0);
            if let Some((tag, rest)) = EntityTag::split(text) {
                self.0 = after_comma(rest);
                return Some(tag);
            }
            if text.is_empty() || text[0] == b'"' || text.starts_with(b"W/\"") {
                // Nothing closes the quote: there is no further tag, and no second look for one.
                return None;
            }
            self.0 = after_comma(text);
        }
    }
}

fn trimmed_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(text.len());
    &text[start..]
}

fn after_comma(text: &[u8]) -> &[u8] {
    text.iter().position(|byte| *byte == b',').map_or(&[], |comma| &text[comma + 1..])
}

#[cfg(test)]
mod tests;
