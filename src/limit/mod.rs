//! Rate limiting.

#[cfg_attr(not(feature = "axum"), path = "no_connect_info.rs")]
mod connect_info;
mod contract;
mod forwarding;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod key;
mod memory;
mod network;
mod peer;

pub use contract::{Charge, Ledger, Limiter, Verdict};
pub use forwarding::Proxies;
pub use identity::Identity;
pub use key::Key;
pub use memory::{MemoryLimiter, MemoryUsage};
