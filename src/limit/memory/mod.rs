//! Counts in the memory of one process.

use std::{fmt, hash::BuildHasher, sync::Arc};

use hashbrown::DefaultHashBuilder;
use parking_lot::{Mutex, MutexGuard};
use siphasher::sip128::SipHasher13;
use smallvec::SmallVec;

use self::accounts::{Accounts, Place};
use super::{
    contract::{Charge, Ledger, Limiter, Verdict},
    identity::Identity,
};
use crate::{
    clock::{Clock, SteadyClock, Timestamp},
    error::Error,
    quota::{Decision, Standing, Taken},
};

mod accounts;

/// Counts in the memory of this process, up to a number of bytes.
///
/// What was taken is kept for as long as it counts, and nothing else is dropped to make room. When all of the memory is in use by
/// accounts that still count, identities that come new share one account for each ledger and 256 KiB of the memory, until there is
/// room: a flood of identities makes the limit tighter for newcomers, and never wider for anybody. An account that is known keeps its
/// own, in the last resort with coarser times, which holds what it took for longer.
///
/// There is no task behind it: what is over is cleared away by those who need room. A check locks one of some hundred parts
/// for as long as it takes, and allocates where an account is new or grows.
///
/// ```
/// use bartizan::limit::MemoryLimiter;
///
/// let limiter = MemoryLimiter::with_capacity(64 << 20);
/// ```
#[derive(Clone)]
pub struct MemoryLimiter {
    inner: Arc<Inner>,
}

struct Inner {
    shards: Box<[Shard]>,
    /// The secret by which longer identities become numbers: nobody can choose two that are one.
    secret: (u64, u64),
    seed: DefaultHashBuilder,
    clock: Arc<dyn Clock>,
}

/// Of a cache line's own size, so that one part's lock does not slow down its neighbour's.
#[repr(align(128))]
struct Shard(Mutex<Accounts>);

/// What a [`MemoryLimiter`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUsage {
    /// Accounts of their own.
    pub accounts: u64,
    /// The memory they take, in bytes.
    pub bytes: u64,
    /// How often something was taken from an account that newcomers share, since the beginning.
    pub shared: u64,
}

/// All parts that a check needs, locked in the order in which all who lock several do.
struct Locked<'a> {
    places: SmallVec<[(usize, Place); 4]>,
    parts: SmallVec<[(usize, MutexGuard<'a, Accounts>); 4]>,
}

/// About how many bytes a part has: few enough to be looked through while its lock is held.
const PART: usize = 256 << 10;

// === impl MemoryLimiter ===

impl MemoryLimiter {
    /// One of at most 64 MiB: 160 000 accounts by the sliding window that took once, or 450 000 by a token bucket.
    pub fn new() -> Self {
        Self::with_capacity(64 << 20)
    }

    /// One of at most `bytes`; less than 64 KiB counts as that.
    pub fn with_capacity(bytes: usize) -> Self {
        Self::with_clock(bytes, SteadyClock)
    }

    /// One of at most `bytes` that goes by `clock`: for tests. The others go by [`SteadyClock`].
    pub fn with_clock(bytes: usize, clock: impl Clock) -> Self {
        let bytes = bytes.max(64 << 10);
        let parts = (bytes / PART).clamp(1, 1024);
        let shards = (0..parts).map(|_| Shard(Mutex::new(Accounts::new(bytes / parts)))).collect();
        let secret = (rand::random(), rand::random());
        Self { inner: Arc::new(Inner { shards, secret, seed: DefaultHashBuilder::default(), clock: Arc::new(clock) }) }
    }

    /// What it holds. It looks into every part, one after the other.
    pub fn usage(&self) -> MemoryUsage {
        self.inner.shards.iter().fold(MemoryUsage::default(), |sum, shard| {
            let usage = shard.0.lock().usage();
            MemoryUsage {
                accounts: sum.accounts + usage.accounts,
                bytes: sum.bytes + usage.bytes,
                shared: sum.shared + usage.shared,
            }
        })
    }

    fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Locks the part that the identity belongs to.
    fn lock(&self, ledger: &Ledger, identity: &Identity) -> (MutexGuard<'_, Accounts>, Place) {
        let (part, place) = self.inner.place(ledger, identity);
        (self.inner.shards[part].0.lock(), place)
    }

    #[inline]
    fn take_one(&self, charge: &Charge<'_>) -> Decision {
        let (mut accounts, place) = self.lock(charge.ledger, charge.identity);
        // Read under the lock, or who had to wait for it would have taken before.
        let now = self.now();
        accounts.take(&place, charge, now).into()
    }

    fn take_all(&self, charges: &[Charge<'_>]) -> Verdict {
        let mut locked = Locked::new(&self.inner, charges);
        let now = self.now();
        let open = locked.peek(charges, now);
        if !open.is_allowed() {
            return open;
        }
        let mut taken: SmallVec<[Taken; 2]> = SmallVec::new();
        for (index, charge) in charges.iter().enumerate() {
            let (accounts, place) = locked.at(index);
            match accounts.take(place, charge, now) {
                Ok(receipt) => taken.push(receipt),
                // What was open a moment ago is not, where two charges are of one account.
                Err(denied) => {
                    let before = taken.into_iter().enumerate().map(|(index, receipt)| {
                        let standing = receipt.standing();
                        let (accounts, place) = locked.at(index);
                        accounts.refund(place, charges[index].quota, receipt, now);
                        Decision::Open(standing)
                    });
                    let after = open.into_decisions().skip(index + 1);
                    return Verdict::new(before.chain([Decision::Denied(denied)]).chain(after).collect::<Vec<_>>());
                }
            }
        }
        Verdict::new(taken.into_iter().map(Decision::Taken))
    }
}

impl Limiter for MemoryLimiter {
    #[inline]
    fn take_now(&self, charges: &[Charge<'_>]) -> Option<Verdict> {
        Some(match charges {
            [charge] => Verdict::of(self.take_one(charge)),
            charges => self.take_all(charges),
        })
    }

    async fn take(&self, charges: &[Charge<'_>]) -> Result<Verdict, Error> {
        Ok(self.take_now(charges).expect("what is in memory is decided without waiting"))
    }

    async fn peek(&self, charges: &[Charge<'_>]) -> Result<Verdict, Error> {
        Ok(Locked::new(&self.inner, charges).peek(charges, self.now()))
    }

    async fn refund(&self, charge: Charge<'_>, taken: Taken) -> Result<u64, Error> {
        let (mut accounts, place) = self.lock(charge.ledger, charge.identity);
        Ok(accounts.refund(&place, charge.quota, taken, self.now()))
    }

    async fn penalise(&self, charge: Charge<'_>) -> Result<Standing, Error> {
        let (mut accounts, place) = self.lock(charge.ledger, charge.identity);
        Ok(accounts.penalise(&place, &charge, self.now()))
    }

    async fn reset(&self, ledger: &Ledger, identity: &Identity) -> Result<(), Error> {
        let (mut accounts, place) = self.lock(ledger, identity);
        accounts.reset(&place, self.now());
        Ok(())
    }
}

impl Default for MemoryLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLimiter").field("parts", &self.inner.shards.len()).finish_non_exhaustive()
    }
}

// === impl Inner ===

impl Inner {
    /// Which part an account belongs to, and where in it. All accounts of an identity are in one part.
    #[inline]
    fn place(&self, ledger: &Ledger, identity: &Identity) -> (usize, Place) {
        let code = self.code(identity);
        let hash = self.seed.hash_one(code);
        let part = (u128::from(hash) * self.shards.len() as u128) >> 64;
        // Within a part the upper bits of the hash are alike, by which the table tells its places apart.
        let hash = (hash ^ ledger.code()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (part as usize, Place { code, ledger: ledger.code(), hash })
    }

    /// A number that no other identity has.
    #[inline]
    fn code(&self, identity: &Identity) -> u128 {
        identity.number().unwrap_or_else(|| {
            let hash = SipHasher13::new_with_keys(self.secret.0, self.secret.1).hash(identity.bytes());
            // No short identity has this bit.
            u128::from_le_bytes(hash.as_bytes()) | 0x80 << 120
        })
    }
}

// === impl Locked ===

impl<'a> Locked<'a> {
    fn new(inner: &'a Inner, charges: &[Charge<'_>]) -> Self {
        let places: SmallVec<_> = charges.iter().map(|charge| inner.place(charge.ledger, charge.identity)).collect();
        let mut parts: SmallVec<[usize; 4]> = places.iter().map(|&(part, _)| part).collect();
        parts.sort_unstable();
        parts.dedup();
        let parts = parts.into_iter().map(|part| (part, inner.shards[part].0.lock())).collect();
        Self { places, parts }
    }

    fn at(&mut self, index: usize) -> (&mut Accounts, &Place) {
        let (part, place) = &self.places[index];
        let locked = self.parts.iter_mut().find(|(locked, _)| locked == part);
        (&mut locked.expect("every part that is charged is locked").1, place)
    }

    fn peek(&mut self, charges: &[Charge<'_>], now: Timestamp) -> Verdict {
        Verdict::new(charges.iter().enumerate().map(|(index, charge)| {
            let (accounts, place) = self.at(index);
            accounts.peek(place, charge, now).into()
        }))
    }
}
