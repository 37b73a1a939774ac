use proptest::prelude::*;
use sfv::{BareItem, Item, List, ListEntry, Parser};

use super::*;

const STANDARD: Told = Told { standard: true, legacy: false };
const LEGACY: Told = Told { standard: false, legacy: true };

fn policy(quota: Quota, name: &str) -> Policy {
    Policy::new(quota.named(name).unwrap())
}

/// The policies as a check has them, each with its standing.
fn standing<'a>(
    policies: &'a [Policy],
    standings: &[(u64, u64, Option<u64>)],
) -> Vec<((&'a Policy, &'a Quota), Standing)> {
    let told = standings
        .iter()
        .map(|(limit, remaining, after)| Standing::told(*limit, *remaining, after.map(|after| (after, 1))));
    policies.iter().map(|policy| (policy, policy.constant().unwrap())).zip(told).collect()
}

fn worn(dress: Dress) -> HeaderMap {
    let mut headers = HeaderMap::new();
    dress.put_on(&mut headers);
    headers
}

fn items(value: &HeaderValue) -> Vec<Item> {
    let list: List = Parser::new(value.as_bytes()).parse().expect("it is a list");
    list.into_iter()
        .map(|entry| match entry {
            ListEntry::Item(item) => item,
            ListEntry::InnerList(_) => panic!("an inner list"),
        })
        .collect()
}

fn parameter_of(item: &Item, name: &str) -> Option<i64> {
    item.params.get(name).map(|value| value.as_integer().expect("it is an integer").into())
}

fn is_named(item: &Item, name: &str) -> bool {
    matches!(&item.bare_item, BareItem::String(text) if text.as_str() == name)
}

#[test]
fn policies_and_standings_are_told_as_the_draft_writes_them() {
    let policies = [
        policy(Quota::per_minute(50), "permin"),
        policy(Quota::new(65_535, Duration::from_millis(9_001)).unwrap(), "bytes").unit(Unit::ContentBytes),
        policy(Quota::per_second(3), "work").unit(Unit::ConcurrentRequests),
    ];
    let standings = standing(&policies, &[(50, 49, Some(58_001)), (65_535, 65_535, None), (3, 0, Some(1))]);
    let worn = worn(Fields::new(&policies).dress(STANDARD, standings.into_iter()));
    assert_eq!(
        worn["ratelimit-policy"],
        r#""permin";q=50;w=60, "bytes";q=65535;qu="content-bytes";w=10, "work";q=3;qu="concurrent-requests""#
    );
    assert_eq!(worn["ratelimit"], r#""permin";r=49;t=59, "bytes";r=65535, "work";r=0;t=1"#);
    assert_eq!(worn.len(), 2);
}

#[test]
fn a_quota_that_is_not_the_policys_own_is_told_as_it_is() {
    let policies = [policy(Quota::per_minute(50), "a"), Policy::computed("b", |_| None)];
    let (lower, own) = (Quota::per_minute(25), policies[0].constant().unwrap());
    let fields = Fields::new(&policies);
    for (told, want) in [
        (vec![(&policies[0], own)], r#""a";q=50;w=60"#),
        (vec![(&policies[0], &lower)], r#""a";q=25;w=60"#),
        (vec![(&policies[0], own), (&policies[1], &lower)], r#""a";q=50;w=60, "b";q=25;w=60"#),
    ] {
        let told = told.into_iter().map(|policy| (policy, Standing::told(1, 1, None)));
        assert_eq!(worn(fields.dress(STANDARD, told))["ratelimit-policy"], want);
    }
}

#[test]
fn legacy_fields_are_those_of_the_least_share() {
    let policies = [policy(Quota::per_second(10), "a"), policy(Quota::per_day(1_000), "b")];
    let fields = Fields::new(&policies);
    let told = |a, b| {
        let worn = worn(fields.dress(LEGACY, standing(&policies, &[a, b]).into_iter()));
        assert_eq!(worn.len(), 3);
        ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]
            .map(|name| worn[name].to_str().unwrap().to_owned())
    };
    assert_eq!(told((10, 5, Some(200)), (1_000, 499, Some(3_600_000))), ["1000", "499", "3600"]);
    assert_eq!(told((10, 4, Some(200)), (1_000, 499, Some(3_600_000))), ["10", "4", "1"]);
    assert_eq!(told((10, 0, Some(200)), (1_000, 0, Some(3_600_000))), ["1000", "0", "3600"], "the later of two");
    assert_eq!(told((10, 10, None), (1_000, 1_000, None))[2], "0", "all of it is there");
}

#[test]
fn layers_within_each_other_tell_of_each_other() {
    let (inner, outer) = ([policy(Quota::per_second(10), "inner")], [policy(Quota::per_day(100), "outer")]);
    let both = Told { standard: true, legacy: true };
    for (left, want) in [(30, "10"), (10, "100")] {
        let mut headers = HeaderMap::new();
        Fields::new(&inner).dress(both, standing(&inner, &[(10, 2, Some(1))]).into_iter()).put_on(&mut headers);
        Fields::new(&outer).dress(both, standing(&outer, &[(100, left, Some(1))]).into_iter()).put_on(&mut headers);
        assert_eq!(headers.get_all("ratelimit").iter().count(), 2);
        assert_eq!(headers.get_all("ratelimit-policy").iter().count(), 2);
        assert_eq!(headers.get_all("x-ratelimit-limit").iter().collect::<Vec<_>>(), [want]);
    }
    let mut headers = HeaderMap::new();
    headers.insert("x-ratelimit-remaining", HeaderValue::from_static("soon"));
    Fields::new(&inner).dress(LEGACY, standing(&inner, &[(10, 2, None)]).into_iter()).put_on(&mut headers);
    assert_eq!(headers["x-ratelimit-remaining"], "2", "what is no number tells nothing");
}

#[test]
fn no_standing_contradicts_the_time_that_a_response_says_to_come_back() {
    let policies = [policy(Quota::per_minute(9), "site")];
    let fields = Fields::new(&policies);
    for (retry, is_told) in [("59", false), ("60", true), ("Fri, 31 Dec 1999 23:59:59 GMT", true)] {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, retry.parse().unwrap());
        fields.dress(STANDARD, standing(&policies, &[(9, 8, Some(60_000))]).into_iter()).put_on(&mut headers);
        assert_eq!(
            (headers.contains_key("ratelimit"), headers.contains_key("ratelimit-policy")),
            (is_told, true),
            "{retry}"
        );
    }
}

#[test]
fn who_passes_without_a_word_is_told_nothing() {
    assert!(worn(Dress::NONE).is_empty());
    let policies = [policy(Quota::per_second(1), "a")];
    let nothing = Told { standard: false, legacy: false };
    let standings = standing(&policies, &[(1, 0, Some(1))]);
    assert!(worn(Fields::new(&policies).dress(nothing, standings.into_iter())).is_empty());
}

proptest! {
    #[test]
    fn any_policies_make_valid_structured_fields(
        told in proptest::collection::vec(
            ("[ -~]{1,40}", 1..=Quota::MAX_LIMIT, 1u64..=315_619_200_000, any::<(u64, u64)>(), any::<Option<u64>>()),
            1..9,
        ),
    ) {
        let policies: Vec<Policy> = told
            .iter()
            .map(|(name, limit, window, ..)| policy(Quota::new(*limit, Duration::from_millis(*window)).unwrap(), name))
            .collect();
        let states: Vec<_> = told.iter().map(|(.., (limit, remaining), after)| (*limit, *remaining, *after)).collect();
        let both = Told { standard: true, legacy: true };
        let worn = worn(Fields::new(&policies).dress(both, standing(&policies, &states).into_iter()));
        let (described, stood) = (items(&worn["ratelimit-policy"]), items(&worn["ratelimit"]));
        prop_assert_eq!((described.len(), stood.len()), (told.len(), told.len()));
        const LARGEST: u64 = 999_999_999_999_999;
        for ((name, limit, window, (_, remaining), after), (policy, standing)) in told.iter().zip(described.iter().zip(&stood)) {
            prop_assert!(is_named(policy, name) && is_named(standing, name), "{} {:?} {:?}", name, policy, standing);
            prop_assert_eq!(parameter_of(policy, "q"), Some(*limit as i64));
            prop_assert_eq!(parameter_of(policy, "w"), Some(window.div_ceil(1_000) as i64));
            prop_assert_eq!(parameter_of(standing, "r"), Some((*remaining).min(LARGEST) as i64));
            let want = after.map(|after| after.div_ceil(1_000).clamp(1, LARGEST) as i64);
            prop_assert_eq!(parameter_of(standing, "t"), want);
            prop_assert!(policy.params.get("pk").is_none() && standing.params.get("pk").is_none());
        }
    }

    #[test]
    fn no_time_is_told_to_who_is_refused_that_is_later_than_the_time_to_retry(
        afters in proptest::collection::vec(proptest::option::of(0u64..100_000), 1..5),
        retry in proptest::option::of(proptest::option::of(0u64..100_000)),
        random: u32,
    ) {
        let policies: Vec<Policy> = (0..afters.len()).map(|i| policy(Quota::per_day(9), &i.to_string())).collect();
        let states: Vec<_> = afters.iter().map(|after| (9, 0, *after)).collect();
        let retry = retry.map(|retry| retry.map_or(Retry::Never, |wait| Retry::After(Duration::from_millis(wait))));
        let dress = Fields::new(&policies).dress_refusal(STANDARD, standing(&policies, &states).into_iter(), retry);
        let told = items(&worn(dress)["ratelimit"]);
        let waits = super::super::refusal::retry_after(retry.unwrap_or(Retry::After(Duration::ZERO)), random);
        for (item, after) in told.iter().zip(&afters) {
            let t = parameter_of(item, "t");
            if let Some(waits) = waits {
                prop_assert!(t.is_none_or(|t| t as u64 <= waits), "{:?} after {}", t, waits);
            }
            if let (Some(Retry::After(wait)), Some(after)) = (retry, after) {
                prop_assert_eq!(t.is_some(), Duration::from_millis(*after) <= wait);
            }
        }
    }
}
