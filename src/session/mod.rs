//! Sessions that lose nothing: parallel requests merge what they change, and what has ended stays ended.
//!
//! | module | what is in it |
//! |---|---|
//! | [`contract`] | what a store does, and what it answers |
//! | [`record`] | what a store keeps of a session |
//! | [`changes`] | what a request changes in it |

pub mod changes;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod contract;
mod memory;
pub mod record;
mod token;

pub use contract::SessionStore;
pub use memory::{MemorySessions, SessionUsage};
pub use token::{RecordId, SecretDigest};
