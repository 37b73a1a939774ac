//! What a route wants of the cache.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, request::Parts};

use super::{
    asked::Asked,
    etag::Etags,
    key,
    policy::{
        accept::Preferences,
        allowance::{Heuristics, SetCookie},
        cookies,
        forwarding::Forwarding,
        vary::{self, Seen, Spelling, Vary},
    },
    query::Query,
};
use crate::{
    expiry::{EarlyRefresh, Jitter},
    store::Tag,
};

/// What a route wants of the cache. Cheap to clone.
///
/// The defaults cache what handlers declare cacheable (`Cache-Control`, `Expires`, [`Caching`](super::Caching)) and
/// nothing else. Rules come into play where a response says nothing of its own; they never override what it does say,
/// except to shorten.
///
/// ```
/// use std::time::Duration;
/// use bartizan::{Query, Rules};
///
/// let search = Rules::new()
///     .default_ttl(Duration::from_secs(60))
///     .query(Query::only(["q", "page"]))
///     .stale_while_revalidate(Duration::from_secs(30))
///     .tag("catalogue");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Rules(Arc<Settings>);

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) bypass: bool,
    pub(crate) default_ttl: Option<Duration>,
    pub(crate) negative_ttl: Option<Duration>,
    pub(crate) max_ttl: Option<Duration>,
    pub(crate) pass_ttl: Duration,
    pub(crate) stale_while_revalidate: Duration,
    pub(crate) stale_if_error: Duration,
    pub(crate) body_limit: u64,
    pub(crate) jitter: Jitter,
    pub(crate) early_refresh: EarlyRefresh,
    pub(crate) query: Query,
    pub(crate) key_headers: Vec<HeaderName>,
    pub(crate) key_cookies: Vec<Box<str>>,
    /// Those forwarding fields that are in the key if they are in the request.
    pub(crate) keyed_forwarding: Forwarding,
    pub(crate) ignored_headers: Vec<HeaderName>,
    pub(crate) ignored_cookies: Vec<Box<str>>,
    pub(crate) principal: Option<Principal>,
    pub(crate) site: Option<Uri>,
    pub(crate) mounted_at: Box<str>,
    pub(crate) tags: Vec<Tag>,
    pub(crate) computed_tags: Option<ComputedTags>,
    pub(crate) set_cookie: SetCookie,
    pub(crate) heuristics: Heuristics,
    pub(crate) client_directives: ClientDirectives,
    pub(crate) targeted_fields: Vec<HeaderName>,
    pub(crate) spelling: Spelling,
    pub(crate) request_cookies: RequestCookies,
    pub(crate) authorized: Authorized,
    pub(crate) post: Post,
    pub(crate) languages: Languages,
    pub(crate) etags: Etags,
}

/// Whether a request's `Cache-Control` may ask for a fresher response than the one stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientDirectives {
    Ignored,
    Honoured,
}

/// What a cookie in a request says that the rules do not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestCookies {
    /// That its response may be for one user alone.
    Personal,
    /// Nothing.
    Shared,
}

/// Who is given a response to a request with `Authorization` that says explicitly that it may be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authorized {
    /// Others with `Authorization`.
    Apart,
    /// Everyone.
    Shared,
}

/// What becomes of the response to a `POST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Post {
    Forwarded,
    /// It is stored if it is what a `GET` would be answered with.
    Stored,
}

/// Whether requests share a response in the language they want most, in whichever words they asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Languages {
    Apart,
    Shared,
}

#[derive(Clone)]
pub(crate) struct Principal(Arc<dyn Fn(&Parts) -> Option<String> + Send + Sync>);

#[derive(Clone)]
pub(crate) struct ComputedTags(Arc<dyn Fn(&Parts) -> Vec<Tag> + Send + Sync>);

// === impl Rules ===

impl Rules {
    /// Only what handlers declare cacheable.
    pub fn new() -> Self {
        Self::default()
    }

    /// The request and its response pass as if the layer were not there.
    pub fn bypass() -> Self {
        Self::new().set(|settings| settings.bypass = true)
    }

    /// How long a response is fresh that does not say so itself. For statuses 200, 203, 300, 301 and 308. Default: none;
    /// such responses are not stored.
    ///
    /// It never applies to what is personal: a response with `Set-Cookie`, or a request with `Authorization` or a cookie
    /// that the rules do not name, unless a [`principal`](Self::principal) is in the key.
    #[must_use]
    pub fn default_ttl(self, ttl: Duration) -> Self {
        self.set(|settings| settings.default_ttl = Some(ttl))
    }

    /// The same for 404 and 410. Default: none.
    #[must_use]
    pub fn negative_ttl(self, ttl: Duration) -> Self {
        self.set(|settings| settings.negative_ttl = Some(ttl))
    }

    /// No response is fresh for longer, whatever it says. Default: no bound.
    #[must_use]
    pub fn max_ttl(self, ttl: Duration) -> Self {
        self.set(|settings| settings.max_ttl = Some(ttl))
    }

    /// For how long a key is remembered as uncacheable, so that its requests go side by side and wait for nobody
    /// (hit-for-miss). Default: 10 s.
    #[must_use]
    pub fn pass_ttl(self, ttl: Duration) -> Self {
        self.set(|settings| settings.pass_ttl = ttl)
    }

    /// For how long after its lifetime a response is still served while a new one is made in the background
    /// (RFC 5861), unless it says so itself or forbids it. Default: zero.
    ///
    /// It never applies where the response says `must-revalidate`, `proxy-revalidate`, `no-cache` or `s-maxage`.
    #[must_use]
    pub fn stale_while_revalidate(self, window: Duration) -> Self {
        self.set(|settings| settings.stale_while_revalidate = window)
    }

    /// For how long after its lifetime a response is served in place of an error: of the inner service's, or of a 500,
    /// 502, 503 or 504 (RFC 5861). Default: zero. Exceptions as for
    /// [`stale_while_revalidate`](Self::stale_while_revalidate).
    #[must_use]
    pub fn stale_if_error(self, window: Duration) -> Self {
        self.set(|settings| settings.stale_if_error = window)
    }

    /// Bodies longer than this are delivered as they come, and not stored. Bytes; default 1 MiB.
    #[must_use]
    pub fn body_limit(self, bytes: u64) -> Self {
        self.set(|settings| settings.body_limit = bytes)
    }

    /// How lifetimes are spread. Default: 10 %.
    #[must_use]
    pub fn jitter(self, jitter: Jitter) -> Self {
        self.set(|settings| settings.jitter = jitter)
    }

    /// Whether a response is made anew shortly before its end. Default: as XFetch with beta 1.
    #[must_use]
    pub fn early_refresh(self, early_refresh: EarlyRefresh) -> Self {
        self.set(|settings| settings.early_refresh = early_refresh)
    }

    /// Which part of the query selects the response. Default: all of it, as sent.
    #[must_use]
    pub fn query(self, query: Query) -> Self {
        self.set(|settings| settings.query = query)
    }

    /// Adds a request header to the key, and to the `Vary` of the response for the caches behind this one.
    #[must_use]
    pub fn add_key_header(self, name: HeaderName) -> Self {
        self.set(|settings| {
            settings.keyed_forwarding = settings.keyed_forwarding.without(Forwarding::of(name.as_str()));
            settings.key_headers.push(name);
        })
    }

    /// Says that clients have no influence on a request header, since a proxy in front sets it or takes it away.
    ///
    /// What frameworks believe of the request that such a proxy was sent is in the key wherever it is in the request, or
    /// one client could have a response made for all others: `Forwarded` without its `for` and `by`; `X-Forwarded-`
    /// `Host`, `Proto`, `Protocol`, `Scheme`, `Port`, `Prefix`, `Path`, `Context`, `Uri`, `Server`, `Ssl`; `X-Original-` `Host`, `URI`, `URL`;
    /// `X-Host`, `X-Rewrite-URL`, `X-Scheme`, `X-URL-Scheme`, `Front-End-Https`, `CloudFront-Forwarded-Proto`. This takes one of them out. Other headers
    /// are in the key only if they are [named](Self::add_key_header), or the response's `Vary` names them.
    #[must_use]
    pub fn trust_header(self, name: &HeaderName) -> Self {
        self.set(|settings| {
            settings.keyed_forwarding = settings.keyed_forwarding.without(Forwarding::of(name.as_str()));
        })
    }

    /// Names a request header that is to have no influence on the response. It is stripped from the requests that the
    /// cache handles before the handler sees them; those it only forwards (a `POST`, an upgrade) keep it.
    #[must_use]
    pub fn ignore_header(self, name: HeaderName) -> Self {
        self.trust_header(&name).set(|settings| settings.ignored_headers.push(name))
    }

    /// Adds a cookie to the key. A response under it says `Vary: Cookie`.
    #[must_use]
    pub fn add_key_cookie(self, name: &str) -> Self {
        self.set(|settings| settings.key_cookies.push(name.into()))
    }

    /// Names a cookie that has no influence on the response. It is stripped from the requests that the cache handles
    /// before the handler sees them; those it only forwards (a `POST`, an upgrade) keep it.
    #[must_use]
    pub fn ignore_cookie(self, name: &str) -> Self {
        self.set(|settings| settings.ignored_cookies.push(name.into()))
    }

    /// One response per principal: whoever the request is made for, as far as your own authentication (further out) can
    /// tell from its head. `None` is everyone who is nobody.
    ///
    /// With a principal in the key, `Authorization` and unknown cookies do not keep a response from being stored for
    /// that principal. A response that says `private` still is not, and one under a principal says so to the caches
    /// behind this one only if the handler does.
    #[must_use]
    pub fn principal(self, of: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.principal = Some(Principal(Arc::new(of))))
    }

    /// The one scheme and authority that this service answers for, in place of what requests say. Requests for other
    /// hosts then share its entries, and a purge may name paths alone.
    ///
    /// # Panics
    ///
    /// When `uri` is not of the form `https://example.com`.
    #[must_use]
    pub fn site(self, uri: &str) -> Self {
        let site = uri.parse::<Uri>().ok().filter(|uri| uri.scheme().is_some() && uri.authority().is_some());
        let site = site.unwrap_or_else(|| panic!("a site has a scheme and a host, as https://example.com: {uri:?}"));
        self.set(|settings| settings.site = Some(site))
    }

    /// The path that was stripped before requests come to the layer, as axum's `Router::nest` strips it: two nested routers
    /// over one store would else share what their paths have in common. Purges by URI name the whole path.
    ///
    /// # Panics
    ///
    /// When `path` does not start with a slash, or ends with one.
    #[must_use]
    pub fn mounted_at(self, path: &str) -> Self {
        let is_prefix = path.starts_with('/') && !path.ends_with('/');
        assert!(is_prefix, "a layer is mounted at a path as /admin: {path:?}");
        self.set(|settings| settings.mounted_at = path.into())
    }

    /// Adds a tag to every response of the route.
    #[must_use]
    pub fn tag(self, tag: impl Into<Tag>) -> Self {
        self.set(|settings| settings.tags.push(tag.into()))
    }

    /// Computes further tags from the request.
    #[must_use]
    pub fn tags_by(self, tags: impl Fn(&Parts) -> Vec<Tag> + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.computed_tags = Some(ComputedTags(Arc::new(tags))))
    }

    /// Guesses a lifetime for responses that say nothing of their own and get none by the rules: a tenth of the time
    /// since `Last-Modified`, 24 h at the most (RFC 9111, 4.2.2). Off by default.
    #[must_use]
    pub fn heuristic_freshness(self) -> Self {
        self.set(|settings| settings.heuristics = Heuristics::On)
    }

    /// Gives a strong `ETag` to every stored 200 that came without one, so that clients which have it are answered with a
    /// 304. Off by default.
    ///
    /// It is a hash of the stored bytes, of their `Content-Type` and their `Content-Encoding`, and the same on each node. It
    /// is known when the body has come to its end: the request that caused the fill has none, nor has a body over the
    /// [limit](Self::body_limit). The handler is never asked by it when the page is stale, since it does not know it;
    /// and it fails an `If-Match` that it evaluates.
    ///
    /// A layer that compresses must lie inside of the cache: outside it would put other bytes under the same tag.
    #[must_use]
    pub fn generate_etags(self) -> Self {
        self.set(|settings| settings.etags = Etags::Generated)
    }

    /// Lets clients ask for more than freshness: `no-cache`, `max-age`, `min-fresh`, `max-stale` in a request's
    /// `Cache-Control` (RFC 9111, 5.2.1). Off by default, since it lets any client send every request to the handler.
    #[must_use]
    pub fn honour_client_directives(self) -> Self {
        self.set(|settings| settings.client_directives = ClientDirectives::Honoured)
    }

    /// Stores responses with `Set-Cookie`, cookie included, as RFC 9111 allows. Everyone who is answered from the store
    /// gets that cookie: right for a proxy whose origin marks personal responses itself, a leak nearly everywhere else.
    #[must_use]
    pub fn danger_store_set_cookie(self) -> Self {
        self.set(|settings| settings.set_cookie = SetCookie::Stored)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0
    }

    pub(super) fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

// === impl Settings ===

impl Settings {
    pub(crate) fn is_keyed_by_principal(&self) -> bool {
        self.principal.is_some()
    }

    /// The principal that the request is made for, where the rules key by one and there is one.
    pub(crate) fn principal(&self, parts: &Parts) -> Option<String> {
        self.principal.as_ref().and_then(|Principal(of)| of(parts))
    }

    /// Whether a cookie of this name may be in a request whose response is for everyone.
    pub(crate) fn knows_cookie(&self, name: &[u8]) -> bool {
        self.key_cookies.iter().chain(&self.ignored_cookies).any(|cookie| cookie.as_bytes() == name)
    }

    /// Takes away what has no influence on the response, before the handler can let it have any.
    pub(crate) fn strip(&self, parts: &mut Parts) {
        self.query.strip(&mut parts.uri);
        key::settle_authority(self, parts);
        let headers = &mut parts.headers;
        for name in &self.ignored_headers {
            headers.remove(name);
        }
        // Without a cookie in it the field is not in the key.
        if cookies::pairs(headers).next().is_none() {
            headers.remove(header::COOKIE);
        }
        if cookies::has_one_of(&self.ignored_cookies, headers) {
            let mut left = Vec::new();
            cookies::write_without(&self.ignored_cookies, headers, &mut |part| left.extend_from_slice(part));
            match HeaderValue::from_bytes(&left) {
                Ok(left) if !left.is_empty() => drop(headers.insert(header::COOKIE, left)),
                _ => drop(headers.remove(header::COOKIE)),
            }
        }
        if self.spelling == Spelling::Normal {
            for name in [header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE] {
                let mut text = Vec::new();
                let Some(preferences) = Preferences::of(&name, headers) else { continue };
                preferences.write(&mut |part| text.extend_from_slice(part));
                if let Ok(text) = HeaderValue::from_bytes(&text) {
                    headers.insert(name, text);
                }
            }
        }
    }

    /// The fields of a request as its handler sees them.
    #[inline]
    pub(crate) fn seen<'a>(&'a self, headers: &'a HeaderMap) -> Seen<'a> {
        Seen {
            headers,
            ignored_headers: &self.ignored_headers,
            ignored_cookies: &self.ignored_cookies,
            spelling: self.spelling,
        }
    }

    /// Says in `Vary` what is in the key for the rules' sake: it must be for the caches behind this one too.
    pub(crate) fn add_vary(&self, asked: Asked, head: &mut HeaderMap) {
        let cookie = (!self.key_cookies.is_empty()).then_some(&header::COOKIE);
        let forwarding = asked.forwarding().intersection(self.keyed_forwarding);
        for name in self.key_headers.iter().chain(cookie).chain(forwarding.names()) {
            let is_there = match vary::parse(head) {
                Vary::On(names) => names.contains(name),
                Vary::Star => true,
            };
            if !is_there {
                let _full = head.try_append(header::VARY, HeaderValue::from_name(name.clone()));
            }
        }
    }

    /// The rule's tags for a request.
    pub(crate) fn rule_tags(&self, parts: &Parts) -> Vec<Tag> {
        let computed = self.computed_tags.as_ref().map(|ComputedTags(tags)| tags(parts));
        self.tags.iter().cloned().chain(computed.into_iter().flatten()).collect()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bypass: false,
            default_ttl: None,
            negative_ttl: None,
            max_ttl: None,
            pass_ttl: Duration::from_secs(10),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            body_limit: 1 << 20,
            jitter: Jitter::default(),
            early_refresh: EarlyRefresh::default(),
            query: Query::ALL,
            key_headers: Vec::new(),
            key_cookies: Vec::new(),
            keyed_forwarding: Forwarding::ALL,
            ignored_headers: Vec::new(),
            ignored_cookies: Vec::new(),
            principal: None,
            site: None,
            mounted_at: Box::default(),
            tags: Vec::new(),
            computed_tags: None,
            set_cookie: SetCookie::Refused,
            heuristics: Heuristics::Off,
            client_directives: ClientDirectives::Ignored,
            targeted_fields: Vec::new(),
            spelling: Spelling::Sent,
            request_cookies: RequestCookies::Personal,
            authorized: Authorized::Apart,
            post: Post::Forwarded,
            languages: Languages::Apart,
            etags: Etags::Given,
        }
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Principal(..)")
    }
}

impl fmt::Debug for ComputedTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ComputedTags(..)")
    }
}
