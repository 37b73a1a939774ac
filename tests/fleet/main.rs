//! Many processes that share a Redis, and what may not happen whatever fails: a second call of the origin for one cold
//! page, a page that was purged, a request that fails.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod history;
mod load;
mod lost_writes;
mod member;
mod mutants;
mod node;
mod one_fill;
mod own_replication;
mod process;
mod random;
mod replication;
mod resharding;
mod schedule;
mod site;
mod staleness;
mod store;
#[expect(dead_code, unused_imports, reason = "the tests of the handle want more of it")]
#[path = "../redis/support/mod.rs"]
mod support;
mod wait;
mod would_catch;
