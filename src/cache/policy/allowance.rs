//! What a route's rules and its handler allow beyond what the response says itself.

use std::time::Duration;

/// What the route's rules and the handler allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// For 200, 203, 300, 301 and 308 that say nothing themselves.
    pub(crate) default_ttl: Option<Duration>,
    /// For 404 and 410 that say nothing themselves.
    pub(crate) negative_ttl: Option<Duration>,
    /// No lifetime is longer, whoever gives it.
    pub(crate) max_ttl: Option<Duration>,
    /// The handler's typed word: before the lifetimes in fields, but never against `no-store`, `private` or `no-cache`.
    pub(crate) handler_ttl: Option<Duration>,
    /// Where the response states no such window itself and does not forbid it.
    pub(crate) stale_while_revalidate: Option<Duration>,
    /// Where the response states no such window itself and does not forbid it.
    pub(crate) stale_if_error: Option<Duration>,
    /// What becomes of a response with `Set-Cookie`.
    pub(crate) set_cookie: SetCookie,
    /// Whether a lifetime may be guessed.
    pub(crate) heuristics: Heuristics,
    /// The longest body, in bytes.
    pub(crate) body_limit: u64,
    /// Whether the key says who asks.
    pub(crate) principal: Principal,
}

/// Whether a response with `Set-Cookie` is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SetCookie {
    /// It is not.
    #[default]
    Refused,
    /// With the cookie: everyone gets it.
    Stored,
}

/// Whether a lifetime is guessed from `Last-Modified`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Heuristics {
    /// Never.
    #[default]
    Off,
    /// Where nothing and no rule states one. RFC 9111, 4.2.2
    On,
}

/// Whether the key says who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Principal {
    /// All who ask share an entry.
    #[default]
    Unknown,
    /// There is one entry per principal.
    InKey,
}

// === impl Allowance ===

impl Default for Allowance {
    /// Only what the response says itself, and a body of any length.
    fn default() -> Self {
        Self {
            default_ttl: None,
            negative_ttl: None,
            max_ttl: None,
            handler_ttl: None,
            stale_while_revalidate: None,
            stale_if_error: None,
            set_cookie: SetCookie::default(),
            heuristics: Heuristics::default(),
            body_limit: u64::MAX,
            principal: Principal::default(),
        }
    }
}
