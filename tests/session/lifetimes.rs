//! Deadlines, touches, and what is told to the client of them.

use bartizan::{Error, session::Lifetime};

use crate::support::{Browser, HOUR, MINUTE, Scene, set_cookie};

#[tokio::test]
async fn a_session_that_is_read_now_and_then_goes_on_and_is_touched_seldom() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.insert("a", &1).await).await?;
    let calls = scene.store.calls();
    let mut requests = 0;
    for _ in 0..100 {
        scene.clock.advance(MINUTE);
        let a = scene.on(&mut browser, async |session| session.get::<i32>("a").await).await?;
        assert_eq!(a, Some(1));
        requests += 1;
    }
    let touches = scene.store.calls() - calls - requests;
    assert!((100 / 3..=100 / 2).contains(&touches), "each three minutes, or a little less: {touches}");
    Ok(())
}

#[tokio::test]
async fn a_share_of_zero_touches_at_each_use() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::with(|layer| layer.touch_after(0)), Browser::default());
    scene.on(&mut browser, async |session| session.insert("a", &1).await).await?;
    let calls = scene.store.calls();
    scene.on(&mut browser, async |session| session.get::<i32>("a").await).await?;
    assert_eq!(scene.store.calls() - calls, 2);
    Ok(())
}

#[tokio::test]
async fn the_cookie_lasts_until_the_browser_is_closed_unless_it_is_to_be_remembered() -> Result<(), Error> {
    let day = 24 * HOUR;
    let scene = Scene::with(|layer| layer.remembered(Lifetime::new(2 * day, 10 * day).kept_by_client()));
    let mut browser = Browser::default();
    let visit = scene.visit(&mut browser, async |session| session.insert("a", &1).await).await;
    assert!(!set_cookie(visit.response.headers()).unwrap().contains("Max-Age"));
    let visit = scene
        .visit(&mut browser, async |session| {
            session.remember().await?;
            session.set_principal("ann").await
        })
        .await;
    assert!(set_cookie(visit.response.headers()).unwrap().ends_with("; Max-Age=864000"));
    scene.clock.advance(day);
    let visit = scene.visit(&mut browser, async |session| session.renew().await).await;
    let line = set_cookie(visit.response.headers()).unwrap();
    assert!(line.ends_with("; Max-Age=777600"), "what is left of it: {line}");
    scene.on(&mut browser, async |session| session.set_principal("ann").await).await?;
    scene.clock.advance(day + 23 * HOUR);
    let info = scene.on(&mut browser, async |session| session.info().await).await?.expect("it is remembered");
    assert_eq!(info.ends.since(info.created), 11 * day, "also once she has shown again who she is");
    scene.clock.advance(2 * day);
    assert!(scene.on(&mut browser, async |session| session.info().await).await?.is_none(), "and idle for too long");
    Ok(())
}

#[tokio::test]
async fn what_is_known_of_a_session_is_told() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    let nothing = scene.on(&mut browser, async |session| session.info().await).await?;
    assert_eq!(nothing, None);
    scene.on(&mut browser, async |session| session.insert("a", &1).await).await?;
    scene.clock.advance(MINUTE);
    scene.on(&mut browser, async |session| session.set_principal("ann").await).await?;
    let info = scene.on(&mut browser, async |session| session.info().await).await?.unwrap();
    assert_eq!(info.authenticated.map(|at| at.since(info.created)), Some(MINUTE));
    assert_eq!(info.expires.since(info.seen), 30 * MINUTE);
    assert_eq!(info.ends.since(info.seen), 12 * HOUR);
    Ok(())
}

#[test]
#[should_panic(expected = "at most its absolute time")]
fn a_lifetime_that_contradicts_itself_is_refused() {
    let _ = Lifetime::new(2 * HOUR, HOUR);
}
