//! What the limiter in memory counts, and what it does when it is full.

use std::{collections::HashMap, time::Duration};

use bartizan::{
    clock::{Clock, TestClock},
    limit::{Charge, Identity, Ledger, Limiter, MemoryLimiter, Verdict},
    quota::{Algorithm, Counter, Decision, Meter, Quota, Retry},
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::SmallRng};

fn take(limiter: &MemoryLimiter, charges: &[Charge<'_>]) -> Verdict {
    limiter.take_now(charges).expect("what is in memory is decided at once")
}

fn takes(limiter: &MemoryLimiter, ledger: &Ledger, quota: &Quota, identity: &Identity) -> bool {
    take(limiter, &[Charge { ledger, identity, quota, cost: 1 }]).is_allowed()
}

fn user(number: u64) -> Identity {
    Identity::new().text(number.to_be_bytes())
}

#[test]
fn an_account_counts_as_its_meter_does() {
    let clock = TestClock::new();
    for algorithm in Algorithm::ALL {
        let limiter = MemoryLimiter::with_clock(8 << 20, clock.clone());
        let (ledger, quota) = (Ledger::new("pages", algorithm), Quota::new(7, Duration::from_millis(900)).unwrap());
        let mut meters: HashMap<u64, Counter> = HashMap::new();
        let mut rng = SmallRng::seed_from_u64(7);
        for _ in 0..20_000 {
            clock.advance(Duration::from_millis(rng.random_range(0..40)));
            let (who, cost) = (rng.random_range(0..5), rng.random_range(0..4));
            let identity = if who == 4 { Identity::from("a name of more than sixteen bytes") } else { user(who) };
            let meter = meters.entry(who).or_insert_with(|| algorithm.counter());
            let want: Decision = meter.take(&quota, cost, clock.now()).into();
            let verdict = take(&limiter, &[Charge { ledger: &ledger, identity: &identity, quota: &quota, cost }]);
            assert_eq!(verdict.decisions(), [want], "{algorithm:?}");
        }
    }
}

#[test]
fn what_several_charges_ask_for_is_taken_by_all_or_none() {
    let limiter = MemoryLimiter::with_clock(1 << 20, TestClock::new());
    let (by_address, by_user) = (Ledger::new("address", Algorithm::Sliding), Ledger::new("user", Algorithm::Fixed));
    let (wide, narrow) = (Quota::per_minute(10), Quota::per_minute(2));
    let (address, ada) = (Identity::from("192.0.2.7"), Identity::from("ada"));
    let charges = [
        Charge { ledger: &by_address, identity: &address, quota: &wide, cost: 1 },
        Charge { ledger: &by_user, identity: &ada, quota: &narrow, cost: 1 },
    ];
    assert!(take(&limiter, &charges).is_allowed());
    assert!(take(&limiter, &charges).is_allowed());
    let denied = take(&limiter, &charges);
    assert!(!denied.is_allowed());
    assert!(matches!(denied.decisions(), [Decision::Open(open), Decision::Denied(_)] if open.remaining() == 8));
    let alone = take(&limiter, &charges[..1]);
    assert_eq!(alone.decisions()[0].standing().remaining(), 7, "what the other denied was not taken here");
}

#[test]
fn two_charges_of_one_account_are_counted_together() {
    let limiter = MemoryLimiter::with_clock(1 << 20, TestClock::new());
    let (ledger, quota, ada) = (Ledger::new("user", Algorithm::Sliding), Quota::per_minute(3), Identity::from("ada"));
    let charge = Charge { ledger: &ledger, identity: &ada, quota: &quota, cost: 2 };
    assert!(!take(&limiter, &[charge, charge]).is_allowed(), "four of three");
    assert_eq!(take(&limiter, &[charge]).decisions()[0].standing().remaining(), 1, "and nothing was taken");
}

#[test]
fn limits_may_change_while_what_was_taken_counts() {
    let limiter = MemoryLimiter::with_clock(1 << 20, TestClock::new());
    let (ledger, ada) = (Ledger::new("user", Algorithm::Sliding), Identity::from("ada"));
    for _ in 0..3 {
        assert!(takes(&limiter, &ledger, &Quota::per_minute(3), &ada));
    }
    assert!(!takes(&limiter, &ledger, &Quota::per_minute(3), &ada));
    assert!(takes(&limiter, &ledger, &Quota::per_minute(4), &ada));
    assert!(!takes(&limiter, &ledger, &Quota::per_minute(4), &ada));
}

#[tokio::test]
async fn what_was_taken_is_given_back_penalised_and_forgotten() {
    let limiter = MemoryLimiter::with_clock(1 << 20, TestClock::new());
    let (ledger, quota, ada) = (Ledger::new("user", Algorithm::Sliding), Quota::per_minute(5), Identity::from("ada"));
    let charge = Charge { ledger: &ledger, identity: &ada, quota: &quota, cost: 4 };
    let Some(Decision::Taken(taken)) = take(&limiter, &[charge]).into_decisions().next() else {
        panic!("it is allowed")
    };
    assert_eq!(limiter.refund(charge, taken.all_but(1)).await.unwrap(), 3);
    assert_eq!(limiter.peek(&[charge]).await.unwrap().decisions()[0].standing().remaining(), 4);
    assert_eq!(limiter.penalise(charge).await.unwrap().remaining(), 0);
    assert_eq!(limiter.peek(&[charge]).await.unwrap().retry(), Some(Retry::After(Duration::from_secs(60))));
    limiter.reset(&ledger, &ada).await.unwrap();
    assert!(take(&limiter, &[charge]).is_allowed());
}

#[test]
fn names_and_algorithms_keep_ledgers_apart() {
    let limiter = MemoryLimiter::with_clock(1 << 20, TestClock::new());
    let (quota, ada) = (Quota::per_minute(1), Identity::from("ada"));
    for (name, algorithm) in [("a", Algorithm::Sliding), ("a", Algorithm::Bucket), ("b", Algorithm::Sliding)] {
        assert!(takes(&limiter, &Ledger::new(name, algorithm), &quota, &ada));
        assert!(!takes(&limiter, &Ledger::new(name, algorithm), &quota, &ada), "ledgers of one name are one");
    }
}

#[test]
fn threads_together_take_no_more_than_the_limit() {
    let limiter = MemoryLimiter::new();
    let (ledger, quota) = (Ledger::new("user", Algorithm::Sliding), Quota::per_day(1_000));
    let admitted: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (limiter, ledger, quota) = (limiter.clone(), &ledger, &quota);
                scope.spawn(move || {
                    (0..1_000).filter(|_| takes(&limiter, ledger, quota, &Identity::from("ada"))).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap() as u64).sum()
    });
    assert_eq!(admitted, 1_000);
}

#[test]
fn a_flood_of_identities_stays_within_the_memory_and_frees_it_again() {
    const BYTES: usize = 1 << 20;
    let clock = TestClock::new();
    let limiter = MemoryLimiter::with_clock(BYTES, clock.clone());
    let (ledger, quota) = (Ledger::new("address", Algorithm::Sliding), Quota::per_minute(100));
    let mut most = 0;
    for round in 0..3 {
        for number in 0..100_000 {
            takes(&limiter, &ledger, &quota, &user(round << 32 | number));
            if number % 1_000 == 0 {
                most = most.max(limiter.usage().bytes);
            }
        }
        let usage = limiter.usage();
        println!("{usage:?}, at most {most} bytes");
        assert!(usage.accounts > 2_000, "most of the memory is used: {usage:?}");
        assert!(usage.shared > 0, "newcomers shared");
        assert!(most <= BYTES as u64, "{most} bytes");
        clock.advance(Duration::from_secs(61));
        assert!(takes(&limiter, &ledger, &quota, &user(u64::MAX)), "there is room again");
    }
}

#[test]
fn accounts_that_grow_stay_within_the_memory() {
    const BYTES: usize = 256 << 10;
    let clock = TestClock::new();
    let limiter = MemoryLimiter::with_clock(BYTES, clock.clone());
    let (ledger, quota) = (Ledger::new("user", Algorithm::Sliding), Quota::per_day(10_000));
    for _ in 0..100 {
        clock.advance(Duration::from_secs(1));
        for number in 0..1_000 {
            takes(&limiter, &ledger, &quota.clone(), &user(number));
            takes(&limiter, &ledger, &quota, &user(number));
        }
        assert!(limiter.usage().bytes <= BYTES as u64, "{:?}", limiter.usage());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However full it is, whoever comes: nobody has more than the limit in any trailing window.
    #[test]
    fn nobody_has_more_than_the_limit_when_the_memory_is_full(seed: u64, algorithm in 0..2_usize, limit in 1..6_u64) {
        let algorithm = [Algorithm::Sliding, Algorithm::Log][algorithm];
        let mut rng = SmallRng::seed_from_u64(seed);
        let clock = TestClock::new();
        let limiter = MemoryLimiter::with_clock(64 << 10, clock.clone());
        let (ledger, quota) = (Ledger::new("user", algorithm), Quota::new(limit, Duration::from_millis(500)).unwrap());
        let mut admitted: HashMap<u64, Vec<u64>> = HashMap::new();
        let mut shared = 0;
        for _ in 0..8_000 {
            if rng.random_ratio(1, 30) {
                clock.advance(Duration::from_millis(rng.random_range(0..100)));
            }
            let (now, who) = (clock.now().as_millis(), rng.random_range(0..1_200));
            if takes(&limiter, &ledger, &quota, &user(who)) {
                let theirs = admitted.entry(who).or_default();
                theirs.push(now);
                let in_window = theirs.iter().filter(|&&then| then + 500 > now).count() as u64;
                prop_assert!(in_window <= limit, "{} in a window of {}", in_window, limit);
            }
            shared = limiter.usage().shared;
        }
        prop_assert!(shared > 0, "the memory was full");
    }
}
