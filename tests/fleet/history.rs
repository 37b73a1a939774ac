//! What was seen and done, and whether it may have been.

use std::{collections::BTreeMap, fmt, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::site::{PAGES, What};

/// A read that was answered.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) node: usize,
    pub(crate) page: usize,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) status: u16,
    pub(crate) value: u64,
    /// Its `Cache-Status`.
    pub(crate) how: String,
}

/// A purge that was tried.
#[derive(Clone, Debug)]
pub(crate) struct Purge {
    pub(crate) node: usize,
    pub(crate) what: What,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// What the pages were when it began.
    pub(crate) values: [u64; PAGES],
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Acknowledged,
    /// It must take effect nevertheless, once the store can be told.
    Failed(String),
    /// Whoever purged is dead.
    Gone,
}

/// What a node promises.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise {
    /// How long it may serve what was purged on another node.
    pub(crate) bound: Duration,
    /// How long it may serve what was purged on itself.
    pub(crate) own: Duration,
}

pub(crate) struct History {
    start: Instant,
    promises: Vec<Promise>,
    reads: Mutex<Vec<Read>>,
    purges: Mutex<Vec<Purge>>,
    /// What was done to servers, links and nodes.
    faults: Mutex<Vec<(Instant, String)>>,
}

/// A read that no promise allows.
#[derive(Clone, Debug)]
pub(crate) struct Stale {
    pub(crate) read: Read,
    pub(crate) purge: Purge,
    /// How long after the purge was acknowledged the read began.
    pub(crate) age: Duration,
    start: Instant,
}

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) reads: usize,
    pub(crate) hits: usize,
    pub(crate) failures: usize,
    pub(crate) acknowledged: usize,
    pub(crate) failed: usize,
    pub(crate) gone: usize,
    /// Reads of what an acknowledged purge had removed, however long before.
    pub(crate) old: usize,
    /// How long after the purge the latest of these began.
    pub(crate) oldest: Duration,
}

// === impl History ===

impl History {
    /// One promise for each node.
    pub(crate) fn new(promises: Vec<Promise>) -> Self {
        Self {
            start: Instant::now(),
            promises,
            reads: Mutex::default(),
            purges: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    pub(crate) fn read(&self, read: Read) {
        self.reads.lock().push(read);
    }

    pub(crate) fn purged(&self, purge: Purge) {
        self.purges.lock().push(purge);
    }

    pub(crate) fn fault(&self, what: String) {
        self.faults.lock().push((Instant::now(), what));
    }

    /// What led to a stale read: the faults of the second before it, and how its node came by other values of the page.
    pub(crate) fn explain(&self, stale: &Stale) -> String {
        let Stale { read, .. } = stale;
        let before = |moment: Instant| moment < read.began && read.began - moment < Duration::from_secs(1);
        let faults = self.faults.lock().clone();
        let reads = self.reads.lock().clone();
        let mut lines: Vec<(Instant, String)> = faults.into_iter().filter(|(at, _)| before(*at)).collect();
        for other in
            reads.iter().filter(|other| (other.node, other.page) == (read.node, read.page) && before(other.ended))
        {
            if !other.how.ends_with("; hit") {
                let took = other.ended - other.began;
                lines.push((other.ended, format!("read {} (`{}`), which took {took:?}", other.value, other.how)));
            }
        }
        lines.sort();
        lines.iter().map(|(at, line)| format!("  {:?} {line}\n", *at - self.start)).collect()
    }

    /// Reads later than their node's promise allows. A read is judged by the moment it began.
    pub(crate) fn stale(&self) -> Vec<Stale> {
        self.old()
            .into_iter()
            .filter(|stale| {
                let Promise { bound, own } = self.promises[stale.read.node];
                stale.age >= if stale.purge.node == stale.read.node { own } else { bound }
            })
            .collect()
    }

    /// Reads of what an acknowledged purge had removed, each with the purge that its node promised most of.
    fn old(&self) -> Vec<Stale> {
        let purges = self.purges.lock();
        let acknowledged: Vec<&Purge> = purges.iter().filter(|purge| purge.outcome == Outcome::Acknowledged).collect();
        let old = |read: &Read| {
            let overdue = |purge: &&&Purge| {
                let Promise { bound, own } = self.promises[read.node];
                let allowed = if purge.node == read.node { own } else { bound };
                (read.began - purge.ended).saturating_sub(allowed)
            };
            acknowledged
                .iter()
                .filter(|purge| purge.what.covers(read.page) && read.value < purge.values[read.page])
                .filter(|purge| purge.ended <= read.began)
                .max_by_key(|purge| (overdue(purge), read.began - purge.ended))
                .map(|purge| Stale {
                    read: read.clone(),
                    purge: (**purge).clone(),
                    age: read.began - purge.ended,
                    start: self.start,
                })
        };
        self.reads.lock().iter().filter(|read| read.status == 200).filter_map(old).collect()
    }

    /// What each page is, at least, once every purge has taken effect that was tried by one who lives.
    pub(crate) fn owed(&self) -> [u64; PAGES] {
        let mut owed = [0; PAGES];
        for purge in self.purges.lock().iter().filter(|purge| purge.outcome != Outcome::Gone) {
            for page in (0..PAGES).filter(|page| purge.what.covers(*page)) {
                owed[page] = owed[page].max(purge.values[page]);
            }
        }
        owed
    }

    /// Reads that ended with an error that is not the site's own, by status.
    pub(crate) fn errors(&self) -> BTreeMap<u16, usize> {
        let mut errors = BTreeMap::new();
        for read in self.reads.lock().iter().filter(|read| !matches!(read.status, 200 | 503)) {
            *errors.entry(read.status).or_default() += 1;
        }
        errors
    }

    /// The longest that a read took.
    pub(crate) fn longest(&self) -> Duration {
        self.reads.lock().iter().map(|read| read.ended - read.began).max().unwrap_or_default()
    }

    pub(crate) fn tally(&self) -> Tally {
        let old = self.old();
        let (reads, purges) = (self.reads.lock(), self.purges.lock());
        let count = |which: fn(&Outcome) -> bool| purges.iter().filter(|purge| which(&purge.outcome)).count();
        Tally {
            reads: reads.len(),
            hits: reads.iter().filter(|read| read.how.contains("; hit")).count(),
            failures: reads.iter().filter(|read| read.status != 200).count(),
            acknowledged: count(|outcome| *outcome == Outcome::Acknowledged),
            failed: count(|outcome| matches!(outcome, Outcome::Failed(_))),
            gone: count(|outcome| *outcome == Outcome::Gone),
            old: old.len(),
            oldest: old.iter().map(|old| old.age).max().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, purge, age, start } = self;
        let at = |moment: Instant| moment - *start;
        write!(
            f,
            "node {} read page {} = {} (`{}`) from {:?} to {:?}, {age:?} after node {} had purged {:?} = {} from {:?} to {:?}",
            read.node,
            read.page,
            read.value,
            read.how,
            at(read.began),
            at(read.ended),
            purge.node,
            purge.what,
            purge.values[read.page],
            at(purge.began),
            at(purge.ended),
        )
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reads, hits, failures, acknowledged, failed, gone, old, oldest } = self;
        write!(
            f,
            "{reads} reads, {hits} hits, {failures} failures of the site; purges: {acknowledged} acknowledged, {failed} failed, \
             {gone} of the dead; {old} reads within the bound, the latest after {oldest:?}"
        )
    }
}
