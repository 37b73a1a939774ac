//! Makes connections, for the pools: to the server, to the primary that the sentinels name, to a Cluster.
//!
//! bb8-redis brings a manager too. It sets no deadlines and never says that a connection is broken, so that its pool
//! hands a dead one out for ever.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, PushInfo,
    PushKind, RedisConnectionInfo, Value,
    aio::MultiplexedConnection,
    cluster::ClusterClient,
    cmd,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};
use bb8_redis::bb8::ManageConnection;
use tokio::time::timeout;

use crate::{
    error::Error,
    redis::{
        address::{Host, Login},
        fault::Fault,
        line::{Health, Line, Wire},
        sentinel,
        tls::Trust,
    },
};

/// What is needed to connect.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) site: Site,
    pub(super) trust: Option<Trust>,
    pub(super) login: Login,
    pub(super) db: i64,
    pub(super) connect_deadline: Duration,
    /// How long a node of a Cluster may take for one attempt.
    pub(super) deadline: Duration,
}

#[derive(Clone)]
pub(super) enum Site {
    Server(ConnectionAddr),
    /// As the user's own redis-rs has it.
    Given(Box<ConnectionInfo>),
    Sentinel {
        sentinels: Vec<Host>,
        service: String,
        login: Login,
    },
    Cluster(Vec<Host>),
}

/// A [`Plan`] that remembers what it learnt of the server.
pub(super) struct Manager {
    pub(super) plan: Plan,
    /// The server, or what stands before it, does not know `HELLO`.
    resp2: Arc<AtomicBool>,
}

/// Why a pool has no connection to give.
#[derive(Debug)]
pub(super) enum NoLine {
    /// The one it had is lost.
    Lost,
    /// None could be made.
    Failed(Error),
}

/// Unacknowledged bytes and unanswered probes end a connection whose other end vanished without a word.
const VANISHED: Duration = Duration::from_secs(15);

// === impl Manager ===

impl Manager {
    pub(super) fn new(plan: Plan, resp2: Arc<AtomicBool>) -> Self {
        Self { plan, resp2 }
    }

    /// What `attempt` makes, within the deadline for connecting: in RESP3, or in RESP2 where nothing else is known.
    pub(super) async fn negotiated<T, F>(&self, attempt: impl Fn(ProtocolVersion) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let connecting = async {
            if !self.resp2.load(Ordering::Relaxed) {
                match attempt(ProtocolVersion::RESP3).await {
                    Err(error) if knows_no_hello(&error) => self.resp2.store(true, Ordering::Relaxed),
                    result => return result,
                }
            }
            attempt(ProtocolVersion::RESP2).await
        };
        timeout(self.plan.connect_deadline, connecting)
            .await
            .unwrap_or_else(|_| Err(Error::timed_out("no connection to Redis within the deadline for connecting")))
    }

    async fn attempt(&self, protocol: ProtocolVersion) -> Result<Line, Error> {
        if let Site::Cluster(nodes) = &self.plan.site {
            return self.cluster(nodes, protocol).await;
        }
        let health = Arc::new(Health::new());
        let noted = Arc::clone(&health);
        // So a connection that ended while nobody used it costs nobody a command.
        let told = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                noted.lost();
            }
        };
        let info = self.plan.located(protocol).await?;
        Ok(Line::new(Wire::Node(self.plan.open(info, told).await?), health))
    }

    async fn cluster(&self, nodes: &[Host], protocol: ProtocolVersion) -> Result<Line, Error> {
        let plan = &self.plan;
        let nodes: Vec<_> = nodes.iter().map(|host| plan.host(host, protocol)).collect::<Result<_, _>>()?;
        let mut builder = ClusterClient::builder(nodes)
            // A node that hangs is tried twice, as one we were told of and as one that the others name, and must not keep
            // us from those others.
            .connection_timeout(plan.connect_deadline / 4)
            .response_timeout(plan.deadline)
            .overall_response_timeout(None)
            .retries(5)
            .min_retry_wait(5)
            .max_retry_wait(100)
            .tcp_settings(tcp());
        if let Some(trust) = &plan.trust {
            builder = trust.cluster(builder);
        }
        let client = builder.build().map_err(Fault::connecting)?;
        let connection = client.get_async_connection().await.map_err(Fault::connecting)?;
        Ok(Line::new(Wire::Cluster(connection), Arc::new(Health::new())))
    }
}

impl ManageConnection for Manager {
    type Connection = Line;
    type Error = NoLine;

    async fn connect(&self) -> Result<Line, NoLine> {
        self.negotiated(|protocol| self.attempt(protocol)).await.map_err(NoLine::Failed)
    }

    /// Without a round trip: what is known is enough.
    async fn is_valid(&self, line: &mut Line) -> Result<(), NoLine> {
        if line.is_to_be_replaced() { Err(NoLine::Lost) } else { Ok(()) }
    }

    fn has_broken(&self, line: &mut Line) -> bool {
        line.is_to_be_replaced()
    }
}

fn knows_no_hello(error: &Error) -> bool {
    match error.code() {
        Some("NOPROTO") => true,
        Some("ERR") => error.to_string().to_ascii_lowercase().contains("unknown command"),
        _ => false,
    }
}

impl From<NoLine> for Error {
    fn from(none: NoLine) -> Self {
        match none {
            NoLine::Lost => Self::unavailable("the connection to Redis broke", "no other could be made"),
            NoLine::Failed(error) => error,
        }
    }
}

// === impl Plan ===

impl Plan {
    pub(super) fn addr(&self, host: &Host) -> Result<ConnectionAddr, Error> {
        match &self.trust {
            None => Ok(ConnectionAddr::Tcp(host.name.clone(), host.port)),
            Some(trust) => trust.addr(host.clone()),
        }
    }

    /// The same, with as much patience as a command that blocks may need.
    pub(super) fn patient(self) -> Self {
        Self { deadline: Duration::from_secs(24 * 3600), ..self }
    }

    /// Where the server is, or the primary that the sentinels name. A Cluster has no such place.
    pub(super) async fn located(&self, protocol: ProtocolVersion) -> Result<ConnectionInfo, Error> {
        match &self.site {
            Site::Server(addr) => Self::info(addr.clone(), self.redis(protocol)),
            Site::Given(info) => {
                let redis = info.redis_settings().clone().set_protocol(protocol);
                Ok(ConnectionInfo::clone(info).set_redis_settings(redis))
            }
            Site::Sentinel { sentinels, service, login } => {
                let redis = login.apply(RedisConnectionInfo::default().set_skip_set_lib_name());
                let sentinels: Vec<_> = sentinels
                    .iter()
                    .map(|host| Self::info(self.addr(host)?, redis.clone()))
                    .collect::<Result<_, _>>()?;
                let host = sentinel::primary(&sentinels, service, self.connect_deadline / 2).await?;
                self.host(&host, protocol)
            }
            Site::Cluster(_) => Err(Error::invalid("a Cluster has several places")),
        }
    }

    pub(super) fn host(&self, host: &Host, protocol: ProtocolVersion) -> Result<ConnectionInfo, Error> {
        Self::info(self.addr(host)?, self.redis(protocol))
    }

    /// A connection to where [`located`](Self::located) said; behind sentinels, if that server holds itself to be the
    /// primary too. In RESP3 `told` hears what comes unasked.
    pub(super) async fn open(
        &self,
        info: ConnectionInfo,
        told: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, Error> {
        // Deadlines are set around each call, the wait for a connection included.
        let mut config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        if info.redis_settings().protocol().supports_resp3() {
            config = config.set_push_sender(move |push: PushInfo| {
                told(push);
                Ok::<_, ::redis::aio::SendError>(())
            });
        }
        let client = Client::open(info).map_err(Fault::connecting)?;
        let mut connection =
            client.get_multiplexed_async_connection_with_config(&config).await.map_err(Fault::connecting)?;
        if matches!(self.site, Site::Sentinel { .. }) {
            believe(connection.send_packed_command(&cmd("ROLE")).await.map_err(Fault::connecting)?)?;
        }
        Ok(connection)
    }

    fn redis(&self, protocol: ProtocolVersion) -> RedisConnectionInfo {
        self.login
            .apply(RedisConnectionInfo::default())
            .set_db(self.db)
            .set_protocol(protocol)
            .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
    }

    fn info(addr: ConnectionAddr, redis: RedisConnectionInfo) -> Result<ConnectionInfo, Error> {
        let info = addr.into_connection_info().map_err(Fault::connecting)?;
        Ok(info.set_tcp_settings(tcp()).set_redis_settings(redis))
    }
}

fn believe(role: Value) -> Result<(), Error> {
    match role {
        Value::Array(fields) if !matches!(fields.first(), Some(Value::BulkString(role)) if role == b"master") => {
            Err(Error::unavailable("no connection to Redis", "the sentinels name a server that is no primary (yet)"))
        }
        // Who may not ask has to believe the sentinels.
        _ => Ok(()),
    }
}

impl Login {
    fn apply(&self, mut redis: RedisConnectionInfo) -> RedisConnectionInfo {
        if let Some(user) = &self.user {
            redis = redis.set_username(user);
        }
        if let Some(password) = &self.password {
            redis = redis.set_password(password);
        }
        redis
    }
}

fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(VANISHED / 3).with_interval(VANISHED / 3);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(VANISHED);
    settings
}
