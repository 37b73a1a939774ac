use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const OLD: &str = "Sun, 06 Nov 1994 08:48:37 GMT";
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn of_ten(range: &str) -> Extent {
    extent(&headers(&[("range", range)]), &HeaderMap::new(), 10, NOW)
}

#[test]
fn a_single_range_is_cut_to_the_body() {
    for (range, want) in [
        ("bytes=0-0", Extent::Part(0..1)),
        ("bytes=2-4", Extent::Part(2..5)),
        ("Bytes = 2-4 ", Extent::Part(2..5)),
        ("bytes=2-", Extent::Part(2..10)),
        ("bytes=2-99999999999999999999999", Extent::Part(2..10)),
        ("bytes=-3", Extent::Part(7..10)),
        ("bytes=-99", Extent::Part(0..10)),
        ("bytes=9-9", Extent::Part(9..10)),
        ("bytes=10-", Extent::Unsatisfiable),
        ("bytes=99999999999999999999999-", Extent::Unsatisfiable),
        ("bytes=-0", Extent::Unsatisfiable),
        ("bytes=0-1,", Extent::Part(0..2)),
        ("bytes=10-, 0-1, -0", Extent::Part(0..2)),
        ("bytes=10-,11-12", Extent::Unsatisfiable),
    ] {
        assert_eq!(of_ten(range), want, "{range}");
    }
}

#[test]
fn several_ranges_come_as_asked() {
    for (range, want) in [
        ("bytes=0-1,3-4", &[0..2, 3..5][..]),
        ("bytes=-1 ,\t,0-0", &[9..10, 0..1]),
        ("bytes=0-1,2-3,4-", &[0..2, 2..4, 4..10]),
        ("bytes=0-0,1-1,10-,3-3,4-4,5-5,6-6,7-7", &[0..1, 1..2, 3..4, 4..5, 5..6, 6..7, 7..8]),
    ] {
        assert_eq!(of_ten(range), Extent::Parts(want.to_vec()), "{range}");
    }
}

#[test]
fn malformed_and_greedy_ranges_get_the_whole() {
    for range in [
        "bytes=0-1,1-2",
        "bytes=5-,0-1,-5",
        "bytes=0-1,3",
        "bytes=0-1,4-2",
        "bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8",
        "bytes=,",
        "bytes=4-2",
        "bytes=-",
        "bytes=",
        "bytes",
        "bytes=a-b",
        "bytes=0--1",
        "bytes=+1-2",
        "bytes=1 - 2",
        "lines=0-1",
        "0-1",
        "",
    ] {
        assert_eq!(of_ten(range), Extent::Whole, "{range}");
    }
    let twice = headers(&[("range", "bytes=0-1"), ("range", "bytes=0-1")]);
    assert_eq!(extent(&twice, &HeaderMap::new(), 10, NOW), Extent::Whole);
    assert_eq!(extent(&HeaderMap::new(), &HeaderMap::new(), 10, NOW), Extent::Whole);
}

#[test]
fn an_empty_body_has_no_range() {
    for range in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
        let got = extent(&headers(&[("range", range)]), &HeaderMap::new(), 0, NOW);
        assert_eq!(got, Extent::Unsatisfiable, "{range}");
    }
}

#[test]
fn if_range_must_name_the_stored_response_exactly() {
    let dated = [("last-modified", OLD), ("date", DATE)];
    for (condition, stored, want) in [
        (r#""a""#, &[("etag", r#""a""#)][..], Extent::Part(0..1)),
        (r#""b""#, &[("etag", r#""a""#)], Extent::Whole),
        (r#"W/"a""#, &[("etag", r#"W/"a""#)], Extent::Whole),
        (r#""a""#, &dated, Extent::Whole),
        (OLD, &dated, Extent::Part(0..1)),
        (DATE, &dated, Extent::Whole),
        (DATE, &[("last-modified", DATE), ("date", DATE)], Extent::Whole),
        ("junk", &dated, Extent::Whole),
        ("junk", &[], Extent::Whole),
    ] {
        let asked = headers(&[("range", "bytes=0-0"), ("if-range", condition)]);
        assert_eq!(extent(&asked, &headers(stored), 10, NOW), want, "{condition} of {stored:?}");
    }
}

#[test]
fn content_ranges_are_written_as_first_and_last() {
    assert_eq!(content_range(&(2..5), 10), "bytes 2-4/10");
    assert_eq!(content_range(&(0..u64::MAX), u64::MAX), "bytes 0-18446744073709551614/18446744073709551615");
}

#[test]
fn a_416_is_not_to_be_kept_in_the_place_of_the_response() {
    let stored = headers(&[
        ("age", "1"),
        ("cache-control", "max-age=60"),
        ("cdn-cache-control", "max-age=600"),
        ("surrogate-control", "max-age=600"),
        ("expires", DATE),
        ("date", DATE),
        ("etag", r#""a""#),
        ("content-type", "text/plain"),
        ("content-encoding", "gzip"),
        ("content-length", "10"),
        ("access-control-allow-origin", "*"),
        ("vary", "origin"),
    ]);
    let want = headers(&[
        ("date", DATE),
        ("access-control-allow-origin", "*"),
        ("vary", "origin"),
        ("content-length", "0"),
        ("content-range", "bytes */10"),
    ]);
    assert_eq!(unsatisfied(&stored, 10), want);
}

proptest! {
    #[test]
    fn a_part_lies_within_the_body(range in "bytes=[0-9]{0,22}-[0-9]{0,22}", length in any::<u64>()) {
        if let Extent::Part(part) = extent(&headers(&[("range", &range)]), &HeaderMap::new(), length, NOW) {
            prop_assert!(part.start < part.end && part.end <= length);
        }
    }

    #[test]
    fn parts_lie_within_the_body_and_apart(range in "bytes=[0-9]{0,2}-[0-9]{0,2}(,[0-9]{0,2}-[0-9]{0,2}){1,9}", length in 0..100u64) {
        if let Extent::Parts(parts) = extent(&headers(&[("range", &range)]), &HeaderMap::new(), length, NOW) {
            let mut taken = vec![0; length as usize];
            for part in &parts {
                prop_assert!(part.start < part.end && part.end <= length);
                taken[part.start as usize..part.end as usize].iter_mut().for_each(|times| *times += 1);
            }
            prop_assert!((2..=8).contains(&parts.len()) && taken.iter().all(|times| *times < 2));
        }
    }

    #[test]
    fn any_range_is_read(range in proptest::collection::vec(any::<u8>(), 0..40), length in any::<u64>()) {
        if let Ok(range) = HeaderValue::from_bytes(&range) {
            let asked = HeaderMap::from_iter([(header::RANGE, range.clone()), (header::IF_RANGE, range)]);
            extent(&asked, &HeaderMap::new(), length, NOW);
        }
    }
}
