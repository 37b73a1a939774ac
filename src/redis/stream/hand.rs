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
    /// There may be something to be taken over, sooner than was thought.
    pub(super) look: Notify,
}

/// A message that was given to us, the `deliveries`-th time.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) raw: Raw,
    pub(super) deliveries: u32,
    /// It may be what killed those who had it.
    pub(super) suspect: bool,
}

#[derive(Default)]
struct State {
    held: HashMap<EntryId, Held>,
    waiting: VecDeque<Raw>,
    /// To be acknowledged.
    done: Vec<EntryId>,
    /// How many of what is held are done.
    settling: usize,
    /// Nothing more comes to be done.
    worked: bool,
    fatal: Option<Error>,
    summary: Summary,
}

struct Held {
    deliveries: u32,
    suspect: bool,
    begun: bool,
    /// Its effect is there; it waits for its acknowledgement.
    done: bool,
    work: Option<AbortHandle>,
    /// It was given to us anew while we had it.
    anew: Option<Raw>,
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
            look: Notify::new(),
        }
    }

    /// What is only to be acknowledged makes room at once, so that reading does not wait for it; unless it piles up.
    pub(super) fn room(&self) -> usize {
        let state = self.state.lock();
        let held = state.held.len();
        let (open, all) = (held - state.settling, held / 2);
        self.capacity.saturating_sub(open.max(all))
    }

    pub(super) fn has_suspect(&self) -> bool {
        self.state.lock().held.values().any(|held| held.suspect)
    }

    pub(super) fn arrive(&self, given: Vec<Given>) {
        let mut state = self.state.lock();
        for Given { raw, deliveries, suspect } in given {
            // What is here already was given to us anew: we had not been heard of, or have just parked it and do not know that yet.
            match state.held.get_mut(&raw.id) {
                Some(held) => (held.deliveries, held.anew) = (deliveries, Some(raw)),
                None => {
                    state.held.insert(
                        raw.id,
                        Held { deliveries, suspect, begun: false, done: false, work: None, anew: None },
                    );
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
            // Lost since it came, and maybe given to us again since.
            let Some(found) = held.get_mut(&raw.id).filter(|held| !held.begun) else {
                waiting.pop_front();
                continue;
            };
            let (deliveries, suspect) = (found.deliveries, found.suspect);
            if deliveries > 1 && !begun.is_empty() {
                break;
            }
            found.begun = true;
            begun.extend(waiting.pop_front().map(|raw| Given { raw, deliveries, suspect }));
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
                (held.begun, held.work) = (false, None);
                waiting.push_front(raw);
            }
        }
    }

    /// How often it was given out by now; nothing once it is not ours.
    pub(super) fn deliveries(&self, id: EntryId) -> Option<u32> {
        self.state.lock().held.get(&id).map(|held| held.deliveries)
    }

    pub(super) fn done(&self, given: &[Given]) {
        let mut state = self.state.lock();
        let State { held, done, settling, .. } = &mut *state;
        for Given { raw, .. } in given {
            // Also what was lost since: its effect is there.
            done.push(raw.id);
            if let Some(held) = held.get_mut(&raw.id).filter(|held| !held.done) {
                held.done = true;
                *settling += 1;
            }
        }
        drop(state);
        self.settled.notify_one();
        self.left.notify_one();
    }

    pub(super) fn to_acknowledge(&self, most: usize) -> Vec<EntryId> {
        let mut state = self.state.lock();
        let count = state.done.len().min(most);
        state.done.drain(..count).collect()
    }

    /// Leaves `ids`, and counts.
    pub(super) fn leave(&self, ids: &[EntryId], count: impl FnOnce(&mut Summary)) {
        let mut state = self.state.lock();
        let mut was_suspect = false;
        for id in ids {
            if let Some(held) = state.held.remove(id) {
                state.settling -= usize::from(held.done);
                was_suspect |= held.suspect;
            }
        }
        count(&mut state.summary);
        drop(state);
        self.left.notify_one();
        if was_suspect {
            self.look.notify_one();
        }
    }

    /// It was parked when it had been given out so often. If it was given to us again since, it is begun again.
    pub(super) fn park(&self, id: EntryId, deliveries: u32) {
        let again = self.state.lock().held.get_mut(&id).filter(|held| held.deliveries != deliveries).and_then(|held| {
            let given = Given { raw: held.anew.take()?, deliveries: held.deliveries, suspect: held.suspect };
            Some(given)
        });
        self.leave(&[id], |summary| summary.failed += 1);
        self.arrive(again.into_iter().collect());
        self.look.notify_one();
    }

    /// They were given to somebody else since they had been given out to us so often: whoever works at them breaks off.
    pub(super) fn lose(&self, gone: &[(EntryId, u32)]) {
        let state = self.state.lock();
        let mut lost = Vec::new();
        for (id, deliveries) in gone {
            let is_lost = |held: &&Held| !held.done && held.deliveries == *deliveries;
            if let Some(held) = state.held.get(id).filter(is_lost) {
                lost.push((*id, held.work.clone()));
            }
        }
        drop(state);
        let ids: Vec<_> = lost.iter().map(|(id, _)| *id).collect();
        self.leave(&ids, |summary| summary.lost += ids.len() as u64);
        lost.into_iter().filter_map(|(_, work)| work).for_each(|work| work.abort());
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
        self.state.lock().held.iter().filter(|(_, held)| held.begun).map(|(id, _)| *id).collect()
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

    pub(super) fn has_given_up(&self) -> bool {
        self.state.lock().fatal.is_some()
    }

    pub(super) fn end(self) -> Result<Summary, Error> {
        let state = self.state.into_inner();
        state.fatal.map_or(Ok(state.summary), Err)
    }
}
