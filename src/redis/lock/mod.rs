//! A lock that processes share, and tokens that tell their writes apart when it fails.
//!
//! ```no_run
//! use std::time::Duration;
//! use bartizan::{Redis, redis::lock::Lock};
//!
//! # async fn close_books(_: bartizan::redis::lock::FencingToken) {}
//! # async fn example() -> Result<(), bartizan::Error> {
//! let redis = Redis::connect("redis://127.0.0.1").await?;
//! let lock = Lock::new(&redis, "close-books")?.ttl(Duration::from_secs(10)).wait(Duration::from_secs(30));
//!
//! // Ends early, with an error, when the lock is lost.
//! lock.with_lock(async |guard| close_books(guard.token()).await).await?;
//!
//! // The same by hand.
//! let guard = lock.acquire().await?;
//! tokio::select! {
//!     () = guard.lost() => return Ok(()),
//!     () = close_books(guard.token()) => guard.release().await?,
//! }
//! # Ok(()) }
//! ```
//!
//! Who holds the lock is kept in it: a task renews it three times within its time to live, for as long as there is a
//! [`LockGuard`]. Who waits is woken when it is given up, without polling. A guard that is dropped gives it up, also that of a
//! future which is dropped in the middle of asking.
//!
//! # What it promises, and what it cannot
//!
//! A lock with a time to live is a hint. Its holder may be stopped (a virtual machine that moves, a swapped-out process, a
//! blocked runtime), the lock ends, another takes it, and then the first goes on and writes. The server may also forget: a
//! `FLUSHALL`, a restart, a failover to a replica that had not heard of the lock yet. So:
//!
//! | | |
//! |---|---|
//! | of two holders one at a time | as long as the server keeps the lock, and holders heed [`LockGuard::lost`] |
//! | a holder learns of the loss | after a third of the time to live at most, or when it looks; a tenth of the time before another can have it where the server cannot be reached |
//! | **no write that is older than one which was accepted** | **always, at a resource that compares tokens** |
//! | who waits gets it in turn | no; who comes at the right moment is faster |
//! | the lock is free after a holder died | after the time to live |
//!
//! For work that may as well be done twice, such as filling a cache, the hint is all that is needed. For what must not be
//! undone by somebody late, see to the fence.
//!
//! Several independent servers with a majority among them ("Redlock") are not used: they make losses rarer and cannot exclude
//! them, and a resource that compares tokens needs neither.
//!
//! # Fencing
//!
//! Each guard has a [`FencingToken`], greater than those of all holders before. It goes to the resource with each write, in the
//! same transaction, and the resource refuses it when it has seen a greater one. Its text is ordered as it is:
//!
//! ```sql
//! -- fence TEXT COLLATE "C" NOT NULL DEFAULT ''
//! UPDATE books SET total = $1, fence = $2 WHERE id = $3 AND fence <= $2;
//! ```
//!
//! Where no row was updated, whoever wrote came too late. A value that a write depends on is read with the token as well, or
//! the holder before could still change it behind the reader's back:
//!
//! ```sql
//! UPDATE books SET fence = $1 WHERE id = $2 AND fence <= $1 RETURNING total;
//! ```
//!
//! [`Fenced`] is such a resource on the Redis itself.
//!
//! Its number is the greatest of three: the last one counted on the server and one more; the server's time in microseconds;
//! the highest that this [`Lock`] has seen and one more. A counter alone begins anew when the server loses it, and a clock alone may be
//! behind the one before. Where a server loses the counter *and* is behind, a holder may get a token below the last one that
//! the resource has accepted; it is refused, tells the lock by [`Lock::observe`] what it was shown (as [`Fenced`] does by itself), and
//! the next one is above it. Behind the number stands a nonce of the attempt, so that two servers that both think they are the
//! primary never give out the same token.
//!
//! # On the server
//!
//! Keys are `lock:{name}:holder` (the token, until it ends), `:token` (the last number, for a week) and `:wake` (a list, for who waits).
//! Each handle that waits borrows one of the [connections that block](crate::redis::RedisBuilder::blocking_connections); who gets
//! none, or may not `BLPOP`, asks again after a while (a tenth of a second to a second). Where permissions are given one by one,
//! the last line is for [`Fenced`]:
//!
//! ```text
//! +eval +evalsha +get +set +del +pttl +pexpire +time +llen +rpush +blpop
//! +hget +hmget +hset
//! ```
//!
//! With replicas, an acknowledged lock is lost when its primary dies before they hear of it, and an isolated primary may give out
//! another; `min-replicas-to-write` makes both rarer. Tokens stay in order through all of it.
//!
//! In a Cluster, where a call whose connection breaks is sent twice, an attempt that has the lock already is told so, and keeps its
//! token.

mod fenced;
mod guard;
mod handle;
mod keeper;
mod scripts;
mod tenure;
mod token;

pub use fenced::Fenced;
pub use guard::LockGuard;
pub use handle::Lock;
pub use token::FencingToken;
