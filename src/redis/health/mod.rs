//! How a Redis is, and what about it should be different.
//!
//! ```no_run
//! use bartizan::redis::health::{Checkup, Purpose};
//!
//! # async fn example(redis: bartizan::Redis) -> Result<(), bartizan::Error> {
//! let report = Checkup::new(&redis).serves([Purpose::Cache, Purpose::Sessions]).run().await?;
//! for advice in &report.advice {
//!     println!("[{}] {advice}", advice.finding.as_str());
//! }
//! # Ok(()) }
//! ```
//!
//! `examples/redis_doctor.rs` prints all of it. It reads, and changes nothing: `INFO`, `CONFIG GET` of six settings, `SLOWLOG
//! GET`, `LATENCY LATEST`, and a bounded `SCAN` of the namespace with `MEMORY USAGE` and `PTTL`. Where one of these is not
//! allowed, as on managed servers, the report says so ([`Node::withheld`]) and there is no advice about what is not known. In a
//! Cluster each primary is asked. With Sentinel it is the primary. Where permissions are given one by one:
//!
//! ```text
//! +ping +info +config|get +slowlog|get +latency|latest +scan +pttl +memory|usage
//! ```
//!
//! # What is said
//!
//! | when it serves | | finding |
//! |---|---|---|
//! | limits, sessions, tools | `maxmemory-policy` is other than `noeviction`; keys were evicted | [`EvictsWhatMustStay`], [`Evicted`] |
//! | sessions, tools | no append-only file, and no snapshots or only those; `appendfsync no` | [`NotPersisted`], [`RarelyPersisted`], [`NotSynced`] |
//! | a cache | snapshots without an append-only file, which bring back what was removed | [`SnapshotsRevive`] |
//! | a cache alone | `noeviction`, with which a full server takes no new page | [`NeverEvicts`] |
//! | whatever | `maxmemory` unset, or nearly used up; memory that is fragmented | [`NoMemoryLimit`], [`NearlyFull`], [`Fragmented`] |
//! | | replicas, and `min-replicas-to-write 0`; one that does not follow; a primary that is none | [`SplitBrain`], [`ReplicaLags`], [`Replica`](Finding::Replica) |
//! | | the disk failed; connections were refused, or soon will be; `tcp-keepalive 0` | [`PersistenceFails`], [`RejectsConnections`], [`ManyConnections`], [`NoKeepalive`] |
//! | | a log of slow commands that is off, or logs too much or too little; commands of 100 ms | [`Slowlog`], [`SlowCommands`] |
//! | | keys over 1 MiB; keys of ours without expiry, but for those of tools | [`BigKeys`], [`KeysWithoutExpiry`] |
//! | | a server before 6.2; a primary of a Cluster that does not answer | [`TooOld`], [`Unreachable`] |
//!
//! [`EvictsWhatMustStay`]: Finding::EvictsWhatMustStay
//! [`Evicted`]: Finding::Evicted
//! [`NotPersisted`]: Finding::NotPersisted
//! [`RarelyPersisted`]: Finding::RarelyPersisted
//! [`NotSynced`]: Finding::NotSynced
//! [`SnapshotsRevive`]: Finding::SnapshotsRevive
//! [`NeverEvicts`]: Finding::NeverEvicts
//! [`NoMemoryLimit`]: Finding::NoMemoryLimit
//! [`NearlyFull`]: Finding::NearlyFull
//! [`Fragmented`]: Finding::Fragmented
//! [`SplitBrain`]: Finding::SplitBrain
//! [`ReplicaLags`]: Finding::ReplicaLags
//! [`PersistenceFails`]: Finding::PersistenceFails
//! [`RejectsConnections`]: Finding::RejectsConnections
//! [`ManyConnections`]: Finding::ManyConnections
//! [`NoKeepalive`]: Finding::NoKeepalive
//! [`Slowlog`]: Finding::Slowlog
//! [`SlowCommands`]: Finding::SlowCommands
//! [`BigKeys`]: Finding::BigKeys
//! [`KeysWithoutExpiry`]: Finding::KeysWithoutExpiry
//! [`TooOld`]: Finding::TooOld
//! [`Unreachable`]: Finding::Unreachable

mod advice;
mod checkup;
mod info;
mod keys;
mod snapshot;

pub use advice::{Advice, Finding, Purpose};
pub use checkup::Checkup;
pub use snapshot::{
    Info, Key, Keys, Memory, Node, Persistence, Replica, Replication, Report, Settings, Slow, Spike, Stats,
};
