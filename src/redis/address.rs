//! Where a Redis is: the grammar of its URL. Pure.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::error::Error;

/// What a URL says.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) place: Place,
    pub(super) tls: bool,
    pub(super) login: Login,
    pub(super) db: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Server(Host),
    Socket(PathBuf),
    /// The sentinels, and the name by which they know the primary.
    Sentinel(Vec<Host>, String),
    /// Some nodes; they know the others.
    Cluster(Vec<Host>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

/// Who one is to the server.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const FORMS: &str = "expected redis://[user:password@]host[:port][/db], rediss://.., redis+unix:///path[?db=0], \
                     redis+sentinel://[user:password@]host[:port],..[/service[/db]] or redis+cluster://[user:password@]host[:port],..";

// === impl Address ===

impl FromStr for Address {
    type Err = Error;

    /// No message contains any part of `url` behind its scheme, where the password is.
    fn from_str(url: &str) -> Result<Self, Error> {
        let (scheme, rest) = url.trim().split_once("://").ok_or_else(|| fault("it has no scheme"))?;
        let (scheme, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(fault("its scheme is unknown")),
        };
        let (rest, fragment) = cut(rest, '#');
        if fragment.is_some() {
            return Err(fault("it has a fragment, which means nothing here"));
        }
        let (rest, query) = cut(rest, '?');
        // A password may contain an `@`; a host may not.
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) if kind != "unix" => (Login::parse(login)?, rest),
            _ => (Login::default(), rest),
        };
        let (hosts, path) = cut(rest, '/');
        let path = path.map(decoded).transpose()?.unwrap_or_default();

        let mut address = match kind {
            "unix" if tls => return Err(fault("a socket has no TLS")),
            "unix" if hosts.is_empty() && !path.is_empty() => {
                Self { place: Place::Socket(PathBuf::from(format!("/{path}"))), tls, login, db: 0 }
            }
            "unix" => return Err(fault("the path of the socket is not absolute, as in redis+unix:///run/redis.sock")),
            "" => {
                let host = only(Host::list(hosts, PORT)?)?;
                Self { place: Place::Server(host), tls, login, db: number(&path)? }
            }
            "sentinel" => {
                let (service, db) = cut(&path, '/');
                let service = if service.is_empty() { "mymaster" } else { service };
                let place = Place::Sentinel(Host::list(hosts, SENTINEL_PORT)?, service.to_owned());
                Self { place, tls, login, db: number(db.unwrap_or_default())? }
            }
            "cluster" if number(&path)? == 0 => {
                Self { place: Place::Cluster(Host::list(hosts, PORT)?), tls, login, db: 0 }
            }
            "cluster" => return Err(fault("a Cluster has no database but 0")),
            _ => return Err(fault("its scheme is unknown")),
        };
        for (name, value) in query.iter().flat_map(|query| query.split('&')).map(|pair| cut(pair, '=')) {
            match (name, value) {
                ("db", Some(db)) if !matches!(address.place, Place::Cluster(_)) => address.db = number(db)?,
                ("user", Some(user)) => address.login.user = Some(decoded(user)?),
                ("pass" | "password", Some(password)) => address.login.password = Some(decoded(password)?),
                ("", None) => {}
                _ => return Err(fault("its query has a part other than db, user and password")),
            }
        }
        Ok(address)
    }
}

/// Without the password.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, tls, login, db } = self;
        f.debug_struct("Address")
            .field("place", place)
            .field("tls", tls)
            .field("user", &login.user)
            .field("db", db)
            .finish_non_exhaustive()
    }
}

// === impl Login ===

impl Login {
    fn parse(login: &str) -> Result<Self, Error> {
        let (user, password) = cut(login, ':');
        let user = decoded(user)?;
        Ok(Self { user: (!user.is_empty()).then_some(user), password: password.map(decoded).transpose()? })
    }
}

// === impl Host ===

impl Host {
    fn list(hosts: &str, port: u16) -> Result<Vec<Self>, Error> {
        hosts.split(',').map(|host| Self::parse(host, port)).collect()
    }

    fn parse(text: &str, default: u16) -> Result<Self, Error> {
        let (name, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            Some((name, "")) => (name, None),
            Some((name, port)) => (name, Some(port.strip_prefix(':').ok_or_else(|| fault("a host is malformed"))?)),
            None => cut(text, ':'),
        };
        let port = port.map_or(Ok(default), str::parse).map_err(|_| fault("a port is no number below 65536"))?;
        if name.is_empty() {
            return Err(fault("a host is missing"));
        }
        Ok(Self { name: name.to_owned(), port })
    }
}

// === words ===

fn fault(what: &str) -> Error {
    Error::invalid(&format!("the Redis URL cannot be used: {what}; {FORMS}"))
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(left, right)| (left, Some(right)))
}

fn only(mut hosts: Vec<Host>) -> Result<Host, Error> {
    match (hosts.pop(), hosts.is_empty()) {
        (Some(host), true) => Ok(host),
        _ => Err(fault("several hosts are for redis+sentinel:// and redis+cluster://")),
    }
}

fn number(db: &str) -> Result<i64, Error> {
    let db = db.trim_end_matches('/');
    if db.is_empty() {
        return Ok(0);
    }
    db.parse().ok().filter(|db| *db >= 0).ok_or_else(|| fault("the database is no number"))
}

/// RFC 3986, 2.1.
fn decoded(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => return Err(fault("a percent sign is not followed by two hexadecimal digits")),
                }
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| fault("it does not decode to UTF-8"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    fn parsed(url: &str) -> Address {
        url.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[test]
    fn every_documented_form_is_understood() {
        let two = || vec![host("a", 1), host("::1", 26379)];
        for (url, place) in [
            ("redis://localhost", Place::Server(host("localhost", 6379))),
            ("rediss://[::1]:7000/3", Place::Server(host("::1", 7000))),
            ("valkey://v", Place::Server(host("v", 6379))),
            ("redis+unix:///run/redis/redis.sock?db=2", Place::Socket("/run/redis/redis.sock".into())),
            ("redis+sentinel://a:1,[::1]/shop/2", Place::Sentinel(two(), "shop".to_owned())),
            ("redis+sentinel://a", Place::Sentinel(vec![host("a", 26379)], "mymaster".to_owned())),
            ("redis+cluster://a:1,b", Place::Cluster(vec![host("a", 1), host("b", 6379)])),
        ] {
            assert_eq!(parsed(url).place, place, "{url}");
        }
    }

    #[test]
    fn login_and_database_are_found_in_every_form() {
        for (url, user, password, db) in [
            ("redis://h/7", None, None, 7),
            ("redis://:secret@h", None, Some("secret"), 0),
            ("redis://ada@h", Some("ada"), None, 0),
            ("redis://ada:p%40ss%2f@h?db=3", Some("ada"), Some("p@ss/"), 3),
            ("redis://ada:p@ss@h", Some("ada"), Some("p@ss"), 0),
            ("redis+sentinel://ada:s@h1,h2/main/4", Some("ada"), Some("s"), 4),
            ("redis+unix:///s?user=ada&pass=s&db=1", Some("ada"), Some("s"), 1),
        ] {
            let address = parsed(url);
            assert_eq!(address.login.user.as_deref(), user, "{url}");
            assert_eq!(address.login.password.as_deref(), password, "{url}");
            assert_eq!(address.db, db, "{url}");
        }
    }

    #[test]
    fn what_is_malformed_is_told_without_the_password() {
        for url in [
            "localhost",
            "http://:hunter2@h",
            "redis://:hunter2@",
            "redis://:hunter2@h:99999",
            "redis://:hunter2@h/x",
            "redis://:hunter2@h/-1",
            "redis://:hunter2@a,b",
            "redis://:hunter2%4@h",
            "redis://:hunter2@h?protocol=3",
            "redis://:hunter2@h#insecure",
            "redis+cluster://:hunter2@h/1",
            "redis+unix://hunter2/relative",
            "redis+tcp://:hunter2@h",
        ] {
            let error = url.parse::<Address>().expect_err(url);
            assert!(error.is_invalid(), "{url}");
            assert!(!format!("{error:?}").contains("hunter2"), "{url}: {error}");
        }
        assert!(!format!("{:?}", parsed("redis://ada:hunter2@h")).contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in ".{0,60}", scheme in "(redis|rediss)(\\+(unix|sentinel|cluster))?://") {
            drop(text.parse::<Address>());
            drop(format!("{scheme}{text}").parse::<Address>());
        }
    }
}
