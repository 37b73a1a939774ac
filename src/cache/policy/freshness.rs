//! How old a response is, and how long it is fresh. RFC 9111, 4.2

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode, header};

use super::{
    control::ResponseControl,
    date,
    list::members,
    number::{self, LONGEST},
};
use crate::clock::Timestamp;

/// `corrected_initial_age`: how old the response was when it arrived. RFC 9111, 4.2.3
///
/// `asked` is when the request was sent, `answered` when the head of the response came.
pub(crate) fn initial_age(headers: &HeaderMap, asked: Timestamp, answered: Timestamp) -> Duration {
    // RFC 9111, 5.1: of several members the first; what is not a number is ignored
    let age = members(headers, &header::AGE).next().and_then(number::seconds).unwrap_or_default();
    let corrected = age.saturating_add(answered.since(asked));
    // Dates know no fraction of a second: `answered` must not have one either, or every response would seem aged by it.
    let apparent = single_date(headers, &header::DATE, answered)
        .map_or(0, |date| answered.as_secs().saturating_sub(date.as_secs()));
    corrected.max(Duration::from_secs(apparent)).min(LONGEST)
}

/// The lifetime the response states for a shared cache. RFC 9111, 4.2.1
///
/// `s-maxage`, else `max-age`, else `Expires` less `Date`. An `Expires` that is not one valid date is in the past; a `Date`
/// that is not one valid date is `answered`.
pub(crate) fn explicit_lifetime(
    control: &ResponseControl,
    headers: &HeaderMap,
    answered: Timestamp,
) -> Option<Duration> {
    control.s_maxage.or(control.max_age).or_else(|| {
        (!control.targeted && headers.contains_key(header::EXPIRES)).then(|| {
            single_date(headers, &header::EXPIRES, answered)
                .map_or(Duration::ZERO, |expires| expires.since(made(headers, answered)).min(LONGEST))
        })
    })
}

/// A tenth of the time since the last modification, a day at most, where the status or `public` allows to guess.
/// RFC 9111, 4.2.2
pub(crate) fn heuristic_lifetime(
    status: StatusCode,
    control: &ResponseControl,
    headers: &HeaderMap,
    answered: Timestamp,
) -> Option<Duration> {
    if !control.public && !is_heuristically_cacheable(status) {
        return None;
    }
    let modified = single_date(headers, &header::LAST_MODIFIED, answered)?;
    let lifetime = made(headers, answered).since(modified) / 10;
    (!lifetime.is_zero()).then(|| lifetime.min(LONGEST_GUESS))
}

const LONGEST_GUESS: Duration = Duration::from_secs(24 * 60 * 60);

/// RFC 9110, 15.1; without 206, which is not stored here.
pub(crate) fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// The date in the field `name`, if that is one line with one valid date.
pub(crate) fn single_date(headers: &HeaderMap, name: &HeaderName, now: Timestamp) -> Option<Timestamp> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => date::parse(line, now),
        _ => None,
    }
}

fn made(headers: &HeaderMap, answered: Timestamp) -> Timestamp {
    single_date(headers, &header::DATE, answered).unwrap_or(answered)
}

#[cfg(test)]
mod tests;
