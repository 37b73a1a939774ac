//! Sessions that lose nothing: parallel requests merge what they change, and what has ended stays ended.
//!
//! | module | what is in it |
//! |---|---|
//! | [`contract`] | what a store does, and what it answers |
//! | [`record`] | what a store keeps of a session |
//! | [`changes`] | what a request changes in it |

pub mod changes;
pub mod contract;
pub mod record;
mod token;

pub use contract::SessionStore;
pub use token::{RecordId, SecretDigest};
