//! Rate limiting.

mod answer;
mod body;
mod check;
#[cfg_attr(not(feature = "axum"), path = "no_connect_info.rs")]
mod connect_info;
mod contract;
mod counters;
mod failing;
mod forwarding;
mod future;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod key;
mod layer;
mod memory;
mod network;
mod peer;
mod policy;
mod refusal;
mod service;
mod shaping;
mod text;

pub use body::LimitBody;
pub use contract::{Charge, Ledger, Limiter, Verdict};
pub use counters::RateLimitCounters;
pub use failing::Failing;
pub use forwarding::Proxies;
pub use future::ResponseFuture;
pub use identity::Identity;
pub use key::Key;
pub use layer::{RateLimitHandle, RateLimitLayer};
pub use memory::{MemoryLimiter, MemoryUsage};
pub use policy::{Policy, Unit};
pub use refusal::{Reason, Refusal};
pub use service::RateLimit;
pub use shaping::Shaping;
