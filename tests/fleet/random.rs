//! Small numbers, the same for the same seed (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators").

use std::time::Duration;

pub(crate) struct Random(u64);

// === impl Random ===

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self(seed);
        random.next();
        random
    }

    /// Another sequence, decided by this one.
    pub(crate) fn fork(&mut self) -> Self {
        Self::new(self.next())
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        ((self.next() >> 33) % u64::from(bound)) as u32
    }

    pub(crate) fn millis(&mut self, bound: u32) -> Duration {
        Duration::from_micros(u64::from(self.below(bound * 1000)))
    }

    /// Whether the one case in so many is this one.
    pub(crate) fn one_in(&mut self, cases: u32) -> bool {
        self.below(cases) == 0
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
