//! Counts that processes share, on a Redis.
//!
//! ```no_run
//! use bartizan::{Redis, limit::RedisLimiter};
//!
//! # async fn example() -> Result<(), bartizan::Error> {
//! let limiter = RedisLimiter::new(Redis::connect("redis://127.0.0.1").await?);
//! # Ok(()) }
//! ```
//!
//! A check is one script and one round trip, however many quotas it has, and those who ask in the same moment share one script: what a
//! script costs is mostly that it is one. The arithmetic is that of [`quota`](crate::quota), and so are its promises: the script repeats
//! what is counted, in Lua, and answers the numbers from which the process tells how much remains.
//!
//! # What lies on the server
//!
//! | key | what it is |
//! |---|---|
//! | `bartizan:limit:{192.0.2.7/32}:login:s` | a string: what that address took in the ledger `login`, by the sliding window |
//! | `bartizan:limit:{ada}:login:b` | the same of somebody named `ada`, by a token bucket |
//!
//! `s` is [sliding](crate::quota::Algorithm::Sliding), `l` log, `b` bucket, `f` fixed, `a` approximate. Between the braces are the parts of
//! the identity, with commas: texts as they are, other characters than letters, digits and `-._~@+` percent-encoded; addresses with the
//! number of bits that count; `?` for what is not known, `*` for everyone. What is longer than 64 bytes is a `#` and its SHA-256.
//! So what is counted of one identity is one slot of a Cluster.
//!
//! Every key lives until its state is worth as much as none, and at most twice as long. `DEL` forgets.
//!
//! # Time
//!
//! Milliseconds of the server's clock, so that those of the processes do not matter. When it steps back, nothing is freed early (the
//! moment of the last take stands in the state).
//!
//! # Several quotas
//!
//! Are taken by one script, all or none. In a Cluster that goes for those of one identity only. Of several identities each has its
//! slot; they are asked side by side, and where one denies, what was taken from the others is given back. No limit is exceeded by that,
//! but for as long as it takes somebody else may be denied what is about to come back. [`RedisLimiterBuilder::one_slot`]
//! puts all keys into one slot, which one shard then carries.
//!
//! # What is denied
//!
//! Is not counted, and writes nothing. It is remembered in this process until it may be allowed, or for one second, so that a flood
//! costs next to no round trips. Another process's refund, reset or higher limit is therefore seen up to one second late by who was
//! denied. What is told from memory is what was told before, aged: a request of another cost may have to wait for longer than it says, and of
//! accounts that were not asked then, nothing is known to be taken.
//!
//! # When Redis fails
//!
//! A check that could not be asked is an error, and what becomes of the request is for the layer to say. It may have been
//! counted. A server that lost its state (a restart without persistence, a failover before the last was replicated) begins anew: a window
//! that spans the loss may see what was admitted before and after it, twice the limit at most. What lies under a key and is no
//! state is replaced, and [counted](RedisLimiterUsage::replaced).
//!
//! # Cancellation
//!
//! A call that is dropped was made or was not; if others share its script, it was. Dropped between the parts of a check that was asked
//! side by side, it leaves taken what was taken: the limit errs for the limit.
//!
//! # What it needs
//!
//! Redis from 6.2. Beside what [`redis`](crate::redis) needs, for the keys of the namespace: `+eval +evalsha +time +get +mget +set
//! +del`, and for the windows by runs (sliding, log) `+getrange +setrange +pexpire`.

mod denied;
mod limiter;
mod names;
mod scripts;
mod settings;
mod together;
mod wire;

pub use limiter::{RedisLimiter, RedisLimiterUsage};
pub use settings::RedisLimiterBuilder;
