//! What one client asks never changes what another is answered, row by row of `docs/poisoning.md`.
//!
//! The handler is a mirror: its page is all that it was given. Whoever is answered with something that is not in its own
//! request was poisoned.

use std::time::Duration;

use bartizan::{Query, Rules};
use bytes::Bytes;
use http::{HeaderName, Request};
use http_body_util::Full;
use proptest::prelude::*;

use crate::support::{Origin, Scene, exact, get, request, response};

type Ask = Request<Full<Bytes>>;

const MINUTE: Duration = Duration::from_secs(60);
const VICTIM: &[(&str, &str)] = &[("host", "shop.example")];

/// Everything that is silent is stored.
fn rules() -> Rules {
    exact().default_ttl(MINUTE).negative_ttl(MINUTE)
}

/// Answers with what it was given, under the status that the request asks for. Whether the host was told in the URI or in
/// a field is left out: that is the same request in the forms of HTTP/2 and HTTP/1.1.
fn mirror() -> Origin {
    Origin::new(|call| async move {
        let (head, uri, body) = (call.request.headers(), call.request.uri(), call.request.body());
        let mut fields: Vec<String> = head.iter().map(|(name, value)| format!("{name}: {value:?}\n")).collect();
        fields.retain(|field| uri.authority().is_none_or(|host| *field != format!("host: \"{host}\"\n")));
        fields.extend(uri.authority().map(|host| format!("host: \"{host}\"\n")));
        fields.sort();
        let scheme = uri.scheme_str().unwrap_or("http");
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        let seen = format!("{} {scheme} {target}\n{}{body:?}", call.request.method(), fields.concat());
        let status = head.get("x-status").and_then(|status| status.to_str().ok()?.parse().ok()).unwrap_or(200);
        Ok(response(status, &[], if call.request.method() == "HEAD" { String::new() } else { seen }))
    })
}

fn victim(path: &str) -> Ask {
    get(path, VICTIM)
}

fn with(path: &str, fields: &[(&str, &str)]) -> Ask {
    get(path, &[VICTIM, fields].concat())
}

/// What a request is answered when nobody else asks anything.
async fn alone(rules: &Rules, ask: &Ask) -> String {
    Scene::new(rules.clone(), mirror()).ask(ask.clone()).await.text().to_owned()
}

/// Whether `victim` is answered as if `attacker` had not been there, before and after.
async fn is_unharmed(rules: &Rules, attacker: &Ask, victim: &Ask) -> bool {
    let want = alone(rules, victim).await;
    let scene = Scene::new(rules.clone(), mirror());
    for _ in 0..2 {
        scene.ask(attacker.clone()).await;
        if scene.ask(victim.clone()).await.text() != want {
            return false;
        }
    }
    true
}

async fn neither_harms_the_other(rules: &Rules, one: &Ask, other: &Ask) {
    assert!(is_unharmed(rules, one, other).await, "{one:?} changes what is answered to {other:?}");
    assert!(is_unharmed(rules, other, one).await, "{other:?} changes what is answered to {one:?}");
}

/// Fields that some framework believes.
const BELIEVED: &[&str] = &[
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-path",
    "x-forwarded-uri",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-host",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
    "x-url-scheme",
    "x-scheme",
    "front-end-https",
];

#[tokio::test]
async fn what_proxies_tell_is_in_the_key() {
    for name in BELIEVED {
        let (evil, own) = (with("/", &[(name, "host=evil")]), with("/", &[(name, "host=own")]));
        neither_harms_the_other(&rules(), &evil, &victim("/")).await;
        neither_harms_the_other(&rules(), &evil, &own).await;
        let scene = Scene::new(rules(), mirror());
        for (ask, vary) in [(own, Some(*name)), (victim("/"), None)] {
            for hit in [false, true] {
                let answer = scene.ask(ask.clone()).await;
                assert_eq!((answer.is_hit(), answer.field("vary").as_deref()), (hit, vary), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn who_asks_by_way_of_a_proxy_is_not_in_the_key() {
    let scene = Scene::new(rules(), Origin::says(&[]));
    for (client, hit) in [("1.2.3.4", false), ("5.6.7.8", true)] {
        let forwarded = format!("for={client};host=shop.example;proto=https");
        let ask = with("/", &[("forwarded", &forwarded), ("x-forwarded-for", client), ("x-real-ip", client)]);
        assert_eq!(scene.ask(ask).await.is_hit(), hit, "{client}");
    }
}

#[tokio::test]
async fn what_is_trusted_is_out_of_the_key_and_what_is_ignored_out_of_sight_too() {
    for name in BELIEVED {
        let header = HeaderName::from_static(name);
        let (one, other) = (with("/", &[(name, "host=a")]), with("/", &[(name, "host=b")]));
        let scene = Scene::new(rules().trust_header(&header), mirror());
        scene.ask(one.clone()).await;
        let trusted = scene.ask(other.clone()).await;
        assert!(trusted.is_hit() && trusted.text().contains("host=a") && trusted.field("vary").is_none(), "{name}");

        let ignoring = rules().ignore_header(header.clone());
        neither_harms_the_other(&ignoring, &one, &victim("/")).await;
        let scene = Scene::new(ignoring, mirror());
        assert_eq!(scene.ask(one.clone()).await.text(), alone(&rules(), &victim("/")).await, "{name}");
        assert!(scene.ask(other.clone()).await.is_hit() && scene.ask(victim("/")).await.is_hit(), "{name}");
        assert!(scene.ask(request("POST", "/", &[(name, "seen")])).await.text().contains("seen"), "only forwarded");

        let named = rules().add_key_header(header.clone());
        neither_harms_the_other(&named, &one, &other).await;
    }
}

#[tokio::test]
async fn a_method_in_a_field_is_none_of_ours() {
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let ask = with("/", &[(name, "DELETE")]);
        neither_harms_the_other(&rules(), &ask, &victim("/")).await;
        let scene = Scene::new(rules(), mirror());
        for _ in 0..2 {
            assert_eq!(scene.ask(ask.clone()).await.cache_status(), "bartizan; fwd=bypass", "{name}");
        }
    }
}

#[tokio::test]
async fn cookies_that_no_rule_names_change_nothing_for_others() {
    for cookie in ["", "; ;", "sid=evil", "lang=de; sid=evil", "lang=de;sid", "LANG=de", "sid=\u{7f}"] {
        let Ok(value) = http::HeaderValue::from_bytes(cookie.as_bytes()) else { continue };
        let mut attacker = victim("/");
        attacker.headers_mut().insert("cookie", value);
        neither_harms_the_other(&rules().add_key_cookie("lang"), &attacker, &victim("/")).await;
        neither_harms_the_other(&rules().ignore_cookie("lang"), &attacker, &victim("/")).await;
    }
    for cookies in
        [["lang=a; lang=b", "lang=b"], ["lang=a; lang=b", "lang=a"], ["lang=a%3B", "lang=a"], ["lang", "lang="]]
    {
        let [one, other] = cookies.map(|cookie| with("/", &[("cookie", cookie)]));
        let seen = |cookie: &str| cookie.replace("lang=", "").replace("lang", "");
        // A cookie without a value and one without a sign say the same.
        if seen(cookies[0]) != seen(cookies[1]) {
            neither_harms_the_other(&rules().add_key_cookie("lang"), &one, &other).await;
        }
    }
}

#[tokio::test]
async fn a_parameter_that_is_not_in_the_key_is_not_seen_however_it_is_written() {
    let all = [
        rules(),
        rules().query(Query::only(["q"])),
        rules().query(Query::except(["utm"])),
        rules().query(Query::only(["q"]).sorted()),
        rules().query(Query::ALL.sorted()),
    ];
    let attacks = [
        "/?q=1&utm=evil",
        "/?utm=evil&q=1",
        "/?q=1;utm=evil",
        "/?utm=1;q=evil&q=1",
        "/?q=1&q=evil",
        "/?q=evil&q=1",
        "/?q=1%26utm=evil",
        "/?q=1&%75tm=evil",
        "/?q=1&%71=evil",
        "/?q=1&Q=evil",
        "/?q=1&q[]=evil",
        "/?q=1&q%00=evil",
        "/?q=1&&",
        "/?q=1&=evil",
        "/?q=1&q",
        "/?q=1&utm",
        "/?q=1?utm=evil",
        "/?q=1+&utm=2",
    ];
    for rules in &all {
        for attack in attacks {
            neither_harms_the_other(rules, &victim(attack), &victim("/?q=1")).await;
            neither_harms_the_other(rules, &victim(attack), &victim("/")).await;
        }
    }
}

#[tokio::test]
async fn a_get_with_a_body_is_forwarded() {
    let fat = || {
        let (parts, _) = with("/", &[("content-length", "4")]).into_parts();
        Request::from_parts(parts, Full::new(Bytes::from_static(b"evil")))
    };
    neither_harms_the_other(&rules(), &fat(), &victim("/")).await;
    let scene = Scene::new(rules(), mirror());
    scene.ask(victim("/")).await;
    let answer = scene.ask(fat()).await;
    assert!(answer.text().contains("evil"), "and answered by the handler: {}", answer.text());
}

#[tokio::test]
async fn no_two_paths_are_one() {
    let paths = [
        "/a/b",
        "/a//b",
        "//a/b",
        "/a/b/",
        "/a/./b",
        "/a/../a/b",
        "/a%2fb",
        "/a%2Fb",
        "/a/%62",
        "/a/%2e/b",
        "/a/B",
        "/a/b;x",
        "/a/b%3fx",
        "/a/b%23x",
        "/a/b%00",
        "/a\\b",
        "/a/b.css",
        "/a/b%2ecss",
        "/a/b.css/..",
        "/..;/a/b",
    ];
    for one in paths {
        for other in paths {
            if one != other {
                assert!(is_unharmed(&rules(), &victim(one), &victim(other)).await, "{one} and {other}");
            }
        }
    }
}

#[tokio::test]
async fn no_part_of_a_key_reaches_into_the_next() {
    let keyed = rules()
        .add_key_header(HeaderName::from_static("x-a"))
        .add_key_header(HeaderName::from_static("x-b"))
        .add_key_cookie("c")
        .add_key_cookie("d");
    let parts: [(&str, &[(&str, &str)]); 12] = [
        ("/", &[("x-a", "1"), ("x-b", "2")]),
        ("/", &[("x-a", "1x-b2")]),
        ("/", &[("x-a", "1, x-b: 2")]),
        ("/", &[("x-a", "12")]),
        ("/", &[("x-b", "12")]),
        ("/", &[("x-a", ""), ("x-b", "12")]),
        ("/", &[("cookie", "c=1; d=2")]),
        ("/", &[("cookie", "c=1d=2")]),
        ("/", &[("x-a", "1"), ("cookie", "d=2")]),
        ("/x-a1", &[]),
        ("/?x-a=1", &[]),
        ("/%0d%0ax-a:1", &[]),
    ];
    for (one, fields) in parts {
        for (other, others) in parts {
            if (one, fields) != (other, others) {
                assert!(is_unharmed(&keyed, &with(one, fields), &with(other, others)).await, "{fields:?}, {others:?}");
            }
        }
    }
}

/// 404 and 410 may have a negative TTL; by what a client says in a field, they come only by what is in the key.
#[tokio::test]
async fn an_error_made_by_a_bad_request_is_not_stored_for_all() {
    for status in (400..600).filter(|status| ![404, 410].contains(status)) {
        let attacker = with("/", &[("x-status", &status.to_string())]);
        assert!(is_unharmed(&rules(), &attacker, &victim("/")).await, "{status}");
        if status < 500 && status != 429 {
            let scene = Scene::new(rules(), mirror());
            scene.ask(attacker).await;
            scene.ask(victim("/")).await;
            assert!(scene.ask(victim("/")).await.is_hit(), "nor does a {status} keep the page from being stored");
        }
    }
}

#[tokio::test]
async fn no_ttl_is_given_to_what_moves_or_is_empty() {
    for status in [201, 202, 204, 205, 206, 302, 303, 304, 305, 307] {
        let attacker = with("/", &[("x-status", &status.to_string())]);
        assert!(is_unharmed(&rules(), &attacker, &victim("/")).await, "{status}");
    }
    for status in ["301", "308", "404", "410"] {
        for name in BELIEVED {
            let attacker = with("/", &[("x-status", status), (name, "host=evil")]);
            assert!(is_unharmed(&rules(), &attacker, &victim("/")).await, "{status} by {name}");
        }
    }
}

#[tokio::test]
async fn a_name_that_looks_static_makes_nothing_cacheable() {
    for path in [
        "/account.css",
        "/account/x.js",
        "/account%2f..%2fx.css",
        "/account;.png",
        "/account/%0a.css",
        "/account?x.css",
    ] {
        for who in [("cookie", "sid=victim"), ("authorization", "Basic victim")] {
            let scene = Scene::new(rules(), mirror());
            assert!(scene.ask(with(path, &[who])).await.text().contains("victim"));
            assert!(!scene.ask(victim(path)).await.text().contains("victim"), "{path} by {who:?}");
            let other = scene.ask(with(path, &[(who.0, "evil")])).await;
            assert!(!other.text().contains("victim"), "{path} by {who:?}");
        }
    }
}

#[tokio::test]
async fn of_whom_is_asked_is_seen_as_it_is_in_the_key() {
    let hosts = [
        "shop.example",
        "SHOP.example",
        "shop.example:80",
        "shop.example.",
        "shop.example:8080",
        "evil.example",
        "shop.example@evil.example",
        "",
        "[::1]",
        "shop.example:",
    ];
    for one in hosts {
        for other in hosts {
            neither_harms_the_other(&rules(), &get("/", &[("host", one)]), &get("/", &[("host", other)])).await;
            let absolute = |host| get("http://shop.example/", &[("host", host)]);
            neither_harms_the_other(&rules(), &absolute(one), &absolute(other)).await;
            neither_harms_the_other(&rules(), &absolute(one), &get("/", &[("host", other)])).await;
            let sited = rules().site("https://shop.example");
            neither_harms_the_other(&sited, &get("/", &[("host", one)]), &get("/", &[("host", other)])).await;
            neither_harms_the_other(&sited, &absolute(one), &get("http://evil.example/", &[("host", other)])).await;
        }
    }
    let several = get("/", &[("host", "shop.example"), ("host", "evil.example")]);
    neither_harms_the_other(&rules(), &several, &victim("/")).await;
}

#[tokio::test]
async fn who_begins_a_refresh_has_no_influence_on_it() {
    let rules = rules()
        .stale_while_revalidate(MINUTE)
        .query(Query::except(["utm"]))
        .ignore_cookie("_ga")
        .ignore_header(HeaderName::from_static("x-host"));
    let want = alone(&rules, &victim("/")).await;
    for attacker in [
        get("http://shop.example/", &[("host", "evil.example")]),
        get("/", &[("host", "SHOP.example:80")]),
        victim("/?utm=evil"),
        with("/", &[("x-host", "evil")]),
        with("/", &[("cookie", "_ga=evil")]),
        with("/", &[("range", "bytes=0-0"), ("if-none-match", "evil")]),
        request("HEAD", "/", VICTIM),
    ] {
        let scene = Scene::new(rules.clone(), mirror());
        scene.ask(victim("/")).await;
        scene.advance(61);
        assert_eq!(scene.ask(attacker.clone()).await.cache_status(), "bartizan; hit; ttl=-1");
        scene.cache.drain().await;
        let answer = scene.ask(victim("/")).await;
        assert_eq!((answer.text(), scene.calls()), (&*want, 2), "made anew for {attacker:?}");
    }
}

#[tokio::test]
async fn spellings_of_one_host_share_a_page() {
    let scene = Scene::new(rules(), mirror());
    for (ask, hit) in [
        (get("/", &[("host", "Shop.Example:80")]), false),
        (victim("/"), true),
        (get("http://shop.example/", &[("host", "evil.example")]), true),
    ] {
        let answer = scene.ask(ask).await;
        assert_eq!((answer.is_hit(), answer.text().contains("\"shop.example\"")), (hit, true), "{}", answer.text());
    }
}

#[tokio::test]
async fn schemes_are_apart() {
    let [plain, secure, socket] = ["http", "https", "ws"].map(|scheme| get(&format!("{scheme}://shop.example/"), &[]));
    for (one, other) in [(&plain, &secure), (&secure, &plain), (&plain, &socket), (&socket, &secure)] {
        neither_harms_the_other(&rules(), one, other).await;
    }
    // HTTP/2 says whom it asks in the URI, HTTP/1.1 in a field.
    neither_harms_the_other(&rules(), &victim("/"), &get("https://shop.example/", &[])).await;
}

#[tokio::test]
async fn what_asks_for_less_or_for_something_else_than_the_page_is_not_stored_as_the_page() {
    for (name, value) in [
        ("range", "bytes=0-0"),
        ("if-range", "\"x\""),
        ("if-match", "\"x\""),
        ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("if-none-match", "\"x\""),
        ("upgrade", "websocket"),
        ("cache-control", "no-store"),
    ] {
        assert!(is_unharmed(&rules(), &with("/", &[(name, value)]), &victim("/")).await, "{name}");
    }
    for method in ["HEAD", "POST", "OPTIONS", "TRACE", "QUERY", "get", "GETS"] {
        assert!(is_unharmed(&rules(), &request(method, "/", VICTIM), &victim("/")).await, "{method}");
    }
    let refused = with("/", &[("expect", "nonsense"), ("x-status", "417")]);
    assert!(is_unharmed(&rules(), &refused, &victim("/")).await);
}

/// Method, host, authority, path, query and further fields of a request.
type Parts = (&'static str, &'static str, &'static str, &'static str, &'static str, Vec<(&'static str, &'static str)>);

fn any_parts() -> impl Strategy<Value = Parts> {
    let select = |choice: &'static [&'static str]| prop::sample::select(choice);
    let names = BELIEVED.iter().copied().chain(["cookie", "authorization", "accept-language", "x-http-method"]);
    let values = select(&["", "a", "b", "k=1", "k=2", "s=1", "i=1", "host=x", "for=y", "for=y;host=x", "a, b"]);
    (
        select(&["GET", "GET", "GET", "HEAD", "POST"]),
        select(&["", "a", "a", "A", "a:80", "b", "a.", "a b"]),
        select(&["", "", "http://a", "https://a", "http://A:80", "https://a:443", "http://b"]),
        select(&["/", "//", "/.", "/x", "/X", "/%78", "/x/"]),
        select(&["", "?", "?q=1", "?q=1&u=2", "?u=2&q=1", "?q=1;u=2", "?u=3", "?%71=1", "?q=1&q=2"]),
        prop::collection::vec((prop::sample::select(names.collect::<Vec<_>>()), values), 0..3),
    )
}

/// Two requests that differ in a part or two, or not at all.
fn two_asks() -> impl Strategy<Value = (Ask, Ask)> {
    (any_parts(), any_parts(), 0..6, 0..6).prop_map(|(one, other, changed, also)| {
        let mut second = one.clone();
        for part in [changed, also] {
            match part {
                0 => second.0 = other.0,
                1 => second.1 = other.1,
                2 => second.2 = other.2,
                3 => second.3 = other.3,
                4 => second.4 = other.4,
                _ => second.5 = other.5.clone(),
            }
        }
        let ask = |(method, host, authority, path, query, fields): Parts| {
            let host = (!host.is_empty()).then_some(("host", host));
            let fields: Vec<_> = host.into_iter().chain(fields).collect();
            request(method, &format!("{authority}{path}{query}"), &fields)
        };
        (ask(one), ask(second))
    })
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let language = http::header::ACCEPT_LANGUAGE;
    let forwarded_host = HeaderName::from_static("x-forwarded-host");
    prop::sample::select(vec![
        rules().ignore_header(language.clone()),
        rules().add_key_header(language.clone()).query(Query::only(["q"])).ignore_cookie("i"),
        rules().add_key_header(language.clone()).add_key_cookie("k").query(Query::except(["u"])),
        rules().ignore_header(language.clone()).site("http://a").ignore_header(forwarded_host.clone()),
        rules().add_key_header(language).query(Query::ALL.sorted()).add_key_header(forwarded_host),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_request_changes_what_another_is_answered(rules in any_rules(), (attacker, victim) in two_asks()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let is_unharmed = runtime.block_on(is_unharmed(&rules, &attacker, &victim));
        prop_assert!(is_unharmed, "{:?} changes what is answered to {:?}", attacker, victim);
    }
}
