//! What a cache in front of somebody else's origin does, beyond what is safe in front of one's own handlers.

use std::time::Duration;

use http::{HeaderName, header};

use super::{
    policy::vary::Spelling,
    rules::{Authorized, Languages, Post, RequestCookies, Rules},
};
use crate::expiry::{EarlyRefresh, Jitter};

impl Rules {
    /// For a cache in front of an origin that knows HTTP caching and says in its fields what may be shared: a reverse
    /// proxy, a gateway, a CDN. What an application must not take for granted, such an origin may.
    ///
    /// | | [`new`](Self::new) | `reverse_proxy` |
    /// |---|---|---|
    /// | [`targeted_fields`](Self::targeted_fields) | none | `CDN-Cache-Control` |
    /// | [`heuristic_freshness`](Self::heuristic_freshness) | off | on |
    /// | [`stale_if_error`](Self::stale_if_error) | zero | 1 h |
    /// | [`danger_store_set_cookie`](Self::danger_store_set_cookie) | off | on |
    /// | [`danger_share_despite_cookies`](Self::danger_share_despite_cookies) | off | on |
    /// | [`share_authorized`](Self::share_authorized) | off | on |
    /// | [`store_post`](Self::store_post) | off | on |
    /// | [`normalise_vary`](Self::normalise_vary) | off | on |
    /// | [`jitter`](Self::jitter) | 10 % | none: caches further out count on the lifetime too |
    /// | [`early_refresh`](Self::early_refresh) | XFetch | never |
    ///
    /// All the rest is as ever; each of these can be set otherwise afterwards.
    ///
    /// ```
    /// use bartizan::{Rules, expiry::EarlyRefresh};
    ///
    /// let rules = Rules::reverse_proxy().site("https://example.com").early_refresh(EarlyRefresh::default());
    /// ```
    pub fn reverse_proxy() -> Self {
        Self::new()
            .targeted_fields([header::CDN_CACHE_CONTROL])
            .heuristic_freshness()
            .stale_if_error(Duration::from_secs(60 * 60))
            .danger_store_set_cookie()
            .danger_share_despite_cookies()
            .share_authorized()
            .store_post()
            .normalise_vary()
            .jitter(Jitter::NONE)
            .early_refresh(EarlyRefresh::NEVER)
    }

    /// Response fields that are meant for this cache, the most specific first: `CDN-Cache-Control`, or one of your own, as
    /// `Example-Cache-Control` (RFC 9213). Default: none.
    ///
    /// The first of them that is valid and not empty takes the place of `Cache-Control` and `Expires` altogether, also where
    /// these forbid to store. All of them are passed on, to the caches of the same kind behind this one. So is `Age`: to
    /// caches that go by a shorter `Cache-Control`, a response that was kept for longer is stale on arrival.
    #[must_use]
    pub fn targeted_fields(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.set(|settings| settings.targeted_fields = names.into_iter().collect())
    }

    /// Takes requests for the same that mean the same, though they are spelled otherwise (RFC 9111, 4.1). Off by default:
    /// then only case and whitespace in `Accept-Encoding`, `Accept-Language` and `Accept-Charset` do not count.
    ///
    /// `Accept-Encoding` and `Accept-Language` are put in one order, by weight and then by name, in lower case; `x-gzip` is
    /// `gzip`, and codings with `q=0` that silence would refuse as well are left out. The handler is sent that spelling, so
    /// that it never sees a difference that the cache does not: one that goes by the order of languages of equal weight,
    /// on which RFC 9110, 12.5.4 lets nobody rely, finds them in alphabetical order. Of all other fields that
    /// `Vary` names, whitespace around commas does not count; these are sent as they came.
    #[must_use]
    pub fn normalise_vary(self) -> Self {
        self.set(|settings| settings.spelling = Spelling::Normal)
    }

    /// Answers requests with the page in the language that they want most, in whichever words they say so: who asks for
    /// `de, en;q=0.5` is given the page with `Content-Language: de` that was made for `en, de`, and there is one such page
    /// for all. Off by default.
    ///
    /// Only for handlers whose response to `Accept-Language` depends on nothing but the language it is in: where `en-GB` and
    /// `en-US` are both answered in `en`, but with other prices, each would be given the other's. This goes beyond RFC 9111,
    /// 4.1, by which every list of languages that means something else has a response of its own.
    ///
    /// Only who asks for a language alone validates its page, or is given it stale; to all others a stale page is none.
    #[must_use]
    pub fn share_languages(self) -> Self {
        self.set(|settings| settings.languages = Languages::Shared)
    }

    /// Gives everyone what was made for a request with `Authorization`, if the response says `public`, `s-maxage` or
    /// `must-revalidate` (RFC 9111, 3.5). Off by default: then it is for requests with `Authorization`.
    #[must_use]
    pub fn share_authorized(self) -> Self {
        self.set(|settings| settings.authorized = Authorized::Shared)
    }

    /// Stores the response to a `POST` for the `GET`s that follow, if it succeeds, has a lifetime of its own, and says by a
    /// `Content-Location` equal to the target that it is what a `GET` would be answered with (RFC 9110, 9.3.3). Off by
    /// default.
    ///
    /// What is stripped from a `GET` is then stripped from a `POST` too. It is not stored where another `POST` to the same
    /// target was under way, or the target was purged meanwhile.
    #[must_use]
    pub fn store_post(self) -> Self {
        self.set(|settings| settings.post = Post::Stored)
    }

    /// Treats requests with cookies as any other: right in front of an origin that marks what is personal as `private` or
    /// `no-store`, a leak nearly everywhere else. RFC 9111 knows nothing of cookies.
    #[must_use]
    pub fn danger_share_despite_cookies(self) -> Self {
        self.set(|settings| settings.request_cookies = RequestCookies::Shared)
    }
}
