//! The handle.

use std::{
    fmt,
    io::Write,
    sync::{Arc, OnceLock},
    time::Duration,
};

use ::redis::{Cmd, Pipeline as Batch, RedisWrite, Value, cmd};
use bb8_redis::bb8::PooledConnection;
use tokio::{
    sync::OnceCell,
    time::{Instant, error::Elapsed, timeout_at},
};

use crate::{
    error::Error,
    redis::{
        breaker::{Backoff, BreakerState},
        builder::RedisBuilder,
        capabilities::Capabilities,
        command::Command,
        fault::{Fault, Verdict},
        gate::{Call, Gate},
        inbox::Names,
        line::{Line, Target},
        manager::{Manager, Plan, Site},
        pipeline::Pipeline,
        pool::Pool,
        scan::Scan,
        script::{Script, ScriptCall},
        slot::{Slots, slot},
        subscription::Subscription,
    },
};

/// A handle on a Redis or Valkey: one server, a primary kept by sentinels, or a Cluster. Its clones are the same.
///
/// See the [module](crate::redis).
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Pool,
    /// Made when the first command blocks.
    exclusive: OnceLock<Pool>,
    plan: Plan,
    exclusive_size: u32,
    /// One; for a Cluster, one for each of [`SECTORS`] and one for what has no key.
    gates: Box<[Gate]>,
    backoff: Backoff,
    namespace: Box<str>,
    deadline: Duration,
    capabilities: OnceCell<Capabilities>,
}

/// A Cluster's slots are watched in so many ranges, so that one shard that is gone does not cut off the others.
const SECTORS: usize = 64;
const SECTOR: usize = 16384 / SECTORS;

/// What stands for a deadline so far away that no clock shows it.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

// === impl Redis ===

impl Redis {
    /// Connects to the Redis at `url`, with the defaults of [`RedisBuilder`].
    ///
    /// # Errors
    ///
    /// When the URL is malformed, or the server does not answer or refuses us.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        Self::builder(url)?.connect().await
    }

    /// A handle on the Redis at `url`, still to be configured.
    ///
    /// # Errors
    ///
    /// When the URL is malformed. The message names no part of it, since it may hold a password.
    pub fn builder(url: &str) -> Result<RedisBuilder, Error> {
        Ok(RedisBuilder::new(url.parse()?))
    }

    /// A handle on the primary that the sentinels at `hosts` (`"host:port"`, default port 26379) know as `service`.
    ///
    /// # Errors
    ///
    /// When a host is malformed.
    pub fn sentinel(hosts: &[impl AsRef<str>], service: &str) -> Result<RedisBuilder, Error> {
        RedisBuilder::at(hosts, "sentinel", service)
    }

    /// A handle on the Cluster to which the nodes at `hosts` (`"host:port"`, default port 6379) belong.
    ///
    /// # Errors
    ///
    /// When a host is malformed.
    pub fn cluster(hosts: &[impl AsRef<str>]) -> Result<RedisBuilder, Error> {
        RedisBuilder::at(hosts, "cluster", "")
    }

    pub(super) fn new(plan: Plan, builder: RedisBuilder) -> Self {
        let gates = if matches!(plan.site, Site::Cluster(_)) { SECTORS + 1 } else { 1 };
        let inner = Inner {
            shared: Pool::new(plan.clone(), 1),
            exclusive: OnceLock::new(),
            plan,
            exclusive_size: builder.blocking_connections,
            gates: (0..gates).map(|_| Gate::new(builder.backoff)).collect(),
            backoff: builder.backoff,
            namespace: builder.namespace,
            deadline: builder.deadline,
            capabilities: OnceCell::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A command to be sent, such as `GET`; of those in two words (`CLIENT LIST`) the second is an argument.
    pub fn command(&self, name: &str) -> Command<'_> {
        Command::new(self, name)
    }

    /// Commands that travel together.
    pub fn pipeline(&self) -> Pipeline<'_> {
        Pipeline::new(self)
    }

    /// A script to be run.
    pub fn script<'a>(&'a self, script: &'a Script) -> ScriptCall<'a> {
        ScriptCall::new(self, script)
    }

    /// The keys of our namespace that match `pattern`, in bounded steps.
    pub fn scan(&self, pattern: &str) -> Scan<'_> {
        Scan::new(self, pattern)
    }

    /// What is published to `channels`, before whose names the namespace is put as before keys: who publishes names the channel
    /// as a [key](Command::key). It connects when it is first asked what it [heard](Subscription::next).
    pub fn subscribe(&self, channels: &[impl AsRef<[u8]>]) -> Subscription {
        let names = Names {
            channels: channels.iter().map(|channel| self.key(channel)).collect(),
            namespace: self.key(""),
            ..Names::default()
        };
        let manager = Manager::new(self.inner.plan.clone(), Arc::default());
        Subscription::new(manager, names, self.inner.backoff)
    }

    /// `key` as it is called on the server: with the namespace before it.
    pub fn key(&self, key: impl AsRef<[u8]>) -> Vec<u8> {
        [self.inner.namespace.as_bytes(), b":", key.as_ref()].concat()
    }

    /// Whether calls reach the server. In a Cluster the worst of what is known of its parts.
    pub fn breaker(&self) -> BreakerState {
        self.inner.gates.iter().map(Gate::state).max().expect("there is at least one gate")
    }

    /// What the server can do. It is asked once; then this is known without waiting.
    ///
    /// # Errors
    ///
    /// When it could not be asked. The next call asks again.
    pub async fn capabilities(&self) -> Result<&Capabilities, Error> {
        self.inner.capabilities.get_or_try_init(|| Capabilities::probe(self)).await
    }

    /// Appends `key` to `cmd`, with the namespace before it; tells what all its keys say of where it belongs.
    #[inline]
    pub(super) fn push_key(&self, cmd: &mut Cmd, slots: Slots, key: &[u8]) -> Slots {
        if self.is_cluster() {
            let key = self.key(key);
            cmd.arg(&key);
            return slots.and(slot(&key));
        }
        let mut arg = cmd.writer_for_next_arg();
        for part in [self.inner.namespace.as_bytes(), b":", key] {
            arg.write_all(part).expect("a command grows as needed");
        }
        slots
    }

    pub(super) fn speaks_resp3(&self) -> bool {
        self.inner.shared.speaks_resp3()
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.inner.gates.len() > 1
    }

    /// The moment by which a call of now ends.
    pub(crate) fn until_deadline(&self) -> Instant {
        self.until(None, Duration::ZERO)
    }

    /// The moment by which a call of now ends that may make the server wait for `wait`.
    pub(super) fn until(&self, within: Option<Duration>, wait: Duration) -> Instant {
        let now = Instant::now();
        let span = within.unwrap_or(self.inner.deadline).saturating_add(wait);
        now.checked_add(span).unwrap_or(now + FOREVER)
    }

    /// Sends `cmd` on a shared connection; tells the answer, by `until` at the latest.
    pub(super) async fn one(&self, cmd: Cmd, target: &Target, until: Instant) -> Result<Value, Error> {
        let call = self.enter(target)?;
        let mut line = None;
        let sent = timeout_at(until, async {
            let line = line.insert(self.inner.shared.shared().await?);
            line.one(cmd, target).await.map_err(Fault::from)
        })
        .await;
        note(call, line.as_ref(), verdict(&sent, |_| Verdict::Alive));
        told(sent)
    }

    /// Sends all of `batch`, which in a Cluster belongs to one slot.
    pub(super) async fn many(&self, batch: Batch, target: &Target, until: Instant) -> Result<Vec<Value>, Error> {
        let call = self.enter(target)?;
        let mut line = None;
        let sent = timeout_at(until, async {
            let line = line.insert(self.inner.shared.shared().await?);
            line.many(batch, target).await.map_err(Fault::from)
        })
        .await;
        // Each answer is for its own command, but one that comes from a server unwell says so of the server.
        let worst = |values: &Vec<Value>| values.iter().map(Verdict::of).max().unwrap_or(Verdict::Alive);
        note(call, line.as_ref(), verdict(&sent, worst));
        told(sent)
    }

    /// Sends `cmd`, which may make the server wait, on a connection of its own.
    pub(super) async fn alone(&self, command: Cmd, target: &Target, until: Instant) -> Result<Value, Error> {
        let inner = &*self.inner;
        let pool = inner.exclusive.get_or_init(|| Pool::new(inner.plan.clone().patient(), inner.exclusive_size));
        // As a probe it would keep the breaker half open for as long as it blocks.
        if self.gate(target).state() != BreakerState::Closed {
            self.one(cmd("PING"), target, self.until(None, Duration::ZERO)).await?;
        }
        let mut lent = timeout_at(until, pool.exclusive()).await.map_err(|_| silence())?.map(Lent::new)?;
        match timeout_at(until, lent.line.one(command, target)).await {
            Ok(result) => {
                let result = result.map_err(Fault::from);
                lent.clean = !result.as_ref().is_err_and(|fault| fault.verdict == Verdict::Lost);
                result.map_err(|fault| fault.error)
            }
            Err(_) => Err(silence()),
        }
    }

    fn gate(&self, target: &Target) -> &Gate {
        match (&*self.inner.gates, target) {
            ([only], _) => only,
            (gates, Target::Keys(Slots::One(slot))) => &gates[usize::from(*slot) / SECTOR],
            (gates, _) => &gates[SECTORS],
        }
    }

    fn enter(&self, target: &Target) -> Result<Call<'_>, Error> {
        self.gate(target).enter().map_err(|left| {
            Error::unavailable(
                "Redis is not asked",
                match left.as_millis() {
                    0 => "the breaker is half open, and another call finds out".to_owned(),
                    left => format!("the breaker is open for {left} ms more"),
                },
            )
        })
    }
}

type Sent<T> = Result<Result<T, Fault>, Elapsed>;

fn verdict<T>(sent: &Sent<T>, of: impl FnOnce(&T) -> Verdict) -> Option<Verdict> {
    match sent {
        Ok(Ok(value)) => Some(of(value)),
        Ok(Err(fault)) => Some(fault.verdict),
        Err(_) => None,
    }
}

fn told<T>(sent: Sent<T>) -> Result<T, Error> {
    match sent {
        Ok(result) => result.map_err(|fault| fault.error),
        Err(_) => Err(silence()),
    }
}

/// Tells the breaker and the connection how a call ended: with what verdict, or not in time.
#[inline]
fn note(call: Call<'_>, line: Option<&Line>, verdict: Option<Verdict>) {
    let state = match verdict {
        Some(Verdict::Alive) => {
            call.answered();
            BreakerState::Closed
        }
        Some(Verdict::Unwell | Verdict::Lost) | None => call.failed(),
    };
    let Some(line) = line else { return };
    match verdict {
        Some(Verdict::Alive | Verdict::Unwell) => line.answered(),
        Some(Verdict::Lost) => line.lost(),
        None => {
            line.silent();
            if state != BreakerState::Closed {
                line.partly_silent();
            }
        }
    }
}

fn silence() -> Error {
    Error::timed_out("Redis did not answer within the deadline")
}

/// A connection that is not given back unless what was sent on it is over: what still blocks would hold up the next.
struct Lent<'a> {
    line: PooledConnection<'a, Manager>,
    clean: bool,
}

impl<'a> Lent<'a> {
    fn new(line: PooledConnection<'a, Manager>) -> Self {
        Self { line, clean: false }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if !self.clean {
            self.line.lost();
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("namespace", &self.inner.namespace)
            .field("breaker", &self.breaker())
            .field("shared", &self.inner.shared)
            .finish_non_exhaustive()
    }
}
