//! Counting a request that went inwards once, however it ends.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{layer::Shared, status::Cause};

/// Counts a request once: as a miss when it is done with, however that comes, unless a stale page stood in.
pub(crate) struct Tally<T> {
    shared: Arc<Shared<T>>,
    cause: Cause,
    is_open: AtomicBool,
}

/// Who a request that was sent inwards is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A client, who waits.
    Client,
    /// The store alone.
    Nobody,
}

// === impl Tally ===

impl<T> Tally<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>, cause: Cause, asker: Asker) -> Self {
        Self { shared, cause, is_open: AtomicBool::new(asker == Asker::Client) }
    }

    /// A stale page stands in.
    pub(crate) fn stale(&self) {
        if self.is_open.swap(false, Ordering::Relaxed) {
            self.shared.counts.stale.raise();
        }
    }
}

impl<T> Drop for Tally<T> {
    fn drop(&mut self) {
        if *self.is_open.get_mut() {
            self.shared.count(self.cause).raise();
        }
    }
}
