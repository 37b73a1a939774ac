//! The store that processes share.
//!
//! ```no_run
//! use bartizan::{CacheLayer, Memory, Redis, RedisStore, Tiered};
//!
//! # async fn example() -> Result<(), bartizan::Error> {
//! let redis = Redis::connect("redis://127.0.0.1").await?;
//! let cache = CacheLayer::new(Tiered::new(Memory::with_capacity(64 << 20), RedisStore::new(redis)));
//! # Ok(()) }
//! ```
//!
//! What one process filled all find; of all who miss a key one makes its value; and what is removed is removed for all. A
//! [`RedisStore`] by itself asks Redis for every value: a hit is one round trip. [`Tiered`](crate::Tiered) puts memory in front
//! of it.
//!
//! # What lies on the server
//!
//! Keys fall into a fixed number of *buckets*, each one slot of a Cluster. With the namespace `bartizan` and the name
//! `pages`, the seventh of sixteen has
//!
//! | key | what it is |
//! |---|---|
//! | `bartizan:{pages:7/16}:table` | a hash: an epoch, a sequence, and for what was removed of late, when |
//! | `bartizan:{pages:7/16}:stamp` | the epoch, and the sequence of the last removal; also the name of the bucket's channel |
//! | `bartizan:{pages:7/16}:entry:<resource>[:<variant>]` | a value, in an envelope |
//! | `bartizan:{pages:7/16}:lease:<resource>[:<variant>]` | who makes it, while somebody does |
//!
//! All of them expire.
//!
//! # How the contract is kept
//!
//! Leases and removals of a bucket draw from one sequence. A lease, and the value that it fills, have the sequence at which it
//! was won, and the epoch; they are dead once the table knows of a later removal of one of their names (the resource, a tag), or
//! has another epoch, because it was lost. No clock is compared. A hit is one `MGET` of entry and stamp: what is no older than
//! the last removal in its bucket stands. Otherwise the table is asked for its names, once for each removal. A miss is one
//! script more, which finds, grants a lease, or says that another has it. A removal by tag is one script for each bucket, in
//! one pipeline, however many values bear the tag.
//!
//! A table remembers up to 16 384 names; one more, and all of its bucket is removed instead.
//!
//! Who finds a key leased is told on the bucket's channel when the lease ends, and asks anew every half second besides. A
//! lease lasts three seconds and is renewed while its holder lives, so who was killed is replaced within that time.
//!
//! # When Redis fails
//!
//! A store that cannot be asked is left: requests go to the origin. A removal that could not be sent is an error, is remembered and
//! made up for once it can be.
//!
//! A server that took over may not know the last of what the one before it had acknowledged (it is replicated after the fact).
//! So it refuses the fills of all leases that it did not grant itself; each process makes its removals of the last thirty
//! seconds again; and until that is surely done, for five seconds, it finds nothing that was kept before. The same goes for a
//! server that restarts, and for slots that move to another node. Who hears nothing on the channels asks by script, which finds
//! out; so a plain read is not made for longer than a second, or the bound of what is near, after it was known who answers.
//! What remains: a removal of the last moment is lost when the server and the process that asked for it die together.
//!
//! A server without room (`OOM`) forgets the whole bucket at a removal, for which it needs none.
//!
//! # What it needs
//!
//! Beside what [`redis`](crate::redis) needs, for the keys and channels of the namespace: `+get +set +mget +del +unlink +getrange +setrange
//! +strlen +hget +hset +hmget +hdel +hincrby +hlen +hexists +pexpire +pttl +publish +subscribe +time +info`. Without `+info` a promoted server
//! is not told from the one before it.

mod asking;
mod channel;
pub(crate) mod envelope;
mod keeper;
mod lease;
mod names;
mod orders;
mod reads;
mod removals;
mod removing;
mod scripts;
mod settings;
mod store;
mod waits;

pub(crate) use channel::Near;
pub use lease::RedisLease;
pub(crate) use names::Name;
pub use settings::RedisStoreBuilder;
pub use store::RedisStore;
