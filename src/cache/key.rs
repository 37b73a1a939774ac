//! From a request to the key of its response.
//!
//! The target URI names the resource; everything else that selects the response is hashed into the variant, so that
//! purging a URI reaches every variant of it.

use http::{
    HeaderMap, HeaderName, HeaderValue, Uri, header,
    request::Parts,
    uri::{Authority, Scheme},
};

use super::{
    asked::{Asked, Head, Host},
    policy::{
        cookies,
        forwarding::Forwarding,
        vary::{self, Seen},
    },
    query::Query,
    query_method::Content,
    rules::Settings,
};
use crate::store::{Key, KeyHasher, Primary, Seed, Tag};

/// The longest host name of the DNS, and a port.
const LONGEST_AUTHORITY: usize = 255 + 6;

/// Whose requests may share a response with this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Everyone's.
    Everyone,
    /// Those of the principal in the key.
    Principal,
    /// Those of requests that are personal in the same way, where the response says explicitly that it is for all of
    /// them. They are kept apart from everyone's, so that what they find uncacheable stays cacheable for the others.
    Personal(Personal),
}

/// By what a request is personal: by something that the key does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Personal {
    /// `Authorization`.
    pub(crate) authorized: bool,
    /// A cookie that the rules do not know.
    pub(crate) cookied: bool,
}

/// The key of the response to a request that is selected by what the rules know, before any `Vary`.
///
/// `None` when the request names several hosts. That the one it names [can be one](is_authority) is not asked here.
#[inline]
pub(crate) fn of(
    seed: &Seed,
    settings: &Settings,
    (head, content, principal): (Head<'_>, Option<&Content>, Option<&str>),
    (asked, host): (Asked, Host<'_>),
) -> Option<(Key, Audience)> {
    let key = Key::new(primary(seed, settings, (&settings.mounted_at, head.uri), host)?);
    let personal =
        Personal { authorized: asked.authorization(), cookied: asked.personal_cookie(head.headers, settings) };
    let audience = match &principal {
        Some(_) => Audience::Principal,
        None if personal.authorized || personal.cookied => Audience::Personal(personal),
        None => Audience::Everyone,
    };
    Some((key.with_variant(base_variant(seed, settings, (head.headers, asked), (content, principal))), audience))
}

/// Where the responses to personal requests are, beside those to everyone's under `key`.
pub(crate) fn personal(seed: &Seed, key: Key, personal: Personal) -> Key {
    let mut hasher = seed.hasher();
    hasher.number(key.variant());
    hasher.number(u128::from(personal.authorized) << 1 | u128::from(personal.cookied));
    key.with_variant(nonzero(hasher.finish()))
}

/// Where a `POST` to what has `key` holds its place among others. Nothing is ever kept there.
pub(crate) fn post(seed: &Seed, key: Key) -> Key {
    let mut hasher = seed.hasher();
    hasher.number(key.variant());
    hasher.number(u128::MAX);
    key.with_variant(nonzero(hasher.finish()))
}

#[inline]
fn base_variant(
    seed: &Seed,
    settings: &Settings,
    (headers, asked): (&HeaderMap, Asked),
    (content, principal): (Option<&Content>, Option<&str>),
) -> u128 {
    let forwarding = asked.forwarding().intersection(settings.keyed_forwarding);
    if principal.is_some()
        || content.is_some()
        || !settings.key_headers.is_empty()
        || !settings.key_cookies.is_empty()
        || forwarding != Forwarding::NONE
    {
        return selected_variant(seed, settings, (headers, forwarding), (content, principal));
    }
    0
}

/// Out of the way of the many requests that nothing selects among.
#[inline(never)]
fn selected_variant(
    seed: &Seed,
    settings: &Settings,
    (headers, forwarding): (&HeaderMap, Forwarding),
    (content, principal): (Option<&Content>, Option<&str>),
) -> u128 {
    let mut hasher = seed.hasher();
    let sections = u128::from(principal.is_some()) | u128::from(content.is_some()) << 1;
    hasher.number(sections | u128::from(forwarding.bits()) << 32);
    if let Some(Content(content)) = content {
        hasher.field(content);
        vary::selecting(&CONTENT_METADATA, settings.seen(headers), &mut |part| hasher.write(part));
    }
    if let Some(name) = principal {
        hasher.field(name.as_bytes());
    }
    vary::selecting(&settings.key_headers, settings.seen(headers), &mut |part| hasher.write(part));
    for name in &settings.key_cookies {
        hasher.field(name.as_bytes());
        for (_, value) in cookies::pairs(headers).filter(|(sent, _)| *sent == name.as_bytes()) {
            hasher.number(1);
            hasher.field(value);
        }
        hasher.number(0);
    }
    forwarding.selecting(headers, &mut |part| hasher.write(part));
    nonzero(hasher.finish())
}

/// The variant of `key` that the request's values of `names` select.
pub(crate) fn variant(seed: &Seed, key: &Key, names: &[HeaderName], seen: Seen<'_>) -> u128 {
    let mut hasher = seed.hasher();
    hasher.number(key.variant());
    vary::selecting(names, seen, &mut |part| hasher.write(part));
    nonzero(hasher.finish())
}

/// The resource that a request addresses, of whose path something may have been stripped.
#[inline]
pub(crate) fn primary(
    seed: &Seed,
    settings: &Settings,
    (stripped, uri): (&str, &Uri),
    host: Host<'_>,
) -> Option<Primary> {
    let authority = authority(settings, uri, host)?;
    Some(resource(seed, scheme(settings, uri), authority, (stripped, uri), &settings.query))
}

/// Whom a request is for, as far as it says so without contradiction.
#[inline]
pub(crate) fn authority<'a>(settings: &'a Settings, uri: &'a Uri, host: Host<'a>) -> Option<&'a [u8]> {
    match (settings.site.as_ref().unwrap_or(uri).authority(), host) {
        (Some(authority), _) => Some(authority.as_str().as_bytes()),
        (None, Host::One(host)) => Some(host),
        (None, Host::Unsaid) => Some(b""),
        (None, Host::Several) => None,
    }
}

/// Makes a request say whom it is for as its key does, in `Host` too: neither another spelling nor another name, nor none
/// beside one in the URI, has any influence.
pub(crate) fn settle_authority(settings: &Settings, parts: &mut Parts) {
    let Some(authority) = authority(settings, &parts.uri, Asked::of(&parts.headers).1) else { return };
    let scheme = scheme(settings, &parts.uri).cloned();
    let authority = without_own_port(scheme.as_ref(), authority).to_ascii_lowercase();
    if parts.uri.authority().is_some_and(|said| said.as_str().as_bytes() != authority || settings.site.is_some()) {
        let mut uri = parts.uri.clone().into_parts();
        (uri.scheme, uri.authority) = (scheme, Authority::try_from(&authority[..]).ok());
        // What cannot be put together was no URI of a resource.
        parts.uri = Uri::from_parts(uri).unwrap_or_else(|_| std::mem::take(&mut parts.uri));
    }
    let mut told = parts.headers.get_all(header::HOST).iter();
    let is_settled = told.next().map_or(&b""[..], HeaderValue::as_bytes) == authority && told.next().is_none();
    if !is_settled && let Ok(settled) = HeaderValue::from_bytes(&authority) {
        let _full = parts.headers.try_insert(header::HOST, settled);
    }
}

/// The resource that an absolute URI names, or a relative one on the rules' site.
pub(crate) fn of_uri(seed: &Seed, settings: &Settings, uri: &Uri) -> Option<Primary> {
    let site = settings.site.as_ref().unwrap_or(uri);
    let authority = site.authority()?.as_str().as_bytes();
    Some(resource(seed, site.scheme(), authority, ("", uri), &settings.query))
}

#[inline]
fn resource(
    seed: &Seed,
    scheme: Option<&Scheme>,
    authority: &[u8],
    (stripped, uri): (&str, &Uri),
    query: &Query,
) -> Primary {
    let mut hasher = seed.hasher();
    hash_origin(scheme, authority, &mut hasher);
    hasher.joined_field(stripped.as_bytes(), uri.path().as_bytes());
    query.hash(uri.query(), &mut hasher);
    Primary::from(hasher.finish())
}

/// The tag of a group of responses, of the origin that a request addresses (RFC 9875, 2.1).
///
/// A hash with the store's secret, which none of a program's own tags can be.
pub(crate) fn group(seed: &Seed, settings: &Settings, uri: &Uri, host: Host<'_>, name: &str) -> Option<Tag> {
    let mut hasher = seed.hasher();
    hash_origin(scheme(settings, uri), authority(settings, uri, host)?, &mut hasher);
    hasher.field(name.as_bytes());
    Some(Tag::from(format!("group {:032x}", hasher.finish())))
}

fn scheme<'a>(settings: &'a Settings, uri: &'a Uri) -> Option<&'a Scheme> {
    settings.site.as_ref().unwrap_or(uri).scheme()
}

#[inline]
fn hash_origin(scheme: Option<&Scheme>, authority: &[u8], hasher: &mut KeyHasher) {
    let kind = match scheme.map_or("http", Scheme::as_str) {
        "http" => 0,
        "https" => 1,
        other => {
            hasher.field_of_kind(2, other.as_bytes());
            3
        }
    };
    hasher.caseless_field_of_kind(kind, without_own_port(scheme, authority));
}

/// RFC 9110, 4.2.3
#[inline]
fn without_own_port<'a>(scheme: Option<&Scheme>, authority: &'a [u8]) -> &'a [u8] {
    let own_port: &[u8] = match scheme.map_or("http", Scheme::as_str) {
        "http" => b":80",
        "https" => b":443",
        _ => b"",
    };
    authority.strip_suffix(own_port).unwrap_or(authority)
}

/// Whether `authority` can be a host and a port (RFC 3986, 3.2.2). User information is not for a server to see.
///
/// Asked before anything is stored under it, so that a hit need not ask.
pub(crate) fn is_authority(authority: &[u8]) -> bool {
    let is_sign = |byte| b"-._~:[]%!$&'()*+,;=".contains(byte);
    authority.len() <= LONGEST_AUTHORITY && authority.iter().all(|byte| byte.is_ascii_alphanumeric() || is_sign(byte))
}

/// What says how the content of a request is to be read (RFC 9110, 8.3 to 8.7).
const CONTENT_METADATA: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::CONTENT_LOCATION];

/// Zero is the variant that nothing selects.
fn nonzero(hash: u128) -> u128 {
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use http::{Request, header};
    use proptest::prelude::*;

    use super::*;
    use crate::cache::{query::Query, rules::Rules};

    fn key(rules: &Rules, request: Request<()>) -> Option<Key> {
        let seed = Seed::from_bytes([3; 16]);
        let parts = request.into_parts().0;
        let asked = Asked::of(&parts.headers);
        let principal = rules.settings().principal(&parts);
        let content = parts.extensions.get::<Content>();
        of(&seed, rules.settings(), (Head::from(&parts), content, principal.as_deref()), asked).map(|(key, _)| key)
    }

    fn get(uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let request = headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap()
    }

    #[test]
    fn host_scheme_path_and_query_are_in_the_key() {
        let rules = Rules::new();
        let base = key(&rules, get("/a?q=1", &[("host", "example.com")]));
        for (other, uri, host) in [
            ("host", "/a?q=1", "example.org"),
            ("path", "/b?q=1", "example.com"),
            ("case of the path", "/A?q=1", "example.com"),
            ("query", "/a?q=2", "example.com"),
            ("no query", "/a", "example.com"),
            ("empty query", "/a?", "example.com"),
            ("scheme", "https://example.com/a?q=1", "example.com"),
            ("port", "/a?q=1", "example.com:8080"),
        ] {
            assert_ne!(key(&rules, get(uri, &[("host", host)])), base, "{other}");
        }
        for (same, uri, host) in [
            ("case of the host", "/a?q=1", "EXAMPLE.com"),
            ("the scheme's own port", "/a?q=1", "example.com:80"),
            ("absolute form", "http://example.com/a?q=1", "ignored.example"),
        ] {
            assert_eq!(key(&rules, get(uri, &[("host", host)])), base, "{same}");
        }
    }

    #[test]
    fn a_request_for_no_host_or_several_has_no_key() {
        let rules = Rules::new();
        for host in ["a/b", "a b", "a@b", "a?b", "\\", "a\u{e9}", &"a".repeat(300)] {
            assert!(!is_authority(host.as_bytes()), "{host}");
        }
        for host in ["", "example.com", "EXAMPLE.com:8080", "[::1]:80", "xn--bcher-kva.example", "a%20b"] {
            assert!(is_authority(host.as_bytes()), "{host}");
        }
        assert_eq!(key(&rules, get("/", &[("host", "a"), ("host", "b")])), None);
        assert!(key(&rules, get("/", &[])).is_some(), "a plain Tower stack may have no host at all");
    }

    #[test]
    fn a_site_takes_the_place_of_the_host() {
        let rules = Rules::new().site("https://example.com");
        let one = key(&rules, get("/a", &[("host", "one")]));
        assert_eq!(one, key(&rules, get("http://two/a", &[])));
        let seed = Seed::from_bytes([3; 16]);
        let purged = of_uri(&seed, rules.settings(), &Uri::from_static("/a"));
        assert_eq!(one.map(|key| key.primary()), purged);
    }

    #[test]
    fn what_the_rules_name_selects_a_variant_of_the_same_resource() {
        let rules = Rules::new().add_key_header(header::ACCEPT_LANGUAGE).add_key_cookie("theme");
        let requests = [
            get("/", &[]),
            get("/", &[("accept-language", "")]),
            get("/", &[("accept-language", "de")]),
            get("/", &[("cookie", "theme=de")]),
            get("/", &[("cookie", "theme=")]),
            get("/", &[("cookie", "theme=de; theme=fr")]),
        ];
        let keys: Vec<Key> = requests.into_iter().map(|request| key(&rules, request).unwrap()).collect();
        for (i, a) in keys.iter().enumerate() {
            assert_eq!(a.primary(), keys[0].primary());
            assert!(keys[..i].iter().all(|b| a.variant() != b.variant()), "request {i} is its own variant");
        }
    }

    #[test]
    fn principals_are_apart_and_nobody_is_not_somebody() {
        let rules =
            Rules::new().principal(|parts| parts.headers.get("user").map(|user| user.to_str().unwrap().to_owned()));
        let [nobody, empty, a, b] = [&[][..], &[("user", "")], &[("user", "a")], &[("user", "b")]]
            .map(|headers| key(&rules, get("/", headers)).unwrap());
        assert!(nobody != empty && empty != a && a != b && nobody != a);
    }

    #[test]
    fn only_the_chosen_query_counts() {
        let rules = Rules::new().query(Query::only(["q"]).sorted());
        assert_eq!(key(&rules, get("/?q=1&x=2", &[])), key(&rules, get("/?x=3&q=1", &[])));
        assert_eq!(key(&rules, get("/?x=2", &[])), key(&rules, get("/", &[])));
        assert_ne!(key(&rules, get("/?q=1", &[])), key(&rules, get("/?q=1&q=1", &[])));
    }

    /// Two letters and what separates things somewhere: what runs into the next part would meet here.
    fn text(signs: &'static str) -> impl Strategy<Value = String> {
        prop::string::string_regex(&format!("[ab{signs}]{{0,4}}")).unwrap()
    }

    /// The parts of a request, as they select its response.
    #[derive(Clone, Debug, PartialEq)]
    struct Said {
        scheme: &'static str,
        host: String,
        path: String,
        query: Option<String>,
        content: Option<(Vec<u8>, Option<String>)>,
        principal: Option<String>,
        headers: [Option<String>; 3],
        cookies: Vec<(&'static str, String)>,
    }

    impl Said {
        fn any() -> impl Strategy<Value = Self> {
            let header = || prop::option::of(text("=; ").prop_map(|value| value.trim().to_owned()));
            let content = (prop::collection::vec(0u8..3, 0..4), prop::option::of(text("/")));
            let cookies = prop::collection::vec((prop::sample::select(vec!["c", "d"]), text("=")), 0..3);
            (
                (
                    prop::sample::select(vec!["http", "https", "ws"]),
                    "[ab.]{1,3}",
                    text("/;."),
                    prop::option::of(text("=&;?")),
                ),
                (prop::option::of(content), prop::option::of(text("")), [header(), header(), header()], cookies),
            )
                .prop_map(|((scheme, host, path, query), (content, principal, headers, mut cookies))| {
                    // The order of cookies of different names says nothing.
                    cookies.sort_by_key(|(name, _)| *name);
                    Self { scheme, host, path, query, content, principal, headers, cookies }
                })
        }

        fn request(&self) -> Request<()> {
            let Self { scheme, host, path, query, content, principal, headers, cookies } = self;
            let query = query.as_ref().map_or(String::new(), |query| format!("?{query}"));
            let mut request = get(&format!("{scheme}://{host}/{path}{query}"), &[]);
            let names = ["accept", "user-agent", "x-forwarded-host"];
            let kind = content.as_ref().and_then(|(_, kind)| kind.as_ref()).map(|kind| ("content-type", kind));
            let headers = names.into_iter().zip(headers).filter_map(|(name, value)| Some((name, value.as_ref()?)));
            for (name, value) in headers.chain(kind).chain(principal.as_ref().map(|principal| ("user", principal))) {
                request.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
            }
            for (name, value) in cookies {
                request.headers_mut().append(header::COOKIE, format!("{name}={value}").parse().unwrap());
            }
            if let Some((content, _)) = content {
                request.extensions_mut().insert(Content(content.clone().into()));
            }
            request
        }

        /// What the rules make of it: these parts in the key, and no others.
        fn keyed(&self, query: &Query) -> Self {
            let mut uri = self.request().uri().clone();
            query.strip(&mut uri);
            Self { query: uri.query().map(str::to_owned), ..self.clone() }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn requests_that_differ_in_a_keyed_part_never_share_a_key(
            a in Said::any(),
            b in Said::any(),
            same in 0..256u32,
            query in prop::sample::select(vec![Query::ALL, Query::only(["a"]), Query::except(["b"]), Query::ALL.sorted()]),
        ) {
            // Two requests at random have hardly a part in common.
            let mut b = b;
            let is_same = |part: u32| same & 1 << part != 0;
            if is_same(0) { b.scheme = a.scheme; }
            if is_same(1) { b.host.clone_from(&a.host); }
            if is_same(2) { b.path.clone_from(&a.path); }
            if is_same(3) { b.query.clone_from(&a.query); }
            if is_same(4) { b.content.clone_from(&a.content); }
            if is_same(5) { b.principal.clone_from(&a.principal); }
            if is_same(6) { b.headers.clone_from(&a.headers); }
            if is_same(7) { b.cookies.clone_from(&a.cookies); }
            let rules = Rules::new()
                .query(query.clone())
                .principal(|parts| parts.headers.get("user").map(|user| user.to_str().unwrap().to_owned()))
                .add_key_header(header::ACCEPT)
                .add_key_header(header::USER_AGENT)
                .add_key_cookie("c")
                .add_key_cookie("d");
            let [one, other] = [&a, &b].map(|said| key(&rules, said.request()));
            prop_assert_eq!(a.keyed(&query) == b.keyed(&query), one == other);
        }
    }
}
