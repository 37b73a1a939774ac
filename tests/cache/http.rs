//! A shared cache as RFC 9111 defines it.

use std::time::Duration;

use bartizan::{Query, Rules};
use http::{HeaderMap, header};

use crate::support::{Answer, Failed, Gate, Origin, Scene, exact, get, request, response, run_others};

const MINUTE: Duration = Duration::from_secs(60);
/// What `TestClock` begins at, and a minute later.
const START: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
const A_MINUTE_LATER: &str = "Tue, 14 Nov 2023 22:14:20 GMT";

type Fields = &'static [(&'static str, &'static str)];

fn fresh_for_a_minute() -> Origin {
    Origin::says(&[("cache-control", "max-age=60")])
}

/// Answers 304 to a request that has one of its validators, and counts as any other.
fn validating(full: Fields, not_modified: Fields) -> Origin {
    Origin::new(move |call| async move {
        let asked = call.request.headers();
        let is_conditional = asked.contains_key(header::IF_NONE_MATCH) || asked.contains_key(header::IF_MODIFIED_SINCE);
        Ok(if is_conditional {
            response(304, not_modified, "")
        } else {
            response(200, full, format!("page {}", call.number))
        })
    })
}

fn seen(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map_or("none", |value| value.to_str().expect("a text")).to_owned()
}

// === freshness ===

#[tokio::test]
async fn a_lifetime_is_what_the_response_states() {
    const EXPIRES: (&str, &str) = ("expires", A_MINUTE_LATER);
    const DATE: (&str, &str) = ("date", START);
    let cases: &[(Fields, u64)] = &[
        (&[("cache-control", "max-age=60")], 60),
        (&[("cache-control", "MAX-AGE=60")], 60),
        (&[("cache-control", "s-maxage=10, max-age=60")], 10),
        (&[("cache-control", "max-age=60, s-maxage=10")], 10),
        (&[("cache-control", "max-age=60"), ("cache-control", "s-maxage=10")], 10),
        (&[EXPIRES, DATE], 60),
        (&[EXPIRES], 60),
        (&[("expires", A_MINUTE_LATER), ("date", "Tue, 14 Nov 2023 22:13:50 GMT")], 30),
        (&[EXPIRES, DATE, ("cache-control", "max-age=10")], 10),
        (&[EXPIRES, DATE, ("cache-control", "s-maxage=10")], 10),
        (&[("cache-control", "max-age=60"), ("age", "20")], 40),
        (&[EXPIRES, DATE, ("age", "20")], 40),
        (&[("cache-control", "max-age=60"), ("age", "20, 50")], 40),
        (&[("cache-control", "max-age=60"), ("date", "Tue, 14 Nov 2023 22:13:00 GMT")], 40),
        (&[("cache-control", "extension=\"max-age=1\", max-age=60")], 60),
        (&[("cache-control", "max-age=0060")], 60),
        (&[("cache-control", "max-age=\"60\"")], 60),
        (&[("cache-control", "foo, max-age=60, bar=baz")], 60),
    ];
    for (fields, lifetime) in cases {
        let scene = Scene::new(exact(), Origin::says(fields));
        assert!(scene.get("/").await.cache_status().ends_with("stored"), "{fields:?}");
        scene.advance(lifetime - 1);
        assert!(scene.get("/").await.is_hit(), "in its last second; {fields:?}");
        scene.advance(1);
        let late = scene.get("/").await;
        assert!(!late.is_hit(), "at its end; {fields:?}: {}", late.cache_status());
    }
}

#[tokio::test]
async fn what_has_no_lifetime_is_not_stored() {
    let cases: &[(Fields, &str)] = &[
        (&[], "no-freshness"),
        (&[("cache-control", "max-age=0")], "stale"),
        (&[("cache-control", "max-age=-1")], "stale"),
        (&[("cache-control", "s-maxage=0, max-age=60")], "stale"),
        (&[("cache-control", "max-age=60"), ("age", "60")], "stale"),
        (&[("cache-control", "max-age=60"), ("age", "99999999999999999999")], "stale"),
        (&[("expires", "0")], "stale"),
        (&[("expires", START)], "stale"),
        (&[("expires", A_MINUTE_LATER), ("expires", A_MINUTE_LATER)], "stale"),
        (&[("cache-control", "no-store, max-age=60")], "no-store"),
        (&[("cache-control", "private, max-age=60")], "private"),
        (&[("cache-control", "no-cache, max-age=60")], "no-cache"),
        (&[("cache-control", "max-age=60"), ("vary", "*")], "vary"),
        (&[("cache-control", "max-age=60"), ("content-type", "text/event-stream; charset=utf-8")], "event-stream"),
    ];
    for (fields, reason) in cases {
        let scene = Scene::new(exact(), Origin::says(fields));
        let want = format!("bartizan; fwd=uri-miss; detail={reason}");
        assert_eq!(scene.get("/").await.cache_status(), want, "{fields:?}");
        assert_eq!(scene.get("/").await.text(), "1", "{fields:?}");
    }
}

#[tokio::test]
async fn any_final_status_with_a_lifetime_is_stored() {
    for status in [200, 203, 204, 299, 301, 302, 404, 410, 500, 503, 599] {
        let scene = Scene::new(
            exact(),
            Origin::new(move |call| async move {
                let body = if status == 204 { String::new() } else { call.number.to_string() };
                Ok(response(status, &[("cache-control", "max-age=60")], body))
            }),
        );
        scene.get("/").await;
        let hit = scene.get("/").await;
        assert_eq!((hit.is_hit(), hit.status()), (true, status));
    }
}

#[tokio::test]
async fn a_rules_lifetime_is_for_its_statuses_only() {
    for (status, fields, stored) in [
        (200, &[][..], true),
        (301, &[], true),
        (404, &[], false),
        (302, &[], false),
        (500, &[], false),
        (206, &[], false),
        (200, &[("cache-control", "no-store")], false),
        (200, &[("cache-control", "private")], false),
        (200, &[("cache-control", "no-cache")], false),
        (200, &[("cache-control", "max-age=0")], false),
    ] {
        let scene = Scene::new(
            exact().default_ttl(MINUTE),
            Origin::new(move |_| async move { Ok(response(status, fields, "page")) }),
        );
        scene.get("/").await;
        assert_eq!(scene.get("/").await.is_hit(), stored, "{status} {fields:?}");
    }
}

#[tokio::test]
async fn no_cache_with_a_validator_is_stored_and_validated_each_time() {
    let scene =
        Scene::new(exact(), validating(&[("cache-control", "no-cache"), ("etag", "\"1\"")], &[("etag", "\"1\"")]));
    assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=uri-miss; stored");
    for call in 2..5 {
        let answer = scene.get("/").await;
        assert_eq!((answer.status(), answer.text()), (200, "page 0"), "the stored body");
        assert_eq!(answer.cache_status(), "bartizan; fwd=stale; fwd-status=304; stored");
        assert_eq!(scene.calls(), call, "and yet the origin was asked");
    }
}

// RFC 9111, 5.2.2.3
#[tokio::test]
async fn must_understand_outdoes_no_store_for_known_statuses_only() {
    for (status, control, stored) in [
        (200, "must-understand, no-store, max-age=60", true),
        (200, "no-store, max-age=60", false),
        (299, "must-understand, max-age=60", false),
        (299, "max-age=60", true),
    ] {
        let scene = Scene::new(
            exact(),
            Origin::new(move |_| async move { Ok(response(status, &[("cache-control", control)], "page")) }),
        );
        scene.get("/").await;
        assert_eq!(scene.get("/").await.is_hit(), stored, "{status} {control}");
    }
}

// === conditions ===

#[tokio::test]
async fn a_clients_condition_is_answered_from_the_store_and_on_a_cold_miss() {
    const FULL: Fields = &[
        ("cache-control", "max-age=60"),
        ("etag", "\"1\""),
        ("last-modified", "Tue, 14 Nov 2023 20:00:00 GMT"),
        ("content-type", "text/plain"),
        ("vary", "accept"),
    ];
    for (name, value, status) in [
        ("if-none-match", "\"1\"", 304),
        ("if-none-match", "W/\"1\"", 304),
        ("if-none-match", "\"0\", \"1\"", 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"2\"", 200),
        ("if-none-match", "1", 200),
        ("if-modified-since", "Tue, 14 Nov 2023 20:00:00 GMT", 304),
        ("if-modified-since", "Tue, 14 Nov 2023 20:00:01 GMT", 304),
        ("if-modified-since", "Tue, 14 Nov 2023 19:59:59 GMT", 200),
        ("if-modified-since", "yesterday", 200),
    ] {
        for warm in [false, true] {
            let scene = Scene::new(
                exact(),
                Origin::new(|call| async move {
                    let asked = call.request.headers();
                    assert_eq!(seen(asked, "if-none-match"), "none", "conditions are the cache's business");
                    assert_eq!(seen(asked, "if-modified-since"), "none", "conditions are the cache's business");
                    Ok(response(200, FULL, "page"))
                }),
            );
            if warm {
                scene.get("/").await;
            }
            let case = format!("{name}: {value}, {}", if warm { "warm" } else { "cold" });
            let answer = scene.ask(get("/", &[(name, value)])).await;
            assert_eq!(answer.status(), status, "{case}");
            assert_eq!(answer.is_hit(), warm, "{case}: {}", answer.cache_status());
            assert_eq!(answer.field("etag").as_deref(), Some("\"1\""), "{case}");
            assert_eq!(answer.field("vary").as_deref(), Some("accept"), "{case}");
            assert_eq!(answer.field("cache-control").as_deref(), Some("max-age=60"), "{case}");
            if status == 304 {
                assert_eq!(answer.text(), "", "{case}");
                assert_eq!(answer.field("content-type"), None, "{case}");
            } else {
                assert_eq!(answer.text(), "page", "{case}");
            }
            let whole = scene.get("/").await;
            assert_eq!((whole.status(), whole.text(), whole.is_hit()), (200, "page", true), "stored whole; {case}");
            assert_eq!(scene.calls(), 1, "{case}");
        }
    }
}

#[tokio::test]
async fn if_none_match_wins_over_if_modified_since() {
    let scene = Scene::new(
        exact(),
        Origin::says(&[
            ("cache-control", "max-age=60"),
            ("etag", "\"1\""),
            ("last-modified", "Tue, 14 Nov 2023 20:00:00 GMT"),
        ]),
    );
    let both = [("if-none-match", "\"2\""), ("if-modified-since", "Tue, 14 Nov 2023 20:00:00 GMT")];
    for _ in 0..2 {
        assert_eq!(scene.ask(get("/", &both)).await.status(), 200);
    }
}

#[tokio::test]
async fn preconditions_are_the_origins() {
    let scene = Scene::new(exact(), Origin::says(&[("cache-control", "max-age=60"), ("etag", "\"1\"")]));
    scene.get("/").await;
    for field in [("if-match", "\"2\""), ("if-unmodified-since", START)] {
        assert_eq!(scene.ask(get("/", &[field])).await.cache_status(), "bartizan; fwd=bypass", "{field:?}");
    }
    assert_eq!(scene.calls(), 3);
}

#[tokio::test]
async fn a_stale_page_is_validated_and_a_304_updates_its_fields() {
    let scene = Scene::new(
        exact(),
        Origin::new(|call| async move {
            let asked = call.request.headers();
            if call.number == 0 {
                let full = [
                    ("cache-control", "max-age=60"),
                    ("etag", "\"1\""),
                    ("last-modified", "Tue, 14 Nov 2023 20:00:00 GMT"),
                    ("content-type", "text/plain"),
                    ("x-old", "old"),
                    ("x-both", "old"),
                    ("x-both", "older"),
                ];
                return Ok(response(200, &full, "page"));
            }
            assert_eq!(seen(asked, "if-none-match"), "\"1\"");
            assert_eq!(seen(asked, "if-modified-since"), "Tue, 14 Nov 2023 20:00:00 GMT");
            assert_eq!(seen(asked, "x-client"), "c", "the client's own fields are sent along");
            let update = [
                ("cache-control", "max-age=100"),
                ("etag", "\"1\""),
                ("content-length", "999"),
                ("x-both", "new"),
                ("x-new", "new"),
                ("connection", "x-hop"),
                ("x-hop", "h"),
            ];
            Ok(response(304, &update, ""))
        }),
    );
    scene.ask(get("/", &[("x-client", "c")])).await;
    scene.advance(70);
    let validated = scene.ask(get("/", &[("x-client", "c")])).await;
    scene.advance(99);
    let hit = scene.get("/").await;
    assert_eq!(validated.cache_status(), "bartizan; fwd=stale; fwd-status=304; stored");
    assert_eq!(hit.cache_status(), "bartizan; hit", "the new lifetime counts");
    for (way, answer) in [("validated", &validated), ("hit", &hit)] {
        assert_eq!((answer.status(), answer.text()), (200, "page"), "{way}");
        for (name, want) in [
            ("x-old", Some("old")),
            ("x-both", Some("new")),
            ("x-new", Some("new")),
            ("x-hop", None),
            ("content-length", Some("4")),
            ("content-type", Some("text/plain")),
            ("cache-control", Some("max-age=100")),
        ] {
            assert_eq!(answer.field(name).as_deref(), want, "{way}: {name}");
        }
    }
    assert_eq!((validated.field("age").as_deref(), hit.field("age").as_deref()), (Some("0"), Some("99")));
    assert_eq!(scene.calls(), 2);
}

#[tokio::test]
async fn a_client_that_has_what_was_validated_gets_a_304() {
    let scene =
        Scene::new(exact(), validating(&[("cache-control", "max-age=60"), ("etag", "\"1\"")], &[("etag", "\"1\"")]));
    scene.get("/").await;
    scene.advance(60);
    let answer = scene.ask(get("/", &[("if-none-match", "\"1\"")])).await;
    assert_eq!((answer.status(), answer.text()), (304, ""));
    assert_eq!(scene.get("/").await.text(), "page 0");
}

#[tokio::test]
async fn a_304_that_forbids_storing_ends_the_stored_page() {
    for (fields, why) in [
        (&[("etag", "\"1\""), ("cache-control", "no-store")][..], "no-store"),
        (&[("etag", "\"1\""), ("cache-control", "private")], "private"),
        (&[("etag", "\"1\""), ("set-cookie", "a=b")], "set-cookie"),
        (&[("etag", "\"1\""), ("vary", "*")], "vary"),
        (&[("etag", "\"2\"")], "another entity tag"),
    ] {
        let scene = Scene::new(exact(), validating(&[("cache-control", "max-age=60"), ("etag", "\"1\"")], fields));
        scene.get("/").await;
        scene.advance(60);
        assert_eq!(scene.get("/").await.text(), "page 0", "the origin says that it is still good; {why}");
        assert_eq!(scene.get("/").await.text(), "page 2", "{why}");
    }
}

// RFC 9111, 4.1: after a 304 the stored response has the `Vary` of the 304.
#[tokio::test]
async fn a_304_that_brings_a_vary_makes_the_page_a_variant() {
    let scene = Scene::new(
        exact(),
        Origin::new(|call| async move {
            let language = seen(call.request.headers(), "accept-language");
            match call.number {
                0 => Ok(response(200, &[("cache-control", "max-age=60"), ("etag", "\"1\"")], language)),
                1 => Ok(response(304, &[("etag", "\"1\""), ("vary", "accept-language")], "")),
                _ => Ok(response(200, &[("cache-control", "max-age=60"), ("vary", "accept-language")], language)),
            }
        }),
    );
    scene.ask(get("/", &[("accept-language", "de")])).await;
    scene.advance(60);
    assert_eq!(scene.ask(get("/", &[("accept-language", "de")])).await.text(), "de");
    assert_eq!(scene.ask(get("/", &[("accept-language", "en")])).await.text(), "en");
    assert!(scene.ask(get("/", &[("accept-language", "de")])).await.is_hit());
}

// === HEAD ===

#[tokio::test]
async fn head_is_answered_from_a_stored_get_and_stores_nothing() {
    let scene = Scene::new(exact(), fresh_for_a_minute());
    let cold = scene.ask(request("HEAD", "/", &[])).await;
    assert_eq!(cold.cache_status(), "bartizan; fwd=uri-miss");
    let got = scene.get("/").await;
    assert_eq!((got.text(), got.is_hit()), ("1", false), "a HEAD is not stored as a GET");
    let head = scene.ask(request("HEAD", "/", &[])).await;
    assert_eq!((head.is_hit(), head.text()), (true, ""));
    assert_eq!(head.field("content-length").as_deref(), Some("1"), "of the GET");
    assert_eq!(scene.ask(request("HEAD", "/other", &[])).await.cache_status(), "bartizan; fwd=uri-miss");
    assert_eq!(scene.calls(), 3);
}

// === Age, Date and the other fields ===

#[tokio::test]
async fn date_is_set_once_and_age_counts() {
    let scene = Scene::new(exact(), fresh_for_a_minute());
    scene.get("/").await;
    for (secs, age) in [(0, "0"), (10, "10"), (20, "30")] {
        scene.advance(secs);
        let hit = scene.get("/").await;
        assert_eq!(hit.field("age").as_deref(), Some(age));
        assert_eq!(hit.field("date").as_deref(), Some(START), "at age {age}");
    }
}

#[tokio::test]
async fn the_age_and_date_of_an_upstream_are_kept() {
    for (fields, age, date) in [
        (&[("cache-control", "max-age=60"), ("age", "20")][..], "25", START),
        (
            &[("cache-control", "max-age=60"), ("date", "Tue, 14 Nov 2023 22:13:10 GMT")],
            "15",
            "Tue, 14 Nov 2023 22:13:10 GMT",
        ),
        (
            &[("cache-control", "max-age=60"), ("age", "20"), ("date", "Tue, 14 Nov 2023 22:13:10 GMT")],
            "25",
            "Tue, 14 Nov 2023 22:13:10 GMT",
        ),
        (&[("cache-control", "max-age=60"), ("age", "soon")], "5", START),
        (&[("cache-control", "max-age=60"), ("age", "20, 30"), ("age", "7")], "25", START),
    ] {
        let scene = Scene::new(exact(), Origin::says(fields));
        scene.get("/").await;
        scene.advance(5);
        let hit = scene.get("/").await;
        assert_eq!(hit.field("age").as_deref(), Some(age), "{fields:?}");
        assert_eq!(hit.field("date").as_deref(), Some(date), "{fields:?}");
        assert_eq!(hit.head.headers.get_all("age").iter().count(), 1, "{fields:?}");
    }
}

// RFC 9111, 4.2.3: the time that the response took counts.
#[tokio::test]
async fn what_took_long_to_come_is_older() {
    let gate = Gate::new();
    let held = gate.clone();
    let scene = Scene::new(
        exact(),
        Origin::new(move |_| {
            let gate = held.clone();
            async move {
                gate.pass().await;
                Ok(response(200, &[("cache-control", "max-age=60"), ("age", "3")], "page"))
            }
        }),
    );
    let asked = tokio::spawn(scene.ask(get("/", &[])));
    gate.arrived(1).await;
    scene.advance(5);
    gate.open(1);
    asked.await.expect("no panic");
    assert_eq!(scene.get("/").await.field("age").as_deref(), Some("8"));
}

#[tokio::test]
async fn fields_of_one_connection_are_not_replayed() {
    const HOP: Fields = &[
        ("connection", "x-hop, X-Other"),
        ("connection", "close"),
        ("x-hop", "1"),
        ("x-other", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("proxy-authentication-info", "x"),
        ("proxy-authorization", "x"),
        ("proxy-connection", "close"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
    ];
    let scene = Scene::new(
        exact(),
        Origin::new(|_| async {
            let mut fields = vec![("cache-control", "max-age=60"), ("x-kept", "a"), ("x-kept", "b"), ("link", "<l>")];
            fields.extend_from_slice(HOP);
            Ok(response(200, &fields, "page"))
        }),
    );
    scene.get("/").await;
    let hit = scene.get("/").await;
    assert!(hit.is_hit());
    for (name, _) in HOP {
        assert_eq!(hit.field(name), None, "{name}");
    }
    assert_eq!(hit.field("x-kept").as_deref(), Some("a, b"));
    assert_eq!(hit.field("link").as_deref(), Some("<l>"));
}

#[tokio::test]
async fn the_status_lines_of_caches_nearer_to_the_origin_are_kept() {
    let scene = Scene::new(exact(), Origin::says(&[("cache-control", "max-age=60"), ("cache-status", "near; hit")]));
    assert_eq!(scene.get("/").await.cache_status(), "near; hit, bartizan; fwd=uri-miss; stored");
    assert_eq!(scene.get("/").await.cache_status(), "near; hit, bartizan; hit");
}

// === Vary ===

/// Answers with what it was asked for, and varies on it.
fn varying(vary: &'static str) -> Origin {
    Origin::new(move |call| async move {
        let asked = call.request.headers();
        let body = format!("{}/{}", seen(asked, "accept-language"), seen(asked, "x-b"));
        Ok(response(200, &[("cache-control", "public, max-age=60"), ("vary", vary)], body))
    })
}

#[tokio::test]
async fn several_variants_are_kept_side_by_side() {
    let scene = Scene::new(exact(), varying("accept-language"));
    let variants: [&[(&str, &str)]; 4] =
        [&[("accept-language", "de")], &[("accept-language", "en")], &[("accept-language", "")], &[]];
    for round in 0..2 {
        for (index, fields) in variants.iter().enumerate() {
            let answer = scene.ask(get("/", fields)).await;
            let want = fields.first().map_or("none", |(_, value)| *value);
            assert_eq!(answer.text(), format!("{want}/none"), "round {round}");
            let status = match (round, index) {
                (0, 0) => "bartizan; fwd=uri-miss; stored",
                (0, _) => "bartizan; fwd=vary-miss; stored",
                _ => "bartizan; hit",
            };
            assert_eq!(answer.cache_status(), status, "variant {want:?}");
        }
    }
    assert_eq!(scene.calls(), 4);
}

#[tokio::test]
async fn a_variant_may_vary_further() {
    // Only the German page looks at the second field.
    let scene = Scene::new(
        exact(),
        Origin::new(|call| async move {
            let asked = call.request.headers();
            let language = seen(asked, "accept-language");
            let vary = if language == "de" { "accept-language, x-b" } else { "accept-language" };
            let body = if language == "de" { format!("de/{}", seen(asked, "x-b")) } else { language };
            Ok(response(200, &[("cache-control", "max-age=60"), ("vary", vary)], body))
        }),
    );
    let en_1 = [("accept-language", "en"), ("x-b", "1")];
    let en_2 = [("accept-language", "en"), ("x-b", "2")];
    let de_1 = [("accept-language", "de"), ("x-b", "1")];
    let de_2 = [("accept-language", "de"), ("x-b", "2")];
    for round in 0..3 {
        for (fields, want) in [(en_1, "en"), (en_2, "en"), (de_1, "de/1"), (de_2, "de/2")] {
            let answer = scene.ask(get("/", &fields)).await;
            assert_eq!(answer.text(), want, "round {round}");
            assert!(round == 0 || answer.is_hit(), "round {round}: {}", answer.cache_status());
        }
    }
    assert_eq!(scene.calls(), 3);
}

#[tokio::test]
async fn a_variant_that_is_refreshed_in_the_background_stays_where_it_is_found() {
    let scene = Scene::new(
        exact().stale_while_revalidate(MINUTE),
        Origin::new(|call| async move {
            let fields = [("cache-control", "max-age=60"), ("vary", "accept-language")];
            Ok(response(200, &fields, call.number.to_string()))
        }),
    );
    scene.get("/").await;
    for round in 0..20 {
        scene.advance(61);
        let stale = scene.get("/").await;
        assert_eq!(stale.cache_status(), "bartizan; hit; ttl=-1", "round {round}");
        scene.cache.drain().await;
        let fresh = scene.get("/").await;
        assert_eq!(fresh.text(), (round + 1).to_string(), "round {round}");
        assert!(fresh.is_hit(), "round {round}: {}", fresh.cache_status());
    }
    assert_eq!(scene.cache.counters().entries, 2, "the sign and the page");
}

#[tokio::test]
async fn vary_star_never_matches() {
    for vary in ["*", "accept, *", "*, accept", "a b"] {
        let scene = Scene::new(exact(), varying(vary));
        for _ in 0..3 {
            assert!(!scene.get("/").await.is_hit(), "{vary}");
        }
        assert_eq!(scene.calls(), 3, "{vary}");
    }
}

#[tokio::test]
async fn public_does_not_outdo_vary() {
    let scene = Scene::new(exact(), varying("accept-language, x-b"));
    let de = [("accept-language", "de"), ("x-b", "1"), ("cookie", "sid=a")];
    let en = [("accept-language", "en"), ("x-b", "1"), ("cookie", "sid=a")];
    assert_eq!(scene.ask(get("/", &de)).await.text(), "de/1");
    assert_eq!(scene.ask(get("/", &en)).await.text(), "en/1");
    assert!(scene.ask(get("/", &de)).await.is_hit());
}

// === methods and invalidation ===

#[tokio::test]
async fn a_post_is_neither_stored_nor_answered_from_the_store() {
    let scene = Scene::new(
        exact().default_ttl(MINUTE),
        Origin::says(&[("cache-control", "public, max-age=60"), ("content-location", "/")]),
    );
    for want in ["0", "1"] {
        let answer = scene.ask(request("POST", "/", &[])).await;
        assert_eq!((answer.text(), answer.cache_status().as_str()), (want, "bartizan; fwd=method"));
    }
    assert_eq!(scene.get("/").await.text(), "2");
    assert_eq!(scene.ask(request("OPTIONS", "/", &[])).await.text(), "3");
}

#[tokio::test]
async fn unsafe_methods_invalidate_when_they_succeed() {
    for (method, status, invalidates) in [
        ("POST", 200, true),
        ("PUT", 204, true),
        ("PATCH", 201, true),
        ("DELETE", 303, true),
        ("POST", 302, true),
        ("M-SEARCH", 200, true),
        ("FROBNICATE", 200, true),
        ("POST", 400, false),
        ("DELETE", 404, false),
        ("PUT", 500, false),
        ("M-SEARCH", 503, false),
        ("OPTIONS", 200, false),
        ("HEAD", 200, false),
        ("QUERY", 200, false),
    ] {
        let scene = Scene::new(
            exact(),
            Origin::new(move |call| async move {
                let status = if *call.request.method() == http::Method::GET { 200 } else { status };
                Ok(response(status, &[("cache-control", "max-age=60")], ""))
            }),
        );
        scene.get("/").await;
        scene.ask(request(method, "/", &[])).await;
        assert_eq!(scene.get("/").await.is_hit(), !invalidates, "{method} answered {status}");
    }
}

#[tokio::test]
async fn an_unsafe_request_whose_client_left_invalidates_nevertheless() {
    let gate = Gate::new();
    let held = gate.clone();
    let scene = Scene::new(
        exact(),
        Origin::new(move |call| {
            let gate = held.clone();
            async move {
                if *call.request.method() == http::Method::POST {
                    gate.pass().await;
                }
                Ok(response(200, &[("cache-control", "max-age=60")], ""))
            }
        }),
    );
    scene.get("/").await;
    let post = tokio::spawn(scene.ask(request("POST", "/", &[])));
    gate.arrived(1).await;
    post.abort();
    let _ = post.await;
    run_others().await;
    assert!(!scene.get("/").await.is_hit());
}

#[tokio::test]
async fn location_and_content_location_of_the_same_origin_are_invalidated_too() {
    for (reference, invalidates) in [
        ("/a", true),
        ("a", true),
        ("./x/../a", true),
        ("http://h/a", true),
        ("HTTP://H:80/a", true),
        ("//h/a", true),
        ("/a#part", true),
        ("http://other/a", false),
        ("https://h/a", false),
        ("http://h:81/a", false),
        ("//other/a", false),
        ("/a?q", false),
        ("::", false),
    ] {
        for field in ["location", "content-location"] {
            let scene = Scene::new(
                exact(),
                Origin::new(move |call| async move {
                    let is_get = *call.request.method() == http::Method::GET;
                    Ok(response(200, &[if is_get { ("cache-control", "max-age=60") } else { (field, reference) }], ""))
                }),
            );
            for host in ["h", "other"] {
                scene.ask(get("/a", &[("host", host)])).await;
            }
            scene.ask(request("POST", "/b", &[("host", "h")])).await;
            let hit = scene.ask(get("/a", &[("host", "h")])).await.is_hit();
            assert_eq!(hit, !invalidates, "{field}: {reference}");
            assert!(scene.ask(get("/a", &[("host", "other")])).await.is_hit(), "another site's; {field}: {reference}");
        }
    }
}

#[tokio::test]
async fn what_a_refused_request_names_is_not_invalidated() {
    let scene = Scene::new(
        exact(),
        Origin::new(|call| async move {
            let is_get = *call.request.method() == http::Method::GET;
            let field = if is_get { ("cache-control", "max-age=60") } else { ("location", "/a") };
            Ok(response(if is_get { 200 } else { 403 }, &[field], ""))
        }),
    );
    scene.ask(get("/a", &[("host", "h")])).await;
    scene.ask(request("POST", "/b", &[("host", "h")])).await;
    assert!(scene.ask(get("/a", &[("host", "h")])).await.is_hit());
}

// === the key ===

#[tokio::test]
async fn host_scheme_path_and_query_are_in_the_key() {
    let scene = Scene::new(exact(), fresh_for_a_minute());
    let mut number = 0;
    for (what, uri, host, same) in [
        ("the first", "/a?q=1", "one.example", false),
        ("the same", "/a?q=1", "one.example", true),
        ("case of the host", "/a?q=1", "ONE.Example", true),
        ("the scheme's own port", "/a?q=1", "one.example:80", true),
        ("absolute", "http://one.example/a?q=1", "one.example", true),
        ("absolute, and another host line", "http://one.example/a?q=1", "two.example", true),
        ("another host", "/a?q=1", "two.example", false),
        ("another port", "/a?q=1", "one.example:8080", false),
        ("another path", "/b?q=1", "one.example", false),
        ("case of the path", "/A?q=1", "one.example", false),
        ("another query", "/a?q=2", "one.example", false),
        ("no query", "/a", "one.example", false),
        ("https", "https://one.example/a?q=1", "one.example", false),
        ("https again", "https://one.example:443/a?q=1", "one.example", true),
    ] {
        let answer = scene.ask(get(uri, &[("host", host)])).await;
        assert_eq!(answer.is_hit(), same, "{what}");
        number += usize::from(!same);
        assert_eq!(scene.calls(), number, "{what}");
    }
}

#[tokio::test]
async fn two_host_lines_are_not_answered_from_the_store() {
    let scene = Scene::new(exact(), fresh_for_a_minute());
    scene.ask(get("/", &[("host", "a")])).await;
    for _ in 0..2 {
        let answer = scene.ask(get("/", &[("host", "a"), ("host", "b")])).await;
        assert_eq!(answer.cache_status(), "bartizan; fwd=bypass");
    }
    assert_eq!(scene.calls(), 3);
}

#[tokio::test]
async fn the_query_is_stripped_to_what_is_in_the_key() {
    let scene = Scene::new(
        exact().query(Query::only(["q", "page"]).sorted()),
        Origin::new(|call| async move {
            let query = call.request.uri().query().unwrap_or("none").to_owned();
            Ok(response(200, &[("cache-control", "max-age=60")], query))
        }),
    );
    for (uri, want, hit) in [
        ("/?q=1&utm=x", "q=1", false),
        ("/?utm=y&q=1", "q=1", true),
        ("/?page=2&q=1", "page=2&q=1", false),
        ("/?q=1&page=2", "page=2&q=1", true),
        ("/?utm=x", "none", false),
        ("/", "none", true),
    ] {
        let answer = scene.get(uri).await;
        assert_eq!((answer.text(), answer.is_hit()), (want, hit), "{uri}");
    }
}

// === what the client may ask for, and what it is told ===

#[tokio::test]
async fn request_no_store_stores_nothing_and_leaves_what_is_stored() {
    let scene = Scene::new(exact(), fresh_for_a_minute());
    let secret = scene.ask(get("/", &[("cache-control", "no-store")])).await;
    assert_eq!(secret.cache_status(), "bartizan; fwd=uri-miss");
    let next = scene.get("/").await;
    assert_eq!((next.text(), next.cache_status().as_str()), ("1", "bartizan; fwd=uri-miss; stored"));
    assert_eq!(scene.get("/").await.text(), "1");
}

// RFC 9111, 5.2.1.7
#[tokio::test]
async fn only_if_cached_never_reaches_the_origin() {
    let scene = Scene::new(exact(), fresh_for_a_minute());
    let only = [("cache-control", "only-if-cached")];
    let cold = scene.ask(get("/", &only)).await;
    assert_eq!((cold.status(), cold.cache_status().as_str()), (504, ""), "RFC 9211, 2: nothing of it is stored");
    assert_eq!(scene.calls(), 0);
    scene.get("/").await;
    assert!(scene.ask(get("/", &only)).await.is_hit());
    scene.advance(60);
    assert_eq!(scene.ask(get("/", &only)).await.status(), 504);
    assert_eq!(scene.calls(), 1);
}

#[tokio::test]
async fn a_clients_wish_for_something_fresher_is_granted_where_the_rules_say_so() {
    for (control, after, granted) in [
        ("no-cache", 0, true),
        ("max-age=0", 1, true),
        ("max-age=5", 10, true),
        ("max-age=20", 10, false),
        ("min-fresh=55", 10, true),
        ("min-fresh=10", 10, false),
        ("nothing-to-see-here", 10, false),
    ] {
        for honoured in [false, true] {
            let rules = if honoured { exact().honour_client_directives() } else { exact() };
            let scene = Scene::new(rules, fresh_for_a_minute());
            scene.get("/").await;
            scene.advance(after);
            let answer = scene.ask(get("/", &[("cache-control", control)])).await;
            let want = if honoured && granted { "bartizan; fwd=request; stored" } else { "bartizan; hit" };
            assert_eq!(answer.cache_status(), want, "{control}, honoured: {honoured}");
        }
    }
    for (honoured, want) in [(false, "bartizan; fwd=stale; stored"), (true, "bartizan; hit; ttl=-5")] {
        let rules = if honoured { exact().honour_client_directives() } else { exact() };
        let origin = Origin::says(&[("cache-control", "max-age=60"), ("etag", "\"1\"")]);
        let scene = Scene::new(rules, origin);
        scene.get("/").await;
        scene.advance(65);
        let answer = scene.ask(get("/", &[("cache-control", "max-stale=10")])).await;
        assert_eq!(answer.cache_status(), want);
    }
    let scene = Scene::new(exact().honour_client_directives(), fresh_for_a_minute());
    scene.get("/").await;
    let pragma = scene.ask(get("/", &[("pragma", "no-cache")])).await;
    assert_eq!(pragma.cache_status(), "bartizan; fwd=request; stored", "RFC 9111, 5.4");
}

async fn answers(scene: &Scene, requests: Vec<http::Request<http_body_util::Full<bytes::Bytes>>>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for request in requests {
        answers.push(scene.ask(request).await);
    }
    answers
}

#[tokio::test]
async fn each_decision_has_its_line() {
    let scene = Scene::with(
        Origin::new(|call| async move {
            let asked = call.request;
            Ok(match asked.uri().path() {
                "/fresh" => response(200, &[("cache-control", "max-age=60")], ""),
                "/window" => response(200, &[("cache-control", "max-age=60, stale-while-revalidate=60")], ""),
                "/vary" => response(200, &[("cache-control", "max-age=60"), ("vary", "x-a")], ""),
                "/private" => response(200, &[("cache-control", "private")], ""),
                "/failing" if call.number > 0 => return Err(Failed),
                "/failing" => response(200, &[("cache-control", "max-age=60, stale-if-error=60")], ""),
                _ => response(200, &[], ""),
            })
        }),
        |layer| {
            let rules = exact();
            layer.rules_by(move |parts| if parts.uri.path() == "/bypass" { Rules::bypass() } else { rules.clone() })
        },
    );
    let lines = |answers: Vec<Answer>| answers.iter().map(Answer::cache_status).collect::<Vec<_>>();
    let got = lines(
        answers(
            &scene,
            vec![
                get("/fresh", &[]),
                get("/fresh", &[]),
                get("/vary", &[("x-a", "1")]),
                get("/vary", &[("x-a", "2")]),
                get("/vary", &[("x-a", "2")]),
                get("/private", &[]),
                get("/private", &[]),
                get("/bypass", &[]),
                request("POST", "/fresh", &[]),
                request("OPTIONS", "/fresh", &[]),
                get("/fresh", &[("upgrade", "websocket"), ("connection", "upgrade")]),
                get("/window", &[]),
            ],
        )
        .await,
    );
    assert_eq!(
        got,
        [
            "bartizan; fwd=uri-miss; stored",
            "bartizan; hit",
            "bartizan; fwd=uri-miss; stored",
            "bartizan; fwd=vary-miss; stored",
            "bartizan; hit",
            "bartizan; fwd=uri-miss; detail=private",
            "bartizan; fwd=uri-miss; detail=pass",
            "bartizan; fwd=bypass",
            "bartizan; fwd=method",
            "bartizan; fwd=method",
            "bartizan; fwd=bypass",
            "bartizan; fwd=uri-miss; stored",
        ]
    );
    scene.get("/fresh").await;
    scene.advance(63);
    assert_eq!(scene.get("/fresh").await.cache_status(), "bartizan; fwd=stale; stored");
    assert_eq!(scene.get("/window").await.cache_status(), "bartizan; hit; ttl=-3");
    scene.cache.drain().await;
    assert_eq!(scene.get("/window").await.cache_status(), "bartizan; hit");
}

#[tokio::test]
async fn an_error_that_a_stale_page_stands_in_for_has_its_line() {
    for (fails, want) in [
        (None, "bartizan; fwd=stale; detail=error; ttl=-1"),
        (Some(503), "bartizan; fwd=stale; fwd-status=503; ttl=-1"),
    ] {
        let scene = Scene::new(
            exact().stale_if_error(MINUTE),
            Origin::new(move |call| async move {
                match (call.number, fails) {
                    (0, _) => Ok(response(200, &[("cache-control", "max-age=60")], "page")),
                    (_, None) => Err(Failed),
                    (_, Some(status)) => Ok(response(status, &[], "sorry")),
                }
            }),
        );
        scene.get("/").await;
        scene.advance(61);
        let answer = scene.get("/").await;
        assert_eq!((answer.status(), answer.text(), answer.cache_status().as_str()), (200, "page", want));
    }
}

#[tokio::test]
async fn a_follower_is_told_that_it_was_collapsed() {
    let gate = Gate::new();
    let held = gate.clone();
    let scene = Scene::new(
        exact(),
        Origin::new(move |call| {
            let gate = held.clone();
            async move {
                gate.pass().await;
                Ok(response(200, &[("cache-control", "max-age=60")], call.number.to_string()))
            }
        }),
    );
    let leader = tokio::spawn(scene.ask(get("/", &[])));
    gate.arrived(1).await;
    let follower = tokio::spawn(scene.ask(get("/", &[])));
    run_others().await;
    gate.open(1);
    assert_eq!(leader.await.expect("no panic").cache_status(), "bartizan; fwd=uri-miss; stored");
    let follower = follower.await.expect("no panic");
    assert_eq!((follower.text(), follower.cache_status().as_str()), ("0", "bartizan; fwd=uri-miss; collapsed"));
}

#[tokio::test]
async fn one_uncacheable_answer_does_not_take_a_page_that_an_error_may_need() {
    let scene = Scene::new(
        exact().stale_if_error(600 * MINUTE).pass_ttl(Duration::from_secs(10)),
        Origin::new(|call| async move {
            match call.number {
                0 => Ok(response(200, &[("cache-control", "max-age=60")], "page")),
                1 => Ok(response(200, &[("set-cookie", "a=b")], "greeting")),
                _ => Err(Failed),
            }
        }),
    );
    scene.get("/").await;
    scene.advance(61);
    assert_eq!(scene.get("/").await.text(), "greeting");
    scene.advance(11);
    let answer = scene.send(get("/", &[])).await.expect("the stale page stands in");
    assert_eq!(Answer::read(answer).await.text(), "page");
}

#[tokio::test]
async fn a_handlers_word_does_not_leave_the_cache() {
    let scene = Scene::new(
        exact(),
        Origin::new(|_| async {
            let mut response = response(200, &[("cache-control", "private")], "");
            response.extensions_mut().insert(bartizan::Caching::new().tag("t"));
            Ok(response)
        }),
    );
    for (way, request) in [
        ("uncacheable", get("/", &[])),
        ("pass", get("/", &[])),
        ("a head", request("HEAD", "/other", &[])),
        ("a part", get("/other", &[("range", "bytes=0-0")])),
        ("a method", request("POST", "/other", &[])),
    ] {
        let answer = scene.ask(request).await;
        assert!(answer.head.extensions.get::<bartizan::Caching>().is_none(), "{way}: {}", answer.cache_status());
    }
}

#[tokio::test]
async fn whitespace_and_case_of_a_negotiating_field_select_nothing() {
    let lines = ["gzip, br", "gzip,br", "GZIP ,\tbr"];
    for rules in [exact(), exact().add_key_header(http::header::ACCEPT_ENCODING)] {
        let scene = Scene::new(rules, Origin::says(&[("cache-control", "max-age=60"), ("vary", "accept-encoding")]));
        for line in lines {
            assert_eq!(scene.ask(get("/", &[("accept-encoding", line)])).await.text(), "0", "{line:?}");
        }
    }
}
