//! The bytes that all fills may hold together, running ones and those whose client still reads.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A number of bytes, shared out among fills.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    left: Arc<AtomicU64>,
}

/// What one fill took of the budget. Dropping it gives that back.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    taken: u64,
}

// === impl Budget ===

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { left: Arc::new(AtomicU64::new(bytes)) }
    }

    /// A share of nothing yet.
    pub(crate) fn share(&self) -> Share {
        Share { budget: self.clone(), taken: 0 }
    }
}

// === impl Share ===

impl Share {
    /// Takes `bytes` more, or nothing if there are not so many left.
    pub(crate) fn take(&mut self, bytes: u64) -> bool {
        let left = &self.budget.left;
        let taken = left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes)).is_ok();
        if taken {
            self.taken += bytes;
        }
        taken
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.taken, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_exceed_the_budget_and_come_back() {
        let budget = Budget::new(10);
        let (mut one, mut two) = (budget.share(), budget.share());
        assert!(one.take(6) && !two.take(5) && two.take(4) && !one.take(1));
        drop(one);
        assert!(two.take(6));
    }
}
