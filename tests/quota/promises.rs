//! What every algorithm promises, whatever the quota, the costs and the clock.

use std::time::Duration;

use bartizan::{
    clock::Timestamp,
    quota::{Algorithm, Meter, Quota, Retry},
};
use proptest::prelude::*;

use crate::play::{Scene, Step, algorithms, quotas, schedules};

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_window_holds_more_than_is_documented(algorithm in algorithms(), quota in quotas(), steps in schedules()) {
        let mut scene = Scene::new(algorithm, &quota);
        for step in steps.iter().filter(|step| !matches!(step, Step::Penalise(_))) {
            scene.step(step);
        }
        prop_assert!(scene.worst() <= algorithm.worst_window(&quota), "{} in a window", scene.worst());
    }

    #[test]
    fn what_is_denied_is_allowed_when_it_was_said_and_not_before(
        algorithm in algorithms(), quota in quotas(), steps in schedules()
    ) {
        let mut scene = Scene::new(algorithm, &quota);
        for step in &steps {
            let before = scene.counter.clone();
            let Some((cost, Err(denied))) = scene.step(step) else { continue };
            prop_assert_eq!(&scene.counter, &before, "what is denied changes nothing");
            match denied.retry() {
                Retry::Never => prop_assert!(cost > denied.standing().limit()),
                Retry::After(wait) => {
                    prop_assert!(cost <= denied.standing().limit());
                    prop_assert!(wait >= Duration::from_millis(1));
                    let then = scene.time().plus(wait);
                    prop_assert!(scene.counter.peek(&quota, cost, then).is_ok(), "after {:?}", wait);
                    let just_before = then.minus(Duration::from_millis(1));
                    prop_assert!(scene.counter.peek(&quota, cost, just_before).is_err(), "before {:?}", wait);
                }
            }
        }
    }

    #[test]
    fn more_comes_back_when_it_was_said_and_not_before(algorithm in algorithms(), quota in quotas(), steps in schedules()) {
        let mut scene = Scene::new(algorithm, &quota);
        let remaining = |scene: &Scene, then: Timestamp| {
            scene.counter.peek(&quota, 0, then).map(|standing| standing.remaining())
        };
        for step in &steps {
            scene.step(step);
            let standing = scene.standing();
            let Some(wait) = standing.more_after() else {
                prop_assert_eq!(standing.remaining(), standing.limit(), "there is always more to come but for a full one");
                continue;
            };
            prop_assert!(standing.more() > 0);
            let then = scene.time().plus(wait);
            prop_assert_eq!(remaining(&scene, then), Ok(standing.remaining() + standing.more()));
            prop_assert_eq!(remaining(&scene, then.minus(Duration::from_millis(1))), Ok(standing.remaining()));
        }
    }

    #[test]
    fn a_peek_answers_what_a_take_does(algorithm in algorithms(), quota in quotas(), steps in schedules()) {
        let mut scene = Scene::new(algorithm, &quota);
        for step in &steps {
            if let Step::Take(cost) = step {
                let cost = scene.cost(cost);
                let peeked = scene.counter.peek(&quota, cost, scene.time());
                prop_assert_eq!(peeked.is_ok(), cost == 0 || cost <= scene.standing().remaining(), "what remains is to be had");
                match (peeked, scene.take(cost)) {
                    (Ok(before), Ok(after)) => prop_assert_eq!(before.remaining() - cost, after.remaining()),
                    (before, after) => prop_assert_eq!(before, after),
                }
            } else {
                scene.step(step);
            }
        }
    }

    #[test]
    fn a_refund_gives_back_what_was_taken_and_no_more(algorithm in algorithms(), quota in quotas(), steps in schedules()) {
        let mut scene = Scene::new(algorithm, &quota);
        for step in &steps {
            let Step::Refund { back, kept } = step else {
                scene.step(step);
                continue;
            };
            let before = scene.standing().remaining();
            if let Some((asked, given)) = scene.refund(*back, *kept) {
                prop_assert!(given <= asked);
                let after = scene.standing().remaining();
                prop_assert!(after >= before && after - before <= given, "{} came back, {} was given", after - before, given);
            }
        }
    }

    /// Not for runs: what is taken and given back may end one earlier, and what is in it is free sooner.
    #[test]
    fn a_refund_lets_in_no_more_than_if_nothing_had_been_taken(
        algorithm in prop::sample::select(&Algorithm::ALL[1..]), quota in quotas(), steps in schedules(),
        place in 0usize..60, between in 0usize..40, cost in 1u64..20,
    ) {
        let (mut with, mut without) = (Scene::new(algorithm, &quota), Scene::new(algorithm, &quota));
        let mut receipt = None;
        for (index, step) in steps.iter().filter(|step| !matches!(step, Step::Refund { .. })).enumerate() {
            if index == place {
                receipt = with.counter.take(&quota, cost, with.time()).ok();
            }
            if index == place + between && let Some(receipt) = receipt.take() {
                with.counter.refund(&quota, receipt, with.time());
            }
            match step {
                Step::Take(cost) => {
                    let cost = with.cost(cost);
                    if with.take(cost).is_ok() {
                        prop_assert!(without.take(cost).is_ok());
                    }
                }
                Step::Rewind(_) | Step::Penalise(_) => {}
                step => {
                    with.step(step);
                    without.step(step);
                }
            }
            let remaining = with.standing().remaining();
            prop_assert!(remaining <= without.standing().remaining(), "{} remains", remaining);
        }
    }

    #[test]
    fn a_full_meter_is_worth_a_new_one(algorithm in algorithms(), quota in quotas(), steps in schedules()) {
        let mut scene = Scene::new(algorithm, &quota);
        for step in &steps {
            scene.step(step);
        }
        let full_at = scene.counter.full_at(&quota).expect("all comes back");
        let remaining = |at| scene.counter.peek(&quota, 0, at).unwrap().remaining();
        prop_assert_eq!(remaining(full_at), quota_capacity(algorithm, &quota));
        let just_before = full_at.minus(Duration::from_millis(1));
        if just_before.as_millis() >= scene.events.last().map_or(0, |event| event.at) && !scene.events.is_empty() {
            prop_assert!(remaining(just_before) < remaining(full_at));
        }
        // Two that are full answer the same from then on.
        let mut new = Scene::new(algorithm, &quota);
        scene.now = scene.now.max(full_at.as_millis());
        new.now = scene.now;
        for step in steps.iter().filter(|step| !matches!(step, Step::Rewind(_) | Step::Refund { .. })) {
            let (old, new) = (scene.step(step), new.step(step));
            prop_assert_eq!(old, new);
        }
    }

    #[test]
    fn the_state_survives_as_numbers_a_script_can_hold(algorithm in algorithms(), quota in quotas(), steps in schedules()) {
        let mut scene = Scene::new(algorithm, &quota);
        for step in &steps {
            scene.step(step);
            let numbers = scene.counter.numbers();
            prop_assert!(numbers.iter().all(|&number| number < 1 << 53), "{:?}", numbers);
            prop_assert_eq!(&algorithm.counter().with_numbers(&numbers).unwrap(), &scene.counter);
        }
    }

    #[test]
    fn numbers_that_no_meter_told_are_refused_or_harmless(
        algorithm in algorithms(), quota in quotas(), numbers in prop::collection::vec(any::<u64>(), 0..8), steps in schedules()
    ) {
        for shift in [0, 16, 24] {
            let numbers: Vec<u64> = numbers.iter().map(|number| number >> shift).collect();
            if let Ok(counter) = algorithm.counter().with_numbers(&numbers) {
                prop_assert_eq!(counter.numbers(), numbers);
                let mut scene = Scene { counter, ..Scene::new(algorithm, &quota) };
                for step in steps.iter().filter(|step| !matches!(step, Step::Refund { .. })) {
                    scene.step(step);
                }
            } else {
                prop_assert!(algorithm.counter().with_numbers(&numbers).unwrap_err().is_undecodable());
            }
        }
    }

    /// What the naive sum over the window says is the most that could be allowed; a run holds the rest.
    #[test]
    fn the_sliding_window_denies_no_more_than_a_run(quota in quotas(), steps in schedules(), refunds: bool) {
        let mut scene = Scene::new(Algorithm::Sliding, &quota);
        let held_too_long = if refunds { 2 * quota.limit() / 59 } else { quota.limit().div_ceil(60) - 1 };
        // Penalties above the limit make more runs than there are shares.
        let steps = steps.iter().filter(|step| !matches!(step, Step::Penalise(_)));
        for step in steps.filter(|step| refunds || !matches!(step, Step::Refund { .. })) {
            if let Some((cost, Err(_))) = scene.step(step) {
                let taken = scene.in_window(scene.guarded());
                prop_assert!(cost + held_too_long + taken > quota.limit(), "{} of {} taken, {} denied", taken, quota.limit(), cost);
            }
        }
    }

    #[test]
    fn a_run_for_each_sixtieth_is_enough(quota in quotas(), steps in schedules()) {
        let mut scene = Scene::new(Algorithm::Sliding, &quota);
        for step in &steps {
            scene.step(step);
            prop_assert!(scene.counter.numbers().len() <= 2 + 2 * 60);
        }
    }
}

fn quota_capacity(algorithm: Algorithm, quota: &Quota) -> u64 {
    if algorithm == Algorithm::Bucket { quota.at_once() } else { quota.limit() }
}
