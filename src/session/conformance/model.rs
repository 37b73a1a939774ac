//! Random changes, made by the store and by a model of it.

use std::time::Duration;

use bytes::Bytes;

use super::{apply, create, load, members};
use crate::session::{
    changes::{Addition, Changes, Expected},
    contract::{Applied, SessionStore},
    record::Fields,
};

/// Names and bytes that stores beyond the process may stumble over.
const TEXTS: [&str; 8] = ["a", "b:c", "{d}", "e\0f", "gé\n", "1", " ", "%s\r\n$-1"];

pub(super) async fn any_changes_are_merged_as_said<S: SessionStore>(store: &S, seed: u64, unit: Duration) {
    let mut dice = Dice(seed);
    let mut model = Fields::default();
    create(store, 1, unit).await;
    for step in 0..60 {
        let changes = dice.changes(&model);
        let check = changes.check(&model);
        let applied = apply(store, 1, 0, changes.clone()).await;
        match (check, applied) {
            (Ok(()), Applied::Done(_)) => changes.merge_into(&mut model),
            (Err(value), Applied::Differs(found)) => assert_eq!(found, value, "what differs is told"),
            (check, applied) => panic!("seed {seed}, step {step}: {check:?}, but the store says {applied:?}"),
        }
        let record = load(store, 1).await.expect("it was not destroyed").record;
        assert_eq!(record.fields, model, "seed {seed}, step {step}: {changes:?}");
    }
}

/// SplitMix64: the same numbers for the same seed, everywhere.
struct Dice(u64);

// === impl Dice ===

impl Dice {
    fn changes(&mut self, fields: &Fields) -> Changes {
        let mut changes = Changes { clear: self.below(12) == 0, ..Changes::default() };
        if self.below(3) == 0 {
            let name = self.text();
            let value = match self.below(3) {
                0 => None,
                1 => Some(Bytes::from_static(self.text().as_bytes())),
                _ => fields.values.get(name).cloned(),
            };
            changes.expected = Some(Expected { name: name.into(), value });
        }
        for _ in 0..self.below(3) {
            let value = (self.below(3) > 0).then(|| Bytes::from_static(self.text().as_bytes()));
            changes.values.insert(self.text().into(), value);
        }
        for _ in 0..self.below(3) {
            let add = [1, -1, 5, 0, i64::MAX, i64::MIN, 1 << 53, -(1 << 53) - 1][self.below(8)];
            changes.counters.insert(self.text().into(), Addition { reset: self.below(6) == 0, add });
        }
        for _ in 0..self.below(3) {
            let (one, other) = (self.text(), self.text());
            let added: &[&[u8]] = if self.below(4) > 0 { &[one.as_bytes()] } else { &[] };
            let removed: &[&[u8]] = if one != other { &[other.as_bytes()] } else { &[] };
            let mut members = members(added, removed);
            members.clear = self.below(6) == 0;
            changes.sets.insert(self.text().into(), members);
        }
        changes
    }

    fn text(&mut self) -> &'static str {
        TEXTS[self.below(TEXTS.len())]
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}
