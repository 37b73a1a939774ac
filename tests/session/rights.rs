//! Renewals, and changes of rights.

use bartizan::{Error, clock::Clock, session::Unsaved};
use http::StatusCode;

use crate::support::{Browser, HOUR, MINUTE, Scene, set_cookie};

#[tokio::test]
async fn a_renewal_amid_50_requests_logs_none_of_them_out() -> Result<(), Error> {
    let scene =
        Scene::with(|layer| layer.renew_after(HOUR).lifetime(bartizan::session::Lifetime::new(2 * HOUR, 12 * HOUR)));
    let mut browser = Browser::default();
    scene.on(&mut browser, async |session| session.set_principal("ann").await).await?;
    let old = browser.clone();
    scene.clock.advance(HOUR);
    // All were begun before the first of them ended, and half of them are read by the server after it.
    let requests: Vec<_> = (0..25)
        .map(|_| {
            scene.begin(&old, async |session| {
                assert_eq!(session.principal().await?.expect("she is logged in").as_str(), "ann");
                session.increment("n", 1).await.map(drop)
            })
        })
        .collect();
    let mut told = 0;
    for request in requests {
        let response = request.end();
        assert_eq!(response.status(), StatusCode::OK);
        told += usize::from(set_cookie(response.headers()).is_some());
        browser.receive(&response);
    }
    for _ in 0..25 {
        let mut late = old.clone();
        let seen = scene
            .on(&mut late, async |session| {
                session.increment("n", 1).await?;
                session.principal().await
            })
            .await?;
        assert_eq!(seen.expect("the overlap is not over").as_str(), "ann");
        assert_eq!(late, old, "who comes late is told nothing");
    }
    assert_eq!(told, 1, "one of them renewed it");
    assert_eq!(scene.on(&mut browser, async |session| session.counter("n").await).await?, 50, "all of them counted");
    scene.clock.advance(MINUTE);
    let seen = scene.on(&mut old.clone(), async |session| session.principal().await).await?;
    assert_eq!(seen, None, "the old secret is dead after the overlap");
    let seen = scene.on(&mut browser, async |session| session.principal().await).await?;
    assert!(seen.is_some(), "the new one is not");
    Ok(())
}

#[tokio::test]
async fn a_login_amid_50_requests_leaves_the_browser_with_the_new_cookie() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::with(|layer| layer.renew_after(MINUTE)), Browser::default());
    scene.on(&mut browser, async |session| session.insert("cart", &7).await).await?;
    scene.clock.advance(2 * MINUTE);
    let old = browser.clone();
    let requests: Vec<_> = (0..25)
        .map(|n| {
            scene.begin(&old, async move |session| match n % 3 {
                0 => Ok(()),
                1 => session.increment("n", 1).await.map(drop),
                _ => session.renew().await,
            })
        })
        .collect();
    scene.on(&mut browser, async |session| session.set_principal("ann").await).await?;
    let new = browser.clone();
    assert_ne!(new, old);
    for request in requests {
        browser.receive(&request.end());
    }
    for n in 0..25 {
        let mut late = old.clone();
        let visit = scene
            .visit(&mut late, async |session| {
                assert_eq!(session.principal().await?, None, "the old secret never sees the login");
                assert_eq!(session.get::<i32>("cart").await?, None, "nor anything else");
                if n % 2 == 0 { session.insert("cart", &8).await } else { Ok(()) }
            })
            .await;
        let made = visit.made.unwrap();
        assert_eq!(made.is_err_and(|error| error.code() == Some("SUPERSEDED")), n % 2 == 0, "it cannot be written");
        browser.receive(&visit.response);
    }
    assert_eq!(browser, new, "no response gave it another");
    scene
        .on(&mut browser, async |session| {
            assert_eq!(session.principal().await?.expect("she is logged in").as_str(), "ann");
            assert_eq!((session.get("cart").await?, session.counter("n").await?), (Some(7), 0));
            Ok::<_, Error>(())
        })
        .await
}

#[tokio::test]
async fn what_was_begun_before_a_login_is_answered_409_if_it_meant_to_change_something() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.insert("cart", &7).await).await?;
    let reads = scene.begin(&browser, async |_| Ok(()));
    let writes = scene.begin(&browser, async |session| session.insert("cart", &8).await);
    let updates = scene.begin(&browser, async |session| {
        let updated = session.update("cart", |_: Option<i32>| 9).await;
        assert!(updated.is_err_and(|error| error.code() == Some("SUPERSEDED")));
        Ok(())
    });
    let logs_in = scene.begin(&browser, async |session| session.set_principal("eve").await);
    scene.on(&mut browser, async |session| session.set_principal("ann").await).await?;
    assert_eq!(reads.end().status(), StatusCode::OK);
    assert_eq!(updates.end().status(), StatusCode::OK);
    for response in [writes.end(), logs_in.end()] {
        assert_eq!((response.status(), set_cookie(response.headers())), (StatusCode::CONFLICT, None));
        let why = response.extensions().get::<Unsaved>().expect("it says why").error().clone();
        assert_eq!(why.code(), Some("SUPERSEDED"));
    }
    let seen = scene
        .on(&mut browser, async |session| {
            Ok::<_, Error>((session.get::<i32>("cart").await?, session.principal().await?.unwrap().as_str().to_owned()))
        })
        .await?;
    assert_eq!(seen, (Some(7), "ann".to_owned()));
    Ok(())
}

#[tokio::test]
async fn what_was_begun_before_a_login_does_not_end_the_session() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.insert("cart", &7).await).await?;
    let old = browser.clone();
    let ends = |writes: bool| {
        scene.begin(&old, async move |session| {
            if writes {
                session.insert("cart", &8).await?;
            }
            let ended = session.destroy().await;
            assert!(ended.is_err_and(|error| error.code() == Some("SUPERSEDED")));
            let written = session.insert("cart", &9).await;
            assert!(written.is_err_and(|error| error.code() == Some("SUPERSEDED")), "it knows by now");
            Ok(())
        })
    };
    let (ends, ends_and_writes) = (ends(false), ends(true));
    scene.on(&mut browser, async |session| session.set_principal("ann").await).await?;
    for (underway, status) in [(ends, StatusCode::OK), (ends_and_writes, StatusCode::CONFLICT)] {
        let response = underway.end();
        assert_eq!((response.status(), set_cookie(response.headers())), (status, None));
    }
    let seen = scene.on(&mut browser, async |session| session.get::<i32>("cart").await).await?;
    assert_eq!(seen, Some(7), "it goes on as it was");
    Ok(())
}

#[tokio::test]
async fn an_end_that_nobody_waited_for_is_made_sure_of() -> Result<(), Error> {
    for goes_on in [false, true] {
        let (scene, mut browser) = (Scene::new(), Browser::default());
        scene.on(&mut browser, async |session| session.set_principal("ann").await).await?;
        let id = scene.id(&browser);
        scene.store.slow(true);
        let visit = scene
            .visit(&mut browser, async |session| {
                session.principal().await?;
                tokio::select! {
                    biased;
                    _ = session.destroy() => panic!("it waits for the answer"),
                    () = std::future::ready(()) => {}
                }
                if goes_on {
                    assert_eq!(session.principal().await?, None, "nobody is logged in any more");
                    session.insert("a", &1).await?;
                }
                Ok::<_, Error>(())
            })
            .await;
        visit.made.unwrap()?;
        assert!(!scene.is_there(&id).await);
        let line = set_cookie(visit.response.headers()).expect("the browser is told");
        assert_eq!(line.contains("Max-Age=0"), !goes_on, "what is written afterwards is another session");
        assert!(!goes_on || scene.id(&browser) != id);
        assert_eq!(scene.layer.handle().counters().destroyed, 1);
    }
    Ok(())
}

#[tokio::test]
async fn who_ends_the_device_in_hand_is_told_to_forget_its_cookie() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.set_principal("ann").await).await?;
    let id = scene.id(&browser);
    let ended = scene.on(&mut browser, async |session| {
        let ended = session.destroy_device(&id).await?;
        Ok::<_, Error>(ended && session.principal().await?.is_none())
    });
    assert!(ended.await?);
    assert_eq!((browser, scene.is_there(&id).await), (Browser::default(), false));
    Ok(())
}

#[tokio::test]
async fn a_login_in_a_session_that_ended_meanwhile_is_not_taken_for_done() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.insert("a", &1).await).await?;
    let logs_in = scene.begin(&browser, async |session| session.set_principal("ann").await);
    let writes = scene.begin(&browser, async |session| session.insert("a", &2).await);
    scene.on(&mut browser, async |session| session.destroy().await).await?;
    assert_eq!(logs_in.end().status(), StatusCode::CONFLICT);
    let response = writes.end();
    assert_eq!(response.status(), StatusCode::OK, "as if it had come before the end");
    assert_eq!(set_cookie(response.headers()), None);
    assert_eq!(scene.store.memory.usage().sessions, 0);
    Ok(())
}

#[tokio::test]
async fn a_login_after_a_renewal_of_the_same_moment_goes_through() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.insert("a", &1).await).await?;
    let (old, logs_in) = (browser.clone(), scene.begin(&browser, async |session| session.set_principal("ann").await));
    scene.on(&mut browser, async |session| session.renew().await).await?;
    let renewed = browser.clone();
    browser.receive(&logs_in.end());
    assert!(browser != old && browser != renewed);
    for mut retired in [old, renewed] {
        let seen = scene.visit(&mut retired, async |session| {
            assert_eq!(session.principal().await?, None);
            session.insert("a", &2).await
        });
        assert!(seen.await.made.unwrap().is_err_and(|error| error.code() == Some("SUPERSEDED")));
    }
    Ok(())
}

#[tokio::test]
async fn a_login_and_its_remembrance_may_be_asked_for_at_once() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.insert("cart", &7).await).await?;
    scene.store.slow(true);
    let visit = scene
        .visit(&mut browser, async |session| {
            let other = session.clone();
            let (remembered, logged_in) = tokio::join!(session.remember(), other.set_principal("ann"));
            remembered.and(logged_in)
        })
        .await;
    visit.made.unwrap()?;
    assert!(set_cookie(visit.response.headers()).unwrap().contains("Max-Age"));
    let seen = scene.on(&mut browser, async |session| session.principal().await).await?;
    assert_eq!(seen.expect("she is logged in").as_str(), "ann");
    Ok(())
}

#[tokio::test]
async fn devices_are_listed_and_ended_by_who_is_logged_in_alone() -> Result<(), Error> {
    let scene = Scene::with(|layer| {
        layer.client_by(|parts| {
            let agent = parts.headers.get("user-agent").and_then(|agent| agent.to_str().ok());
            bartizan::session::Client::new().agent(agent.unwrap_or("unknown"))
        })
    });
    let (mut desk, mut phone, mut other, mut eve) =
        (Browser::default(), Browser::default(), Browser::default(), Browser::default());
    for (browser, name) in [(&mut desk, "ann"), (&mut phone, "ann"), (&mut other, "ann"), (&mut eve, "eve")] {
        scene.on(browser, async |session| session.set_principal(name).await).await?;
        scene.clock.advance(MINUTE);
    }
    let of_eve = scene.id(&eve);
    let of_phone = scene.id(&phone);
    scene
        .on(&mut desk, async |session| {
            let devices = session.devices().await?;
            let current: Vec<_> = devices.iter().map(|device| device.is_current).collect();
            assert_eq!(current, [false, false, true], "the last used comes first");
            assert_eq!(devices[0].info.client.agent.as_deref(), Some("unknown"));
            assert!(!session.destroy_device(&of_eve).await?, "that is another's");
            assert!(session.destroy_device(&of_phone).await?);
            assert_eq!(session.destroy_others().await?, 1);
            assert_eq!(session.devices().await?.len(), 1);
            Ok::<_, Error>(())
        })
        .await?;
    for (browser, is_in) in [(&mut desk, true), (&mut phone, false), (&mut other, false), (&mut eve, true)] {
        let seen = scene.on(browser, async |session| session.principal().await).await?;
        assert_eq!(seen.is_some(), is_in);
    }
    let nobody = scene.on(&mut Browser::default(), async |session| session.devices().await).await?;
    assert!(nobody.is_empty(), "who is not logged in has none");
    Ok(())
}

#[tokio::test]
async fn a_clock_that_is_set_back_revives_no_secret() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.set_principal("ann").await).await?;
    let (mut old, then) = (browser.clone(), scene.clock.now());
    scene.on(&mut browser, async |session| session.renew().await).await?;
    for set_back in [false, true] {
        scene.clock.advance(MINUTE);
        if set_back {
            scene.clock.set(then);
        }
        let seen = scene.on(&mut old, async |session| session.principal().await).await?;
        assert_eq!(seen, None, "the overlap was found to be over");
    }
    Ok(())
}

#[tokio::test]
async fn nobody_inherits_what_somebody_else_left() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.insert("cart", &7).await).await?;
    let mut cart = async |change: Option<Option<&'static str>>| {
        scene
            .on(&mut browser, async |session| {
                match change {
                    Some(Some(name)) => session.set_principal(name).await?,
                    Some(None) => session.remove_principal().await?,
                    None => session.insert("cart", &8).await?,
                }
                session.get::<i32>("cart").await
            })
            .await
    };
    assert_eq!(cart(Some(Some("ann"))).await?, Some(7), "her own, from before the login");
    assert_eq!(cart(Some(Some("ann"))).await?, Some(7), "hers still");
    assert_eq!(cart(Some(Some("eve"))).await?, None, "and not the other's");
    assert_eq!(cart(None).await?, Some(8));
    assert_eq!(cart(Some(None)).await?, None, "nor that of who comes after");
    assert_eq!(cart(Some(Some("ann"))).await?, None);
    Ok(())
}
