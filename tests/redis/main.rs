//! The handle on a Redis, on servers that the tests start, stop and cut off themselves.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod support;

mod bus;
mod connect;
mod crash;
mod dropped;
mod failover;
mod failure;
mod health;
mod leaderboard;
mod leaderboard_clock;
mod leaderboard_model;
mod lock;
mod lock_acl;
mod lock_file;
mod lock_model;
mod own_servers;
mod queue;
#[expect(dead_code, reason = "the tests of the fleet want more of it")]
#[path = "../fleet/replication.rs"]
mod replication;
mod scripts;
mod sharing;
mod simple;
mod stream;
mod stream_acl;
mod subscription;
mod tools_acl;
mod tracking;
