//! Jobs that are done by whoever is free: now, later, in the order of their priority.
//!
//! ```no_run
//! use std::time::Duration;
//! use bartizan::{Redis, redis::queue::{Job, Queue}};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Mail { to: String }
//!
//! # async fn send(_: &Mail) -> Result<(), std::io::Error> { Ok(()) }
//! # async fn example(redis: Redis) -> Result<(), bartizan::Error> {
//! let mails = Queue::<Mail>::new(&redis, "mails")?;
//! let welcome = Mail { to: "ada@example.org".to_owned() };
//! mails.push(Job::new(&welcome).key("welcome:42").delay(Duration::from_secs(60)).priority(200)).await?;
//!
//! loop {
//!     let Some(job) = mails.claim_within(Duration::from_secs(60)).await? else { continue };
//!     match job.keep_while(send(&job.value)).await {
//!         Some(Ok(())) => _ = job.ack().await?,
//!         Some(Err(error)) => _ = job.nack(Duration::from_secs(10), error).await?,
//!         None => {} // it took too long, and somebody else has it
//!     }
//! }
//! # }
//! ```
//!
//! # What is promised
//!
//! A job that was pushed is in exactly one of these states, and each step from one to another is one script, so that nobody who dies
//! in between loses it:
//!
//! | state | how it is left |
//! |---|---|
//! | delayed | its time comes |
//! | ready | it is claimed: higher [priorities](Job::priority) first, and older jobs first among these; or [removed](Queue::remove) |
//! | claimed, by one | [`ack`](Claimed::ack): it is gone; [`nack`](Claimed::nack): delayed; [`bury`](Claimed::bury): dead; nothing is heard for the [visibility](QueueBuilder::visibility): ready again |
//! | dead, with the reason | [`requeue`](Queue::requeue), [`remove`](Queue::remove) |
//!
//! - **At least once.** Who is not heard of in time may still be at work while another begins. Only the one to whom it was given last can
//!   settle it; the other is told [`Settled::Lost`].
//! - **Poison dies** after [`max_attempts`](QueueBuilder::max_attempts), also when it killed whoever had it.
//! - **A key is one job**: while there is a job of a [key](Job::key) that is not dead, and for a
//!   [while](QueueBuilder::dedup_for) after it was pushed, pushing it again adds none. So a push that may have
//!   failed can be made again.
//! - The server's clock says what is due, in milliseconds.
//!
//! What cannot be promised: Redis acknowledges before it replicates or writes to disk, so a failover or a crash of the server may forget
//! what was pushed last, and give out again what was acknowledged last. A claim whose answer is lost (and in a Cluster one whose
//! connection breaks) is an attempt of the job, which is ready again after the visibility. Jobs of low priority wait for as long as there are
//! others.
//!
//! Who waits for a job is woken by whoever pushes one. Besides it looks once in a second.
//!
//! # What lies on the server
//!
//! Under `queue:{name}:`, all in one slot: `ready`, `delayed`, `claimed` and `dead` (sorted sets of ids), `jobs`, `state`, `error` and
//! `progress` (hashes by id), `keys` and `recent` (for deduplication), `wake` (a list), `meta`. Only `wake` expires.
//!
//! # What it needs
//!
//! Redis from 6.2, or Valkey. The login may send `+eval +evalsha +time +hget +hset +hsetnx +hdel +hincrby +zadd +zrem +zscore +zcard +zrange
//! +zrevrange +zrangebyscore +zpopmin +llen +rpush +blpop +del +pexpire`; with `+type` an error names the key that is of another type.

mod claimed;
mod job;
mod jobs;
mod scripts;
mod state;

pub use claimed::{Claimed, Hold, Settled};
pub use job::{Job, JobId, Pushed};
pub use jobs::{Queue, QueueBuilder};
pub use state::{DeadJob, JobPlace, JobStatus, QueueCounts};
