//! Rate limiting.

mod contract;
mod identity;
mod memory;

pub use contract::{Charge, Ledger, Limiter, Verdict};
pub use identity::Identity;
pub use memory::{MemoryLimiter, MemoryUsage};
