//! What should be different.

use std::fmt;

use crate::redis::{
    Version,
    health::snapshot::{Info, Keys, Node, Settings},
};

/// What a server is used for, which decides what it must not lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// Responses and values that can be made anew.
    Cache,
    /// Rate limits: what is lost is admitted twice.
    Limits,
    /// Sessions: who is lost is logged out.
    Sessions,
    /// Locks, streams, queues, leaderboards, counters.
    Tools,
}

/// Something that should be different. `Display` says what and why, and what to set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Advice {
    /// What it is about.
    pub finding: Finding,
    /// In a Cluster, which node it is about.
    pub node: Option<String>,
    text: String,
}

/// What an [`Advice`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// A primary did not answer.
    Unreachable,
    /// It is a replica, which takes no writes.
    Replica,
    /// A full server drops what must stay.
    EvictsWhatMustStay,
    /// It did drop keys, of which some had to stay.
    Evicted,
    /// Nothing is on disk of what a restart must not lose.
    NotPersisted,
    /// A restart loses what came since the last snapshot.
    RarelyPersisted,
    /// The append-only file reaches the disk when the machine sees fit.
    NotSynced,
    /// The disk failed.
    PersistenceFails,
    /// A restart brings back pages that were removed.
    SnapshotsRevive,
    /// A primary that is cut off goes on taking writes.
    SplitBrain,
    /// A replica does not follow.
    ReplicaLags,
    /// It takes what memory the machine has.
    NoMemoryLimit,
    /// Nine tenths of the memory are used.
    NearlyFull,
    /// A full server takes nothing new, of what could all be dropped.
    NeverEvicts,
    /// Much of what the process takes is not in use.
    Fragmented,
    /// Connections were refused.
    RejectsConnections,
    /// Nine tenths of the connections there may be are there.
    ManyConnections,
    /// Connections that lead nowhere are kept.
    NoKeepalive,
    /// What is slow is not logged, or everything is.
    Slowlog,
    /// A command held up everybody.
    SlowCommands,
    /// A key is large.
    BigKeys,
    /// Keys never expire.
    KeysWithoutExpiry,
    /// It is older than what is supported.
    TooOld,
}

/// From how many bytes on a key is large.
const BIG: u64 = 1 << 20;

/// From how many microseconds on a command holds up everybody.
const SLOW: u64 = 100_000;

/// So many wasted bytes are worth a word.
const WASTE: u64 = 100 << 20;

const OLDEST: Version = Version { major: 6, minor: 2, patch: 0 };

// === impl Finding ===

impl Finding {
    /// A word for it that stays the same, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Replica => "replica",
            Self::EvictsWhatMustStay => "evicts-what-must-stay",
            Self::Evicted => "evicted",
            Self::NotPersisted => "not-persisted",
            Self::RarelyPersisted => "rarely-persisted",
            Self::NotSynced => "not-synced",
            Self::PersistenceFails => "persistence-fails",
            Self::SnapshotsRevive => "snapshots-revive",
            Self::SplitBrain => "split-brain",
            Self::ReplicaLags => "replica-lags",
            Self::NoMemoryLimit => "no-memory-limit",
            Self::NearlyFull => "nearly-full",
            Self::NeverEvicts => "never-evicts",
            Self::Fragmented => "fragmented",
            Self::RejectsConnections => "rejects-connections",
            Self::ManyConnections => "many-connections",
            Self::NoKeepalive => "no-keepalive",
            Self::Slowlog => "slowlog",
            Self::SlowCommands => "slow-commands",
            Self::BigKeys => "big-keys",
            Self::KeysWithoutExpiry => "keys-without-expiry",
            Self::TooOld => "too-old",
        }
    }
}

// === impl Advice ===

impl Advice {
    pub(super) fn new(finding: Finding, node: Option<&str>, text: String) -> Self {
        Self { finding, node: node.map(str::to_owned), text }
    }
}

/// With the node before it, if there are several.
impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(node) = &self.node {
            write!(f, "{node}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// What is to be said of one server.
pub(super) fn of_node(node: &Node, purposes: &[Purpose]) -> Vec<Advice> {
    let mut said = Said { node: node.address.as_deref(), advice: Vec::new() };
    let serves = Serves(purposes);
    if let Some(info) = &node.info {
        of_info(&mut said, info, serves);
        let unknown = Settings::default();
        of_disk(&mut said, info, node.settings.as_ref().unwrap_or(&unknown), serves);
    }
    if let Some(settings) = &node.settings {
        of_settings(&mut said, settings);
        if let (Some(0), Some(info)) = (settings.min_replicas_to_write, &node.info)
            && !info.replication.replicas.is_empty()
            && node.address.is_none()
        {
            said.add(
                Finding::SplitBrain,
                "a primary that is cut off from its replicas goes on taking writes, which are lost when it comes back: set \
                 `min-replicas-to-write 1` on all servers",
            );
        }
    }
    let slow: Vec<_> = node.slow.iter().filter(|slow| slow.took.as_micros() >= SLOW.into()).collect();
    if let Some(worst) = slow.iter().max_by_key(|slow| slow.took) {
        let (count, took, command) = (slow.len(), worst.took, &worst.command);
        said.add(
            Finding::SlowCommands,
            format!(
                "{count} commands in its log held up everybody for 100 ms or more, the slowest for {took:?}: {command}"
            ),
        );
    }
    said.advice
}

fn of_info(said: &mut Said<'_>, info: &Info, serves: Serves<'_>) {
    let (memory, stats) = (&info.memory, &info.stats);
    if Version::parse(&info.version).is_some_and(|version| version < OLDEST) {
        said.add(Finding::TooOld, format!("it is a {}, and what is done here is tried from 6.2 on", info.version));
    }
    if info.replication.is_replica {
        said.add(Finding::Replica, "it is a replica, which takes no writes: name the primary, or the sentinels");
    }
    if let Some(policy) = &memory.policy {
        if serves.what_must_stay() && policy != "noeviction" {
            said.add(
                Finding::EvictsWhatMustStay,
                format!(
                    "`maxmemory-policy {policy}`: when it is full it drops limits, sessions or what tools keep: set `noeviction`, and \
                     give the cache a server of its own"
                ),
            );
        }
        if !serves.what_must_stay() && policy == "noeviction" && memory.limit != Some(0) {
            said.add(
                Finding::NeverEvicts,
                "`maxmemory-policy noeviction`: when it is full it takes no new page: set `allkeys-lfu`, or `volatile-lfu` beside data \
                 that must stay",
            );
        }
    }
    if serves.what_must_stay() && stats.evicted > 0 {
        said.add(
            Finding::Evicted,
            format!("it dropped {} keys for want of memory since it was started", stats.evicted),
        );
    }
    match memory.limit {
        Some(0) => said.add(
            Finding::NoMemoryLimit,
            "`maxmemory` is not set: it takes what the machine has, until the machine ends it: set it to what you want to give",
        ),
        Some(limit) if memory.used / 9 >= limit / 10 => {
            said.add(Finding::NearlyFull, format!("{} of {} are used", megabytes(memory.used), megabytes(limit)));
        }
        _ => {}
    }
    if memory.resident / 3 > memory.used / 2 && memory.resident.saturating_sub(memory.used) > WASTE {
        said.add(
            Finding::Fragmented,
            format!(
                "the process takes {} for {} that are kept: set `activedefrag yes`, or restart it",
                megabytes(memory.resident),
                megabytes(memory.used)
            ),
        );
    }
    if stats.rejected > 0 {
        said.add(
            Finding::RejectsConnections,
            format!("it refused {} connections, since `maxclients` is {}", stats.rejected, stats.max_clients),
        );
    }
    if stats.max_clients > 0 && stats.clients / 9 >= stats.max_clients.div_ceil(10) {
        said.add(
            Finding::ManyConnections,
            format!(
                "{} of {} connections are there: set `maxclients`, or share them",
                stats.clients, stats.max_clients
            ),
        );
    }
    for replica in info.replication.replicas.iter().filter(|replica| !replica.is_online || replica.lag.as_secs() > 10) {
        let (address, lag) = (&replica.address, replica.lag);
        said.add(Finding::ReplicaLags, format!("its replica {address} does not follow, and was heard of {lag:?} ago"));
    }
}

/// What a restart would lose, and what it would bring back.
fn of_disk(said: &mut Said<'_>, info: &Info, settings: &Settings, serves: Serves<'_>) {
    let persistence = &info.persistence;
    if persistence.failed {
        said.add(Finding::PersistenceFails, "the last attempt to write to disk failed: see its log");
    }
    match (persistence.append_only, settings.save.as_deref()) {
        (false, Some("")) if serves.what_must_last() => said.add(
            Finding::NotPersisted,
            "nothing is written to disk: a restart loses all sessions and what tools keep: set `appendonly yes`",
        ),
        (false, Some(save)) if serves.what_must_last() => said.add(
            Finding::RarelyPersisted,
            format!(
                "only snapshots are written to disk (`save {save}`): a restart loses what came since the last: set `appendonly yes`"
            ),
        ),
        (true, _) if serves.what_must_last() && settings.appendfsync.as_deref() == Some("no") => said.add(
            Finding::NotSynced,
            "`appendfsync no`: when the machine fails, what came in the last half minute is lost: set `everysec`",
        ),
        _ => {}
    }
    if !persistence.append_only
        && serves.cache()
        && let Some(save) = settings.save.as_deref().filter(|save| !save.is_empty())
    {
        said.add(
            Finding::SnapshotsRevive,
            format!(
                "snapshots (`save {save}`): a restart brings back pages that were removed since the last: set `save \"\"`, or \
                 `appendonly yes`, or remove everything after a restart"
            ),
        );
    }
}

fn of_settings(said: &mut Said<'_>, settings: &Settings) {
    if settings.tcp_keepalive == Some(0) {
        said.add(
            Finding::NoKeepalive,
            "`tcp-keepalive 0`: connections of clients that vanished are kept for ever: set 300, or less than the firewall's patience",
        );
    }
    match settings.slowlog_log_slower_than {
        Some(micros) if micros < 0 => {
            said.add(Finding::Slowlog, "slow commands are not logged: set `slowlog-log-slower-than 10000`");
        }
        Some(micros) if micros > SLOW as i64 => said.add(
            Finding::Slowlog,
            format!("commands are logged as slow from {micros} us on, which is late: set `slowlog-log-slower-than 10000`"),
        ),
        Some(micros) if micros < 100 => said.add(
            Finding::Slowlog,
            format!("commands are logged as slow from {micros} us on, which is nearly all: set `slowlog-log-slower-than 10000`"),
        ),
        _ => {}
    }
}

/// What is to be said of the keys of all servers.
pub(super) fn of_keys(keys: &Keys) -> Vec<Advice> {
    let mut said = Said { node: None, advice: Vec::new() };
    let big: Vec<_> = keys.largest.iter().filter(|key| key.bytes > BIG).collect();
    if let Some(largest) = big.first() {
        said.add(
            Finding::BigKeys,
            format!(
                "{} keys take more than 1 MiB, the largest {}: {}: split them, or keep them elsewhere",
                big.len(),
                megabytes(largest.bytes),
                largest.name
            ),
        );
    }
    if keys.lasting > 0 {
        said.add(
            Finding::KeysWithoutExpiry,
            format!(
                "{} of {} keys never expire, such as {}",
                keys.lasting,
                keys.seen,
                keys.lasting_examples.join(", ")
            ),
        );
    }
    said.advice
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

struct Said<'a> {
    node: Option<&'a str>,
    advice: Vec<Advice>,
}

impl Said<'_> {
    fn add(&mut self, finding: Finding, text: impl Into<String>) {
        self.advice.push(Advice::new(finding, self.node, text.into()));
    }
}

#[derive(Clone, Copy)]
struct Serves<'a>(&'a [Purpose]);

impl Serves<'_> {
    fn cache(self) -> bool {
        self.0.contains(&Purpose::Cache)
    }

    fn what_must_stay(self) -> bool {
        self.0.iter().any(|purpose| *purpose != Purpose::Cache)
    }

    fn what_must_last(self) -> bool {
        self.0.iter().any(|purpose| matches!(purpose, Purpose::Sessions | Purpose::Tools))
    }
}
