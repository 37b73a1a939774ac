//! What a cache in front of somebody else's origin may do, and one in front of one's own handlers does not.

use bartizan::{Query, Rules};
use http::{HeaderMap, HeaderName, header};

use crate::support::{Answer, Origin, Scene, exact, get, request, response};

type Fields = &'static [(&'static str, &'static str)];

const OWN: HeaderName = HeaderName::from_static("example-cache-control");

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    let lines = headers.get_all(name).iter().map(|line| line.to_str().expect("a text"));
    lines.collect::<Vec<_>>().join(" | ")
}

/// Whether what the first of two requests brings answers the second.
async fn shares(rules: &Rules, fields: Fields, [first, second]: [Fields; 2]) -> bool {
    let scene = Scene::new(rules.clone(), Origin::says(fields));
    scene.ask(get("/", first)).await;
    scene.ask(get("/", second)).await.is_hit()
}

// === targeted fields ===

#[tokio::test]
async fn a_targeted_field_takes_the_place_of_cache_control_and_expires() {
    const PAST: (&str, &str) = ("expires", "Tue, 14 Nov 2023 00:00:00 GMT");
    const FUTURE: (&str, &str) = ("expires", "Tue, 14 Nov 2028 00:00:00 GMT");
    let cdn = exact().targeted_fields([header::CDN_CACHE_CONTROL]);
    let cases: &[(Fields, bool, bool)] = &[
        // With, and without a target list.
        (&[("cdn-cache-control", "max-age=60")], true, false),
        (&[("cdn-cache-control", "max-age=60"), ("cache-control", "no-store"), PAST], true, false),
        (&[("cdn-cache-control", "max-age=60"), ("cache-control", "private")], true, false),
        (&[("cdn-cache-control", "no-store"), ("cache-control", "max-age=60")], false, true),
        (&[("cdn-cache-control", "private"), ("cache-control", "max-age=60")], false, true),
        (&[("cdn-cache-control", "no-cache"), ("cache-control", "max-age=60"), FUTURE], false, true),
        (&[("cdn-cache-control", "must-revalidate"), ("cache-control", "max-age=60"), FUTURE], false, true),
        (&[("cdn-cache-control", "max-age=60"), ("age", "60")], false, false),
        (&[("cdn-cache-control", "max-age=60, &"), ("cache-control", "max-age=60")], true, true),
        (&[("cdn-cache-control", "max-age=60, &"), ("cache-control", "no-store")], false, false),
        (&[("cdn-cache-control", "max-age=\"60\""), ("cache-control", "max-age=60")], false, true),
        (&[("cdn-cache-control", ""), FUTURE], true, true),
        (&[("example-cache-control", "no-store"), ("cache-control", "max-age=60")], true, true),
    ];
    for (fields, targeted, plain) in cases {
        assert_eq!(shares(&cdn, fields, [&[], &[]]).await, *targeted, "targeted: {fields:?}");
        assert_eq!(shares(&exact(), fields, [&[], &[]]).await, *plain, "not targeted: {fields:?}");
    }
}

#[tokio::test]
async fn targeted_fields_are_asked_in_order_and_passed_on() {
    let fields: Fields = &[
        ("cdn-cache-control", "max-age=60"),
        ("example-cache-control", "max-age=600"),
        ("cache-control", "max-age=6"),
    ];
    let scene = Scene::new(exact().targeted_fields([OWN, header::CDN_CACHE_CONTROL]), Origin::says(fields));
    scene.get("/").await;
    scene.advance(599);
    let hit = scene.get("/").await;
    assert_eq!((hit.is_hit(), hit.field("age").as_deref()), (true, Some("599")));
    for (name, value) in fields {
        assert_eq!(hit.field(name).as_deref(), Some(*value), "for the caches behind this one");
    }
    scene.advance(1);
    assert!(!scene.get("/").await.is_hit());
}

#[tokio::test]
async fn a_304_updates_what_a_targeted_field_says() {
    let scene = Scene::new(
        exact().targeted_fields([header::CDN_CACHE_CONTROL]),
        Origin::new(|call| async move {
            Ok(match call.number {
                0 => response(200, &[("etag", "\"1\""), ("cdn-cache-control", "max-age=60")], "page"),
                1 => response(304, &[("etag", "\"1\""), ("cache-control", "no-store")], ""),
                2 => response(304, &[("etag", "\"1\""), ("cdn-cache-control", "max-age=600")], ""),
                _ => response(304, &[("etag", "\"1\""), ("cdn-cache-control", "no-store")], ""),
            })
        }),
    );
    scene.get("/").await;
    for (wait, want) in [
        (60, "bartizan; fwd=stale; fwd-status=304; stored"),
        (59, "bartizan; hit"),
        (1, "bartizan; fwd=stale; fwd-status=304; stored"),
        (599, "bartizan; hit"),
        (1, "bartizan; fwd=stale; fwd-status=304; detail=no-store"),
    ] {
        scene.advance(wait);
        let answer = scene.get("/").await;
        assert_eq!((answer.text(), answer.cache_status().as_str()), ("page", want));
    }
}

// === what selects ===

/// What the handler saw of a field.
fn echo(name: HeaderName) -> Origin {
    let vary = name.as_str().to_owned();
    Origin::new(move |call| {
        let seen = text(call.request.headers(), &name);
        let fields = [("cache-control", "public, max-age=60"), ("vary", vary.as_str())];
        let answer = response(200, &fields, seen);
        async move { Ok(answer) }
    })
}

async fn both(rules: Rules, name: &HeaderName, [first, second]: [&str; 2]) -> [Answer; 2] {
    let scene = Scene::new(rules, echo(name.clone()));
    [scene.ask(get("/", &[(name.as_str(), first)])).await, scene.ask(get("/", &[(name.as_str(), second)])).await]
}

#[tokio::test]
async fn cookies_that_the_handler_does_not_see_select_no_variant() {
    for (cookies, shared) in [
        (["_ga=1", "_ga=2"], true),
        (["lang=en; _ga=1", "_ga=2; lang=en"], true),
        (["lang=en; _ga=1", "lang=en"], true),
        (["lang=en; _ga=1", "lang=de; _ga=1"], false),
    ] {
        let rules = exact().ignore_cookie("_ga");
        let [first, second] = both(rules, &header::COOKIE, cookies).await;
        assert_eq!(second.is_hit(), shared, "{cookies:?}");
        assert!(!first.text().contains("_ga") && !second.text().contains("_ga"), "{cookies:?}");
    }
}

#[tokio::test]
async fn what_is_spelled_otherwise_and_means_the_same_is_one_variant() {
    for (name, values, seen) in [
        (header::ACCEPT_LANGUAGE, ["en, de", "de, en"], "de, en"),
        (header::ACCEPT_LANGUAGE, ["DE;q=0.50,en", "en , de ; q=0.5"], "en, de;q=0.5"),
        (header::ACCEPT_ENCODING, ["gzip, deflate, br", "br,x-gzip,DEFLATE, zstd;q=0"], "br, deflate, gzip"),
        (HeaderName::from_static("foo"), ["1,2", " 1, 2 "], "1,2"),
    ] {
        let [_, second] = both(exact().normalise_vary(), &name, values).await;
        assert_eq!((second.is_hit(), second.text()), (true, seen), "{values:?}");
        let [first, second] = both(exact(), &name, values).await;
        assert!(!second.is_hit(), "not by default; {values:?}");
        assert_eq!([first.text(), second.text()], values, "and nothing is rewritten");
    }
}

#[tokio::test]
async fn what_means_something_else_is_another_variant() {
    for (name, values) in [
        (header::ACCEPT_LANGUAGE, ["en, de;q=0.5", "de, en;q=0.5"]),
        (header::ACCEPT_LANGUAGE, ["en", "en, *;q=0.1"]),
        (header::ACCEPT_ENCODING, ["gzip", "gzip, identity;q=0"]),
        (header::ACCEPT_ENCODING, ["*", "*, br;q=0"]),
        (header::ACCEPT_ENCODING, ["gzip;q=7", "gzip"]),
        (HeaderName::from_static("foo"), ["1,2", "2,1"]),
    ] {
        let [_, second] = both(exact().normalise_vary(), &name, values).await;
        assert!(!second.is_hit(), "{values:?}");
    }
}

/// Two requests that share a variant must look alike to the handler, on whichever way they get to it.
#[tokio::test]
async fn the_handler_is_sent_what_selected() {
    let scene = Scene::new(
        exact().normalise_vary().add_key_header(header::ACCEPT_LANGUAGE).query(Query::only(["q"])),
        Origin::new(|call| async move {
            let seen = text(call.request.headers(), &header::ACCEPT_LANGUAGE);
            let control = if call.request.uri().path() == "/private" { "private" } else { "max-age=60" };
            Ok(response(200, &[("cache-control", control)], seen))
        }),
    );
    for (way, method, path, extra) in [
        ("stored", "GET", "/", ("x", "")),
        ("without a lease", "GET", "/", ("cache-control", "no-store")),
        ("a part", "GET", "/part", ("range", "bytes=0-3")),
        ("uncacheable", "GET", "/private", ("x", "")),
        ("passed", "GET", "/private", ("x", "")),
    ] {
        let answer = scene.ask(request(method, path, &[("accept-language", "EN,de"), extra])).await;
        assert_eq!(answer.text(), "de, en", "{way}");
    }
}
