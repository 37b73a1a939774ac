//! One part of the accounts, under one lock.

use hashbrown::HashTable;

use super::MemoryUsage;
use crate::{
    clock::Timestamp,
    limit::contract::Charge,
    quota::{Counter, Denied, Meter, Quota, Standing, Taken},
};

/// Accounts, up to a number of bytes.
pub(super) struct Accounts {
    table: HashTable<Account>,
    /// What newcomers share while there is no room, by ledger.
    shared: Vec<Shared>,
    /// The most that table and counters may take.
    limit: usize,
    /// What the counters have beside the table.
    heap: usize,
    /// How many newcomers have yet to come before all are looked through again for those that are over.
    until_sweep: usize,
    times_shared: u64,
}

/// Where an account is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) code: u128,
    pub(super) ledger: u64,
    /// Of both.
    pub(super) hash: u64,
}

struct Account {
    code: u128,
    ledger: u64,
    hash: u64,
    /// From then on it is worth as much as a new one.
    over: Timestamp,
    counter: Counter,
}

struct Shared {
    ledger: u64,
    over: Timestamp,
    counter: Counter,
}

/// What a new account takes beside the table at most.
const NEW: usize = 48;

// === impl Accounts ===

impl Accounts {
    pub(super) fn new(limit: usize) -> Self {
        Self { table: HashTable::new(), shared: Vec::new(), limit, heap: 0, until_sweep: 0, times_shared: 0 }
    }

    pub(super) fn usage(&self) -> MemoryUsage {
        MemoryUsage { accounts: self.table.len() as u64, bytes: self.bytes() as u64, shared: self.times_shared }
    }

    #[inline]
    pub(super) fn take(&mut self, place: &Place, charge: &Charge<'_>, now: Timestamp) -> Result<Taken, Denied> {
        let until = |taken: &Taken, _: &Counter| taken.at().plus(charge.ledger.algorithm().memory(charge.quota));
        self.change(place, charge, now, |counter| counter.take(charge.quota, charge.cost, now), until)
    }

    pub(super) fn penalise(&mut self, place: &Place, charge: &Charge<'_>, now: Timestamp) -> Standing {
        let penalised = |counter: &mut Counter| Ok(counter.penalise(charge.quota, charge.cost, now));
        let until =
            |_: &Standing, counter: &Counter| counter.full_at(charge.quota).unwrap_or(Timestamp::from_millis(u64::MAX));
        match self.change(place, charge, now, penalised, until) {
            Ok(standing) => standing,
            Err(denied) => denied.standing(),
        }
    }

    pub(super) fn peek(&self, place: &Place, charge: &Charge<'_>, now: Timestamp) -> Result<Standing, Denied> {
        match self.table.find(place.hash, |account| account.is(place)) {
            Some(account) => account.counter.peek(charge.quota, charge.cost, now),
            None => self.newcomer(place, charge, now).peek(charge.quota, charge.cost, now),
        }
    }

    pub(super) fn refund(&mut self, place: &Place, quota: &Quota, taken: Taken, now: Timestamp) -> u64 {
        let counter = match self.table.find_mut(place.hash, |account| account.is(place)) {
            Some(account) => Some(&mut account.counter),
            None => {
                self.shared.iter_mut().find(|shared| shared.ledger == place.ledger).map(|shared| &mut shared.counter)
            }
        };
        counter.map_or(0, |counter| counter.refund(quota, taken, now))
    }

    /// What newcomers share stays as it is: it is others' too.
    pub(super) fn reset(&mut self, place: &Place, now: Timestamp) {
        if let Some(account) = self.table.find_mut(place.hash, |account| account.is(place)) {
            let before = heap(&account.counter);
            account.counter.reset(now);
            self.heap = self.heap + heap(&account.counter) - before;
        }
    }

    /// Changes a counter, which is then worth as much as a new one from the moment that `over` tells.
    #[inline]
    fn change<T>(
        &mut self,
        place: &Place,
        charge: &Charge<'_>,
        now: Timestamp,
        change: impl FnOnce(&mut Counter) -> Result<T, Denied>,
        over: impl FnOnce(&T, &Counter) -> Timestamp,
    ) -> Result<T, Denied> {
        let Some(account) = self.table.find_mut(place.hash, |account| account.is(place)) else {
            return self.begin(place, charge, now, change, over);
        };
        let before = heap(&account.counter);
        let answer = change(&mut account.counter)?;
        account.over = account.over.max(over(&answer, &account.counter));
        let after = heap(&account.counter);
        if after != before {
            self.heap = self.heap + after - before;
            self.keep_to_limit(place);
        }
        Ok(answer)
    }

    /// The first that is taken from an account. What is denied leaves no trace.
    #[cold]
    fn begin<T>(
        &mut self,
        place: &Place,
        charge: &Charge<'_>,
        now: Timestamp,
        change: impl FnOnce(&mut Counter) -> Result<T, Denied>,
        over: impl FnOnce(&T, &Counter) -> Timestamp,
    ) -> Result<T, Denied> {
        let mut counter = self.newcomer(place, charge, now);
        let answer = change(&mut counter)?;
        let over = over(&answer, &counter);
        if self.has_room(now) {
            self.heap += heap(&counter);
            let account = Account { code: place.code, ledger: place.ledger, hash: place.hash, over, counter };
            self.table.insert_unique(place.hash, account, |account| account.hash);
            self.keep_to_limit(place);
        } else {
            self.share(place.ledger, over, counter);
        }
        Ok(answer)
    }

    /// What is counted of somebody who has no account. While newcomers share one, anybody may have taken what is in it.
    fn newcomer(&self, place: &Place, charge: &Charge<'_>, now: Timestamp) -> Counter {
        let shared = self.shared.iter().find(|shared| shared.ledger == place.ledger && shared.over > now);
        shared.map_or_else(|| charge.ledger.algorithm().counter(), |shared| shared.counter.clone())
    }

    /// What is shared is copied for each who comes new, and beside what is counted: it is kept small.
    fn share(&mut self, ledger: u64, over: Timestamp, mut counter: Counter) {
        self.times_shared += 1;
        counter.shrink();
        match self.shared.iter_mut().find(|shared| shared.ledger == ledger) {
            Some(shared) => (shared.over, shared.counter) = (shared.over.max(over), counter),
            None => self.shared.push(Shared { ledger, over, counter }),
        }
    }

    /// Makes room for one more, if need be by clearing away what is over, and says whether there is.
    fn has_room(&mut self, now: Timestamp) -> bool {
        if self.fits_one_more() {
            return true;
        }
        if self.until_sweep == 0 {
            self.sweep(now);
        }
        self.until_sweep = self.until_sweep.saturating_sub(1);
        self.fits_one_more() || self.grow()
    }

    fn fits_one_more(&self) -> bool {
        self.table.len() < self.table.capacity() && self.bytes() + NEW <= self.limit
    }

    fn sweep(&mut self, now: Timestamp) {
        let freed = &mut self.heap;
        self.table.retain(|account| {
            let over = account.over <= now;
            if over {
                *freed -= heap(&account.counter);
            }
            !over
        });
        self.shared.retain(|shared| shared.over > now);
        // Each newcomer pays for a look at eight.
        self.until_sweep = self.table.len() / 8;
    }

    /// A table twice as large, where the limit allows for one.
    fn grow(&mut self) -> bool {
        let size = self.table.allocation_size().max(size_of::<Account>() * 2);
        let grows = size * 2 + self.heap + NEW <= self.limit;
        if grows {
            self.table.reserve(self.table.len() + 1, |account| account.hash);
            self.until_sweep = 0;
        }
        grows
    }

    /// Where counters have grown beyond the limit, the one that grew last holds what it counts more coarsely.
    fn keep_to_limit(&mut self, place: &Place) {
        if self.bytes() <= self.limit {
            return;
        }
        if let Some(account) = self.table.find_mut(place.hash, |account| account.is(place)) {
            let before = heap(&account.counter);
            account.counter.shrink();
            self.heap = self.heap + heap(&account.counter) - before;
        }
    }

    fn bytes(&self) -> usize {
        self.table.allocation_size() + self.heap
    }
}

// === impl Account ===

impl Account {
    #[inline]
    fn is(&self, place: &Place) -> bool {
        self.code == place.code && self.ledger == place.ledger
    }
}

/// The bytes it has beside itself.
#[inline]
fn heap(counter: &Counter) -> usize {
    counter.bytes() - size_of::<Counter>()
}
