use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    headers
}

fn response(lines: &[&str]) -> ResponseControl {
    ResponseControl::parse(&headers("cache-control", lines))
}

fn request(lines: &[&str]) -> RequestControl {
    RequestControl::parse(&headers("cache-control", lines))
}

fn secs(secs: u64) -> Option<Duration> {
    Some(Duration::from_secs(secs))
}

#[test]
fn max_age_is_read_as_the_public_suite_reads_it() {
    for (line, want) in [
        ("max-age=3600", secs(3600)),
        ("MaX-AgE=3600", secs(3600)),
        ("foobar, max-age=3600", secs(3600)),
        ("max-age=003600", secs(3600)),
        (r#"max-age="3600""#, secs(3600)),
        ("max-age=2147483649", Some(LONGEST)),
        ("max-age=99999999999999999999999", Some(LONGEST)),
        (r#"extension="max-age=3600", max-age=1"#, secs(1)),
        (r#"max-age=1, extension="max-age=3600""#, secs(1)),
        ("max-age='3600'", secs(0)),
        ("max-age=-3600", secs(0)),
        ("max-age=3600.0", secs(0)),
        ("max-age=a100", secs(0)),
        ("max-age=100a", secs(0)),
        ("max-age =100", secs(0)),
        ("max-age= 100", secs(0)),
        ("max-age", secs(0)),
        ("max-age=", secs(0)),
        (r#"max-age="100"#, secs(0)),
        (r#"max-age="1"0""#, secs(0)),
        (r#"max-age=""#, secs(0)),
        ("x-max-age=100", None),
        ("", None),
    ] {
        assert_eq!(response(&[line]).max_age, want, "{line:?}");
    }
}

#[test]
fn the_most_restrictive_of_several_values_counts() {
    for lines in [&["max-age=1, max-age=9"][..], &["max-age=9, max-age=1"], &["max-age=9", "max-age=1"]] {
        assert_eq!(response(lines).max_age, secs(1), "{lines:?}");
        assert_eq!(request(lines).max_age, secs(1), "{lines:?}");
    }
    assert_eq!(request(&["min-fresh=1, min-fresh=9"]).min_fresh, secs(9));
    assert_eq!(request(&["max-stale, max-stale=9"]).max_stale, secs(9));
}

#[test]
fn every_response_directive_has_its_place() {
    let got = response(&[
        "no-store, PUBLIC, must-revalidate, proxy-revalidate",
        "must-understand, no-transform, private, no-cache",
        "s-maxage=1, max-age=2, stale-while-revalidate=3, stale-if-error=4, immutable",
    ]);
    let want = ResponseControl {
        no_store: true,
        public: true,
        must_revalidate: true,
        proxy_revalidate: true,
        must_understand: true,
        no_transform: true,
        private: Scope::Whole,
        no_cache: Scope::Whole,
        s_maxage: secs(1),
        max_age: secs(2),
        stale_while_revalidate: secs(3),
        stale_if_error: secs(4),
        targeted: false,
    };
    assert_eq!(got, want);
}

#[test]
fn private_and_no_cache_may_name_fields() {
    let names = |names: &[&'static str]| Scope::Fields(names.iter().map(|it| HeaderName::from_static(it)).collect());
    for (line, want) in [
        ("private", Scope::Whole),
        (r#"private="Set-Cookie""#, names(&["set-cookie"])),
        (r#"private=" a , B""#, names(&["a", "b"])),
        ("private=a", names(&["a"])),
        (r#"private="a", private="b""#, names(&["a", "b"])),
        (r#"private="a", private"#, Scope::Whole),
        (r#"private, private="a""#, Scope::Whole),
        (r#"private="""#, Scope::Whole),
        ("private=", Scope::Whole),
        (r#"private="a b""#, Scope::Whole),
        (r#"private ="a""#, Scope::Whole),
        (r#"private="a"#, Scope::Whole),
        ("max-age=1", Scope::Absent),
    ] {
        assert_eq!(response(&[line]).private, want, "{line:?}");
        assert_eq!(response(&[&line.replace("private", "no-cache")]).no_cache, want, "no-cache: {line:?}");
    }
}

#[test]
fn every_request_directive_has_its_place() {
    let got = request(&["no-store, No-Cache, only-if-cached", "max-age=1, min-fresh=2, max-stale=3"]);
    let want = RequestControl {
        no_store: true,
        no_cache: true,
        only_if_cached: true,
        max_age: secs(1),
        min_fresh: secs(2),
        max_stale: secs(3),
    };
    assert_eq!(got, want);
    assert_eq!(request(&["max-stale"]).max_stale, Some(LONGEST));
    assert_eq!(request(&["max-stale=x"]).max_stale, secs(0));
}

#[test]
fn pragma_counts_only_without_cache_control() {
    let mut headers = headers("pragma", &["foo, No-Cache"]);
    assert!(RequestControl::parse(&headers).no_cache);
    headers.insert("cache-control", HeaderValue::from_static("nothing-to-see-here"));
    assert_eq!(RequestControl::parse(&headers), RequestControl::default());
    assert!(!ResponseControl::parse(&headers).no_cache.is_present());
}

#[test]
fn ten_thousand_directives_are_read() {
    let line = r#"private="a, b", max-age=7, x=1, "#.repeat(10_000);
    let got = response(&[&line]);
    assert_eq!(got.max_age, secs(7));
    assert_eq!(got.private.fields().len(), 20_000);
}

proptest! {
    #[test]
    fn any_value_is_read(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..4)) {
        let mut headers = HeaderMap::new();
        for line in lines {
            if let Ok(line) = HeaderValue::from_bytes(&line) {
                headers.append("cache-control", line.clone());
                headers.append("pragma", line);
            }
        }
        ResponseControl::parse(&headers);
        RequestControl::parse(&headers);
    }

    #[test]
    fn any_soup_of_directives_is_read(line in r#"(max-age|private|no-cache|public|[=", \\0-9a\xff]){0,40}"#) {
        if let Ok(line) = HeaderValue::from_bytes(line.as_bytes()) {
            let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, line)]);
            ResponseControl::parse(&headers);
            RequestControl::parse(&headers);
        }
    }
}
