//! What can be done to a score.

use crate::{
    error::Error,
    redis::leaderboard::{LARGEST, LONGEST_MEMBER},
};

/// A change of one member's score. See [`Leaderboard::apply`](super::Leaderboard::apply).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    verb: Verb,
    member: String,
    number: i64,
    operation: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Set,
    Best,
    Increment,
    Remove,
}

// === impl Update ===

impl Update {
    /// The score is this from now on.
    pub fn set(member: impl Into<String>, score: i64) -> Self {
        Self { verb: Verb::Set, member: member.into(), number: score, operation: Vec::new() }
    }

    /// The score is this, unless it is better already.
    pub fn best(member: impl Into<String>, score: i64) -> Self {
        Self { verb: Verb::Best, member: member.into(), number: score, operation: Vec::new() }
    }

    /// The score is so much more (or less), once for each `operation` that the member takes part in: the number of the game, of the
    /// order. Who has no score has zero. Repeated, it changes nothing.
    pub fn increment(member: impl Into<String>, by: i64, operation: impl Into<Vec<u8>>) -> Self {
        Self { verb: Verb::Increment, member: member.into(), number: by, operation: operation.into() }
    }

    /// The member leaves the board.
    pub fn remove(member: impl Into<String>) -> Self {
        Self { verb: Verb::Remove, member: member.into(), number: 0, operation: Vec::new() }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_member(&self.member)?;
        if !(-LARGEST..=LARGEST).contains(&self.number) {
            return Err(out_of_range(&format!("not {}", self.number)));
        }
        if self.verb == Verb::Increment && !(1..=LONGEST_MEMBER).contains(&self.operation.len()) {
            let len = self.operation.len();
            return Err(Error::invalid(&format!("the id of an operation has 1 to {LONGEST_MEMBER} bytes, not {len}")));
        }
        Ok(())
    }

    /// The word for it in the script, the member, the number as the server has it, and the operation.
    pub(super) fn args(&self, sign: i64) -> (&'static str, &str, i64, &[u8]) {
        let verb = match self.verb {
            Verb::Set => "s",
            Verb::Best => "b",
            Verb::Increment => "i",
            Verb::Remove => "r",
        };
        (verb, &self.member, self.number * sign, &self.operation)
    }
}

pub(super) fn check_member(member: &str) -> Result<(), Error> {
    if (1..=LONGEST_MEMBER).contains(&member.len()) {
        return Ok(());
    }
    let len = member.len();
    Err(Error::invalid(&format!("the name of a member of a leaderboard has 1 to {LONGEST_MEMBER} bytes, not {len}")))
}

#[cold]
pub(super) fn out_of_range(what: &str) -> Error {
    Error::invalid(&format!("a score is from {} to {LARGEST}, {what}", -LARGEST))
}
