//! A handle on a Redis or Valkey, for what several processes share.
//!
//! ```no_run
//! use bartizan::Redis;
//!
//! # async fn example() -> Result<(), bartizan::Error> {
//! let redis = Redis::connect("redis://127.0.0.1").await?;
//! redis.command("SET").key("greeting").arg("hello").arg("PX").arg(60_000).run().await?;
//! let greeting = redis.command("GET").key("greeting").run().await?.text()?;
//! # Ok(()) }
//! ```
//!
//! The handle is cheap to clone, and all its clones share one connection: their commands travel together, and nobody
//! waits for anybody's answer. It connects again by itself. Every call ends by its deadline, and when the server fails
//! again and again, a breaker lets calls fail at once until it is back.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use bartizan::Redis;
//! # async fn example() -> Result<(), bartizan::Error> {
//! let redis = Redis::builder("redis+sentinel://10.0.0.1,10.0.0.2,10.0.0.3/shop")?
//!     .namespace("shop")
//!     .user("web")
//!     .password("secret")
//!     .deadline(Duration::from_millis(100))
//!     .build()?; // a service may start while Redis is down
//! # Ok(()) }
//! ```
//!
//! [`Redis::subscribe`] hears what others publish, and which keys change.
//!
//! # The tools
//!
//! | | for |
//! |---|---|
//! | [`lock`] | one at a time, with tokens by which a resource tells who came later |
//! | [`bus`] | messages to who listens now, which says when some may have been missed |
//! | [`stream`] | messages that are each acknowledged, pending or dead, read by groups, or from any point |
//! | [`queue`] | work: priorities, delays, one at a time by key, attempts that end |
//! | [`leaderboard`] | ranks, by day, week and season |
//! | [`Counter`], [`Flag`], [`Recent`], [`Uniques`] | what their names say |
//! | [`health`] | a checkup of the server, with advice |
//!
//! # Where it is
//!
//! | form | what it is |
//! |---|---|
//! | `redis://[user:password@]host[:port][/db]` | one server |
//! | `redis+unix:///path[?db=0&user=..&password=..]` | one server, by its socket |
//! | `redis+sentinel://[user:password@]host[:port],host[:port][/service[/db]]` | the primary that these sentinels know; the service is `mymaster` unless said otherwise |
//! | `redis+cluster://[user:password@]host[:port],host[:port]` | the Cluster that these nodes belong to |
//! | `rediss://`, `rediss+sentinel://`, `rediss+cluster://` | the same over TLS, with the feature `redis-tls` |
//!
//! `valkey` may stand for `redis`. Users and passwords are percent-encoded where they contain `%`, `/`, `?` or `#`.
//! TLS is that of rustls; where the process has installed no provider of cryptography, ring becomes it.
//! [`Redis::sentinel`] and [`Redis::cluster`] make a handle from a list of hosts; [`RedisBuilder::from_connection_info`] takes
//! what redis-rs has for a server.
//!
//! # When it fails
//!
//! | what happens | what a call gets | the breaker |
//! |---|---|---|
//! | no answer within the deadline (500 ms) | [`TimedOut`]; it may have been carried out | counts it |
//! | no connection, a broken one, a server that loads, a Cluster that is down | [`Unavailable`] | counts it |
//! | the breaker is open | [`Unavailable`], at once | |
//! | a wrong password when connecting | [`Refused`] | counts it |
//! | a missing permission, a full memory, a wrong type | [`Refused`], with [`code`](crate::Error::code) | the server is well |
//! | an answer of another kind than the one it is read as | [`Undecodable`] | the server is well |
//!
//! Five failures in a row open the breaker, and so does more than a tenth of all calls. It stays open for 100 ms, and for
//! longer each time up to 2 s; then one call finds out. In a Cluster each of 64 ranges of slots has a breaker of its own. Its
//! state is [`Redis::breaker`], and each change is an event (with the feature `tracing`).
//!
//! A connection that ends, that answers nothing for two deadlines in a row, or that leads to a server that is
//! no primary any more is replaced by the next call, which asks the sentinels or the Cluster anew.
//!
//! # What it needs
//!
//! Redis from 6.2, or Valkey. The login may send the commands that are asked for, and further `+ping`, `+info` for
//! [`Redis::capabilities`] (without it the server is taken for a 6.2), `+role` with sentinels (without it they are believed),
//! `+cluster|slots` with a Cluster, `+eval +evalsha` for scripts. On the sentinels: `+sentinel|master`. What does not know
//! `HELLO` is spoken to in RESP2.
//!
//! [`TimedOut`]: crate::error::ErrorKind::TimedOut
//! [`Unavailable`]: crate::error::ErrorKind::Unavailable
//! [`Refused`]: crate::error::ErrorKind::Refused
//! [`Undecodable`]: crate::error::ErrorKind::Undecodable

mod address;
mod breaker;
mod builder;
pub mod bus;
mod capabilities;
mod client;
mod command;
mod counter;
mod fault;
mod flag;
mod gate;
pub mod health;
mod inbox;
pub mod leaderboard;
mod line;
mod listener;
pub mod lock;
mod manager;
mod name;
mod payload;
mod pipeline;
mod pool;
pub mod queue;
mod recent;
mod reply;
mod scan;
mod script;
mod sentinel;
mod slot;
pub mod stream;
mod subscription;
#[cfg_attr(not(feature = "redis-tls"), path = "no_tls.rs")]
mod tls;
mod uniques;
mod wrong_type;

pub use breaker::BreakerState;
pub use builder::RedisBuilder;
pub use capabilities::{Capabilities, Version};
pub use client::Redis;
pub use command::{Arg, Command};
pub use counter::Counter;
pub use flag::Flag;
pub use payload::Format;
pub use pipeline::Pipeline;
pub use recent::Recent;
pub use reply::Reply;
pub use scan::Scan;
pub use script::{Script, ScriptCall};
pub use subscription::{Heard, Subscription};
pub use uniques::Uniques;
