//! Many keys in one call.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bartizan::aside::Loaded;
use tokio::task::JoinHandle;

use crate::scene::{Down, MINUTE, SECOND, Scene, number, on_every_store, run_others, soon, values};

type Answers = Result<Vec<Option<u64>>, bartizan::Error>;

fn ask(scene: &Scene, ids: impl IntoIterator<Item = u64>) -> JoinHandle<Answers> {
    let (numbers, source, ids) = (scene.numbers.clone(), scene.source.clone(), Vec::from_iter(ids));
    tokio::spawn(async move {
        let answers = numbers.get_or_load_many(ids, number, move |ids| source.clone().load_all(ids)).await?;
        Ok(answers.into_iter().map(|answer| answer.map(|value| *value)).collect())
    })
}

async fn answered(scene: &Scene, asked: JoinHandle<Answers>) -> Vec<Option<u64>> {
    soon(scene.on, asked).await.unwrap().unwrap()
}

#[tokio::test]
async fn what_nobody_has_is_one_load_and_what_is_kept_is_none() {
    on_every_store(async |scene| {
        (0..90).for_each(|id| scene.source.set(id, id + 1000));
        scene.source.gate.open(2);
        let expected: Vec<_> = (0..100).map(|id| (id < 90).then_some(id + 1000)).collect();
        for calls in [1, 1] {
            assert_eq!(answered(&scene, ask(&scene, 0..100)).await, expected, "{}", scene.on);
            assert_eq!(scene.source.calls(), calls, "{}", scene.on);
            scene.numbers.drain().await;
        }
        scene.numbers.invalidate_tag("number:17").await.unwrap();
        scene.source.set(17, 3);
        let again = answered(&scene, ask(&scene, [99, 17, 0, 17])).await;
        assert_eq!(again, [None, Some(3), Some(1000), Some(3)], "in their order, twice is once; {}", scene.on);
        assert_eq!(scene.source.calls(), 2, "{}", scene.on);
        assert!(answered(&scene, ask(&scene, [])).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn batches_that_overlap_load_each_key_once_and_wait_for_each_other() {
    on_every_store(async |scene| {
        (0..30).for_each(|id| scene.source.set(id, id));
        let first = ask(&scene, 0..20);
        scene.source.gate.arrived(1).await;
        let second = ask(&scene, (10..30).rev());
        scene.source.gate.arrived(1).await;
        let one = scene.spawn(5);
        run_others().await;
        scene.source.gate.open(2);
        assert_eq!(answered(&scene, first).await, Vec::from_iter((0..20).map(Some)), "{}", scene.on);
        assert_eq!(answered(&scene, second).await, Vec::from_iter((10..30).rev().map(Some)), "{}", scene.on);
        assert_eq!(values(scene.on, vec![one]).await, [Some(5)], "{}", scene.on);
        assert_eq!(scene.source.calls(), 2, "{}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_fails_fails_whole_and_tells_those_who_wait() {
    on_every_store(async |scene| {
        (0..20).for_each(|id| scene.source.set(id, id));
        assert_eq!(scene.get(0).await, Some(0));
        scene.source.fail(1);
        let batch = ask(&scene, 0..20);
        scene.source.gate.arrived(1).await;
        scene.source.gate.open(100);
        let error = soon(scene.on, batch).await.unwrap().unwrap_err();
        assert!(error.is_failed() && error.to_string() == "loading 19 values failed", "{}: {error}", scene.on);
        assert_eq!(answered(&scene, ask(&scene, 0..20)).await, Vec::from_iter((0..20).map(Some)), "{}", scene.on);
        assert_eq!(scene.source.calls(), 3, "{}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn a_batch_whose_caller_left_is_loaded_to_its_end() {
    on_every_store(async |scene| {
        (0..20).for_each(|id| scene.source.set(id, id));
        let batch = ask(&scene, 0..20);
        scene.source.gate.arrived(1).await;
        batch.abort();
        assert!(batch.await.unwrap_err().is_cancelled());
        scene.source.gate.open(100);
        scene.numbers.drain().await;
        for id in 0..20 {
            assert_eq!(scene.kept(id).await, Some(Some(id)), "{}", scene.on);
        }
        assert_eq!(scene.source.calls(), 1, "{}", scene.on);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_finds_fewer_places_than_it_has_keys_keeps_those() {
    let scene = Scene::in_memory().set_up(|numbers| numbers.detached_loads(3, MINUTE));
    let batch = ask(&scene, 0..20);
    scene.source.gate.arrived(1).await;
    batch.abort();
    run_others().await;
    scene.source.gate.open(100);
    scene.numbers.drain().await;
    let mut kept = 0;
    for id in 0..20 {
        kept += usize::from(scene.kept(id).await.is_some());
    }
    assert_eq!((kept, scene.source.calls()), (3, 1), "whoever drove the load, it goes on while one of them waits");
}

#[tokio::test]
async fn those_whose_leader_left_load_what_is_left_together() {
    let scene = Scene::in_memory().set_up(|numbers| numbers.detached_loads(0, MINUTE));
    (0..20).for_each(|id| scene.source.set(id, id));
    let first = ask(&scene, 0..20);
    scene.source.gate.arrived(1).await;
    let second = ask(&scene, 0..20);
    run_others().await;
    first.abort();
    scene.source.gate.arrived(1).await;
    scene.source.gate.open(100);
    assert_eq!(answered(&scene, second).await, Vec::from_iter((0..20).map(Some)));
    assert_eq!(scene.source.calls(), 2);
}

#[tokio::test]
async fn stale_values_of_a_batch_are_made_anew_together_in_the_background() {
    on_every_store(async |scene| {
        let scene = scene.under(|policy| policy.stale_while_revalidate(MINUTE));
        (0..20).for_each(|id| scene.source.set(id, 1));
        scene.source.gate.open(1);
        answered(&scene, ask(&scene, 0..20)).await;
        scene.numbers.drain().await;
        scene.advance(MINUTE);
        (0..21).for_each(|id| scene.source.set(id, 2));
        let asked = ask(&scene, 0..20);
        assert_eq!(answered(&scene, asked).await, vec![Some(1); 20], "{}", scene.on);
        scene.source.gate.open(1);
        scene.numbers.drain().await;
        assert_eq!(scene.source.calls(), 2, "{}", scene.on);
        assert_eq!(answered(&scene, ask(&scene, 0..20)).await, vec![Some(2); 20], "{}", scene.on);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_no_longer_than_a_single_call() {
    let scene = Scene::in_memory().under(|policy| policy.hard_timeout(SECOND));
    let begun = tokio::time::Instant::now();
    assert!(ask(&scene, 0..20).await.unwrap().unwrap_err().is_timed_out());
    assert_eq!(begun.elapsed(), SECOND);
    scene.source.gate.open(1);
    scene.numbers.drain().await;
    assert_eq!((scene.kept(3).await, scene.source.calls()), (Some(None), 1));
}

#[tokio::test]
async fn a_loader_of_a_batch_that_panics_takes_its_panic_home() {
    let scene = Scene::in_memory();
    let (numbers, calls) = (scene.numbers.clone(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&calls);
    let batch = tokio::spawn(async move {
        let load = move |_: Vec<u64>| {
            count.fetch_add(1, Ordering::SeqCst);
            async { std::panic::resume_unwind(Box::new("the loader's own")) as Result<Vec<(u64, Loaded<u64>)>, Down> }
        };
        numbers.get_or_load_many(0..20, number, load).await
    });
    assert!(soon("memory", batch).await.unwrap_err().is_panic());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    (0..20).for_each(|id| scene.source.set(id, id));
    scene.source.gate.open(1);
    assert_eq!(answered(&scene, ask(&scene, 0..20)).await, Vec::from_iter((0..20).map(Some)));
}

#[cfg(feature = "redis")]
mod round_trips {
    use std::time::Duration;

    use bartizan::{Aside, BoxStore, Redis, RedisStore, clock::TestClock};

    use super::{answered, ask};
    use crate::{
        scene::{Scene, connect},
        support::{Cluster, Link, Proxy, Server, eventually, within},
    };

    const LATE: Duration = Duration::from_millis(100);
    const SOON: Duration = Duration::from_secs(20);
    const BUCKETS: u64 = 16;

    fn scene(redis: Redis) -> Scene {
        let clock = TestClock::new();
        let scene = Scene::new("redis", BoxStore::new(RedisStore::builder(redis).clock(clock.clone()).build()), clock);
        (0..200).for_each(|id| scene.source.set(id, id));
        scene.source.gate.open(1000);
        scene
    }

    /// How often the server was told to do this.
    async fn calls(servers: &[Server], command: &str) -> u64 {
        let mut calls = 0;
        for server in servers {
            let stats: String = server.ask(&["INFO", "commandstats"]).await.unwrap();
            let name = format!("cmdstat_{command}:calls=");
            let line = stats.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or("0,");
            calls += line.split(',').next().unwrap().parse::<u64>().unwrap();
        }
        calls
    }

    /// What is slow because the machine is busy is tried again; two round trips are never as fast as one.
    #[tokio::test]
    async fn a_hundred_keys_are_one_round_trip_if_they_are_kept_and_two_if_they_are_to_be_loaded() {
        let server = Server::start().await;
        let proxy = Proxy::to(server.port).await;
        let scene = scene(connect(&proxy.url()).await);
        answered(&scene, ask(&scene, 0..100)).await;
        scene.numbers.drain().await;
        proxy.set(Link::Slow(LATE));
        let servers = [server];
        eventually("what is kept is read by two commands at once", SOON, async || {
            let before = calls(&servers, "mget").await;
            let (answers, took) = within(SOON, answered(&scene, ask(&scene, 0..100))).await;
            assert_eq!(answers, Vec::from_iter((0..100).map(Some)));
            let commands = calls(&servers, "mget").await - before;
            // 64 keys are one command; there is none until the channel is proven.
            (commands == 2 && took < 4 * LATE).then_some(())
        })
        .await;
        let mut fresh = (100..).step_by(100);
        eventually("what is not is read, and then asked for", SOON, async || {
            let first = fresh.next()?;
            (first..first + 100).for_each(|id| scene.source.set(id, id));
            let (_, took) = within(SOON, answered(&scene, ask(&scene, first..first + 100))).await;
            scene.numbers.drain().await;
            (took < 6 * LATE).then_some(())
        })
        .await;
        assert_eq!(scene.source.calls() as u64, fresh.next().unwrap() / 100, "each time one load");
    }

    #[tokio::test]
    async fn a_hundred_keys_in_a_cluster_are_one_command_for_each_group_of_slots() {
        let cluster = Cluster::start().await;
        let scene = scene(cluster.handle(SOON).connect().await.unwrap());
        answered(&scene, ask(&scene, 0..100)).await;
        scene.numbers.drain().await;
        eventually("what is kept is read by plain commands", SOON, async || {
            let before = calls(&cluster.nodes, "mget").await;
            assert_eq!(answered(&scene, ask(&scene, 0..100)).await, Vec::from_iter((0..100).map(Some)));
            let commands = calls(&cluster.nodes, "mget").await - before;
            (commands > 0).then(|| assert!(commands <= BUCKETS, "{commands}"))
        })
        .await;
        assert_eq!(scene.source.calls(), 1);
    }

    #[tokio::test]
    async fn what_one_process_loads_another_finds() {
        let server = Server::start().await;
        let (here, there) = (scene(connect(&server.url()).await), scene(connect(&server.url()).await));
        answered(&here, ask(&here, 0..10)).await;
        here.numbers.drain().await;
        assert_eq!(answered(&there, ask(&there, 0..10)).await, Vec::from_iter((0..10).map(Some)));
        assert_eq!(there.source.calls(), 0);
        let newer = Aside::clone(&there.numbers).schema(1);
        let newer = Scene { numbers: newer, ..there };
        newer.source.set(3, 33);
        assert_eq!(answered(&newer, ask(&newer, [3])).await, [Some(33)], "of another schema nothing is found");
        newer.numbers.drain().await;
        newer.numbers.invalidate(("number", 3)).await.unwrap();
        assert_eq!(here.kept(3).await, None, "and yet it is removed together with it");
    }
}
