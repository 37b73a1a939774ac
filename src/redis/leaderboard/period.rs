//! Stretches of time for which scores count.

use std::sync::Arc;

use crate::{clock::Timestamp, error::Error, redis::name::checked};

/// A stretch of time, in UTC, for which scores count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Ever,
    Day,
    Week,
    Season { name: Arc<str>, from: Timestamp, until: Timestamp },
}

/// One of a period's stretches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// As it is called in keys.
    pub(super) label: String,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    /// Whether another follows it at once.
    pub(super) recurs: bool,
    pub(super) ends: bool,
}

const DAY: u64 = 24 * 3600 * 1000;

/// The largest number that Lua tells from its successor, beyond all dates.
const NEVER: Timestamp = Timestamp::from_millis((1 << 53) - 1);

// === impl Period ===

impl Period {
    /// All the time there is.
    pub const EVER: Self = Self(Kind::Ever);

    /// From midnight to midnight.
    pub const DAY: Self = Self(Kind::Day);

    /// From Monday to Sunday.
    pub const WEEK: Self = Self(Kind::Week);

    /// From the first moment up to and without the second. What is written before or after does not count.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when it ends before it begins, or when the name is empty, longer than
    /// 200 bytes, or has braces or control characters.
    pub fn season(name: &str, from: Timestamp, until: Timestamp) -> Result<Self, Error> {
        let name = checked("a season", name)?;
        if from >= until || until > NEVER {
            return Err(Error::invalid(&format!("the season {name:?} begins before it ends, and ends before 2^53 ms")));
        }
        Ok(Self(Kind::Season { name: name.into(), from, until }))
    }

    /// The stretch that `now` lies in, or the one so many before it. A season has one.
    pub(super) fn stretch(&self, now: Timestamp, ago: u32) -> Stretch {
        let day = now.as_millis() / DAY;
        match &self.0 {
            Kind::Ever => Stretch {
                label: "ever".to_owned(),
                from: Timestamp::default(),
                until: NEVER,
                recurs: false,
                ends: false,
            },
            Kind::Day => days("day", day.saturating_sub(ago.into()), 1),
            // The epoch was a Thursday.
            Kind::Week => {
                let monday = (day + 3) / 7 * 7;
                days("week", monday.saturating_sub(u64::from(ago) * 7).max(7) - 3, 7)
            }
            Kind::Season { name, from, until } => {
                Stretch { label: format!("season-{name}"), from: *from, until: *until, recurs: false, ends: true }
            }
        }
    }
}

/// So many days from `first` on.
fn days(name: &str, first: u64, count: u64) -> Stretch {
    let (year, month, day) = date(first);
    Stretch {
        label: format!("{name}-{year:04}-{month:02}-{day:02}"),
        from: Timestamp::from_millis(first.saturating_mul(DAY)),
        until: Timestamp::from_millis(first.saturating_add(count).saturating_mul(DAY)),
        recurs: true,
        ends: true,
    }
}

/// The Gregorian date so many days after the epoch. Years are counted from March, so that the leap day is the last; 400 of them
/// have 146 097 days.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn secs(date: &str) -> Timestamp {
        httpdate::parse_http_date(date).unwrap().into()
    }

    #[test]
    fn a_week_begins_on_monday() {
        let saturday = secs("Sat, 21 Nov 2026 18:00:00 GMT");
        let week = Period::WEEK.stretch(saturday, 0);
        assert_eq!((week.label.as_str(), week.from), ("week-2026-11-16", secs("Mon, 16 Nov 2026 00:00:00 GMT")));
        assert_eq!(week.until.since(week.from), Duration::from_secs(7 * 24 * 3600));
        assert_eq!(Period::WEEK.stretch(week.from, 0), week);
        assert_eq!(Period::WEEK.stretch(week.until, 1), week);
        assert_eq!(Period::WEEK.stretch(saturday, 1).label, "week-2026-11-09");
        assert_eq!(Period::DAY.stretch(saturday, 21).label, "day-2026-10-31");
    }

    #[test]
    fn a_season_that_ends_before_it_begins_is_refused() {
        let (early, late) = (Timestamp::from_secs(1), Timestamp::from_secs(2));
        assert!(Period::season("one", early, late).is_ok());
        for (name, from, until) in [("one", late, early), ("one", early, early), ("a{b", early, late)] {
            assert!(Period::season(name, from, until).unwrap_err().is_invalid());
        }
    }

    proptest! {
        #[test]
        fn the_calendar_is_everybody_elses(secs in 0_u64..253_402_300_800) {
            let now = Timestamp::from_secs(secs);
            let stretch = Period::DAY.stretch(now, 0);
            let text = httpdate::fmt_http_date(now.into());
            let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
            let month = months.iter().position(|month| *month == &text[8..11]).unwrap() + 1;
            prop_assert_eq!(stretch.label, format!("day-{}-{month:02}-{}", &text[12..16], &text[5..7]));
            prop_assert!(stretch.from <= now && now < stretch.until);

            let week = Period::WEEK.stretch(now, 0);
            if secs > 7 * 24 * 3600 {
                prop_assert!(httpdate::fmt_http_date(week.from.into()).starts_with("Mon, "));
                prop_assert!(week.from <= now && now < week.until);
                prop_assert_eq!(Period::WEEK.stretch(week.from, 1).until, week.from);
            }
        }

        #[test]
        fn no_moment_is_too_late_for_it(millis: u64, ago: u32) {
            for period in [Period::EVER, Period::DAY, Period::WEEK] {
                let stretch = period.stretch(Timestamp::from_millis(millis), ago);
                prop_assert!(stretch.from <= stretch.until);
            }
        }
    }
}
