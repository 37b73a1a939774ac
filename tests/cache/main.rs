//! What the cache layer does, seen from outside.

#[path = "../support/mod.rs"]
mod support;

mod rules;
