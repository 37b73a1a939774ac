//! Changes that go through the cache.

use std::{
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bartizan::aside::Loaded;
use tokio::task::JoinHandle;

use crate::scene::{Answer, Down, MINUTE, Scene, Source, number, on_every_store, run_others, soon};

/// Changes the truth at once, and is done when the gate lets it on.
fn put(scene: &Scene, id: u64, value: u64) -> JoinHandle<Answer> {
    let (numbers, source) = (scene.numbers.clone(), scene.source.clone());
    tokio::spawn(async move {
        let write = move || async move {
            source.set(id, value);
            source.load(id).await
        };
        numbers.put(number(&id), write).await
    })
}

#[tokio::test]
async fn what_is_written_is_what_is_kept() {
    on_every_store(async |scene| {
        scene.source.set(1, 1);
        scene.get(1).await;
        scene.source.gate.open(10);
        assert_eq!(soon(scene.on, put(&scene, 1, 2)).await.unwrap().unwrap().as_deref(), Some(&2), "{}", scene.on);
        assert_eq!(scene.kept(1).await, Some(Some(2)), "{}", scene.on);
        scene.numbers.invalidate_tag("number:1").await.unwrap();
        assert_eq!(scene.kept(1).await, None, "with its tags; {}", scene.on);
        let gone = scene.numbers.put(number(&1), || async { Ok::<_, Down>(Loaded::absent()) });
        assert_eq!(soon(scene.on, gone).await.unwrap(), None);
        assert_eq!(scene.kept(1).await, Some(None), "that it was deleted is kept too; {}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn of_two_writes_at_once_none_is_kept_that_the_other_may_have_overtaken() {
    on_every_store(async |mut scene| {
        for first_ends_first in [true, false] {
            scene.source = Source::default();
            let first = put(&scene, 1, 1);
            scene.source.gate.arrived(1).await;
            let mut writes = vec![(first, scene.source.gate.clone())];
            scene.source = scene.source.regated();
            let second = put(&scene, 1, 2);
            scene.source.gate.arrived(1).await;
            writes.push((second, scene.source.gate.clone()));
            if !first_ends_first {
                writes.reverse();
            }
            for (write, gate) in writes {
                gate.open(1);
                soon(scene.on, write).await.unwrap().unwrap();
            }
            scene.numbers.drain().await;
            assert_eq!(scene.kept(1).await, None, "which of them came last is not known; {}", scene.on);
            assert_eq!(scene.get(1).await, Some(2), "{}", scene.on);
            scene.numbers.invalidate(number(&1)).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_invalidated_while_it_is_written_is_not_kept() {
    on_every_store(async |scene| {
        for way in ["key", "tag", "all"] {
            let write = put(&scene, 1, 1);
            scene.source.gate.arrived(1).await;
            scene.source.set(1, 2);
            match way {
                "key" => scene.numbers.invalidate(number(&1)).await,
                "tag" => scene.numbers.invalidate_tag("all").await,
                _ => scene.numbers.invalidate_all().await,
            }
            .unwrap();
            scene.source.gate.open(1);
            assert_eq!(soon(scene.on, write).await.unwrap().unwrap().as_deref(), Some(&1));
            scene.numbers.drain().await;
            assert_eq!(scene.kept(1).await, None, "{way}, {}", scene.on);
        }
    })
    .await;
}

#[tokio::test]
async fn a_load_that_a_write_overtakes_is_not_kept_and_those_who_wait_have_what_was_written() {
    on_every_store(async |scene| {
        scene.source.set(1, 1);
        let load = scene.spawn(1);
        scene.source.gate.arrived(1).await;
        let write = {
            let numbers = scene.numbers.clone();
            let source = scene.source.ungated();
            source.set(1, 2);
            tokio::spawn(async move { numbers.put(number(&1), move || source.load(1)).await })
        };
        assert_eq!(soon(scene.on, write).await.unwrap().unwrap().as_deref(), Some(&2));
        let late = scene.spawn(1);
        assert_eq!(soon(scene.on, late).await.unwrap().unwrap().as_deref(), Some(&2), "{}", scene.on);
        scene.source.gate.open(1);
        assert_eq!(soon(scene.on, load).await.unwrap().unwrap().as_deref(), Some(&1), "{}", scene.on);
        scene.numbers.drain().await;
        assert_eq!(scene.kept(1).await, Some(Some(2)), "{}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn a_write_that_fails_removes_what_was_kept() {
    on_every_store(async |scene| {
        scene.source.set(1, 1);
        scene.get(1).await;
        scene.source.fail(1);
        scene.source.gate.open(1);
        let error = soon(scene.on, put(&scene, 1, 2)).await.unwrap().unwrap_err();
        assert!(error.is_failed() && error.to_string() == "writing `number:1` failed", "{error}");
        assert!(error.source().unwrap().is::<Down>());
        assert_eq!(scene.kept(1).await, None, "the change may have been made; {}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn a_write_goes_on_without_its_caller() {
    on_every_store(async |scene| {
        scene.source.set(1, 1);
        scene.get(1).await;
        let write = put(&scene, 1, 2);
        scene.source.gate.arrived(1).await;
        write.abort();
        assert!(write.await.unwrap_err().is_cancelled());
        scene.source.gate.open(1);
        scene.numbers.drain().await;
        assert_eq!(scene.kept(1).await, Some(Some(2)), "{}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn a_write_that_is_cut_off_or_panics_removes_what_was_kept() {
    on_every_store(async |scene| {
        let scene = scene.set_up(|numbers| numbers.detached_loads(0, MINUTE));
        scene.source.set(1, 1);
        scene.get(1).await;
        let write = put(&scene, 1, 2);
        scene.source.gate.arrived(1).await;
        write.abort();
        assert!(write.await.unwrap_err().is_cancelled());
        run_others().await;
        scene.numbers.drain().await;
        assert_eq!(scene.kept(1).await, None, "{}", scene.on);

        scene.get(1).await;
        let numbers = scene.numbers.clone();
        let panicked = tokio::spawn(async move {
            numbers.put(number(&1), || async { std::panic::resume_unwind(Box::new(1)) as Result<u64, Down> }).await
        });
        assert!(soon(scene.on, panicked).await.unwrap_err().is_panic());
        scene.numbers.drain().await;
        assert_eq!(scene.kept(1).await, None, "{}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn a_write_that_was_never_begun_writes_nothing() {
    let scene = Scene::in_memory();
    scene.source.set(1, 1);
    scene.get(1).await;
    let is_begun = Arc::new(AtomicBool::new(false));
    let begin = Arc::clone(&is_begun);
    drop(scene.numbers.put(number(&1), move || {
        begin.store(true, Ordering::SeqCst);
        async { Ok::<_, Down>(2) }
    }));
    run_others().await;
    assert!(!is_begun.load(Ordering::SeqCst));
    assert_eq!(scene.kept(1).await, Some(Some(1)));
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_write_that_the_store_could_not_be_told_of_is_made_and_says_so() {
    use std::time::Duration;

    use bartizan::{BoxStore, Redis, RedisStore, clock::TestClock};

    use crate::support::{Link, Proxy, Server, eventually};

    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let redis = Redis::builder(&proxy.url()).unwrap().deadline(Duration::from_millis(200)).connect().await.unwrap();
    let clock = TestClock::new();
    let scene = Scene::new("redis", BoxStore::new(RedisStore::builder(redis).clock(clock.clone()).build()), clock);
    scene.source.set(1, 1);
    scene.get(1).await;
    scene.numbers.drain().await;
    scene.source.gate.open(10);
    proxy.set(Link::Cut);
    let error = soon("cut", put(&scene, 1, 2)).await.unwrap().unwrap_err();
    assert!(error.is_unavailable() && !error.is_failed(), "{error:?}");
    assert_eq!(scene.get(1).await, Some(2), "whoever cannot ask the store loads for itself");
    proxy.set(Link::Up);
    let what = "what was not removed is removed when it can be";
    eventually(what, Duration::from_secs(20), async || (scene.kept(1).await != Some(Some(1))).then_some(())).await;
    assert_eq!(scene.get(1).await, Some(2));
}
