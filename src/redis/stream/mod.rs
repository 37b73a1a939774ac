//! A log that several processes append to and read: streams, and groups that share the work of one.
//!
//! ```no_run
//! use bartizan::{Redis, redis::stream::{Failure, Message, Stream}};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Order { id: u64, total: u64 }
//!
//! # async fn mail(_: &Order) -> Result<(), std::io::Error> { Ok(()) }
//! # async fn example(redis: Redis) -> Result<(), bartizan::Error> {
//! let orders = Stream::<Order>::new(&redis, "orders")?;
//! orders.append_once("checkout:17", &Order { id: 17, total: 4200 }).await?;
//!
//! let mailer = orders.group("mailer")?.concurrency(8);
//! mailer
//!     .run_until(
//!         |message: Message<Order>| async move {
//!             mail(&message.value).await?; // an error: tried again, later
//!             Ok(())
//!         },
//!         async { drop(tokio::signal::ctrl_c().await) },
//!     )
//!     .await?;
//! # Ok(()) }
//! ```
//!
//! [`Group::run_until`] is a future: it works where it is polled, and starts no task. Run it in as many processes as there is work
//! for, and twice in one process for a second core.
//!
//! # What is promised
//!
//! Each message that was appended is, for each group, in exactly one of these states until it is removed:
//!
//! | state | how it is left |
//! |---|---|
//! | not given out yet | a consumer reads it |
//! | pending: a consumer works at it, or it waits to be tried again | it is acknowledged, or dies |
//! | acknowledged, after the handler said `Ok` and not before | |
//! | dead, in the group's dead letters, with the reason | [`Group::requeue`], [`Group::discard`] |
//!
//! - **At least once.** A handler may see a message twice: its process died after the effect and before it was acknowledged, or was
//!   not heard of for longer than [`Group::claim_after`] while it worked. What must not happen twice has to be guarded by the
//!   effect itself, for which [`Message::id`] is a key.
//! - **Whoever dies loses nothing.** What it had is given to others [`Group::claim_after`] later; at once, if the consumer has a
//!   [name](Group::consumer) and starts again.
//! - **Poison dies.** What was given out [`Group::max_attempts`] times and never settled is dead, also when it killed each process that
//!   had it; and so is what no value can be read from. From its third time on a consumer takes over one at a time, so that poison does
//!   not take along what is always given out together with it.
//! - **What was trimmed while it was pending is dead too**, with this as its reason, and not forgotten.
//!   [`Stream::trim`] removes nothing that a group still needs; [`StreamBuilder::cap`] does, and whatever others do by hand.
//! - **Order** is that of the log, with a concurrency of one, until one fails.
//!
//! What cannot be promised: Redis acknowledges before it replicates or writes to disk, so a failover or a crash of the server may
//! forget what was appended last, and give out again what was acknowledged last.
//!
//! # Without a group
//!
//! [`Stream::tail`] follows the log from any place, in as many processes as like, each of which sees all.
//!
//! # What lies on the server
//!
//! | key | what it is |
//! |---|---|
//! | `stream:{name}:log` | the stream; an entry's value is its field `p`, so that other programs may append and read |
//! | `stream:{name}:once:<key>` | the id that was appended for a key of idempotence; expires |
//! | `stream:{name}:retry:<group>` | a sorted set: what is to be tried again, and when |
//! | `stream:{name}:dead:<group>` | a stream: the dead letters, with `id`, `deliveries`, `reason` and the fields they had |
//!
//! All but the second stay until you delete them. Nothing here expires on its own: trim, and look after the dead.
//!
//! # What it needs
//!
//! Redis from 6.2, or Valkey. The login may send `+eval +evalsha +time +exists +get +set +xadd +xlen +xrange +xrevrange +xread +xreadgroup +xack +xclaim
//! +xpending +xtrim +xdel +xinfo|groups +xinfo|consumers +xgroup|create +xgroup|delconsumer +zadd +zrem +zscore +zcard +zrange
//! +zrangebyscore`; with `+type` an error names the key that is of another type.

mod calls;
mod dead;
mod entry;
mod failure;
mod group;
mod hand;
mod id;
mod log;
mod scripts;
mod status;
mod tail;
mod worker;

pub use dead::DeadLetter;
pub use entry::Entry;
pub use failure::{Failure, Message};
pub use group::Group;
pub use id::{EntryId, Position};
pub use log::{Stream, StreamBuilder};
pub use status::GroupStatus;
pub use tail::Tail;
pub use worker::Summary;
