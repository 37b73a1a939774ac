//! `Cache-Status` (RFC 9211): what was decided, in one field line.

use std::fmt::{self, Write as _};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::policy::storable::Reason;

/// The field's name.
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What a cache says of itself in the field. The lines that need no number or reason are ready.
#[derive(Debug)]
pub(crate) struct Labels {
    name: Box<str>,
    pub(crate) hit: HeaderValue,
    pub(crate) method: HeaderValue,
    pub(crate) bypass: HeaderValue,
    pub(crate) pass: HeaderValue,
    pub(crate) only_if_cached: HeaderValue,
}

/// Why a request went to the inner service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nothing was stored under the request's key.
    Absent,
    /// What was stored did not match the request's `Vary` fields.
    Variant,
    /// What was stored was too old.
    Expired,
    /// The client asked for more than what was stored.
    Requested,
    /// The method may have changed it.
    Method,
}

/// What became of the response to a forwarded request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is being stored.
    Stored,
    /// It may not be.
    Uncacheable(Reason),
    /// This request had no right to store it.
    Unled,
}

/// A line for a request that did not end as a plain hit.
pub(crate) struct Line<'a> {
    labels: &'a Labels,
    text: String,
}

// === impl Labels ===

impl Labels {
    pub(crate) const DEFAULT_NAME: &'static str = "bartizan";

    /// # Panics
    ///
    /// When `name` is not a token, which is what a structured field can hold.
    pub(crate) fn new(name: &str) -> Self {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
        let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'*');
        assert!(
            starts && name.bytes().all(is_token),
            "the name of a cache is a token, as my-cache or example.com: {name:?}"
        );
        let line = |rest: &str| HeaderValue::try_from(format!("{name}; {rest}")).expect("a token is a field value");
        let ready = |text: &'static str| match name {
            Self::DEFAULT_NAME => HeaderValue::from_static(text),
            _ => line(&text[Self::DEFAULT_NAME.len() + 2..]),
        };
        Self {
            name: name.into(),
            hit: ready("bartizan; hit"),
            method: ready("bartizan; fwd=method"),
            bypass: ready("bartizan; fwd=bypass"),
            pass: ready("bartizan; fwd=uri-miss; detail=pass"),
            only_if_cached: ready("bartizan; detail=only-if-cached"),
        }
    }

    /// Answered from the store though stale: `ttl` says by how much.
    pub(crate) fn stale_hit(&self, past: u64) -> HeaderValue {
        Line { labels: self, text: "hit".to_owned() }.number("ttl=-", past).value()
    }

    /// Forwarded for `cause`.
    pub(crate) fn forwarded(&self, cause: Cause) -> Line<'_> {
        Line { labels: self, text: format!("fwd={}", cause.as_str()) }
    }
}

// === impl Cause ===

impl Cause {
    /// The `fwd` parameter (RFC 9211, 2.2).
    fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "uri-miss",
            Self::Variant => "vary-miss",
            Self::Expired => "stale",
            Self::Requested => "request",
            Self::Method => "method",
        }
    }
}

// === impl Line ===

impl Line<'_> {
    /// Together with others (RFC 9211, 2.6).
    pub(crate) fn collapsed(self) -> Self {
        self.word("collapsed")
    }

    /// The status of the inner service's response, where the client is given another.
    pub(crate) fn status(self, status: StatusCode) -> Self {
        self.number("fwd-status=", u64::from(status.as_u16()))
    }

    pub(crate) fn fate(self, fate: Fate) -> Self {
        match fate {
            Fate::Stored => self.word("stored"),
            Fate::Uncacheable(reason) => self.detail(reason.as_str()),
            Fate::Unled => self,
        }
    }

    pub(crate) fn detail(self, detail: &str) -> Self {
        self.word("detail=").push(detail)
    }

    pub(crate) fn value(self) -> HeaderValue {
        HeaderValue::try_from(format!("{}; {}", self.labels.name, self.text))
            .expect("tokens and digits are a field value")
    }

    fn word(self, word: &str) -> Self {
        self.push("; ").push(word)
    }

    fn number(mut self, word: &str, number: u64) -> Self {
        write!(self.text, "; {word}{number}").expect("a string takes all");
        self
    }

    fn push(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }
}

impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Adds this cache's line behind those of the caches nearer to the origin (RFC 9211, 2).
pub(crate) fn add(headers: &mut HeaderMap, line: HeaderValue) {
    // A head without room for it goes without: it is the origin's, and not to be failed for our sake.
    let _full = headers.try_append(CACHE_STATUS, line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_structured_fields() {
        let labels = Labels::new("edge-1");
        for (line, want) in [
            (labels.hit.clone(), "edge-1; hit"),
            (labels.method.clone(), "edge-1; fwd=method"),
            (labels.stale_hit(7), "edge-1; hit; ttl=-7"),
            (labels.forwarded(Cause::Absent).fate(Fate::Stored).value(), "edge-1; fwd=uri-miss; stored"),
            (labels.forwarded(Cause::Variant).collapsed().value(), "edge-1; fwd=vary-miss; collapsed"),
            (
                labels.forwarded(Cause::Expired).status(StatusCode::NOT_MODIFIED).fate(Fate::Stored).value(),
                "edge-1; fwd=stale; fwd-status=304; stored",
            ),
            (
                labels.forwarded(Cause::Requested).fate(Fate::Uncacheable(Reason::SetCookie)).value(),
                "edge-1; fwd=request; detail=set-cookie",
            ),
        ] {
            assert_eq!(line, want);
        }
        assert_eq!(Labels::new(Labels::DEFAULT_NAME).bypass, "bartizan; fwd=bypass");
    }

    #[test]
    #[should_panic(expected = "is a token")]
    fn a_name_that_would_break_the_field_is_refused() {
        Labels::new("my cache");
    }
}
