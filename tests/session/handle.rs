//! What a handler can do with its session.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    task::{Context, Waker},
};

use bartizan::{Error, Session};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use serde::{Deserialize, Serialize};
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{Browser, Scene, set_cookie};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<(String, u32)>,
}

#[tokio::test]
async fn what_was_inserted_is_there_in_the_next_request() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    let cart = || Cart { items: vec![("pen".into(), 3)] };
    scene
        .on(&mut browser, async |session| {
            session.insert("cart", &cart()).await?;
            session.insert("name", "ann").await?;
            assert_eq!(session.get("cart").await?, Some(cart()), "the request sees what it wrote");
            Ok::<_, Error>(())
        })
        .await?;
    scene
        .on(&mut browser, async |session| {
            assert_eq!(session.get("cart").await?, Some(cart()));
            assert_eq!(session.take::<String>("name").await?.as_deref(), Some("ann"));
            assert_eq!(session.get::<String>("name").await?, None);
            session.remove("nothing").await
        })
        .await?;
    let name = scene.on(&mut browser, async |session| session.get::<String>("name").await).await?;
    assert_eq!(name, None, "what was taken is gone");
    Ok(())
}

#[tokio::test]
async fn a_value_of_another_type_is_an_error_and_stays() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.insert("n", &(9u32, 2u32)).await).await?;
    scene
        .on(&mut browser, async |session| {
            assert!(session.get::<u8>("n").await.is_err_and(|error| error.is_undecodable()));
            assert!(session.take::<String>("n").await.is_err_and(|error| error.is_undecodable()));
            assert_eq!(session.get::<(u32, u32)>("n").await?, Some((9, 2)));
            Ok::<_, Error>(())
        })
        .await
}

#[tokio::test]
async fn names_have_1_to_255_bytes() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene
        .on(&mut browser, async |session| {
            for name in ["", &"x".repeat(256)] {
                assert!(session.insert(name, &1).await.is_err_and(|error| error.is_invalid()));
                assert!(session.increment(name, 1).await.is_err_and(|error| error.is_invalid()));
                assert!(session.add_member(name, &1).await.is_err_and(|error| error.is_invalid()));
                assert_eq!(session.get::<u32>(name).await?, None);
            }
            session.insert(&"x".repeat(255), &1).await
        })
        .await
}

#[tokio::test]
async fn counters_and_sets_are_seen_as_the_request_left_them() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene
        .on(&mut browser, async |session| {
            assert_eq!(session.increment("n", 5).await?, 5);
            assert!(session.add_member("seen", "b").await? && session.add_member("seen", "a").await?);
            assert!(!session.add_member("seen", "a").await?, "it is there");
            Ok::<_, Error>(())
        })
        .await?;
    scene
        .on(&mut browser, async |session| {
            assert_eq!(session.increment("n", -2).await?, 3);
            session.reset_counter("n").await?;
            assert_eq!(session.increment("n", 1).await?, 1);
            assert!(session.remove_member("seen", "a").await? && !session.remove_member("seen", "a").await?);
            assert!(session.has_member("seen", "b").await? && !session.has_member("seen", "a").await?);
            Ok::<_, Error>(())
        })
        .await?;
    let seen = scene
        .on(&mut browser, async |session| {
            Ok::<_, Error>((session.counter("n").await?, session.members::<String>("seen").await?))
        })
        .await?;
    assert_eq!(seen, (1, vec!["b".to_owned()]));
    Ok(())
}

#[tokio::test]
async fn a_flash_is_shown_once() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.flash("notice", "saved").await).await?;
    for shown in [Some("saved".to_owned()), None] {
        let flash = scene.on(&mut browser, async |session| session.take_flash::<String>("notice").await).await?;
        assert_eq!(flash, shown);
    }
    Ok(())
}

#[tokio::test]
async fn clear_leaves_who_is_logged_in_and_what_is_written_after_it() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene
        .on(&mut browser, async |session| {
            session.insert("a", &1).await?;
            session.increment("n", 1).await?;
            session.add_member("s", &1).await?;
            session.set_principal("ann").await
        })
        .await?;
    scene
        .on(&mut browser, async |session| {
            session.clear().await?;
            assert_eq!(session.get::<i32>("a").await?, None);
            session.insert("b", &2).await
        })
        .await?;
    scene
        .on(&mut browser, async |session| {
            assert_eq!((session.get::<i32>("a").await?, session.get::<i32>("b").await?), (None, Some(2)));
            assert_eq!((session.counter("n").await?, session.members::<i32>("s").await?), (0, vec![]));
            assert_eq!(session.principal().await?.expect("she is still there").as_str(), "ann");
            Ok::<_, Error>(())
        })
        .await
}

#[tokio::test]
async fn one_handle_is_used_from_several_places_at_once() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.insert("a", &1).await).await?;
    let before = scene.store.calls();
    let (one, other, sum) = scene
        .on(&mut browser, async |session| {
            let other = session.clone();
            tokio::join!(session.get::<i32>("a"), other.insert("b", &2), session.increment("n", 1))
        })
        .await;
    assert_eq!((one?, other?, sum?), (Some(1), (), 1));
    assert_eq!(scene.store.calls() - before, 2, "one load, one save");
    Ok(())
}

#[tokio::test]
async fn nothing_is_asked_or_written_for_nothing() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.insert("a", &1).await).await?;
    let calls = scene.store.calls();
    let untouched = scene.visit(&mut browser, async |_| ()).await;
    assert_eq!((scene.store.calls() - calls, untouched.response.headers().len()), (0, 0), "untouched");
    scene
        .on(&mut browser, async |session| {
            session.insert("a", &1).await?;
            session.remove("b").await?;
            session.increment("n", 1).await?;
            session.increment("n", -1).await?;
            session.add_member("s", &1).await?;
            session.remove_member("s", &1).await?;
            session.reset_counter("m").await
        })
        .await?;
    assert_eq!(scene.store.calls() - calls, 1, "a load alone: all is as it was");
    Ok(())
}

#[tokio::test]
async fn once_the_head_has_left_a_change_is_an_error() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    let touched = scene.on(&mut browser, async |session| session.increment("n", 1).await.map(|_| session)).await?;
    assert!(touched.insert("a", &1).await.is_err_and(|error| error.is_invalid()));
    assert!(touched.update("a", |_: Option<i32>| 1).await.is_err_and(|error| error.is_invalid()));
    assert!(touched.destroy().await.is_err_and(|error| error.is_invalid()));
    let untouched = scene.visit(&mut browser, async |session| session).await.made.unwrap();
    assert_eq!(untouched.counter("n").await?, 1, "reading goes on, also for the first time");
    assert!(untouched.set_principal("eve").await.is_err_and(|error| error.is_invalid()));
    let calls = scene.store.calls();
    let anonymous = scene.visit(&mut Browser::default(), async |session| session).await.made.unwrap();
    assert!(anonymous.insert("a", &1).await.is_err_and(|error| error.is_invalid()));
    assert_eq!(scene.store.calls(), calls, "nothing was begun");
    Ok(())
}

#[tokio::test]
async fn a_handler_that_is_cancelled_or_panics_saves_nothing_but_what_is_done_at_once() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.insert("a", &1).await).await?;
    let underway = scene.begin(&browser, async |session| session.insert("a", &2).await);
    drop(underway);
    let mut panics = Box::pin(scene.send::<()>(browser.request(), async |session: Session| {
        session.insert("a", &3).await.unwrap();
        session.update("b", |_: Option<i32>| 4).await.unwrap();
        panic!("as the test wants it")
    }));
    let cx = &mut Context::from_waker(Waker::noop());
    let polled = catch_unwind(AssertUnwindSafe(|| panics.as_mut().poll(cx).is_ready()));
    assert!(polled.is_err(), "it panicked");
    let seen = scene
        .on(&mut browser, async |session| {
            Ok::<_, Error>((session.get::<i32>("a").await?, session.get::<i32>("b").await?))
        })
        .await?;
    assert_eq!(seen, (Some(1), Some(4)));
    Ok(())
}

#[tokio::test]
async fn what_is_written_after_destroy_begins_another_session() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.insert("a", &1).await).await?;
    let before = scene.id(&browser);
    scene
        .on(&mut browser, async |session| {
            session.destroy().await?;
            assert_eq!(session.get::<i32>("a").await?, None);
            session.flash("notice", "you are logged out").await
        })
        .await?;
    assert_ne!(scene.id(&browser), before);
    assert!(!scene.is_there(&before).await);
    let flash = scene.on(&mut browser, async |session| session.take_flash::<String>("notice").await).await?;
    assert_eq!(flash.as_deref(), Some("you are logged out"));
    Ok(())
}

#[tokio::test]
async fn a_response_that_sets_the_cookie_is_never_stored() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    let visit = scene.visit(&mut browser, async |session| session.insert("a", &1).await).await;
    assert!(set_cookie(visit.response.headers()).is_some());
    assert_eq!(visit.response.headers()[header::CACHE_CONTROL], "no-store");
    let removal = scene.visit(&mut browser, async |session| session.destroy().await).await;
    assert_eq!(removal.response.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(browser, Browser::default(), "the browser has none any more");
    Ok(())
}

#[tokio::test]
async fn nor_does_a_field_for_cdns_alone_have_it_stored() -> Result<(), Error> {
    let scene = Scene::new();
    for sets_cookie in [false, true] {
        let inner = service_fn(async |request: Request<Full<Bytes>>| {
            let session = Session::of(request.extensions()).expect("the layer is around it").clone();
            if sets_cookie {
                session.insert("a", &1).await?;
            }
            let response =
                Response::builder().header("cdn-cache-control", "max-age=60").header("surrogate-control", "max-age=60");
            Ok::<_, Error>(response.body(Full::<Bytes>::default()).unwrap())
        });
        let response = scene.layer.layer(inner).oneshot(Browser::default().request()).await?;
        for name in ["cdn-cache-control", "surrogate-control"] {
            assert_eq!(response.headers().contains_key(name), !sets_cookie, "{name}");
        }
    }
    Ok(())
}

#[test]
fn a_handle_prints_nothing_of_its_session() {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let printed = runtime.block_on(async {
        scene.on(&mut browser, async |session| session.set_principal("ann").await).await.unwrap();
        scene.on(&mut browser, async |session| format!("{session:?} {:?}", session.devices().await.unwrap())).await
    });
    let (_, token) = browser.pair.as_deref().unwrap().split_once('=').unwrap();
    assert!(!printed.contains(&token[..8]) && !printed.contains("ann"), "{printed}");
}
