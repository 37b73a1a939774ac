//! Which groups a response is in, and which it ends. RFC 9875

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{BareItem, List, ListEntry, Parser};

/// The groups that a response is in. RFC 9875, 2
pub(crate) const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");

/// The groups that the response to an unsafe request makes invalid. RFC 9875, 3
pub(crate) const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// The members of the field `name`, a list of strings; none if it is not that. Parameters are ignored.
///
/// There is no limit to their number or length beyond that of the head itself, which is kept too: what is left out of a
/// response's groups would outlive their end.
pub(crate) fn named(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return Vec::new();
    }
    // RFC 9651, 4.2: what cannot be parsed, or has another type than the field, is ignored as a whole.
    let list = Parser::new(&lines.join(&b", "[..])).parse::<List>().unwrap_or_default();
    list.into_iter().map(string).collect::<Option<_>>().unwrap_or_default()
}

fn string(member: ListEntry) -> Option<String> {
    match member {
        ListEntry::Item(item) => match item.bare_item {
            BareItem::String(text) => Some(text.into()),
            _ => None,
        },
        ListEntry::InnerList(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn groups(lines: &[&[u8]]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_GROUPS, HeaderValue::from_bytes(line).unwrap());
        }
        named(&headers, &CACHE_GROUPS)
    }

    #[test]
    fn a_list_of_strings_names_groups() {
        for (lines, want) in [
            (&[][..], &[][..]),
            (&[""], &[]),
            (&[r#""scripts""#], &["scripts"]),
            (&[r#""a", "b";revalidate, "a""#], &["a", "b", "a"]),
            (&[r#""a""#, r#"  "b"  "#], &["a", "b"]),
            (&[r#""a, b", "\"\\", """#], &["a, b", r#""\"#, ""]),
            (&[r#""A""#, r#""a""#], &["A", "a"]),
        ] {
            let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(groups(&lines), want, "{lines:?}");
        }
    }

    #[test]
    fn what_is_no_list_of_strings_names_none() {
        for line in [
            &b"scripts"[..],
            b"\"a\", scripts",
            b"\"a\", 1",
            b"\"a\", (\"b\")",
            b"\"a\"; =",
            b"\"a\",",
            b"\"a",
            b"'a'",
            b":YQ==:",
            b"\"\xc3\xa4\"",
            b"%\"a\"",
        ] {
            assert_eq!(groups(&[line]), [""; 0], "{}", String::from_utf8_lossy(line));
        }
        assert_eq!(groups(&[b"\"a\"", b"b"]), [""; 0], "lines are one field");
    }

    // RFC 9875, 2 and 3: at least 32 of at least 32 characters
    #[test]
    fn many_long_groups_are_all_named() {
        let names: Vec<String> = (0..200).map(|number| format!("{number:0>100}")).collect();
        let line = names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        assert_eq!(groups(&[line.as_bytes()]), names);
    }

    proptest! {
        #[test]
        fn any_text_of_visible_characters_is_read_as_it_was_written(names in prop::collection::vec("[ -~]{0,40}", 1..40)) {
            let quoted = |name: &String| format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
            let line = names.iter().map(quoted).collect::<Vec<_>>().join(", ");
            prop_assert_eq!(groups(&[line.as_bytes()]), names);
        }
    }
}
