//! Several quotas in one check.

use super::{
    decision::{Decision, Denied, Retry},
    meter::Meter,
    policy::Quota,
};
use crate::clock::Timestamp;

/// A cost to be taken from one quota among several, by [`take_all`].
#[derive(Debug)]
pub struct Claim<'a, M> {
    quota: &'a Quota,
    meter: &'a mut M,
    cost: u64,
    decision: Option<Decision>,
}

/// Takes the cost of every claim, or none of them. Each has its [`decision`](Claim::decision) then.
///
/// # Errors
///
/// When one or more deny: the earliest moment at which all could be taken, if nothing else is until then. The meters of the
/// others are untouched.
pub fn take_all<M: Meter>(claims: &mut [Claim<'_, M>], now: Timestamp) -> Result<(), Retry> {
    let denied = |claim: &mut Claim<'_, M>| {
        let answer = claim.meter.peek(claim.quota, claim.cost, now);
        claim.decision = Some(answer.into());
        answer.err().map(|denied: Denied| denied.retry())
    };
    // What comes back comes back whatever the others do, so the last to be ready decides.
    match claims.iter_mut().filter_map(denied).max() {
        Some(retry) => Err(retry),
        None => {
            for claim in claims {
                claim.decision = Some(claim.meter.take(claim.quota, claim.cost, now).into());
            }
            Ok(())
        }
    }
}

// === impl Claim ===

impl<'a, M> Claim<'a, M> {
    /// `cost` from what `quota` allows and `meter` counts.
    pub const fn new(quota: &'a Quota, meter: &'a mut M, cost: u64) -> Self {
        Self { quota, meter, cost, decision: None }
    }

    /// What became of it; `None` before [`take_all`].
    pub const fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }

    /// What became of it, with the receipt if it was taken.
    pub fn into_decision(self) -> Option<Decision> {
        self.decision
    }
}
