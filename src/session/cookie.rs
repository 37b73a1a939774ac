//! The cookie that carries a session's token.

use std::{fmt::Write as _, time::Duration};

use http::{
    HeaderMap, HeaderValue,
    header::{self, Entry},
};

/// What the session cookie is called, and what browsers are told of it.
///
/// The default is `__Host-id=..; Path=/; Secure; HttpOnly; SameSite=Lax`: browsers take it from this host over TLS alone (on
/// `localhost` without), send it nowhere else, and show it to no script. It lasts until the browser is closed, or for
/// [remembered](super::Session::remember) sessions until their absolute deadline.
///
/// Where a request comes with several cookies of this name that differ, none is believed, since all but one are another's: the
/// request has no session. Two things lead to that:
///
/// - A browser tells cookies apart by name, domain, path and partition. Who changes [`domain`](Self::domain), [`path`](Self::path) or
///   [`partitioned`](Self::partitioned) of a cookie that is in use gives it another [`name`](Self::name), too: otherwise browsers
///   send the old one beside the new one, for as long as they keep it.
/// - Without the prefix `__Host-`, another host of the same site can set one for this host. Who has both has no session until one
///   of them is removed; who has no other uses the session that it names.
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionCookie {
    name: Box<str>,
    full_name: Box<str>,
    domain: Option<Box<str>>,
    path: Box<str>,
    same_site: SameSite,
    partitioned: bool,
    insecure: bool,
}

/// With which requests of other sites a browser sends the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// With none: also who follows a link arrives without a session.
    Strict,
    /// When a link is followed, and not with what changes something.
    Lax,
    /// With all: the handlers need another protection against forged requests.
    None,
}

// === impl SessionCookie ===

impl SessionCookie {
    /// The default.
    pub fn new() -> Self {
        let cookie = Self {
            name: "id".into(),
            full_name: Box::default(),
            domain: None,
            path: "/".into(),
            same_site: SameSite::Lax,
            partitioned: false,
            insecure: false,
        };
        cookie.named()
    }

    /// Its name, without the prefix. Default: `id`.
    ///
    /// # Panics
    ///
    /// When `name` is not a token as of RFC 6265, 4.1.1.
    pub fn name(mut self, name: &str) -> Self {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert!(!name.is_empty() && name.bytes().all(is_token), "`{name}` is no name for a cookie");
        self.name = name.into();
        self.named()
    }

    /// Shared with all hosts below `domain`, any of which may then overwrite it, or set another [beside it](Self): the prefix is
    /// `__Secure-`. Default: this host alone.
    ///
    /// # Panics
    ///
    /// When `domain` is not of letters, digits, dots and hyphens.
    pub fn domain(mut self, domain: &str) -> Self {
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
        assert!(!domain.is_empty() && domain.bytes().all(is_host), "`{domain}` is no domain for a cookie");
        self.domain = Some(domain.into());
        self.named()
    }

    /// Sent to paths below `path` alone, which keeps nothing secret from the rest of the host: the prefix is `__Secure-`.
    /// Default: `/`.
    ///
    /// # Panics
    ///
    /// When `path` does not begin with a slash, or has a semicolon or what is no visible ASCII.
    pub fn path(mut self, path: &str) -> Self {
        let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
        assert!(is_path, "`{path}` is no path for a cookie");
        self.path = path.into();
        self.named()
    }

    /// With which requests of other sites it is sent. Default: [`SameSite::Lax`].
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self.named()
    }

    /// Within a page of another site, a jar of its own for each such site (CHIPS). Default: off.
    pub fn partitioned(mut self) -> Self {
        self.partitioned = true;
        self.named()
    }

    /// Without `Secure` and without a prefix, for development over plain HTTP by another name than `localhost`. Whoever is on
    /// the way can then read and set it.
    pub fn danger_insecure(mut self) -> Self {
        self.insecure = true;
        self.named()
    }

    /// # Panics
    ///
    /// When browsers would refuse what is asked for.
    fn named(mut self) -> Self {
        let wants_secure = self.partitioned || self.same_site == SameSite::None;
        assert!(!self.insecure || !wants_secure, "`Partitioned` and `SameSite=None` want a secure cookie");
        let prefix = match (self.insecure, &self.domain, &*self.path) {
            (true, ..) => "",
            (false, None, "/") => "__Host-",
            _ => "__Secure-",
        };
        self.full_name = format!("{prefix}{}", self.name).into();
        self
    }

    /// The values of all cookies of this name.
    pub(super) fn values<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a [u8]> {
        let lines = headers.get_all(header::COOKIE).into_iter();
        lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b';')).filter_map(|pair| self.value(pair))
    }

    /// Takes all cookies of this name out of a request.
    pub(super) fn strip(&self, headers: &mut HeaderMap) {
        let Entry::Occupied(lines) = headers.entry(header::COOKIE) else { return };
        let (_, lines) = lines.remove_entry_mult();
        let mut left = Vec::new();
        for line in lines {
            if !self.is_in(&line) {
                left.push(line);
                continue;
            }
            let others = line.as_bytes().split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let others: Vec<_> = others.filter(|pair| !pair.is_empty() && self.value(pair).is_none()).collect();
            left.extend(HeaderValue::from_bytes(&others.join(&b"; "[..])).ok().filter(|line| !line.is_empty()));
        }
        for line in left {
            headers.append(header::COOKIE, line);
        }
    }

    fn is_in(&self, line: &HeaderValue) -> bool {
        line.as_bytes().split(|&byte| byte == b';').any(|pair| self.value(pair).is_some())
    }

    fn value<'a>(&self, pair: &'a [u8]) -> Option<&'a [u8]> {
        let rest = pair.trim_ascii_start().strip_prefix(self.full_name.as_bytes())?.trim_ascii_start();
        Some(rest.strip_prefix(b"=")?.trim_ascii())
    }

    /// A `Set-Cookie` field. Without `value` it removes the cookie, which takes the attributes it was set with.
    pub(super) fn field(&self, value: Option<&str>, max_age: Option<Duration>) -> String {
        let mut field = format!("{}={}; Path={}", self.full_name, value.unwrap_or(""), self.path);
        if let Some(domain) = &self.domain {
            let _ = write!(field, "; Domain={domain}");
        }
        if !self.insecure {
            field.push_str("; Secure");
        }
        field.push_str("; HttpOnly; SameSite=");
        field.push_str(match self.same_site {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
            SameSite::None => "None",
        });
        if self.partitioned {
            field.push_str("; Partitioned");
        }
        let max_age = if value.is_none() { Some(Duration::ZERO) } else { max_age };
        if let Some(max_age) = max_age {
            let _ = write!(field, "; Max-Age={}", max_age.as_secs());
        }
        field
    }
}

impl Default for SessionCookie {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (header::COOKIE, line.parse().unwrap())).collect()
    }

    #[test]
    fn the_cookie_is_found_among_others_and_taken_out() {
        for (lines, found, left) in [
            (&["__Host-id=x"][..], &["x"][..], &[][..]),
            (&["a=b; __Host-id=x ; c=d"], &["x"], &["a=b; c=d"]),
            (&["a=b;__Host-id=x"], &["x"], &["a=b"]),
            (&["a=b", "__Host-id=x", "c=d;e=f"], &["x"], &["a=b", "c=d;e=f"]),
            (&["__Host-id = x; a=b"], &["x"], &["a=b"]),
            (&["__Host-id=x; __Host-id=y"], &["x", "y"], &[]),
            (&["__Host-id=x", "__Host-id=y"], &["x", "y"], &[]),
            (&["__host-id=x"], &[], &["__host-id=x"]),
            (&["__Host-idx=x"], &[], &["__Host-idx=x"]),
            (&["__Host-id"], &[], &["__Host-id"]),
            (&["id=x", "x__Host-id=x"], &[], &["id=x", "x__Host-id=x"]),
            (&["__Host-id="], &[""], &[]),
            (&[], &[], &[]),
        ] {
            let (cookie, mut headers) = (SessionCookie::new(), headers(lines));
            let values: Vec<_> = cookie.values(&headers).collect();
            assert_eq!(values, found.iter().map(|value| value.as_bytes()).collect::<Vec<_>>(), "{lines:?}");
            cookie.strip(&mut headers);
            assert_eq!(headers.get_all(header::COOKIE).iter().collect::<Vec<_>>(), left, "{lines:?}");
        }
    }

    #[test]
    fn the_prefix_tells_what_browsers_hold_it_to() {
        let field = |cookie: SessionCookie| cookie.field(Some("x"), None);
        assert_eq!(field(SessionCookie::new()), "__Host-id=x; Path=/; Secure; HttpOnly; SameSite=Lax");
        let wide = SessionCookie::new().name("sid").domain("example.com").same_site(SameSite::Strict);
        assert_eq!(field(wide), "__Secure-sid=x; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Strict");
        let embedded = SessionCookie::new().same_site(SameSite::None).partitioned();
        assert_eq!(field(embedded), "__Host-id=x; Path=/; Secure; HttpOnly; SameSite=None; Partitioned");
        assert_eq!(field(SessionCookie::new().danger_insecure()), "id=x; Path=/; HttpOnly; SameSite=Lax");
    }

    #[test]
    #[should_panic(expected = "want a secure cookie")]
    fn what_browsers_would_refuse_is_refused_at_once() {
        let _ = SessionCookie::new().danger_insecure().partitioned();
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(line in "[ -~]{0,200}") {
            let (cookie, mut headers) = (SessionCookie::new().danger_insecure().name("i"), headers(&[&line]));
            prop_assert!(cookie.values(&headers).count() <= line.matches('i').count());
            cookie.strip(&mut headers);
            prop_assert_eq!(cookie.values(&headers).next(), None);
        }
    }
}
