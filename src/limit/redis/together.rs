//! Checking together: whoever asks in the same moment shares one script.
//!
//! A script has its price, on the connection, for its deadline and on the server; one more check in it costs about half of that. Who asks
//! first lets run what can run already. The call belongs to all who are in it: whoever goes away leaves it to the others, and what
//! they asked for is counted all the same.

use std::{fmt, mem, sync::Arc};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};
use parking_lot::Mutex;
use tokio::task::yield_now;

use super::{
    scripts::{Algorithms, Operation, script},
    wire::{HEAD, told_bytes},
};
use crate::{clock::Clock, error::Error, quota::Algorithm, redis::Redis};

/// The checks that will go out next.
#[derive(Default)]
pub(super) struct Together(Mutex<Option<Open>>);

struct Open {
    /// Nobody is in it any more when this is gone.
    answer: WeakShared<BoxFuture<'static, Answer>>,
    asking: Arc<Mutex<Asking>>,
}

/// What is asked by one script.
#[derive(Debug, Default)]
pub(super) struct Asking {
    pub(super) keys: Vec<String>,
    pub(super) claims: Vec<u8>,
    pub(super) algorithms: Algorithms,
    /// How long the answer will be.
    pub(super) told: usize,
    is_sent: bool,
}

pub(super) type Answer = Result<Bytes, Error>;

/// Where a check's own answer is in that of all.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) answer: Bytes,
    pub(super) start: usize,
}

/// More share several scripts, so that none waits for too many others.
const MOST: usize = 64;

// === impl Together ===

impl Together {
    /// Asks, and tells where the answer is.
    pub(super) async fn ask(
        &self,
        redis: &Redis,
        clock: Option<&Arc<dyn Clock>>,
        check: impl FnOnce(&mut Asking),
    ) -> Result<Place, Error> {
        let (answer, start) = self.join(redis, clock, check);
        // Whoever is back first sends what all have asked by then.
        yield_now().await;
        Ok(Place { answer: answer.await?, start })
    }

    fn join(
        &self,
        redis: &Redis,
        clock: Option<&Arc<dyn Clock>>,
        check: impl FnOnce(&mut Asking),
    ) -> (Shared<BoxFuture<'static, Answer>>, usize) {
        let mut open = self.0.lock();
        if let Some(Open { answer, asking }) = &*open
            && let Some(answer) = answer.upgrade()
        {
            let mut asking = asking.lock();
            if !asking.is_sent && asking.keys.len() < MOST {
                let start = asking.told;
                check(&mut asking);
                return (answer, start);
            }
        }
        let mut first = Asking { told: HEAD, ..Asking::default() };
        check(&mut first);
        let asking = Arc::new(Mutex::new(first));
        let answer = send(redis.clone(), clock.cloned(), asking.clone()).boxed().shared();
        *open = answer.downgrade().map(|answer| Open { answer, asking });
        (answer, HEAD)
    }
}

async fn send(redis: Redis, clock: Option<Arc<dyn Clock>>, asking: Arc<Mutex<Asking>>) -> Answer {
    let asking = mem::replace(&mut *asking.lock(), Asking { is_sent: true, ..Asking::default() });
    asking.run(Operation::Take, &redis, clock.as_ref()).await
}

// === impl Asking ===

impl Asking {
    /// Whether the key is among those that come before.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|other| other == key)
    }

    pub(super) fn push_key(&mut self, key: String, algorithm: Algorithm) {
        self.keys.push(key);
        self.algorithms.add(algorithm);
        self.told += told_bytes(algorithm);
    }

    pub(super) async fn run(self, operation: Operation, redis: &Redis, clock: Option<&Arc<dyn Clock>>) -> Answer {
        let mut call = redis.script(script(operation, self.algorithms));
        for key in &self.keys {
            call = call.key(key);
        }
        call = call.arg(&self.claims);
        if let Some(clock) = clock {
            call = call.arg(clock.now().as_millis().min(LAST));
        }
        Ok(call.run().await?.bytes()?.unwrap_or_default())
    }
}

/// The last moment that scripts can tell.
const LAST: u64 = (1 << 48) - 1;

impl fmt::Debug for Together {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Together")
    }
}
