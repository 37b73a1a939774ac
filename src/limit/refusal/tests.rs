use proptest::prelude::*;
use smallvec::smallvec;

use super::*;

fn request(method: Method, media: Option<&str>) -> http::request::Parts {
    let mut builder = http::Request::builder().method(method);
    if let Some(media) = media {
        builder = builder.header(header::CONTENT_TYPE, media);
    }
    builder.body(()).unwrap().into_parts().0
}

fn exceeded<'a>(retry: Retry) -> Refusal<'a> {
    Refusal::exceeded(smallvec!["daily", "bandwidth"], Some(retry))
}

const SOON: Retry = Retry::After(Duration::from_millis(1));

#[test]
fn a_refusal_is_a_problem() {
    let response = exceeded(SOON).to(&(&request(Method::GET, None)).into()).respond();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert!(["1", "2"].contains(&response.headers()["retry-after"].to_str().unwrap()));
    assert_eq!(response.headers().len(), 3);
    let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    let want = serde_json::json!({
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Request cannot be satisfied as assigned quota has been exceeded",
        "status": 429,
        "violated-policies": ["daily", "bandwidth"],
    });
    assert_eq!(problem, want);
}

#[test]
fn counts_that_cannot_be_asked_are_a_503() {
    let refusal =
        Refusal::unavailable(smallvec!["hourly"]).to(&(&request(Method::POST, Some("application/json"))).into());
    assert_eq!((refusal.reason(), refusal.policies()), (Reason::Unavailable, &["hourly"][..]));
    let response = refusal.respond();
    assert_eq!(response.status(), 503);
    assert!(["5", "6"].contains(&response.headers()["retry-after"].to_str().unwrap()));
    let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity");
    assert_eq!(problem["violated-policies"], serde_json::json!(["hourly"]));
}

#[test]
fn head_is_told_as_get_is_without_the_body() {
    let [get, head] =
        [Method::GET, Method::HEAD].map(|method| exceeded(Retry::Never).to(&(&request(method, None)).into()).respond());
    assert_eq!((head.status(), head.body().len()), (get.status(), 0));
    assert_eq!(head.headers()["content-length"], get.body().len().to_string());
    assert_eq!(head.headers()["content-type"], get.headers()["content-type"]);
}

#[test]
fn what_is_never_allowed_has_no_time_to_retry() {
    let refusal = exceeded(Retry::Never);
    assert_eq!(refusal.retry_after(), None);
    assert!(!refusal.respond().headers().contains_key("retry-after"));
    let waited = Refusal::exceeded(smallvec!["a"], None).retry_after().unwrap();
    assert!((1..=2).contains(&waited.as_secs()), "a queue was full: {waited:?}");
}

#[test]
fn grpc_is_answered_in_the_head_alone() {
    for (media, answered) in [
        ("application/grpc", "application/grpc"),
        ("Application/GRPC+proto", "application/grpc"),
        ("application/grpc;x=y", "application/grpc"),
        ("application/grpc-web+proto", "application/grpc-web"),
        ("application/grpc-web-text", "application/grpc-web-text"),
    ] {
        let refusal = exceeded(SOON).to(&(&request(Method::POST, Some(media))).into());
        assert!(refusal.is_grpc(), "{media}");
        let response = refusal.respond();
        assert_eq!((response.status(), response.body().len()), (StatusCode::OK, 0), "{media}");
        assert_eq!(response.headers()["content-type"], answered, "{media}");
        assert_eq!(response.headers()["grpc-status"], "8", "{media}");
        assert!(response.headers().contains_key("grpc-message"), "{media}");
        let pushback = response.headers()["grpc-retry-pushback-ms"].to_str().unwrap();
        assert!(["1000", "2000"].contains(&pushback), "{media}: {pushback}");
    }
    for media in ["application/grpcx", "application/json", "application/grp", ""] {
        assert!(!exceeded(SOON).to(&(&request(Method::POST, Some(media))).into()).is_grpc(), "{media}");
    }
    let grpc = request(Method::POST, Some("application/grpc"));
    assert_eq!(exceeded(Retry::Never).to(&(&grpc).into()).respond().headers()["grpc-retry-pushback-ms"], "-1");
    assert_eq!(Refusal::unavailable(smallvec!["a"]).to(&(&grpc).into()).respond().headers()["grpc-status"], "14");
}

proptest! {
    #[test]
    fn the_time_to_retry_is_whole_late_enough_and_not_much_later(millis in 0u64..400_000_000_000, random: u32) {
        let wait = Duration::from_millis(millis);
        let told = retry_after(Retry::After(wait), random).unwrap();
        prop_assert!(told >= 1 && told >= millis.div_ceil(1_000));
        let earliest = millis.div_ceil(1_000).max(1);
        prop_assert!(told - earliest <= (earliest / 10).clamp(1, 60));
    }

    #[test]
    fn any_names_make_a_problem(names in proptest::collection::vec("[ -~]{1,60}", 1..12)) {
        let policies: Names<'_> = names.iter().map(String::as_str).collect();
        let response = Refusal::exceeded(policies, Some(SOON)).respond();
        let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        prop_assert_eq!(&problem["violated-policies"], &serde_json::json!(names));
    }
}

#[test]
fn those_who_come_back_are_spread() {
    let after = |wait, random| retry_after(Retry::After(Duration::from_secs(wait)), random).unwrap();
    for (wait, spread) in [(1, 1), (19, 1), (100, 10), (86_400, 60)] {
        let told: std::collections::BTreeSet<u64> = (0..1_000).map(|random| after(wait, random)).collect();
        assert_eq!(told.into_iter().collect::<Vec<_>>(), (wait..=wait + spread).collect::<Vec<_>>());
    }
    assert_eq!(retry_after(Retry::After(Duration::MAX), u32::MAX), Some(u64::MAX));
}
