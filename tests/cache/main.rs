//! What the cache layer does, seen from outside.

#[path = "../support/mod.rs"]
mod support;

mod detached;
mod dropped;
mod flight;
mod readiness;
mod rules;
mod stale;
mod streaming;
