//! The timetable: who asks for what and when, what changes, when the origin is down and whom it answers. Nothing else decides
//! about any number of the table.

use std::{ops::Range, time::Duration};

use bartizan::expiry::Jitter;

pub(crate) const KEYS: usize = 1000;
pub(crate) const NODES: usize = 3;
pub(crate) const STEPS: u32 = 24;

/// How long pages are kept where nobody says that they have changed, in steps. It is how users are promised to see a change then.
pub(crate) const SHORT: u32 = 6;

/// How long they are kept where somebody does.
pub(crate) const LONG: u32 = 16;

/// How many pages are asked for in the same moment, of which a step has forty. All requests of a moment are there at once.
const AT_ONCE: usize = 25;

/// How many calls the origin answers in a moment; in the first step, all, or no row would ever be warm.
///
/// When pages expire that were all made in one step, 25 are wanted in each moment, more calls where nodes call side by side, and the
/// rest is called for again. Spread over five steps (6 and 30 % either way) it is about what the origin answers; over eleven
/// (16 and 30 %) a quarter.
const CAPACITY: usize = 10;

/// How many of a page's hundred callers there are on each node.
const CALLERS: [usize; NODES] = [34, 33, 33];

const DOWN: Range<u32> = 14..18;

/// How the rows' days differ.
#[derive(Clone, Copy)]
pub(crate) struct Day {
    /// In steps.
    pub(crate) ttl: u32,
    pub(crate) jitter: Jitter,
    /// Whether pages that change are purged.
    pub(crate) purges: bool,
}

// === impl Day ===

impl Day {
    /// How long the page is good that is made in this step. Rounded to when the page is asked for, jitter leaves the mean of the times
    /// between two calls as it was.
    pub(crate) fn lifetime(self, key: usize, step: u32) -> Duration {
        let spread = self.jitter.spread(steps(self.ttl), lot(key, step));
        let every = if is_link(key) { NODES as u32 } else { 1 };
        steps(every * (spread.as_secs_f64() / f64::from(every)).round() as u32)
    }

    /// How often the origin must be called at the least: for each page once in each step in which it is wanted, and none that is still
    /// good was made for whomever.
    pub(crate) fn fewest_calls(self) -> u64 {
        let mut calls = 0;
        let mut good_until = [Duration::ZERO; KEYS];
        for step in 0..STEPS {
            for keys in moments(step) {
                let is_wanted = |key: &usize| good_until[*key] <= steps(step) && asks(*key, step).next().is_some();
                let wanted: Vec<usize> = keys.into_iter().filter(is_wanted).collect();
                calls += wanted.len() as u64;
                for key in wanted.into_iter().take(capacity(step)) {
                    good_until[key] = steps(step) + self.lifetime(key, step);
                }
            }
            if self.purges {
                changes(step).for_each(|key| good_until[key] = Duration::ZERO);
            }
        }
        calls
    }
}

/// A step of the clock is a second.
pub(crate) fn steps(number: u32) -> Duration {
    Duration::from_secs(number.into())
}

/// Which pages are asked for in each moment of a step, in the order in which the origin answers them.
pub(crate) fn moments(step: u32) -> Vec<Vec<usize>> {
    let mut keys: Vec<usize> = (0..KEYS).collect();
    keys.sort_by_key(|key| lot(*key, step));
    keys.chunks(AT_ONCE).map(<[usize]>::to_vec).collect()
}

/// On which nodes a page is asked for in this step, and by how many at once.
///
/// Three in ten are a link that went round: asked for on all nodes at once, every three steps. The others are asked for on one node
/// after the other. Either way a page has its hundred callers in three steps; and all of them in the first, after a deployment.
pub(crate) fn asks(key: usize, step: u32) -> impl Iterator<Item = (usize, usize)> {
    let now = step as usize;
    let is_asked = move |node: &usize| match is_link(key) {
        _ if now == 0 => true,
        true => now % NODES == key % NODES,
        false => (now + key) % NODES == *node,
    };
    (0..NODES).filter(is_asked).map(|node| (node, CALLERS[node]))
}

fn is_link(key: usize) -> bool {
    key % 10 < 3
}

/// What is changed at the end of this step. Nothing when the origin is about to be down: it could not be made anew.
pub(crate) fn changes(step: u32) -> impl Iterator<Item = usize> {
    let any = step % 6 == 4 && !(DOWN.start - NODES as u32..=DOWN.end).contains(&step);
    (0..if any { 30 } else { 0 }).map(move |nth| lot(nth, STEPS + step) as usize % KEYS)
}

/// How many calls the origin answers in each moment of this step.
pub(crate) fn capacity(step: u32) -> usize {
    match step {
        0 => usize::MAX,
        step if DOWN.contains(&step) => 0,
        _ => CAPACITY,
    }
}

/// What is left to chance, always in the same way (SplitMix64).
pub(crate) fn lot(of: usize, step: u32) -> u64 {
    let mut z = ((of as u64) << 32 | u64::from(step)).wrapping_add(0x5EED).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
