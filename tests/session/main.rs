//! What sessions promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod asvs;
#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "cache")]
mod caches;
mod handle;
mod interleavings;
mod lifetimes;
mod memory;
mod outage;
mod parallel;
mod rights;
mod store;
mod support;
mod tokens;
