use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn spelled(name: &HeaderName, lines: &[&str]) -> Option<String> {
    let headers: HeaderMap =
        lines.iter().map(|line| (name.clone(), HeaderValue::from_bytes(line.as_bytes()).unwrap())).collect();
    let mut text = Vec::new();
    Preferences::of(name, &headers)?.write(&mut |part| text.extend_from_slice(part));
    Some(String::from_utf8(text).unwrap())
}

fn encoding(line: &str) -> Option<String> {
    spelled(&header::ACCEPT_ENCODING, &[line])
}

fn language(line: &str) -> Option<String> {
    spelled(&header::ACCEPT_LANGUAGE, &[line])
}

#[test]
fn what_means_the_same_is_spelled_the_same() {
    for (line, want) in [
        ("gzip, deflate, br, zstd", "br, deflate, gzip, zstd"),
        ("BR,gzip ,\tDeflate", "br, deflate, gzip"),
        ("gzip;q=0.5, br", "br, gzip;q=0.5"),
        ("gzip ; q=0.50,br;Q=1.000", "br, gzip;q=0.5"),
        ("x-gzip, X-Compress", "compress, gzip"),
        ("gzip, br;q=0", "gzip"),
        ("br;q=0.000", "identity"),
        ("", "identity"),
        (",", "identity"),
        ("identity", "identity"),
        ("identity;q=0, gzip", "gzip, identity;q=0"),
        ("*, br;q=0", "*, br;q=0"),
        ("*;q=0, gzip;q=0", "*;q=0"),
        ("gzip;q=0.001", "gzip;q=0.001"),
    ] {
        assert_eq!(encoding(line).as_deref(), Some(want), "{line:?}");
    }
    for (line, want) in [
        ("en, de", "de, en"),
        ("eN, De", "de, en"),
        ("de;q=0.8,en-US,en;q=0.9", "en-us, en;q=0.9, de;q=0.8"),
        ("fr;q=0, *", "*, fr;q=0"),
        ("en;q=0", "en;q=0"),
        ("", ""),
    ] {
        assert_eq!(language(line).as_deref(), Some(want), "{line:?}");
    }
    let two = spelled(&header::ACCEPT_LANGUAGE, &["de", "en;q=0.5, fr"]);
    assert_eq!(two.as_deref(), Some("de, fr, en;q=0.5"), "lines are one list");
}

#[test]
fn what_is_not_understood_keeps_its_spelling() {
    let many = (0..=MOST_CHOICES).map(|index| format!("c{index}")).collect::<Vec<_>>().join(",");
    for line in [
        "gzip, GZIP",
        "gzip, x-gzip;q=0.5",
        "gzip;q=2",
        "gzip;q=1.001",
        "gzip;q=0.0001",
        "gzip;q=.5",
        "gzip;q",
        "gzip;",
        "gzip;level=9",
        "gzip;q=1;q=1",
        "gzip; q =1",
        ";q=1",
        "a b",
        "\"gzip\"",
        "é",
        &many,
    ] {
        assert_eq!(encoding(line), None, "{line:?}");
    }
    assert_eq!(spelled(&header::ACCEPT_ENCODING, &[]), None, "absent is not empty: it accepts anything");
    assert_eq!(spelled(&header::ACCEPT, &["text/html"]), None);
}

/// A list of distinct names with weights in thousandths.
fn choices() -> impl Strategy<Value = Vec<(String, u16)>> {
    proptest::collection::btree_map("[a-z]{1,3}|identity|\\*", 0..=1000u16, 0..6)
        .prop_map(|map| map.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

fn line(choices: &[(String, u16)], digits: usize, upper: bool) -> String {
    let spell = |name: &str| if upper { name.to_ascii_uppercase() } else { name.to_owned() };
    let member = |(name, weight): &(String, u16)| match weight {
        1000 => spell(name),
        // Weights of one digit, with zeros behind.
        weight => format!("{} ;q={:.*}", spell(name), digits, f64::from(weight / 100) / 10.0),
    };
    choices.iter().map(member).collect::<Vec<_>>().join(if upper { " , " } else { "," })
}

/// How much a coding is wanted, by the rules of RFC 9110, 12.5.3; nothing if it is refused.
fn wanted(line: &str, coding: &str) -> u16 {
    let members: Vec<(String, u16)> = line
        .split(',')
        .map(str::trim)
        .filter(|member| !member.is_empty())
        .map(|member| {
            let (name, weight) = member.split_once(';').unwrap_or((member, "q=1"));
            let weight = weight.trim()[2..].parse::<f64>().unwrap();
            (name.trim().to_ascii_lowercase(), (weight * 1000.0).round() as u16)
        })
        .collect();
    let named = |name: &str| members.iter().find(|(other, _)| other == name).map(|(_, weight)| *weight);
    // `identity` that nothing speaks of is acceptable, last of all.
    named(coding).or_else(|| named("*")).unwrap_or(if coding == "identity" { 1 } else { 0 })
}

proptest! {
    #[test]
    fn order_case_and_zeros_do_not_count(choices in choices(), digits in 1..=3usize, upper: bool) {
        let mut sorted = choices.clone();
        sorted.sort();
        prop_assert_eq!(encoding(&line(&choices, digits, upper)), encoding(&line(&sorted, 1, false)));
        prop_assert_eq!(language(&line(&choices, digits, upper)), language(&line(&sorted, 1, false)));
    }

    #[test]
    fn a_spelling_is_its_own(choices in choices()) {
        let once = encoding(&line(&choices, 2, false)).unwrap();
        prop_assert_eq!(encoding(&once), Some(once.clone()));
        let once = language(&line(&choices, 2, false)).unwrap();
        prop_assert_eq!(language(&once), Some(once.clone()));
    }

    #[test]
    fn no_coding_is_wanted_more_or_less_than_before(choices in choices(), coding in "[a-z]{1,3}|identity") {
        let sent = line(&choices, 1, false);
        let spelled = encoding(&sent).unwrap();
        let named_anew = coding == "identity" && spelled == "identity";
        if !named_anew {
            prop_assert_eq!(wanted(&sent, &coding), wanted(&spelled, &coding), "{} as {}", sent, spelled);
        }
    }

    #[test]
    fn other_weights_of_languages_are_another_spelling(a in choices(), b in choices()) {
        let weights = |choices: &[(String, u16)]| {
            let mut weights: Vec<_> =
                choices.iter().map(|(name, weight)| (name.clone(), if *weight == 1000 { 10 } else { weight / 100 })).collect();
            weights.sort();
            weights
        };
        prop_assert_eq!(weights(&a) == weights(&b), language(&line(&a, 1, false)) == language(&line(&b, 1, false)));
    }

    #[test]
    fn any_bytes_are_spelled_or_left(line in proptest::collection::vec(32..=126u8, 0..40)) {
        let line = String::from_utf8(line).unwrap();
        let (_, _) = (encoding(&line), language(&line));
    }
}
