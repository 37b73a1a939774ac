//! Removal by name in constant time.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// The sequence at which something named was last removed. Values that bear the name share it.
#[derive(Clone, Debug)]
pub(super) struct Seal(Arc<AtomicU64>);

/// The seals in use, by name, and the last removal of every name that is not.
///
/// It is bounded by the values that hold seals: names that none bears are forgotten, and the floor remembers the latest
/// of them, so that a lease older than the floor is refused for any name that is new. That drops more than was asked,
/// never less.
#[derive(Debug)]
pub(super) struct Seals<N> {
    by_name: HashMap<N, Seal>,
    floor: u64,
    sweep_at: usize,
}

/// Below this many names a sweep is not worth its while.
const FEW: usize = 128;

// === impl Seal ===

impl Seal {
    pub(super) fn broken_at(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

// === impl Seals ===

impl<N: Hash + Eq> Seals<N> {
    /// The seal that values with this name hold.
    pub(super) fn of(&mut self, name: N) -> Seal {
        if self.by_name.len() >= self.sweep_at {
            self.sweep();
        }
        let floor = self.floor;
        self.by_name.entry(name).or_insert_with(|| Seal(Arc::new(AtomicU64::new(floor)))).clone()
    }

    /// Ends whatever has this name and is older than `sequence`, kept or still being made.
    pub(super) fn remove(&mut self, name: N, sequence: u64) {
        self.of(name).0.fetch_max(sequence, Ordering::AcqRel);
    }

    /// Ends what is kept under this name and is older than `sequence`.
    pub(super) fn remove_kept(&self, name: &N, sequence: u64) {
        if let Some(seal) = self.by_name.get(name) {
            seal.0.fetch_max(sequence, Ordering::AcqRel);
        }
    }

    fn sweep(&mut self) {
        let floor = &mut self.floor;
        self.by_name.retain(|_, seal| {
            let held = seal.is_held();
            if !held {
                *floor = (*floor).max(seal.broken_at());
            }
            held
        });
        self.sweep_at = FEW.max(2 * self.by_name.len());
    }
}

impl<N> Default for Seals<N> {
    fn default() -> Self {
        Self { by_name: HashMap::new(), floor: 0, sweep_at: FEW }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_removed_names_is_forgotten_but_for_the_floor() {
        let mut seals = Seals::default();
        let held = seals.of(0);
        for name in 1..=100_000u64 {
            seals.remove(name, name);
        }
        assert!(seals.by_name.len() <= FEW, "{} names", seals.by_name.len());
        assert_eq!(held.broken_at(), 0, "a name that was not removed stands");
        assert!(seals.of(200_000).broken_at() > 90_000, "a forgotten name may have been removed as late as the floor");
        seals.remove(0, 7);
        assert_eq!(held.broken_at(), 7);
    }

    #[test]
    fn removals_that_overtake_each_other_leave_the_later() {
        let mut seals = Seals::default();
        let seal = seals.of("a");
        seals.remove("a", 9);
        seals.remove("a", 7);
        assert_eq!(seal.broken_at(), 9);
    }
}
