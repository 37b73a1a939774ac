//! What becomes of requests while the store cannot be asked, or will not take what they have.

use bartizan::{
    Error, MemorySessions,
    session::{OnOutage, Unsaved},
};
use http::{StatusCode, header};

use crate::support::{Browser, MINUTE, Scene, set_cookie};

#[tokio::test]
async fn without_the_store_whoever_uses_the_session_is_refused_and_the_others_are_not() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.insert("a", &1).await).await?;
    scene.store.down(true);
    let untouched = scene.visit(&mut browser, async |_| ()).await;
    assert_eq!(untouched.response.status(), StatusCode::OK);
    let reads = scene.visit(&mut browser, async |session| session.get::<i32>("a").await).await;
    assert!(reads.made.unwrap().is_err_and(|error| error.is_unavailable()), "the handler is told");
    let begins = scene.visit(&mut Browser::default(), async |session| session.insert("a", &1).await).await;
    assert_eq!(begins.response.status(), StatusCode::SERVICE_UNAVAILABLE, "it could not be saved");
    assert!(begins.response.extensions().get::<Unsaved>().unwrap().error().is_unavailable());
    assert_eq!(begins.response.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(set_cookie(begins.response.headers()), None, "no cookie for what is not there");
    scene.store.down(false);
    let a = scene.on(&mut browser, async |session| session.get::<i32>("a").await).await?;
    assert_eq!(a, Some(1));
    assert_eq!(scene.layer.handle().counters().unsaved, 1);
    Ok(())
}

#[tokio::test]
async fn a_touch_that_fails_is_no_failure_of_the_request() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::with(|layer| layer.renew_after(MINUTE)), Browser::default());
    scene.on(&mut browser, async |session| session.insert("a", &1).await).await?;
    scene.clock.advance(10 * MINUTE);
    let visit = scene
        .visit(&mut browser, async |session| {
            let a = session.get::<i32>("a").await;
            scene.store.down(true);
            a
        })
        .await;
    assert_eq!((visit.response.status(), visit.made.unwrap()?), (StatusCode::OK, Some(1)));
    assert_eq!(set_cookie(visit.response.headers()), None);
    Ok(())
}

#[tokio::test]
async fn a_layer_that_proceeds_shows_an_empty_session_and_lets_nobody_log_in() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::with(|layer| layer.on_outage(OnOutage::Proceed)), Browser::default());
    scene.on(&mut browser, async |session| session.set_principal("ann").await).await?;
    scene.store.down(true);
    let visit = scene
        .visit(&mut browser, async |session| {
            assert_eq!(session.principal().await?, None);
            assert!(session.set_principal("eve").await.is_err_and(|error| error.is_unavailable()));
            assert!(session.devices().await.is_err_and(|error| error.is_unavailable()));
            assert!(session.destroy().await.is_err_and(|error| error.is_unavailable()));
            session.insert("a", &1).await
        })
        .await;
    visit.made.unwrap()?;
    assert_eq!(visit.response.status(), StatusCode::OK);
    assert!(visit.response.extensions().get::<Unsaved>().is_some(), "what was lost is said");
    assert_eq!(set_cookie(visit.response.headers()), None, "the browser keeps its cookie");
    scene.store.down(false);
    let seen = scene.on(&mut browser, async |session| session.principal().await).await?;
    assert!(seen.is_some());
    Ok(())
}

#[tokio::test]
async fn a_layer_that_proceeds_answers_no_login_that_was_not_saved() -> Result<(), Error> {
    let scene = Scene::with(|layer| layer.on_outage(OnOutage::Proceed));
    for (logs_in, status) in [(false, StatusCode::OK), (true, StatusCode::SERVICE_UNAVAILABLE)] {
        let visit = scene
            .visit(&mut Browser::default(), async |session| {
                session.insert("a", &1).await?;
                if logs_in {
                    session.set_principal("ann").await?;
                }
                scene.store.down(true);
                Ok::<_, Error>(())
            })
            .await;
        scene.store.down(false);
        visit.made.unwrap()?;
        assert_eq!(visit.response.status(), status);
        assert!(visit.response.extensions().get::<Unsaved>().is_some(), "what was lost is said");
    }
    Ok(())
}

#[tokio::test]
async fn a_session_that_could_not_be_destroyed_goes_on_and_the_handler_knows() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.set_principal("ann").await).await?;
    let visit = scene
        .visit(&mut browser, async |session| {
            session.principal().await?;
            scene.store.down(true);
            session.destroy().await
        })
        .await;
    assert!(visit.made.unwrap().is_err_and(|error| error.is_unavailable()));
    assert_eq!(set_cookie(visit.response.headers()), None);
    Ok(())
}

#[tokio::test]
async fn what_would_take_too_much_is_refused_at_once_or_when_it_is_merged() -> Result<(), Error> {
    let scene = Scene::over(MemorySessions::new().session_bytes(1000), |layer| layer);
    let mut browser = Browser::default();
    scene
        .on(&mut browser, async |session| {
            let refused = session.insert("a", &vec![7u8; 1000]).await;
            assert!(refused.is_err_and(|error| error.code() == Some("TOO_LARGE")));
            assert_eq!(session.get::<Vec<u8>>("a").await?, None, "it was not taken in");
            session.insert("a", &vec![7u8; 900]).await?;
            session.insert("a", &vec![8u8; 900]).await
        })
        .await?;
    scene.on(&mut browser, async |session| session.insert("a", &0).await).await?;
    let one = scene.begin(&browser, async |session| session.insert("b", &vec![7u8; 600]).await);
    let other = scene.begin(&browser, async |session| session.insert("c", &vec![7u8; 600]).await);
    assert_eq!(one.end().status(), StatusCode::OK);
    assert_eq!(other.end().status(), StatusCode::PAYLOAD_TOO_LARGE, "each is small enough, both are not");
    let updated = scene.on(&mut browser, async |session| session.update("d", |_| vec![7u8; 600]).await).await;
    assert!(updated.is_err_and(|error| error.code() == Some("TOO_LARGE")));
    Ok(())
}
