//! The removals of this process that may have to be made again.
//!
//! What is acknowledged is replicated later, so a server that takes over may not know of it; what could not be sent is still
//! to be done. Both are kept here, bounded: beyond a bound all of a bucket is removed in their place.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::names::Name;
use crate::clock::Moment;

#[derive(Debug)]
pub(super) struct Removals {
    recent: VecDeque<(Moment, Option<usize>, Name)>,
    /// Until when the removals that there was no room for matter.
    dropped: Option<Moment>,
    /// By bucket, with the number of the last time it came to be owed.
    owed: Box<[HashMap<Name, u64>]>,
    debts: u64,
    /// Those whose sender sees to what is near: by token, in how many buckets they have not been heard of yet.
    own: HashMap<u64, usize>,
}

/// A removal that is still to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Debt {
    pub(super) bucket: usize,
    pub(super) name: Name,
    number: u64,
}

/// No replica is behind by more, or the service has other worries.
const REMEMBERED: Duration = Duration::from_secs(30);
const MOST_REMEMBERED: usize = 8192;
const MOST_OWED: usize = 256;
const MOST_OWN: usize = 8192;

// === impl Removals ===

impl Removals {
    pub(super) fn new(buckets: usize) -> Self {
        Self {
            recent: VecDeque::new(),
            dropped: None,
            owed: vec![HashMap::new(); buckets].into(),
            debts: 0,
            own: HashMap::new(),
        }
    }

    /// `name` is about to be removed, in this bucket or in all, by somebody who sees to what is near. The token of it.
    pub(super) fn begin(&mut self, now: Moment, bucket: Option<usize>, name: Name) -> u64 {
        self.remember(now, bucket, name);
        if self.own.len() == MOST_OWN {
            // What is heard of them is taken for others': something is dropped that need not be.
            self.own.clear();
        }
        let token = rand::random_range(1..u64::MAX);
        self.own.insert(token, bucket.map_or(self.owed.len(), |_| 1));
        token
    }

    /// Nobody sees to what is near any more.
    pub(super) fn abandon(&mut self, token: u64) {
        self.own.remove(&token);
    }

    /// Whether somebody here sees, or saw, to what is near. To be asked once for each time it is heard.
    pub(super) fn is_own(&mut self, token: u64) -> bool {
        let Some(unheard) = self.own.get_mut(&token) else { return false };
        *unheard -= 1;
        if *unheard == 0 {
            self.own.remove(&token);
        }
        true
    }

    /// It could not be removed in this bucket.
    pub(super) fn owe(&mut self, bucket: usize, name: Name) {
        let owed = &mut self.owed[bucket];
        self.debts += 1;
        let is_all = name == Name::All || owed.len() == MOST_OWED || owed.contains_key(&Name::All);
        if is_all {
            owed.clear();
        }
        owed.insert(if is_all { Name::All } else { name }, self.debts);
    }

    /// Another server answers for this bucket.
    pub(super) fn owe_recent(&mut self, now: Moment, bucket: usize) {
        self.forget(now);
        if self.dropped.is_some() {
            return self.owe(bucket, Name::All);
        }
        let here = self.recent.iter().filter(|(_, at, _)| at.is_none_or(|at| at == bucket));
        let names: Vec<Name> = here.map(|(_, _, name)| name.clone()).collect();
        names.into_iter().for_each(|name| self.owe(bucket, name));
    }

    pub(super) fn owes(&self) -> bool {
        self.owed.iter().any(|owed| !owed.is_empty())
    }

    /// What is to be removed, by bucket. It is owed until it is [paid](Self::pay).
    pub(super) fn owed(&self) -> Vec<Debt> {
        let each = self.owed.iter().enumerate();
        each.flat_map(|(bucket, names)| {
            names.iter().map(move |(name, &number)| Debt { bucket, name: name.clone(), number })
        })
        .collect()
    }

    /// It was removed. What came to be owed again since is owed still.
    pub(super) fn pay(&mut self, now: Moment, debt: &Debt) {
        if self.owed[debt.bucket].get(&debt.name) == Some(&debt.number) {
            self.owed[debt.bucket].remove(&debt.name);
        }
        // The server that has it now may fail as well.
        self.remember(now, Some(debt.bucket), debt.name.clone());
    }

    fn remember(&mut self, now: Moment, bucket: Option<usize>, name: Name) {
        self.forget(now);
        if self.recent.len() == MOST_REMEMBERED {
            self.recent.pop_front();
            self.dropped = Some(now);
        }
        self.recent.push_back((now, bucket, name));
    }

    fn forget(&mut self, now: Moment) {
        while self.recent.front().is_some_and(|(at, ..)| now.since(*at) > REMEMBERED) {
            self.recent.pop_front();
        }
        self.dropped = self.dropped.filter(|at| now.since(*at) <= REMEMBERED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(number: usize) -> Name {
        Name::Tag(number.to_string().into())
    }

    fn owed(removals: &Removals) -> Vec<(usize, Name)> {
        removals.owed().into_iter().map(|debt| (debt.bucket, debt.name)).collect()
    }

    #[test]
    fn what_comes_to_be_owed_while_it_is_paid_is_owed_still() {
        let at = Moment::from_millis;
        for (first, again) in [(tag(1), tag(1)), (Name::All, tag(2)), (Name::All, Name::All)] {
            let mut removals = Removals::new(1);
            removals.owe(0, first);
            let paid = removals.owed();
            removals.owe(0, again);
            removals.pay(at(0), &paid[0]);
            assert!(removals.owes(), "{paid:?}: it was sent before that");
            removals.pay(at(0), &removals.owed()[0]);
            assert!(!removals.owes());
        }
    }

    #[test]
    fn what_was_made_up_for_is_made_again_where_that_server_fails_too() {
        let (mut removals, at) = (Removals::new(1), Moment::from_millis);
        removals.begin(at(0), None, tag(1));
        removals.owe(0, tag(1));
        removals.pay(at(40_000), &removals.owed()[0]);
        removals.owe_recent(at(50_000), 0);
        assert_eq!(owed(&removals), [(0, tag(1))], "long after it was asked for, soon after it was done");
    }

    #[test]
    fn what_was_removed_of_late_is_owed_to_a_server_that_takes_over() {
        let mut removals = Removals::new(2);
        let at = Moment::from_millis;
        removals.begin(at(0), None, tag(0));
        removals.begin(at(20_000), None, tag(1));
        removals.begin(at(20_000), Some(1), Name::Resource(7.into()));
        removals.owe_recent(at(40_000), 0);
        assert_eq!(owed(&removals), [(0, tag(1))]);
        removals.pay(at(20_000), &removals.owed()[0]);
        removals.owe_recent(at(40_000), 1);
        assert_eq!(removals.owed().len(), 2);
        removals.owe(1, Name::All);
        assert_eq!(owed(&removals), [(1, Name::All)], "which has them all");
        removals.pay(at(20_000), &removals.owed()[0]);
        removals.owe_recent(at(50_001), 0);
        assert!(!removals.owes(), "long ago");
    }

    #[test]
    fn what_is_heard_of_a_removal_is_its_senders_until_that_is_gone() {
        let mut removals = Removals::new(2);
        let (everywhere, here) =
            (removals.begin(Moment::default(), None, tag(0)), removals.begin(Moment::default(), Some(1), tag(1)));
        assert!(removals.is_own(everywhere) && removals.is_own(everywhere) && !removals.is_own(everywhere));
        removals.abandon(here);
        assert!(!removals.is_own(here) && removals.own.is_empty());
    }

    #[test]
    fn a_flood_is_bounded_and_owes_everything() {
        let mut removals = Removals::new(1);
        for number in 0..100_000 {
            removals.begin(Moment::from_millis(5), None, tag(number));
            removals.owe(0, tag(number));
        }
        assert!(removals.recent.len() == MOST_REMEMBERED && removals.own.len() <= MOST_OWN);
        assert_eq!(owed(&removals), [(0, Name::All)]);
        removals.pay(Moment::from_millis(5), &removals.owed()[0]);
        assert!(removals.recent.len() == MOST_REMEMBERED);
        removals.owe_recent(Moment::from_millis(5), 0);
        assert_eq!(owed(&removals), [(0, Name::All)], "some were forgotten");
    }
}
