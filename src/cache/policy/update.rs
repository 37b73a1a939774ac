//! What a 304 changes in the stored response it confirms. RFC 9111, 3.2 and 4.3.4

use http::{HeaderMap, HeaderName, header};

use super::{conditional::etag, date, fields::hop_by_hop};
use crate::clock::Timestamp;

/// Whether a 304 speaks of the stored response. If not, it updates nothing.
pub(crate) fn confirms(not_modified: &HeaderMap, stored: &HeaderMap) -> Confirmed {
    let confirmed = match (etag(not_modified), etag(stored)) {
        (Some(new), Some(old)) => new.strongly_equals(old) || (new.is_weak() && new.weakly_equals(old)),
        // RFC 9111, 4.3.4: a strong validator names one stored response, and this one does not have it.
        (Some(new), None) => new.is_weak(),
        (None, _) => same_date(not_modified, stored),
    };
    if confirmed { Confirmed::Stored } else { Confirmed::Another }
}

/// Which response a 304 speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// Of the stored one.
    Stored,
    /// Of one that is not here.
    Another,
}

/// A 304 without an entity tag must not contradict the stored date.
fn same_date(not_modified: &HeaderMap, stored: &HeaderMap) -> bool {
    match (not_modified.get(header::LAST_MODIFIED), stored.get(header::LAST_MODIFIED)) {
        (Some(new), Some(old)) => new == old,
        _ => true,
    }
}

/// The head of the stored response after the 304: each field of the 304 replaces all stored lines of its name, except those
/// that describe the stored body. The 304's `Age` is in it, and a `Date` that is not older than the answer.
///
/// The result is a response like any other: it is judged again by [`storable`](super::storable::storable) (it may now say
/// `no-store` or set a cookie), and stored by [`fields::stored`](super::fields::stored).
pub(crate) fn updated(stored: &HeaderMap, not_modified: &HeaderMap, answered: Timestamp) -> HeaderMap {
    let excluded = hop_by_hop(not_modified);
    let mut head = stored.clone();
    let _full = head.try_insert(header::DATE, date::format(answered));
    for name in not_modified.keys() {
        if excluded.contains(name) || DESCRIBES_BODY.contains(name) {
            continue;
        }
        head.remove(name);
        for value in not_modified.get_all(name) {
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
