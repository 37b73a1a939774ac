//! Composable Tower layers for HTTP services.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "cache")]
pub mod cache;
pub mod clock;
pub mod error;
pub mod expiry;
mod observe;
pub mod private;
pub mod store;

#[cfg(feature = "cache")]
pub use cache::{CacheHandle, CacheLayer, Caching, Query, Rules};
pub use error::Error;
pub use store::{BoxStore, memory::Memory};
