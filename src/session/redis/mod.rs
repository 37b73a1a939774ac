//! Sessions that processes share, on a Redis.
//!
//! ```no_run
//! use bartizan::{Redis, RedisSessions, SessionLayer};
//!
//! # async fn example() -> Result<(), bartizan::Error> {
//! let redis = Redis::connect("redis://127.0.0.1").await?;
//! let sessions = SessionLayer::new(RedisSessions::new(redis));
//! # Ok(()) }
//! ```
//!
//! A load is one round trip, and so is a save, which is one script whatever it changes. A login takes one more, before the other, which tells the
//! principal's index; [`list`](crate::session::SessionStore::list) and
//! [`destroy_all`](crate::session::SessionStore::destroy_all) take two, and one more where there is something to tidy up, for each 256 sessions.
//!
//! # What lies on the server
//!
//! | key | what it is |
//! |---|---|
//! | `bartizan:session:{9f86..}:record` | a hash: one session. Between the braces is the SHA-256 that names the record |
//! | `bartizan:session:{2c26..}:index` | a sorted set: the sessions of one principal, whose SHA-256 is between the braces |
//!
//! | field of a record | what it is |
//! |---|---|
//! | `h` | the head, in binary: digests of the secrets, times, deadlines, generation, principal, client |
//! | `vcart` | the value `cart`, as the [codec](crate::session::Codec) made it |
//! | `cvisits` | the counter `visits`, in digits |
//! | `s4:seenapple` | `apple` is in the set `seen`, whose name has 4 bytes |
//!
//! A record lives until the earlier of its deadlines, which is set by the script that writes it; there is no moment at which it is there in
//! part, or without an end. `DEL` ends a session. Nothing on the server makes a cookie: it has digests only.
//!
//! # Time
//!
//! Milliseconds of the server's clock, so that those of the processes do not matter; times and spans end with the year 10889. When that clock
//! steps back, a record's own time stands still until it has caught up.
//!
//! # The index
//!
//! In a Cluster it lies in another slot than the records, so it is written apart, and *before* them: a process that dies in between leaves
//! an entry without a record, which does no harm. The other way round it would leave a session that its owner does not see in the list
//! of devices, and that no `log out everywhere` ends. An entry has an id and the time it was made, never a secret. Who reads the index asks for each
//! record, and removes what is of no use and older than ten minutes; younger entries may be of a session about to begin. It has at most
//! [so many](RedisSessionsBuilder::sessions_each) entries, and ends with the last deadline among them.
//!
//! # When Redis fails
//!
//! | what happens | what a session gets |
//! |---|---|
//! | it hangs, or is gone | an error; what becomes of the request is for the [layer](crate::session::OnOutage) to say. A change that was under way may have been made |
//! | it is full (`OOM`, with `noeviction`) | loads, ends, and changes that take no more room than there was work. What would grow is [refused](crate::Error::is_refused) with the code `OOM`; logins and renewals grow the head |
//! | it was emptied, or evicted a record | the session is gone, and is not resurrected by who still had it in hand |
//! | what lies under a key is no record | there is no such session, and [a counter](RedisSessionsUsage::spoilt) rises. It is left where it is: it may be of a newer version |
//! | a replica was promoted | what the primary had acknowledged and not passed on is lost: a change, a session, or the end of one |
//! | a Cluster's connection breaks, and a change is sent again | it is made once: a record remembers the last 250 changes of 10 s |
//!
//! The last line but one is why `min-replicas-to-write 1` is for sessions too. With an eviction policy other than `noeviction` Redis gives up live
//! sessions, and the index of others; better a server of their own with `noeviction`.
//!
//! # Cancellation
//!
//! A call that is dropped was made or was not, as a whole. Dropped between index and record, it leaves an entry of no use.
//!
//! # What it needs
//!
//! Redis from 6.2, or Valkey. Beside what [`redis`](crate::redis) needs, for the keys of the namespace: `+eval +evalsha +time +exists +del +hget
//! +hgetall +hset +hdel +hincrby +hstrlen +hexists +hkeys +pexpire +pexpireat +pttl +zadd +zcount +zrange +zrem +zremrangebyscore`.

mod index;
mod load;
mod names;
mod scripts;
mod settings;
mod store;
mod wire;

pub use settings::RedisSessionsBuilder;
pub use store::{RedisSessions, RedisSessionsUsage};
