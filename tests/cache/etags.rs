//! Entity tags that the cache makes where the rules ask for them.

use bartizan::Rules;
use bytes::Bytes;
use http::header;

use crate::support::{Origin, Scene, exact, get, pipe, request, response, streamed};

type Fields = &'static [(&'static str, &'static str)];

const FRESH: Fields = &[("cache-control", "max-age=60"), ("content-type", "text/plain")];
const LONG_AGO: &str = "Tue, 14 Nov 2023 20:00:00 GMT";

fn generating() -> Rules {
    exact().generate_etags()
}

fn saying(status: u16, fields: Fields, body: &'static str) -> Scene {
    Scene::new(generating(), Origin::new(move |_| async move { Ok(response(status, fields, body)) }))
}

/// The entity tag under which a path is stored.
async fn stored_tag(scene: &Scene, path: &str) -> Option<String> {
    scene.get(path).await;
    let hit = scene.get(path).await;
    assert!(hit.is_hit());
    hit.field("etag")
}

#[tokio::test]
async fn a_client_that_has_the_page_is_told_so_by_the_tag_of_the_cache() {
    let scene = saying(200, FRESH, "0123456789");
    assert_eq!(scene.get("/").await.field("etag"), None, "it is not known before the body has come");
    let tag = scene.get("/").await.field("etag").expect("a tag");
    assert!(tag.starts_with('"') && tag.ends_with('"'), "a strong one: {tag}");

    let same = scene.ask(get("/", &[("if-none-match", &tag)])).await;
    assert_eq!((same.status(), same.field("etag")), (304, Some(tag.clone())));
    assert_eq!(scene.ask(get("/", &[("if-none-match", "\"other\"")])).await.status(), 200);
    assert_eq!(scene.ask(get("/", &[("range", "bytes=2-3"), ("if-range", &tag)])).await.text(), "23");
    assert_eq!(scene.ask(request("HEAD", "/", &[])).await.field("etag"), Some(tag));
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn the_tag_is_of_the_content_and_the_same_on_each_node() {
    let tag = stored_tag(&saying(200, FRESH, "one"), "/").await;
    assert_eq!(stored_tag(&saying(200, FRESH, "one"), "/elsewhere").await, tag);
    assert_ne!(stored_tag(&saying(200, FRESH, "two"), "/").await, tag);

    let coded: Fields =
        &[("cache-control", "max-age=60"), ("content-type", "text/plain"), ("content-encoding", "x-none")];
    assert_ne!(stored_tag(&saying(200, coded, "one"), "/").await, tag);

    let trickling = Origin::new(|_| async {
        let (tap, body) = pipe();
        tokio::spawn(async move {
            for letter in ["o", "n", "e"] {
                tap.data(letter).await;
            }
        });
        Ok(streamed(200, FRESH, body))
    });
    assert_eq!(stored_tag(&Scene::new(generating(), trickling), "/").await, tag, "however it came");
}

#[tokio::test]
async fn what_has_a_tag_or_is_no_200_is_left_as_it_is() {
    let tagged: Fields = &[("cache-control", "max-age=60"), ("etag", "W/\"theirs\"")];
    assert_eq!(stored_tag(&saying(200, tagged, "body"), "/").await.as_deref(), Some("W/\"theirs\""));
    assert_eq!(stored_tag(&saying(404, FRESH, "body"), "/").await, None);
    let unasked = Scene::new(exact(), Origin::new(|_| async { Ok(response(200, FRESH, "body")) }));
    assert_eq!(stored_tag(&unasked, "/").await, None, "no rule asks for it");

    let long = Origin::new(|_| async { Ok(response(200, FRESH, Bytes::from_static(&[b'x'; 100]))) });
    let scene = Scene::new(generating().body_limit(99), long);
    scene.get("/").await;
    assert_eq!(scene.get("/").await.field("etag"), None, "over the limit");
}

#[tokio::test]
async fn the_handler_is_never_asked_by_a_tag_that_it_does_not_know() {
    let scene = Scene::new(
        generating(),
        Origin::new(|call| async move {
            let asked = call.request.headers();
            assert!(!asked.contains_key(header::IF_NONE_MATCH), "{asked:?}");
            Ok(match (call.request.uri().path(), asked.get(header::IF_MODIFIED_SINCE)) {
                ("/dated", None) => response(200, &[("last-modified", LONG_AGO), FRESH[0]], "page"),
                ("/dated", Some(since)) => {
                    assert_eq!(since, LONG_AGO);
                    response(304, &[FRESH[0]], "")
                }
                (_, since) => {
                    assert_eq!(since, None);
                    response(200, FRESH, "page")
                }
            })
        }),
    );
    // To the client who has it, a confirmed page is a 304; one that was made again is whole, its tag not being known yet.
    for (path, status) in [("/dated", 304), ("/", 200)] {
        let tag = stored_tag(&scene, path).await.expect("a tag");
        scene.advance(61);
        let stale = scene.ask(get(path, &[("if-none-match", &tag)])).await;
        assert_eq!((stale.status(), stale.cache_status().as_str()), (status, "bartizan; fwd=stale; stored"), "{path}");
        assert_eq!(scene.get(path).await.field("etag").as_ref(), Some(&tag), "the body is the same: {path}");
        assert_eq!(scene.ask(get(path, &[("if-none-match", &tag)])).await.status(), 304, "{path}");
    }
}

#[tokio::test]
async fn a_tag_that_the_handler_makes_later_takes_the_place_of_the_caches() {
    let scene = Scene::new(
        generating(),
        Origin::new(|call| async move {
            Ok(match call.number {
                0 => response(200, &[("last-modified", LONG_AGO), FRESH[0]], "page"),
                _ => response(304, &[("last-modified", LONG_AGO), FRESH[0], ("etag", "\"theirs\"")], ""),
            })
        }),
    );
    stored_tag(&scene, "/").await;
    for _ in 0..2 {
        scene.advance(61);
        let confirmed = scene.get("/").await;
        assert_eq!(confirmed.cache_status(), "bartizan; fwd=stale; fwd-status=304; stored");
        assert_eq!(confirmed.field("etag").as_deref(), Some("\"theirs\""));
    }
}

#[tokio::test]
async fn a_head_without_the_tag_of_the_cache_renews_the_page_by_its_date() {
    let fields: Fields = &[("cache-control", "max-age=60"), ("last-modified", LONG_AGO)];
    let scene = saying(200, fields, "page");
    let tag = stored_tag(&scene, "/").await;
    scene.advance(61);
    assert_eq!(scene.ask(request("HEAD", "/", &[])).await.cache_status(), "bartizan; fwd=stale; stored");
    let hit = scene.get("/").await;
    assert_eq!((hit.is_hit(), hit.field("etag")), (true, tag));
}
