//! The suite every [`SessionStore`] must pass, whoever wrote it.
//!
//! ```
//! use std::time::Duration;
//! use bartizan::{MemorySessions, clock::TestClock, session::conformance};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let clock = TestClock::new();
//! let pass = async |time| clock.advance(time);
//! conformance::run(async || MemorySessions::new().clock(clock.clone()), pass, Duration::from_secs(60)).await;
//! # }
//! ```
//!
//! A store that breaks the contract panics, with the sentence that it breaks. A store beyond the process, whose time cannot be
//! wound, is let wait for: `pass` sleeps, and the unit of time is short, though longer than a few answers take.

mod model;

use std::{collections::BTreeSet, future::Future, pin::pin, task::Poll, time::Duration};

use bytes::Bytes;

use super::{
    changes::{Addition, Changes, Expected, Members, Rotation},
    contract::{Applied, Condition, Creation, Destroyed, Loaded, NewRecord, SessionStore, Stamped},
    record::{Client, Fields, Generation, Lifetime, Principal, Shows},
    token::{RecordId, SecretDigest},
};

/// Plays the whole suite. `fresh` gives an empty store each time, `pass` lets so much time go by for it, and all deadlines
/// are a few of `unit`. The field limit of the stores is at least 4 KiB and at most 1 MiB.
pub async fn run<S: SessionStore>(fresh: impl AsyncFn() -> S, pass: impl AsyncFn(Duration), unit: Duration) {
    run_with(fresh, pass, unit, 0..32).await;
}

/// The same with other random orders of changes: one for each seed, each of 60 changes.
pub async fn run_with<S: SessionStore>(
    fresh: impl AsyncFn() -> S,
    pass: impl AsyncFn(Duration),
    unit: Duration,
    seeds: impl IntoIterator<Item = u64>,
) {
    what_was_created_is_loaded(&fresh().await, unit).await;
    an_id_that_is_taken_stays_what_it_is(&fresh().await, unit).await;
    parallel_changes_all_count(&fresh().await, unit).await;
    what_is_expected_and_not_so_changes_nothing(&fresh().await, unit).await;
    of_many_who_expect_the_same_one_has_its_way(&fresh().await, unit).await;
    what_was_destroyed_stays_destroyed(&fresh().await, unit).await;
    what_is_otherwise_than_it_was_to_be_goes_on(&fresh().await, unit).await;
    what_is_too_large_changes_nothing(&fresh().await, unit).await;
    a_renewal_is_made_once(&fresh().await, unit).await;
    other_rights_refuse_what_began_before(&fresh().await, unit).await;
    at_most_so_many_retired_secrets_are_known(&fresh().await, unit).await;
    the_sessions_of_a_principal_are_listed_and_ended(&fresh().await, unit).await;
    for seed in seeds {
        model::any_changes_are_merged_as_said(&fresh().await, seed, unit).await;
    }
    an_idle_session_ends_and_a_touched_one_goes_on(&fresh().await, &pass, unit).await;
    no_touch_outlives_the_absolute_deadline(&fresh().await, &pass, unit).await;
    other_rights_begin_the_deadlines_anew(&fresh().await, &pass, unit).await;
    a_retired_secret_shows_nothing_after_its_overlap(&fresh().await, &pass, unit).await;
    what_expired_is_not_listed(&fresh().await, &pass, unit).await;
}

async fn what_was_created_is_loaded<S: SessionStore>(store: &S, unit: Duration) {
    assert!(load(store, 1).await.is_none(), "an empty store has nothing");
    let client = Client::new().agent("Mozilla").address([127, 0, 0, 1].into());
    let new = NewRecord {
        principal: Some(principal("ann")),
        client: client.clone(),
        changes: Changes {
            values: [("a".into(), Some(Bytes::from_static(b"\0\xff"))), ("".into(), None)].into(),
            counters: [("a".into(), Addition { reset: false, add: -3 })].into(),
            sets: [("a".into(), members(&[b"x", b""], &[]))].into(),
            ..Changes::default()
        },
        ..new(1, unit)
    };
    let lifetime = new.lifetime;
    let Ok(Creation::Created(Stamped { head, now })) = store.create(new).await else { panic!("the id is new") };
    let loaded = load(store, 1).await.expect("what was created is found");
    assert_eq!(loaded.record.head, head, "with the head that its creation told");
    assert!(loaded.now >= now, "the store's time does not step back");
    assert_eq!((head.created, head.seen, head.renewed), (now, now, now), "all times are that of its creation");
    assert_eq!((head.lifetime, head.ends), (lifetime, now.plus(lifetime.absolute)), "the deadlines are as asked for");
    assert_eq!((head.secret, head.generation), (secret(1), Generation::default()), "its secret is the given one");
    assert!(head.retired.is_empty(), "and it had no other");
    assert_eq!((head.principal, head.authenticated), (Some(principal("ann")), Some(now)), "somebody logged in");
    assert_eq!(head.client, client, "from there");
    let expected = Fields {
        values: [("a".into(), Bytes::from_static(b"\0\xff"))].into(),
        counters: [("a".into(), -3)].into(),
        sets: [("a".into(), [Bytes::from_static(b"x"), Bytes::new()].into())].into(),
    };
    assert_eq!(loaded.record.fields, expected, "a name in one kind of fields says nothing of the others");
    assert!(load(store, 2).await.is_none(), "another id is another session");
}

async fn an_id_that_is_taken_stays_what_it_is<S: SessionStore>(store: &S, unit: Duration) {
    create(store, 1, unit).await;
    let other = NewRecord { secret: secret(9), changes: set("a", b"2"), ..new(1, unit) };
    assert_eq!(store.create(other).await.expect("the store can be told"), Creation::Exists, "the id is taken");
    let record = load(store, 1).await.expect("it is still there").record;
    assert!(record.head.secret == secret(1) && record.fields == Fields::default(), "as it was");
}

async fn parallel_changes_all_count<S: SessionStore>(store: &S, unit: Duration) {
    create(store, 1, unit).await;
    let changes = (0..100u8).map(|n| {
        let changes = Changes {
            values: [(format!("own {n}").into(), Some(Bytes::from(vec![n])))].into(),
            counters: [("visits".into(), Addition { reset: false, add: 1 })].into(),
            sets: [("seen".into(), members(&[&[n]], &[]))].into(),
            ..Changes::default()
        };
        apply(store, 1, 0, changes)
    });
    for applied in all(changes).await {
        assert!(matches!(applied, Applied::Done(_)), "each is done");
    }
    let fields = load(store, 1).await.expect("it is there").record.fields.clone();
    assert_eq!(fields.values.len(), 100, "each has its value");
    assert_eq!(fields.counters.get("visits"), Some(&100), "each addition counts");
    assert_eq!(fields.sets.get("seen").map(BTreeSet::len), Some(100), "each member is there");
}

async fn what_is_expected_and_not_so_changes_nothing<S: SessionStore>(store: &S, unit: Duration) {
    create(store, 1, unit).await;
    let expecting = |value: Option<&'static [u8]>, then: &'static [u8]| Changes {
        expected: Some(Expected { name: "a".into(), value: value.map(Bytes::from_static) }),
        ..set("a", then)
    };
    let is_done = async |changes| matches!(apply(store, 1, 0, changes).await, Applied::Done(_));
    assert!(is_done(expecting(None, b"1")).await, "there is no value, as expected");
    let differs = apply(store, 1, 0, expecting(None, b"2")).await;
    assert_eq!(differs, Applied::Differs(Some(Bytes::from_static(b"1"))), "there is one by now");
    assert!(is_done(expecting(Some(b"1"), b"")).await, "it is as expected");
    let differs = apply(store, 1, 0, expecting(None, b"2")).await;
    assert_eq!(differs, Applied::Differs(Some(Bytes::new())), "a value of no bytes is a value");
    let loaded = load(store, 1).await.expect("it is there");
    assert_eq!(loaded.record.fields.values.get("a"), Some(&Bytes::new()), "what differed changed nothing");
    let removal = Changes { values: [("a".into(), None)].into(), ..expecting(Some(b""), b"") };
    assert!(is_done(removal).await, "it is as expected");
    assert_eq!(apply(store, 1, 0, expecting(Some(b""), b"2")).await, Applied::Differs(None), "and is no more");
}

async fn of_many_who_expect_the_same_one_has_its_way<S: SessionStore>(store: &S, unit: Duration) {
    create(store, 1, unit).await;
    let changes = (0..20u8).map(|n| {
        let expected = Some(Expected { name: "a".into(), value: None });
        apply(store, 1, 0, Changes { expected, ..set("a", &[n]) })
    });
    let done = all(changes).await.into_iter().filter(|applied| matches!(applied, Applied::Done(_))).count();
    assert_eq!(done, 1, "one finds it as expected");
}

async fn what_was_destroyed_stays_destroyed<S: SessionStore>(store: &S, unit: Duration) {
    create(store, 1, unit).await;
    assert!(store.destroy(&id(1)).await.expect("the store can be told"), "it was there");
    assert!(!store.destroy(&id(1)).await.expect("the store can be told"), "and is no more");
    let rights = rights(2, Some("ann"), unit);
    let changes = [Changes::default(), set("a", b"1"), rights, renewal(1, 2, unit)];
    for change in changes {
        assert_eq!(apply(store, 1, 0, change).await, Applied::Gone, "no change brings it back");
        assert!(load(store, 1).await.is_none(), "not even in part");
    }
    assert!(listed(store, "ann").await.is_empty(), "nobody is logged in to it");
}

async fn what_is_otherwise_than_it_was_to_be_goes_on<S: SessionStore>(store: &S, unit: Duration) {
    create(store, 1, unit).await;
    create(store, 2, unit).await;
    let end = async |n, condition| store.destroy_if(&id(n), condition).await.expect("the store can be told");
    let of = |name| Condition::Principal(principal(name));
    let generation = |number| Condition::Generation(Generation::from_number(number));
    assert_eq!(end(1, of("ann")).await, Destroyed::Superseded, "nobody is logged in");
    apply(store, 1, 0, rights(2, Some("ann"), unit)).await;
    for condition in [generation(0), generation(2), of("eve"), of("an"), of("anna")] {
        assert_eq!(end(1, condition).await, Destroyed::Superseded, "it is another's by now");
    }
    assert_eq!(listed(store, "ann").await, [1], "and goes on");
    assert_eq!(end(1, of("ann")).await, Destroyed::Done, "she may end it");
    assert_eq!(end(2, generation(0)).await, Destroyed::Done, "and so may who saw it as it is");
    for (n, condition) in [(1, of("ann")), (1, generation(0)), (2, generation(0)), (3, of("ann"))] {
        assert_eq!(end(n, condition).await, Destroyed::Gone, "it is not there");
    }
    assert!(load(store, 1).await.is_none() && load(store, 2).await.is_none(), "what ended has ended");
}

async fn what_is_too_large_changes_nothing<S: SessionStore>(store: &S, unit: Duration) {
    create(store, 1, unit).await;
    assert!(matches!(apply(store, 1, 0, set("a", b"1")).await, Applied::Done(_)), "it is small");
    let large = vec![b'x'; store.field_bytes()];
    let changes = Changes { counters: [("n".into(), Addition { reset: false, add: 1 })].into(), ..set("b", &large) };
    assert_eq!(apply(store, 1, 0, changes).await, Applied::TooLarge, "its name is over the limit");
    let record = load(store, 1).await.expect("it is there").record;
    assert_eq!((record.fields.values.len(), record.fields.counters.len()), (1, 0), "nothing of it was done");
    let fits = set("b", &large[..large.len() - 3]);
    assert!(matches!(apply(store, 1, 0, fits).await, Applied::Done(_)), "this is just as much as is allowed");
    let begun = NewRecord { changes: set("b", &large), ..new(2, unit) };
    assert_eq!(store.create(begun).await.expect("the store can be told"), Creation::TooLarge, "also at the beginning");
    assert!(load(store, 2).await.is_none(), "and nothing was begun");
}

async fn a_renewal_is_made_once<S: SessionStore>(store: &S, unit: Duration) {
    create(store, 1, unit).await;
    let renewals = (2..12).map(|n| {
        let addition = Addition { reset: false, add: 1 };
        apply(store, 1, 0, Changes { counters: [("n".into(), addition)].into(), ..renewal(1, n, 4 * unit) })
    });
    let applied = all(renewals).await;
    assert!(
        applied.iter().all(|applied| matches!(applied, Applied::Done(_))),
        "the other changes are made in any case"
    );
    let Loaded { record, now } = load(store, 1).await.expect("it is there");
    assert_eq!(record.fields.counters.get("n"), Some(&10), "all of them");
    assert_ne!(record.head.secret, secret(1), "one renewal had its way");
    assert_eq!(record.head.shows(&secret(1), now), Some(Shows::Session), "requests under way go on");
    assert_eq!(record.head.retired.len(), 1, "and the others found that the secret was another");
    assert_eq!(record.head.generation, Generation::default(), "the rights are the same");
}

async fn other_rights_refuse_what_began_before<S: SessionStore>(store: &S, unit: Duration) {
    create(store, 1, unit).await;
    apply(store, 1, 0, renewal(1, 2, 4 * unit)).await;
    let Applied::Done(Stamped { head, now }) = apply(store, 1, 0, rights(3, Some("ann"), unit)).await else {
        panic!("nobody changed the rights")
    };
    assert_eq!((head.generation.number(), head.secret), (1, secret(3)), "another generation, another secret");
    assert_eq!((head.principal.clone(), head.authenticated), (Some(principal("ann")), Some(now)), "ann logged in");
    assert_eq!(head.client, Client::new().agent("another"), "from there");
    for n in [1, 2] {
        assert_eq!(head.shows(&secret(n), now), Some(Shows::Nothing), "secret {n} sees nothing of it");
    }
    for changes in [Changes::default(), set("a", b"1"), rights(4, Some("eve"), unit), renewal(3, 4, unit)] {
        assert_eq!(apply(store, 1, 0, changes).await, Applied::Superseded, "it began before");
    }
    let record = load(store, 1).await.expect("it is there").record;
    assert!(record.head == head && record.fields == Fields::default(), "and changed nothing, nor touched it");
    assert!(matches!(apply(store, 1, 1, set("a", b"1")).await, Applied::Done(_)), "what began since is done");
    let Applied::Done(Stamped { head, .. }) = apply(store, 1, 1, rights(4, None, unit)).await else {
        panic!("the generation is the present one")
    };
    assert_eq!((head.principal, head.authenticated), (None, None), "nobody is logged in");
    assert!(listed(store, "ann").await.is_empty(), "nor listed");
}

async fn at_most_so_many_retired_secrets_are_known<S: SessionStore>(store: &S, unit: Duration) {
    create(store, 1, unit).await;
    for n in 1..=5 {
        let Applied::Done(Stamped { head, .. }) = apply(store, 1, 0, renewal(n, n + 1, 4 * unit)).await else {
            panic!("it is there")
        };
        let latest: Vec<_> = head.retired.iter().map(|retired| retired.secret).collect();
        let expected: Vec<_> = (1..=n).rev().take(4).map(secret).collect();
        assert_eq!(latest, expected, "the latest come first, and the earliest is forgotten");
    }
}

async fn the_sessions_of_a_principal_are_listed_and_ended<S: SessionStore>(store: &S, unit: Duration) {
    for n in 1..=4 {
        let name = if n == 4 { "eve" } else { "ann" };
        let begun = NewRecord { principal: Some(principal(name)), ..new(n, unit) };
        assert!(matches!(store.create(begun).await, Ok(Creation::Created(_))), "the id is new");
    }
    create(store, 5, unit).await;
    apply(store, 5, 0, rights(6, Some("ann"), unit)).await;
    apply(store, 3, 0, rights(7, Some("eve"), unit)).await;
    assert_eq!(listed(store, "ann").await, [1, 2, 5], "who logged in, and did not log in as another");
    assert_eq!(listed(store, "eve").await, [3, 4], "and the other's");
    assert!(listed(store, "nobody").await.is_empty(), "a stranger has none");
    store.destroy(&id(1)).await.expect("the store can be told");
    assert_eq!(listed(store, "ann").await, [2, 5], "what was destroyed is not listed");
    let ended = store.destroy_all(&principal("ann"), Some(id(5))).await.expect("the store can be told");
    assert_eq!((ended, listed(store, "ann").await), (1, vec![5]), "all but one");
    let ended = store.destroy_all(&principal("ann"), Some(id(4))).await.expect("the store can be told");
    assert_eq!((ended, listed(store, "ann").await), (1, vec![]), "that is another's");
    assert!(load(store, 5).await.is_none() && load(store, 4).await.is_some(), "only ann's ended");
}

async fn an_idle_session_ends_and_a_touched_one_goes_on<S: SessionStore>(
    store: &S,
    pass: &impl AsyncFn(Duration),
    unit: Duration,
) {
    create(store, 1, unit).await;
    create(store, 2, unit).await;
    pass(3 * unit).await;
    let read = load(store, 2).await.expect("it was idle for three units of four");
    let Applied::Done(Stamped { head, now }) = apply(store, 1, 0, Changes::default()).await else {
        panic!("it was idle for three units of four")
    };
    assert!(head.seen == now && now > head.created, "a touch says when it was seen");
    assert_eq!(head.expires(), now.plus(4 * unit), "and moves the deadline");
    assert_eq!(read.record.head.seen, read.record.head.created, "a read does not");
    pass(2 * unit).await;
    assert!(load(store, 1).await.is_some(), "it was touched two units ago");
    assert!(load(store, 2).await.is_none(), "it was idle for five units");
    assert_eq!(apply(store, 2, 0, set("a", b"1")).await, Applied::Gone, "and does not come back");
    assert!(load(store, 2).await.is_none(), "not even in part");
    assert!(!store.destroy(&id(2)).await.expect("the store can be told"), "what expired is not there to be destroyed");
}

async fn no_touch_outlives_the_absolute_deadline<S: SessionStore>(
    store: &S,
    pass: &impl AsyncFn(Duration),
    unit: Duration,
) {
    create(store, 1, unit).await;
    for _ in 0..4 {
        pass(2 * unit).await;
        let applied = apply(store, 1, 0, set("a", b"1")).await;
        assert!(matches!(applied, Applied::Done(_)), "it was used, and the ten units have not gone by");
    }
    pass(2 * unit).await;
    assert!(load(store, 1).await.is_none(), "ten units have gone by");
}

async fn other_rights_begin_the_deadlines_anew<S: SessionStore>(
    store: &S,
    pass: &impl AsyncFn(Duration),
    unit: Duration,
) {
    create(store, 1, unit).await;
    pass(2 * unit).await;
    let remembered = Lifetime { idle: 8 * unit, absolute: 9 * unit, kept_by_client: true };
    let mut changes = rights(2, Some("ann"), unit);
    if let Some(Rotation::Rights { lifetime, .. }) = &mut changes.rotation {
        *lifetime = remembered;
    }
    let Applied::Done(Stamped { head, now }) = apply(store, 1, 0, changes).await else { panic!("it is there") };
    assert_eq!((head.lifetime, head.ends), (remembered, now.plus(9 * unit)), "from now on, and as it was asked for");
    pass(6 * unit).await;
    assert!(load(store, 1).await.is_some(), "it may be idle for longer now");
    pass(3 * unit).await;
    assert!(load(store, 1).await.is_none(), "and ends with its own deadline");
}

async fn a_retired_secret_shows_nothing_after_its_overlap<S: SessionStore>(
    store: &S,
    pass: &impl AsyncFn(Duration),
    unit: Duration,
) {
    create(store, 1, unit).await;
    apply(store, 1, 0, renewal(1, 2, 2 * unit)).await;
    let Loaded { record, now } = load(store, 1).await.expect("it is there");
    assert_eq!(record.head.shows(&secret(1), now), Some(Shows::Session), "the overlap has begun");
    pass(3 * unit).await;
    let Loaded { record, now } = load(store, 1).await.expect("it was idle for three units of four");
    assert_eq!(record.head.shows(&secret(1), now), None, "the overlap is over");
    assert_eq!(record.head.shows(&secret(2), now), Some(Shows::Session), "the present secret goes on");
    let Applied::Done(Stamped { head, .. }) = apply(store, 1, 0, Changes::default()).await else {
        panic!("it is there")
    };
    assert!(head.retired.is_empty(), "what is over is forgotten with the next change");
}

async fn what_expired_is_not_listed<S: SessionStore>(store: &S, pass: &impl AsyncFn(Duration), unit: Duration) {
    for n in [1, 2] {
        let begun = NewRecord { principal: Some(principal("ann")), ..new(n, unit) };
        assert!(matches!(store.create(begun).await, Ok(Creation::Created(_))), "the id is new");
    }
    pass(3 * unit).await;
    apply(store, 2, 0, Changes::default()).await;
    pass(2 * unit).await;
    assert_eq!(listed(store, "ann").await, [2], "one expired, one was touched");
    let ended = store.destroy_all(&principal("ann"), None).await.expect("the store can be told");
    assert_eq!(ended, 1, "what expired had ended before");
}

// === What the sentences above are made of ===

async fn load<S: SessionStore>(store: &S, n: u8) -> Option<Loaded> {
    store.load(&id(n)).await.expect("the store can be asked")
}

async fn create<S: SessionStore>(store: &S, n: u8, unit: Duration) {
    let creation = store.create(new(n, unit)).await.expect("the store can be told");
    assert!(matches!(creation, Creation::Created(_)), "the id is new");
}

async fn apply<S: SessionStore>(store: &S, n: u8, generation: u64, changes: Changes) -> Applied {
    store.apply(&id(n), Generation::from_number(generation), changes).await.expect("the store can be told")
}

/// The numbers of the sessions that are listed.
async fn listed<S: SessionStore>(store: &S, name: &str) -> Vec<u8> {
    let listed = store.list(&principal(name)).await.expect("the store can be asked");
    assert!(listed.iter().all(|one| one.head.principal == Some(principal(name))), "those of {name} alone are listed");
    (0..=9).filter(|n| listed.iter().any(|one| one.id == id(*n))).collect()
}

/// All at once.
async fn all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    let joined = std::future::poll_fn(move |cx| {
        for (future, output) in futures.iter_mut().filter(|(_, output)| output.is_none()) {
            if let Poll::Ready(ready) = future.as_mut().poll(cx) {
                *output = Some(ready);
            }
        }
        match futures.iter().all(|(_, output)| output.is_some()) {
            true => Poll::Ready(futures.iter_mut().filter_map(|(_, output)| output.take()).collect()),
            false => Poll::Pending,
        }
    });
    pin!(joined).await
}

/// Idle for four units, ten in all.
fn new(n: u8, unit: Duration) -> NewRecord {
    NewRecord {
        id: id(n),
        secret: secret(n),
        lifetime: Lifetime { idle: 4 * unit, absolute: 10 * unit, kept_by_client: false },
        principal: None,
        client: Client::new(),
        changes: Changes::default(),
    }
}

fn set(name: &str, value: &[u8]) -> Changes {
    Changes { values: [(name.into(), Some(Bytes::copy_from_slice(value)))].into(), ..Changes::default() }
}

fn members(added: &[&[u8]], removed: &[&[u8]]) -> Members {
    let collect = |of: &[&[u8]]| of.iter().copied().map(Bytes::copy_from_slice).collect();
    Members { clear: false, added: collect(added), removed: collect(removed) }
}

fn renewal(from: u8, to: u8, overlap: Duration) -> Changes {
    let rotation = Rotation::Renewal { from: secret(from), to: secret(to), overlap };
    Changes { rotation: Some(rotation), ..Changes::default() }
}

fn rights(to: u8, name: Option<&str>, unit: Duration) -> Changes {
    let rotation = Rotation::Rights {
        to: secret(to),
        overlap: unit,
        principal: name.map(principal),
        lifetime: new(0, unit).lifetime,
        client: Client::new().agent("another"),
    };
    Changes { rotation: Some(rotation), ..Changes::default() }
}

/// Ids begin alike and end apart, or the reverse.
fn id(n: u8) -> RecordId {
    let mut bytes = [0xa5; 32];
    bytes[usize::from(n) % 2 * 31] = n;
    RecordId::from_bytes(bytes)
}

fn secret(n: u8) -> SecretDigest {
    SecretDigest::from_bytes([n; 32])
}

fn principal(name: &str) -> Principal {
    Principal::new(name).expect("the names of the suite are short")
}
