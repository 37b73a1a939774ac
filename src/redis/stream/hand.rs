//! What a consumer has been given and has not settled yet.

use std::collections::{HashMap, VecDeque};

use futures_util::future::AbortHandle;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{entry::Raw, id::EntryId, worker::Summary};
use crate::error::Error;

pub(super) struct Hand {
    capacity: usize,
    state: Mutex<State>,
    pub(super) stopping: CancellationToken,
    /// There is something to begin.
    pub(super) arrived: Notify,
    /// There is room for more.
    pub(super) left: Notify,
    /// There is something to acknowledge, or will never be again.
    pub(super) settled: Notify,
    /// Something is to be tried again, maybe sooner than all else.
    pub(super) parked: Notify,
}

/// A message that was given to us, the `deliveries`-th time.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) raw: Raw,
    pub(super) deliveries: u32,
}

#[derive(Default)]
struct State {
    held: HashMap<EntryId, Held>,
    waiting: VecDeque<Raw>,
    /// Whose effect is there; to be acknowledged.
    done: Vec<EntryId>,
    /// Nothing more comes to be done.
    worked: bool,
    fatal: Option<Error>,
    summary: Summary,
}

struct Held {
    deliveries: u32,
    work: Option<AbortHandle>,
}

// === impl Hand ===

impl Hand {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
            stopping: CancellationToken::new(),
            arrived: Notify::new(),
            left: Notify::new(),
            settled: Notify::new(),
            parked: Notify::new(),
        }
    }

    pub(super) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.state.lock().held.len())
    }

    pub(super) fn arrive(&self, given: Vec<Given>) {
        let mut state = self.state.lock();
        for Given { raw, deliveries } in given {
            // What is here already was given to us anew, since we had not been heard of.
            match state.held.get_mut(&raw.id) {
                Some(held) => held.deliveries = deliveries,
                None => {
                    state.held.insert(raw.id, Held { deliveries, work: None });
                    state.waiting.push_back(raw);
                }
            }
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// What is to be begun next, up to `most` together. What was given out before comes alone: one that spoils the others' work
    /// spoils its own from then on.
    pub(super) fn begin(&self, most: usize) -> Vec<Given> {
        let State { held, waiting, .. } = &mut *self.state.lock();
        let mut begun: Vec<Given> = Vec::new();
        while let Some(raw) = waiting.front()
            && begun.len() < most
        {
            let Some(deliveries) = held.get(&raw.id).map(|held| held.deliveries) else {
                waiting.pop_front();
                continue;
            };
            if deliveries > 1 && !begun.is_empty() {
                break;
            }
            begun.extend(waiting.pop_front().map(|raw| Given { raw, deliveries }));
            if deliveries > 1 {
                break;
            }
        }
        begun
    }

    pub(super) fn work(&self, given: &[Given], work: &AbortHandle) {
        let mut state = self.state.lock();
        for Given { raw, .. } in given {
            match state.held.get_mut(&raw.id) {
                Some(held) => held.work = Some(work.clone()),
                // Lost since it was begun.
                None => work.abort(),
            }
        }
    }

    /// Its work was broken off since another of its batch was lost.
    pub(super) fn again(&self, given: Vec<Given>) {
        let State { held, waiting, .. } = &mut *self.state.lock();
        for Given { raw, .. } in given {
            if let Some(held) = held.get_mut(&raw.id) {
                held.work = None;
                waiting.push_front(raw);
            }
        }
    }

    /// How often it was given out by now; nothing once it is not ours.
    pub(super) fn deliveries(&self, id: EntryId) -> Option<u32> {
        self.state.lock().held.get(&id).map(|held| held.deliveries)
    }

    pub(super) fn done(&self, given: &[Given]) {
        self.state.lock().done.extend(given.iter().map(|given| given.raw.id));
        self.settled.notify_one();
    }

    pub(super) fn to_acknowledge(&self, most: usize) -> Vec<EntryId> {
        let mut state = self.state.lock();
        let count = state.done.len().min(most);
        state.done.drain(..count).collect()
    }

    /// Leaves `ids`, and counts.
    pub(super) fn leave(&self, ids: &[EntryId], count: impl FnOnce(&mut Summary)) {
        let mut state = self.state.lock();
        for id in ids {
            state.held.remove(id);
        }
        count(&mut state.summary);
        drop(state);
        self.left.notify_one();
    }

    /// They were given to somebody else: whoever works at them breaks off.
    pub(super) fn lose(&self, ids: &[EntryId]) {
        let lost: Vec<Held> = {
            let mut state = self.state.lock();
            // What is done is only waiting for its acknowledgement.
            let ids: Vec<_> = ids.iter().filter(|id| !state.done.contains(id)).collect();
            ids.into_iter().filter_map(|id| state.held.remove(id)).collect()
        };
        let work = lost.iter().filter_map(|held| held.work.as_ref());
        work.for_each(AbortHandle::abort);
        self.leave(&[], |summary| summary.lost += lost.len() as u64);
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Summary)) {
        count(&mut self.state.lock().summary);
    }

    /// What is to be renewed.
    pub(super) fn held(&self) -> Vec<(EntryId, u32)> {
        self.state.lock().held.iter().map(|(id, held)| (*id, held.deliveries)).collect()
    }

    /// What was begun and is not settled.
    pub(super) fn begun(&self) -> Vec<EntryId> {
        self.state.lock().held.iter().filter(|(_, held)| held.work.is_some()).map(|(id, _)| *id).collect()
    }

    pub(super) fn worked(&self) {
        self.state.lock().worked = true;
        self.settled.notify_one();
    }

    pub(super) fn is_worked(&self) -> bool {
        self.state.lock().worked
    }

    /// Stops, since trying again cannot help.
    pub(super) fn give_up(&self, error: Error) {
        self.state.lock().fatal.get_or_insert(error);
        self.stopping.cancel();
    }

    pub(super) fn end(self) -> Result<Summary, Error> {
        let state = self.state.into_inner();
        state.fatal.map_or(Ok(state.summary), Err)
    }
}
