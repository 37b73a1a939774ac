//! Cache-aside: values of a program's own types, kept in front of what they are loaded from.
//!
//! ```
//! use std::io;
//! use bartizan::{Aside, Memory};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct User { name: String }
//!
//! // A query, as any.
//! async fn select(id: u64) -> Result<Option<User>, io::Error> {
//! #   Ok((id == 42).then(|| User { name: "Ada".to_owned() }))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bartizan::Error> {
//! let users: Aside<User, _> = Aside::new(Memory::with_capacity(64 << 20));
//!
//! let user = users.get_or_load(("user", 42), || select(42)).await?;
//! assert_eq!(user.unwrap().name, "Ada");
//!
//! // What changes goes through the cache; what changed elsewhere is invalidated.
//! users.put(("user", 42), || async { Ok::<_, io::Error>(User { name: "Grace".to_owned() }) }).await?;
//! users.invalidate(("user", 42)).await?;
//! # Ok(()) }
//! ```
//!
//! It stands on any [`Store`](crate::store::Store): [`Memory`](crate::Memory) in one process, `RedisStore` for several,
//! `Tiered` for several with memory in front. Hits from memory share the value itself, in an `Arc`: nothing is decoded.
//! In Redis it is written by a [`Codec`], postcard unless said otherwise.
//!
//! # What is promised
//!
//! | of | |
//! |---|---|
//! | a crowd | one loads, also across processes that share a store; the others have its value, that there is none, or its error |
//! | a caller who leaves | the load goes on, and is kept |
//! | an invalidation | who asks after it returned never sees what was read before, however long the reading took |
//! | a write | what it returns is kept unless another write or an invalidation came since it began |
//! | absence | is kept, for its own time, and is told from a miss |
//! | a store that fails | no error: every caller loads for itself |
//!
//! Not promised: that a value is the newest at each moment where the source is changed past the cache; invalidate after
//! the change, or let the lifetime end. Between processes with memory in front, an invalidation is heard a moment
//! later, and at the worst after the [staleness bound](crate::store::Tiered::staleness_bound).
//!
//! On a `RedisStore` alone every call asks Redis, and so does each of those who wait; with memory in front, as
//! `Tiered`, one of each process does. A store may keep values of several types, and responses too: each type has
//! entities, or fields, of its own.
//!
//! # How long
//!
//! A [`Policy`] says how long values are fresh, how long they are served when they no longer are, and how long a caller
//! waits. A call may have [another](Aside::under), and a loader may state a [lifetime and tags](Loaded) of its own.
//!
//! ```
//! use std::time::Duration;
//! use bartizan::{Aside, Memory, aside::{Loaded, Policy}};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bartizan::Error> {
//! let policy = Policy::new()
//!     .ttl(Duration::from_secs(300))
//!     .stale_while_revalidate(Duration::from_secs(30)) // at once, while one loads
//!     .stale_if_error(Duration::from_secs(3600)) // where the loader fails, ..
//!     .soft_timeout(Duration::from_millis(100)) // .. or takes longer than this
//!     .hard_timeout(Duration::from_secs(2)); // nobody waits for longer
//! let prices: Aside<u32, _> = Aside::new(Memory::with_capacity(16 << 20)).policy(policy);
//! let load = || async { Ok::<_, std::io::Error>(Loaded::new(10_u32).tag("shop:7").ttl(Duration::from_secs(5))) };
//! prices.get_or_load(("price", 42), load).await?;
//! prices.invalidate_tag("shop:7").await?;
//! # Ok(()) }
//! ```
//!
//! Where a value that is still good is near its end, a call that it answers may begin to load it anew in the
//! background: the likelier, the longer it took ([`EarlyRefresh`](crate::expiry::EarlyRefresh)). Lifetimes are spread
//! by [`Jitter`](crate::expiry::Jitter).
//!
//! # When a loader fails
//!
//! Its error is the source of the [`Error`](crate::Error) that everyone has who waited: `error.source()` and
//! `downcast_ref` in the process where it failed, its text in others. It is told through the store, for two seconds, to
//! those who waited and to nobody who asks later; in a shared store the text lies there for so long. A stale value
//! within its window is served in its place, and never given up for it.
//!
//! # Differences from what is usually written
//!
//! Reading with a `GET`, loading, then `SET`: an invalidation that comes between the two is overtaken, and the old
//! value stays. Here a load holds a lease, and what was invalidated since is not kept. A lock beside the key that
//! others poll: here they are told. A value and its deletion in two commands: here a write removes and replaces in one
//! step. Keys made by `format!`: here by [`EntityKey`].

mod asking;
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
