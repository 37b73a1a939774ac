//! Rate limiting.

mod contract;
mod identity;

pub use contract::{Charge, Ledger, Limiter, Verdict};
pub use identity::Identity;
