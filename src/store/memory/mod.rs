//! The store of one process.
//!
//! [`Memory`] is bounded by bytes. What it evicts is chosen by CLOCK-Pro, which keeps what is asked for often through a
//! scan of things that are asked for once. A read takes no lock that another reader would wait for; everything else
//! passes a short lock, one of many, chosen by resource.
//!
//! ```
//! use bartizan::{CacheLayer, Memory};
//!
//! let cache = CacheLayer::new(Memory::with_capacity(64 << 20));
//! ```
//!
//! # How the contract is kept
//!
//! Leases, waits and removals draw from one count. A lease of a key is a *flight*, at most one of them attached to the
//! key at a time; callers who come meanwhile wait in it. Removing a resource detaches its flights: they end as they like,
//! those in them get the answer that they asked for before the removal, nothing is kept, and the next caller begins a new
//! flight. Tags are known only when the value is there, so a removed tag leaves the present count in a *seal*; a fill
//! compares the seals of its tags with the count of its lease, and what is kept holds on to its seals, so that removing
//! a tag is one store to memory for any number of values.

mod flight;
mod lease;
mod seal;
mod store;

pub use lease::MemoryLease;
#[cfg(feature = "redis")]
pub(crate) use lease::Origin;
pub use store::Memory;
