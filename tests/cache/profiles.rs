//! What a cache in front of somebody else's origin may do, and one in front of one's own handlers does not.

use bartizan::{Query, Rules};
use http::{HeaderMap, HeaderName, header};

use crate::support::{Answer, Origin, Scene, exact, get, request, response};

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    let lines = headers.get_all(name).iter().map(|line| line.to_str().expect("a text"));
    lines.collect::<Vec<_>>().join(" | ")
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
