//! The limiter.

use std::{fmt, sync::Arc};

use futures_util::future::join_all;
use smallvec::SmallVec;

use super::{
    denied::Denials,
    names::key,
    scripts::Operation,
    settings::RedisLimiterBuilder,
    together::{Asking, Place, Together},
    wire::{HEAD, Told, push_claim, push_receipt, state_bytes},
};
use crate::{
    clock::Clock,
    error::Error,
    limit::{
        contract::{Charge, Ledger, Limiter, Verdict},
        identity::Identity,
    },
    observe::{Count, event},
    quota::{Decision, Standing, Taken},
    redis::Redis,
};

/// Counts on a Redis, for all processes that ask it.
///
/// See the [module](crate::limit::redis).
#[derive(Clone)]
pub struct RedisLimiter {
    inner: Arc<Inner>,
}

struct Inner {
    redis: Redis,
    one_slot: bool,
    clock: Option<Arc<dyn Clock>>,
    together: Together,
    denied: Denials,
    asked: Count,
    recalled: Count,
    replaced: Count,
}

/// What a [`RedisLimiter`] did in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisLimiterUsage {
    /// Scripts that were sent.
    pub asked: u64,
    /// Checks that were denied without asking.
    pub recalled: u64,
    /// Keys under which lay something that is no state: what was taken is not known, and they begin anew.
    pub replaced: u64,
}

type Decisions = SmallVec<[Decision; 2]>;

// === impl RedisLimiter ===

impl RedisLimiter {
    /// One on the server of `redis`, with the defaults of [`RedisLimiterBuilder`].
    pub fn new(redis: Redis) -> Self {
        Self::builder(redis).build()
    }

    /// One on the server of `redis`, still to be configured.
    pub fn builder(redis: Redis) -> RedisLimiterBuilder {
        RedisLimiterBuilder::new(redis)
    }

    /// What it did so far.
    pub fn usage(&self) -> RedisLimiterUsage {
        let inner = &*self.inner;
        RedisLimiterUsage { asked: inner.asked.sum(), recalled: inner.recalled.sum(), replaced: inner.replaced.sum() }
    }

    /// Asks for several side by side; what was taken is given back where not all was.
    async fn take_apart(&self, charges: &[Charge<'_>]) -> Result<Verdict, Error> {
        let groups = groups(charges);
        let answers = join_all(groups.iter().map(|group| self.decide(Operation::Take, &group.charges))).await;
        let is_taken = |decisions: &Decisions| decisions.iter().all(Decision::is_allowed);
        let all = answers.iter().all(|answer| answer.as_ref().is_ok_and(is_taken));
        let (mut failure, mut decided) = (None, Vec::new());
        for (group, answer) in groups.iter().zip(answers) {
            match answer {
                Ok(decisions) => decided.extend(group.places.iter().zip(&group.charges).zip(decisions)),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let back = decided.into_iter().map(async |((&place, charge), decision)| match decision {
            Decision::Taken(taken) if !all => {
                let standing = taken.standing();
                // Where that fails it stays taken: the limit errs for the limit.
                let standing = self.give_back(charge, &taken).await.map_or(standing, |(_, standing)| standing);
                (place, Decision::Open(standing))
            }
            decision => (place, decision),
        });
        let decided = join_all(back).await;
        failure.map_or_else(|| Ok(in_order(decided)), Err)
    }

    /// Decides about charges of one slot, by one script.
    async fn decide(&self, operation: Operation, charges: &[&Charge<'_>]) -> Result<Decisions, Error> {
        let inner = &*self.inner;
        let place = match operation {
            Operation::Take if self.is_one_slot() => {
                inner.together.ask(&inner.redis, inner.clock.as_ref(), |asking| self.push(asking, charges)).await?
            }
            _ => {
                let mut asking = Asking::default();
                self.push(&mut asking, charges);
                self.send(asking, operation).await?
            }
        };
        let mut told = self.told(place)?;
        let decide = |(at, charge): (usize, &&Charge<'_>)| {
            Ok(told.found(charge.ledger.algorithm())?.decision(charge, ask(charges, at)))
        };
        charges.iter().enumerate().map(decide).collect()
    }

    async fn give_back(&self, charge: &Charge<'_>, taken: &Taken) -> Result<(u64, Standing), Error> {
        let of = Charge { cost: taken.cost(), ..*charge };
        let mut asking = Asking::default();
        self.push(&mut asking, &[&of]);
        push_receipt(&mut asking.claims, taken);
        let mut told = self.told(self.send(asking, Operation::Refund).await?)?;
        let standing = told.found(of.ledger.algorithm())?.standing(of.quota);
        Ok((told.number(6)?, standing))
    }

    /// Whether one script can see to all charges.
    fn is_one_slot(&self) -> bool {
        self.inner.one_slot || !self.inner.redis.is_cluster()
    }

    fn push(&self, asking: &mut Asking, charges: &[&Charge<'_>]) {
        for (at, charge) in charges.iter().enumerate() {
            let key = key(charge.ledger, charge.identity, self.inner.one_slot);
            let same = charges.iter().filter(|other| is_same(other, charge)).count();
            // What was read before all is not what is there by then.
            let again = same > 1 || asking.has(&key);
            push_claim(&mut asking.claims, (charges.len() - at, again), charge, ask(charges, at));
            asking.push_key(key, charge.ledger.algorithm());
        }
    }

    async fn send(&self, asking: Asking, operation: Operation) -> Result<Place, Error> {
        let answer = asking.run(operation, &self.inner.redis, self.inner.clock.as_ref()).await?;
        Ok(Place { answer, start: HEAD })
    }

    fn told(&self, place: Place) -> Result<Told, Error> {
        let (inner, first) = (&*self.inner, place.start == HEAD);
        let told = Told::new(place.answer, place.start)?;
        // Of those who share an answer one counts.
        if first {
            inner.asked.raise();
            (0..told.spoilt).for_each(|_| inner.replaced.raise());
            if told.spoilt > 0 {
                event!(keys = told.spoilt, "what lay under a limiter's key was no state, and is replaced");
            }
        }
        Ok(told)
    }
}

/// Charges of one identity, and their places in the check.
struct Group<'a, 'c> {
    charges: SmallVec<[&'a Charge<'c>; 4]>,
    places: SmallVec<[usize; 4]>,
}

fn groups<'a, 'c>(charges: &'a [Charge<'c>]) -> Vec<Group<'a, 'c>> {
    let mut groups: Vec<Group<'_, '_>> = Vec::new();
    for (place, charge) in charges.iter().enumerate() {
        match groups.iter_mut().find(|group| group.charges[0].identity == charge.identity) {
            Some(group) => {
                group.charges.push(charge);
                group.places.push(place);
            }
            None => groups.push(Group { charges: SmallVec::from_iter([charge]), places: SmallVec::from_iter([place]) }),
        }
    }
    groups
}

fn in_order(mut decided: Vec<(usize, Decision)>) -> Verdict {
    decided.sort_unstable_by_key(|(place, _)| *place);
    Verdict::new(decided.into_iter().map(|(_, decision)| decision))
}

/// Whether they are of one account.
fn is_same(one: &Charge<'_>, other: &Charge<'_>) -> bool {
    (one.ledger, one.identity) == (other.ledger, other.identity)
}

/// A check has no more charges.
const MOST: usize = 255;

/// What is asked of the account of a charge, with those before it that are on the same one.
fn ask(charges: &[&Charge<'_>], at: usize) -> u64 {
    let charge = charges[at];
    let before = charges[..at]
        .iter()
        .filter(|other| is_same(other, charge))
        .fold(0u64, |sum, other| sum.saturating_add(other.cost));
    if charge.cost > 0 { charge.cost.saturating_add(before) } else { 0 }
}

impl Limiter for RedisLimiter {
    fn take_now(&self, charges: &[Charge<'_>]) -> Option<Verdict> {
        let verdict = self.inner.denied.recall(charges)?;
        self.inner.recalled.raise();
        Some(verdict)
    }

    async fn take(&self, charges: &[Charge<'_>]) -> Result<Verdict, Error> {
        if charges.is_empty() {
            return Ok(Verdict::new([]));
        }
        if charges.len() > MOST {
            return Err(Error::invalid(&format!("a check of {} charges: {MOST} would do", charges.len())));
        }
        let asked = self.inner.denied.now();
        let verdict = if self.is_one_slot() {
            let charges: SmallVec<[&Charge<'_>; 4]> = charges.iter().collect();
            Verdict::new(self.decide(Operation::Take, &charges).await?)
        } else {
            self.take_apart(charges).await?
        };
        if !verdict.is_allowed() {
            self.inner.denied.remember(charges, &verdict, asked);
        }
        Ok(verdict)
    }

    async fn peek(&self, charges: &[Charge<'_>]) -> Result<Verdict, Error> {
        let groups = groups(charges);
        let answers = join_all(groups.iter().map(|group| self.decide(Operation::Peek, &group.charges))).await;
        let mut decided = Vec::with_capacity(charges.len());
        for (group, answer) in groups.iter().zip(answers) {
            decided.extend(group.places.iter().copied().zip(answer?));
        }
        Ok(in_order(decided))
    }

    async fn refund(&self, charge: Charge<'_>, taken: Taken) -> Result<u64, Error> {
        let back = self.give_back(&charge, &taken).await.map(|(back, _)| back);
        self.inner.denied.forget(charge.ledger, charge.identity);
        back
    }

    async fn penalise(&self, charge: Charge<'_>) -> Result<Standing, Error> {
        let mut asking = Asking::default();
        self.push(&mut asking, &[&charge]);
        let place = self.send(asking, Operation::Penalise).await;
        self.inner.denied.forget(charge.ledger, charge.identity);
        Ok(self.told(place?)?.found(charge.ledger.algorithm())?.standing(charge.quota))
    }

    async fn reset(&self, ledger: &Ledger, identity: &Identity) -> Result<(), Error> {
        let mut asking = Asking::default();
        asking.push_key(key(ledger, identity, self.inner.one_slot), ledger.algorithm());
        if let Some(bytes) = state_bytes(ledger.algorithm()) {
            asking.claims.extend(bytes.to_string().bytes());
        }
        let place = self.send(asking, Operation::Reset).await;
        self.inner.denied.forget(ledger, identity);
        self.told(place?).map(drop)
    }
}

impl fmt::Debug for RedisLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimiter")
            .field("redis", &self.inner.redis)
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

// === impl Inner ===

impl From<RedisLimiterBuilder> for RedisLimiter {
    fn from(builder: RedisLimiterBuilder) -> Self {
        let RedisLimiterBuilder { redis, one_slot, denied_capacity, clock } = builder;
        let denied = Denials::new(denied_capacity, clock.clone());
        let (asked, recalled, replaced) = Default::default();
        Self {
            inner: Arc::new(Inner {
                redis,
                one_slot,
                clock,
                together: Together::default(),
                denied,
                asked,
                recalled,
                replaced,
            }),
        }
    }
}
