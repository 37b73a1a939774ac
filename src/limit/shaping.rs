//! Waiting for a turn, in place of a refusal.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    contract::{Charge, Limiter, Verdict},
    service::ask,
};
use crate::{error::Error, quota::Retry};

/// Lets a request that would be refused wait until it is allowed: in order among those of the same identities, for a bounded time,
/// in a bounded number.
///
/// While some wait, who comes later waits behind them. Who leaves gives up their place. A request is refused
/// when its wait would be too long, or when too many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shaping {
    longest: Duration,
    each: usize,
    all: usize,
}

/// Those who wait.
#[derive(Debug)]
pub(super) struct Queues {
    shaping: Shaping,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    all: usize,
    lanes: HashMap<Lane, Queue>,
}

/// Who waits in one row: the accounts of a check.
type Lane = Box<[u8]>;

#[derive(Debug, Default)]
struct Queue {
    waiting: usize,
    /// Held by who is first. It is fair: who asked first has it next.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A place in a queue, until it is dropped.
struct Place<'a> {
    queues: &'a Queues,
    lane: Lane,
    turn: Arc<tokio::sync::Mutex<()>>,
}

// === impl Shaping ===

impl Shaping {
    /// Waits of up to `longest`, of up to 16 requests with the same identities and 1 024 in all.
    ///
    /// Over a day counts as that.
    pub const fn up_to(longest: Duration) -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self { longest: if longest.as_secs() < DAY.as_secs() { longest } else { DAY }, each: 16, all: 1_024 }
    }

    /// How many requests with the same identities may wait. With 0 none does.
    #[must_use]
    pub const fn each(self, waiting: usize) -> Self {
        Self { each: waiting, ..self }
    }

    /// How many requests may wait in all.
    #[must_use]
    pub const fn all(self, waiting: usize) -> Self {
        Self { all: waiting, ..self }
    }
}

// === impl Queues ===

impl Queues {
    pub(super) fn new(shaping: Shaping) -> Self {
        Self { shaping, waiting: Mutex::default() }
    }

    /// Takes as soon as the charges allow and all before have had their turn. `None`, with how it stands, when that takes too
    /// long.
    ///
    /// # Cancellation
    ///
    /// Dropping it gives up the place.
    #[expect(clippy::disallowed_methods, reason = "it is known until when, and nothing comes before")]
    pub(super) async fn take<L: Limiter>(
        &self,
        limiter: &L,
        charges: &[Charge<'_>],
    ) -> Result<Result<Verdict, Verdict>, Error> {
        let lane = lane(charges);
        let denied = if self.has_queue(&lane) {
            limiter.peek(charges).await?
        } else {
            let verdict = ask(limiter, charges).await?;
            if verdict.retry().is_none() {
                return Ok(Ok(verdict));
            }
            verdict
        };
        if denied.retry() > Some(Retry::After(self.shaping.longest)) {
            return Ok(Err(denied));
        }
        let until = Instant::now() + self.shaping.longest;
        let Some(place) = self.line_up(lane) else { return Ok(Err(denied)) };
        let Ok(_turn) = timeout_at(until, place.turn.lock()).await else { return Ok(Err(denied)) };
        loop {
            let verdict = ask(limiter, charges).await?;
            match verdict.retry() {
                None => return Ok(Ok(verdict)),
                Some(Retry::After(wait)) if Instant::now() + wait <= until => sleep(wait).await,
                Some(_) => return Ok(Err(verdict)),
            }
        }
    }

    fn has_queue(&self, lane: &Lane) -> bool {
        self.waiting.lock().lanes.contains_key(lane)
    }

    fn line_up(&self, lane: Lane) -> Option<Place<'_>> {
        let mut waiting = self.waiting.lock();
        let Waiting { all, lanes } = &mut *waiting;
        let there = lanes.get(&lane).map_or(0, |queue| queue.waiting);
        if there >= self.shaping.each || *all >= self.shaping.all {
            return None;
        }
        *all += 1;
        let queue = lanes.entry(lane.clone()).or_default();
        queue.waiting += 1;
        let turn = Arc::clone(&queue.turn);
        drop(waiting);
        Some(Place { queues: self, lane, turn })
    }
}

fn lane(charges: &[Charge<'_>]) -> Lane {
    let mut lane = Vec::new();
    for charge in charges {
        lane.extend_from_slice(&charge.ledger.code().to_le_bytes());
        lane.extend_from_slice(&charge.identity.bytes().len().to_le_bytes());
        lane.extend_from_slice(charge.identity.bytes());
    }
    lane.into()
}

// === impl Place ===

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.queues.waiting.lock();
        waiting.all -= 1;
        if let Some(queue) = waiting.lanes.get_mut(&self.lane) {
            queue.waiting -= 1;
            if queue.waiting == 0 {
                waiting.lanes.remove(&self.lane);
            }
        }
    }
}
