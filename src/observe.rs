//! What the layers tell about themselves: `tracing` events behind the feature of that name, and counters.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// A `tracing` event at debug level; nothing without the feature.
macro_rules! event {
    ($($arg:tt)+) => {{
        #[cfg(feature = "tracing")]
        ::tracing::debug!($($arg)+);
    }};
}
pub(crate) use event;

/// `future` within the present span, so that detached work is traced under the request that began it.
#[cfg(feature = "tracing")]
pub(crate) fn in_current_span<F: Future>(future: F) -> impl Future<Output = F::Output> {
    use tracing::Instrument as _;
    future.in_current_span()
}

/// `future` as it is.
#[cfg(not(feature = "tracing"))]
pub(crate) fn in_current_span<F: Future>(future: F) -> impl Future<Output = F::Output> {
    future
}

/// A count that many threads raise and few read.
///
/// Striped over cache lines: one line for all threads would make every hit wait for the others' cores.
#[derive(Debug, Default)]
pub(crate) struct Count([Stripe; STRIPES]);

#[derive(Debug, Default)]
#[repr(align(64))]
struct Stripe(AtomicU64);

const STRIPES: usize = 8;

// === impl Count ===

impl Count {
    #[inline]
    pub(crate) fn raise(&self) {
        self.0[stripe()].0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().map(|stripe| stripe.0.load(Ordering::Relaxed)).sum()
    }
}

fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        mine.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_raised_by_many_threads_is_exact() {
        let count = Count::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * STRIPES {
                scope.spawn(|| (0..1000).for_each(|_| count.raise()));
            }
        });
        assert_eq!(count.sum(), 2 * STRIPES as u64 * 1000);
    }
}
