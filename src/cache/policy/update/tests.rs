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
fn a_304_with_another_validator_speaks_of_another_response() {
    use Confirmed::{Another, Stored};
    const LONG_AGO: &str = "Sat, 05 Nov 1994 08:49:37 GMT";
    const MADE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (new, old, want) in [
        (&[][..], &[("etag", r#""a""#)][..], Stored),
        (&[("etag", r#""a""#)], &[("etag", r#""a""#)], Stored),
        (&[("etag", r#"W/"a""#)], &[("etag", r#""a""#)], Stored),
        (&[("etag", r#"W/"a""#)], &[("etag", r#"W/"a""#)], Stored),
        (&[("etag", r#"W/"a""#)], &[("last-modified", "x")], Stored),
        (&[("etag", r#""a""#), ("last-modified", "y")], &[("etag", r#""a""#), ("last-modified", "x")], Stored),
        (&[("last-modified", "x")], &[("last-modified", "x")], Stored),
        (&[("last-modified", "x")], &[("etag", r#""a""#)], Stored),
        (&[("etag", r#""b""#)], &[("etag", r#""a""#)], Another),
        (&[("etag", r#"W/"b""#)], &[("etag", r#""a""#)], Another),
        (&[("etag", r#""a""#)], &[("etag", r#"W/"a""#)], Another),
        (&[("etag", r#""a""#)], &[("last-modified", "x")], Another),
        (&[("last-modified", "y")], &[("last-modified", "x")], Another),
        // The origin makes entity tags by now, and the date is a strong validator too.
        (&[("etag", r#""a""#), ("last-modified", LONG_AGO)], &[("last-modified", LONG_AGO), ("date", MADE)], Stored),
        (&[("etag", r#""a""#), ("last-modified", MADE)], &[("last-modified", MADE), ("date", MADE)], Another),
        (&[("etag", r#""a""#), ("last-modified", MADE)], &[("last-modified", LONG_AGO), ("date", MADE)], Another),
        (&[("etag", r#""a""#)], &[("last-modified", LONG_AGO), ("date", MADE)], Another),
    ] {
        assert_eq!(confirms(&headers(new), &headers(old), NOW), want, "{new:?} of {old:?}");
    }
}

#[test]
fn a_200_to_head_speaks_of_what_has_its_validators_and_its_length() {
    use Confirmed::{Another, Stored, Unsaid};
    let both = &[("etag", r#""a""#), ("last-modified", "x")][..];
    for (new, old, want) in [
        (both, both, Stored),
        (&[("etag", r#""a""#)], both, Stored),
        (&[("last-modified", "x")], both, Stored),
        (&[("etag", r#""a""#), ("content-length", "10")], both, Stored),
        (&[("etag", r#"W/"a""#)], &[("etag", r#"W/"a""#)], Stored),
        (&[("etag", r#""b""#)], both, Another),
        (&[("etag", r#"W/"a""#)], both, Another),
        (&[("etag", r#""a""#), ("last-modified", "y")], both, Another),
        (&[("etag", r#""b""#), ("last-modified", "x")], both, Another),
        (&[("etag", r#""a""#)], &[("last-modified", "x")], Another),
        (&[("last-modified", "x")], &[("etag", r#""a""#)], Another),
        (&[("etag", r#""a""#), ("content-length", "11")], both, Another),
        (&[("etag", r#""a""#), ("content-length", "10, 11")], both, Another),
        (&[("content-length", "11")], &[], Another),
        (&[("content-length", "10")], both, Unsaid),
        (&[], both, Unsaid),
    ] {
        assert_eq!(confirms_head(&headers(new), &headers(old), 10), want, "{new:?} of {old:?}");
    }
}

#[test]
fn fields_of_a_304_replace_all_but_what_describes_the_body() {
    let stored = headers(&[
        ("date", "Sat, 05 Nov 1994 08:49:37 GMT"),
        ("etag", r#""a""#),
        ("cache-control", "max-age=1"),
        ("cache-control", "public"),
        ("content-length", "3"),
        ("content-type", "text/plain"),
        ("content-encoding", "gzip"),
        ("test-header", "A"),
        ("x-kept", "A"),
    ]);
    let not_modified = headers(&[
        ("cache-control", "max-age=3"),
        ("content-length", "0"),
        ("content-type", "text/html"),
        ("content-encoding", "br"),
        ("content-range", "bytes 0-1/3"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("test-header", "B"),
        ("content-foo", "B"),
        ("x-new", "1"),
        ("x-new", "2"),
        ("age", "7"),
    ]);
    let want = headers(&[
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("etag", r#""a""#),
        ("cache-control", "max-age=3"),
        ("content-length", "3"),
        ("content-type", "text/plain"),
        ("content-encoding", "gzip"),
        ("test-header", "B"),
        ("x-kept", "A"),
        ("content-foo", "B"),
        ("x-new", "1"),
        ("x-new", "2"),
        ("age", "7"),
    ]);
    assert_eq!(updated(&stored, &not_modified, NOW), want);
}

#[test]
fn maps_that_do_not_fit_into_one_are_merged_as_far_as_they_go() {
    let fields = |prefix: &str| {
        (0..20_000)
            .map(|index| (HeaderName::try_from(format!("{prefix}-{index}")).unwrap(), HeaderValue::from_static("1")))
            .collect::<HeaderMap>()
    };
    assert!(updated(&fields("x"), &fields("y"), NOW).len() > 20_000);
}

#[test]
fn the_date_of_the_304_counts_where_there_is_one() {
    let date = headers(&[("date", "Mon, 07 Nov 1994 08:49:37 GMT")]);
    assert_eq!(updated(&HeaderMap::new(), &date, NOW), date);
}
