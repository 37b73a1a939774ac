//! The contract every place keeps where takings are counted.

use std::{fmt, future::Future, hash::Hasher, sync::Arc};

use siphasher::sip::SipHasher13;
use smallvec::SmallVec;

use super::identity::Identity;
use crate::{
    error::Error,
    quota::{Algorithm, Decision, Quota, Retry, Standing, Taken},
};

/// Counts what is taken, in this process or in a place that several share.
///
/// One rule carries the contract: what a check asks for is taken from all accounts or from none, in one step, and at no moment has
/// an account given more than its algorithm allows ([`Algorithm::worst_window`]).
///
/// Clones are handles of the same counts.
///
/// # Cancellation
///
/// A call that is dropped before it answered was made or was not. Nothing is given back for it: a limit errs for the limit.
pub trait Limiter: Clone + Send + Sync + 'static {
    /// What can be decided without waiting. A place that must ask elsewhere decides nothing here, unless it knows
    /// already that it would be told no.
    fn take_now(&self, charges: &[Charge<'_>]) -> Option<Verdict>;

    /// Takes what every charge asks for, or nothing. What is denied is not counted.
    ///
    /// # Errors
    ///
    /// When the counts could not be asked; whether anything was taken is then not known.
    fn take(&self, charges: &[Charge<'_>]) -> impl Future<Output = Result<Verdict, Error>> + Send;

    /// What [`take`](Self::take) would answer, without taking.
    ///
    /// # Errors
    ///
    /// When the counts could not be asked.
    fn peek(&self, charges: &[Charge<'_>]) -> impl Future<Output = Result<Verdict, Error>> + Send;

    /// Gives back what was taken by `charge`, into the period it was taken from. Says how much that was: 0 when the period is
    /// over.
    ///
    /// # Errors
    ///
    /// When the counts could not be asked.
    fn refund(&self, charge: Charge<'_>, taken: Taken) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Takes the cost of a charge whether it remains or not.
    ///
    /// # Errors
    ///
    /// When the counts could not be asked.
    fn penalise(&self, charge: Charge<'_>) -> impl Future<Output = Result<Standing, Error>> + Send;

    /// Forgets what `identity` has taken in `ledger`.
    ///
    /// # Errors
    ///
    /// When the counts could not be asked.
    fn reset(&self, ledger: &Ledger, identity: &Identity) -> impl Future<Output = Result<(), Error>> + Send;
}

/// A row of counts under one name: who takes from the same quota, by the same algorithm, for the same purpose.
///
/// Two layers whose ledgers have the same name and algorithm, over the same limiter, share their counts.
#[derive(Clone)]
pub struct Ledger(Arc<Title>);

struct Title {
    name: Box<str>,
    algorithm: Algorithm,
    code: u64,
}

/// What a check asks of one account: an identity's, in a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge<'a> {
    /// Where it is counted.
    pub ledger: &'a Ledger,
    /// Whose account is charged.
    pub identity: &'a Identity,
    /// What the account may take. It may be another from call to call: what was taken still counts, if it is within the window
    /// of each.
    pub quota: &'a Quota,
    /// How much is asked for.
    pub cost: u64,
}

/// What became of a check: a [`Decision`] for each charge, in their order.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    decisions: SmallVec<[Decision; 2]>,
}

// === impl Ledger ===

impl Ledger {
    /// The ledger of that name.
    pub fn new(name: &str, algorithm: Algorithm) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write(algorithm.as_str().as_bytes());
        hasher.write_u8(0xff);
        hasher.write(name.as_bytes());
        Self(Arc::new(Title { name: name.into(), algorithm, code: hasher.finish() }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// By which rules it is kept.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// A number that stands for name and algorithm.
    pub(crate) fn code(&self) -> u64 {
        self.0.code
    }
}

impl PartialEq for Ledger {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code() && self.name() == other.name() && self.algorithm() == other.algorithm()
    }
}

impl Eq for Ledger {}

impl std::hash::Hash for Ledger {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.code());
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ledger({:?}, {})", self.name(), self.algorithm().as_str())
    }
}

// === impl Verdict ===

impl Verdict {
    /// A verdict on one charge. For implementations of [`Limiter`].
    #[inline]
    pub fn of(decision: Decision) -> Self {
        let mut decisions = SmallVec::new();
        decisions.push(decision);
        Self { decisions }
    }

    /// A verdict of these decisions, one for each charge. For implementations of [`Limiter`].
    pub fn new(decisions: impl IntoIterator<Item = Decision>) -> Self {
        Self { decisions: decisions.into_iter().collect() }
    }

    /// Whether everything was taken, or, where nobody asked to take, could be.
    pub fn is_allowed(&self) -> bool {
        self.decisions.iter().all(Decision::is_allowed)
    }

    /// When all of it could be taken, if nothing else is until then; `None` when it was.
    pub fn retry(&self) -> Option<Retry> {
        self.decisions.iter().filter_map(Decision::retry).max()
    }

    /// What became of each charge.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// The same, with the receipts of what was taken.
    pub fn into_decisions(self) -> impl Iterator<Item = Decision> {
        self.decisions.into_iter()
    }
}
