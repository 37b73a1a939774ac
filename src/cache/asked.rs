//! What a request asks for, as far as the cache is concerned. Read in one pass, since every hit pays for it.

use http::{HeaderMap, Method, Request, Uri, request::Parts};

use super::{
    policy::{cookies, forwarding::Forwarding},
    rules::{RequestCookies, Settings},
};

/// The fields of a request that the cache looks at, if they are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    facts: u16,
    forwarding: Forwarding,
}

/// The head of a request, wherever it stands. A hit does not take its request apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
}

/// Which host a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host<'a> {
    /// It does not say; a plain Tower stack may have none.
    Unsaid,
    One(&'a [u8]),
    Several,
}

const RANGE: u16 = 1;
const CONDITION: u16 = 1 << 1;
const PRECONDITION: u16 = 1 << 2;
const AUTHORIZATION: u16 = 1 << 3;
const COOKIE: u16 = 1 << 4;
const CONTROL: u16 = 1 << 5;
const UPGRADE: u16 = 1 << 6;
const OVERRIDE: u16 = 1 << 7;

// === impl Asked ===

impl Asked {
    #[inline]
    pub(crate) fn of(headers: &HeaderMap) -> (Self, Host<'_>) {
        let (mut facts, mut forwarding, mut host) = (0, Forwarding::NONE, Host::Unsaid);
        for (name, value) in headers {
            // By the text and not by a chain of comparisons: the compiler makes a switch on length and words of it.
            facts |= match name.as_str() {
                "host" => {
                    host = if host == Host::Unsaid { Host::One(value.as_bytes()) } else { Host::Several };
                    0
                }
                "range" => RANGE,
                "if-none-match" | "if-modified-since" => CONDITION,
                "if-match" | "if-unmodified-since" => PRECONDITION,
                "authorization" => AUTHORIZATION,
                "cookie" => COOKIE,
                "cache-control" | "pragma" => CONTROL,
                "upgrade" => UPGRADE,
                "x-http-method-override" | "x-http-method" | "x-method-override" => OVERRIDE,
                name => {
                    forwarding = forwarding.union(Forwarding::of(name));
                    0
                }
            };
        }
        (Self { facts, forwarding }, host)
    }

    /// `Range`.
    pub(crate) fn range(self) -> bool {
        self.facts & RANGE != 0
    }

    /// `If-None-Match` or `If-Modified-Since`.
    pub(crate) fn condition(self) -> bool {
        self.facts & CONDITION != 0
    }

    /// `If-Match` or `If-Unmodified-Since`, which only the origin can evaluate (RFC 9111, 4.3.2).
    pub(crate) fn precondition(self) -> bool {
        self.facts & PRECONDITION != 0
    }

    /// `Authorization`.
    pub(crate) fn authorization(self) -> bool {
        self.facts & AUTHORIZATION != 0
    }

    /// `Cache-Control` or `Pragma`.
    pub(crate) fn control(self) -> bool {
        self.facts & CONTROL != 0
    }

    /// `Upgrade`.
    pub(crate) fn upgrade(self) -> bool {
        self.facts & UPGRADE != 0
    }

    /// A field by which frameworks are asked for another method than the request's.
    pub(crate) fn method_override(self) -> bool {
        self.facts & OVERRIDE != 0
    }

    /// What it says of the request that a proxy was sent.
    pub(crate) fn forwarding(self) -> Forwarding {
        self.forwarding
    }

    /// Whether there is a cookie that the rules do not know: what the handler makes of it may be for one user alone.
    pub(crate) fn personal_cookie(self, headers: &HeaderMap, settings: &Settings) -> bool {
        self.facts & COOKIE != 0
            && settings.request_cookies == RequestCookies::Personal
            && cookies::pairs(headers).any(|(name, _)| !settings.knows_cookie(name))
    }
}

// === impl Head ===

impl Head<'_> {
    /// A `QUERY` is answered as a GET of what it finds (RFC 10008, 2.6 and 2.8).
    pub(crate) fn of_result(self) -> Self {
        if self.method == Method::HEAD { self } else { Self { method: &Method::GET, ..self } }
    }
}

impl<'a> From<&'a Parts> for Head<'a> {
    fn from(parts: &'a Parts) -> Self {
        Self { method: &parts.method, uri: &parts.uri, headers: &parts.headers }
    }
}

impl<'a, B> From<&'a Request<B>> for Head<'a> {
    #[inline]
    fn from(request: &'a Request<B>) -> Self {
        Self { method: request.method(), uri: request.uri(), headers: request.headers() }
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;
    use crate::cache::rules::Rules;

    fn parts(cookie: &[&str]) -> Parts {
        let mut parts = http::Request::new(()).into_parts().0;
        for line in cookie {
            parts.headers.append(header::COOKIE, line.parse().unwrap());
        }
        parts
    }

    #[test]
    fn an_unnamed_cookie_is_personal() {
        let rules = Rules::new().add_key_cookie("lang").ignore_cookie("_ga");
        for (lines, personal) in [
            (&[][..], false),
            (&["lang=en; _ga=1"], false),
            (&["lang=en", "sid=1"], true),
            (&["lang=en; Lang=en"], true),
            (&["; ;"], false),
            (&["sid"], true),
            (&["lang =en"], false),
        ] {
            let parts = parts(lines);
            let (asked, _) = Asked::of(&parts.headers);
            assert_eq!(asked.personal_cookie(&parts.headers, rules.settings()), personal, "{lines:?}");
        }
    }
}
