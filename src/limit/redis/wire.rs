//! What the scripts are asked, and what they answer.

use bytes::{Buf, Bytes};

use crate::{
    clock::Timestamp,
    error::Error,
    limit::contract::Charge,
    quota::{Algorithm, Counter, Decision, Meter, Quota, Standing, Taken},
};

/// An answer, read from the front.
#[derive(Debug)]
pub(super) struct Told {
    /// When it was, by the clock of the script.
    now: Timestamp,
    /// How many states were replaced, since they were none.
    pub(super) spoilt: u8,
    rest: Bytes,
}

/// What lies under a key: enough of it to tell how it stands.
#[derive(Debug)]
pub(super) struct Found {
    is_taken: bool,
    counter: Counter,
    /// The latest of now and the last take.
    at: u64,
    /// What is out.
    level: u64,
    now: Timestamp,
}

/// The bytes of an answer before what is told of the first key.
pub(super) const HEAD: usize = 7;

/// The letter by which the scripts know an algorithm, and keys end.
pub(super) const fn letter(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Sliding => b's',
        Algorithm::Log => b'l',
        Algorithm::Bucket => b'b',
        Algorithm::Fixed => b'f',
        Algorithm::Approximate => b'a',
    }
}

/// The bytes of a state, where their number is always the same.
pub(super) const fn state_bytes(algorithm: Algorithm) -> Option<usize> {
    match algorithm {
        Algorithm::Sliding | Algorithm::Log => None,
        Algorithm::Fixed => Some(26),
        Algorithm::Bucket | Algorithm::Approximate => Some(32),
    }
}

/// The bytes that are told of a key.
pub(super) const fn told_bytes(algorithm: Algorithm) -> usize {
    match state_bytes(algorithm) {
        Some(bytes) => bytes,
        None => 1 + 6 * 6,
    }
}

/// Appends what is asked by `charge`, with which the check has so `many` to come; `again` is whether its key comes before. `ask` is
/// its cost and that of those before it in the check on the same account.
pub(super) fn push_claim(args: &mut Vec<u8>, (many, again): (usize, bool), charge: &Charge<'_>, ask: u64) {
    let (quota, algorithm) = (charge.quota, charge.ledger.algorithm());
    args.extend([many as u8, again.into(), letter(algorithm)]);
    push_number(args, quota.limit(), 6);
    push_number(args, capacity(algorithm, quota), 6);
    push_number(args, quota.window().as_millis() as u64, 6);
    // What is more than any limit is all the same.
    push_number(args, charge.cost.min(Quota::MAX_LIMIT + 1), 7);
    push_number(args, ask.min(Quota::MAX_LIMIT + 1), 7);
}

/// Appends what a refund is of.
pub(super) fn push_receipt(args: &mut Vec<u8>, taken: &Taken) {
    push_number(args, taken.at().as_millis(), 6);
    push_number(args, taken.level(), 6);
}

/// The most that an account can have at once.
pub(super) const fn capacity(algorithm: Algorithm, quota: &Quota) -> u64 {
    match algorithm {
        Algorithm::Bucket => quota.at_once(),
        _ => quota.limit(),
    }
}

fn push_number(args: &mut Vec<u8>, number: u64, bytes: usize) {
    args.extend_from_slice(&number.to_le_bytes()[..bytes]);
}

// === impl Told ===

impl Told {
    /// What is told from `start` on.
    pub(super) fn new(answer: Bytes, start: usize) -> Result<Self, Error> {
        let mut told = Self { now: Timestamp::default(), spoilt: 0, rest: answer };
        told.now = Timestamp::from_millis(told.number(6)?);
        told.spoilt = told.number(1)? as u8;
        if told.rest.len() < start - HEAD {
            return Err(nonsense());
        }
        told.rest.advance(start - HEAD);
        Ok(told)
    }

    /// What is told of the next key.
    pub(super) fn found(&mut self, algorithm: Algorithm) -> Result<Found, Error> {
        let is_taken = self.number(1)? == 1;
        let (counter, at, level) = match algorithm {
            Algorithm::Sliding | Algorithm::Log => self.runs(algorithm)?,
            _ => {
                let (_, since, at) = (self.number(6)?, self.number(7)?.min(1 << 48), self.number(6)?);
                let first = self.number(6)?;
                if let Algorithm::Fixed = algorithm {
                    (restored(algorithm, &[since, at, first])?, at, first)
                } else {
                    let second = self.number(6)?;
                    let level = if let Algorithm::Bucket = algorithm { first } else { second };
                    (restored(algorithm, &[since, at, first, second])?, at, level)
                }
            }
        };
        Ok(Found { is_taken, counter, at, level, now: self.now })
    }

    /// A number of so many bytes.
    pub(super) fn number(&mut self, bytes: usize) -> Result<u64, Error> {
        if self.rest.len() < bytes {
            return Err(nonsense());
        }
        Ok(self.rest.get_uint_le(bytes))
    }

    /// Of runs only those are told apart by which it is known when something comes back: the moments at which no more than so much will be
    /// left of what is used.
    fn runs(&mut self, algorithm: Algorithm) -> Result<(Counter, u64, u64), Error> {
        let (at, used) = (self.number(6)?, self.number(6)?);
        let (mut numbers, mut count, mut before) = ([0; 8], 2, used);
        for _ in 0..2 {
            let (stamp, left) = (self.number(6)?, self.number(6)?);
            // Beyond that no script that read a state goes, but what lies there may be none.
            if left < before && stamp > numbers[count - 2] && stamp <= at {
                numbers[count..count + 2].copy_from_slice(&[stamp, before - left]);
                (count, before) = (count + 2, left);
            }
        }
        if count > 2 && numbers[count - 2] == at {
            numbers[count - 1] += before;
        } else {
            numbers[count..count + 2].copy_from_slice(&[at, before]);
            count += 2;
        }
        numbers[1] = at;
        Ok((restored(algorithm, &numbers[..count])?, at, used))
    }
}

fn restored(algorithm: Algorithm, numbers: &[u64]) -> Result<Counter, Error> {
    algorithm.counter().with_numbers(numbers)
}

#[cold]
fn nonsense() -> Error {
    Error::undecodable("Redis answered something else than what a limiter's script does")
}

// === impl Found ===

impl Found {
    /// What became of a charge, or would of `ask` where nothing was taken.
    pub(super) fn decision(&self, charge: &Charge<'_>, ask: u64) -> Decision {
        if !self.is_taken {
            return self.counter.peek(charge.quota, ask, self.now).into();
        }
        let level = if charge.cost > 0 { self.level } else { 0 };
        Decision::Taken(Taken::told(charge.cost, Timestamp::from_millis(self.at), level, self.standing(charge.quota)))
    }

    pub(super) fn standing(&self, quota: &Quota) -> Standing {
        Decision::from(self.counter.peek(quota, 0, self.now)).standing()
    }
}
