use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(784_111_777);
const TIMES: Times = Times { asked: NOW, answered: NOW };
const ANYONE: Asked = Asked { no_store: false, authorization: false, cookies: Cookies::Known };
const FUTURE: &str = "Sun, 06 Nov 1994 09:49:37 GMT";
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const ETAG: (&str, &str) = ("etag", r#""a""#);

type Fields<'a> = &'a [(&'static str, &'a str)];

fn headers(fields: Fields<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn judge(asked: Asked, status: u16, fields: Fields<'_>, allowance: &Allowance) -> Storable {
    let headers = headers(fields);
    let status = StatusCode::from_u16(status).unwrap();
    storable(&asked, status, &headers, &ResponseControl::parse(&headers), allowance, TIMES)
}

fn reason(asked: Asked, status: u16, fields: Fields<'_>, allowance: &Allowance) -> Option<Reason> {
    match judge(asked, status, fields, allowance) {
        Storable::Yes(_) => None,
        Storable::No(reason) => Some(reason),
    }
}

fn terms(fields: Fields<'_>, allowance: &Allowance) -> Terms {
    match judge(ANYONE, 200, fields, allowance) {
        Storable::Yes(terms) => terms,
        Storable::No(reason) => panic!("{fields:?}: {reason:?}"),
    }
}

fn cc(control: &str) -> [(&'static str, &str); 1] {
    [("cache-control", control)]
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Every rule a route can have, and the handler's word.
fn generous() -> Allowance {
    Allowance {
        default_ttl: Some(secs(60)),
        negative_ttl: Some(secs(5)),
        handler_ttl: Some(secs(30)),
        stale_while_revalidate: Some(secs(100)),
        stale_if_error: Some(secs(200)),
        heuristics: Heuristics::On,
        ..Allowance::default()
    }
}

#[test]
fn what_must_not_be_shared_is_not_stored_whatever_the_rules_say() {
    for (control, want) in [
        ("no-store", Some(Reason::NoStore)),
        ("nO-StOrE, max-age=60, public", Some(Reason::NoStore)),
        ("private", Some(Reason::Private)),
        ("private, s-maxage=60", Some(Reason::Private)),
        (r#"private="x-secret", max-age=60"#, None),
        ("no-cache", Some(Reason::NoCache)),
        ("max-age=60", None),
    ] {
        assert_eq!(reason(ANYONE, 200, &cc(control), &generous()), want, "{control}");
    }
    let no_store = Asked { no_store: true, ..ANYONE };
    assert_eq!(reason(no_store, 200, &cc("public, max-age=60"), &generous()), Some(Reason::RequestNoStore));
}

// RFC 9111, 3.5
#[test]
fn a_request_with_authorization_needs_a_word_that_allows_it() {
    let asked = Asked { authorization: true, ..ANYONE };
    for (control, want) in [
        ("max-age=60", Some(Reason::Authorization)),
        ("max-age=60, proxy-revalidate", Some(Reason::Authorization)),
        ("max-age=60, public", None),
        ("max-age=60, must-revalidate", None),
        ("s-maxage=60", None),
    ] {
        assert_eq!(reason(asked, 200, &cc(control), &generous()), want, "{control}");
        assert_eq!(terms(&cc(control), &generous()).authorized_reuse, want.is_none(), "reuse: {control}");
    }
    let keyed = Allowance { principal: Principal::InKey, ..generous() };
    assert_eq!(reason(asked, 200, &cc("max-age=60"), &keyed), None);
    assert!(terms(&cc("max-age=60"), &keyed).authorized_reuse);
}

#[test]
fn a_personal_cookie_needs_public_or_s_maxage() {
    let asked = Asked { cookies: Cookies::Personal, ..ANYONE };
    for (control, want) in [
        ("", Some(Reason::PersonalCookie)),
        ("max-age=60", Some(Reason::PersonalCookie)),
        ("max-age=60, must-revalidate", Some(Reason::PersonalCookie)),
        ("public", None),
        ("s-maxage=60", None),
    ] {
        assert_eq!(reason(asked, 200, &cc(control), &generous()), want, "{control}");
        assert_eq!(terms(&cc(control), &generous()).personal_reuse, want.is_none(), "reuse: {control}");
    }
}

#[test]
fn a_response_that_sets_a_cookie_is_stored_only_without_it_or_on_demand() {
    let set = ("set-cookie", "a=b");
    let stored = Allowance { set_cookie: SetCookie::Stored, ..generous() };
    for (control, allowance, want) in [
        ("public, s-maxage=60", generous(), Some(Reason::SetCookie)),
        ("max-age=60", stored, None),
        (r#"max-age=60, no-cache="Set-Cookie""#, generous(), None),
        (r#"max-age=60, private="x-a, set-cookie""#, generous(), None),
        (r#"max-age=60, private="x-a""#, generous(), Some(Reason::SetCookie)),
    ] {
        assert_eq!(reason(ANYONE, 200, &[cc(control)[0], set], &allowance), want, "{control}");
    }
    let listed = [cc(r#"private="x-a, set-cookie", no-cache="x-b""#)[0], set];
    assert_eq!(terms(&listed, &generous()).drop, ["x-a", "set-cookie", "x-b"]);
}

#[test]
fn any_final_status_with_explicit_freshness_is_stored() {
    for status in [200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599] {
        assert_eq!(reason(ANYONE, status, &cc("max-age=60"), &Allowance::default()), None, "{status}");
    }
    for status in [100, 103, 206, 304, 429] {
        assert_eq!(reason(ANYONE, status, &cc("max-age=60"), &generous()), Some(Reason::Status), "{status}");
    }
}

#[test]
fn must_understand_overrides_no_store_where_the_status_is_understood() {
    let control = cc("no-store, must-understand, max-age=60");
    assert_eq!(reason(ANYONE, 200, &control, &Allowance::default()), None);
    assert_eq!(reason(ANYONE, 599, &control, &Allowance::default()), Some(Reason::MustUnderstand));
}

#[test]
fn what_cannot_match_end_or_fit_is_not_stored() {
    let small = Allowance { body_limit: 10, ..generous() };
    for (field, want) in [
        (("vary", "*"), Some(Reason::Vary)),
        (("vary", "accept, *"), Some(Reason::Vary)),
        (("vary", "accept"), None),
        (("content-type", "text/event-stream"), Some(Reason::EventStream)),
        (("content-type", "Text/Event-Stream ; charset=utf-8"), Some(Reason::EventStream)),
        (("content-type", "text/event-streams"), None),
        (("content-length", "11"), Some(Reason::TooLarge)),
        (("content-length", "99999999999999999999999"), Some(Reason::TooLarge)),
        (("content-length", "10"), None),
        (("content-length", "junk"), Some(Reason::Length)),
        (("content-length", "1, 2"), Some(Reason::Length)),
    ] {
        assert_eq!(reason(ANYONE, 200, &[field], &small), want, "{field:?}");
    }
}

#[test]
fn rules_give_lifetimes_to_what_says_nothing() {
    let rules = Allowance { handler_ttl: None, heuristics: Heuristics::Off, ..generous() };
    for (status, want) in [
        (200, Some(60)),
        (203, Some(60)),
        (300, Some(60)),
        (301, Some(60)),
        (308, Some(60)),
        (404, Some(5)),
        (410, Some(5)),
        (204, None),
        (201, None),
        (302, None),
        (403, None),
        (500, None),
    ] {
        match (judge(ANYONE, status, &[], &rules), want) {
            (Storable::Yes(terms), Some(ttl)) => {
                assert_eq!((terms.lifetime, terms.chosen), (secs(ttl), Chosen::ByRule), "{status}");
            }
            (Storable::No(Reason::NoFreshness), None) => {}
            (got, _) => panic!("{status}: {got:?}"),
        }
    }
    assert_eq!(reason(ANYONE, 200, &[], &Allowance::default()), Some(Reason::NoFreshness));
}

#[test]
fn the_nearest_word_gives_the_lifetime() {
    let rules = Allowance { handler_ttl: None, ..generous() };
    let old = ("last-modified", "Sun, 06 Nov 1994 08:39:37 GMT");
    for (fields, allowance, want) in [
        (&[cc("s-maxage=1, max-age=2")[0]][..], generous(), (30, Chosen::Explicit)),
        (&[], generous(), (30, Chosen::Explicit)),
        (&[cc("s-maxage=1, max-age=2")[0]], rules.clone(), (1, Chosen::Explicit)),
        (&[("expires", FUTURE)], rules.clone(), (3600, Chosen::Explicit)),
        (&[old], rules.clone(), (60, Chosen::ByRule)),
        (&[old], Allowance { default_ttl: None, ..rules.clone() }, (60, Chosen::ByRule)),
        (&[cc("max-age=100")[0]], Allowance { max_ttl: Some(secs(9)), ..rules }, (9, Chosen::Explicit)),
        (&[], Allowance { max_ttl: Some(secs(9)), ..generous() }, (9, Chosen::Explicit)),
    ] {
        let got = terms(fields, &allowance);
        assert_eq!((got.lifetime, got.chosen), (secs(want.0), want.1), "{fields:?}");
    }
}

#[test]
fn what_is_stale_on_arrival_needs_a_validator_or_a_window() {
    for (fields, want) in [
        (&[("cache-control", "max-age=0")][..], Some(Reason::Stale)),
        (&[("cache-control", "max-age=60"), ("age", "60")], Some(Reason::Stale)),
        (&[("expires", DATE)], Some(Reason::Stale)),
        (&[("expires", "0")], Some(Reason::Stale)),
        (&[("cache-control", "max-age=0, stale-while-revalidate=1")], None),
        (&[("cache-control", "max-age=0, stale-if-error=1")], None),
        (&[("cache-control", "max-age=0, stale-if-error=1, must-revalidate")], Some(Reason::Stale)),
        (&[("cache-control", "max-age=0"), ETAG], None),
        (&[("cache-control", "max-age=0"), ("last-modified", DATE)], None),
        (&[("cache-control", "max-age=0"), ("last-modified", "0")], Some(Reason::Stale)),
        (&[("cache-control", "max-age=0"), ("etag", "unquoted")], Some(Reason::Stale)),
        (&[("cache-control", "no-cache, max-age=60")], Some(Reason::NoCache)),
        (&[("cache-control", "no-cache, max-age=60"), ETAG], None),
        (&[("cache-control", "no-cache"), ETAG], None),
        (&[ETAG], None),
        (&[("x-a", "1")], Some(Reason::NoFreshness)),
    ] {
        assert_eq!(reason(ANYONE, 200, fields, &Allowance::default()), want, "{fields:?}");
    }
    assert_eq!(reason(ANYONE, 500, &[ETAG], &Allowance::default()), Some(Reason::NoFreshness));
    assert_eq!(reason(ANYONE, 500, &[ETAG, cc("public")[0]], &Allowance::default()), None);
}

#[test]
fn windows_are_the_responses_own_then_the_rules() {
    for (control, revalidate, error, consent) in [
        ("max-age=60", 100, 200, Consent::Stale),
        ("max-age=60, stale-while-revalidate=1", 1, 200, Consent::Stale),
        ("max-age=60, stale-if-error=2", 100, 2, Consent::Stale),
        ("max-age=60, stale-while-revalidate=0", 0, 200, Consent::Stale),
        ("s-maxage=60", 0, 0, Consent::Fresh),
        ("s-maxage=60, stale-while-revalidate=1, stale-if-error=2", 1, 2, Consent::Fresh),
        (r#"max-age=60, no-cache="x-a", stale-if-error=2"#, 0, 2, Consent::Fresh),
        ("max-age=60, must-revalidate, stale-while-revalidate=1, stale-if-error=2", 0, 0, Consent::Fresh),
        ("max-age=60, proxy-revalidate, stale-while-revalidate=1, stale-if-error=2", 0, 0, Consent::Fresh),
        ("max-age=60, no-cache, stale-while-revalidate=1, stale-if-error=2", 0, 0, Consent::Validated),
    ] {
        let got = terms(&[cc(control)[0], ETAG], &generous());
        let got = (got.stale_while_revalidate, got.stale_if_error, got.consent);
        assert_eq!(got, (secs(revalidate), secs(error), consent), "{control}");
    }
}

#[test]
fn the_request_is_read_from_its_fields() {
    let headers = headers(&[("authorization", "Basic eA=="), ("cache-control", "no-store")]);
    let got = Asked::of(&headers, &RequestControl::parse(&headers), Cookies::Personal);
    assert_eq!(got, Asked { no_store: true, authorization: true, cookies: Cookies::Personal });
}

#[test]
fn every_reason_has_a_word_of_its_own() {
    let all = [
        Reason::RequestNoStore,
        Reason::NoStore,
        Reason::Private,
        Reason::Authorization,
        Reason::PersonalCookie,
        Reason::SetCookie,
        Reason::Status,
        Reason::MustUnderstand,
        Reason::Vary,
        Reason::EventStream,
        Reason::NoFreshness,
        Reason::Stale,
        Reason::NoCache,
        Reason::TooLarge,
    ];
    let words: std::collections::HashSet<_> = all.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(words.len(), all.len());
}

proptest! {
    #[test]
    fn any_response_is_judged_and_nothing_private_is_stored(
        status in 100u16..1000,
        control in "((no-store|private|public|max-age=9|s-maxage=9|must-revalidate|no-cache|\"|,) ?,?){0,6}",
        other in proptest::collection::vec(any::<u8>(), 0..30),
        authorization in any::<bool>(),
        cookie in any::<bool>(),
        set_cookie in any::<bool>(),
    ) {
        let mut fields = headers(&cc(&control));
        if let Ok(other) = HeaderValue::from_bytes(&other) {
            for name in [header::VARY, header::EXPIRES, header::CONTENT_TYPE, header::CONTENT_LENGTH, header::AGE] {
                fields.insert(name, other.clone());
            }
        }
        if set_cookie {
            fields.insert(header::SET_COOKIE, HeaderValue::from_static("a=b"));
        }
        let cookies = if cookie { Cookies::Personal } else { Cookies::Known };
        let asked = Asked { no_store: false, authorization, cookies };
        let parsed = ResponseControl::parse(&fields);
        let status = StatusCode::from_u16(status).unwrap();
        if let Storable::Yes(terms) = storable(&asked, status, &fields, &parsed, &generous(), TIMES) {
            prop_assert!(!parsed.no_store && !parsed.private.is_present() && !set_cookie);
            prop_assert!(!cookie || terms.personal_reuse);
            prop_assert!(!authorization || terms.authorized_reuse);
        }
    }
}
