//! What the cache layer does, seen from outside.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod counters;
mod detached;
mod dropped;
mod etags;
mod flight;
mod groups;
mod http;
mod languages;
mod meeting;
mod poisoning;
mod privacy;
mod profiles;
mod purge;
mod query;
mod ranges;
mod readiness;
mod rules;
mod stale;
mod status;
mod streaming;
mod validation;
