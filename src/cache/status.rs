//! `Cache-Status` (RFC 9211): what was decided, in one field line.

use std::fmt::{self, Write as _};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::policy::storable::Reason;
use crate::{clock::Timestamp, store::Key};

/// How much a cache tells in `Cache-Status` (RFC 9211).
///
/// How a request was answered is always told: `hit`, or `fwd` with its reason, `fwd-status` where the client is given
/// another status than the cache was, `stored`, `collapsed`, `detail`; and `ttl` of what is stale. The rest is for those
/// who ask for it, since it must be written anew for each response: two allocations that a plain hit does not make.
///
/// ```
/// use bartizan::{CacheLayer, CacheStatus, Memory};
///
/// // Cache-Status: bartizan; hit; ttl=41; key="0c2b..-00.."
/// let layer = CacheLayer::new(Memory::with_capacity(1 << 20)).cache_status(CacheStatus::new().ttl().key());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatus {
    ttl: bool,
    key: bool,
}

/// The field's name.
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// What a cache says of itself in the field. The lines that need no number or reason are ready.
#[derive(Debug)]
pub(crate) struct Labels {
    name: Box<str>,
    told: CacheStatus,
    pub(crate) hit: HeaderValue,
    pub(crate) method: HeaderValue,
    pub(crate) bypass: HeaderValue,
    pub(crate) pass: HeaderValue,
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
    /// It is being stored, and fresh until then.
    Stored { fresh_until: Timestamp, now: Timestamp },
    /// It may not be.
    Uncacheable(Reason),
    /// This request had no right to store it.
    Unled,
}

/// What became of waiting for another's response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Collapse {
    /// There was nothing to wait for.
    Unneeded,
    /// It is this one's too.
    Reused,
    /// It was of no use, or never came: this one has a request of its own.
    InVain,
}

/// A line for a request that did not end as a plain hit.
pub(crate) struct Line<'a> {
    labels: &'a Labels,
    text: String,
}

// === impl CacheStatus ===

impl CacheStatus {
    /// How a request was answered, and no more.
    pub const fn new() -> Self {
        Self { ttl: false, key: false }
    }

    /// Tells how long a response is still fresh, in whole seconds, of every hit and of what is stored.
    #[must_use]
    pub const fn ttl(self) -> Self {
        Self { ttl: true, ..self }
    }

    /// Tells under which key a response is, or would be: of the resource, as
    /// [`purge_key`](super::CacheHandle::purge_key) takes it, and of the variant, in hexadecimal digits.
    ///
    /// They are hashes with the store's secret and name nothing that went in, but two requests with one key can be told
    /// from two with different ones: for debugging, and not for everyone's eyes (RFC 9211, 6).
    #[must_use]
    pub const fn key(self) -> Self {
        Self { key: true, ..self }
    }
}

// === impl Labels ===

impl Labels {
    pub(crate) const DEFAULT_NAME: &'static str = "bartizan";

    /// # Panics
    ///
    /// When `name` is not a token, which is what a structured field can hold.
    pub(crate) fn new(name: &str, told: CacheStatus) -> Self {
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
            told,
            hit: ready("bartizan; hit"),
            method: ready("bartizan; fwd=method"),
            bypass: ready("bartizan; fwd=bypass"),
            pass: ready("bartizan; fwd=uri-miss; detail=pass"),
        }
    }

    /// Whether a fresh hit says more than the line that its page brings with it.
    #[inline]
    pub(crate) fn tell_more(&self) -> bool {
        self.told != CacheStatus::new()
    }

    /// Answered from the store.
    pub(crate) fn answered(&self) -> Line<'_> {
        Line { labels: self, text: "hit".to_owned() }
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
    /// Whether the response to another's request, waited for, was of use (RFC 9211, 2.6).
    pub(crate) fn collapsed(self, collapse: Collapse) -> Self {
        match collapse {
            Collapse::Unneeded => self,
            Collapse::Reused => self.word("collapsed"),
            Collapse::InVain => self.word("collapsed=?0"),
        }
    }

    /// The status of the inner service's response; nothing is said of the one that the client is given, which is what
    /// it is taken for (RFC 9211, 2.3).
    pub(crate) fn status(self, forwarded: StatusCode, given: StatusCode) -> Self {
        if forwarded == given { self } else { self.push(format_args!("; fwd-status={}", forwarded.as_u16())) }
    }

    pub(crate) fn fate(self, fate: Fate) -> Self {
        match fate {
            Fate::Stored { fresh_until, now } if self.labels.told.ttl => self.word("stored").ttl(fresh_until, now),
            Fate::Stored { .. } => self.word("stored"),
            Fate::Uncacheable(reason) => self.detail(reason.as_str()),
            Fate::Unled => self,
        }
    }

    pub(crate) fn detail(self, detail: &str) -> Self {
        self.push(format_args!("; detail={detail}"))
    }

    /// How long the response is still fresh: always told of what is not, of the rest only on request.
    pub(crate) fn ttl(self, fresh_until: Timestamp, now: Timestamp) -> Self {
        if now < fresh_until && !self.labels.told.ttl {
            return self;
        }
        let left = i128::from(fresh_until.as_millis()) - i128::from(now.as_millis());
        // RFC 9651, 3.3.1: an integer has fifteen digits. Downwards, so that what is stale is not said to have zero left.
        self.push(format_args!("; ttl={}", left.div_euclid(1000).clamp(-LONGEST, LONGEST)))
    }

    /// The key, on request.
    pub(crate) fn key(self, key: &Key) -> Self {
        if !self.labels.told.key {
            return self;
        }
        self.push(format_args!("; key=\"{:032x}-{:032x}\"", key.primary().0, key.variant()))
    }

    pub(crate) fn value(self) -> HeaderValue {
        HeaderValue::try_from(format!("{}; {}", self.labels.name, self.text))
            .expect("tokens, digits and a quoted hash are a field value")
    }

    fn word(self, word: &str) -> Self {
        self.push(format_args!("; {word}"))
    }

    fn push(mut self, text: fmt::Arguments<'_>) -> Self {
        self.text.write_fmt(text).expect("a string takes all");
        self
    }
}

const LONGEST: i128 = 999_999_999_999_999;

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
    use proptest::prelude::*;
    use sfv::{BareItem, List, ListEntry, Parser, TokenRef};

    use super::*;
    use crate::store::Primary;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn key() -> Key {
        Key::new(Primary::from(0xabc)).with_variant(0x1f)
    }

    #[test]
    fn lines_say_what_became_of_a_request() {
        let labels = Labels::new("edge-1", CacheStatus::new());
        let stored = Fate::Stored { fresh_until: at(9000), now: at(0) };
        let (ok, not_modified) = (StatusCode::OK, StatusCode::NOT_MODIFIED);
        for (line, want) in [
            (labels.hit.clone(), "edge-1; hit"),
            (labels.method.clone(), "edge-1; fwd=method"),
            (labels.answered().ttl(at(9000), at(0)).key(&key()).value(), "edge-1; hit"),
            (labels.answered().ttl(at(2000), at(9000)).value(), "edge-1; hit; ttl=-7"),
            (labels.answered().ttl(at(2000), at(2001)).value(), "edge-1; hit; ttl=-1"),
            (labels.forwarded(Cause::Absent).fate(stored).value(), "edge-1; fwd=uri-miss; stored"),
            (labels.forwarded(Cause::Variant).collapsed(Collapse::Reused).value(), "edge-1; fwd=vary-miss; collapsed"),
            (labels.forwarded(Cause::Absent).collapsed(Collapse::InVain).value(), "edge-1; fwd=uri-miss; collapsed=?0"),
            (
                labels.forwarded(Cause::Expired).status(not_modified, ok).fate(stored).value(),
                "edge-1; fwd=stale; fwd-status=304; stored",
            ),
            (labels.forwarded(Cause::Expired).status(not_modified, not_modified).value(), "edge-1; fwd=stale"),
            (
                labels.forwarded(Cause::Requested).fate(Fate::Uncacheable(Reason::SetCookie)).value(),
                "edge-1; fwd=request; detail=set-cookie",
            ),
        ] {
            assert_eq!(line, want);
        }
        assert_eq!(Labels::new(Labels::DEFAULT_NAME, CacheStatus::new()).bypass, "bartizan; fwd=bypass");
    }

    #[test]
    fn ttl_and_key_are_told_on_request() {
        let labels = Labels::new("edge-1", CacheStatus::new().ttl());
        assert!(labels.tell_more());
        assert_eq!(labels.answered().ttl(at(9999), at(0)).key(&key()).value(), "edge-1; hit; ttl=9");
        let stored = Fate::Stored { fresh_until: at(9000), now: at(0) };
        assert_eq!(labels.forwarded(Cause::Absent).fate(stored).value(), "edge-1; fwd=uri-miss; stored; ttl=9");
        let labels = Labels::new("edge-1", CacheStatus::new().key());
        let want = format!("edge-1; hit; key=\"{}abc-{}1f\"", "0".repeat(29), "0".repeat(30));
        assert_eq!(labels.answered().ttl(at(9000), at(0)).key(&key()).value(), want);
    }

    #[test]
    #[should_panic(expected = "is a token")]
    fn a_name_that_would_break_the_field_is_refused() {
        Labels::new("my cache", CacheStatus::new());
    }

    proptest! {
        #[test]
        fn every_line_is_a_member_of_a_structured_list(
            name in "[a-zA-Z*][a-zA-Z0-9!#$%&'*+.^_`|~:/-]{0,12}",
            told in prop::sample::select(vec![
                CacheStatus::new(), CacheStatus::new().ttl(), CacheStatus::new().key(), CacheStatus::new().ttl().key(),
            ]),
            cause in prop::sample::select(vec![Cause::Absent, Cause::Variant, Cause::Expired, Cause::Requested]),
            collapse in prop::sample::select(vec![Collapse::Unneeded, Collapse::Reused, Collapse::InVain]),
            status in 100u16..1000,
            times: (u64, u64),
            halves: (u128, u128),
        ) {
            let labels = Labels::new(&name, told);
            let key = Key::new(Primary::from(halves.0)).with_variant(halves.1);
            let (fresh_until, now) = (at(times.0), at(times.1));
            let status = StatusCode::from_u16(status).unwrap();
            let forwarded = || labels.forwarded(cause).collapsed(collapse).status(status, StatusCode::OK).key(&key);
            let lines = [
                labels.hit.clone(),
                labels.method.clone(),
                labels.bypass.clone(),
                labels.answered().ttl(fresh_until, now).key(&key).value(),
                forwarded().fate(Fate::Stored { fresh_until, now }).value(),
                forwarded().fate(Fate::Uncacheable(Reason::PersonalCookie)).value(),
                forwarded().detail("error").value(),
            ];
            let field: Vec<&str> = lines.iter().map(|line| line.to_str().unwrap()).collect();
            let list = Parser::new(&field.join(", ")).parse::<List>().unwrap();
            prop_assert_eq!(list.len(), lines.len());
            for member in &list {
                let ListEntry::Item(member) = member else { panic!("an inner list") };
                prop_assert_eq!(member.bare_item.as_token().map(TokenRef::as_str), Some(name.as_str()));
                let hit = member.params.get("hit").and_then(BareItem::as_boolean) == Some(true);
                let fwd = member.params.get("fwd").and_then(BareItem::as_token).is_some();
                prop_assert!(hit != fwd, "hit and fwd exclude each other");
            }
        }
    }
}
