//! Decimal numbers in fields, of any length.

use std::time::Duration;

/// The longest time a field can state. RFC 9111, 1.2.2: what is larger counts as 2^31 seconds, about 68 years.
pub(crate) const LONGEST: Duration = Duration::from_secs(1 << 31);

/// `1*DIGIT`; what does not fit is `u64::MAX`. `None` for anything else, a sign or a fraction included.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, byte| {
        byte.is_ascii_digit().then(|| sum.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
    })
}

/// `delta-seconds`, at most [`LONGEST`].
pub(crate) fn seconds(text: &[u8]) -> Option<Duration> {
    decimal(text).map(|secs| Duration::from_secs(secs).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_are_a_number() {
        for (text, want) in [
            ("0", Some(0)),
            ("003600", Some(3600)),
            ("18446744073709551615", Some(u64::MAX)),
            ("99999999999999999999999999", Some(u64::MAX)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            (" 1", None),
            ("'1'", None),
            ("1a", None),
        ] {
            assert_eq!(decimal(text.as_bytes()), want, "{text:?}");
        }
    }

    #[test]
    fn seconds_beyond_two_to_the_31_are_capped() {
        assert_eq!(seconds(b"2147483647"), Some(Duration::from_secs(2_147_483_647)));
        assert_eq!(seconds(b"2147483648"), Some(LONGEST));
        assert_eq!(seconds(b"99999999999"), Some(LONGEST));
    }
}
