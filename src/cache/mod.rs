//! Response caching.

mod asked;
mod body;
mod budget;
mod counters;
mod digits;
mod errand;
mod fill;
mod future;
mod handle;
mod invalidation;
mod key;
mod layer;
mod look;
mod policy;
mod query;
mod rules;
mod sent;
mod service;
mod spool;
mod status;
mod stored;
mod word;

pub use body::CacheBody;
pub use counters::{Counters, Misses};
pub use future::ResponseFuture;
pub use handle::CacheHandle;
pub use layer::CacheLayer;
pub use policy::storable::Reason;
pub use query::Query;
pub use rules::Rules;
pub use service::Cache;
pub use stored::Stored;
pub use word::Caching;
