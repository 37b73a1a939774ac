//! Asking all there is to be asked.

use std::time::Duration;

use ::redis::{Cmd, cmd};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::{
    error::Error,
    redis::{
        Redis, Reply,
        health::{
            advice::{self, Advice, Finding, Purpose},
            keys,
            snapshot::{Info, Keys, Node, Report, Settings, Slow, Spike},
        },
        line::Target,
        scan::nodes,
    },
};

/// A look at a Redis still to be taken. See the [module](super).
#[derive(Clone, Debug)]
#[must_use]
pub struct Checkup<'a> {
    redis: &'a Redis,
    purposes: Vec<Purpose>,
    most_keys: u32,
    most_slow: u32,
}

const PURPOSES: [Purpose; 4] = [Purpose::Cache, Purpose::Limits, Purpose::Sessions, Purpose::Tools];

/// The shortest of so many round trips says what the way takes.
const TRIPS: u32 = 5;

// === impl Checkup ===

impl<'a> Checkup<'a> {
    /// Of this Redis, with the defaults.
    pub fn new(redis: &'a Redis) -> Self {
        Self { redis, purposes: PURPOSES.into(), most_keys: 10_000, most_slow: 32 }
    }

    /// What the Redis is used for; advice goes by it. The default is everything.
    pub fn serves(mut self, purposes: impl IntoIterator<Item = Purpose>) -> Self {
        self.purposes = purposes.into_iter().collect();
        self
    }

    /// How many keys are looked at in all, those of others among them. The default is 10 000; zero is none.
    ///
    /// Each takes the server some microseconds (`SCAN`, `MEMORY USAGE`, `PTTL`), in steps of at most 1000.
    pub fn keys(mut self, most: u32) -> Self {
        self.most_keys = most;
        self
    }

    /// How many slow commands are told. The default is 32.
    pub fn slow(mut self, most: u32) -> Self {
        self.most_slow = most;
        self
    }

    /// Asks, and tells what was found.
    ///
    /// # Errors
    ///
    /// When no server answers. What one does not let us ask is in [`Node::withheld`].
    ///
    /// # Cancellation
    ///
    /// It only reads, and may be dropped at any time.
    pub async fn run(self) -> Result<Report, Error> {
        let targets = nodes(self.redis).await?;
        let looks = targets.iter().map(|target| self.node(target));
        let (mut found, mut advice, mut failure) = (Vec::new(), Vec::new(), None);
        for (target, looked) in targets.iter().zip(join_all(looks).await) {
            match looked {
                Ok(node) => found.push(node),
                Err(error) => {
                    let text = format!("it does not answer: {error}");
                    advice.push(Advice::new(Finding::Unreachable, address(target).as_deref(), text));
                    failure = Some(error);
                }
            }
        }
        if let (true, Some(error)) = (found.is_empty(), failure) {
            return Err(error);
        }
        let keys = match keys::sample(self.redis, self.most_keys).await {
            Ok(keys) => keys,
            Err(error) if error.is_refused() => {
                found.iter_mut().for_each(|node| node.withheld.push("SCAN"));
                Keys::default()
            }
            // The other nodes were asked; what is known of the keys is not worth losing that.
            Err(_) if !advice.is_empty() => Keys::default(),
            Err(error) => return Err(error),
        };
        advice.extend(found.iter().flat_map(|node| advice::of_node(node, &self.purposes)));
        advice.extend(advice::of_keys(&keys));
        advice.sort_by_key(|one: &Advice| one.finding);
        Ok(Report { nodes: found, keys, advice })
    }

    async fn node(&self, target: &Target) -> Result<Node, Error> {
        let mut node = Node { address: address(target), round_trip: Duration::MAX, ..Node::default() };
        for _ in 0..TRIPS {
            let start = Instant::now();
            self.ask(cmd("PING"), target).await?;
            node.round_trip = node.round_trip.min(start.elapsed());
        }
        if let Some(info) = self.allowed(cmd("INFO"), target, "INFO", &mut node).await? {
            node.info = Some(Info::parse(&info.text()?.unwrap_or_default()));
        }
        node.settings = self.settings(target, &mut node).await?;
        let mut slowlog = cmd("SLOWLOG");
        slowlog.arg("GET").arg(self.most_slow);
        if let Some(slow) = self.allowed(slowlog, target, "SLOWLOG", &mut node).await? {
            node.slow = slow.list()?.into_iter().map(Slow::parse).collect::<Result<_, _>>()?;
        }
        let mut latest = cmd("LATENCY");
        latest.arg("LATEST");
        if let Some(spikes) = self.allowed(latest, target, "LATENCY", &mut node).await? {
            node.spikes = spikes.list()?.into_iter().map(Spike::parse).collect::<Result<_, _>>()?;
        }
        Ok(node)
    }

    async fn settings(&self, target: &Target, node: &mut Node) -> Result<Option<Settings>, Error> {
        // Several names at once are understood from 7.0 on.
        let names = [
            "save",
            "appendfsync",
            "tcp-keepalive",
            "slowlog-log-slower-than",
            "latency-monitor-threshold",
            "min-replicas-to-write",
        ];
        let mut values = Vec::new();
        for name in names {
            let mut get = cmd("CONFIG");
            get.arg("GET").arg(name);
            let Some(pair) = self.allowed(get, target, "CONFIG", node).await? else { return Ok(None) };
            values.push(pair.list()?.into_iter().nth(1).map(Reply::text).transpose()?.flatten());
        }
        let mut values = values.into_iter();
        let mut text = || values.next().flatten();
        let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
        Ok(Some(Settings {
            save: text(),
            appendfsync: text(),
            tcp_keepalive: number(text()),
            slowlog_log_slower_than: number(text()),
            latency_monitor_threshold: number(text()),
            min_replicas_to_write: number(text()),
        }))
    }

    /// What is answered, unless that is a refusal.
    async fn allowed(
        &self,
        cmd: Cmd,
        target: &Target,
        name: &'static str,
        node: &mut Node,
    ) -> Result<Option<Reply>, Error> {
        match self.ask(cmd, target).await {
            Ok(reply) => Ok(Some(reply)),
            Err(error) if error.is_refused() => {
                node.withheld.push(name);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, cmd: Cmd, target: &Target) -> Result<Reply, Error> {
        self.redis.one(cmd, target, self.redis.until_deadline()).await.map(Reply::new)
    }
}

fn address(target: &Target) -> Option<String> {
    match target {
        Target::Node(host, port) => Some(format!("{host}:{port}")),
        Target::Keys(_) | Target::Anyone => None,
    }
}
