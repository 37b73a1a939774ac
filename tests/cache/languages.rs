//! One page for all who want the same language most, in whichever words they ask.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bartizan::Rules;
use http::{Request, header};
use proptest::prelude::*;
use tower::ServiceExt;

use crate::support::{Call, Origin, Scene, exact, get, request, response, run_others};

const FRESH: &str = "max-age=60";

fn shared() -> Rules {
    exact().normalise_vary().share_languages()
}

async fn page(scene: &Scene, languages: &str) -> (String, bool) {
    let answer = scene.ask(get("/", &[("accept-language", languages)])).await;
    let language = answer.head.headers[header::CONTENT_LANGUAGE].to_str().expect("a tag").to_owned();
    (language, answer.is_hit())
}

/// The weight of `language` for a request, as RFC 9110, 12.5.4 has it.
fn weight(asked: &str, language: &str) -> u32 {
    let ranges = asked.split(',').map(|range| {
        let (name, weight) = range.trim().split_once(";q=0.").unwrap_or((range.trim(), "10"));
        (name.to_owned(), weight.parse::<u32>().expect("one digit"))
    });
    ranges.filter(|(name, _)| name == language || name == "*").map(|(_, weight)| weight).max().unwrap_or(0)
}

/// Answers in that of its languages which is wanted most; of several, in the last.
fn polyglot(languages: &'static [&'static str]) -> Origin {
    Origin::new(move |call: Call| async move { Ok(speak(&call.request, languages)) })
}

fn speak<B>(asked: &Request<B>, languages: &[&'static str]) -> http::Response<crate::support::Body> {
    let wanted = asked.headers().get(header::ACCEPT_LANGUAGE).map_or("*", |line| line.to_str().expect("a list"));
    let best = languages.iter().max_by_key(|language| weight(wanted, language)).expect("it speaks");
    let fields = [("cache-control", FRESH), ("vary", "accept-language"), ("content-language", best)];
    response(200, &fields, "")
}

#[tokio::test]
async fn who_wants_a_language_most_has_the_page_in_it() {
    let scene = Scene::new(shared(), polyglot(&["en", "de"]));
    assert_eq!(page(&scene, "en, de").await, ("de".into(), false));
    for same in ["de", "fr;q=0.5, de;q=1.0", "DE, en;q=0.9", "en, de"] {
        assert_eq!(page(&scene, same).await, ("de".into(), true), "{same}");
    }
    assert_eq!(page(&scene, "en, de;q=0.5").await, ("en".into(), false));
    assert_eq!(page(&scene, "en").await, ("en".into(), true));
    assert!(!page(&scene, "fr, de;q=0.5").await.1, "there may be a French one");
    assert!(!page(&scene, "*, de;q=0.5").await.1, "what is wanted most is not said");
    assert_eq!(scene.calls(), 4);

    let apart = Scene::new(exact().normalise_vary(), polyglot(&["en", "de"]));
    page(&apart, "en, de").await;
    assert!(!page(&apart, "de").await.1, "not unless a rule says so");
}

#[tokio::test]
async fn a_response_that_is_not_in_one_language_is_not_shared() {
    for language in
        [&[("content-language", "de, en")][..], &[("content-language", "de"), ("content-language", "en")], &[]]
    {
        let fields = [&[("cache-control", FRESH), ("vary", "accept-language")], language].concat();
        let scene = Scene::new(
            shared(),
            Origin::new(move |_| {
                let fields = fields.clone();
                async move { Ok(response(200, &fields, "")) }
            }),
        );
        scene.ask(get("/", &[("accept-language", "en, de")])).await;
        assert!(!scene.ask(get("/", &[("accept-language", "de")])).await.is_hit(), "{language:?}");
        assert!(scene.ask(get("/", &[("accept-language", "de, en")])).await.is_hit(), "{language:?}");
    }
}

#[tokio::test]
async fn who_asked_in_other_words_does_not_make_the_page_anew_for_all() {
    let german = Arc::new(AtomicUsize::new(1));
    let speaks = Arc::clone(&german);
    let scene = Scene::new(
        shared().stale_while_revalidate(Duration::from_secs(60)),
        Origin::new(move |call: Call| {
            let first: &[&str] = if speaks.load(Ordering::SeqCst) == 1 { &["en", "de"] } else { &["de", "en"] };
            let answer = speak(&call.request, first);
            async { Ok(answer) }
        }),
    );
    assert_eq!(page(&scene, "en, de").await.0, "de");
    assert_eq!(page(&scene, "de").await, ("de".into(), true));
    // From now on, who has no preference is given English.
    german.store(0, Ordering::SeqCst);
    scene.advance(61);
    assert_eq!(page(&scene, "en, de").await, ("en".into(), false), "it is asked for anew, under these words");
    assert_eq!(page(&scene, "de").await.0, "de");
    run_others().await;
    assert_eq!(page(&scene, "de").await, ("de".into(), true));
    assert_eq!(page(&scene, "en, de").await, ("en".into(), true));
}

#[tokio::test]
async fn one_call_for_all_who_ask_in_the_same_words_and_a_purge_reaches_the_page() {
    let scene = Scene::new(
        shared(),
        Origin::new(|call: Call| async move {
            tokio::task::yield_now().await;
            Ok(speak(&call.request, &["en", "de"]))
        }),
    );
    let crowd = (0..100).map(|_| scene.service.clone().oneshot(get("/", &[("accept-language", "en, de")])));
    for one in crowd.map(tokio::spawn).collect::<Vec<_>>() {
        let answer = one.await.expect("no panic").expect("it never fails");
        assert_eq!(answer.headers()[header::CONTENT_LANGUAGE], "de");
    }
    assert_eq!(scene.calls(), 1);
    scene.ask(request("DELETE", "/", &[])).await;
    assert_eq!(page(&scene, "de").await, ("de".into(), false));
    assert_eq!(page(&scene, "en, de").await, ("de".into(), false), "the sign is gone as well");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nobody_is_given_a_language_that_is_wanted_less(
        asked in prop::collection::vec(
            prop::collection::btree_map("de|en|fr|it|\\*", 1..=10u32, 1..4).prop_map(|ranges| {
                let range = |(name, weight)| match weight { 10 => name, weight => format!("{name};q=0.{weight}") };
                ranges.into_iter().map(range).collect::<Vec<String>>().join(", ")
            }),
            1..20,
        ),
    ) {
        const SPOKEN: [&str; 3] = ["de", "en", "fr"];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let scene = Scene::new(shared(), polyglot(&SPOKEN));
            for languages in &asked {
                let (given, _) = page(&scene, languages).await;
                let best = SPOKEN.iter().map(|language| weight(languages, language)).max();
                prop_assert_eq!(Some(weight(languages, &given)), best, "{} for {}", given, languages);
            }
            Ok(())
        })?;
    }
}
