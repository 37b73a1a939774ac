//! Responses that are invalidated together (RFC 9875).

use bartizan::store::Tag;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::support::{Gate, Origin, Scene, exact, get, request, response};

/// GET: a page in the groups that its query names; else: ends the groups that the query names.
///
/// A list in the query is written with `'` for `"`, and without blanks.
fn origin() -> Origin {
    Origin::new(|call| async move { Ok(answer(&call.request)) })
}

fn answer(request: &Request<Full<Bytes>>) -> http::Response<crate::support::Body> {
    let list = request.uri().query().unwrap_or_default().replace('\'', "\"");
    let status = if request.uri().path() == "/fails" { 500 } else { 200 };
    match request.method().as_str() {
        "GET" => response(200, &[("cache-control", "max-age=60"), ("cache-groups", &list)], "page"),
        _ => response(status, &[("cache-group-invalidation", &list)], ""),
    }
}

fn scene() -> Scene {
    Scene::new(exact(), origin())
}

async fn is_kept(scene: &Scene, uri: &str) -> bool {
    let calls = scene.calls();
    assert_eq!(scene.get(uri).await.status(), 200);
    scene.calls() == calls
}

async fn send(scene: &Scene, method: &str, uri: &str) {
    scene.ask(request(method, uri, &[])).await;
}

#[tokio::test]
async fn an_unsafe_request_ends_the_groups_that_its_response_names() {
    for (groups, ended, gone) in [
        ("'a'", "'a'", true),
        ("'x','a','y'", "'b','a'", true),
        ("'a';p=1", "'a';q", true),
        ("'a'", "'b'", false),
        ("'a'", "'A'", false),
        ("'a'", "", false),
        ("", "'a'", false),
        ("'a'", "a", false),
        ("'a'", "'a',b", false),
        ("'a',b", "'a'", false),
    ] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH"] {
            let scene = scene();
            let page = format!("/page?{groups}");
            assert!(!is_kept(&scene, &page).await && is_kept(&scene, &page).await);
            send(&scene, method, &format!("/elsewhere?{ended}")).await;
            assert_eq!(is_kept(&scene, &page).await, !gone, "{groups} after {method} that says {ended}");
        }
    }
}

// RFC 9875, 3: it must be ignored on responses to safe methods
#[tokio::test]
async fn a_safe_request_ends_nothing() {
    for method in ["HEAD", "OPTIONS", "TRACE", "QUERY"] {
        let scene = scene();
        scene.get("/page?'a'").await;
        send(&scene, method, "/elsewhere?'a'").await;
        assert!(is_kept(&scene, "/page?'a'").await, "{method}");
    }
    let both = &[("cache-control", "max-age=60"), ("cache-groups", "\"a\""), ("cache-group-invalidation", "\"a\"")];
    let scene = Scene::new(exact(), Origin::says(both));
    scene.get("/1").await;
    scene.get("/2").await;
    assert!(is_kept(&scene, "/1").await, "GET");
}

#[tokio::test]
async fn an_error_that_names_groups_means_them() {
    let scene = scene();
    scene.get("/page?'a'").await;
    scene.get("/fails?'a'").await;
    send(&scene, "POST", "/fails?'a'").await;
    assert!(!is_kept(&scene, "/page?'a'").await);
}

// RFC 9875, 2.1
#[tokio::test]
async fn a_group_is_of_one_origin() {
    let pages = ["http://a/?'g'", "http://a:8080/?'g'", "https://a/?'g'", "http://b/?'g'"];
    for (target, gone) in
        [("http://a/x?'g'", 0), ("http://A:80/x?'g'", 0), ("https://a/x?'g'", 2), ("http://b/x?'g'", 3)]
    {
        let scene = scene();
        for page in pages {
            scene.get(page).await;
        }
        send(&scene, "POST", target).await;
        for (number, page) in pages.iter().enumerate() {
            assert_eq!(is_kept(&scene, page).await, number != gone, "{page} after a POST to {target}");
        }
    }
    let scene = Scene::new(exact().site("https://a"), origin());
    scene.ask(get("/?'g'", &[("host", "one")])).await;
    scene.ask(request("POST", "/x?'g'", &[("host", "two")])).await;
    assert!(!is_kept(&scene, "/?'g'").await, "of the one site that the rules name");
}

#[tokio::test]
async fn a_group_is_not_a_tag_of_the_programs_own() {
    let scene = Scene::new(exact().tag("a"), origin());
    scene.get("/page?'g'").await;
    send(&scene, "POST", "/elsewhere?'a'").await;
    assert!(is_kept(&scene, "/page?'g'").await, "the group has the name of a tag");
    for tag in ["g", "group g", "\"g\""] {
        scene.cache.purge_tag(Tag::from(tag)).await.expect("memory does not fail");
        assert!(is_kept(&scene, "/page?'g'").await, "{tag} has the name of a group");
    }
}

#[tokio::test]
async fn each_variant_is_in_its_own_groups() {
    let origin = Origin::new(|call| async move {
        if call.request.method() == "POST" {
            return Ok(response(200, &[("cache-group-invalidation", "\"de\"")], ""));
        }
        let group = format!("\"{}\"", call.request.headers()["accept-language"].to_str().expect("a text"));
        let fields = [("cache-control", "max-age=60"), ("vary", "accept-language"), ("cache-groups", &group)];
        Ok(response(200, &fields, ""))
    });
    let scene = Scene::new(exact(), origin);
    for language in ["de", "fr"] {
        scene.ask(get("/", &[("accept-language", language)])).await;
    }
    send(&scene, "POST", "/elsewhere").await;
    for (language, kept) in [("de", false), ("fr", true)] {
        assert_eq!(scene.ask(get("/", &[("accept-language", language)])).await.is_hit(), kept, "{language}");
    }
}

#[tokio::test]
async fn a_304_may_say_new_groups() {
    let origin = Origin::new(|call| async move {
        Ok(match call.request.method().as_str() {
            "POST" => response(200, &[("cache-group-invalidation", "\"new\"")], ""),
            _ if call.request.headers().contains_key("if-none-match") => {
                response(304, &[("etag", "\"1\""), ("cache-groups", "\"new\"")], "")
            }
            _ => response(200, &[("cache-control", "max-age=60"), ("etag", "\"1\"")], ""),
        })
    });
    let scene = Scene::new(exact(), origin);
    scene.get("/").await;
    scene.advance(61);
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=stale; fwd-status=304; stored");
    assert!(is_kept(&scene, "/").await);
    send(&scene, "POST", "/elsewhere").await;
    assert!(!is_kept(&scene, "/").await);
}

#[tokio::test]
async fn what_is_being_made_when_its_group_ends_is_not_stored() {
    let gate = Gate::new();
    let origin = {
        let gate = gate.clone();
        Origin::new(move |call| {
            let gate = gate.clone();
            async move {
                if call.request.method() == "GET" {
                    gate.pass().await;
                }
                Ok(answer(&call.request))
            }
        })
    };
    let scene = Scene::new(exact(), origin);
    let asked = tokio::spawn(scene.ask(get("/page?'a'", &[])));
    gate.arrived(1).await;
    send(&scene, "POST", "/elsewhere?'a'").await;
    gate.open(2);
    asked.await.expect("no panic");
    assert!(!is_kept(&scene, "/page?'a'").await);
}

#[tokio::test]
async fn what_the_origin_says_of_groups_reaches_the_caches_behind() {
    let scene = scene();
    for _ in 0..2 {
        assert_eq!(scene.get("/page?'a'").await.field("cache-groups").as_deref(), Some("\"a\""));
    }
    let post = scene.ask(request("POST", "/?'a'", &[])).await;
    assert_eq!(post.field("cache-group-invalidation").as_deref(), Some("\"a\""));
}
