//! What a newer head changes in the stored response it confirms: a 304's, or that of a 200 to a HEAD. RFC 9111, 3.2, 4.3.4
//! and 4.3.5

use http::{HeaderMap, HeaderName, header};

use super::{
    conditional::{etag, strong_last_modified},
    date,
    fields::hop_by_hop,
    length::{self, Length},
};
use crate::clock::Timestamp;

/// Which response a newer head speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// Of the stored one.
    Stored,
    /// Of one that is not here.
    Another,
    /// It does not say.
    Unsaid,
}

/// Whether a 304 to its validators speaks of the stored response. If not, it updates nothing. RFC 9111, 4.3.4
pub(crate) fn confirms(not_modified: &HeaderMap, stored: &HeaderMap, now: Timestamp) -> Confirmed {
    let confirmed = match (etag(not_modified), etag(stored)) {
        (Some(new), Some(old)) => new.strongly_equals(old) || (new.is_weak() && new.weakly_equals(old)),
        // A strong validator names one stored response. This one may be known by another: its origin has learned to make
        // entity tags since.
        (Some(new), None) => new.is_weak() || same_strong_date(not_modified, stored, now),
        // What it does not say it must not contradict.
        (None, _) => same(&header::LAST_MODIFIED, not_modified, stored).unwrap_or(true),
    };
    if confirmed { Confirmed::Stored } else { Confirmed::Another }
}

/// Whether the 200 to a HEAD speaks of the stored response to a GET, whose body has `length` bytes. RFC 9111, 4.3.5
pub(crate) fn confirms_head(head: &HeaderMap, stored: &HeaderMap, length: u64) -> Confirmed {
    let same_tag = etag(head).map(|new| etag(stored) == Some(new));
    let same_date =
        head.get(header::LAST_MODIFIED).map(|new| stored.get(header::LAST_MODIFIED).is_some_and(|old| old == new));
    let same_length = match length::stated(head) {
        Length::Unsaid => true,
        Length::Bytes(stated) => stated == length,
        Length::Unclear => false,
    };
    if same_tag == Some(false) || same_date == Some(false) || !same_length {
        Confirmed::Another
    } else if same_tag.or(same_date).is_some() {
        Confirmed::Stored
    } else {
        // The RFC would take this for the same; but a handler without validators says nothing of its body by that.
        Confirmed::Unsaid
    }
}

/// Whether both have the field with the same value, if both have it.
fn same(name: &HeaderName, one: &HeaderMap, other: &HeaderMap) -> Option<bool> {
    one.get(name).zip(other.get(name)).map(|(one, other)| one == other)
}

fn same_strong_date(not_modified: &HeaderMap, stored: &HeaderMap, now: Timestamp) -> bool {
    strong_last_modified(stored, now).is_some() && same(&header::LAST_MODIFIED, not_modified, stored) == Some(true)
}

/// The head of the stored response after the newer one: each of its fields replaces all stored lines of its name, except
/// those that describe the stored body. The newer `Age` is in it, and a `Date` that is not older than the answer.
///
/// The result is a response like any other: it is judged again by [`storable`](super::storable::storable) (it may now say
/// `no-store` or set a cookie), and stored by [`fields::stored`](super::fields::stored).
pub(crate) fn updated(stored: &HeaderMap, newer: &HeaderMap, answered: Timestamp) -> HeaderMap {
    let excluded = hop_by_hop(newer);
    let mut head = stored.clone();
    let _full = head.try_insert(header::DATE, date::format(answered));
    for name in newer.keys() {
        if excluded.contains(name) || DESCRIBES_BODY.contains(name) {
            continue;
        }
        head.remove(name);
        for value in newer.get_all(name) {
            let _full = head.try_append(name, value.clone());
        }
    }
    head
}

/// RFC 9111, 3.2 names `Content-Length`, and lets a cache keep what its stored body depends on: the body that is served is
/// the stored one, in its coding, type and extent, whatever a careless 304 says.
const DESCRIBES_BODY: [HeaderName; 4] =
    [header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_TYPE, header::CONTENT_RANGE];

#[cfg(test)]
mod tests;
