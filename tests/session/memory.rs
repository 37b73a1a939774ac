//! The store of one process is bounded, and gives no live session up.

use bartizan::{Error, MemorySessions};
use http::StatusCode;

use crate::support::{Browser, HOUR, MINUTE, Scene};

#[tokio::test]
async fn a_full_store_refuses_what_is_new_and_keeps_what_is_there() -> Result<(), Error> {
    let scene = Scene::over(MemorySessions::with_capacity(1 << 20), |layer| layer);
    let mut first = Browser::default();
    scene.on(&mut first, async |session| session.insert("a", &1).await).await?;
    let mut begun = 1;
    let refused = loop {
        let mut browser = Browser::default();
        let visit = scene.visit(&mut browser, async |session| session.insert("a", &1).await).await;
        if visit.response.status() != StatusCode::OK {
            break visit.response;
        }
        begun += 1;
        assert!(begun < 10_000, "the store is bounded");
    };
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(begun > 500, "a small session takes less than 2 KiB: {begun}");
    let usage = scene.store.memory.usage();
    assert_eq!((usage.sessions, usage.refused), (begun, 1));
    assert!(usage.bytes <= 1 << 20);
    scene.clock.advance(20 * MINUTE);
    let a = scene.on(&mut first, async |session| session.get::<i32>("a").await).await?;
    assert_eq!(a, Some(1), "who is there is served, and touched");
    let grows = scene.visit(&mut first, async |session| session.insert("b", &[0u8; 4000][..]).await).await;
    assert_eq!(grows.response.status(), StatusCode::SERVICE_UNAVAILABLE, "what is there cannot grow");
    scene.on(&mut first, async |session| session.remove("a").await).await?;
    scene.clock.advance(20 * MINUTE);
    scene.on(&mut Browser::default(), async |session| session.insert("a", &vec![7u8; 60_000]).await).await?;
    assert_eq!(scene.store.memory.usage().sessions, 2, "all that expired made room");
    scene.on(&mut first, async |session| session.destroy().await).await?;
    assert_eq!(scene.store.memory.usage().sessions, 1);
    Ok(())
}

#[tokio::test]
async fn expired_sessions_do_not_pile_up() -> Result<(), Error> {
    let scene = Scene::new();
    for _ in 0..100 {
        for _ in 0..100 {
            let mut browser = Browser::default();
            scene.on(&mut browser, async |session| session.set_principal("ann").await).await?;
        }
        scene.clock.advance(HOUR);
    }
    let usage = scene.store.memory.usage();
    assert!(usage.sessions <= 400, "{usage:?}");
    assert_eq!(usage.sessions + usage.expired, 10_000);
    scene.on(&mut Browser::default(), async |session| session.insert("a", &1).await).await?;
    assert!(scene.layer.handle().sessions_of("ann").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_is_taken_is_given_back() -> Result<(), Error> {
    let scene = Scene::new();
    let mut browsers = vec![Browser::default(); 50];
    for (n, browser) in browsers.iter_mut().enumerate() {
        scene.on(browser, async |session| session.insert("a", &vec![7u8; n * 10]).await).await?;
        scene.on(browser, async |session| session.set_principal(format!("user {}", n % 7)).await).await?;
        scene.on(browser, async |session| session.add_member("s", &n).await).await?;
    }
    assert!(scene.store.memory.usage().bytes > 50 * 500);
    for browser in &mut browsers {
        scene.on(browser, async |session| session.destroy().await).await?;
    }
    assert_eq!((scene.store.memory.usage().bytes, scene.store.memory.usage().sessions), (0, 0));
    Ok(())
}
