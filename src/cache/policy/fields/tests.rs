use http::HeaderValue;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(784_111_777);

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn what_concerns_one_connection_is_not_stored() {
    let got = stored(
        &headers(&[
            ("connection", "close, X-Mine"),
            ("connection", "x-too, b@d"),
            ("x-mine", "1"),
            ("x-too", "1"),
            ("keep-alive", "1"),
            ("proxy-authenticate", "1"),
            ("proxy-authentication-info", "1"),
            ("proxy-authorization", "1"),
            ("proxy-connection", "1"),
            ("te", "1"),
            ("trailer", "1"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "1"),
            ("age", "1"),
            ("ratelimit", "\"default\";r=1"),
            ("x-ratelimit-limit", "5"),
            ("x-ratelimit-remaining", "1"),
            ("x-ratelimit-reset", "1"),
            ("x-other", "a"),
            ("x-other", "b"),
            ("x-secret", "1"),
            ("date", "whatever was sent"),
        ]),
        &[HeaderName::from_static("x-secret")],
        NOW,
    );
    assert_eq!(got, headers(&[("x-other", "a"), ("x-other", "b"), ("date", "whatever was sent")]));
}

#[test]
fn a_response_without_date_gets_one() {
    assert_eq!(stored(&HeaderMap::new(), &[], NOW), headers(&[("date", "Sun, 06 Nov 1994 08:49:37 GMT")]));
}

#[test]
fn a_full_map_is_stored() {
    let mut full = HeaderMap::new();
    let mut names = (0..).map(|index| HeaderName::try_from(format!("x-{index}")).unwrap());
    while full.try_insert(names.next().unwrap(), HeaderValue::from_static("1")).is_ok() {}
    assert_eq!(stored(&full, &[], NOW), full);
}
