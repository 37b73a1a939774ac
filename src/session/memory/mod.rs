//! The sessions of one process.

mod index;
mod shard;
mod store;

pub use store::{MemorySessions, SessionUsage};
