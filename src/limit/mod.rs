//! Rate limiting.

mod contract;
mod identity;

pub use contract::{Account, Charge, Ledger, Limiter, Receipt, Verdict};
pub use identity::Identity;
