//! Absurd quotas, costs and times; penalties, resets, and limits that change.

use std::time::Duration;

use bartizan::{
    clock::Timestamp,
    quota::{
        Algorithm, ApproximateWindow, Counter, FixedWindow, Meter, Quota, Retry, SlidingLog, SlidingWindow, TokenBucket,
    },
};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn remaining(counter: &Counter, quota: &Quota, now: Timestamp) -> u64 {
    counter.peek(quota, 0, now).expect("nothing is always to be had").remaining()
}

#[test]
fn a_limit_of_nothing_lets_nothing_through() {
    for algorithm in Algorithm::ALL {
        for quota in [Quota::per_second(0), Quota::per_second(0).burst(5)] {
            let mut counter = algorithm.counter();
            assert_eq!(counter.take(&quota, 1, NOW).unwrap_err().retry(), Retry::Never, "{algorithm:?}");
            assert!(counter.take(&quota, 0, NOW).is_ok(), "{algorithm:?}: nothing is to be had");
            counter.penalise(&quota, 3, NOW);
            assert_eq!(counter.peek(&quota, 0, NOW).unwrap().more_after(), None, "{algorithm:?}");
        }
    }
    let nothing_at_once = Quota::per_second(5).burst(0);
    assert_eq!(Algorithm::Bucket.counter().take(&nothing_at_once, 1, NOW).unwrap_err().retry(), Retry::Never);
}

#[test]
fn a_second_admits_its_number_whatever_the_algorithm() {
    for algorithm in Algorithm::ALL {
        for limit in [1, 5, 60, 61, 1_000] {
            let (quota, mut counter) = (Quota::per_second(limit), algorithm.counter());
            let admitted = (0..2 * limit).filter(|_| counter.take(&quota, 1, NOW).is_ok()).count() as u64;
            assert_eq!(admitted, limit, "{algorithm:?}: two requests in one millisecond count twice");
            assert!(algorithm.counter().take(&quota, limit, NOW).is_ok(), "{algorithm:?}: the whole limit at once");
            assert_eq!(algorithm.counter().take(&quota, limit + 1, NOW).unwrap_err().retry(), Retry::Never);
        }
    }
}

#[test]
fn a_penalty_lasts_as_long_as_what_is_taken() {
    let (quota, second) = (Quota::per_second(10), Duration::from_secs(1));
    for algorithm in Algorithm::ALL {
        let mut counter = algorithm.counter();
        counter.take(&quota, 4, NOW).unwrap();
        let standing = counter.penalise(&quota, 20, NOW);
        assert_eq!(standing.remaining(), 0, "{algorithm:?}");
        assert!(counter.take(&quota, 1, NOW).is_err(), "{algorithm:?}");
        // Each gives back by its own rule; a bucket owes 24, which takes it 2.4 s.
        let wait = if algorithm == Algorithm::Bucket { Duration::from_millis(2_400) } else { 2 * second };
        assert_eq!(remaining(&counter, &quota, NOW.plus(wait)), 10, "{algorithm:?}");
        assert_eq!(counter.penalise(&quota, 0, NOW.plus(wait)).remaining(), 10, "{algorithm:?}: a penalty of nothing");
    }
}

#[test]
fn a_reset_forgets_all_and_makes_receipts_worthless() {
    let quota = Quota::per_second(10);
    for algorithm in Algorithm::ALL {
        for wait in [0, 1, 7] {
            let mut counter = algorithm.counter();
            let taken = counter.take(&quota, 4, NOW).unwrap();
            let then = NOW.plus(Duration::from_millis(wait));
            counter.reset(then);
            assert_eq!(remaining(&counter, &quota, then), 10, "{algorithm:?}");
            counter.take(&quota, 6, then).unwrap();
            assert_eq!(counter.refund(&quota, taken, then), 0, "{algorithm:?}: not of what was taken since");
            assert_eq!(remaining(&counter, &quota, then), 4, "{algorithm:?}");

            let later = then.plus(Duration::from_millis(1));
            let taken = counter.take(&quota, 1, later).unwrap();
            assert_eq!(counter.refund(&quota, taken, later), 1, "{algorithm:?}: what was taken since");
        }
    }
}

#[test]
fn a_receipt_gives_nothing_back_once_its_period_is_over() {
    let quota = Quota::per_second(10);
    for algorithm in Algorithm::ALL {
        let mut counter = algorithm.counter();
        let taken = counter.take(&quota, 4, NOW).unwrap();
        let then = NOW.plus(Duration::from_secs(2));
        let at_once = counter.take(&quota, 5, then).unwrap();
        assert_eq!(counter.refund(&quota, taken, then), 0, "{algorithm:?}");
        assert_eq!(counter.refund(&quota, at_once.all_but(2), then), 3, "{algorithm:?}");
        assert_eq!(remaining(&counter, &quota, then), 8, "{algorithm:?}");
    }
}

#[test]
fn a_receipt_from_before_the_state_was_lost_gives_nothing_back() {
    let quota = Quota::per_second(10);
    for algorithm in Algorithm::ALL {
        let taken = algorithm.counter().take(&quota, 4, NOW).unwrap();
        let (mut counter, then) = (algorithm.counter(), NOW.plus(Duration::from_millis(1)));
        counter.take(&quota, 5, then).unwrap();
        assert_eq!(counter.refund(&quota, taken, then), 0, "{algorithm:?}");
    }
}

#[test]
fn a_receipt_gives_nothing_back_of_what_was_taken_after_a_shorter_window() {
    let (long, short) = (Quota::per_second(10), Quota::new(10, Duration::from_millis(100)).unwrap());
    let at = |millis| NOW.plus(Duration::from_millis(millis));
    for algorithm in Algorithm::ALL {
        let mut counter = algorithm.counter();
        let taken = counter.take(&long, 4, NOW).unwrap();
        counter.take(&short, 10, at(200)).unwrap();
        assert_eq!(counter.refund(&long, taken, at(210)), 0, "{algorithm:?}");
    }
}

#[test]
fn a_receipt_of_a_run_that_was_dropped_gives_nothing_back_of_the_next() {
    let (long, short) = (Quota::per_second(10), Quota::new(10, Duration::from_millis(100)).unwrap());
    let at = |millis| NOW.plus(Duration::from_millis(millis));
    for algorithm in [Algorithm::Sliding, Algorithm::Log] {
        let mut counter = algorithm.counter();
        let taken = counter.take(&long, 4, NOW).unwrap();
        counter.take(&long, 5, at(150)).unwrap();
        counter.take(&short, 1, at(200)).unwrap();
        assert_eq!(counter.refund(&long, taken, at(210)), 0, "{algorithm:?}");
    }
}

#[test]
fn what_was_taken_counts_when_the_limit_changes() {
    let (small, large) = (Quota::per_second(10), Quota::per_second(1_000));
    for algorithm in Algorithm::ALL {
        let mut counter = algorithm.counter();
        counter.take(&small, 7, NOW).unwrap();
        assert_eq!(remaining(&counter, &large, NOW), 993, "{algorithm:?}");
        counter.take(&large, 500, NOW).unwrap();
        assert_eq!(remaining(&counter, &small, NOW), 0, "{algorithm:?}");
        let denied = counter.take(&small, 1, NOW).unwrap_err();
        let Retry::After(wait) = denied.retry() else { panic!("{algorithm:?}: it is within the limit") };
        assert!(counter.take(&small, 1, NOW.plus(wait)).is_ok(), "{algorithm:?}");
    }
}

#[test]
fn a_raised_limit_can_be_used_though_its_runs_are_small() {
    let (small, large) = (Quota::per_minute(60), Quota::per_minute(6_000));
    let mut window = SlidingWindow::default();
    for millis in 0..60 {
        window.take(&small, 1, NOW.plus(Duration::from_millis(millis))).unwrap();
    }
    let mut admitted = 0;
    for millis in 60..180_000 {
        let now = NOW.plus(Duration::from_millis(millis));
        admitted += u64::from(window.take(&large, 1, now).is_ok());
        assert!(window.numbers().len() <= 2 + 2 * 60);
    }
    // 5 940 in the rest of the first minute, 6 000 in each of the next two, less a 29th each.
    assert!(admitted > 17_940 * 28 / 29, "{admitted}");
}

#[test]
fn requests_side_by_side_that_are_refunded_leave_the_limit_usable() {
    // 40 at a time, of which one counts: each run is nearly emptied after others have begun.
    let (quota, mut window, mut log) = (Quota::per_minute(600), SlidingWindow::default(), SlidingLog::default());
    let (mut counted, mut wanted) = (0, 0);
    for round in 0..3_000u64 {
        let at = |millis: u64| NOW.plus(Duration::from_millis(round * 80 + millis));
        let mut receipts: Vec<_> = (0..40).filter_map(|millis| window.take(&quota, 1, at(millis)).ok()).collect();
        counted += u32::from(receipts.pop().is_some());
        for taken in receipts {
            window.refund(&quota, taken, at(40));
        }
        wanted += u32::from(log.take(&quota, 1, at(0)).is_ok());
    }
    assert!(counted * 100 >= wanted * 95, "{counted} of {wanted}");
}

#[test]
fn a_clock_that_steps_back_frees_nothing() {
    let quota = Quota::per_second(10);
    for algorithm in Algorithm::ALL {
        let mut counter = algorithm.counter();
        counter.take(&quota, 10, NOW).unwrap();
        for back in [1, 999, 1_000, 3_600_000, u64::MAX] {
            let then = NOW.minus(Duration::from_millis(back));
            let denied = counter.take(&quota, 10, then).unwrap_err();
            let Retry::After(wait) = denied.retry() else { panic!("{algorithm:?}: it is within the limit") };
            assert_eq!(counter.peek(&quota, 10, then.plus(wait)).unwrap().remaining(), 10, "{algorithm:?}");
        }
    }
}

#[test]
fn a_burst_is_told_to_whom_it_means_nothing() {
    let quota = Quota::per_second(10).burst(2);
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.suits(&quota).is_ok(), algorithm == Algorithm::Bucket, "{algorithm:?}");
        assert!(algorithm.suits(&Quota::per_second(10)).is_ok());
    }
    let told = Algorithm::Fixed.suits(&quota).unwrap_err().to_string();
    assert_eq!(told, "a burst for the algorithm fixed: only a bucket has one");
}

#[test]
fn algorithms_have_names() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.as_str().parse::<Algorithm>().unwrap(), algorithm);
        assert_eq!(algorithm.counter().algorithm(), algorithm);
    }
    let told = "gcra".parse::<Algorithm>().unwrap_err().to_string();
    assert_eq!(told, "an algorithm named \"gcra\": sliding, log, bucket, fixed, approximate would do");
}

#[test]
fn state_takes_what_is_documented() {
    assert_eq!(SlidingWindow::default().bytes(), 56);
    assert_eq!(SlidingLog::default().bytes(), 56);
    assert_eq!(TokenBucket::default().bytes(), 32);
    assert_eq!(FixedWindow::default().bytes(), 24);
    assert_eq!(ApproximateWindow::default().bytes(), 32);

    let (quota, mut window) = (Quota::per_second(1_000_000), SlidingWindow::default());
    for millis in 0..1_000 {
        window.take(&quota, 1_000, NOW.plus(Duration::from_millis(millis))).unwrap();
    }
    assert!(window.bytes() <= 56 + 12 * 64, "{}", window.bytes());
}

proptest! {
    #[test]
    fn nothing_overflows(
        algorithm in crate::play::algorithms(),
        steps in prop::collection::vec((0u8..7, extreme(), extreme(), extreme(), extreme()), 1..40),
    ) {
        let mut counter = algorithm.counter();
        let mut receipts = Vec::new();
        for (what, limit, window, cost, now) in steps {
            let window = Duration::from_millis(window.clamp(1, Quota::MAX_WINDOW.as_millis() as u64));
            let quota = Quota::new(limit.clamp(1, Quota::MAX_LIMIT), window).unwrap();
            let quota = if cost % 3 == 0 { quota.burst(now) } else { quota };
            let now = Timestamp::from_millis(now);
            match what {
                0 => counter.reset(now),
                1 => drop(counter.penalise(&quota, cost, now)),
                2 => if let Some(taken) = receipts.pop() {
                    counter.refund(&quota, taken, now);
                },
                3 => if let Err(denied) = counter.peek(&quota, cost, now) {
                    prop_assert_eq!(denied.retry() == Retry::Never, cost > denied.standing().limit());
                },
                _ => receipts.extend(counter.take(&quota, cost, now)),
            }
            prop_assert!(counter.full_at(&quota).is_some());
            prop_assert_eq!(algorithm.counter().with_numbers(&counter.numbers()).unwrap(), counter.clone());
        }
    }
}

/// Numbers near the edges.
fn extreme() -> impl Strategy<Value = u64> {
    prop_oneof![
        0u64..4,
        Just(u64::MAX),
        any::<u64>(),
        Just(u64::from(u32::MAX)),
        (0u32..64, 0u64..3).prop_map(|(bit, less)| (1u64 << bit).saturating_sub(less)),
    ]
}
