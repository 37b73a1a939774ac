//! `Cache-Control` for some caches only: fields such as `CDN-Cache-Control`. RFC 9213
//!
//! They are Dictionaries of Structured Fields, and parsed as such: unlike `Cache-Control`, one mistake makes the whole field
//! as good as absent. A directive of the wrong type (`max-age="60"`, `max-age=1.5`) is no such mistake; it is read to the
//! caching side's loss, as everywhere here.

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, Item, ListEntry, Parser};

use super::control::{Argument, ResponseControl};

/// What a response says to a cache with this target list: the first of the fields that is valid and not empty, and
/// nothing else; without one, what `Cache-Control` says. RFC 9213, 2.2
pub(crate) fn control(headers: &HeaderMap, targets: &[HeaderName]) -> ResponseControl {
    let targeted = targets.iter().find_map(|name| dictionary(headers, name));
    targeted.map_or_else(|| ResponseControl::parse(headers), |directives| targeted_control(&directives))
}

/// All lines of the field, where they are a Dictionary with at least one member.
fn dictionary(headers: &HeaderMap, name: &HeaderName) -> Option<Dictionary> {
    let mut all = Dictionary::new();
    for line in headers.get_all(name) {
        Parser::new(line.as_bytes()).parse_dictionary_with_visitor(&mut all).ok()?;
    }
    (!all.is_empty()).then_some(all)
}

fn targeted_control(directives: &Dictionary) -> ResponseControl {
    let mut control = ResponseControl { targeted: true, ..ResponseControl::default() };
    for (name, value) in directives {
        let digits;
        let takes_names = matches!(name.as_str(), "no-cache" | "private");
        let argument = match value {
            ListEntry::Item(Item { bare_item: BareItem::Boolean(true), .. }) => Argument::Absent,
            // A flag that is set to false is not set.
            ListEntry::Item(Item { bare_item: BareItem::Boolean(false), .. }) => continue,
            ListEntry::Item(Item { bare_item: BareItem::Integer(number), .. }) if !takes_names => {
                digits = number.to_string();
                Argument::Text(digits.as_bytes())
            }
            // RFC 9213, 2.1: strings are for field names, never for numbers.
            ListEntry::Item(Item { bare_item: BareItem::String(text), .. }) if takes_names => {
                Argument::Text(text.as_str().as_bytes())
            }
            ListEntry::Item(_) | ListEntry::InnerList(_) => Argument::Malformed,
        };
        control.take(name.as_str().as_bytes(), argument);
    }
    control
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderValue, header};
    use proptest::prelude::*;

    use super::*;
    use crate::cache::policy::{control::Scope, number::LONGEST};

    const OWN: HeaderName = HeaderName::from_static("example-cache-control");

    fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
        fields.iter().map(|(name, line)| (name.clone(), HeaderValue::from_bytes(line.as_bytes()).unwrap())).collect()
    }

    fn lines(lines: &[&str]) -> HeaderMap {
        let mut headers = headers(&[(header::CACHE_CONTROL, "max-age=7")]);
        for line in lines {
            headers.append(header::CDN_CACHE_CONTROL, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers
    }

    fn read(line: &[&str]) -> ResponseControl {
        control(&lines(line), &[header::CDN_CACHE_CONTROL])
    }

    fn max_age(secs: u64) -> ResponseControl {
        let max_age = Some(Duration::from_secs(secs));
        ResponseControl { targeted: true, max_age, ..ResponseControl::default() }
    }

    #[test]
    fn one_mistake_makes_the_field_absent() {
        for line in [
            &[][..],
            &[""],
            &["  "],
            &["max-age=60, &&&&&"],
            &["max-age =60"],
            &["max-age= 60"],
            &["MaX-aGe=60"],
            &["max-age=60,"],
            &["max-age=60,,no-store"],
            &["max-age=9999999999999999"],
            &["max-age=60", "no-store &"],
            &["no-cache=\"set-cookie"],
            &["max-age=60, é"],
        ] {
            let fallback = ResponseControl { max_age: Some(Duration::from_secs(7)), ..ResponseControl::default() };
            assert_eq!(read(line), fallback, "{line:?}");
        }
    }

    #[test]
    fn directives_mean_what_they_mean_in_cache_control() {
        let own = || ResponseControl { targeted: true, ..ResponseControl::default() };
        for (line, want) in [
            (&["max-age=60"][..], max_age(60)),
            (&["foobar, max-age=60"], max_age(60)),
            (&["max-age=60;of=interest"], max_age(60)),
            (&["max-age=99999999999"], ResponseControl { max_age: Some(LONGEST), ..own() }),
            (&["foobar"], own()),
            (&["no-store", "public"], ResponseControl { no_store: true, public: true, ..own() }),
            (&["no-store=?0"], own()),
            (
                &["no-cache=\"set-cookie\""],
                ResponseControl { no_cache: Scope::Fields(vec![header::SET_COOKIE]), ..own() },
            ),
            (&["private"], ResponseControl { private: Scope::Whole, ..own() }),
            // Dictionaries have each key once, and the last of several counts (RFC 9651, 4.2.2).
            (&["max-age=60, max-age=90"], max_age(90)),
            (&["max-age=90", "max-age=60"], max_age(60)),
        ] {
            assert_eq!(read(line), want, "{line:?}");
        }
    }

    #[test]
    fn a_wrong_type_is_read_to_the_caching_sides_loss() {
        for line in [
            "max-age=\"60\"",
            "max-age=60.0",
            "max-age=-60",
            "max-age=sixty",
            "max-age",
            "max-age=(60)",
            "max-age=:YQ==:",
        ] {
            assert_eq!(read(&[line]), max_age(0), "{line:?}");
        }
        for line in ["private=set-cookie", "private=1", "private=(\"set-cookie\")"] {
            assert_eq!(read(&[line]).private, Scope::Whole, "{line:?}");
        }
        assert!(read(&["no-store=1"]).no_store);
    }

    #[test]
    fn the_first_valid_field_of_the_list_counts_alone() {
        let both = [(header::CDN_CACHE_CONTROL, "max-age=60"), (OWN, "max-age=90, public")];
        let list = [OWN, header::CDN_CACHE_CONTROL];
        assert_eq!(control(&headers(&both), &list), ResponseControl { public: true, ..max_age(90) });
        assert_eq!(control(&headers(&both[..1]), &list), max_age(60));
        let invalid = [both[0].clone(), (OWN, "no-store=")];
        assert_eq!(control(&headers(&invalid), &list), max_age(60));
        assert_eq!(control(&headers(&both), &[]), ResponseControl::default(), "who is not meant does not look");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_ignored(line in "[a-z=,;\"?0-9() -]{0,60}") {
            let found = read(&[&line]);
            prop_assert!(found.targeted || found.max_age == Some(Duration::from_secs(7)));
        }
    }
}
