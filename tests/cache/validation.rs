//! Validation: what a newer head makes of a stored page, and what it must not. RFC 9111, 4.3.4 and 4.3.5

use std::time::Duration;

use bartizan::cache::Caching;
use http::{HeaderMap, Method, header};

use crate::support::{
    Answer, Call, Failed, Gate, Origin, Scene, answers, crowd, exact, get, request, response, run_others, settle, take,
    texts,
};

type Fields = &'static [(&'static str, &'static str)];

const FRESH: &str = "max-age=60";
/// `TestClock` begins at the end of that day.
const LONG_AGO: &str = "Tue, 14 Nov 2023 20:00:00 GMT";

fn is_conditional(asked: &HeaderMap) -> bool {
    asked.contains_key(header::IF_NONE_MATCH) || asked.contains_key(header::IF_MODIFIED_SINCE)
}

/// Answers whatever is conditional with the 304 of a response that is not the one asked about.
fn beside_the_point(control: &'static str) -> Origin {
    Origin::new(move |call| async move {
        take(100).await;
        let number = call.number;
        Ok(if is_conditional(call.request.headers()) {
            response(304, &[("etag", "\"another\"")], "")
        } else {
            response(200, &[("cache-control", control), ("etag", "\"1\"")], format!("page {number}"))
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_304_for_another_response_updates_nothing_and_the_next_request_asks_for_a_whole_one() {
    let scene = Scene::new(exact(), beside_the_point(FRESH));
    scene.get("/").await;
    scene.advance(61);
    let confused = scene.get("/").await;
    assert_eq!(confused.cache_status(), "bartizan; fwd=stale; fwd-status=304");
    assert_eq!((confused.text(), confused.field("etag").as_deref()), ("page 0", Some("\"1\"")));
    let whole = scene.get("/").await;
    assert_eq!((whole.text(), whole.cache_status().as_str()), ("page 2", "bartizan; fwd=stale; stored"));
    assert_eq!((scene.get("/").await.text(), scene.calls()), ("page 2", 3));
}

#[tokio::test(start_paused = true)]
async fn what_must_be_validated_is_not_served_on_a_304_for_another_response() {
    for control in ["max-age=60, must-revalidate", "max-age=60, proxy-revalidate", "no-cache", "s-maxage=60"] {
        let scene = Scene::new(exact(), beside_the_point(control));
        scene.get("/").await;
        scene.advance(61);
        let refused = scene.get("/").await;
        assert_eq!((refused.status(), refused.text()), (502, ""), "{control}");
        assert_eq!(refused.cache_status(), "bartizan; fwd=stale; fwd-status=304; detail=unconfirmed", "{control}");
        assert_eq!(scene.get("/").await.text(), "page 2", "{control}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_304_that_is_for_another_response_has_the_whole_one() {
    let scene = Scene::new(exact(), beside_the_point("max-age=60, must-revalidate"));
    scene.get("/").await;
    scene.advance(61);
    let leader = tokio::spawn(scene.ask(get("/", &[])));
    settle().await;
    let waiting = answers(crowd(&scene, 20, "/")).await;
    assert_eq!(texts(&waiting), ["page 2"]);
    assert_eq!(leader.await.expect("no panic").status(), 502);
    assert_eq!(scene.calls(), 3, "one of them asked");
}

#[tokio::test]
async fn an_origin_that_has_learned_to_make_entity_tags_confirms_by_the_date() {
    let scene = Scene::new(
        exact(),
        Origin::new(|call| async move {
            let dated = [("cache-control", FRESH), ("last-modified", LONG_AGO)];
            Ok(match call.number {
                0 => response(200, &dated, "page"),
                1 => response(304, &[dated[0], dated[1], ("etag", "\"new\"")], ""),
                _ => {
                    assert_eq!(call.request.headers()[header::IF_NONE_MATCH], "\"new\"");
                    response(304, &[("etag", "\"new\"")], "")
                }
            })
        }),
    );
    scene.get("/").await;
    for _ in 0..2 {
        scene.advance(61);
        let confirmed = scene.get("/").await;
        assert_eq!(confirmed.cache_status(), "bartizan; fwd=stale; fwd-status=304; stored");
        assert_eq!((confirmed.text(), confirmed.field("etag").as_deref()), ("page", Some("\"new\"")));
    }
}

/// Each response has a tag of its own.
async fn tagged(call: Call) -> Result<http::Response<crate::support::Body>, Failed> {
    let fields = [("cache-control", FRESH), ("etag", "\"1\"")];
    let mut response = if is_conditional(call.request.headers()) {
        response(304, &fields, "")
    } else {
        response(200, &fields, call.number.to_string())
    };
    response.extensions_mut().insert(Caching::new().tag(format!("tag {}", call.number)));
    Ok(response)
}

#[tokio::test]
async fn a_page_keeps_its_tags_over_304s_but_does_not_pile_them_up() {
    let scene = Scene::new(exact(), Origin::new(tagged));
    scene.get("/").await;
    let mut confirmed = 0;
    loop {
        scene.advance(61);
        let answer = scene.get("/").await;
        assert_eq!(answer.text(), "0");
        if answer.cache_status() == "bartizan; fwd=stale; fwd-status=304" {
            break;
        }
        confirmed += 1;
        assert!(confirmed < 100, "its tags pile up");
    }
    assert_eq!(confirmed, 63, "with the first there are 64");
    let whole = scene.get("/").await;
    assert_eq!((whole.text(), whole.cache_status().as_str()), ("65", "bartizan; fwd=stale; stored"));
    scene.cache.purge_tag("tag 3").await.expect("purged");
    assert!(scene.get("/").await.is_hit(), "it has only its own");

    let scene = Scene::new(exact(), Origin::new(tagged));
    scene.get("/").await;
    for _ in 0..5 {
        scene.advance(61);
        scene.get("/").await;
    }
    scene.cache.purge_tag("tag 0").await.expect("purged");
    assert!(!scene.get("/").await.is_hit(), "what its body was made of still counts");
}

// === HEAD ===

/// A page, and the head that the handler gives to the HEADs that come to it.
fn with_head(page: Fields, head: Fields) -> Scene {
    Scene::new(
        exact().honour_client_directives(),
        Origin::new(move |call| async move {
            Ok(match *call.request.method() {
                Method::HEAD => response(200, head, ""),
                _ if is_conditional(call.request.headers()) => response(304, page, ""),
                _ => response(200, page, "the page"),
            })
        }),
    )
}

async fn head(scene: &Scene) -> Answer {
    scene.ask(request("HEAD", "/", &[])).await
}

const PAGE: Fields =
    &[("cache-control", FRESH), ("etag", "\"1\""), ("last-modified", LONG_AGO), ("x-kept", "old"), ("x-new", "old")];

#[tokio::test]
async fn a_head_that_speaks_of_the_stored_page_renews_it() {
    for fields in [
        &[("cache-control", FRESH), ("etag", "\"1\""), ("x-new", "new")][..],
        &[("cache-control", FRESH), ("last-modified", LONG_AGO), ("x-new", "new"), ("content-length", "8")],
    ] {
        let scene = with_head(PAGE, fields);
        scene.get("/").await;
        scene.advance(61);
        let renewing = head(&scene).await;
        assert_eq!(renewing.cache_status(), "bartizan; fwd=stale; stored", "{fields:?}");
        assert_eq!(renewing.field("x-kept"), None, "it is given as it came: {fields:?}");
        let hit = scene.get("/").await;
        assert_eq!((hit.is_hit(), hit.text()), (true, "the page"), "{fields:?}");
        assert_eq!(hit.field("x-new").as_deref(), Some("new"), "{fields:?}");
        assert_eq!(hit.field("x-kept").as_deref(), Some("old"), "{fields:?}");
        assert_eq!(hit.field("content-length").as_deref(), Some("8"), "{fields:?}");
        assert_eq!((hit.field("age").as_deref(), scene.calls()), (Some("0"), 2), "{fields:?}");
    }
}

#[tokio::test]
async fn a_head_that_speaks_of_something_else_renews_nothing() {
    for fields in [
        &[("cache-control", FRESH), ("etag", "\"2\"")][..],
        &[("cache-control", FRESH), ("etag", "\"1\""), ("last-modified", "Tue, 14 Nov 2023 20:00:01 GMT")],
        &[("cache-control", FRESH), ("etag", "\"1\""), ("content-length", "9")],
        &[("cache-control", FRESH)],
        &[("cache-control", "no-store"), ("etag", "\"1\"")],
        &[("cache-control", FRESH), ("etag", "\"1\""), ("set-cookie", "a=b")],
    ] {
        let scene = with_head(PAGE, fields);
        scene.get("/").await;
        scene.advance(61);
        assert_eq!(head(&scene).await.cache_status(), "bartizan; fwd=stale", "{fields:?}");
        let next = scene.get("/").await;
        assert_eq!(next.cache_status(), "bartizan; fwd=stale; fwd-status=304; stored", "{fields:?}");
        assert_eq!(next.field("x-new").as_deref(), Some("old"), "{fields:?}");
    }
}

#[tokio::test]
async fn a_fresh_page_that_a_head_disowns_is_not_served_any_longer() {
    for (fields, is_hit) in [
        (&[("etag", "\"2\"")][..], false),
        (&[("etag", "\"1\""), ("content-length", "9")], false),
        (&[("x-new", "new")], true),
        (&[("etag", "\"1\""), ("cache-control", FRESH)], true),
    ] {
        let scene = with_head(PAGE, fields);
        scene.get("/").await;
        scene.ask(request("HEAD", "/", &[("cache-control", "no-cache")])).await;
        assert_eq!(scene.get("/").await.is_hit(), is_hit, "{fields:?}");
    }
}

#[tokio::test]
async fn a_head_with_nothing_stored_passes_and_a_fresh_page_answers_it() {
    let scene = with_head(PAGE, &[("etag", "\"1\"")]);
    assert_eq!(head(&scene).await.cache_status(), "bartizan; fwd=uri-miss");
    scene.get("/").await;
    assert!(head(&scene).await.is_hit());
    assert_eq!(scene.calls(), 2);
}

/// An origin whose HEADs stop at the gate.
fn gated(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::new(move |call| {
        let gate = gate.clone();
        async move {
            if call.request.method() == Method::HEAD {
                gate.pass().await;
                return Ok(response(200, PAGE, ""));
            }
            Ok(response(200, PAGE, format!("page {}", call.number)))
        }
    })
}

#[tokio::test]
async fn a_head_that_was_read_before_a_purge_brings_nothing_back_after_it() {
    let gate = Gate::new();
    let scene = Scene::new(exact(), gated(&gate));
    scene.get("/").await;
    scene.advance(61);
    let head = tokio::spawn(scene.ask(request("HEAD", "/", &[])));
    gate.arrived(1).await;
    scene.cache.purge_all().await.expect("purged");
    gate.open(1);
    head.await.expect("no panic");
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=uri-miss; stored");
}

#[tokio::test]
async fn a_head_whose_client_leaves_strands_nobody() {
    let gate = Gate::new();
    let scene = Scene::new(exact(), gated(&gate));
    scene.get("/").await;
    scene.advance(61);
    let head = tokio::spawn(scene.ask(request("HEAD", "/", &[])));
    gate.arrived(1).await;
    let waiting = tokio::spawn(scene.ask(get("/", &[])));
    run_others().await;
    assert!(!waiting.is_finished(), "it waits for what the HEAD will say");
    head.abort();
    let waiting = tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("not stranded");
    assert_eq!(waiting.expect("no panic").text(), "page 2");
}

#[tokio::test]
async fn a_head_that_fails_leaves_the_page_to_who_waits() {
    let scene = Scene::new(
        exact(),
        Origin::new(|call| async move {
            match (call.request.method().as_str(), call.number) {
                ("HEAD", 1) => Err(Failed),
                ("HEAD", _) => Ok(response(503, PAGE, "")),
                _ => Ok(response(200, PAGE, format!("page {}", call.number))),
            }
        }),
    );
    scene.get("/").await;
    scene.advance(61);
    assert!(scene.send(request("HEAD", "/", &[])).await.is_err());
    assert_eq!(head(&scene).await.status(), 503);
    assert_eq!(scene.get("/").await.text(), "page 3");
    assert_eq!(scene.cache.counters().misses.expired, 3);
}
