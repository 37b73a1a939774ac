use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn at(offset: i64) -> String {
    let time = Timestamp::from_secs(NOW.as_secs().saturating_add_signed(offset));
    date::format(time).to_str().unwrap().to_owned()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn age_is_the_first_integer_or_nothing() {
    for (lines, want) in [
        (&["7"][..], secs(7)),
        (&["7, 0"], secs(7)),
        (&["0, 7"], secs(0)),
        (&["7", "0"], secs(7)),
        (&["0", "7"], secs(0)),
        (&["abc"], secs(0)),
        (&["-7"], secs(0)),
        (&["7.0"], secs(0)),
        (&["7;a=1"], secs(0)),
        (&["2147483649"], LONGEST),
        (&["99999999999999999999999"], LONGEST),
        (&[], secs(0)),
    ] {
        let headers = headers(&lines.iter().map(|line| ("age", *line)).collect::<Vec<_>>());
        assert_eq!(initial_age(&headers, NOW, NOW), want, "{lines:?}");
    }
}

#[test]
fn the_longer_of_apparent_and_corrected_age_counts() {
    let (old, young) = (at(-100), at(100));
    let asked = NOW.minus(secs(3));
    for (fields, want) in [
        (&[][..], 3),
        (&[("date", &*old)], 100),
        (&[("date", &*young)], 3),
        (&[("date", "yesterday")], 3),
        (&[("date", &*old), ("date", &*old)], 3),
        (&[("age", "50")], 53),
        (&[("date", &*old), ("age", "50")], 100),
        (&[("date", &*old), ("age", "99")], 102),
    ] {
        assert_eq!(initial_age(&headers(fields), asked, NOW), secs(want), "{fields:?}");
    }
    let later = NOW.plus(Duration::from_millis(999));
    assert_eq!(initial_age(&headers(&[("date", &at(0))]), later, later), secs(0), "a fraction is no age");
    assert_eq!(initial_age(&headers(&[]), NOW, asked), secs(0), "the clock stepped back");
}

#[test]
fn a_stated_lifetime_is_s_maxage_then_max_age_then_expires() {
    let (future, past, date) = (at(300), at(-300), at(-100));
    for (fields, want) in [
        (&[("cache-control", "max-age=1, s-maxage=2"), ("expires", &*future)][..], Some(2)),
        (&[("cache-control", "s-maxage=1"), ("cache-control", "max-age=2")], Some(1)),
        (&[("cache-control", "max-age=1"), ("expires", &*future)], Some(1)),
        (&[("cache-control", "max-age=9"), ("expires", "0")], Some(9)),
        (&[("cache-control", "max-age=0"), ("expires", &*future)], Some(0)),
        (&[("expires", &*future)], Some(300)),
        (&[("expires", &*future), ("date", &*date)], Some(400)),
        (&[("expires", &*future), ("date", "invalid")], Some(300)),
        (&[("expires", &*past)], Some(0)),
        (&[("expires", "0")], Some(0)),
        (&[("expires", &*future), ("expires", &*future)], Some(0)),
        (&[("cache-control", "public")], None),
        (&[], None),
    ] {
        let headers = headers(fields);
        let got = explicit_lifetime(&ResponseControl::parse(&headers), &headers, NOW);
        assert_eq!(got, want.map(secs), "{fields:?}");
    }
}

#[test]
fn a_guess_needs_a_status_or_public() {
    let modified = at(-1000);
    let bare = headers(&[("last-modified", &modified)]);
    let guess = |status: u16, control: &ResponseControl, headers: &HeaderMap| {
        heuristic_lifetime(StatusCode::from_u16(status).unwrap(), control, headers, NOW)
    };
    let silent = ResponseControl::default();
    for status in [200, 203, 204, 404, 405, 410, 414, 501] {
        assert_eq!(guess(status, &silent, &bare), Some(secs(100)), "{status}");
    }
    let public = ResponseControl { public: true, ..ResponseControl::default() };
    for status in [201, 202, 206, 302, 403, 502, 503, 504, 599] {
        assert_eq!(guess(status, &silent, &bare), None, "{status}");
        assert_eq!(guess(status, &public, &bare), Some(secs(100)), "{status}, public");
    }
    assert_eq!(guess(200, &silent, &headers(&[("last-modified", &at(-100_000_000))])), Some(LONGEST_GUESS));
    assert_eq!(guess(200, &silent, &headers(&[("last-modified", &at(10))])), None, "from the future");
    assert_eq!(guess(200, &silent, &headers(&[])), None);
}

proptest! {
    #[test]
    fn age_grows_with_the_delay(age in any::<u64>(), delay in any::<u64>(), more in any::<u64>()) {
        let headers = headers(&[("age", &age.to_string())]);
        let span = |millis| initial_age(&headers, Timestamp::from_millis(0), Timestamp::from_millis(millis));
        prop_assert!(span(delay) <= span(delay.saturating_add(more)));
    }

    #[test]
    fn any_values_are_read(value in proptest::collection::vec(any::<u8>(), 0..40), now in any::<u64>()) {
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            let mut headers = HeaderMap::new();
            for name in [header::AGE, header::DATE, header::EXPIRES, header::LAST_MODIFIED] {
                headers.insert(name, value.clone());
            }
            let now = Timestamp::from_millis(now);
            initial_age(&headers, now, now);
            explicit_lifetime(&ResponseControl::default(), &headers, now);
            heuristic_lifetime(StatusCode::OK, &ResponseControl::default(), &headers, now);
        }
    }
}
