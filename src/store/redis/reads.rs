//! Reading together: whoever asks in the same moment shares one `MGET`.
//!
//! A command has its price, on the connection, for its deadline and on the server; one more key in it costs little. Who comes
//! first leads: it lets run what can run already, and then asks for all who have come meanwhile. Nobody is answered by a
//! command that was sent before they asked.

use std::mem;

use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::{sync::oneshot, task::yield_now, time::timeout_at};

use super::{
    names::Names,
    store::{Stamp, nonsense},
};
use crate::{error::Error, redis::Redis, store::key::Key};

/// Those who want to read, where one command can read for all: in a Cluster by bucket, else all together.
#[derive(Debug)]
pub(super) struct Reads(Box<[Mutex<Crowd>]>);

#[derive(Debug, Default)]
struct Crowd {
    is_led: bool,
    asking: Vec<Asking>,
}

/// One who asks, the one who leads included.
#[derive(Debug)]
struct Asking {
    key: Key,
    tell: oneshot::Sender<Result<Found, Error>>,
}

/// What lies under the key of a value, and the stamp of its bucket.
pub(super) type Found = Option<(Bytes, Stamp)>;

/// The duty to ask for all. Dropped, it sends them away to ask anew.
struct Lead<'a>(Option<&'a Mutex<Crowd>>);

/// More share several commands, so that none waits for the bytes of too many others.
const MOST: usize = 64;

// === impl Reads ===

impl Reads {
    pub(super) fn new(redis: &Redis, buckets: usize) -> Self {
        let crowds = if redis.is_cluster() { buckets } else { 1 };
        Self((0..crowds).map(|_| Mutex::default()).collect())
    }

    /// What lies under `key`, by the handle's deadline at the latest.
    pub(super) async fn read(&self, redis: &Redis, names: &Names, key: Key) -> Result<Found, Error> {
        let crowd = &self.0[names.place(key.primary()) % self.0.len()];
        let until = redis.until_deadline();
        loop {
            let (tell, told) = oneshot::channel();
            if let Some(lead) = Lead::join(crowd, Asking { key, tell }) {
                yield_now().await;
                let mut asking = lead.take();
                let mut commands = Vec::new();
                while !asking.is_empty() {
                    let rest = asking.split_off(asking.len().min(MOST));
                    commands.push(answer(redis, names, mem::replace(&mut asking, rest)));
                }
                join_all(commands).await;
            }
            match timeout_at(until, told).await {
                Ok(Ok(found)) => return found,
                // Who led has vanished.
                Ok(Err(_)) => {}
                // Who led is not polled any more, or it would have said so.
                Err(_) => return Err(Error::timed_out("who asks Redis for several did not do so within the deadline")),
            }
        }
    }
}

/// Whoever went away meanwhile is not there to be told.
async fn answer(redis: &Redis, names: &Names, asking: Vec<Asking>) {
    match ask(redis, names, &asking).await {
        Ok(found) => asking.into_iter().zip(found).for_each(|(asking, found)| drop(asking.tell.send(Ok(found)))),
        Err(error) => asking.into_iter().for_each(|asking| drop(asking.tell.send(Err(error.clone())))),
    }
}

/// One command: the entries, then the stamps of their buckets.
async fn ask(redis: &Redis, names: &Names, asking: &[Asking]) -> Result<Vec<Found>, Error> {
    let (mut command, mut buckets) = (redis.command("MGET"), Vec::new());
    let mut places = Vec::with_capacity(asking.len());
    for Asking { key, .. } in asking {
        command = command.key(names.of(key.primary()).entry(key));
        let bucket = names.place(key.primary());
        places.push(buckets.iter().position(|at| *at == bucket).unwrap_or_else(|| {
            buckets.push(bucket);
            buckets.len() - 1
        }));
    }
    for bucket in &buckets {
        command = command.key(&names.buckets()[*bucket].stamp);
    }
    let mut entries = command.run().await?.list()?;
    if entries.len() != asking.len() + buckets.len() {
        return Err(nonsense());
    }
    let stamps =
        entries.split_off(asking.len()).into_iter().map(|stamp| Ok(Stamp::parse(&stamp.bytes()?.unwrap_or_default())));
    let stamps = stamps.collect::<Result<Vec<_>, Error>>()?;
    places.into_iter().zip(entries).map(|(place, entry)| Ok(entry.bytes()?.zip(stamps[place]))).collect()
}

// === impl Lead ===

impl<'a> Lead<'a> {
    /// Comes to the others, and leads if nobody does.
    fn join(crowd: &'a Mutex<Crowd>, asking: Asking) -> Option<Self> {
        let mut inner = crowd.lock();
        inner.asking.push(asking);
        (!mem::replace(&mut inner.is_led, true)).then(|| Self(Some(crowd)))
    }

    /// All who came. Whoever comes from now on is led by another.
    fn take(mut self) -> Vec<Asking> {
        self.end()
    }

    fn end(&mut self) -> Vec<Asking> {
        let Some(crowd) = self.0.take() else { return Vec::new() };
        let mut crowd = crowd.lock();
        crowd.is_led = false;
        mem::take(&mut crowd.asking)
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        // Who is dropped here has not been told, and asks anew.
        drop(self.end());
    }
}
