use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn vary(lines: &[&str]) -> Vary {
    parse(&headers(&lines.iter().map(|line| ("vary", *line)).collect::<Vec<_>>()))
}

fn on(names: &[&'static str]) -> Vary {
    Vary::On(names.iter().map(|name| HeaderName::from_static(name)).collect())
}

fn encoded(names: &[&'static str], headers: &HeaderMap) -> Vec<u8> {
    encoded_as_seen(names, Seen { headers, ignored_headers: &[], ignored_cookies: &[], spelling: Spelling::Sent })
}

fn encoded_as_seen(names: &[&'static str], seen: Seen<'_>) -> Vec<u8> {
    let names: Vec<_> = names.iter().map(|name| HeaderName::from_static(name)).collect();
    let mut bytes = Vec::new();
    selecting(&names, seen, &mut |part| bytes.extend_from_slice(part));
    bytes
}

#[test]
fn names_are_sorted_without_case_or_repetition() {
    for (lines, want) in
        [(&[][..], on(&[])), (&[""], on(&[])), (&["Foo"], on(&["foo"])), (&["Foo, bar,", " ,FOO"], on(&["bar", "foo"]))]
    {
        assert_eq!(vary(lines), want, "{lines:?}");
    }
}

#[test]
fn a_star_anywhere_matches_nothing() {
    for lines in [
        &["*"][..],
        &["*, *"],
        &["*", "*"],
        &[", *"],
        &["", "*"],
        &["*, Foo"],
        &["Foo, *"],
        &["Foo", "*"],
        &["a b"],
        &["é"],
    ] {
        assert_eq!(vary(lines), Vary::Star, "{lines:?}");
    }
}

#[test]
fn too_many_names_are_a_star() {
    let list = |count: usize| (0..count).map(|index| format!("x-{index}, x-0")).collect::<Vec<_>>().join(",");
    assert!(matches!(vary(&[&list(MOST_NAMES)]), Vary::On(names) if names.len() == MOST_NAMES));
    assert_eq!(vary(&[&list(MOST_NAMES + 1)]), Vary::Star);
}

#[test]
fn requests_match_as_the_rfc_lets_them() {
    for (one, other, same) in [
        (&[][..], &[][..], true),
        (&[("foo", "")], &[], false),
        (&[("foo", "1")], &[("foo", "1")], true),
        (&[("foo", "1")], &[("foo", "2")], false),
        (&[("foo", "1")], &[], false),
        (&[("foo", "1")], &[("foo", " 1\t")], true),
        (&[("foo", "1"), ("foo", "2")], &[("foo", "1, 2")], true),
        (&[("foo", "1, 2")], &[("foo", "2, 1")], false),
        (&[("foo", "A")], &[("foo", "a")], false),
        (&[("foo", "1"), ("bar", "2")], &[("foo", "2"), ("bar", "1")], false),
        (&[("foo", "1")], &[("bar", "1")], false),
        (&[("foo", "1"), ("else", "2")], &[("foo", "1")], true),
        (&[("accept-language", "en, DE;q=1")], &[("accept-language", "EN,de; q=1")], true),
        (&[("accept-language", "en"), ("accept-language", "de")], &[("accept-language", "en, de")], true),
        (&[("accept-language", "en, de")], &[("accept-language", "de, en")], false),
    ] {
        let names = ["accept-language", "bar", "foo"];
        let (left, right) = (encoded(&names, &headers(one)), encoded(&names, &headers(other)));
        assert_eq!(left == right, same, "{one:?} and {other:?}");
    }
}

#[test]
fn in_a_normal_spelling_what_means_the_same_matches() {
    for (one, other, same) in [
        (&[("accept-language", "en, de")][..], &[("accept-language", "de,EN;q=1.0")][..], true),
        (&[("accept-language", "en, de;q=0.5")], &[("accept-language", "de, en;q=0.5")], false),
        (&[("accept-language", "en,  en")], &[("accept-language", "EN,en")], true),
        (&[("accept-language", "en, en")], &[("accept-language", "en")], false),
        (&[("accept-encoding", "x-gzip, br")], &[("accept-encoding", "br"), ("accept-encoding", "gzip")], true),
        (&[("accept-encoding", "")], &[("accept-encoding", "br;q=0")], true),
        (&[("accept-encoding", "")], &[], false),
        (&[("foo", "1,2")], &[("foo", " 1 , 2 ")], true),
        (&[("foo", "1,2")], &[("foo", "1"), ("foo", "2")], true),
        (&[("foo", "1,2")], &[("foo", "2,1")], false),
        (&[("foo", "1,,2")], &[("foo", "1,2")], false),
        (&[("foo", "\"1,2\"")], &[("foo", "\"1, 2\"")], false),
        (&[("foo", "a b")], &[("foo", "a  b")], false),
    ] {
        let names = ["accept-encoding", "accept-language", "foo"];
        let [left, right] = [one, other].map(|fields| {
            encoded_as_seen(
                &names,
                Seen {
                    headers: &headers(fields),
                    ignored_headers: &[],
                    ignored_cookies: &[],
                    spelling: Spelling::Normal,
                },
            )
        });
        assert_eq!(left == right, same, "{one:?} and {other:?}");
    }
}

#[test]
fn cookies_that_are_stripped_select_nothing() {
    for (one, other, same) in [
        (&[("cookie", "_ga=1; lang=en")][..], &[("cookie", "lang=en; _ga=2")][..], true),
        (&[("cookie", "_ga=1; lang=en")], &[("cookie", "lang=en")], true),
        (&[("cookie", "_ga=1; lang=en")], &[("cookie", "_ga=1; lang=de")], false),
        (&[("cookie", "_ga=1")], &[], true),
        (&[("cookie", "lang=en")], &[], false),
    ] {
        let ignored_cookies = ["_ga".into()];
        let [left, right] = [one, other].map(|fields| {
            let headers = headers(fields);
            let seen = Seen {
                headers: &headers,
                ignored_headers: &[],
                ignored_cookies: &ignored_cookies,
                spelling: Spelling::Sent,
            };
            encoded_as_seen(&["cookie"], seen)
        });
        assert_eq!(left == right, same, "{one:?} and {other:?}");
    }
}

fn requests() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let value = "[ab ,]{0,4}";
    proptest::collection::vec((prop_oneof![Just("a"), Just("ab"), Just("b")], value), 0..5)
}

fn canonical(fields: &[(&'static str, String)]) -> Vec<Option<String>> {
    ["a", "ab", "b"]
        .map(|name| {
            let lines: Vec<_> = fields.iter().filter(|it| it.0 == name).map(|it| it.1.trim()).collect();
            (!lines.is_empty()).then(|| lines.join(", "))
        })
        .to_vec()
}

proptest! {
    #[test]
    fn encodings_are_equal_only_for_equal_values(one in requests(), other in requests()) {
        let encode = |fields: &[(&'static str, String)]| {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            encoded(&["a", "ab", "b"], &headers(&fields))
        };
        prop_assert_eq!(encode(&one) == encode(&other), canonical(&one) == canonical(&other));
    }

    #[test]
    fn any_value_is_read(value in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            parse(&HeaderMap::from_iter([(header::VARY, value.clone())]));
            encoded(&["accept-language"], &HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, value)]));
        }
    }
}
