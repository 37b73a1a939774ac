//! Stores: the contract, the store of one process, and what makes any store one type.

#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
mod erased;
#[cfg(any(feature = "aside", feature = "cache"))]
#[cfg_attr(not(feature = "cache"), expect(dead_code, reason = "values that are no responses have no variants"))]
pub(crate) mod fetch;
#[cfg(all(feature = "redis", any(fuzzing, test)))]
#[doc(hidden)]
pub mod fuzzing;
mod kept;
mod key;
pub mod memory;
#[cfg(any(feature = "cache", feature = "redis"))]
pub(crate) mod notation;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "redis")]
pub mod tiered;
mod wire;

pub use contract::{Ending, Filled, Lease, Leased, Sharing, Store, Usage, Value, Wait, Woken};
pub use erased::{BoxLease, BoxStore};
pub use kept::{Kept, Tag, Tags, Version};
pub use key::{Key, KeyHasher, Primary, Seed};
#[cfg(feature = "redis")]
pub use redis::{RedisLease, RedisStore, RedisStoreBuilder};
#[cfg(feature = "redis")]
pub use tiered::{Tiered, TieredLease};
pub use wire::{Compression, Encoded, Wire};
