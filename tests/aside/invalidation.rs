//! What was read before an invalidation is not found after it, however long the reading took.

use bartizan::aside::Loaded;
use tokio::task::JoinHandle;

use crate::scene::{Answer, Down, MINUTE, Numbers, Source, number, on_every_store, run_others, soon};

const WAYS: [&str; 5] = ["key", "tag", "own tag", "all", "put"];

async fn invalidate(numbers: &Numbers, way: &str, id: u64, value: u64) {
    let done = match way {
        "key" => numbers.invalidate(number(&id)).await,
        "tag" => numbers.invalidate_tag("all").await,
        "own tag" => numbers.invalidate_tag(format!("number:{id}")).await,
        "all" => numbers.invalidate_all().await,
        _ => {
            let loaded = Loaded::new(value).tag("all").tag(format!("number:{id}"));
            let put = numbers.put(number(&id), || async { Ok::<_, Down>(loaded) });
            put.await.map(|written| assert_eq!(written.as_deref(), Some(&value)))
        }
    };
    done.unwrap_or_else(|error| panic!("{way}: {error}"));
}

#[tokio::test]
async fn an_invalidation_removes_what_it_names_and_nothing_else() {
    on_every_store(async |scene| {
        for (id, way) in (10..).step_by(10).zip(WAYS) {
            scene.source.set(id, 1);
            scene.source.set(id + 1, 1);
            assert_eq!((scene.get(id).await, scene.get(id + 1).await), (Some(1), Some(1)));
            scene.source.set(id, 2);
            invalidate(&scene.numbers, way, id, 2).await;
            let kept = scene.kept(id + 1).await;
            if matches!(way, "tag" | "all") {
                assert_eq!(kept, None, "{way}, {}", scene.on);
            } else {
                assert_eq!(kept, Some(Some(1)), "{way}, {}", scene.on);
            }
            assert_eq!(scene.get(id).await, Some(2), "{way}, {}", scene.on);
        }
    })
    .await;
}

async fn value(what: &str, one: JoinHandle<Answer>) -> u64 {
    *soon(what, one).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn what_is_being_loaded_when_an_invalidation_comes_is_not_kept_and_not_seen_by_who_comes_later() {
    on_every_store(async |mut scene| {
        for (id, way) in (1..).zip(WAYS) {
            let what = format!("{way}, {}", scene.on);
            scene.source = Source::default();
            scene.source.set(id, 1);
            let leader = scene.spawn(id);
            scene.source.gate.arrived(1).await;
            let follower = scene.spawn(id);
            run_others().await;
            scene.source.set(id, 2);
            invalidate(&scene.numbers, way, id, 2).await;
            let late = scene.spawn(id);
            run_others().await;
            scene.source.gate.open(10);
            assert_eq!(value(&what, leader).await, 1, "it asked before; {what}");
            let follower = value(&what, follower).await;
            assert!(matches!(follower, 1 | 2), "it asked before; {what}");
            assert_eq!(value(&what, late).await, 2, "{what}");
            assert_eq!(scene.get(id).await, Some(2), "{what}");
            scene.numbers.drain().await;
            assert_eq!(scene.kept(id).await, Some(Some(2)), "the new one is kept; {what}");
        }
        assert_eq!(scene.numbers.counters().superseded, WAYS.len() as u64, "{}", scene.on);
    })
    .await;
}

#[tokio::test]
async fn who_comes_between_two_invalidations_does_not_see_what_was_before_the_first() {
    on_every_store(async |mut scene| {
        for (first, second) in WAYS.iter().flat_map(|first| WAYS.map(|second| (*first, second))) {
            let what = format!("{first}, {second}, {}", scene.on);
            scene.source = Source::default();
            scene.source.set(1, 1);
            scene.numbers.invalidate(number(&1)).await.unwrap();
            let leader = scene.spawn(1);
            scene.source.gate.arrived(1).await;
            scene.source.set(1, 2);
            invalidate(&scene.numbers, first, 1, 2).await;
            let between = scene.spawn(1);
            run_others().await;
            scene.source.set(1, 3);
            invalidate(&scene.numbers, second, 1, 3).await;
            let last = scene.spawn(1);
            run_others().await;
            scene.source.gate.open(10);
            assert_eq!(value(&what, leader).await, 1, "{what}");
            assert_ne!(value(&what, between).await, 1, "{what}");
            assert_eq!(value(&what, last).await, 3, "{what}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_invalidation_while_a_stale_value_is_made_anew_keeps_the_old_away() {
    on_every_store(async |scene| {
        let mut scene = scene.under(|policy| policy.stale_while_revalidate(MINUTE).stale_if_error(MINUTE));
        for (id, way) in (1..).zip(WAYS) {
            let what = format!("{way}, {}", scene.on);
            scene.source = Source::default();
            scene.source.set(id, 1);
            assert_eq!(scene.get(id).await, Some(1), "{what}");
            scene.numbers.drain().await;
            scene.advance(MINUTE);
            assert_eq!(value(&what, scene.spawn(id)).await, 1, "stale, and made anew in the background; {what}");
            scene.source.gate.arrived(1).await;
            scene.source.set(id, 2);
            invalidate(&scene.numbers, way, id, 2).await;
            // What fails now has nothing to fall back on.
            scene.source.fail(1);
            let late = scene.spawn(id);
            scene.source.gate.open(10);
            if let Ok(late) = soon(&what, late).await.unwrap() {
                assert_eq!(late.as_deref(), Some(&2), "{what}");
            }
            scene.numbers.drain().await;
            assert_eq!(scene.get(id).await, Some(2), "{what}");
        }
    })
    .await;
}
