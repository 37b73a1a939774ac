//! The suite every [`Store`] must pass, whoever wrote it.
//!
//! ```
//! use bartizan::{Memory, store::conformance};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! conformance::run(async || Memory::with_capacity(1 << 20)).await;
//! # }
//! ```
//!
//! A store that breaks the contract panics, with the sentence that it breaks. A test that must wait for something gives
//! it [ten seconds](PATIENCE).

use std::{
    collections::HashMap,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use tokio::time::timeout;

use super::{
    contract::{Ending, Filled, Lease, Leased, Store, Value, Wait, Woken},
    kept::{Kept, Tag, Tags, Version},
    key::{Key, Primary},
    wire::{Encoded, Wire},
};
use crate::clock::Timestamp;

/// The value that the suite keeps: the number of the moment it was read at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe(pub u64);

/// How long the suite waits for what should happen at once.
pub const PATIENCE: Duration = Duration::from_secs(10);

const KEEP: Timestamp = Timestamp::from_secs(4_000_000_000);

/// Plays the whole suite. `fresh` gives an empty store each time.
pub async fn run<S: Store<Probe>>(fresh: impl AsyncFn() -> S) {
    run_with(fresh, 0..64).await;
}

/// The same with other random orders of events: one for each seed, each of 200 events.
pub async fn run_with<S: Store<Probe>>(fresh: impl AsyncFn() -> S, seeds: impl IntoIterator<Item = u64>) {
    what_was_filled_is_found(&fresh().await).await;
    a_value_that_was_seen_may_be_made_anew(&fresh().await).await;
    one_makes_and_the_others_wait(&fresh().await).await;
    a_lease_that_is_dropped_passes_to_one_who_waits(&fresh().await).await;
    leases_that_vanish_again_and_again_end_the_wait(&fresh().await).await;
    a_disbanded_lease_sends_all_alone(&fresh().await).await;
    a_wait_that_is_given_up_leaves_nothing(&fresh().await).await;
    a_removed_resource_is_gone_in_all_variants(&fresh().await).await;
    a_removed_tag_takes_what_bears_it(&fresh().await).await;
    clearing_takes_everything(&fresh().await).await;
    what_was_read_before_a_removal_is_not_kept(&fresh().await).await;
    who_came_after_a_removal_does_not_get_what_was_read_before(&fresh().await).await;
    a_narrowed_lease_leaves_a_sign_and_moves(&fresh().await).await;
    a_narrowed_lease_is_as_old_as_it_was(&fresh().await).await;
    what_replaces_all_else_outlives_it(&fresh().await).await;
    what_was_removed_meanwhile_replaces_nothing(&fresh().await).await;
    for seed in seeds {
        no_order_of_events_brings_an_old_value_back(&fresh().await, seed).await;
    }
}

async fn what_was_filled_is_found<S: Store<Probe>>(store: &S) {
    assert!(found(store, key(1, 0)).await.is_none(), "an empty store has nothing");
    let lease = won(store, key(1, 0), None).await;
    let filled = lease.fill(Probe(7), KEEP, tags(&["b", "a", "b"])).await.expect("the store can be told");
    assert_eq!(filled, Filled::Stored, "nothing was removed");
    let kept = found(store, key(1, 0)).await.expect("what was filled is found");
    assert_eq!((kept.0, kept.keep_until(), kept.tags()), (7, KEEP, &tags(&["a", "b"])), "with all that was said of it");
    assert!(found(store, key(1, 1)).await.is_none(), "another variant is another value");
    assert!(found(store, key(2, 0)).await.is_none(), "another resource is another value");
}

async fn a_value_that_was_seen_may_be_made_anew<S: Store<Probe>>(store: &S) {
    fill(store, key(1, 0), 1, &[]).await;
    let first = found(store, key(1, 0)).await.expect("it was filled");
    let lease = won(store, key(1, 0), Some(first.version())).await;
    assert_eq!(lease.replaces(), Some(first.version()), "the lease knows what it replaces");
    let meanwhile = found(store, key(1, 0)).await.expect("the old value is there until the new one is");
    assert_eq!(meanwhile.version(), first.version(), "it is the same");
    lease.refresh(Probe(2), KEEP, Tags::default()).await.expect("the store can be told");
    let Leased::Found(second) = lease_of(store, key(1, 0), Some(first.version())).await else {
        panic!("who saw the first value finds the second")
    };
    assert!(second.0 == 2 && second.version() > first.version(), "versions rise");
    store.remove(Primary::from(1)).await.expect("the store can be told");
    let lease = won(store, key(1, 0), Some(second.version())).await;
    assert_eq!(lease.replaces(), None, "what was seen is no more");
}

async fn one_makes_and_the_others_wait<S: Store<Probe>>(store: &S) {
    let lease = won(store, key(1, 0), None).await;
    let waits = [busy(store, key(1, 0), None).await, busy(store, key(1, 0), None).await];
    drop(won(store, key(1, 1), None).await);
    drop(won(store, key(2, 0), None).await);
    lease.fill(Probe(1), KEEP, Tags::default()).await.expect("the store can be told");
    for wait in waits {
        let Woken::Found(kept) = soon(wait).await else { panic!("who waited for a value gets it") };
        assert_eq!(kept.0, 1);
    }
}

async fn a_lease_that_is_dropped_passes_to_one_who_waits<S: Store<Probe>>(store: &S) {
    let lease = won(store, key(1, 0), None).await;
    let mut waits = vec![busy(store, key(1, 0), None).await, busy(store, key(1, 0), None).await];
    drop(lease);
    let Woken::Won(lease) = first(&mut waits).await else { panic!("one who waits takes over") };
    lease.fill(Probe(2), KEEP, Tags::default()).await.expect("the store can be told");
    assert!(matches!(first(&mut waits).await, Woken::Found(kept) if kept.0 == 2), "the other waits for that one");
}

async fn leases_that_vanish_again_and_again_end_the_wait<S: Store<Probe>>(store: &S) {
    let lease = won(store, key(1, 0), None).await;
    let mut waits = Vec::new();
    for _ in 0..16 {
        waits.push(busy(store, key(1, 0), None).await);
    }
    drop(lease);
    while let Woken::Won(lease) = first(&mut waits).await {
        drop(lease);
    }
    assert!(waits.len() > 8, "nobody waits for long for leaders that vanish");
    while !waits.is_empty() {
        assert!(matches!(first(&mut waits).await, Woken::Alone(Ending::Failed)), "and all know why");
    }
}

async fn a_disbanded_lease_sends_all_alone<S: Store<Probe>>(store: &S) {
    for ending in [Ending::Uncacheable, Ending::Failed] {
        let lease = won(store, key(1, 0), None).await;
        let waits = [busy(store, key(1, 0), None).await, busy(store, key(1, 0), None).await];
        lease.disband(ending).await;
        for wait in waits {
            assert!(matches!(soon(wait).await, Woken::Alone(why) if why == ending), "nobody queues, and all know why");
        }
        assert!(found(store, key(1, 0)).await.is_none(), "nothing was kept, and the key is free");
    }
}

async fn a_wait_that_is_given_up_leaves_nothing<S: Store<Probe>>(store: &S) {
    let lease = won(store, key(1, 0), None).await;
    let last = {
        for _ in 0..100 {
            drop(busy(store, key(1, 0), None).await);
        }
        busy(store, key(1, 0), None).await
    };
    drop(lease);
    assert!(matches!(soon(last).await, Woken::Won(_)), "the right passes over those who left");
    assert!(found(store, key(1, 0)).await.is_none(), "and is free again when that one leaves");
}

async fn a_removed_resource_is_gone_in_all_variants<S: Store<Probe>>(store: &S) {
    for (resource, variant) in [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)] {
        fill(store, key(resource, variant), 1, &[]).await;
    }
    store.remove(Primary::from(1)).await.expect("the store can be told");
    for variant in 0..3 {
        assert!(found(store, key(1, variant)).await.is_none(), "variant {variant} is gone");
    }
    assert!(found(store, key(2, 0)).await.is_some() && found(store, key(2, 1)).await.is_some(), "another is not");
    fill(store, key(1, 0), 2, &[]).await;
    assert!(found(store, key(1, 1)).await.is_none(), "a new value does not bring an old variant back");
}

async fn a_removed_tag_takes_what_bears_it<S: Store<Probe>>(store: &S) {
    fill(store, key(1, 0), 1, &["a"]).await;
    fill(store, key(2, 1), 1, &["a", "b"]).await;
    fill(store, key(3, 0), 1, &["b"]).await;
    fill(store, key(4, 0), 1, &[]).await;
    store.remove_tagged(Tag::from("a")).await.expect("the store can be told");
    store.remove_tagged(Tag::from("nobody's")).await.expect("the store can be told");
    let there = [key(1, 0), key(2, 1), key(3, 0), key(4, 0)].map(|key| found(store, key));
    let [one, two, three, four] = there;
    assert!(one.await.is_none() && two.await.is_none(), "what bears the tag is gone");
    assert!(three.await.is_some() && four.await.is_some(), "what does not is there");
    fill(store, key(1, 0), 2, &["a"]).await;
    assert!(found(store, key(1, 0)).await.is_some(), "what is filled later is kept");
}

async fn clearing_takes_everything<S: Store<Probe>>(store: &S) {
    fill(store, key(1, 0), 1, &["a"]).await;
    fill(store, key(2, 1), 1, &[]).await;
    let lease = won(store, key(3, 0), None).await;
    store.clear().await.expect("the store can be told");
    let filled = lease.fill(Probe(1), KEEP, Tags::default()).await.expect("the store can be told");
    assert_eq!(filled, Filled::Superseded, "also what was being made");
    for key in [key(1, 0), key(2, 1), key(3, 0)] {
        assert!(found(store, key).await.is_none(), "{key:?} is gone");
    }
}

async fn what_was_read_before_a_removal_is_not_kept<S: Store<Probe>>(store: &S) {
    for variant in [0, 1] {
        let lease = won(store, key(1, variant), None).await;
        store.remove(Primary::from(1)).await.expect("the store can be told");
        let filled = lease.fill(Probe(1), KEEP, Tags::default()).await.expect("the store can be told");
        assert_eq!(filled, Filled::Superseded, "its resource was removed");
        assert!(found(store, key(1, variant)).await.is_none());

        let lease = won(store, key(2, variant), None).await;
        store.remove_tagged(Tag::from("a")).await.expect("the store can be told");
        let filled = lease.fill(Probe(1), KEEP, tags(&["a"])).await.expect("the store can be told");
        assert_eq!(filled, Filled::Superseded, "its tag was removed");
        assert!(found(store, key(2, variant)).await.is_none());
    }
}

async fn who_came_after_a_removal_does_not_get_what_was_read_before<S: Store<Probe>>(store: &S) {
    for by_tag in [false, true] {
        let lease = won(store, key(1, 0), None).await;
        let before = busy(store, key(1, 0), None).await;
        if by_tag {
            store.remove_tagged(Tag::from("a")).await.expect("the store can be told");
        } else {
            store.remove(Primary::from(1)).await.expect("the store can be told");
        }
        let after = lease_of(store, key(1, 0), None).await;
        lease.fill(Probe(1), KEEP, tags(&["a"])).await.expect("the store can be told");
        let before = async {
            // It may have the old value, or be asked to make a new one, and leave that to the other.
            assert!(!matches!(soon(before).await, Woken::Alone(_)), "nothing failed");
        };
        let after = async {
            let lease = match after {
                Leased::Won(lease) => lease,
                Leased::Busy(wait) => match soon(wait).await {
                    Woken::Won(lease) => lease,
                    _ => panic!("who came after the removal begins anew"),
                },
                Leased::Found(_) => panic!("nothing was kept"),
            };
            lease.fill(Probe(2), KEEP, tags(&["a"])).await.expect("the store can be told");
        };
        tokio::join!(before, after);
        assert_eq!(found(store, key(1, 0)).await.expect("it was filled").0, 2);
        store.clear().await.expect("the store can be told");
    }
}

async fn a_narrowed_lease_leaves_a_sign_and_moves<S: Store<Probe>>(store: &S) {
    let lease = won(store, key(1, 0), None).await;
    let wait = busy(store, key(1, 0), None).await;
    let lease = lease.narrow(5, Probe(99), KEEP).await.expect("the store can be told").expect("nothing was removed");
    assert!(matches!(soon(wait).await, Woken::Found(kept) if kept.0 == 99), "who waits is shown the way at once");
    assert_eq!(found(store, key(1, 0)).await.expect("the sign is kept").0, 99);
    let wait = busy(store, key(1, 5), None).await;
    lease.fill(Probe(1), KEEP, Tags::default()).await.expect("the store can be told");
    assert!(matches!(soon(wait).await, Woken::Found(kept) if kept.0 == 1), "who waits for the variant gets it");
    assert_eq!(found(store, key(1, 5)).await.expect("the variant is kept").0, 1);

    let (made, other) = (won(store, key(2, 5), None).await, won(store, key(2, 0), None).await);
    let narrowed = other.narrow(5, Probe(99), KEEP).await.expect("the store can be told");
    assert!(narrowed.is_none(), "a variant that is being made has one maker");
    made.fill(Probe(3), KEEP, Tags::default()).await.expect("the store can be told");
    assert_eq!(found(store, key(2, 5)).await.expect("the first maker was not disturbed").0, 3);
}

async fn a_narrowed_lease_is_as_old_as_it_was<S: Store<Probe>>(store: &S) {
    let lease = won(store, key(1, 0), None).await;
    store.remove(Primary::from(1)).await.expect("the store can be told");
    if let Some(lease) = lease.narrow(5, Probe(99), KEEP).await.expect("the store can be told") {
        let filled = lease.fill(Probe(1), KEEP, Tags::default()).await.expect("the store can be told");
        assert_eq!(filled, Filled::Superseded, "the resource was removed before");
    }
    assert!(found(store, key(1, 0)).await.is_none() && found(store, key(1, 5)).await.is_none());

    let lease = won(store, key(1, 0), None).await;
    let lease = lease.narrow(5, Probe(99), KEEP).await.expect("the store can be told").expect("nothing was removed");
    store.remove(Primary::from(1)).await.expect("the store can be told");
    let filled = lease.fill(Probe(1), KEEP, Tags::default()).await.expect("the store can be told");
    assert_eq!(filled, Filled::Superseded, "a variant in the making is the resource's");
    assert!(found(store, key(1, 5)).await.is_none());
}

async fn what_replaces_all_else_outlives_it<S: Store<Probe>>(store: &S) {
    for variant in [0, 1] {
        fill(store, key(1, 0), 1, &[]).await;
        fill(store, key(1, 1), 1, &[]).await;
        let other = won(store, key(1, 2), None).await;
        let lease = won(store, key(1, 9), None).await;
        let wait = busy(store, key(1, 9), None).await;
        let lease = lease.replace_all(variant, tags(&["a"])).await.expect("the store can be told");
        let lease = lease.expect("nothing was removed");
        assert!(matches!(soon(wait).await, Woken::Won(_)), "who waits for something else begins anew");
        let filled = other.fill(Probe(1), KEEP, Tags::default()).await.expect("the store can be told");
        assert_eq!(filled, Filled::Superseded, "it was read before");
        assert!(found(store, key(1, 1 - variant)).await.is_none(), "all else is removed");
        let wait = busy(store, key(1, variant), None).await;
        let filled = lease.fill(Probe(2), KEEP, tags(&["a"])).await.expect("the store can be told");
        assert_eq!(filled, Filled::Stored);
        assert!(matches!(soon(wait).await, Woken::Found(kept) if kept.0 == 2));
        assert_eq!(found(store, key(1, variant)).await.expect("it is kept").0, 2);

        let lease = won(store, key(1, 9), None).await.replace_all(variant, Tags::default()).await;
        let lease = lease.expect("the store can be told").expect("nothing was removed");
        store.remove(Primary::from(1)).await.expect("the store can be told");
        let filled = lease.fill(Probe(3), KEEP, Tags::default()).await.expect("the store can be told");
        assert_eq!(filled, Filled::Superseded, "it is no younger than its lease");
    }
}

async fn what_was_removed_meanwhile_replaces_nothing<S: Store<Probe>>(store: &S) {
    for way in ["resource", "tag", "all"] {
        fill(store, key(1, 0), 1, &[]).await;
        let lease = won(store, key(1, 9), None).await;
        match way {
            "resource" => store.remove(Primary::from(1)).await,
            "tag" => store.remove_tagged(Tag::from("a")).await,
            _ => store.clear().await,
        }
        .expect("the store can be told");
        let replaced = lease.replace_all(0, tags(&["a"])).await.expect("the store can be told");
        assert!(replaced.is_none(), "{way}");
        assert!(found(store, key(1, 0)).await.is_none(), "the resource is removed nevertheless; {way}");
    }
}

/// Leases that read, fills, removals and lost leases in a random order, over a few keys and tags.
async fn no_order_of_events_brings_an_old_value_back<S: Store<Probe>>(store: &S, seed: u64) {
    const NAMES: [&str; 3] = ["a", "b", "c"];
    let mut random = Random(seed);
    let mut moment = 0;
    let mut leases: Vec<(Key, u64, S::Lease)> = Vec::new();
    let mut removed: HashMap<(&str, u128), u64> = HashMap::new();
    for _ in 0..200 {
        moment += 1;
        let key = key(random.below(3).into(), random.below(2).into());
        match random.below(9) {
            0..=2 => match lease_of(store, key, None).await {
                // What the origin says now is read by who wins now.
                Leased::Won(lease) => leases.push((key, moment, lease)),
                Leased::Found(kept) => {
                    let resource = [("resource", key.primary().0), ("all", 0)];
                    let tags = kept.tags().iter().map(|tag| ("tag", u128::from(tag.as_str().as_bytes()[0])));
                    for name in resource.into_iter().chain(tags) {
                        let at = removed.get(&name).copied().unwrap_or(0);
                        assert!(
                            kept.0 >= at,
                            "seed {seed}: {key:?} read at {} was removed by {name:?} at {at}",
                            kept.0
                        );
                    }
                }
                Leased::Busy(wait) => drop(wait),
            },
            3..=4 if !leases.is_empty() => {
                let (_, read, lease) = leases.swap_remove(random.below(leases.len() as u32) as usize);
                let tags = NAMES.iter().filter(|_| random.below(2) == 0).copied().collect();
                lease.fill(Probe(read), KEEP, tags).await.expect("the store can be told");
            }
            5 => {
                let name = NAMES[random.below(3) as usize];
                store.remove_tagged(Tag::from(name)).await.expect("the store can be told");
                removed.insert(("tag", u128::from(name.as_bytes()[0])), moment);
            }
            6 => {
                store.remove(key.primary()).await.expect("the store can be told");
                removed.insert(("resource", key.primary().0), moment);
            }
            7 if random.below(4) == 0 => {
                store.clear().await.expect("the store can be told");
                removed.insert(("all", 0), moment);
            }
            8 if !leases.is_empty() => {
                let (key, read, lease) = leases.swap_remove(random.below(leases.len() as u32) as usize);
                let name = NAMES[random.below(3) as usize];
                let replaced =
                    lease.replace_all(1 - key.variant(), tags(&[name])).await.expect("the store can be told");
                if let Some(lease) = replaced {
                    for name in [("resource", key.primary().0), ("all", 0), ("tag", u128::from(name.as_bytes()[0]))] {
                        let at = removed.get(&name).copied().unwrap_or(0);
                        assert!(read >= at, "seed {seed}: what {key:?} read at {read} was removed by {name:?} at {at}");
                    }
                    leases.push((key.with_variant(1 - key.variant()), moment, lease));
                }
                removed.insert(("resource", key.primary().0), moment);
            }
            _ => drop(leases.pop()),
        }
    }
}

impl Value for Probe {
    fn weight(&self) -> usize {
        0
    }
}

/// All of it is head, so that the suite's refreshes change it.
impl Wire for Probe {
    fn encode(&self) -> Encoded {
        Encoded::new(self.0.to_le_bytes().into(), Bytes::new())
    }

    fn decode(head: Bytes, body: Bytes) -> Option<Self> {
        let moment = head.as_ref().try_into().ok().filter(|_| body.is_empty())?;
        Some(Self(u64::from_le_bytes(moment)))
    }
}

/// Small numbers, the same for the same seed (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators").
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed >> 33) % u64::from(bound)) as u32
    }
}

fn key(resource: u128, variant: u128) -> Key {
    Key::new(Primary::from(resource)).with_variant(variant)
}

fn tags(names: &[&str]) -> Tags {
    names.iter().copied().collect()
}

async fn lease_of<S: Store<Probe>>(store: &S, key: Key, seen: Option<Version>) -> Leased<Probe, S::Lease> {
    soon(store.lease(key, seen)).await.expect("the store can be asked")
}

async fn won<S: Store<Probe>>(store: &S, key: Key, seen: Option<Version>) -> S::Lease {
    match lease_of(store, key, seen).await {
        Leased::Won(lease) => lease,
        _ => panic!("{key:?} is free to be made"),
    }
}

async fn busy<S: Store<Probe>>(store: &S, key: Key, seen: Option<Version>) -> Wait<Probe, S::Lease> {
    match lease_of(store, key, seen).await {
        Leased::Busy(wait) => wait,
        _ => panic!("{key:?} is being made"),
    }
}

async fn found<S: Store<Probe>>(store: &S, key: Key) -> Option<Kept<Probe>> {
    match lease_of(store, key, None).await {
        Leased::Found(kept) => Some(kept),
        Leased::Won(_) => None,
        Leased::Busy(_) => panic!("{key:?} is not being made"),
    }
}

async fn fill<S: Store<Probe>>(store: &S, key: Key, value: u64, names: &[&str]) {
    let lease = won(store, key, None).await;
    let filled = lease.fill(Probe(value), KEEP, tags(names)).await.expect("the store can be told");
    assert_eq!(filled, Filled::Stored, "nothing was removed");
}

async fn soon<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, future).await.expect("what should happen at once takes more than ten seconds")
}

/// What the first of several waits to end ends with. It is taken out.
async fn first<V, L>(waits: &mut Vec<Wait<V, L>>) -> Woken<V, L> {
    soon(poll_fn(|cx| {
        for at in 0..waits.len() {
            if let Poll::Ready(woken) = Pin::new(&mut waits[at]).poll(cx) {
                drop(waits.swap_remove(at));
                return Poll::Ready(woken);
            }
        }
        Poll::Pending
    }))
    .await
}
