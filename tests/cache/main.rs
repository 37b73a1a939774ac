//! What the cache layer does, seen from outside.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod counters;
mod http;
mod privacy;
mod purge;
mod rules;
