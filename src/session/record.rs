//! What a store keeps of a session.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use super::token::SecretDigest;
use crate::{clock::Timestamp, error::Error};

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose it is, and until when.
    pub head: Head,
    /// What handlers put there.
    pub fields: Fields,
}

/// What is known of a session besides its fields. All times are the store's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// When it was created.
    pub created: Timestamp,
    /// When a change or a touch last arrived.
    pub seen: Timestamp,
    /// When the present secret was set.
    pub renewed: Timestamp,
    /// When the present principal logged in, or proved to be who they are again.
    pub authenticated: Option<Timestamp>,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// The absolute deadline: what is then still there ends.
    pub ends: Timestamp,
    /// How often the rights changed.
    pub generation: Generation,
    /// Of the secret that opens it.
    pub secret: SecretDigest,
    /// Secrets that were in its place until lately, the latest first; at most [`RETIRED`](Self::RETIRED).
    pub retired: Vec<Retired>,
    /// Who is logged in.
    pub principal: Option<Principal>,
    /// What the session was begun from, or the principal logged in from.
    pub client: Client,
}

/// The fields of a session: three kinds, since each is merged in its own way. A name in one says nothing of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// The last one written counts.
    pub values: BTreeMap<Box<str>, Bytes>,
    /// Additions add up. One that is zero may be there or not: they are the same.
    pub counters: BTreeMap<Box<str>, i64>,
    /// What was added by anyone is in it. One that is empty is not there.
    pub sets: BTreeMap<Box<str>, BTreeSet<Bytes>>,
}

/// How long a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// It ends when nothing came for so long.
    pub idle: Duration,
    /// It ends when so much time went by since it was created, or its rights last changed.
    pub absolute: Duration,
    /// Whether the client is to keep it when it is closed.
    pub kept_by_client: bool,
}

/// A secret that was replaced, and is honoured for a while: requests that bear it are under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retired {
    /// Of the secret.
    pub secret: SecretDigest,
    /// Until when it is honoured.
    pub until: Timestamp,
    /// What it shows.
    pub shows: Shows,
}

/// What a retired secret shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shows {
    /// The session, to read and write: it was renewed, and the rights are the same.
    Session,
    /// An empty session that cannot be written: the rights changed since.
    Nothing,
}

/// How often the rights in a session changed. What was begun under another generation changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

/// Who is logged in: 1 to 255 bytes, as the program says. Cheap to clone; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal(Arc<str>);

/// What a session was begun from, as far as the layer was told to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Client {
    /// The `User-Agent`, or what the program makes of it; at most 255 bytes.
    pub agent: Option<Box<str>>,
    /// The address.
    pub address: Option<IpAddr>,
}

// === impl Head ===

impl Head {
    /// How many retired secrets a store remembers.
    pub const RETIRED: usize = 4;

    /// The earlier of the two deadlines. At this moment, and from then on, the session is no more.
    ///
    /// A store that learns how much longer a record lives knows by this what time it is there.
    pub fn expires(&self) -> Timestamp {
        self.seen.plus(self.lifetime.idle).min(self.ends)
    }

    /// What `secret` shows at `now`; `None` if it opens nothing.
    pub fn shows(&self, secret: &SecretDigest, now: Timestamp) -> Option<Shows> {
        if self.secret == *secret {
            return Some(Shows::Session);
        }
        self.retired
            .iter()
            .find(|retired| retired.secret == *secret && now < retired.until)
            .map(|retired| retired.shows)
    }
}

// === impl Fields ===

impl Fields {
    /// Roughly what they take, in bytes: names and contents, and 8 for a counter.
    pub fn weight(&self) -> usize {
        let values = self.values.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let counters = self.counters.keys().map(|name| name.len() + 8).sum::<usize>();
        let members = |set: &BTreeSet<Bytes>| set.iter().map(Bytes::len).sum::<usize>();
        let sets = self.sets.iter().map(|(name, set)| name.len() * set.len() + members(set)).sum::<usize>();
        values + counters + sets
    }
}

// === impl Lifetime ===

impl Lifetime {
    /// Ends after `idle` without a request that uses it, after `absolute` in any case, and when the client is closed.
    ///
    /// # Panics
    ///
    /// When `idle` is under a second, or longer than `absolute`.
    pub fn new(idle: Duration, absolute: Duration) -> Self {
        assert!(idle >= Duration::from_secs(1), "a session may be idle for a second at least");
        assert!(idle <= absolute, "the idle time of a session is at most its absolute time");
        Self { idle, absolute, kept_by_client: false }
    }

    /// The same, and the client keeps it when it is closed: `remember me`.
    #[must_use]
    pub fn kept_by_client(self) -> Self {
        Self { kept_by_client: true, ..self }
    }
}

/// 30 minutes idle, 12 hours in all.
impl Default for Lifetime {
    fn default() -> Self {
        Self::new(Duration::from_secs(30 * 60), Duration::from_secs(12 * 60 * 60))
    }
}

// === impl Generation ===

impl Generation {
    /// For [`SessionStore`](super::SessionStore) implementations that read one back. A new record's is the default.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// For [`SessionStore`](super::SessionStore) implementations.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

// === impl Principal ===

impl Principal {
    /// The longest name, in bytes.
    pub const MAX: usize = 255;

    /// # Errors
    ///
    /// When `name` is empty or has more than [`MAX`](Self::MAX) bytes ([`is_invalid`](Error::is_invalid)).
    pub fn new(name: impl AsRef<str>) -> Result<Self, Error> {
        let name = name.as_ref();
        if name.is_empty() || name.len() > Self::MAX {
            let message = format!("a principal of {} bytes: 1 to {} are allowed", name.len(), Self::MAX);
            return Err(Error::invalid(&message));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Principal(..)")
    }
}

// === impl Client ===

impl Client {
    /// Nothing known.
    pub const fn new() -> Self {
        Self { agent: None, address: None }
    }

    /// What agent it is: the first 255 bytes of `agent`, cut between characters.
    #[must_use]
    pub fn agent(self, agent: &str) -> Self {
        let end = (0..=agent.len().min(255)).rev().find(|&end| agent.is_char_boundary(end)).unwrap_or(0);
        Self { agent: Some(agent[..end].into()), ..self }
    }

    /// Where it is.
    #[must_use]
    pub fn address(self, address: IpAddr) -> Self {
        Self { address: Some(address), ..self }
    }
}
