//! The connections of a subscription, from their making to the end of the first of them.
//!
//! They are not the pool's: what a server says unasked, and that it may have said more, belongs to one connection. In a
//! Cluster any node passes on what is published at another, but only the primary of a key tells of its change.

use std::{fmt, sync::Arc};

use ::redis::{
    Client, ConnectionInfo, ProtocolVersion, Value,
    aio::{MultiplexedConnection, PubSubStream},
    cmd,
};
use futures_util::{FutureExt, StreamExt, future::try_join_all};
use tokio::time::timeout;

use crate::{
    error::Error,
    redis::{
        address::Host,
        fault::Fault,
        inbox::{Inbox, Item, Names},
        manager::{Manager, Plan, Site},
        slot::slot,
    },
};

/// Subscribed, until the first of its connections ends.
pub(super) struct Listener {
    pub(super) tracks: bool,
    inbox: Arc<Inbox>,
    ears: Ears,
}

enum Ears {
    /// RESP3: redis-rs hands over what comes.
    Pushed { subscribed: MultiplexedConnection, trackers: Vec<MultiplexedConnection> },
    /// RESP2: redis-rs keeps what comes until it is asked.
    Streamed(PubSubStream),
}

// === impl Listener ===

impl Listener {
    pub(super) async fn connect(manager: &Manager, names: &Arc<Names>) -> Result<Self, Error> {
        manager.negotiated(|protocol| Self::attempt(&manager.plan, names, protocol)).await
    }

    async fn attempt(plan: &Plan, names: &Arc<Names>, protocol: ProtocolVersion) -> Result<Self, Error> {
        let Site::Cluster(nodes) = &plan.site else {
            let mut listener = Self::at(plan, plan.located(protocol).await?, names).await?;
            listener.track_here(names).await?;
            return Ok(listener);
        };
        let mut fault = Error::timed_out("no node of the Cluster let us subscribe in time");
        // Not always the same one: it may be cut off from the others, which nobody sees who asks only it.
        let first = rand::random_range(0..nodes.len().max(1));
        for host in nodes.iter().cycle().skip(first).take(nodes.len()) {
            // One that hangs does not keep us from the others.
            let patience = plan.connect_deadline / 4;
            let attempt = async {
                if names.sharded {
                    return Self::at_owner(plan, host, protocol, names).await;
                }
                Self::at(plan, plan.host(host, protocol)?, names).await
            };
            match timeout(patience, attempt).await {
                Ok(Ok(mut listener)) => {
                    listener.track_everywhere(plan, host, protocol, names).await?;
                    return Ok(listener);
                }
                Ok(Err(error)) => fault = error,
                Err(_) => {}
            }
        }
        Err(fault)
    }

    /// Subscribed at the primary that has the slot of the channels, of which the node at `host` knows.
    async fn at_owner(plan: &Plan, host: &Host, protocol: ProtocolVersion, names: &Arc<Names>) -> Result<Self, Error> {
        if !protocol.supports_resp3() {
            return Err(Error::refused("channels of a shard are heard in RESP3 only", "NOPROTO"));
        }
        let inbox = Arc::new(Inbox::new(Arc::clone(names)));
        let mut asked = open(plan, plan.host(host, protocol)?, &Arc::new(Inbox::new(Arc::clone(names)))).await?;
        let slots = ask(&mut asked, cmd("CLUSTER").arg("SLOTS")).await?;
        let slot = names.channels.first().map_or(0, |channel| slot(channel));
        let owner = owner(slots, slot, host)
            .ok_or_else(|| Error::unavailable("no connection to Redis", "no primary has the slot of the channels"))?;
        let mut subscribed = open(plan, plan.host(&owner, protocol)?, &inbox).await?;
        for channel in &names.channels {
            match ask(&mut subscribed, cmd("SSUBSCRIBE").arg(channel)).await {
                // Before 7.0. Who publishes learns it in the same way.
                Err(error) if is_unknown_command(&error) => {
                    subscribed.subscribe(&names.channels).await.map_err(Fault::connecting)?;
                    break;
                }
                result => drop(result?),
            }
        }
        Ok(Self { tracks: false, inbox, ears: Ears::Pushed { subscribed, trackers: Vec::new() } })
    }

    /// Subscribed to all channels at one server.
    async fn at(plan: &Plan, info: ConnectionInfo, names: &Arc<Names>) -> Result<Self, Error> {
        let inbox = Arc::new(Inbox::new(Arc::clone(names)));
        let Names { channels, patterns, .. } = &**names;
        let ears = if info.redis_settings().protocol().supports_resp3() {
            let mut subscribed = open(plan, info, &inbox).await?;
            if !channels.is_empty() {
                subscribed.subscribe(channels).await.map_err(Fault::connecting)?;
            }
            if !patterns.is_empty() {
                subscribed.psubscribe(patterns).await.map_err(Fault::connecting)?;
            }
            Ears::Pushed { subscribed, trackers: Vec::new() }
        } else {
            // The connection that listens cannot be asked whether it leads to the primary.
            if let Site::Sentinel { .. } = plan.site {
                open(plan, info.clone(), &inbox).await?;
            }
            let client = Client::open(info).map_err(Fault::connecting)?;
            let mut subscribed = client.get_async_pubsub().await.map_err(Fault::connecting)?;
            if !channels.is_empty() {
                subscribed.subscribe(channels).await.map_err(Fault::connecting)?;
            }
            if !patterns.is_empty() {
                subscribed.psubscribe(patterns).await.map_err(Fault::connecting)?;
            }
            Ears::Streamed(subscribed.into_on_message())
        };
        Ok(Self { tracks: false, inbox, ears })
    }

    async fn track_here(&mut self, names: &Names) -> Result<(), Error> {
        if let Ears::Pushed { subscribed, .. } = &mut self.ears {
            self.tracks = track(subscribed, names).await?;
        }
        Ok(())
    }

    /// Tracks at each primary that the node at `host`, which we are subscribed at, knows of.
    async fn track_everywhere(
        &mut self,
        plan: &Plan,
        host: &Host,
        protocol: ProtocolVersion,
        names: &Names,
    ) -> Result<(), Error> {
        let Ears::Pushed { subscribed, trackers } = &mut self.ears else { return Ok(()) };
        if names.prefixes.is_empty() {
            return Ok(());
        }
        let inbox = &self.inbox;
        let primaries = primaries(ask(subscribed, cmd("CLUSTER").arg("SLOTS")).await?, host);
        if primaries.is_empty() {
            return Err(Error::unavailable("no connection to Redis", "the node knows of no primary in its Cluster"));
        }
        let tracking = primaries.into_iter().map(async |primary| {
            let mut connection = open(plan, plan.host(&primary, protocol)?, inbox).await?;
            let tracks = track(&mut connection, names).await?;
            Ok::<_, Error>(tracks.then_some(connection))
        });
        // One word stands for all of them.
        if let Some(all) = try_join_all(tracking).await?.into_iter().collect() {
            (self.tracks, *trackers) = (true, all);
        }
        Ok(())
    }

    /// What is heard next, or why nothing is any more.
    ///
    /// # Cancellation
    ///
    /// Takes nothing along.
    pub(super) async fn next(&mut self) -> Result<Item, Error> {
        let Ears::Streamed(stream) = &mut self.ears else { return self.inbox.next().await };
        // What redis-rs keeps has no bound, so all of it is taken over each time.
        let mut next = stream.next().now_or_never();
        loop {
            while let Some(message) = next {
                next = if self.inbox.take_in(message) { stream.next().now_or_never() } else { None };
            }
            if let Some(item) = self.inbox.take() {
                return item;
            }
            next = Some(stream.next().await);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connections = match &self.ears {
            Ears::Pushed { trackers, .. } => 1 + trackers.len(),
            Ears::Streamed(_) => 1,
        };
        f.debug_struct("Listener").field("connections", &connections).field("tracks", &self.tracks).finish()
    }
}

async fn open(plan: &Plan, info: ConnectionInfo, inbox: &Arc<Inbox>) -> Result<MultiplexedConnection, Error> {
    let inbox = Arc::clone(inbox);
    plan.open(info, move |push| inbox.push(push)).await
}

/// Whether the server tells of every key that changes below the prefixes. One that will not, or may not, is none the worse.
async fn track(connection: &mut MultiplexedConnection, names: &Names) -> Result<bool, Error> {
    if names.prefixes.is_empty() {
        return Ok(false);
    }
    let mut track = cmd("CLIENT");
    track.arg("TRACKING").arg("ON").arg("BCAST");
    for prefix in &names.prefixes {
        track.arg("PREFIX").arg(prefix);
    }
    match ask(connection, &track).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_refused() => Ok(false),
        Err(error) => Err(error),
    }
}

async fn ask(connection: &mut MultiplexedConnection, command: &::redis::Cmd) -> Result<Value, Error> {
    connection.send_packed_command(command).await.and_then(Value::extract_error).map_err(Fault::connecting)
}

/// Whether the server does not know what it was asked.
pub(super) fn is_unknown_command(error: &Error) -> bool {
    error.code() == Some("ERR") && error.to_string().to_ascii_lowercase().contains("unknown command")
}

/// The primary that has `slot`, of what `CLUSTER SLOTS` answers at `asked`.
fn owner(slots: Value, slot: u16, asked: &Host) -> Option<Host> {
    let range = list(slots).find(|range| {
        let Value::Array(range) = range else { return false };
        matches!(range[..], [Value::Int(first), Value::Int(last), ..] if (first..=last).contains(&slot.into()))
    })?;
    primaries(Value::Array(vec![range]), asked).pop()
}

/// The primaries that have slots, of what `CLUSTER SLOTS` answers at `asked`.
fn primaries(slots: Value, asked: &Host) -> Vec<Host> {
    let mut primaries = Vec::new();
    for range in list(slots) {
        let mut node = list(list(range).nth(2).unwrap_or(Value::Nil));
        let (name, Some(Value::Int(port))) = (node.next(), node.next()) else { continue };
        let name = match name {
            Some(Value::BulkString(name)) if !name.is_empty() => String::from_utf8_lossy(&name).into_owned(),
            // A node that does not know by what name it is reached.
            _ => asked.name.clone(),
        };
        let Ok(port) = u16::try_from(port) else { continue };
        let primary = Host { name, port };
        if !primaries.contains(&primary) {
            primaries.push(primary);
        }
    }
    primaries
}

fn list(value: Value) -> impl Iterator<Item = Value> {
    if let Value::Array(values) = value { values.into_iter() } else { Vec::new().into_iter() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primaries_of_a_cluster_are_each_found_once() {
        let slots = "*4\r\n\
            *4\r\n:0\r\n:9\r\n*4\r\n$1\r\na\r\n:7001\r\n$2\r\nid\r\n*0\r\n*3\r\n$1\r\nr\r\n:7004\r\n$2\r\nid\r\n\
            *3\r\n:10\r\n:19\r\n*3\r\n$0\r\n\r\n:7002\r\n$2\r\nid\r\n\
            *3\r\n:20\r\n:29\r\n*3\r\n$-1\r\n:7003\r\n$2\r\nid\r\n\
            *3\r\n:30\r\n:39\r\n*3\r\n$1\r\na\r\n:7001\r\n$2\r\nid\r\n";
        let slots = ::redis::parse_redis_value(slots.as_bytes()).expect("it is an answer");
        let host = |name: &str, port| Host { name: name.to_owned(), port };
        assert_eq!(owner(slots.clone(), 19, &host("asked", 7000)), Some(host("asked", 7002)));
        assert_eq!(owner(slots.clone(), 40, &host("asked", 7000)), None);
        let found = primaries(slots, &host("asked", 7000));
        assert_eq!(found, [host("a", 7001), host("asked", 7002), host("asked", 7003)]);
        assert_eq!(primaries(Value::Okay, &host("asked", 7000)), []);
    }
}
