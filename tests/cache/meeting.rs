//! What was once wrong where several features meet.

use bartizan::Rules;
use http::header;

use crate::support::{Call, Failed, Gate, Origin, Scene, exact, get, pipe, request, response, settle, streamed, take};

const AL: &str = "accept-language";

#[tokio::test(start_paused = true)]
async fn a_head_that_finds_a_lease_taken_holds_up_nobody() {
    let head_gate = Gate::new();
    let get_gate = Gate::new();
    let (hg, gg) = (head_gate.clone(), get_gate.clone());
    let scene = Scene::new(
        exact(),
        Origin::new(move |call: Call| {
            let (hg, gg) = (hg.clone(), gg.clone());
            async move {
                if call.request.method() == "HEAD" {
                    hg.pass().await;
                    return Ok(response(200, &[], ""));
                }
                if call.number == 0 {
                    return Ok(response(200, &[("cache-control", "max-age=10"), ("etag", "\"1\"")], "one"));
                }
                if call.number == 1 {
                    gg.pass().await;
                    return Err(Failed);
                }
                Ok(response(200, &[("cache-control", "max-age=10")], "new"))
            }
        }),
    );
    scene.get("/").await;
    scene.advance(11);
    let a = tokio::spawn(scene.send(get("/", &[])));
    get_gate.arrived(1).await;
    let h = tokio::spawn(scene.send(request("HEAD", "/", &[])));
    head_gate.arrived(1).await;
    let b = tokio::spawn(scene.ask(get("/", &[])));
    settle().await;
    get_gate.open(1);
    assert!(a.await.unwrap().is_err());
    settle().await;
    settle().await;
    assert_eq!(b.await.unwrap().text(), "new", "while the HEAD hangs");
    head_gate.open(1);
    h.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_purged_page_is_not_validated_by_one_who_waited() {
    let gate = Gate::new();
    let g = gate.clone();
    let scene = Scene::new(
        exact(),
        Origin::new(move |call: Call| {
            let g = g.clone();
            async move {
                match call.number {
                    0 => Ok(response(
                        200,
                        &[("cache-control", "max-age=10"), ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT")],
                        "old",
                    )),
                    1 => {
                        g.pass().await;
                        Err(Failed)
                    }
                    _ if call.request.headers().contains_key("if-modified-since") => {
                        Ok(response(304, &[("cache-control", "max-age=10")], ""))
                    }
                    _ => Ok(response(200, &[("cache-control", "max-age=10")], "new")),
                }
            }
        }),
    );
    scene.get("/").await;
    scene.advance(11);
    let a = tokio::spawn(scene.send(get("/", &[])));
    gate.arrived(1).await;
    let b = tokio::spawn(scene.ask(get("/", &[])));
    settle().await;
    let parts = get("/", &[]).into_parts().0;
    scene.cache.purge(&parts).await.unwrap();
    settle().await;
    gate.open(1);
    let _ = a.await.unwrap();
    assert_eq!(b.await.unwrap().text(), "new");
    assert_eq!(scene.get("/").await.text(), "new");
}

#[tokio::test]
async fn blanks_within_a_tag_are_not_between_tags() {
    for rules in [exact(), exact().normalise_vary()] {
        let scene = Scene::new(
            rules,
            Origin::new(|call: Call| async move {
                let al = call.request.headers().get(AL).map_or("", |v| v.to_str().unwrap()).to_owned();
                let page =
                    if al.split(',').any(|r| r.trim().eq_ignore_ascii_case("de")) { "deutsch" } else { "english" };
                Ok(response(200, &[("cache-control", "max-age=60"), ("vary", AL)], format!("{page} [{al}]")))
            }),
        );
        scene.ask(get("/", &[(AL, "d e")])).await;
        let victim = scene.ask(get("/", &[(AL, "de")])).await;
        assert_eq!(victim.text(), "deutsch [de]");
    }
}

#[tokio::test]
async fn only_a_200_to_a_post_is_what_a_get_would_see() {
    for status in [204, 202, 201, 205] {
        let scene = Scene::new(
            exact().store_post(),
            Origin::new(move |call: Call| async move {
                if call.request.method() == "POST" {
                    return Ok(response(status, &[("cache-control", "max-age=60"), ("content-location", "/")], ""));
                }
                Ok(response(200, &[("cache-control", "max-age=60")], "page"))
            }),
        );
        scene.get("/").await;
        scene.ask(request("POST", "/", &[])).await;
        let got = scene.get("/").await;
        assert_eq!((got.status(), got.text(), got.is_hit()), (200, "page", false), "{status}");
    }
}

#[tokio::test]
async fn a_comma_does_not_divide_cookies() {
    let scene = Scene::new(
        exact(),
        Origin::new(|call: Call| async move {
            let lines: Vec<_> =
                call.request.headers().get_all("cookie").iter().map(|v| v.to_str().unwrap().to_owned()).collect();
            Ok(response(200, &[("cache-control", "public, max-age=60"), ("vary", "cookie")], format!("{lines:?}")))
        }),
    );
    scene.ask(get("/", &[("cookie", "theme=dark, lang=de")])).await;
    let got = scene.ask(get("/", &[("cookie", "theme=dark"), ("cookie", "lang=de")])).await;
    assert!(!got.is_hit(), "{}", got.text());
}

#[tokio::test]
async fn a_sign_to_a_language_leads_to_no_other() {
    let scene = Scene::new(
        exact().normalise_vary().share_languages(),
        Origin::new(|call: Call| async move {
            let al = call.request.headers()[AL].to_str().unwrap().to_owned();
            let cl = if call.number == 0 { "de" } else { "de, en" };
            Ok(response(
                200,
                &[
                    ("cache-control", if al == "de" { "max-age=100" } else { "max-age=1000" }),
                    ("vary", AL),
                    ("content-language", cl),
                ],
                format!("for {al}"),
            ))
        }),
    );
    // The sign outlives the page by an hour.
    scene.ask(get("/", &[(AL, "fr;q=0.5, de")])).await;
    scene.advance(1001);
    scene.ask(get("/", &[(AL, "de")])).await;
    let got = scene.ask(get("/", &[(AL, "fr;q=0.5, de")])).await;
    assert!(!got.is_hit(), "{}", got.text());
}

#[tokio::test]
async fn an_ignored_header_selects_nothing_though_vary_names_it() {
    let scene = Scene::new(
        exact().ignore_header(header::HeaderName::from_static("x-a")),
        Origin::says(&[("cache-control", "max-age=60"), ("vary", "x-a")]),
    );
    scene.ask(get("/", &[("x-a", "1")])).await;
    assert!(scene.ask(get("/", &[("x-a", "2")])).await.is_hit());
}

#[tokio::test]
async fn a_head_does_not_renew_an_error() {
    let scene = Scene::new(
        exact(),
        Origin::new(|call: Call| async move {
            let status = if call.number == 0 { 404 } else { 200 };
            Ok(response(
                status,
                &[("cache-control", "max-age=10"), ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT")],
                if call.request.method() == "HEAD" { "" } else { "body" },
            ))
        }),
    );
    scene.get("/").await;
    scene.advance(11);
    scene.ask(request("HEAD", "/", &[])).await;
    let got = scene.get("/").await;
    assert_eq!((got.status(), got.is_hit()), (200, false));
}

#[tokio::test]
async fn a_head_without_room_for_a_language_is_no_panic() {
    let scene = Scene::new(
        exact().share_languages(),
        Origin::says(&[("cache-control", "max-age=60"), ("vary", AL), ("content-language", "de")]),
    );
    let mut request = get("/", &[]);
    for number in 0.. {
        let name: http::HeaderName = format!("x{number}").parse().unwrap();
        if request.headers_mut().try_insert(name, "1".parse().unwrap()).is_err() {
            break;
        }
    }
    assert_eq!(scene.ask(request).await.status(), 200);
}

#[tokio::test]
async fn a_site_is_who_a_post_names_as_itself() {
    let scene = Scene::new(
        exact().store_post().site("https://example.com"),
        Origin::new(move |call: Call| async move {
            let cl = if call.number == 0 { "https://example.com/" } else { "/" };
            Ok(response(200, &[("cache-control", "max-age=60"), ("content-location", cl)], "posted"))
        }),
    );
    for _ in 0..2 {
        let posted = scene.ask(request("POST", "/", &[("host", "example.com")])).await;
        assert_eq!(posted.cache_status(), "bartizan; fwd=method; stored");
    }
}

#[tokio::test]
async fn a_304_has_what_steers_the_caches_further_out() {
    let scene = Scene::new(
        Rules::reverse_proxy(),
        Origin::says(&[
            ("cache-control", "max-age=1"),
            ("cdn-cache-control", "max-age=60"),
            ("cache-groups", "\"a\""),
            ("etag", "\"1\""),
        ]),
    );
    scene.get("/").await;
    let got = scene.ask(get("/", &[("if-none-match", "\"1\"")])).await;
    assert_eq!(got.status(), 304);
    for name in ["cache-control", "cdn-cache-control", "cache-groups"] {
        assert!(got.field(name).is_some(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_leads_at_a_language_leaves_no_other_there() {
    let scene = Scene::new(
        exact().normalise_vary().share_languages(),
        Origin::new(|call: Call| async move {
            let head = [("cache-control", "max-age=60"), ("vary", AL)];
            if call.number == 0 {
                return Ok(response(
                    200,
                    &[("cache-control", "max-age=60"), ("vary", AL), ("content-language", "it")],
                    "it",
                ));
            }
            if call.number == 1 {
                take(50).await;
                let (tap, body) = pipe();
                tokio::spawn(async move {
                    tap.data("x").await;
                    take(100).await;
                    tap.broken().await;
                });
                let head = [&head[..], &[("content-language", "de")]].concat();
                return Ok(streamed(200, &head, body));
            }
            Ok(response(200, &head, format!("for {}", call.request.headers()[AL].to_str().unwrap())))
        }),
    );
    scene.ask(get("/", &[(AL, "it")])).await;
    let a = tokio::spawn(scene.send(get("/", &[(AL, "en, de")])));
    settle().await;
    let b = tokio::spawn(scene.ask(get("/", &[(AL, "en, de")])));
    settle().await;
    let response = a.await.unwrap().unwrap();
    take(300).await;
    drop(response);
    b.await.unwrap();
    assert_eq!(scene.ask(get("/", &[(AL, "de")])).await.text(), "for de");
}
