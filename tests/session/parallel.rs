//! Requests at the same time.

use std::sync::Arc;

use bartizan::Error;
use tokio::{runtime, sync::Barrier, task::JoinSet};

use crate::support::{Browser, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn of_100_parallel_requests_each_key_and_each_addition_is_kept() -> Result<(), Error> {
    let (scene, mut browser) = (Arc::new(Scene::new()), Browser::default());
    scene.on(&mut browser, async |session| session.insert("first", &0).await).await?;
    let together = Arc::new(Barrier::new(100));
    let mut requests = JoinSet::new();
    for n in 0..100u32 {
        let (scene, mut browser, together) = (scene.clone(), browser.clone(), together.clone());
        requests.spawn_blocking(move || {
            let runtime = runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(scene.on(&mut browser, async |session| {
                session.insert(&format!("own {n}"), &n).await?;
                session.increment("visits", 1).await?;
                session.add_member("seen", &n).await?;
                together.wait().await;
                session.update("sum", |sum: Option<u32>| sum.unwrap_or(0) + n).await?;
                Ok::<_, Error>(())
            }))
        });
    }
    for done in requests.join_all().await {
        done?;
    }
    scene
        .on(&mut browser, async |session| {
            for n in 0..100 {
                assert_eq!(session.get::<u32>(&format!("own {n}")).await?, Some(n));
            }
            assert_eq!(session.counter("visits").await?, 100);
            assert_eq!(session.members::<u32>("seen").await?.len(), 100);
            assert_eq!(session.get::<u32>("sum").await?, Some(99 * 100 / 2));
            Ok::<_, Error>(())
        })
        .await
}

#[tokio::test]
async fn an_update_sees_what_came_between() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    scene.on(&mut browser, async |session| session.insert("n", &1).await).await?;
    let slow = scene.begin(&browser, async |session| {
        let mut calls = 0;
        let now = session
            .update("n", |n: Option<i32>| {
                calls += 1;
                n.unwrap_or(0) * 10
            })
            .await?;
        assert_eq!((now, calls), (20, 2), "called again with the other's value");
        assert_eq!(session.get::<i32>("n").await?, Some(20));
        Ok(())
    });
    scene.on(&mut browser, async |session| session.insert("n", &2).await).await?;
    slow.end();
    let n = scene.on(&mut browser, async |session| session.get::<i32>("n").await).await?;
    assert_eq!(n, Some(20));
    Ok(())
}

#[tokio::test]
async fn an_update_counts_what_the_request_wrote_before_it() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    for (before, after) in [(5, 6), (50, 51)] {
        let updated = scene
            .on(&mut browser, async |session| {
                session.insert("n", &before).await?;
                session.update("n", |n: Option<i32>| n.unwrap_or(0) + 1).await
            })
            .await?;
        let kept = scene.on(&mut browser, async |session| session.get::<i32>("n").await).await?;
        assert_eq!((updated, kept), (after, Some(after)));
    }
    Ok(())
}
