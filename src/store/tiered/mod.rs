//! Memory in front of Redis.
//!
//! ```no_run
//! use bartizan::{CacheLayer, Memory, Redis, RedisStore, Tiered};
//!
//! # async fn example() -> Result<(), bartizan::Error> {
//! let redis = Redis::connect("redis://127.0.0.1").await?;
//! let store = Tiered::new(Memory::with_capacity(64 << 20), RedisStore::new(redis));
//! println!("a removal is seen by every process within {:?}", store.staleness_bound());
//! let cache = CacheLayer::new(store);
//! # Ok(()) }
//! ```
//!
//! What memory holds is answered as by [`Memory`](crate::Memory) alone. What it does not is asked of Redis, once at a time for each key and
//! process; what comes is kept near as well. Fills and removals go to Redis first.
//!
//! # How long something removed may be seen
//!
//! In the process that removed it: not at all, once the removal has returned. In the others: until the word of it has come, a
//! moment later; and at the worst for [`staleness_bound`](Tiered::staleness_bound), a second unless said otherwise.
//!
//! Memory is believed only while the channel of removals is proven to work: four times within the bound each process writes to
//! each bucket, and hears of its own write on the channel. A removal that was missed (they make a chain), a connection that was
//! lost, or no proof for as long as the bound: all of memory is dropped at once. From then on it is *on its own*: it answers from
//! what was filled since, and for no longer than the bound, counted from before it was read or begun to be made. When the channel
//! is proven again it is dropped once more.
//!
//! The clock that counts is the process's own, and read on every hit: a process that was stopped for an hour believes nothing when
//! it goes on.
//!
//! # When Redis fails
//!
//! Nobody waits for longer than the handle's deadline, and once its breaker is open nobody waits. Requests go to the origin, still one
//! for each key and process; what they bring is kept near, for the bound. A removal is carried out near, is an error, and is
//! sent once it can be.
//!
//! # What the server must do for the bound to hold
//!
//! A primary that is cut off from its replicas and the sentinels goes on answering whoever can reach it, and takes removals that
//! nobody will know of. Redis has a word against that, `min-replicas-to-write 1` with `min-replicas-max-lag 10`: such a
//! primary refuses writes, and with them beats and removals. In a Cluster, `cluster-node-timeout` does it.
//!
//! A removal that was acknowledged may be lost when the server fails before it has replicated it. The process that made it makes it
//! again on the server that took over, which serves nothing of what was kept before until then. It is lost only together with that
//! process.

mod lease;
mod store;
mod trust;

pub use lease::TieredLease;
pub use store::Tiered;
