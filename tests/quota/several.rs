//! Several quotas in one check.

use std::time::Duration;

use bartizan::{
    clock::Timestamp,
    quota::{Algorithm, Claim, Counter, Decision, Meter, Quota, Retry, take_all},
};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

#[test]
fn a_quota_is_untouched_when_another_denies() {
    let (by_address, by_user) = (Quota::per_second(10), Quota::per_minute(1));
    let (mut address, mut user) = (Algorithm::Sliding.counter(), Algorithm::Bucket.counter());
    user.take(&by_user, 1, NOW).unwrap();
    let (address_before, user_before) = (address.clone(), user.clone());

    let mut claims = [Claim::new(&by_address, &mut address, 1), Claim::new(&by_user, &mut user, 1)];
    assert_eq!(claims[0].decision(), None);
    assert_eq!(take_all(&mut claims, NOW), Err(Retry::After(Duration::from_secs(60))));
    let [of_address, of_user] = claims.map(|claim| claim.into_decision().unwrap());
    assert!(matches!(of_address, Decision::Open(standing) if standing.remaining() == 10));
    assert!(of_address.is_allowed() && !of_user.is_allowed());
    assert_eq!(of_user.standing().remaining(), 0);
    assert_eq!((address, user), (address_before, user_before));
}

#[test]
fn a_cost_above_one_of_the_limits_is_told_never() {
    let (small, large) = (Quota::per_second(1), Quota::per_day(100));
    let (mut one, mut two) = (Algorithm::Sliding.counter(), Algorithm::Sliding.counter());
    two.take(&large, 100, NOW).unwrap();
    let mut claims = [Claim::new(&small, &mut one, 2), Claim::new(&large, &mut two, 2)];
    assert_eq!(take_all(&mut claims, NOW), Err(Retry::Never));
}

#[test]
fn no_claims_are_allowed() {
    assert_eq!(take_all::<Counter>(&mut [], NOW), Ok(()));
}

proptest! {
    #[test]
    fn all_are_taken_or_none_and_the_moment_is_exact(
        parts in prop::collection::vec((crate::play::algorithms(), 1u64..20, 1u64..2_000, 0u64..4), 1..5),
        waits in prop::collection::vec(0u64..400, 1..60),
    ) {
        let quota = |limit, window| Quota::new(limit, Duration::from_millis(window)).unwrap();
        let quotas: Vec<Quota> = parts.iter().map(|&(_, limit, window, _)| quota(limit, window)).collect();
        let mut counters: Vec<Counter> = parts.iter().map(|&(algorithm, ..)| algorithm.counter()).collect();
        let check = |counters: &mut [Counter], now| {
            let mut claims: Vec<_> = quotas.iter().zip(counters).zip(&parts)
                .map(|((quota, counter), &(.., cost))| Claim::new(quota, counter, cost)).collect();
            take_all(&mut claims, now)
        };
        let mut now = NOW;
        for wait in waits {
            now = now.plus(Duration::from_millis(wait));
            let before = counters.clone();
            match check(&mut counters, now) {
                Ok(()) => {
                    for ((counter, before), (quota, &(.., cost))) in counters.iter().zip(&before).zip(quotas.iter().zip(&parts)) {
                        let remaining = |counter: &Counter| counter.peek(quota, 0, now).map(|standing| standing.remaining());
                        prop_assert_eq!(remaining(counter), remaining(before).map(|remaining| remaining - cost));
                    }
                }
                Err(retry) => {
                    prop_assert_eq!(&counters, &before);
                    if let Retry::After(wait) = retry {
                        let then = now.plus(wait);
                        prop_assert!(check(&mut counters.clone(), then.minus(Duration::from_millis(1))).is_err());
                        prop_assert_eq!(check(&mut counters.clone(), then), Ok(()));
                    } else {
                        prop_assert!(parts.iter().any(|&(_, limit, _, cost)| cost > limit));
                    }
                }
            }
        }
    }
}
