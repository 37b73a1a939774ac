//! Each algorithm against a model of it that keeps every event and recounts them each time.

use bartizan::quota::{Algorithm, Quota};
use proptest::prelude::*;

use crate::play::{Event, Scene, Step, quotas, schedules};

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_log_counts_the_window(quota in quotas(), steps in schedules()) {
        // Over 65 536 it is in runs.
        prop_assume!(quota.limit() <= 1 << 16);
        compare(Algorithm::Log, &quota, &steps, |events, at| {
            let window = window(&quota);
            events.iter().filter(|event| event.at + window > at).map(|event| u128::from(event.cost)).sum()
        })?;
    }

    #[test]
    fn the_sliding_window_is_the_log_up_to_sixty(quota in quotas(), steps in schedules()) {
        let quota = Quota::new(1 + quota.limit() % 60, quota.window()).unwrap();
        // Refunds and penalties make more runs than there are shares of the limit.
        let steps: Vec<_> = steps.into_iter().filter(|step| !matches!(step, Step::Refund { .. } | Step::Penalise(_))).collect();
        compare(Algorithm::Sliding, &quota, &steps, |events, at| {
            let window = window(&quota);
            events.iter().filter(|event| event.at + window > at).map(|event| u128::from(event.cost)).sum()
        })?;
    }

    #[test]
    fn the_fixed_window_counts_the_period(quota in quotas(), steps in schedules()) {
        compare(Algorithm::Fixed, &quota, &steps, |events, at| {
            let period = at / window(&quota);
            events.iter().filter(|event| event.at / window(&quota) == period).map(|event| u128::from(event.cost)).sum()
        })?;
    }

    #[test]
    fn the_approximate_window_counts_this_period_and_a_share_of_the_last(quota in quotas(), steps in schedules()) {
        compare(Algorithm::Approximate, &quota, &steps, |events, at| {
            let (window, period) = (window(&quota), at / window(&quota));
            let of = |period: u64| -> u128 {
                events.iter().filter(|event| event.at / window == period).map(|event| u128::from(event.cost)).sum()
            };
            // The trailing window is `at` and the milliseconds before it; those since the period began are not of the last.
            let share = u128::from(window - (at % window + 1));
            of(period) + (of(period - 1) * share).div_ceil(u128::from(window))
        })?;
    }

    #[test]
    fn the_token_bucket_drains_by_the_millisecond(quota in quotas(), steps in schedules()) {
        // Refunds of a bucket are bounded, not exact: `promises.rs`.
        let steps: Vec<_> = steps.into_iter().filter(|step| !matches!(step, Step::Refund { .. })).collect();
        compare(Algorithm::Bucket, &quota, &steps, |events, at| {
            let (window, limit) = (i128::from(window(&quota)), i128::from(quota.limit()));
            let (mut level, mut last) = (0i128, 0i128);
            for event in events {
                level = (level - (i128::from(event.at) - last) * limit).max(0) + i128::from(event.cost) * window;
                last = i128::from(event.at);
            }
            let level = (level - (i128::from(at) - last) * limit).max(0);
            (level as u128).div_ceil(window as u128)
        })?;
    }
}

/// Whether `used` of the events says at each step what the counter does.
fn compare(
    algorithm: Algorithm,
    quota: &Quota,
    steps: &[Step],
    used: impl Fn(&[Event], u64) -> u128,
) -> Result<(), TestCaseError> {
    let mut scene = Scene::new(algorithm, quota);
    for step in steps {
        scene.step(step);
        let standing = scene.standing();
        let want = u128::from(standing.limit()).saturating_sub(used(&scene.events, scene.guarded()));
        prop_assert_eq!(u128::from(standing.remaining()), want, "after {:?}", step);
    }
    Ok(())
}

fn window(quota: &Quota) -> u64 {
    quota.window().as_millis() as u64
}
