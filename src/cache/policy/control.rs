//! `Cache-Control`, of responses and of requests.
//!
//! Names are compared without case, and unknown directives are skipped. What is malformed is read to the caching side's
//! loss: a number that is none counts as zero, a list of fields that is none as the whole response. RFC 9111, 4.2.1 lets a
//! cache choose among contradicting values; here the most restrictive one counts, whatever the order.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};

use super::{
    list::{Members, closing_quote, members, trimmed},
    number::{self, LONGEST},
};

/// What a response says to caches. RFC 9111, 5.2.2; RFC 5861
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResponseControl {
    /// `no-store`
    pub(crate) no_store: bool,
    /// `public`
    pub(crate) public: bool,
    /// `must-revalidate`
    pub(crate) must_revalidate: bool,
    /// `proxy-revalidate`
    pub(crate) proxy_revalidate: bool,
    /// `must-understand`
    pub(crate) must_understand: bool,
    /// `no-transform`
    pub(crate) no_transform: bool,
    /// `private`
    pub(crate) private: Scope,
    /// `no-cache`
    pub(crate) no_cache: Scope,
    /// `max-age`
    pub(crate) max_age: Option<Duration>,
    /// `s-maxage`
    pub(crate) s_maxage: Option<Duration>,
    /// `stale-while-revalidate`
    pub(crate) stale_while_revalidate: Option<Duration>,
    /// `stale-if-error`
    pub(crate) stale_if_error: Option<Duration>,
    /// Whether this is from a targeted field, beside which `Expires` says nothing. RFC 9213, 2.2
    pub(crate) targeted: bool,
}

/// What a request says to caches. RFC 9111, 5.2.1
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestControl {
    /// `no-store`
    pub(crate) no_store: bool,
    /// `no-cache`
    pub(crate) no_cache: bool,
    /// `only-if-cached`
    pub(crate) only_if_cached: bool,
    /// `max-age`
    pub(crate) max_age: Option<Duration>,
    /// `min-fresh`
    pub(crate) min_fresh: Option<Duration>,
    /// `max-stale`; without a number, [`LONGEST`].
    pub(crate) max_stale: Option<Duration>,
}

/// How far `private` or `no-cache` reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The directive is not there.
    #[default]
    Absent,
    /// It speaks of these fields only.
    Fields(Vec<HeaderName>),
    /// It speaks of the whole response.
    Whole,
}

/// What follows a directive's name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Argument<'a> {
    /// Nothing.
    Absent,
    /// A token, or the inside of a quoted string: RFC 9111, 5.2 asks recipients to accept both.
    Text(&'a [u8]),
    /// Something that is neither.
    Malformed,
}

// === impl ResponseControl ===

impl ResponseControl {
    /// Reads all `Cache-Control` lines of a response.
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        for member in members(headers, &header::CACHE_CONTROL) {
            let (name, argument) = directive(member);
            let mut room = [0; 32];
            control.take(lower(name, &mut room), argument);
        }
        control
    }

    /// Adds one directive, whose name is in lower case.
    pub(super) fn take(&mut self, name: &[u8], argument: Argument<'_>) {
        match name {
            b"no-store" => self.no_store = true,
            b"public" => self.public = true,
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"must-understand" => self.must_understand = true,
            b"no-transform" => self.no_transform = true,
            b"private" => self.private.widen(argument),
            b"no-cache" => self.no_cache.widen(argument),
            b"max-age" => lesser(&mut self.max_age, argument.seconds()),
            b"s-maxage" => lesser(&mut self.s_maxage, argument.seconds()),
            b"stale-while-revalidate" => lesser(&mut self.stale_while_revalidate, argument.seconds()),
            b"stale-if-error" => lesser(&mut self.stale_if_error, argument.seconds()),
            _ => {}
        }
    }
}

// === impl RequestControl ===

impl RequestControl {
    /// Reads all `Cache-Control` lines of a request; `Pragma` if there are none. RFC 9111, 5.4
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        if !headers.contains_key(header::CACHE_CONTROL) {
            control.no_cache = members(headers, &header::PRAGMA).any(|member| member.eq_ignore_ascii_case(b"no-cache"));
            return control;
        }
        for member in members(headers, &header::CACHE_CONTROL) {
            let (name, argument) = directive(member);
            let mut room = [0; 32];
            match lower(name, &mut room) {
                b"no-store" => control.no_store = true,
                b"no-cache" => control.no_cache = true,
                b"only-if-cached" => control.only_if_cached = true,
                b"max-age" => lesser(&mut control.max_age, argument.seconds()),
                b"min-fresh" => control.min_fresh = control.min_fresh.max(Some(argument.seconds())),
                b"max-stale" => {
                    let stale = if let Argument::Absent = argument { LONGEST } else { argument.seconds() };
                    lesser(&mut control.max_stale, stale);
                }
                _ => {}
            }
        }
        control
    }
}

// === impl Scope ===

impl Scope {
    /// Whether the directive is there at all.
    pub(crate) fn is_present(&self) -> bool {
        *self != Self::Absent
    }

    /// The fields it names, if it names any.
    pub(crate) fn fields(&self) -> &[HeaderName] {
        match self {
            Self::Fields(names) => names,
            Self::Absent | Self::Whole => &[],
        }
    }

    fn widen(&mut self, argument: Argument<'_>) {
        match (&mut *self, argument.fields()) {
            (Self::Whole, _) => {}
            (Self::Fields(have), Some(more)) => have.extend(more),
            (Self::Absent, Some(names)) => *self = Self::Fields(names),
            (_, None) => *self = Self::Whole,
        }
    }
}

// === impl Argument ===

impl Argument<'_> {
    // RFC 9111, 4.2.1: stale, where the value is invalid
    fn seconds(self) -> Duration {
        match self {
            Self::Text(text) => number::seconds(text).unwrap_or_default(),
            Self::Absent | Self::Malformed => Duration::ZERO,
        }
    }

    /// At least one field name and nothing else.
    fn fields(self) -> Option<Vec<HeaderName>> {
        let Self::Text(text) = self else { return None };
        let names: Option<Vec<_>> = Members::of(text).map(|name| HeaderName::from_bytes(name).ok()).collect();
        names.filter(|names| !names.is_empty())
    }
}

fn directive(member: &[u8]) -> (&[u8], Argument<'_>) {
    let Some(equals) = member.iter().position(|byte| *byte == b'=') else {
        return (member, Argument::Absent);
    };
    let (name, text) = (&member[..equals], &member[equals + 1..]);
    let argument = match text {
        _ if name != trimmed(name) => Argument::Malformed,
        [b'"', inside @ .., b'"'] if closing_quote(&text[1..]) == Some(inside.len()) => Argument::Text(inside),
        [b'"', ..] => Argument::Malformed,
        _ => Argument::Text(text),
    };
    (trimmed(name), argument)
}

/// `name` in lower case; nothing if it is longer than any directive known here.
fn lower<'a>(name: &[u8], room: &'a mut [u8; 32]) -> &'a [u8] {
    let Some(room) = room.get_mut(..name.len()) else {
        return &[];
    };
    room.copy_from_slice(name);
    room.make_ascii_lowercase();
    room
}

fn lesser(have: &mut Option<Duration>, new: Duration) {
    *have = Some(have.map_or(new, |have| have.min(new)));
}

#[cfg(test)]
mod tests;
