//! What clients send, and what becomes of it.

use bartizan::{
    Error, Session,
    session::{SessionCookie, SigningKeys},
};
use http::{HeaderName, Request, Response, header::SET_COOKIE};
use http_body_util::Full;
use proptest::prelude::*;
use tower::{Layer, Service, service_fn};

use crate::support::{Browser, Scene, set_cookie};

#[tokio::test]
async fn a_million_anonymous_requests_begin_no_session() -> Result<(), Error> {
    let scene = Scene::new();
    let mut service = scene.layer.layer(service_fn(async |request: Request<()>| {
        let session = Session::of(request.extensions()).expect("the layer is around it").clone();
        assert_eq!(session.get::<i32>("a").await?, None);
        Ok::<_, Error>(Response::new(()))
    }));
    for _ in 0..1_000_000 {
        let response = service.call(Request::new(())).await?;
        assert!(!response.headers().contains_key(SET_COOKIE));
    }
    assert_eq!((scene.store.calls(), scene.store.memory.usage().sessions), (0, 0));
    Ok(())
}

#[tokio::test]
async fn forged_tokens_cost_one_call_each_and_are_never_taken_over() -> Result<(), Error> {
    let scene = Scene::new();
    for n in 0..1000 {
        let forged = format!("{n:085}A");
        let mut browser = Browser::with(&format!("__Host-id={forged}"));
        let before = scene.store.calls();
        let visit = scene.visit(&mut browser, async |session| session.get::<i32>("a").await).await;
        assert_eq!((scene.store.calls() - before, set_cookie(visit.response.headers())), (1, None), "{forged}");
        if n == 0 {
            let id = scene.id(&browser);
            scene.on(&mut browser, async |session| session.insert("a", &1).await).await?;
            assert_ne!(scene.id(&browser), id, "what it writes is begun under an id of ours");
            assert!(!scene.is_there(&id).await);
        }
    }
    assert_eq!(scene.layer.handle().counters().unknown, 1001);
    Ok(())
}

#[tokio::test]
async fn a_wrong_secret_opens_nothing() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.set_principal("ann").await).await?;
    let mut pair = browser.pair.clone().unwrap();
    let last = pair.pop().unwrap();
    // The last character has four bits of padding: the one before it is all secret.
    let before = pair.pop().unwrap();
    let mut forger = Browser::with(&format!("{pair}{}{last}", if before == 'A' { 'B' } else { 'A' }));
    assert_eq!(scene.id(&forger), scene.id(&browser), "the id is right");
    let seen = scene.on(&mut forger, async |session| session.principal().await).await?;
    assert_eq!(seen, None);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_cannot_be_a_token_costs_no_call(text in "[A-Za-z0-9_=./+-]{0,85}|[A-Za-z0-9_-]{40}[.=+/%~][A-Za-z0-9_-]{45}|[A-Za-z0-9_-]{87,300}|[A-Za-z0-9_-]{85}[B-PR-Zb-fh-vx-z]") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let scene = Scene::new();
            let mut browser = Browser::with(&format!("__Host-id={text}"));
            let a = scene.on(&mut browser, async |session| session.get::<i32>("a").await).await;
            prop_assert_eq!((a.unwrap(), scene.store.calls()), (None, 0), "{}", text);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_signed_layer_asks_the_store_for_what_it_signed_alone() -> Result<(), Error> {
    let (old, new) = ([1; 32], [2; 32]);
    let mut scene = Scene::with(|layer| layer.signed_by(SigningKeys::new(&old)));
    let mut browser = Browser::default();
    scene.on(&mut browser, async |session| session.insert("a", &1).await).await?;
    let calls = scene.store.calls();
    let unsigned = browser.pair.as_deref().unwrap().rsplit_once('.').unwrap().0;
    let mut forged = browser.pair.clone().unwrap();
    forged.replace_range(20..21, if &forged[20..21] == "A" { "B" } else { "A" });
    for pair in [unsigned, &forged] {
        let a = scene.on(&mut Browser::with(pair), async |session| session.get::<i32>("a").await).await?;
        assert_eq!(a, None);
    }
    assert_eq!(scene.store.calls(), calls, "made up");
    scene.layer = scene.layer.signed_by(SigningKeys::new(&new).accept(&old));
    let a = scene.on(&mut browser, async |session| session.get::<i32>("a").await).await?;
    assert_eq!(a, Some(1), "the old key is accepted");
    scene.on(&mut browser, async |session| session.renew().await).await?;
    scene.layer = scene.layer.signed_by(SigningKeys::new(&new));
    let a = scene.on(&mut browser, async |session| session.get::<i32>("a").await).await?;
    assert_eq!(a, Some(1), "and the new one signs");
    Ok(())
}

#[tokio::test]
async fn a_header_carries_the_token_both_ways() -> Result<(), Error> {
    let name = HeaderName::from_static("x-session");
    let scene = Scene::with(|layer| layer.header(name.clone()));
    let begun = scene.send(Browser::default().request(), async |session| session.insert("a", &1).await).await;
    assert_eq!(set_cookie(begun.response.headers()), None);
    let token = begun.response.headers()[&name].clone();
    assert!(token.is_sensitive(), "and is not printed");
    let request = || Request::get("/").header(&name, &token);
    let read =
        scene.send(request().body(Full::default()).unwrap(), async |session| session.get::<i32>("a").await).await;
    assert_eq!((read.made.unwrap()?, read.response.headers().get(&name)), (Some(1), None));
    let twice = request().header(&name, "another").body(Full::default()).unwrap();
    let read = scene.send(twice, async |session| session.get::<i32>("a").await).await;
    assert_eq!(read.made.unwrap()?, None, "of two that differ, neither is believed");
    let ended = scene.send(request().body(Full::default()).unwrap(), async |session| session.destroy().await).await;
    assert_eq!(ended.response.headers()[&name], "", "it is to be forgotten");
    Ok(())
}

#[tokio::test]
async fn the_cookie_is_removed_with_the_attributes_it_was_set_with() -> Result<(), Error> {
    let cookie = || SessionCookie::new().name("sid").domain("example.com").path("/app").partitioned();
    let (scene, mut browser) = (Scene::with(|layer| layer.cookie(cookie())), Browser::default());
    let set = scene.visit(&mut browser, async |session| session.insert("a", &1).await).await;
    let removed = scene.visit(&mut browser, async |session| session.destroy().await).await;
    let (set, removed) = (set_cookie(set.response.headers()).unwrap(), set_cookie(removed.response.headers()).unwrap());
    let attributes = set.split_once(';').unwrap().1;
    assert_eq!(removed, format!("__Secure-sid=;{attributes}; Max-Age=0"));
    assert!(attributes.contains("Domain=example.com") && attributes.contains("Path=/app"), "{attributes}");
    Ok(())
}
