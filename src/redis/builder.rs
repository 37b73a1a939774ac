//! What a handle on a Redis can be told before it connects.

use std::{fmt, time::Duration};

use ::redis::{ConnectionAddr, cmd};

use crate::{
    error::Error,
    redis::{
        address::{Address, Host, Login, Place},
        breaker::Backoff,
        client::Redis,
        line::Target,
        manager::{Plan, Site},
        tls::Trust,
    },
};

/// What a [`Redis`] is made of. Made by [`Redis::builder`], [`Redis::sentinel`] and [`Redis::cluster`].
#[derive(Clone)]
#[must_use]
pub struct RedisBuilder {
    address: Address,
    given: Option<Box<::redis::ConnectionInfo>>,
    sentinel_login: Login,
    pub(super) trust: Trust,
    pub(super) namespace: Box<str>,
    connect_deadline: Duration,
    pub(super) deadline: Duration,
    pub(super) backoff: Backoff,
    pub(super) blocking_connections: u32,
}

// === impl RedisBuilder ===

impl RedisBuilder {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            given: None,
            sentinel_login: Login::default(),
            trust: Default::default(),
            namespace: "bartizan".into(),
            connect_deadline: Duration::from_secs(1),
            deadline: Duration::from_millis(500),
            backoff: Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(2) },
            blocking_connections: 16,
        }
    }

    /// The server that redis-rs knows by `info`, for what no URL can say. Its protocol is chosen by us.
    pub fn from_connection_info(info: ::redis::ConnectionInfo) -> Self {
        let host = Host { name: String::new(), port: 0 };
        let address = Address { place: Place::Server(host), tls: false, login: Login::default(), db: 0 };
        Self { given: Some(Box::new(info)), ..Self::new(address) }
    }

    pub(super) fn at(hosts: &[impl AsRef<str>], kind: &str, path: &str) -> Result<Self, Error> {
        let hosts: Vec<&str> = hosts.iter().map(AsRef::as_ref).collect();
        Ok(Self::new(format!("redis+{kind}://{}/{path}", hosts.join(",")).parse()?))
    }

    /// What every key begins with, before a colon. The default is `bartizan`.
    ///
    /// # Panics
    ///
    /// When it contains a brace: in a Cluster it would then decide where all keys live.
    pub fn namespace(mut self, namespace: impl Into<Box<str>>) -> Self {
        let namespace = namespace.into();
        assert!(!namespace.contains(['{', '}']), "the namespace of Redis keys contains no brace");
        self.namespace = namespace;
        self
    }

    /// The ACL user. The default is the URL's, else the server's `default`.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.address.login.user = Some(user.into());
        self
    }

    /// The password. The default is the URL's, else none.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.address.login.password = Some(password.into());
        self
    }

    /// User and password for the sentinels, which have their own. The default: none.
    pub fn sentinel_login(mut self, user: Option<&str>, password: impl Into<String>) -> Self {
        self.sentinel_login = Login { user: user.map(str::to_owned), password: Some(password.into()) };
        self
    }

    /// Speaks TLS, as `rediss://` does; it needs the feature `redis-tls`. The default is the URL's word.
    pub fn tls(mut self) -> Self {
        self.address.tls = true;
        self
    }

    /// How long a call may take in all, waiting for a connection included. The default is 500 ms.
    ///
    /// While Redis hangs, a request pays this once; then the breaker is open.
    ///
    /// # Panics
    ///
    /// When it is zero.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        assert!(!deadline.is_zero(), "the deadline of a call is longer than zero");
        self.deadline = deadline;
        self
    }

    /// How long it may take to connect: name lookup, TLS, login, the sentinels. The default is 1 s.
    ///
    /// Connecting goes on for as long also when the call that needed it has given up.
    ///
    /// # Panics
    ///
    /// When it is zero.
    pub fn connect_deadline(mut self, deadline: Duration) -> Self {
        assert!(!deadline.is_zero(), "the deadline for connecting is longer than zero");
        self.connect_deadline = deadline;
        self
    }

    /// How long the breaker stays open: `first`, then twice as long each time up to `longest`, and up to half of that
    /// less, by chance. The default is from 100 ms to 2 s.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff = Backoff { first, longest };
        self
    }

    /// How many connections there may be for commands that block, beside the one that all others share. The default is 16.
    ///
    /// # Panics
    ///
    /// When it is zero.
    pub fn blocking_connections(mut self, connections: u32) -> Self {
        assert!(connections > 0, "there is at least one connection to Redis for commands that block");
        self.blocking_connections = connections;
        self
    }

    /// The handle, without asking the server whether it is there: for a service that starts while Redis is down.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when TLS is asked for without the feature, or with certificates
    /// that are none.
    pub fn build(self) -> Result<Redis, Error> {
        let plan = self.plan()?;
        Ok(Redis::new(plan, self))
    }

    /// The handle, once the server has answered.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and whatever keeps the server from answering within the deadline for connecting.
    pub async fn connect(self) -> Result<Redis, Error> {
        let patience = self.connect_deadline;
        let redis = self.build()?;
        let until = redis.until(Some(patience), Duration::ZERO);
        redis.one(cmd("PING"), &Target::Anyone, until).await?;
        Ok(redis)
    }

    fn plan(&self) -> Result<Plan, Error> {
        let Address { place, tls, login, db } = self.address.clone();
        let mut plan = Plan {
            site: Site::Cluster(Vec::new()),
            trust: tls.then(|| self.trust.clone()),
            login,
            db,
            connect_deadline: self.connect_deadline,
            deadline: self.deadline,
        };
        // What is wrong with TLS is wrong now, not with the first connection.
        plan.addr(&Host { name: "localhost".to_owned(), port: 0 })?;
        plan.site = match (&self.given, place) {
            (Some(info), _) => Site::Given(info.clone()),
            (None, Place::Server(host)) => Site::Server(plan.addr(&host)?),
            (None, Place::Socket(path)) => Site::Server(ConnectionAddr::Unix(path)),
            (None, Place::Sentinel(sentinels, service)) => {
                Site::Sentinel { sentinels, service, login: self.sentinel_login.clone() }
            }
            (None, Place::Cluster(nodes)) => Site::Cluster(nodes),
        };
        Ok(plan)
    }
}

/// Without any password.
impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBuilder")
            .field("address", &self.address)
            .field("namespace", &self.namespace)
            .field("connect_deadline", &self.connect_deadline)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
