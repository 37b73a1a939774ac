//! How many may be at work at once.

use std::{collections::HashMap, time::Duration};

use bartizan::{
    clock::Timestamp,
    quota::{Concurrency, Retry},
};
use proptest::prelude::*;

const START: u64 = 1_700_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    Enter { who: u64, hold: u64 },
    Renew { who: u64, hold: u64 },
    Leave { who: u64 },
    Wait(u64),
    Rewind(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0u64..12;
    let step = prop_oneof![
        6 => (who.clone(), 0u64..60).prop_map(|(who, hold)| Step::Enter { who, hold }),
        1 => (who.clone(), 0u64..60).prop_map(|(who, hold)| Step::Renew { who, hold }),
        2 => who.prop_map(|who| Step::Leave { who }),
        3 => (0u64..25).prop_map(Step::Wait),
        1 => (0u64..25).prop_map(Step::Rewind),
    ];
    prop::collection::vec(step, 1..150)
}

proptest! {
    #[test]
    fn never_more_than_the_limit_and_the_moment_is_exact(limits in prop::collection::vec(0u64..6, 1..4), steps in steps()) {
        let (mut concurrency, mut model) = (Concurrency::default(), HashMap::<u64, u64>::new());
        let (mut now, mut newest) = (START, 0);
        for (index, step) in steps.iter().enumerate() {
            // The limit changes now and then.
            let limit = limits[index * limits.len() / steps.len()];
            let (time, at) = (Timestamp::from_millis(now), now.max(newest));
            let at_work = |model: &HashMap<u64, u64>, at| model.values().filter(|&&until| until > at).count() as u64;
            let holds = |model: &HashMap<u64, u64>, who| model.get(&who).is_some_and(|&until| until > at);
            match *step {
                Step::Wait(millis) => now += millis,
                Step::Rewind(millis) => now -= millis,
                Step::Leave { who } => {
                    prop_assert_eq!(concurrency.leave(who, time), holds(&model, who));
                    model.remove(&who);
                }
                Step::Renew { who, hold } => {
                    let held = holds(&model, who);
                    prop_assert_eq!(concurrency.renew(who, Duration::from_millis(hold), time), held);
                    if held {
                        model.insert(who, at + hold);
                        newest = at;
                    }
                }
                Step::Enter { who, hold } => {
                    let fits = holds(&model, who) || at_work(&model, at) < limit;
                    match concurrency.enter(who, limit, Duration::from_millis(hold), time) {
                        Ok(_) => {
                            prop_assert!(fits);
                            model.insert(who, at + hold);
                            newest = at;
                        }
                        Err(denied) => {
                            prop_assert!(!fits);
                            match denied.retry() {
                                Retry::Never => prop_assert_eq!(limit, 0),
                                Retry::After(wait) => {
                                    let then = time.plus(wait);
                                    let enter = |then| concurrency.clone().enter(99, limit, Duration::from_secs(1), then);
                                    prop_assert!(enter(then).is_ok());
                                    prop_assert!(enter(then.minus(Duration::from_millis(1))).is_err());
                                }
                            }
                        }
                    }
                }
            }
            let (time, at) = (Timestamp::from_millis(now), now.max(newest));
            let at_work = at_work(&model, at);
            prop_assert_eq!(concurrency.at_work(time), at_work);
            let standing = concurrency.standing(limit, time);
            prop_assert_eq!(standing.remaining(), limit.saturating_sub(at_work));
            match standing.more_after() {
                Some(wait) => {
                    let remaining = |then| concurrency.standing(limit, then).remaining();
                    prop_assert_eq!(remaining(time.plus(wait)), standing.remaining() + standing.more());
                    prop_assert_eq!(remaining(time.plus(wait).minus(Duration::from_millis(1))), standing.remaining());
                }
                None => prop_assert!(limit == 0 || at_work == 0),
            }
        }
    }
}

#[test]
fn absurd_times_and_holds_are_borne() {
    let mut concurrency = Concurrency::default();
    concurrency.enter(1, u64::MAX, Duration::MAX, Timestamp::from_millis(u64::MAX - 1)).unwrap();
    assert_eq!(concurrency.at_work(Timestamp::from_millis(0)), 1);
    assert_eq!(concurrency.standing(1, Timestamp::from_millis(0)).more_after(), Some(Duration::from_millis(u64::MAX)));
    assert!(!concurrency.leave(2, Timestamp::from_millis(0)), "who never entered");
    assert!(concurrency.leave(1, Timestamp::from_millis(0)));
    assert!(!concurrency.leave(1, Timestamp::from_millis(0)), "who has left");
}

#[test]
fn a_hold_of_nothing_is_over_at_once() {
    let (mut concurrency, now) = (Concurrency::default(), Timestamp::from_millis(START));
    concurrency.enter(1, 1, Duration::ZERO, now).unwrap();
    assert!(concurrency.enter(2, 1, Duration::ZERO, now).is_ok());
}
