//! Cache-aside.

mod batch;
mod call;
mod codec;
mod counters;
mod entry;
mod handle;
mod key;
mod loaded;
mod policy;
mod write;

#[cfg(feature = "json")]
pub use codec::Json;
pub use codec::{Codec, Postcard};
pub use counters::Counters;
pub use entry::Entry;
pub use handle::Aside;
pub use key::EntityKey;
pub use loaded::Loaded;
pub use policy::Policy;
