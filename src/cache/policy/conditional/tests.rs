use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const OLD: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const YOUNG: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn unchanged(asked: &[(&'static str, &str)], stored: &[(&'static str, &str)]) -> bool {
    answer(&Method::GET, &headers(asked), StatusCode::OK, &headers(stored), NOW) == Answer::NotModified
}

#[test]
fn if_none_match_compares_weakly_over_lists() {
    for (asked, stored, want) in [
        (r#""a""#, r#""a""#, true),
        (r#"W/"a""#, r#""a""#, true),
        (r#""a""#, r#"W/"a""#, true),
        (r#"W/"a""#, r#"W/"a""#, true),
        (r#""b""#, r#""a""#, false),
        (r#""a","b" , W/"c""#, r#""a""#, true),
        (r#""a","b" , W/"c""#, r#""b""#, true),
        (r#""a","b" , W/"c""#, r#""c""#, true),
        (r#""a", "b""#, r#""d""#, false),
        (r#""x,y""#, r#""x,y""#, true),
        (r#""x,y""#, r#""y""#, false),
        (r#""a\", "b""#, r#""b""#, true),
        (r#""a\""#, r#""a\""#, true),
        (r#""é""#, r#""é""#, true),
        (r#""""#, r#""""#, true),
        ("*", r#""a""#, true),
        (" * ", r#""a""#, true),
        (r#"junk, "a""#, r#""a""#, true),
        (r#"junk "a""#, r#""a""#, false),
        ("a", r#""a""#, false),
        (r#""a""#, "a", false),
        (r#"w/"a""#, r#""a""#, false),
        (r#""a"#, r#""a""#, false),
        ("", r#""a""#, false),
    ] {
        assert_eq!(unchanged(&[("if-none-match", asked)], &[("etag", stored)]), want, "{asked} of {stored}");
    }
    assert!(unchanged(&[("if-none-match", r#""b""#), ("if-none-match", r#""a""#)], &[("etag", r#""a""#)]));
    assert!(unchanged(&[("if-none-match", "*")], &[]), "anything stored is something");
    assert!(!unchanged(&[("if-none-match", r#""a""#)], &[]));
}

#[test]
fn if_modified_since_compares_with_last_modified_else_date() {
    for (since, stored, want) in [
        (DATE, &[("last-modified", DATE), ("date", YOUNG)][..], true),
        (YOUNG, &[("last-modified", DATE)], true),
        (OLD, &[("last-modified", DATE)], false),
        ("Sunday, 06-Nov-94 08:49:37 GMT", &[("last-modified", DATE)], true),
        (DATE, &[("date", DATE)], true),
        (OLD, &[("date", DATE)], false),
        (DATE, &[("last-modified", "0"), ("date", DATE)], false),
        (DATE, &[("last-modified", OLD), ("last-modified", OLD)], false),
        ("yesterday", &[("last-modified", DATE)], false),
        (DATE, &[], false),
    ] {
        assert_eq!(unchanged(&[("if-modified-since", since)], stored), want, "{since}, {stored:?}");
    }
    let twice = [("if-modified-since", DATE), ("if-modified-since", DATE)];
    assert!(!unchanged(&twice, &[("last-modified", DATE)]));
}

#[test]
fn if_none_match_wins_over_if_modified_since() {
    let stored = [("etag", r#""a""#), ("last-modified", DATE)];
    assert!(!unchanged(&[("if-none-match", r#""b""#), ("if-modified-since", DATE)], &stored));
    assert!(unchanged(&[("if-none-match", r#""a""#), ("if-modified-since", OLD)], &stored));
    assert!(!unchanged(&[("if-none-match", "junk"), ("if-modified-since", DATE)], &stored));
}

#[test]
fn conditions_are_for_stored_successes_only() {
    let (asked, stored) = (headers(&[("if-none-match", "*")]), headers(&[]));
    for (method, status, want) in [
        (Method::GET, 200, Answer::NotModified),
        (Method::HEAD, 200, Answer::NotModified),
        (Method::POST, 200, Answer::Full),
        (Method::GET, 404, Answer::Full),
        (Method::GET, 301, Answer::Full),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(answer(&method, &asked, status, &stored, NOW), want, "{method} {status}");
    }
}

#[test]
fn a_304_carries_what_may_have_changed_and_no_more() {
    let kept = [
        ("etag", r#""a""#),
        ("cache-control", "max-age=1"),
        ("cache-control", "public"),
        ("content-location", "/a"),
        ("date", DATE),
        ("expires", DATE),
        ("vary", "accept"),
    ];
    let other = [("content-type", "text/plain"), ("content-length", "3"), ("last-modified", DATE), ("x-a", "1")];
    assert_eq!(not_modified(&headers(&[&kept[..], &other].concat())), headers(&kept));
    assert_eq!(not_modified(&headers(&other)), headers(&[("last-modified", DATE)]), "nothing better");
}

#[test]
fn our_conditions_replace_those_of_the_client() {
    let client = [
        ("accept", "text/html"),
        ("if-none-match", r#""theirs""#),
        ("if-modified-since", OLD),
        ("if-range", r#""theirs""#),
        ("range", "bytes=0-1"),
    ];
    for (stored, want) in [
        (
            &[("etag", r#"W/"ours""#), ("last-modified", DATE)][..],
            Some(&[("accept", "text/html"), ("if-none-match", r#"W/"ours""#), ("if-modified-since", DATE)][..]),
        ),
        (&[("last-modified", DATE)], Some(&[("accept", "text/html"), ("if-modified-since", DATE)])),
        (&[("etag", "unquoted"), ("last-modified", "0")], None),
        (&[], None),
    ] {
        let got = Validators::of(&headers(stored), NOW).map(|validators| {
            let mut asked = headers(&client);
            validators.write(&mut asked);
            asked
        });
        assert_eq!(got, want.map(headers), "{stored:?}");
    }
}

#[test]
fn strong_comparison_wants_two_strong_tags() {
    let tag = |text: &'static str| EntityTag::parse(text.as_bytes()).unwrap();
    assert!(tag(r#""a""#).strongly_equals(tag(r#""a""#)));
    assert!(!tag(r#"W/"a""#).strongly_equals(tag(r#""a""#)));
    assert!(!tag(r#"W/"a""#).strongly_equals(tag(r#"W/"a""#)));
    assert_eq!(EntityTag::parse(br#""a", "b""#), None, "not a list");
}

#[test]
fn ten_thousand_tags_are_compared() {
    let line = r#""a", junk, W/"b" ,"#.repeat(10_000);
    assert!(!unchanged(&[("if-none-match", &line)], &[("etag", r#""c""#)]));
    assert!(!unchanged(&[("if-none-match", &"W/\"".repeat(20_001))], &[("etag", r#""c""#)]));
}

proptest! {
    #[test]
    fn any_conditions_are_answered(
        asked in proptest::collection::vec(any::<u8>(), 0..60),
        stored in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        if let (Ok(asked), Ok(stored)) = (HeaderValue::from_bytes(&asked), HeaderValue::from_bytes(&stored)) {
            let stored = HeaderMap::from_iter([(header::ETAG, stored.clone()), (header::LAST_MODIFIED, stored)]);
            for name in [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE] {
                let asked = HeaderMap::from_iter([(name, asked.clone())]);
                answer(&Method::GET, &asked, StatusCode::OK, &stored, NOW);
            }
            Validators::of(&stored, NOW);
        }
    }

    #[test]
    fn a_tag_is_found_anywhere_in_a_list(
        before in proptest::collection::vec("(W/)?\"[a-z,\\\\]{0,3}\"", 0..4), tag in "\"[a-z,\\\\]{0,3}\"",
    ) {
        let mut list = before;
        list.push(tag.clone());
        prop_assert!(unchanged(&[("if-none-match", &list.join(","))], &[("etag", &tag)]));
    }
}
