//! What a cache in front of somebody else's origin may do, and one in front of one's own handlers does not.

use std::time::Duration;

use bartizan::{Query, Rules};
use http::{HeaderMap, HeaderName, Method, header};

use crate::support::{Answer, Failed, Gate, Origin, Scene, exact, get, request, response};

type Fields = &'static [(&'static str, &'static str)];

const OWN: HeaderName = HeaderName::from_static("example-cache-control");
const AUTHORIZED: Fields = &[("authorization", "Basic a")];

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

// === who may have it ===

#[tokio::test]
async fn everyone_is_given_what_an_authorized_request_brings_on_its_own_word_only() {
    let shared = exact().share_authorized();
    let cases: &[(Fields, bool)] = &[
        (&[("cache-control", "max-age=60, public")], true),
        (&[("cache-control", "max-age=60, must-revalidate")], true),
        (&[("cache-control", "s-maxage=60")], true),
        (&[("cache-control", "max-age=60")], false),
        (&[("cache-control", "max-age=60, public, private")], false),
        (&[("cache-control", "max-age=60, public"), ("set-cookie", "a=b")], false),
    ];
    for (fields, want) in cases {
        assert_eq!(shares(&shared, fields, [AUTHORIZED, &[]]).await, *want, "{fields:?}");
        assert!(!shares(&exact(), fields, [AUTHORIZED, &[]]).await, "not by default; {fields:?}");
        let personal: Fields = &[("cookie", "sid=1")];
        assert!(!shares(&shared, fields, [AUTHORIZED, personal]).await, "a cookie is another matter; {fields:?}");
    }
}

#[tokio::test]
async fn an_authorized_request_keeps_nobody_from_a_page() {
    let scene = Scene::new(
        exact().share_authorized(),
        Origin::new(|call| async move {
            let authorized = call.request.headers().contains_key(header::AUTHORIZATION);
            let control = if authorized { "private" } else { "max-age=60" };
            Ok(response(200, &[("cache-control", control)], call.number.to_string()))
        }),
    );
    for _ in 0..2 {
        scene.ask(get("/", AUTHORIZED)).await;
    }
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=uri-miss; stored");
    assert!(scene.get("/").await.is_hit());
}

#[tokio::test]
async fn what_an_authorized_request_brought_varies_and_is_purged_as_all_else() {
    let fields: Fields = &[("cache-control", "max-age=60, public"), ("vary", "x-a")];
    let scene = Scene::new(exact().share_authorized(), Origin::says(fields));
    scene.ask(get("/", &[AUTHORIZED[0], ("x-a", "1")])).await;
    assert!(scene.ask(get("/", &[("x-a", "1")])).await.is_hit());
    assert!(!scene.ask(get("/", &[("x-a", "2")])).await.is_hit());
    scene.ask(request("DELETE", "/", &[])).await;
    assert!(!scene.ask(get("/", &[("x-a", "1")])).await.is_hit());
}

#[tokio::test]
async fn cookies_are_no_matter_where_the_rules_say_so() {
    let cookie: Fields = &[("cookie", "sid=1")];
    let fields: Fields = &[("cache-control", "max-age=60")];
    for clients in [[cookie, &[]], [&[], cookie], [cookie, &[("cookie", "sid=2")]]] {
        assert!(shares(&exact().danger_share_despite_cookies(), fields, clients).await, "{clients:?}");
        assert!(!shares(&exact(), fields, clients).await, "not by default; {clients:?}");
    }
    let varies: Fields = &[("cache-control", "max-age=60"), ("vary", "cookie")];
    assert!(!shares(&exact().danger_share_despite_cookies(), varies, [cookie, &[]]).await, "Vary still counts");
}

// === POST ===

/// Answers a `POST` as a `GET` of the same would be from then on, once the gate lets it.
fn posted(gate: Option<Gate>, fields: Fields) -> Origin {
    Origin::new(move |call| {
        let gate = gate.clone().filter(|_| call.request.method() == Method::POST);
        async move {
            if let Some(gate) = gate {
                gate.pass().await;
            }
            let body = format!("{} {}", call.request.method(), call.number);
            let language = text(call.request.headers(), &header::ACCEPT_LANGUAGE);
            let mut answer = response(200, fields, body);
            answer.headers_mut().insert(header::CONTENT_LANGUAGE, language.parse().expect("a value"));
            Ok(answer)
        }
    })
}

const ITSELF: Fields = &[("cache-control", "max-age=60"), ("content-location", "/")];

#[tokio::test]
async fn a_post_that_says_what_a_get_would_see_is_stored_for_it() {
    let scene = Scene::new(exact().store_post(), posted(None, ITSELF));
    scene.get("/").await;
    let answer = scene.ask(request("POST", "/", &[])).await;
    assert_eq!((answer.text(), answer.cache_status().as_str()), ("POST 1", "bartizan; fwd=method; stored"));
    scene.advance(10);
    let hit = scene.get("/").await;
    assert_eq!((hit.text(), hit.is_hit(), hit.field("age").as_deref()), ("POST 1", true, Some("10")));
    assert!(scene.ask(request("HEAD", "/", &[])).await.is_hit());
    assert_eq!(scene.ask(request("POST", "/", &[])).await.text(), "POST 2", "a POST is never answered from the store");
    assert_eq!(scene.get("/").await.text(), "POST 2");
    let counters = scene.cache.counters();
    assert_eq!((counters.misses.method, counters.stored, counters.misses.total()), (2, 3, 3));
}

#[tokio::test]
async fn a_post_that_does_not_say_so_leaves_nothing() {
    let cases: &[(u16, Fields)] = &[
        (200, &[("cache-control", "max-age=60")]),
        (200, &[("cache-control", "max-age=60"), ("content-location", "/other")]),
        (200, &[("cache-control", "max-age=60"), ("content-location", "http://other.example/")]),
        (200, &[("content-location", "/")]),
        (200, &[("content-location", "/"), ("last-modified", "Tue, 14 Nov 2022 00:00:00 GMT")]),
        (200, &[("content-location", "/"), ("cache-control", "max-age=0")]),
        (200, &[("content-location", "/"), ("cache-control", "private, max-age=60")]),
        (200, &[("content-location", "/"), ("cache-control", "max-age=60"), ("set-cookie", "a=b")]),
        (200, &[("content-location", "/"), ("cache-control", "max-age=60"), ("vary", "*")]),
        (303, &[("content-location", "/"), ("cache-control", "max-age=60")]),
        (404, &[("content-location", "/"), ("cache-control", "max-age=60")]),
    ];
    for &(status, fields) in cases {
        let rules = exact().store_post().default_ttl(Duration::from_secs(60)).heuristic_freshness();
        let scene = Scene::new(
            rules,
            Origin::new(move |call| async move {
                let is_post = call.request.method() == Method::POST;
                let page = response(200, &[("cache-control", "max-age=60")], "page");
                Ok(if is_post { response(status, fields, "posted") } else { page })
            }),
        );
        scene.get("/").await;
        let answer = scene.ask(request("POST", "/", &[])).await;
        assert_eq!((answer.text(), answer.cache_status().as_str()), ("posted", "bartizan; fwd=method"));
        let after = scene.get("/").await;
        assert_eq!((after.text(), after.is_hit()), ("page", status == 404), "{status} {fields:?}");
    }
    for (rules, sent) in [(exact(), &[][..]), (exact().store_post(), &[("range", "bytes=0-1")])] {
        let scene = Scene::new(rules, posted(None, ITSELF));
        scene.ask(request("POST", "/", sent)).await;
        assert_eq!(scene.get("/").await.text(), "GET 1");
    }
}

#[tokio::test]
async fn a_post_removes_every_variant_and_is_stored_under_its_own() {
    let fields: Fields = &[("cache-control", "max-age=60"), ("content-location", "/"), ("vary", "accept-language")];
    let scene = Scene::new(exact().store_post().ignore_cookie("_ga"), posted(None, fields));
    let (en, de): (Fields, Fields) = (&[("accept-language", "en")], &[("accept-language", "de")]);
    scene.ask(get("/", en)).await;
    scene.ask(get("/", de)).await;
    scene.ask(request("POST", "/", &[("accept-language", "de"), ("cookie", "_ga=1")])).await;
    assert_eq!(scene.ask(get("/", de)).await.text(), "POST 2");
    assert_eq!(scene.ask(get("/", en)).await.text(), "GET 3");
}

#[tokio::test]
async fn a_post_that_something_overtook_is_not_stored() {
    for way in ["delete", "post", "purge", "tag", "all", "nothing"] {
        let gate = Gate::new();
        let scene = Scene::new(exact().store_post().tag("a"), posted(Some(gate.clone()), ITSELF));
        let slow = tokio::spawn(scene.ask(request("POST", "/", &[])));
        gate.arrived(1).await;
        assert_eq!(scene.get("/").await.text(), "GET 1", "nobody waits for a POST");
        match way {
            "delete" => drop(scene.ask(request("DELETE", "/", &[])).await),
            "post" => {
                let other = tokio::spawn(scene.ask(request("POST", "/", &[])));
                gate.arrived(1).await;
                gate.open(1);
                // The first in the queue of the gate is the first POST.
                assert_eq!(slow.await.expect("no panic").text(), "POST 0");
                assert_eq!(scene.get("/").await.text(), "POST 0");
                gate.open(1);
                assert_eq!(other.await.expect("no panic").cache_status(), "bartizan; fwd=method");
                assert!(scene.get("/").await.text().starts_with("GET"), "the later is not known to be the last");
                continue;
            }
            "purge" => scene.cache.purge(&get("/", &[]).into_parts().0).await.expect("it is told"),
            "tag" => scene.cache.purge_tag("a").await.expect("it is told"),
            "all" => scene.cache.purge_all().await.expect("it is told"),
            _ => {}
        }
        gate.open(1);
        assert_eq!(slow.await.expect("no panic").text(), "POST 0");
        assert_eq!(scene.get("/").await.text() == "POST 0", way == "nothing", "{way}");
    }
}

#[tokio::test]
async fn a_post_that_is_given_up_removes_what_it_may_have_changed() {
    let gate = Gate::new();
    let scene = Scene::new(exact().store_post(), posted(Some(gate.clone()), ITSELF));
    scene.get("/").await;
    let slow = tokio::spawn(scene.ask(request("POST", "/", &[])));
    gate.arrived(1).await;
    slow.abort();
    let _ = slow.await;
    scene.cache.drain().await;
    assert_eq!(scene.get("/").await.text(), "GET 2");
    gate.open(1);
    scene.ask(request("POST", "/", &[])).await;
    assert_eq!(scene.get("/").await.text(), "POST 3", "and the next may be stored again");
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

// === the profiles ===

#[tokio::test]
async fn lifetimes_are_guessed_for_a_foreign_origin_where_the_rfc_lets_a_cache() {
    const MODIFIED: (&str, &str) = ("last-modified", "Tue, 14 Nov 2023 12:13:20 GMT");
    for (status, fields, guessed) in [
        (200, &[MODIFIED][..], true),
        (203, &[MODIFIED], true),
        (204, &[MODIFIED], true),
        (300, &[MODIFIED], true),
        (301, &[MODIFIED], true),
        (308, &[MODIFIED], true),
        (404, &[MODIFIED], true),
        (405, &[MODIFIED], true),
        (410, &[MODIFIED], true),
        (414, &[MODIFIED], true),
        (501, &[MODIFIED], true),
        (201, &[MODIFIED], false),
        (302, &[MODIFIED], false),
        (403, &[MODIFIED], false),
        (500, &[MODIFIED], false),
        (599, &[MODIFIED], false),
        (599, &[MODIFIED, ("cache-control", "public")], true),
        (200, &[], false),
    ] {
        let scene = |rules| Scene::new(rules, Origin::new(move |_| async move { Ok(response(status, fields, "")) }));
        let foreign = scene(Rules::reverse_proxy());
        foreign.get("/").await;
        // A tenth of ten hours.
        foreign.advance(3599);
        assert_eq!(foreign.get("/").await.is_hit(), guessed, "{status} {fields:?}");
        foreign.advance(1);
        assert!(!foreign.get("/").await.is_hit(), "{status} {fields:?}");
        let own = scene(exact());
        own.get("/").await;
        assert!(!own.get("/").await.is_hit(), "not by default; {status} {fields:?}");
    }
}

#[tokio::test]
async fn in_front_of_a_foreign_origin_the_fields_decide() {
    let cookie: Fields = &[("cookie", "sid=1")];
    let cases: &[(&str, Fields, [Fields; 2])] = &[
        ("targeted", &[("cdn-cache-control", "max-age=60"), ("cache-control", "no-store")], [&[], &[]]),
        ("Set-Cookie", &[("cache-control", "max-age=60"), ("set-cookie", "a=b")], [&[], &[]]),
        ("Cookie", &[("cache-control", "max-age=60")], [&[], cookie]),
        ("Authorization", &[("cache-control", "max-age=60, public")], [AUTHORIZED, &[]]),
        (
            "Vary",
            &[("cache-control", "max-age=60"), ("vary", "accept-language")],
            [&[("accept-language", "en, de")], &[("accept-language", "de,en")]],
        ),
    ];
    for (what, fields, clients) in cases {
        assert!(shares(&Rules::reverse_proxy(), fields, *clients).await, "{what}");
        assert!(!shares(&exact(), fields, *clients).await, "{what} is not for an application");
    }
    for fields in [&[("cache-control", "private, max-age=60")][..], &[("cache-control", "no-store, max-age=60")], &[]] {
        assert!(!shares(&Rules::reverse_proxy(), fields, [&[], &[]]).await, "{fields:?}");
    }
    assert!(!shares(&Rules::reverse_proxy(), &[("cache-control", "max-age=60")], [AUTHORIZED, &[]]).await);
}

#[tokio::test]
async fn a_foreign_origin_that_is_gone_is_stood_in_for_an_hour() {
    for (control, stood_in) in [
        ("max-age=60", true),
        ("max-age=60, must-revalidate", false),
        ("max-age=60, proxy-revalidate", false),
        ("s-maxage=60", false),
        ("no-cache", false),
    ] {
        let scene = Scene::new(
            Rules::reverse_proxy(),
            Origin::new(move |call| async move {
                if call.number > 0 {
                    return Err(Failed);
                }
                Ok(response(200, &[("cache-control", control), ("etag", "\"1\"")], "page"))
            }),
        );
        scene.get("/").await;
        scene.clock.advance(Duration::from_secs(60 + 3599));
        assert_eq!(scene.send(get("/", &[])).await.is_ok(), stood_in, "{control}");
        scene.advance(1);
        assert!(scene.send(get("/", &[])).await.is_err(), "{control}");
    }
}

#[tokio::test]
async fn a_foreign_origins_lifetimes_are_exact() {
    for _ in 0..20 {
        let scene = Scene::new(Rules::reverse_proxy(), Origin::says(&[("cache-control", "max-age=1000")]));
        scene.get("/").await;
        scene.advance(999);
        assert!(scene.get("/").await.is_hit());
        assert_eq!(scene.calls(), 1, "neither shortened nor refreshed early");
    }
}
