//! Many callers for one value: who loads, who waits, and what they have.

use std::{error::Error as _, sync::Arc, time::Duration};

use bartizan::aside::Loaded;

use crate::scene::{Down, MINUTE, SECOND, Scene, number, on_every_store, run_others, soon, values};

#[tokio::test]
async fn a_crowd_is_one_load_though_the_one_who_leads_left() {
    on_every_store(async |scene| {
        scene.source.set(1, 7);
        let leader = scene.spawn(1);
        scene.source.gate.arrived(1).await;
        let crowd = scene.crowd(1000, 1);
        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
        run_others().await;
        scene.source.gate.open(1000);
        assert_eq!(values(scene.on, crowd).await, [Some(7)], "{}", scene.on);
        assert_eq!(scene.source.calls(), 1, "{}", scene.on);
        assert_eq!(scene.kept(1).await, Some(Some(7)), "{}", scene.on);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_on_several_threads_is_one_load() {
    on_every_store(async |scene| {
        scene.source.set(1, 7);
        let crowd = scene.crowd(1000, 1);
        scene.source.gate.open(1000);
        assert_eq!(values(scene.on, crowd).await, [Some(7)], "{}", scene.on);
        assert_eq!(scene.source.calls(), 1, "{}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn that_there_is_none_is_one_load_too() {
    on_every_store(async |scene| {
        let crowd = scene.crowd(100, 1);
        scene.source.gate.open(1);
        assert_eq!(values(scene.on, crowd).await, [None], "{}", scene.on);
        assert_eq!((scene.source.calls(), scene.kept(1).await), (1, Some(None)), "{}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn an_error_reaches_all_who_wait_and_nobody_who_comes_later() {
    on_every_store(async |scene| {
        scene.source.set(1, 7);
        scene.source.fail(1);
        let crowd = scene.crowd(100, 1);
        scene.source.gate.arrived(1).await;
        // Those who ask a server are answered in their order.
        assert_eq!(scene.kept(2).await, None);
        run_others().await;
        scene.source.gate.open(1000);
        let mut failed = 0;
        for one in crowd {
            match soon(scene.on, one).await.unwrap() {
                Ok(value) => assert_eq!(value.as_deref(), Some(&7), "{}", scene.on),
                Err(error) => {
                    failed += 1;
                    let source = error.source().unwrap();
                    let told = format!("{error}: {source}");
                    assert!(error.is_failed() && told.contains("loading `number:1` failed: "), "{}: {told}", scene.on);
                    // Who asks Redis by themselves are other processes to each other.
                    assert!(source.downcast_ref() == Some(&Down(0)) || scene.on == "redis", "{}: {error:?}", scene.on);
                }
            }
        }
        assert!(failed > 50, "{}: {failed} were told", scene.on);
        assert!(scene.source.calls() <= 2, "{}: {} calls", scene.on, scene.source.calls());
        assert_eq!(scene.get(1).await, Some(7), "{}", scene.on);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_panics_takes_its_panic_home_and_one_of_the_others_loads() {
    let scene = Scene::in_memory();
    scene.source.set(1, 7);
    let numbers = scene.numbers.clone();
    let leader = tokio::spawn(async move {
        let load = || async {
            run_others().await;
            std::panic::resume_unwind(Box::new("the loader's own")) as Result<u64, Down>
        };
        numbers.get_or_load(("number", 1), load).await
    });
    tokio::task::yield_now().await;
    let crowd = scene.crowd(100, 1);
    scene.source.gate.open(1);
    assert_eq!(values("memory", crowd).await, [Some(7)]);
    let panic = leader.await.unwrap_err().into_panic();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the loader's own"));
    assert_eq!(scene.source.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_one_that_hangs_gets_a_turn_after_the_limit() {
    let scene = Scene::in_memory().set_up(|numbers| numbers.wait_limit(5 * SECOND).failing_concurrency(4));
    scene.source.set(1, 7);
    let begun = tokio::time::Instant::now();
    let leader = scene.spawn(1);
    scene.source.gate.arrived(1).await;
    let crowd: Vec<_> = (0..20)
        .map(|_| {
            let (numbers, source) = (scene.numbers.clone(), scene.source.ungated());
            tokio::spawn(async move {
                let load = || async {
                    let loaded = source.load(1).await;
                    let _ = tokio::time::timeout(SECOND, std::future::pending::<()>()).await;
                    loaded
                };
                numbers.get_or_load(("number", 1), load).await
            })
        })
        .collect();
    assert_eq!(values("memory", crowd).await, [Some(7)]);
    assert_eq!(begun.elapsed().as_secs(), 10, "the limit, and 5 groups of 4");
    assert_eq!(scene.source.calls(), 21);
    scene.source.gate.open(1);
    assert_eq!(leader.await.unwrap().unwrap().as_deref(), Some(&7));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_kept_is_still_one_load_for_all_who_wait() {
    let scene = Scene::in_memory().under(|policy| policy.ttl(Duration::ZERO));
    scene.source.set(1, 7);
    let crowd = scene.crowd(100, 1);
    run_others().await;
    scene.source.gate.open(1);
    assert_eq!(values("memory", crowd).await, [Some(7)]);
    assert_eq!(scene.source.calls(), 1);
    assert_eq!(scene.kept(1).await, None);
}

#[tokio::test]
async fn another_call_may_keep_for_longer_or_shorter() {
    on_every_store(async |scene| {
        scene.source.set(1, 7);
        scene.source.set(2, 8);
        scene.source.gate.open(10);
        let briefly = scene.numbers.under(|policy| policy.ttl(5 * SECOND));
        let source = scene.source.clone();
        soon(scene.on, briefly.get_or_load(number(&1), move || source.load(1))).await.unwrap();
        let source = scene.source.clone();
        let stated = scene.numbers.get_or_load(number(&2), move || async {
            source.load(2).await.map(|loaded: Loaded<u64>| loaded.ttl(5 * SECOND))
        });
        soon(scene.on, stated).await.unwrap();
        scene.advance(SECOND * 4);
        assert_eq!((scene.kept(1).await, scene.kept(2).await), (Some(Some(7)), Some(Some(8))), "{}", scene.on);
        scene.advance(SECOND);
        assert_eq!((scene.kept(1).await, scene.kept(2).await), (None, None), "{}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn hits_share_one_value() {
    let scene = Scene::in_memory();
    scene.source.set(1, 7);
    scene.source.gate.open(1);
    let (first, second) = (scene.ask(1).await.unwrap().unwrap(), scene.ask(1).await.unwrap().unwrap());
    assert!(Arc::ptr_eq(&first, &second));
    scene.advance(MINUTE);
    assert_eq!(scene.kept(1).await, None, "it expires");
}
