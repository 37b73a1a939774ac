use proptest::prelude::*;

use super::*;
use crate::cache::policy::storable::Chosen;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn after(span: u64) -> Timestamp {
    NOW.plus(secs(span))
}

fn terms() -> Terms {
    Terms {
        lifetime: secs(60),
        chosen: Chosen::Explicit,
        initial_age: secs(10),
        stale_while_revalidate: secs(20),
        stale_if_error: secs(100),
        consent: Consent::Stale,
        authorized_reuse: false,
        personal_reuse: false,
        drop: Vec::new(),
    }
}

#[test]
fn fresh_then_stale_then_useless() {
    let schedule = Schedule::new(&terms(), NOW);
    for (span, want) in [
        (0, Reuse::Fresh),
        (49, Reuse::Fresh),
        (50, Reuse::WhileRevalidate),
        (69, Reuse::WhileRevalidate),
        (70, Reuse::Revalidate),
    ] {
        assert_eq!(verdict(&schedule, Demands::Ignored, after(span)), want, "after {span} s");
    }
    assert!(schedule.may_serve_on_error(after(149)));
    assert!(!schedule.may_serve_on_error(after(150)));
    assert_eq!(schedule.useless_from(), after(150));
}

#[test]
fn age_is_the_whole_seconds_of_arrival_and_residence() {
    let schedule = Schedule::new(&terms(), NOW);
    assert_eq!(schedule.age(NOW), secs(10));
    assert_eq!(schedule.age(NOW.plus(Duration::from_millis(2999))), secs(12));
    assert_eq!(schedule.age(NOW.minus(secs(99))), secs(10), "the clock stepped back");
}

#[test]
fn no_cache_is_validated_before_every_use() {
    let schedule = Schedule::new(&Terms { consent: Consent::Validated, ..terms() }, NOW);
    let lenient = RequestControl { max_stale: Some(secs(1000)), ..RequestControl::default() };
    assert_eq!(verdict(&schedule, Demands::Ignored, NOW), Reuse::Revalidate);
    assert_eq!(verdict(&schedule, Demands::Honoured(&lenient), NOW), Reuse::Revalidate);
    assert!(!schedule.may_serve_on_error(NOW));
}

#[test]
fn what_arrives_stale_is_stale() {
    for age in [60, 61, 1 << 31] {
        let schedule =
            Schedule::new(&Terms { initial_age: secs(age), stale_while_revalidate: Duration::ZERO, ..terms() }, NOW);
        assert_eq!(verdict(&schedule, Demands::Ignored, NOW), Reuse::Revalidate, "age {age}");
    }
}

#[test]
fn clients_are_heard_where_the_rule_says_so() {
    let none = RequestControl::default();
    for (control, span, want) in [
        (none, 0, Reuse::Fresh),
        (RequestControl { no_cache: true, ..none }, 0, Reuse::Revalidate),
        (RequestControl { max_age: Some(secs(0)), ..none }, 0, Reuse::Revalidate),
        (RequestControl { max_age: Some(secs(12)), ..none }, 2, Reuse::Fresh),
        (RequestControl { max_age: Some(secs(12)), ..none }, 3, Reuse::Revalidate),
        (RequestControl { min_fresh: Some(secs(10)), ..none }, 40, Reuse::Fresh),
        (RequestControl { min_fresh: Some(secs(11)), ..none }, 40, Reuse::Revalidate),
        (RequestControl { min_fresh: Some(secs(1)), ..none }, 55, Reuse::Revalidate),
        (RequestControl { max_stale: Some(secs(30)), ..none }, 60, Reuse::WhileRevalidate),
        (RequestControl { max_stale: Some(secs(30)), ..none }, 80, Reuse::Accepted),
        (RequestControl { max_stale: Some(secs(30)), ..none }, 81, Reuse::Revalidate),
        (RequestControl { no_store: true, only_if_cached: true, ..none }, 0, Reuse::Fresh),
    ] {
        let schedule = Schedule::new(&terms(), NOW);
        let got = verdict(&schedule, Demands::Honoured(&control), after(span));
        assert_eq!(got, want, "{control:?} after {span} s");
    }
    let strict = Schedule::new(&Terms { consent: Consent::Fresh, ..terms() }, NOW);
    let lenient = RequestControl { max_stale: Some(secs(1000)), ..none };
    assert_eq!(verdict(&strict, Demands::Honoured(&lenient), after(80)), Reuse::Revalidate);
}

fn rank(reuse: Reuse) -> u8 {
    match reuse {
        Reuse::Fresh => 0,
        Reuse::WhileRevalidate => 1,
        Reuse::Accepted => 2,
        Reuse::Revalidate => 3,
    }
}

proptest! {
    #[test]
    fn nothing_becomes_fresher_by_waiting(
        [lifetime, age, window, most, answered, now, wait] in any::<[u64; 7]>(),
        max_stale in any::<bool>(),
    ) {
        let terms = Terms {
            lifetime: secs(lifetime),
            initial_age: secs(age),
            stale_while_revalidate: secs(window),
            ..terms()
        };
        let schedule = Schedule::new(&terms, Timestamp::from_millis(answered));
        let control =
            RequestControl { max_stale: max_stale.then(|| secs(most)), ..RequestControl::default() };
        let (now, later) = (Timestamp::from_millis(now), Timestamp::from_millis(now.saturating_add(wait)));
        for demands in [Demands::Ignored, Demands::Honoured(&control)] {
            prop_assert!(rank(verdict(&schedule, demands, now)) <= rank(verdict(&schedule, demands, later)));
        }
        prop_assert!(schedule.age(now) <= schedule.age(later));
        prop_assert!(schedule.may_serve_on_error(now) || !schedule.may_serve_on_error(later));
    }

    #[test]
    fn a_client_that_only_demands_never_gets_more(
        spans in any::<[u16; 4]>(), max_age in any::<Option<u16>>(), min_fresh in any::<Option<u16>>(),
    ) {
        let [lifetime, age, window, wait] = spans.map(u64::from);
        let terms = Terms {
            lifetime: secs(lifetime),
            initial_age: secs(age),
            stale_while_revalidate: secs(window),
            ..terms()
        };
        let control = RequestControl {
            max_age: max_age.map(|it| secs(it.into())),
            min_fresh: min_fresh.map(|it| secs(it.into())),
            ..RequestControl::default()
        };
        let schedule = Schedule::new(&terms, NOW);
        let heard = verdict(&schedule, Demands::Honoured(&control), after(wait));
        prop_assert!(rank(heard) >= rank(verdict(&schedule, Demands::Ignored, after(wait))));
    }
}
