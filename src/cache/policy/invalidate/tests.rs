use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn named(target: &str, reference: &str) -> Option<String> {
    let answer = HeaderMap::from_iter([(header::LOCATION, HeaderValue::from_bytes(reference.as_bytes()).unwrap())]);
    let named = also_named(&target.parse().unwrap(), &answer);
    named.first().map(ToString::to_string)
}

#[test]
fn success_of_what_is_not_known_as_safe_invalidates() {
    for (method, status, want) in [
        ("POST", 200, true),
        ("PUT", 204, true),
        ("DELETE", 302, true),
        ("M-SEARCH", 200, true),
        ("post", 200, true),
        ("POST", 400, false),
        ("POST", 500, false),
        ("GET", 200, false),
        ("HEAD", 200, false),
        ("OPTIONS", 200, false),
        ("TRACE", 200, false),
        ("CONNECT", 200, false),
        ("QUERY", 200, false),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(invalidates(&method, status), want, "{method} {status}");
    }
}

// RFC 3986, 5.4
#[test]
fn references_are_resolved_against_the_target() {
    for (reference, want) in [
        ("g", Some("/b/c/g")),
        ("./g", Some("/b/c/g")),
        ("g/", Some("/b/c/g/")),
        ("/g", Some("/g")),
        ("?y", Some("/b/c/d?y")),
        ("g?y", Some("/b/c/g?y")),
        ("g?y/../x", Some("/b/c/g?y/../x")),
        ("#s", None),
        ("g#s", Some("/b/c/g")),
        ("", None),
        (".", Some("/b/c/")),
        ("./", Some("/b/c/")),
        ("..", Some("/b/")),
        ("../g", Some("/b/g")),
        ("../..", Some("/")),
        ("../../../../g", Some("/g")),
        ("/./g", Some("/g")),
        ("/../g", Some("/g")),
        ("g.", Some("/b/c/g.")),
        ("..g", Some("/b/c/..g")),
        ("./g/.", Some("/b/c/g/")),
        ("g/../h", Some("/b/c/h")),
        ("//a/g", Some("/g")),
        ("//a", Some("/")),
        ("//a?y", Some("/?y")),
        ("http://a/g?y#s", Some("/g?y")),
        ("HTTP://A:80/g", Some("/g")),
        ("http://a:/g", Some("/g")),
        ("/b/c/d?q", None),
        ("g h", None),
    ] {
        assert_eq!(named("http://a/b/c/d?q", reference).as_deref(), want, "{reference:?}");
    }
}

#[test]
fn another_origin_is_left_alone() {
    for reference in [
        "//b/g",
        "https://a/g",
        "http://a:81/g",
        "http://a:99999/g",
        "http://u@a/g",
        "http://a@b/g",
        "http:g",
        "http:///g",
        "ftp://a/g",
        "mailto:a",
    ] {
        assert_eq!(named("http://a/b", reference), None, "{reference}");
    }
    assert_eq!(named("https://a/b", "https://a:443/g").as_deref(), Some("/g"));
    assert_eq!(named("http://[::1]:8080/b", "http://[::1]:8080/g").as_deref(), Some("/g"));
    assert_eq!(named("/b", "http://a/g"), None, "the origin is unknown");
    assert_eq!(named("/b", "//a/g"), None, "the origin is unknown");
    assert_eq!(named("/b", "g").as_deref(), Some("/g"));
    assert_eq!(named("http://a/b", "1http://b/g").as_deref(), Some("/1http://b/g"), "no scheme, a path");
}

#[test]
fn both_fields_are_followed_once() {
    for (location, content_location, want) in [("/x", "/y", &["/x", "/y"][..]), ("/x", "x", &["/x"])] {
        let answer = HeaderMap::from_iter([
            (header::LOCATION, HeaderValue::from_static(location)),
            (header::CONTENT_LOCATION, HeaderValue::from_static(content_location)),
        ]);
        assert_eq!(also_named(&Uri::from_static("/a"), &answer), want);
    }
}

proptest! {
    #[test]
    fn any_reference_is_resolved(reference in "(https?|[:/?#.@a]|\\.\\.|//a|[ -~]){0,12}", target in "/[a-z./]{0,12}") {
        named(&format!("http://a{target}"), &reference);
        named(&target, &reference);
    }
}

#[test]
fn one_content_location_equal_to_the_target_names_it() {
    let target = Uri::from_static("http://example.com/a/b?q=1");
    for (lines, itself) in [
        (&["/a/b?q=1"][..], true),
        (&["http://example.com/a/b?q=1"], true),
        (&["http://EXAMPLE.com:80/a/b?q=1"], true),
        (&["b?q=1"], true),
        (&["?q=1"], true),
        (&["/a/b?q=1#part"], true),
        (&["/a/b"], false),
        (&["/a/B?q=1"], false),
        (&["http://example.org/a/b?q=1"], false),
        (&["https://example.com/a/b?q=1"], false),
        (&[""], false),
        (&[], false),
        (&["/a/b?q=1", "/a/b?q=1"], false),
    ] {
        let answer = lines.iter().map(|line| (header::CONTENT_LOCATION, line.parse().unwrap())).collect();
        assert_eq!(names_itself(&target, &answer), itself, "{lines:?}");
    }
    let relative = Uri::from_static("/a");
    let answer = |line: &str| HeaderMap::from_iter([(header::CONTENT_LOCATION, line.parse().unwrap())]);
    assert!(names_itself(&relative, &answer("/a")), "a plain Tower stack may have no host");
    assert!(!names_itself(&relative, &answer("http://example.com/a")));
}
