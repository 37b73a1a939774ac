//! What a server says of itself.

use std::time::Duration;

use crate::{clock::Timestamp, redis::health::advice::Advice};

/// What was found. From [`Checkup::run`](super::Checkup::run).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The server; in a Cluster each primary that answered.
    pub nodes: Vec<Node>,
    /// Of all of them together.
    pub keys: Keys,
    /// What should be different, the worst first.
    pub advice: Vec<Advice>,
}

/// One server. What it [withholds](Self::withheld) is `None`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Node {
    /// In a Cluster its host and port; else nothing.
    pub address: Option<String>,
    /// The shortest of five round trips.
    pub round_trip: Duration,
    /// What `INFO` tells.
    pub info: Option<Info>,
    /// What `CONFIG GET` tells.
    pub settings: Option<Settings>,
    /// The latest that were slow enough to be in the log, latest first.
    pub slow: Vec<Slow>,
    /// The events that the server's latency monitor has seen; it sees none unless `latency-monitor-threshold` is set.
    pub spikes: Vec<Spike>,
    /// Commands that the server does not know or does not let us use.
    pub withheld: Vec<&'static str>,
}

/// What `INFO` tells. A field that the server does not tell is zero, `false` or `None`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Info {
    /// As the server writes it, such as `7.0.15`.
    pub version: String,
    /// For how long it has been running.
    pub uptime: Duration,
    /// How it uses its memory.
    pub memory: Memory,
    /// What it has done since it was started.
    pub stats: Stats,
    /// Who copies from whom.
    pub replication: Replication,
    /// What is on disk.
    pub persistence: Persistence,
}

/// In bytes.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Memory {
    /// By what is kept.
    pub used: u64,
    /// The most that it ever was.
    pub peak: u64,
    /// By the process, as the machine sees it.
    pub resident: u64,
    /// `maxmemory`; zero is no limit.
    pub limit: Option<u64>,
    /// `maxmemory-policy`: what is done when it is full.
    pub policy: Option<String>,
}

/// Since the server was started, but for the first four.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections now.
    pub clients: u64,
    /// Connections that there may be.
    pub max_clients: u64,
    /// Clients that wait in a command that blocks.
    pub blocked_clients: u64,
    /// Commands in the last second.
    pub commands_per_second: u64,
    /// Commands.
    pub commands: u64,
    /// Keys that were looked up and found.
    pub hits: u64,
    /// Keys that were looked up and not found.
    pub misses: u64,
    /// Keys that were dropped for want of memory.
    pub evicted: u64,
    /// Keys whose time was over.
    pub expired: u64,
    /// Connections that were refused, there being too many.
    pub rejected: u64,
}

/// Who copies from whom.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Replication {
    /// Whether it copies from another, and takes no writes.
    pub is_replica: bool,
    /// Those that copy from it.
    pub replicas: Vec<Replica>,
}

/// One that copies.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Replica {
    /// Its host and port.
    pub address: String,
    /// Whether it has all of the past and follows.
    pub is_online: bool,
    /// How long ago it was last heard of.
    pub lag: Duration,
}

/// What is on disk.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Persistence {
    /// Whether each write goes into a file (`appendonly`).
    pub append_only: bool,
    /// Whether the last snapshot, and the last write to that file, went wrong.
    pub failed: bool,
    /// Whether it still reads what was on disk.
    pub loading: bool,
    /// When the last snapshot was taken.
    pub last_save: Timestamp,
    /// Writes since then.
    pub changes_since_save: u64,
}

/// What `CONFIG GET` tells, of what matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// When snapshots are taken; empty for never.
    pub save: Option<String>,
    /// When the append-only file reaches the disk.
    pub appendfsync: Option<String>,
    /// After how many silent seconds a connection is tried; zero for never.
    pub tcp_keepalive: Option<i64>,
    /// From how many microseconds on a command is logged; negative for never.
    pub slowlog_log_slower_than: Option<i64>,
    /// From how many milliseconds on an event is kept; zero for never.
    pub latency_monitor_threshold: Option<i64>,
    /// Without so many replicas at hand a primary takes no writes.
    pub min_replicas_to_write: Option<i64>,
}

/// A command that was slow. The arguments are not told, but for a key: they may be anybody's secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slow {
    /// When.
    pub at: Timestamp,
    /// For how long the server did nothing else.
    pub took: Duration,
    /// Its name, and its first key where it has one.
    pub command: String,
}

/// An event that took long, such as `fork` or `expire-cycle`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spike {
    /// As the server calls it.
    pub event: String,
    /// When it was last seen.
    pub at: Timestamp,
    /// How long it then took.
    pub latest: Duration,
    /// The longest it ever took.
    pub longest: Duration,
}

/// What was found among the keys of our namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keys {
    /// How many of ours were looked at.
    pub seen: u64,
    /// Whether that is all there are.
    pub complete: bool,
    /// The ten largest, largest first.
    pub largest: Vec<Key>,
    /// How many never expire, other than those of tools that are to stay.
    pub lasting: u64,
    /// Up to five of those.
    pub lasting_examples: Vec<String>,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Key {
    /// Without the namespace; bytes that are no text are escaped.
    pub name: String,
    /// What it takes, as the server estimates it.
    pub bytes: u64,
}
