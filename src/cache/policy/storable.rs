//! Whether a response may be stored, and on what terms. RFC 9111, 3

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode, header};

use super::{
    allowance::{Allowance, Heuristics, Principal, SetCookie},
    conditional,
    control::{RequestControl, ResponseControl, Scope},
    freshness,
    length::{self, Length},
    list, vary,
};
use crate::clock::Timestamp;

/// What was decided about a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Storable {
    /// It may be stored, on these terms.
    Yes(Terms),
    /// It may not, for this reason.
    No(Reason),
}

/// On what terms a response is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The freshness lifetime, from age zero on.
    pub(crate) lifetime: Duration,
    /// Who gave that lifetime.
    pub(crate) chosen: Chosen,
    /// How old the response was when it arrived.
    pub(crate) initial_age: Duration,
    /// How long beyond its lifetime it may be served while a new one is fetched.
    pub(crate) stale_while_revalidate: Duration,
    /// How long beyond its lifetime it may be served where the origin fails.
    pub(crate) stale_if_error: Duration,
    /// What the origin lets a cache do with it.
    pub(crate) consent: Consent,
    /// Whether it may answer a request with `Authorization`.
    pub(crate) authorized_reuse: bool,
    /// Whether it may answer a request with a personal cookie.
    pub(crate) personal_reuse: bool,
    /// Fields that are not to be stored.
    pub(crate) drop: Vec<HeaderName>,
}

/// Whose lifetime it is. Jitter may lengthen only one of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// The response states it, or its handler.
    Explicit,
    /// A rule gives it, or it is guessed from `Last-Modified`.
    ByRule,
}

/// What the origin lets a cache do with the stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Serve it while fresh, and stale where a window or the client allows it.
    Stale,
    /// Serve it while fresh; stale only within a window the response itself states.
    Fresh,
    /// Ask before each use.
    Validated,
}

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The request says `no-store`.
    RequestNoStore,
    /// The response says `no-store`.
    NoStore,
    /// The response is `private`.
    Private,
    /// The request has `Authorization`, and nothing says that the response is for others too.
    Authorization,
    /// The request has a cookie no rule knows, and the response says neither `public` nor `s-maxage`.
    PersonalCookie,
    /// The response sets a cookie.
    SetCookie,
    /// A response with this status is never stored.
    Status,
    /// `must-understand`, and the status is not understood.
    MustUnderstand,
    /// `Vary: *`, an unreadable `Vary`, or one with too many names.
    Vary,
    /// An event stream has no end.
    EventStream,
    /// Neither the response nor a rule gives it a lifetime, and it could not be validated later.
    NoFreshness,
    /// It is stale on arrival, and could not be validated later.
    Stale,
    /// `no-cache`, and it could not be validated later.
    NoCache,
    /// The body is longer than the rule allows, or the head has thousands of fields.
    TooLarge,
    /// Its `Content-Length` is no number, or several different ones: whether it is complete could not be told.
    Length,
    /// The handler said [`never`](crate::cache::Caching::never).
    Handler,
    /// Something personal was used to make it: the exchange bears the [private mark](crate::private).
    PrivateMark,
}

/// What matters of the request; kept while the origin works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Whether it says `no-store`.
    pub(crate) no_store: bool,
    /// Whether it has `Authorization`.
    pub(crate) authorization: bool,
    /// What the rules make of its cookies.
    pub(crate) cookies: Cookies,
}

/// What the rules make of the cookies of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookies {
    /// There are none, or each is in the key or stripped.
    Known,
    /// There is one that may tell who asks.
    Personal,
}

/// When the request went out and when the head of its response came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// When the request went to the origin.
    pub(crate) asked: Timestamp,
    /// When the head of its response came.
    pub(crate) answered: Timestamp,
}

/// Decides whether the response to a GET may be stored.
pub(crate) fn storable(
    asked: &Asked,
    status: StatusCode,
    headers: &HeaderMap,
    control: &ResponseControl,
    allowance: &Allowance,
    times: Times,
) -> Storable {
    if let Some(reason) = forbidden(asked, status, headers, control, allowance) {
        return Storable::No(reason);
    }
    let terms = terms(status, headers, control, allowance, times);
    match useless(&terms, status, headers, control, times) {
        Some(reason) => Storable::No(reason),
        None => Storable::Yes(terms),
    }
}

/// Why it must not be stored.
fn forbidden(
    asked: &Asked,
    status: StatusCode,
    headers: &HeaderMap,
    control: &ResponseControl,
    allowance: &Allowance,
) -> Option<Reason> {
    if asked.no_store {
        return Some(Reason::RequestNoStore);
    }
    if control.must_understand && !is_understood(status) {
        return Some(Reason::MustUnderstand);
    }
    // RFC 9111, 5.2.2.3: `no-store` beside `must-understand` is for caches that do not understand the status.
    if control.no_store && !control.must_understand {
        return Some(Reason::NoStore);
    }
    if control.private == Scope::Whole {
        return Some(Reason::Private);
    }
    if asked.authorization && !serves_authorized(control, allowance) {
        return Some(Reason::Authorization);
    }
    if asked.cookies == Cookies::Personal && !serves_everyone(control) {
        return Some(Reason::PersonalCookie);
    }
    if headers.contains_key(header::SET_COOKIE)
        && allowance.set_cookie == SetCookie::Refused
        && !dropped(control).any(|name| name == header::SET_COOKIE)
    {
        return Some(Reason::SetCookie);
    }
    if status.is_informational() || matches!(status.as_u16(), 206 | 304 | 429) {
        return Some(Reason::Status);
    }
    if vary::parse(headers) == vary::Vary::Star {
        return Some(Reason::Vary);
    }
    if is_event_stream(headers) {
        return Some(Reason::EventStream);
    }
    let length = match length::stated(headers) {
        Length::Unsaid => 0,
        Length::Bytes(length) => length,
        Length::Unclear => return Some(Reason::Length),
    };
    (length > allowance.body_limit || headers.keys_len() > MOST_FIELDS).then_some(Reason::TooLarge)
}

fn terms(
    status: StatusCode,
    headers: &HeaderMap,
    control: &ResponseControl,
    allowance: &Allowance,
    times: Times,
) -> Terms {
    let answered = times.answered;
    let explicit = allowance.handler_ttl.or_else(|| freshness::explicit_lifetime(control, headers, answered));
    let by_rule = || match status.as_u16() {
        200 | 203 | 300 | 301 | 308 => allowance.default_ttl,
        404 | 410 => allowance.negative_ttl,
        _ => None,
    };
    let guessed = || match allowance.heuristics {
        Heuristics::On => freshness::heuristic_lifetime(status, control, headers, answered),
        Heuristics::Off => None,
    };
    let lifetime = explicit.or_else(by_rule).or_else(guessed).unwrap_or_default();
    let strict = control.must_revalidate || control.proxy_revalidate || control.no_cache == Scope::Whole;
    // RFC 9111, 5.2.2.10: `s-maxage` implies `proxy-revalidate`. It does not void what the response itself states, which
    // RFC 5861 has side by side, but no rule outdoes it.
    let unruled = strict || control.s_maxage.is_some() || control.no_cache.is_present();
    let window = |stated: Option<Duration>, ruled: Option<Duration>| {
        let stated = stated.filter(|_| !strict);
        stated.or(ruled.filter(|_| !unruled)).unwrap_or_default()
    };
    Terms {
        lifetime: allowance.max_ttl.map_or(lifetime, |longest| lifetime.min(longest)),
        chosen: if explicit.is_some() { Chosen::Explicit } else { Chosen::ByRule },
        initial_age: freshness::initial_age(headers, times.asked, answered),
        stale_while_revalidate: window(control.stale_while_revalidate, allowance.stale_while_revalidate),
        stale_if_error: window(control.stale_if_error, allowance.stale_if_error),
        consent: match (&control.no_cache, unruled) {
            (Scope::Whole, _) => Consent::Validated,
            (_, true) => Consent::Fresh,
            (_, false) => Consent::Stale,
        },
        authorized_reuse: serves_authorized(control, allowance),
        personal_reuse: serves_everyone(control),
        drop: dropped(control).cloned().collect(),
    }
}

/// Why storing it would be of no use.
fn useless(
    terms: &Terms,
    status: StatusCode,
    headers: &HeaderMap,
    control: &ResponseControl,
    times: Times,
) -> Option<Reason> {
    let validator = has_validator(headers, times.answered);
    // A rule that gives zero says as little as none.
    let silent = terms.chosen == Chosen::ByRule && terms.lifetime.is_zero();
    // RFC 9111, 3: without explicit freshness, only what is `public` or heuristically cacheable
    if silent && !control.public && !freshness::is_heuristically_cacheable(status) {
        return Some(Reason::NoFreshness);
    }
    if validator {
        return None;
    }
    if terms.consent == Consent::Validated {
        return Some(Reason::NoCache);
    }
    if silent {
        return Some(Reason::NoFreshness);
    }
    let window = terms.stale_while_revalidate.max(terms.stale_if_error);
    (terms.lifetime.saturating_add(window) <= terms.initial_age).then_some(Reason::Stale)
}

/// RFC 9111, 3.5. The key may say more than the RFC knows of.
fn serves_authorized(control: &ResponseControl, allowance: &Allowance) -> bool {
    allowance.principal == Principal::InKey || control.must_revalidate || serves_everyone(control)
}

/// The response says itself, in its fields, that it is not about the one who asked.
fn serves_everyone(control: &ResponseControl) -> bool {
    control.public || control.s_maxage.is_some()
}

/// RFC 9111, 5.2.2.4 and 5.2.2.7: fields that `no-cache` or `private` names
fn dropped(control: &ResponseControl) -> impl Iterator<Item = &HeaderName> {
    control.private.fields().iter().chain(control.no_cache.fields())
}

/// A map of header fields has room for 24 576 names and panics beyond that. What is stored must have room for ours.
pub(crate) const MOST_FIELDS: usize = 4096;

/// A status with a registered meaning, and none that needs more than storing.
fn is_understood(status: StatusCode) -> bool {
    status.canonical_reason().is_some()
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        list::trimmed(essence).eq_ignore_ascii_case(b"text/event-stream")
    })
}

fn has_validator(headers: &HeaderMap, now: Timestamp) -> bool {
    conditional::etag(headers).is_some() || freshness::single_date(headers, &header::LAST_MODIFIED, now).is_some()
}

// === impl Asked ===

impl Asked {
    /// Reads the fields of the request; what its cookies are, the rules know.
    pub(crate) fn of(headers: &HeaderMap, control: &RequestControl, cookies: Cookies) -> Self {
        Self { no_store: control.no_store, authorization: headers.contains_key(header::AUTHORIZATION), cookies }
    }
}

// === impl Reason ===

impl Reason {
    /// One word for a log, a metric or a `Cache-Status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequestNoStore => "request-no-store",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::PersonalCookie => "personal-cookie",
            Self::SetCookie => "set-cookie",
            Self::Status => "status",
            Self::MustUnderstand => "must-understand",
            Self::Vary => "vary",
            Self::EventStream => "event-stream",
            Self::NoFreshness => "no-freshness",
            Self::Stale => "stale",
            Self::NoCache => "no-cache",
            Self::TooLarge => "too-large",
            Self::Length => "length",
            Self::Handler => "handler",
            Self::PrivateMark => "private-mark",
        }
    }
}

#[cfg(test)]
mod tests;
