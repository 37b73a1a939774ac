//! The length that a response states. RFC 9110, 8.6

use http::{HeaderMap, header};

use super::{list::members, number::decimal};

/// The length that a response states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// None.
    Unsaid,
    /// So many bytes.
    Bytes(u64),
    /// Something that is no number, or different numbers.
    Unclear,
}

/// Reads all `Content-Length` lines. The same number several times is that number.
pub(crate) fn stated(headers: &HeaderMap) -> Length {
    if !headers.contains_key(header::CONTENT_LENGTH) {
        return Length::Unsaid;
    }
    let mut numbers = members(headers, &header::CONTENT_LENGTH).map(decimal);
    match numbers.next().flatten() {
        Some(first) if numbers.all(|number| number == Some(first)) => Length::Bytes(first),
        _ => Length::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn different_numbers_are_none() {
        for (lines, want) in [
            (&[][..], Length::Unsaid),
            (&["5"], Length::Bytes(5)),
            (&["005"], Length::Bytes(5)),
            (&["5, 5", "5"], Length::Bytes(5)),
            (&["5, 6"], Length::Unclear),
            (&["5", "6"], Length::Unclear),
            (&["5", "x"], Length::Unclear),
            (&["-5"], Length::Unclear),
            (&[""], Length::Unclear),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::CONTENT_LENGTH, HeaderValue::from_static(line));
            }
            assert_eq!(stated(&headers), want, "{lines:?}");
        }
    }
}
