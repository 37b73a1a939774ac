//! Comma-separated lists, over all lines of a field.

use http::{HeaderMap, HeaderName};

/// The members of all lines of the field `name`, in order, without surrounding whitespace. Empty members are skipped.
///
/// A comma within a quoted string separates nothing.
pub(crate) fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().flat_map(|line| Members::of(line.as_bytes()))
}

/// The members of one line.
#[derive(Clone, Debug)]
pub(crate) struct Members<'a> {
    rest: &'a [u8],
    quotes: Quotes,
}

/// What a quotation mark means on the rest of this line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    /// It opens a quoted string.
    Open,
    /// One was found that nothing closes. From there on they are ordinary characters: otherwise one stray mark would
    /// hide every directive behind it, and each of many would read the line to its end again.
    Ordinary,
}

// === impl Members ===

impl<'a> Members<'a> {
    /// The members of `line`.
    pub(crate) fn of(line: &'a [u8]) -> Self {
        Self { rest: line, quotes: Quotes::Open }
    }

    /// The members with the empty ones among them, for a line that may not be a list at all.
    pub(crate) fn with_empty(mut self) -> impl Iterator<Item = &'a [u8]> {
        let mut is_done = false;
        std::iter::from_fn(move || {
            let end = (!is_done).then(|| self.end_of_member())?;
            let (member, rest) = self.rest.split_at(end);
            is_done = rest.is_empty();
            self.rest = rest.get(1..).unwrap_or_default();
            Some(trimmed(member))
        })
    }

    fn end_of_member(&mut self) -> usize {
        let mut at = 0;
        while let Some(byte) = self.rest.get(at) {
            match byte {
                b',' => break,
                b'"' if self.quotes == Quotes::Open => match closing_quote(&self.rest[at + 1..]) {
                    Some(inside) => at += inside + 2,
                    None => {
                        self.quotes = Quotes::Ordinary;
                        at += 1;
                    }
                },
                _ => at += 1,
            }
        }
        at
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let (member, rest) = self.rest.split_at(self.end_of_member());
            self.rest = rest.get(1..).unwrap_or_default();
            let member = trimmed(member);
            if !member.is_empty() {
                return Some(member);
            }
        }
        None
    }
}

/// Where the quoted string that was opened just before `text` ends, if it does. RFC 9110, 5.6.4
pub(crate) fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// `text` without the spaces and tabs around it.
pub(crate) fn trimmed(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn split(line: &[u8]) -> Vec<&[u8]> {
        Members::of(line).collect()
    }

    #[test]
    fn commas_separate_except_within_quotes() {
        for (line, want) in [
            ("", vec![]),
            (" , ,\t,", vec![]),
            ("a,b ,\tc", vec!["a", "b", "c"]),
            (r#"x="a, b", c"#, vec![r#"x="a, b""#, "c"]),
            (r#"x="a\", b", c"#, vec![r#"x="a\", b""#, "c"]),
            (r#"x="a\\", b"#, vec![r#"x="a\\""#, "b"]),
        ] {
            assert_eq!(split(line.as_bytes()), want.iter().map(|it| it.as_bytes()).collect::<Vec<_>>(), "{line:?}");
        }
    }

    #[test]
    fn a_quote_that_nothing_closes_hides_nothing() {
        assert_eq!(split(br#"x="a, no-store"#), [&b"x=\"a"[..], b"no-store"]);
    }

    #[test]
    fn escaped_quotes_without_end_are_read_once() {
        let line = br#"\","#.repeat(200_000);
        assert_eq!(Members::of(&[b"\"", &line[..]].concat()).count(), 200_000);
    }

    #[test]
    fn empty_members_are_skipped_unless_asked_for() {
        for (line, want) in
            [("", vec![""]), ("a", vec!["a"]), (",", vec!["", ""]), ("a ,, \",\"", vec!["a", "", "\",\""])]
        {
            let got: Vec<_> = Members::of(line.as_bytes()).with_empty().collect();
            assert_eq!(got, want.iter().map(|it| it.as_bytes()).collect::<Vec<_>>(), "{line:?}");
        }
    }

    #[test]
    fn lines_follow_each_other() {
        let mut headers = HeaderMap::new();
        for line in ["a, b", "", "c"] {
            headers.append("x", HeaderValue::from_static(line));
        }
        let got: Vec<_> = members(&headers, &HeaderName::from_static("x")).collect();
        assert_eq!(got, [b"a", b"b", b"c"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_split_into_their_own_parts(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut length = 0;
            for member in split(&line) {
                prop_assert!(!member.is_empty());
                prop_assert_eq!(trimmed(member), member);
                length += member.len();
            }
            prop_assert!(length <= line.len());
        }
    }
}
