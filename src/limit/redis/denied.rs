//! What was denied, remembered.

use std::{sync::Arc, time::Duration};

use quick_cache::sync::Cache;
use siphasher::sip128::{Hasher128, SipHasher13};
use smallvec::SmallVec;

use super::wire::capacity;
use crate::{
    clock::{Clock, Moment, Timestamp},
    limit::{
        contract::{Charge, Ledger, Verdict},
        identity::Identity,
    },
    quota::{Decision, Denied, Quota, Retry, Standing},
};

/// Accounts that cannot give what was asked of them.
pub(super) struct Denials {
    known: Cache<u128, Arc<Denial>>,
    /// The secret by which accounts become numbers.
    secret: (u64, u64),
    clock: Option<Arc<dyn Clock>>,
}

#[derive(Debug)]
struct Denial {
    quota: Quota,
    cost: u64,
    /// Until when there is no use in asking again.
    until: Moment,
    heard: Moment,
    retry: Retry,
    standing: Standing,
    /// How the others stood that were asked in the same check.
    others: SmallVec<[(u128, Standing); 1]>,
}

/// After so long it is asked again in any case: somebody may have given back, reset or raised the limit elsewhere.
const MOST: Duration = Duration::from_secs(1);

// === impl Denials ===

impl Denials {
    pub(super) fn new(capacity: usize, clock: Option<Arc<dyn Clock>>) -> Self {
        Self { known: Cache::new(capacity), secret: (rand::random(), rand::random()), clock }
    }

    pub(super) fn now(&self) -> Moment {
        match &self.clock {
            Some(clock) => Moment::from_millis(clock.now().as_millis()),
            None => Moment::now(),
        }
    }

    /// The answer, if a charge is known to be denied still.
    pub(super) fn recall(&self, charges: &[Charge<'_>]) -> Option<Verdict> {
        if self.known.is_empty() {
            return None;
        }
        let now = self.now();
        let known: SmallVec<[Option<Arc<Denial>>; 4]> = charges.iter().map(|charge| self.known(charge, now)).collect();
        let denial = known.iter().flatten().next()?;
        Some(Verdict::new(charges.iter().zip(&known).map(|(charge, known)| match known {
            Some(denial) => Decision::Denied(denial.at(now, charge)),
            None => Decision::Open(denial.standing_of(self.account(charge.ledger, charge.identity), charge, now)),
        })))
    }

    /// Remembers what a verdict denied, which was `asked` for and has come now.
    pub(super) fn remember(&self, charges: &[Charge<'_>], verdict: &Verdict, asked: Moment) {
        let heard = self.now();
        let account = |charge: &Charge<'_>| self.account(charge.ledger, charge.identity);
        for (charge, decision) in charges.iter().zip(verdict.decisions()) {
            let Decision::Denied(denied) = decision else { continue };
            let wait = match denied.retry() {
                Retry::After(wait) => wait.min(MOST),
                Retry::Never => MOST,
            };
            let others = charges.iter().zip(verdict.decisions()).filter(|(other, _)| *other != charge);
            let denial = Denial {
                quota: charge.quota.clone(),
                cost: charge.cost,
                until: asked.plus(wait),
                heard,
                retry: denied.retry(),
                standing: denied.standing(),
                others: others.map(|(other, decision)| (account(other), decision.standing())).collect(),
            };
            self.known.insert(account(charge), Arc::new(denial));
        }
    }

    pub(super) fn forget(&self, ledger: &Ledger, identity: &Identity) {
        self.known.remove(&self.account(ledger, identity));
    }

    /// Whoever asks for less, or by another quota, may be allowed.
    fn known(&self, charge: &Charge<'_>, now: Moment) -> Option<Arc<Denial>> {
        let denial = self.known.get(&self.account(charge.ledger, charge.identity))?;
        let stands = now < denial.until && charge.cost >= denial.cost && *charge.quota == denial.quota;
        stands.then_some(denial)
    }

    fn account(&self, ledger: &Ledger, identity: &Identity) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(self.secret.0, self.secret.1);
        std::hash::Hasher::write_u64(&mut hasher, ledger.code());
        std::hash::Hasher::write(&mut hasher, identity.bytes());
        hasher.finish128().as_u128()
    }
}

// === impl Denial ===

impl Denial {
    fn at(&self, now: Moment, charge: &Charge<'_>) -> Denied {
        let passed = now.since(self.heard);
        let retry = match self.retry {
            _ if charge.cost > capacity(charge.ledger.algorithm(), charge.quota) => Retry::Never,
            // It is denied for as long as this is remembered.
            Retry::After(wait) => Retry::After(wait.saturating_sub(passed).max(Duration::from_millis(1))),
            Retry::Never => Retry::Never,
        };
        Denied::told(retry, after(self.standing, passed))
    }

    /// Of another charge, as it was known when this was denied; untouched, where nothing was known of it.
    fn standing_of(&self, account: u128, charge: &Charge<'_>, now: Moment) -> Standing {
        match self.others.iter().find(|(other, _)| *other == account) {
            Some((_, standing)) => after(*standing, now.since(self.heard)),
            None => {
                let all = capacity(charge.ledger.algorithm(), charge.quota);
                Standing::told(all, all, None)
            }
        }
    }
}

/// How it stands when so much time has passed.
fn after(standing: Standing, passed: Duration) -> Standing {
    let (limit, remaining) = (standing.limit(), standing.remaining());
    let Some(wait) = standing.more_after() else { return standing };
    match wait.checked_sub(passed) {
        Some(left) if !left.is_zero() => {
            let left = Timestamp::default().plus(left).as_millis();
            Standing::told(limit, remaining, Some((left, standing.more())))
        }
        // What comes after that is not known here.
        _ => Standing::told(limit, (remaining + standing.more()).min(limit), None),
    }
}
