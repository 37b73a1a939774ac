//! HTTP dates. RFC 9110, 5.6.7
//!
//! Strict in shape: only `GMT`, single spaces, two digits where two are due. Lenient in two ways: letters may have either
//! case, and the weekday need not be the one of that date (`httpdate` refuses both, hence a parser of our own). Every
//! form is read without allocating.

use std::time::{Duration, SystemTime};

use http::HeaderValue;

use super::list::trimmed;
use crate::clock::Timestamp;

/// Reads a date in any of the three forms. What lies before 1970 is 1970.
///
/// `now` tells the century of a year of two digits.
pub(crate) fn parse(value: &HeaderValue, now: Timestamp) -> Option<Timestamp> {
    let text = trimmed(value.as_bytes());
    let (weekday, rest) = text.split_at_checked(text.iter().position(|byte| matches!(byte, b',' | b' '))?)?;
    match rest {
        [b',', b' ', rest @ ..] if weekday.len() == 3 => imf_fixdate(weekday, rest),
        [b',', b' ', rest @ ..] => rfc850(weekday, rest, now),
        [b' ', rest @ ..] => asctime(weekday, rest),
        _ => None,
    }
}

/// Writes a date in the preferred form. What lies after the year 9999 is its last second.
pub(crate) fn format(time: Timestamp) -> HeaderValue {
    let time = time.min(Timestamp::from_secs(LAST_SECOND));
    HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::from(time))).expect("a formatted date is visible ASCII")
}

/// 31 December 9999, 23:59:59: `httpdate` panics beyond.
const LAST_SECOND: u64 = 253_402_300_799;

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(weekday: &[u8], rest: &[u8]) -> Option<Timestamp> {
    let [d1, d0, b' ', m2, m1, m0, b' ', y3, y2, y1, y0, b' ', time @ ..] = rest else {
        return None;
    };
    named(&WEEKDAYS, weekday, Spelling::Short)?;
    let year = two([*y3, *y2])? * 100 + two([*y1, *y0])?;
    moment(year, month([*m2, *m1, *m0])?, two([*d1, *d0])?, clock_gmt(time)?)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(weekday: &[u8], rest: &[u8], now: Timestamp) -> Option<Timestamp> {
    let [d1, d0, b'-', m2, m1, m0, b'-', y1, y0, b' ', time @ ..] = rest else {
        return None;
    };
    named(&WEEKDAYS, weekday, Spelling::Long)?;
    let (year, month, day) = (two([*y1, *y0])?, month([*m2, *m1, *m0])?, two([*d1, *d0])?);
    let seconds = clock_gmt(time)?;
    // More than 50 years ahead means the most recent past year with these two digits.
    let horizon = now.plus(Duration::from_secs(FIFTY_YEARS));
    let century = year_of(horizon) / 100 * 100;
    // 29 February may exist in one of the centuries only.
    moment(century + year, month, day, seconds)
        .filter(|time| *time <= horizon)
        .or_else(|| moment((century + year).checked_sub(100)?, month, day, seconds))
}

const FIFTY_YEARS: u64 = 50 * 31_556_952;

/// `Sun Nov  6 08:49:37 1994`
fn asctime(weekday: &[u8], rest: &[u8]) -> Option<Timestamp> {
    let [m2, m1, m0, b' ', d1, d0, b' ', time @ .., b' ', y3, y2, y1, y0] = rest else {
        return None;
    };
    named(&WEEKDAYS, weekday, Spelling::Short)?;
    let day = two([if *d1 == b' ' { b'0' } else { *d1 }, *d0])?;
    let year = two([*y3, *y2])? * 100 + two([*y1, *y0])?;
    moment(year, month([*m2, *m1, *m0])?, day, clock(time)?)
}

#[derive(Clone, Copy)]
enum Spelling {
    Short,
    Long,
}

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn named(names: &[&str], text: &[u8], spelling: Spelling) -> Option<usize> {
    names.iter().position(|name| {
        let name = match spelling {
            Spelling::Short => &name.as_bytes()[..3],
            Spelling::Long => name.as_bytes(),
        };
        name.eq_ignore_ascii_case(text)
    })
}

fn month(text: [u8; 3]) -> Option<u64> {
    named(&MONTHS, &text, Spelling::Short).map(|index| index as u64 + 1)
}

fn two([tens, ones]: [u8; 2]) -> Option<u64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| u64::from(tens - b'0') * 10 + u64::from(ones - b'0'))
}

fn clock_gmt(text: &[u8]) -> Option<u64> {
    let (time, zone) = text.split_at_checked(8)?;
    zone.eq_ignore_ascii_case(b" GMT").then(|| clock(time))?
}

/// `08:49:37` as seconds of the day; the last second may be a leap second.
fn clock(text: &[u8]) -> Option<u64> {
    let [h1, h0, b':', m1, m0, b':', s1, s0] = text else {
        return None;
    };
    let (hour, minute, second) = (two([*h1, *h0])?, two([*m1, *m0])?, two([*s1, *s0])?);
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

fn moment(year: u64, month: u64, day: u64, second_of_day: u64) -> Option<Timestamp> {
    let length = match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day == 0 || day > length {
        return None;
    }
    // Years begin in March here, so that the leap day is the last of a year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let seconds = days.checked_sub(DAYS_TO_1970).map(|days| days * 86_400 + second_of_day);
    Some(Timestamp::from_secs(seconds.unwrap_or(0)))
}

/// From 1 March of the year 0.
const DAYS_TO_1970: u64 = 719_468;

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// Right but for a day around new year, which is near enough to choose a century by.
fn year_of(time: Timestamp) -> u64 {
    1970 + time.as_secs() / 31_556_952
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn read(text: &str) -> Option<u64> {
        parse(&HeaderValue::from_bytes(text.as_bytes()).unwrap(), NOW).map(Timestamp::as_secs)
    }

    #[test]
    fn the_three_forms_are_one_moment() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun Nov 06 08:49:37 1994",
            "sUN, 06 nOV 1994 08:49:37 gmt",
            "sunday, 06-NOV-94 08:49:37 Gmt",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            " Sun, 06 Nov 1994 08:49:37 GMT\t",
        ] {
            assert_eq!(read(text), Some(784_111_777), "{text:?}");
        }
    }

    #[test]
    fn what_has_another_shape_is_no_date() {
        for text in [
            "",
            "0",
            "-1",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 AEST",
            "Sun, 06 Nov 1994 08:49:37 +0000",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun,06 Nov 1994 08:49:37 GMT",
            "Sun,  06 Nov 1994 08:49:37 GMT",
            "Sun, 06  Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Tue, 29 Feb 2023 08:49:37 GMT",
            "Son, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Now 1994 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sunday, 06 Nov 94 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov  6 08:49:37 94",
            "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_edges_of_time_are_read() {
        assert_eq!(read("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(read("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        assert_eq!(read("Mon, 01 Jan 1900 00:00:00 GMT"), Some(0), "before the epoch");
        assert_eq!(read("Sat, 01 Jan 0000 00:00:00 GMT"), None, "no year before");
        assert_eq!(read("Fri, 31 Dec 9999 23:59:59 GMT"), Some(LAST_SECOND));
        assert_eq!(read("Fri, 31 Dec 2016 23:59:60 GMT"), Some(1_483_228_800), "leap second");
        assert_eq!(format(Timestamp::from_millis(u64::MAX)), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn two_digits_of_a_year_lie_at_most_fifty_years_ahead() {
        for (text, year) in [
            ("Tuesday, 01-Jan-73 00:00:00 GMT", 2073),
            ("Tuesday, 01-Jan-74 00:00:00 GMT", 1974),
            ("Tuesday, 01-Jan-99 00:00:00 GMT", 1999),
            ("Tuesday, 01-Jan-00 00:00:00 GMT", 2000),
        ] {
            let want = moment(year, 1, 1, 0).map(Timestamp::as_secs);
            assert_eq!(read(text), want, "{text:?}");
        }
        let late = moment(2099, 6, 1, 0).unwrap();
        let text = HeaderValue::from_static("Tuesday, 01-Jan-01 00:00:00 GMT");
        assert_eq!(parse(&text, late), moment(2101, 1, 1, 0), "the next century");
        assert!(parse(&text, Timestamp::from_millis(u64::MAX)).is_some(), "the end of time");
    }

    #[test]
    fn httpdate_is_still_stricter_and_still_panics_beyond_the_last_second() {
        for text in ["sun, 06 nov 1994 08:49:37 gmt", "Mon, 06 Nov 1994 08:49:37 GMT"] {
            assert!(httpdate::parse_http_date(text).is_err(), "{text}");
        }
        let beyond = SystemTime::from(Timestamp::from_secs(LAST_SECOND + 1));
        assert!(std::panic::catch_unwind(|| httpdate::fmt_http_date(beyond)).is_err());
    }

    proptest! {
        #[test]
        fn a_date_survives_the_round_trip(secs in 0..=LAST_SECOND) {
            let time = Timestamp::from_secs(secs);
            prop_assert_eq!(parse(&format(time), NOW), Some(time));
        }

        #[test]
        fn what_httpdate_reads_is_read_alike(secs in 0..=LAST_SECOND) {
            let text = httpdate::fmt_http_date(SystemTime::from(Timestamp::from_secs(secs)));
            let want = httpdate::parse_http_date(&text).map(Timestamp::from).ok();
            prop_assert_eq!(parse(&HeaderValue::try_from(text).unwrap(), NOW), want);
        }

        #[test]
        fn any_bytes_are_read(text in proptest::collection::vec(any::<u8>(), 0..60), now in any::<u64>()) {
            if let Ok(value) = HeaderValue::from_bytes(&text) {
                parse(&value, Timestamp::from_millis(now));
            }
        }

        #[test]
        fn any_near_date_is_read(text in "(Sun|Sunday),? [0-9]{2}[- ]Feb[- ][0-9]{2,4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT") {
            read(&text);
        }
    }
}
