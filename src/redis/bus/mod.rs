//! Messages between processes, as they happen, and a word whenever some may have been missed.
//!
//! ```no_run
//! use bartizan::{Redis, redis::bus::{Bus, Event}};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Price { product: u64, cents: u64 }
//!
//! # async fn example() -> Result<(), bartizan::Error> {
//! let redis = Redis::connect("redis://127.0.0.1").await?;
//! let prices: Bus<Price> = Bus::new(&redis, "prices")?;
//! prices.publish("shoes", &Price { product: 7, cents: 4995 }).await?;
//!
//! let mut feed = prices.subscribe(&["shoes"])?.patterns(&["hats:*"])?;
//! loop {
//!     match feed.next().await {
//!         Event::Message { topic, payload } => println!("{topic}: {}", payload.cents),
//!         // From here on nothing is missed: what is known from before is to be read anew.
//!         Event::Begun | Event::Missed(_) => println!("reading all prices"),
//!         Event::Disconnected(error) => println!("{error}"),
//!         Event::Undecodable { topic, error } => println!("{topic}: {error}"),
//!         _ => {}
//!     }
//! }
//! # }
//! ```
//!
//! # What it promises, and what it cannot
//!
//! A message reaches who listens at that moment, once, in the order in which it was published on one connection. Redis keeps it for
//! nobody else: whoever is away misses it, and no answer says so to who published. What must arrive belongs into a stream.
//!
//! | what happens | what a [`Feed`] tells |
//! |---|---|
//! | the connection ends, or leads nowhere | [`Event::Disconnected`], then, once it is there again, [`Event::Missed`]; it connects by itself |
//! | more comes than is taken | the oldest are dropped, and [`Missed::Slow`] counts them where they were; memory is bounded by [`Feed::buffer`] (in RESP2, while [`Feed::next`] is asked) |
//! | the server drops a connection that does not take what it is sent (`client-output-buffer-limit pubsub`) | as a connection that ends |
//! | a link that loses everything without a word, a server that hangs, a primary that is cut off | the same, within two [heartbeats](Feed::heartbeat) |
//! | a payload that is none | [`Event::Undecodable`]; the rest goes on |
//!
//! A heartbeat is a message to the feed itself, published as all others are and seen coming back. What is not noticed: a link between nodes of
//! a Cluster that loses messages for less time than passes between two of them.
//!
//! [`Event::Begun`] and [`Event::Missed`] come when everything is heard again, and not when it was lost: who reads at that moment
//! what they must know, from a database, misses nothing between the two.
//!
//! # On the server
//!
//! Channels are `bus:{name}:topic`. In a Cluster a message goes to every node; [`Bus::sharded`] keeps it to the nodes of one shard.
//! Where permissions are given one by one, to a bus called `prices`, the last line is for one that is sharded; patterns of
//! topics have to be permitted as they are written:
//!
//! ```text
//! +publish +subscribe +psubscribe &bartizan:bus:{prices}:* &bartizan:bus:{prices}!*
//! +spublish +ssubscribe +cluster|slots
//! ```

mod event;
mod feed;
mod handle;

pub use event::{Event, Missed};
pub use feed::Feed;
pub use handle::Bus;
