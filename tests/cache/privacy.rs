//! Nothing private is shared: neither from the store nor with those who wait for another's response.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bartizan::{Caching, Rules, private::PrivateMark};
use bytes::Bytes;
use http::{Request, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full};

use crate::support::{Answer, BodyBroken, Gate, Origin, Scene, exact, get, request, response, run_others, streamed};

const MINUTE: Duration = Duration::from_secs(60);
const NOBODY: &[(&str, &str)] = &[];
const A: &[(&str, &str)] = &[("cookie", "sid=a")];
const B: &[(&str, &str)] = &[("cookie", "sid=b")];
const AUTH_A: &[(&str, &str)] = &[("authorization", "Basic a")];
const AUTH_B: &[(&str, &str)] = &[("authorization", "Basic b")];

fn by_rule() -> Rules {
    exact().default_ttl(MINUTE)
}

/// Whom the handler takes the client for.
fn who(request: &Request<Full<Bytes>>) -> String {
    let field = |name| request.headers().get(name).map(|value| value.to_str().expect("a text").to_owned());
    field(header::COOKIE).or_else(|| field(header::AUTHORIZATION)).unwrap_or_else(|| "nobody".to_owned())
}

/// Makes each client a page of its own.
fn greeting(fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |call| async move { Ok(response(200, fields, who(&call.request))) })
}

/// The same, where clients that are somebody are kept waiting.
fn slow_greeting(gate: &Gate, fields: &'static [(&'static str, &'static str)]) -> Origin {
    let gate = gate.clone();
    Origin::new(move |call| {
        let gate = gate.clone();
        async move {
            let who = who(&call.request);
            if who != "nobody" {
                gate.pass().await;
            }
            Ok(response(200, fields, who))
        }
    })
}

#[tokio::test]
async fn a_page_kept_by_rule_never_reaches_another_cookie_or_nobody() {
    for fields in [&[][..], &[("cache-control", "max-age=60")], &[("cache-control", "max-age=60, must-revalidate")]] {
        let scene = Scene::new(by_rule(), greeting(fields));
        for round in 0..3 {
            for (client, want) in [(A, "sid=a"), (B, "sid=b"), (NOBODY, "nobody"), (A, "sid=a")] {
                let answer = scene.ask(get("/", client)).await;
                assert_eq!(answer.text(), want, "round {round} of {fields:?}");
                assert_eq!(answer.is_hit(), want == "nobody" && round > 0, "round {round} of {fields:?}, {want}");
            }
        }
        assert_eq!(scene.calls(), 3 * 3 + 1, "only the page for nobody is kept; {fields:?}");
    }
}

#[tokio::test]
async fn a_page_for_nobody_that_is_kept_by_rule_is_not_given_to_somebody() {
    for (client, want) in [(A, "sid=a"), (AUTH_A, "Basic a")] {
        let scene = Scene::new(by_rule(), greeting(&[]));
        assert_eq!(scene.get("/").await.text(), "nobody");
        assert_eq!(scene.ask(get("/", client)).await.text(), want);
        assert!(scene.get("/").await.is_hit(), "and {want} did not take it away");
    }
}

#[tokio::test]
async fn personal_requests_at_the_same_time_each_get_their_own_page() {
    for fields in [&[][..], &[("cache-control", "max-age=60")], &[("cache-control", "private, max-age=60")]] {
        let gate = Gate::new();
        let scene = Scene::new(by_rule(), slow_greeting(&gate, fields));
        let asked: Vec<_> = [A, B, AUTH_A, AUTH_B, A, NOBODY]
            .into_iter()
            .map(|client| (client, tokio::spawn(scene.ask(get("/", client)))))
            .collect();
        run_others().await;
        gate.open(100);
        for (client, answer) in asked {
            let want = client.first().map_or("nobody", |(_, value)| *value);
            assert_eq!(answer.await.expect("no panic").text(), want, "{fields:?}");
        }
    }
}

#[tokio::test]
async fn only_an_explicit_word_opens_a_page_to_other_cookies() {
    for (control, open) in [
        ("public, max-age=60", true),
        ("s-maxage=60", true),
        ("public", true),
        ("max-age=60", false),
        ("max-age=60, must-revalidate", false),
        ("max-age=60, stale-while-revalidate=60", false),
        ("private, s-maxage=60", false),
        ("no-store, public", false),
        ("public, private", false),
    ] {
        let scene = Scene::new(
            by_rule(),
            Origin::new(
                move |call| async move { Ok(response(200, &[("cache-control", control)], who(&call.request))) },
            ),
        );
        assert_eq!(scene.ask(get("/", A)).await.text(), "sid=a");
        let b = scene.ask(get("/", B)).await;
        assert_eq!((b.text(), b.is_hit()), if open { ("sid=a", true) } else { ("sid=b", false) }, "{control}");
    }
}

#[tokio::test]
async fn a_handlers_lifetime_alone_does_not_open_a_page_to_other_cookies() {
    let scene = Scene::new(
        by_rule(),
        Origin::new(|call| async move {
            let mut response = response(200, &[], who(&call.request));
            response.extensions_mut().insert(Caching::new().ttl(MINUTE));
            Ok(response)
        }),
    );
    for (client, want) in [(A, "sid=a"), (B, "sid=b"), (AUTH_A, "Basic a"), (NOBODY, "nobody")] {
        assert_eq!(scene.ask(get("/", client)).await.text(), want);
    }
}

// RFC 9111, 3.5
#[tokio::test]
async fn authorization_is_opened_by_public_s_maxage_and_must_revalidate_only() {
    for (control, open) in [
        ("public, max-age=60", true),
        ("s-maxage=60", true),
        ("max-age=60, must-revalidate", true),
        ("max-age=60", false),
        ("max-age=60, proxy-revalidate", false),
        ("", false),
    ] {
        let scene = Scene::new(
            by_rule(),
            Origin::new(
                move |call| async move { Ok(response(200, &[("cache-control", control)], who(&call.request))) },
            ),
        );
        assert_eq!(scene.ask(get("/", AUTH_A)).await.text(), "Basic a");
        let b = scene.ask(get("/", AUTH_B)).await;
        assert_eq!((b.text(), b.is_hit()), if open { ("Basic a", true) } else { ("Basic b", false) }, "{control}");
    }
}

#[tokio::test]
async fn a_page_of_nobodys_reaches_the_authorized_only_where_it_says_so() {
    for (control, open) in [
        ("public, max-age=60", true),
        ("s-maxage=60", true),
        ("max-age=60, must-revalidate", true),
        ("max-age=60", false),
    ] {
        let scene = Scene::new(
            by_rule(),
            Origin::new(
                move |call| async move { Ok(response(200, &[("cache-control", control)], who(&call.request))) },
            ),
        );
        assert_eq!(scene.get("/").await.text(), "nobody");
        assert_eq!(scene.ask(get("/", AUTH_A)).await.is_hit(), open, "{control}");
        let both = [("authorization", "Basic a"), ("cookie", "sid=a")];
        let open_to_both = open && !control.contains("must-revalidate");
        assert_eq!(scene.ask(get("/", &both)).await.is_hit(), open_to_both, "{control}, with a cookie");
    }
}

#[tokio::test]
async fn a_public_page_is_shared_with_those_who_wait_for_it() {
    let gate = Gate::new();
    let scene = Scene::new(exact(), slow_greeting(&gate, &[("cache-control", "public, max-age=60")]));
    let a = tokio::spawn(scene.ask(get("/", A)));
    gate.arrived(1).await;
    let b = tokio::spawn(scene.ask(get("/", B)));
    run_others().await;
    gate.open(2);
    assert_eq!(a.await.expect("no panic").text(), "sid=a");
    let b = b.await.expect("no panic");
    assert_eq!((b.text(), b.cache_status().as_str()), ("sid=a", "bartizan; fwd=uri-miss; collapsed"));
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn a_cookie_that_is_set_for_one_client_never_reaches_another() {
    for fields in [
        &[][..],
        &[("cache-control", "max-age=60")],
        &[("cache-control", "public, max-age=60")],
        &[("cache-control", "s-maxage=60, stale-while-revalidate=60, stale-if-error=60")],
        &[("cache-control", "no-cache"), ("etag", "\"1\"")],
    ] {
        let gate = Gate::new();
        let held = gate.clone();
        let scene = Scene::new(
            by_rule(),
            Origin::new(move |call| {
                let gate = held.clone();
                async move {
                    gate.pass().await;
                    let mut response = response(200, fields, call.number.to_string());
                    let cookie = format!("sid={}", call.number).parse().expect("a value");
                    response.headers_mut().insert(header::SET_COOKIE, cookie);
                    Ok(response)
                }
            }),
        );
        let together: Vec<_> = (0..10).map(|_| tokio::spawn(scene.ask(get("/", NOBODY)))).collect();
        gate.arrived(1).await;
        run_others().await;
        gate.open(1000);
        let mut cookies = Vec::new();
        for answer in together {
            cookies.push(answer.await.expect("no panic").field("set-cookie").expect("everyone has a cookie"));
        }
        for _ in 0..3 {
            cookies.push(scene.get("/").await.field("set-cookie").expect("everyone has a cookie"));
            scene.advance(30);
        }
        cookies.sort();
        cookies.dedup();
        assert_eq!(cookies.len(), 13, "a cookie each; {fields:?}");
        assert_eq!(scene.calls(), 13, "{fields:?}");
    }
}

#[tokio::test]
async fn set_cookie_is_stored_only_where_the_rules_say_danger() {
    let says = || Origin::says(&[("cache-control", "max-age=60"), ("set-cookie", "theme=dark")]);
    let scene = Scene::new(exact(), says());
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=uri-miss; detail=set-cookie");
    assert!(!scene.get("/").await.is_hit());
    let scene = Scene::new(exact().danger_store_set_cookie(), says());
    scene.get("/").await;
    let hit = scene.get("/").await;
    assert_eq!((hit.is_hit(), hit.field("set-cookie").as_deref()), (true, Some("theme=dark")));
}

#[tokio::test]
async fn a_personal_leader_leaves_no_mark_that_nobody_would_find() {
    for client in [A, AUTH_A] {
        for fields in [&[][..], &[("cache-control", "private")], &[("set-cookie", "x=1")]] {
            let scene = Scene::new(
                by_rule(),
                Origin::new(move |call| async move {
                    let who = who(&call.request);
                    Ok(response(200, if who == "nobody" { &[] } else { fields }, who))
                }),
            );
            scene.ask(get("/", client)).await;
            let first = scene.get("/").await;
            assert_eq!(first.cache_status(), "bartizan; fwd=uri-miss; stored", "{client:?}, {fields:?}");
            scene.ask(get("/", client)).await;
            assert!(scene.get("/").await.is_hit(), "{client:?}, {fields:?}");
        }
    }
}

#[tokio::test]
async fn nobody_waits_for_a_personal_leader() {
    for client in [A, AUTH_A] {
        let gate = Gate::new();
        let scene = Scene::new(by_rule(), slow_greeting(&gate, &[]));
        let leader = tokio::spawn(scene.ask(get("/", client)));
        gate.arrived(1).await;
        let nobody = scene.get("/").await;
        assert_eq!(nobody.text(), "nobody", "answered while the other is still being made");
        assert!(scene.get("/").await.is_hit());
        gate.open(1);
        leader.await.expect("no panic");
        assert!(scene.get("/").await.is_hit());
    }
}

#[tokio::test]
async fn a_refresh_begun_by_a_personal_request_does_not_take_the_page_from_nobody() {
    for client in [A, AUTH_A] {
        let scene = Scene::new(
            exact(),
            Origin::new(move |call| async move {
                let who = who(&call.request);
                let control = match who.as_str() {
                    "nobody" => "public, max-age=60, stale-while-revalidate=600",
                    _ => "private",
                };
                Ok(response(200, &[("cache-control", control)], who))
            }),
        );
        assert_eq!(scene.get("/").await.text(), "nobody");
        scene.advance(61);
        assert_eq!(scene.ask(get("/", client)).await.cache_status(), "bartizan; hit; ttl=-1");
        run_others().await;
        scene.cache.drain().await;
        let nobody = scene.get("/").await;
        assert!(nobody.is_hit(), "still within its window: {}", nobody.cache_status());
    }
}

#[tokio::test]
async fn what_a_handler_marks_private_is_not_stored() {
    let scene = Scene::new(
        exact(),
        Origin::new(|mut call| async move {
            PrivateMark::of(call.request.extensions_mut()).raise();
            Ok(response(200, &[("cache-control", "public, max-age=60")], call.number.to_string()))
        }),
    );
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=uri-miss; detail=private-mark");
    assert_eq!(scene.get("/").await.text(), "1");
}

/// Raises the mark when it is read.
struct Raising {
    mark: PrivateMark,
    left: u8,
    raise_at: u8,
}

impl http_body::Body for Raising {
    type Data = Bytes;
    type Error = BodyBroken;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyBroken>>> {
        if self.left == self.raise_at {
            self.mark.raise();
        }
        let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
        self.left = left;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

#[tokio::test]
async fn what_is_marked_private_while_the_body_streams_is_not_stored() {
    for (raise_at, when) in [(3, "with the first frame"), (1, "with the last frame"), (0, "at the end")] {
        let scene = Scene::new(
            exact(),
            Origin::new(move |mut call| async move {
                let mark = PrivateMark::of(call.request.extensions_mut());
                let body = Raising { mark, left: 3, raise_at }.boxed_unsync();
                Ok(streamed(200, &[("cache-control", "public, max-age=60")], body))
            }),
        );
        assert_eq!(scene.get("/").await.text(), "xxx", "{when}");
        assert!(!scene.get("/").await.is_hit(), "{when}");
        assert_eq!(scene.calls(), 2, "{when}");
    }
}

#[tokio::test]
async fn what_was_marked_private_before_the_cache_took_over_is_stored() {
    let scene = Scene::new(exact(), Origin::says(&[("cache-control", "max-age=60")]));
    for want in [false, true] {
        let mut request = get("/", NOBODY);
        PrivateMark::of(request.extensions_mut()).raise();
        assert_eq!(scene.ask(request).await.is_hit(), want);
    }
}

#[tokio::test]
async fn a_429_is_neither_stored_nor_shared() {
    let gate = Gate::new();
    let held = gate.clone();
    let scene = Scene::new(
        by_rule().negative_ttl(MINUTE),
        Origin::new(move |call| {
            let gate = held.clone();
            async move {
                gate.pass().await;
                Ok(response(429, &[("cache-control", "public, max-age=60")], call.number.to_string()))
            }
        }),
    );
    let together: Vec<_> = (0..5).map(|_| tokio::spawn(scene.ask(get("/", NOBODY)))).collect();
    gate.arrived(1).await;
    run_others().await;
    gate.open(100);
    let mut bodies = Vec::new();
    for answer in together {
        bodies.push(answer.await.expect("no panic").text().to_owned());
    }
    bodies.push(scene.get("/").await.text().to_owned());
    bodies.sort();
    assert_eq!(bodies, ["0", "1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn fields_that_private_or_no_cache_name_are_not_stored() {
    for control in [
        "max-age=60, private=\"x-user\"",
        "max-age=60, private=\"x-other, X-User\"",
        "max-age=60, no-cache=\"x-user\"",
        "max-age=60, private=x-user",
    ] {
        let scene = Scene::new(
            exact(),
            Origin::new(move |_| async move {
                Ok(response(200, &[("cache-control", control), ("x-user", "a"), ("x-kept", "k")], "page"))
            }),
        );
        let miss = scene.get("/").await;
        assert_eq!(miss.field("x-user").as_deref(), Some("a"), "its own client has it; {control}");
        let next = scene.get("/").await;
        assert!(next.is_hit(), "{control}");
        assert_eq!(next.field("x-user"), None, "{control}");
        assert_eq!(next.field("x-kept").as_deref(), Some("k"), "{control}");
    }
}

#[tokio::test]
async fn a_set_cookie_that_private_names_is_stripped_from_what_is_shared() {
    let scene = Scene::new(
        exact(),
        Origin::says(&[("cache-control", "max-age=60, private=\"set-cookie\""), ("set-cookie", "sid=1")]),
    );
    assert!(scene.get("/").await.field("set-cookie").is_some());
    let hit = scene.get("/").await;
    assert_eq!((hit.is_hit(), hit.field("set-cookie")), (true, None));
}

#[tokio::test]
async fn each_principal_has_pages_of_its_own() {
    let user = |parts: &http::request::Parts| Some(parts.headers.get("user")?.to_str().ok()?.to_owned());
    let origin = Origin::new(|call| async move {
        let user = call.request.headers().get("user").map_or("nobody", |user| user.to_str().expect("a text"));
        Ok(response(200, &[], user.to_owned()))
    });
    let scene = Scene::new(by_rule().principal(user), origin);
    // With cookies and credentials that the rules do not know: the principal says whose they are.
    let a = [("user", "a"), ("cookie", "sid=a"), ("authorization", "Basic a")];
    let b = [("user", "b"), ("cookie", "sid=b"), ("authorization", "Basic b")];
    for round in 0..2 {
        for (client, want) in [(&a[..], "a"), (&b, "b"), (NOBODY, "nobody"), (&[("user", "")], "")] {
            let answer = scene.ask(get("/", client)).await;
            assert_eq!((answer.text(), answer.is_hit()), (want, round == 1));
        }
    }
    let without = scene.ask(get("/", &[("cookie", "sid=a")])).await;
    assert!(!without.is_hit(), "nobody's page is not for someone with an unknown cookie");
}

#[tokio::test]
async fn a_principals_private_page_is_not_stored() {
    let scene = Scene::new(
        by_rule().principal(|_| Some("a".to_owned())),
        Origin::says(&[("cache-control", "private, max-age=60")]),
    );
    scene.get("/").await;
    assert!(!scene.get("/").await.is_hit());
}

/// Answers with the cookies it sees.
fn mirror(fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |call| async move {
        let cookie = call.request.headers().get(header::COOKIE).map_or("none", |line| line.to_str().expect("a text"));
        let mut response = response(200, fields, cookie.to_owned());
        response.headers_mut().insert("x-seen", cookie.parse().expect("a value"));
        Ok(response)
    })
}

#[tokio::test]
async fn known_cookies_select_and_ignored_ones_are_never_seen() {
    let rules = || by_rule().add_key_cookie("lang").ignore_cookie("_ga");
    let scene = Scene::new(rules(), mirror(&[]));
    for (cookie, want, hit) in [
        ("lang=de; _ga=1", "lang=de", false),
        ("_ga=2; lang=de", "lang=de", true),
        ("lang=de", "lang=de", true),
        ("lang=en; _ga=1", "lang=en", false),
        ("_ga=1", "none", false),
        ("_ga=2", "none", true),
        ("lang=de; sid=a", "lang=de; sid=a", false),
        ("lang=de; sid=b; _ga=1", "lang=de; sid=b", false),
    ] {
        let answer = scene.ask(get("/", &[("cookie", cookie)])).await;
        assert_eq!((answer.text(), answer.is_hit()), (want, hit), "{cookie}");
        if !cookie.contains("sid") {
            assert_eq!(answer.field("vary").as_deref(), Some("cookie"), "{cookie}");
        }
    }
    // On every way to the handler that can be taken.
    for (way, method, extra) in [
        ("a head", "HEAD", ("x", "y")),
        ("a part", "GET", ("range", "bytes=0-0")),
        ("no-store", "GET", ("cache-control", "no-store")),
    ] {
        let scene = Scene::new(rules(), mirror(&[]));
        let answer = scene.ask(request(method, "/", &[("cookie", "lang=de; _ga=1"), extra])).await;
        assert_eq!(answer.field("x-seen").as_deref(), Some("lang=de"), "{way}");
    }
    let scene = Scene::new(rules(), mirror(&[("cache-control", "no-store")]));
    for way in ["uncacheable", "pass"] {
        let answer = scene.ask(get("/", &[("cookie", "lang=de; _ga=1")])).await;
        assert_eq!(answer.text(), "lang=de", "{way}: {}", answer.cache_status());
    }
}

#[tokio::test]
async fn a_header_in_the_key_is_in_what_clients_see_of_vary() {
    for (said, want) in [
        (None, "accept-language"),
        (Some("accept-encoding"), "accept-encoding, accept-language"),
        (Some("Accept-Language"), "Accept-Language"),
    ] {
        let scene = Scene::new(
            by_rule().add_key_header(header::ACCEPT_LANGUAGE),
            Origin::new(move |_| async move {
                let fields = said.map(|said| ("vary", said));
                Ok(response(200, fields.as_slice(), "page"))
            }),
        );
        for way in ["miss", "hit"] {
            let answer = scene.get("/").await;
            assert_eq!((answer.field("vary").as_deref(), answer.is_hit()), (Some(want), way == "hit"), "{way}");
        }
        assert!(!scene.ask(get("/", &[("accept-language", "de")])).await.is_hit());
    }
}

#[tokio::test]
async fn a_header_in_the_key_is_in_vary_on_every_other_way_too() {
    let rules = || exact().add_key_header(header::ACCEPT_LANGUAGE);
    let vary = |answer: &Answer| answer.field("vary");
    let want = Some("accept-language".to_owned());
    for (way, method, extra) in [
        ("a head", "HEAD", ("x", "y")),
        ("a part", "GET", ("range", "bytes=0-0")),
        ("no-store", "GET", ("cache-control", "no-store")),
    ] {
        let scene = Scene::new(rules(), Origin::says(&[("cache-control", "max-age=60")]));
        assert_eq!(vary(&scene.ask(request(method, "/", &[extra])).await), want, "{way}");
    }

    let scene = Scene::new(rules(), Origin::says(&[("cache-control", "private, max-age=60")]));
    for way in ["uncacheable", "pass"] {
        assert_eq!(vary(&scene.get("/").await), want, "{way}");
    }

    // The one waited for failed, so this one goes alone.
    let gate = Gate::new();
    let held = gate.clone();
    let scene = Scene::new(
        rules(),
        Origin::new(move |call| {
            let gate = held.clone();
            async move {
                gate.pass().await;
                let status = if call.number == 0 { 500 } else { 200 };
                Ok(response(status, if call.number == 0 { &[] } else { &[("cache-control", "max-age=60")] }, ""))
            }
        }),
    );
    let leader = tokio::spawn(scene.ask(get("/", NOBODY)));
    gate.arrived(1).await;
    let follower = tokio::spawn(scene.ask(get("/", NOBODY)));
    run_others().await;
    gate.open(2);
    leader.await.expect("no panic");
    assert_eq!(vary(&follower.await.expect("no panic")), want, "alone");

    // A 304 that has a `Vary` of its own.
    let scene = Scene::new(
        rules(),
        Origin::new(|call| async move {
            let fields = [("cache-control", "max-age=60"), ("etag", "\"1\""), ("vary", "accept-language")];
            match call.number {
                0 => Ok(response(200, &fields[..2], "page")),
                _ => Ok(response(304, &[("etag", "\"1\""), ("vary", "accept"), ("cache-control", "max-age=60")], "")),
            }
        }),
    );
    scene.get("/").await;
    scene.advance(60);
    let validated = scene.get("/").await;
    assert_eq!(validated.cache_status(), "bartizan; fwd=stale; fwd-status=304; stored");
    assert_eq!(vary(&validated).as_deref(), Some("accept, accept-language"), "validated");
}

#[tokio::test]
async fn a_304_that_is_no_longer_for_everyone_closes_the_page() {
    let scene = Scene::new(
        exact(),
        Origin::new(|call| async move {
            let who = who(&call.request);
            Ok(match call.number {
                0 => response(200, &[("cache-control", "public, max-age=1"), ("etag", "\"1\"")], who),
                1 => response(304, &[("cache-control", "max-age=60"), ("etag", "\"1\"")], ""),
                _ => response(200, &[("cache-control", "max-age=60")], who),
            })
        }),
    );
    scene.get("/").await;
    scene.advance(2);
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=stale; fwd-status=304; stored");
    for (client, want) in [(A, "sid=a"), (AUTH_B, "Basic b")] {
        assert_eq!(scene.ask(get("/", client)).await.text(), want, "the page no longer says `public`");
    }
}

#[tokio::test]
async fn a_304_that_is_for_everyone_opens_the_page() {
    let scene = Scene::new(
        exact(),
        Origin::new(|call| async move {
            Ok(match call.number {
                0 => response(200, &[("cache-control", "max-age=1"), ("etag", "\"1\"")], "page"),
                1 => response(304, &[("cache-control", "public, max-age=60"), ("etag", "\"1\"")], ""),
                number => response(200, &[], number.to_string()),
            })
        }),
    );
    scene.get("/").await;
    scene.advance(2);
    scene.get("/").await;
    assert!(scene.ask(get("/", A)).await.is_hit());
}

#[tokio::test]
async fn trailers_obey_what_their_response_says_of_fields() {
    for (control, name, stored) in [
        ("max-age=60", "set-cookie", false),
        ("max-age=60, private=\"x-user\"", "x-user", true),
        ("max-age=60, no-cache=\"x-user\"", "x-user", true),
    ] {
        let scene = Scene::new(
            exact(),
            Origin::new(move |_| async move {
                let mut trailers = http::HeaderMap::new();
                trailers.insert(http::HeaderName::from_static(name), http::HeaderValue::from_static("me"));
                trailers.insert("x-sum", http::HeaderValue::from_static("1"));
                let body = Full::new(Bytes::from_static(b"page"))
                    .map_err(|never: std::convert::Infallible| match never {})
                    .with_trailers(std::future::ready(Some(Ok(trailers))));
                Ok(streamed(200, &[("cache-control", control)], body.boxed_unsync()))
            }),
        );
        let trailers = async || {
            let response = scene.send(get("/", NOBODY)).await.expect("no failure");
            let hit = response.headers()["cache-status"] == "bartizan; hit";
            let body = response.into_body().collect().await.expect("it does not break");
            (hit, body.trailers().cloned().expect("trailers"))
        };
        let (_, own) = trailers().await;
        assert!(own.contains_key(name), "{control}: the one who asked has all of it");
        let (hit, others) = trailers().await;
        assert_eq!(hit, stored, "{control}");
        if hit {
            assert!(!others.contains_key(name) && others.contains_key("x-sum"), "{control}: {others:?}");
        }
    }
}

#[tokio::test]
async fn the_fields_that_a_304_keeps_for_its_asker_reach_its_asker() {
    let scene = Scene::new(
        exact(),
        Origin::new(|call| async move {
            Ok(match call.number {
                0 => response(200, &[("cache-control", "max-age=1"), ("etag", "\"1\"")], "page"),
                _ => response(304, &[("cache-control", "max-age=60, private=\"x-user\""), ("x-user", "me")], ""),
            })
        }),
    );
    scene.get("/").await;
    scene.advance(2);
    assert_eq!(scene.get("/").await.field("x-user").as_deref(), Some("me"));
    let hit = scene.get("/").await;
    assert!(hit.is_hit());
    assert_eq!(hit.field("x-user"), None);
}
