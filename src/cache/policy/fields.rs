//! Which fields of a response are stored. RFC 9111, 3.1

use std::collections::HashSet;

use http::{HeaderMap, HeaderName, header};

use super::{date, list::members};
use crate::clock::Timestamp;

/// The fields to store: those of the response without what concerns one connection, without `Age`, which each use computes
/// anew, without what one client has left of a limit, and without `drop`; with a `Date` if there was none.
pub(crate) fn stored(headers: &HeaderMap, drop: &[HeaderName], answered: Timestamp) -> HeaderMap {
    let mut gone = hop_by_hop(headers);
    gone.extend(LEFT_OF_LIMITS.iter().chain(drop).cloned());
    gone.insert(header::AGE);
    let mut kept = HeaderMap::try_with_capacity(headers.keys_len() + 1).unwrap_or_default();
    for (name, value) in headers {
        if !gone.contains(name) {
            let _full = kept.try_append(name, value.clone());
        }
    }
    // RFC 9110, 6.6.1: a recipient with a clock that stores a response without `Date` must append one.
    if !kept.contains_key(header::DATE) {
        let _full = kept.try_insert(header::DATE, date::format(answered));
    }
    kept
}

/// The fields that end at this hop: the known ones and those that `Connection` lists. RFC 9110, 7.6.1
pub(crate) fn hop_by_hop(headers: &HeaderMap) -> HashSet<HeaderName> {
    let listed = members(headers, &header::CONNECTION).filter_map(|name| HeaderName::from_bytes(name).ok());
    KNOWN.iter().cloned().chain(listed).collect()
}

/// `Trailer` among them: trailers are not stored. RFC 9111, 3.1 adds what belongs to a proxy's own authentication.
const KNOWN: [HeaderName; 10] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What they tell is one client's, and of the moment (draft-ietf-httpapi-ratelimit-headers-10, "Caching"): a limiter within the cache
/// sends them with responses that everyone may have.
const LEFT_OF_LIMITS: [HeaderName; 4] = [
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
];

#[cfg(test)]
mod tests;
