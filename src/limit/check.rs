//! What a request is asked for, by which policies.

use smallvec::SmallVec;

use super::{
    contract::{Charge, Verdict},
    head::Head,
    identity::Identity,
    policy::Policy,
};
use crate::quota::Quota;

/// One request's charges, with all that they borrow but the policies.
#[derive(Default)]
pub(super) struct Check {
    items: SmallVec<[Item; 2]>,
}

pub(super) struct Item {
    policy: usize,
    identity: Identity,
    /// Where it is not the same for all.
    quota: Option<Quota>,
    is_nobody: bool,
    cost: u64,
}

pub(super) type Names<'a> = SmallVec<[&'a str; 4]>;
pub(super) type Charges<'a> = SmallVec<[Charge<'a>; 2]>;

// === impl Check ===

impl Check {
    /// Adds what the policies say of a request. In place: a check is large, and moving it costs as much as making it.
    #[inline]
    pub(super) fn add(&mut self, policies: &[Policy], head: &Head<'_>) {
        for (index, policy) in policies.iter().enumerate() {
            if !policy.concerns(head) {
                continue;
            }
            let quota = match policy.constant() {
                Some(_) => None,
                None => match policy.quota_of(head) {
                    Some(quota) => Some(quota),
                    None => continue,
                },
            };
            let cost = policy.cost_of(head);
            self.items.push(Item { policy: index, identity: Identity::new(), quota, is_nobody: false, cost });
            if let Some(item) = self.items.last_mut() {
                item.is_nobody = !policy.identify(head, &mut item.identity);
            }
        }
    }

    /// No policy has anything to say.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    #[inline]
    pub(super) fn charges<'a>(&'a self, policies: &'a [Policy]) -> Charges<'a> {
        let mut charges = Charges::new();
        for item in &self.items {
            charges.push(item.charge(policies, item.quota(policies)));
        }
        charges
    }

    /// The policies that have something to say, with their quotas.
    pub(super) fn policies<'a>(
        &'a self,
        policies: &'a [Policy],
    ) -> impl Iterator<Item = (&'a Policy, &'a Quota)> + Clone {
        self.items.iter().map(|item| (&policies[item.policy], item.quota(policies)))
    }

    /// What the policies are called.
    pub(super) fn names<'a>(&'a self, policies: &'a [Policy]) -> Names<'a> {
        self.policies(policies).map(|(policy, _)| policy.name()).collect()
    }

    /// What those policies are called that denied.
    pub(super) fn denied<'a>(&'a self, policies: &'a [Policy], verdict: &Verdict) -> Names<'a> {
        let denied = self.policies(policies).zip(verdict.decisions()).filter(|(_, decision)| !decision.is_allowed());
        denied.map(|((policy, _), _)| policy.name()).collect()
    }

    /// How many of the policies found nobody.
    pub(super) fn nobodies(&self) -> usize {
        self.items.iter().filter(|item| item.is_nobody).count()
    }

    /// The same, of other quotas.
    pub(super) fn with_quotas(mut self, policies: &[Policy], other: impl Fn(&Quota) -> Quota) -> Self {
        for item in &mut self.items {
            let quota = other(item.quota(policies));
            item.quota = Some(quota);
        }
        self
    }
}

// === impl Item ===

impl Item {
    fn quota<'a>(&'a self, policies: &'a [Policy]) -> &'a Quota {
        let quota = self.quota.as_ref().or_else(|| policies[self.policy].constant());
        quota.expect("a quota that is not the policy's own is computed with the check")
    }

    fn charge<'a>(&'a self, policies: &'a [Policy], quota: &'a Quota) -> Charge<'a> {
        Charge { ledger: policies[self.policy].ledger(), identity: &self.identity, quota, cost: self.cost }
    }
}
