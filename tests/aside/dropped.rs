//! Calls dropped at each point at which they wait.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use crate::scene::{MINUTE, Scene, number, on_every_store, soon};

/// Polls `future` as often as it asks to be, up to so many times, and drops it then. Whether it was done.
async fn dropped_after(polls: usize, future: impl Future) -> bool {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(true),
            // It may wait for nothing but this.
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn play(scene: &Scene, what: &str, polls: usize, id: u64) -> bool {
    let (numbers, source) = (&scene.numbers, scene.source.clone());
    match what {
        "get" => dropped_after(polls, numbers.get_or_load(number(&id), move || source.load(id))).await,
        "batch" => {
            let load = move |ids| source.clone().load_all(ids);
            dropped_after(polls, numbers.get_or_load_many(id..id + 3, number, load)).await
        }
        "put" => dropped_after(polls, numbers.put(number(&id), move || source.load(id))).await,
        "invalidate" => dropped_after(polls, numbers.invalidate(number(&id))).await,
        _ => dropped_after(polls, numbers.invalidate_tag("all")).await,
    }
}

#[tokio::test]
async fn a_call_dropped_wherever_it_waits_strands_nobody() {
    on_every_store(async |scene| {
        for detached in [8, 0] {
            let mut scene = Scene {
                numbers: scene.numbers.clone().detached_loads(detached, MINUTE).wait_limit(1000 * MINUTE),
                source: scene.source.clone(),
                clock: scene.clock.clone(),
                on: scene.on,
            };
            let mut id = 0;
            for (what, is_led) in [
                ("get", 0),
                ("batch", 0),
                ("put", 0),
                ("invalidate", 0),
                ("tag", 0),
                ("get", 1),
                ("batch", 1),
                ("put", 1),
            ] {
                for polls in 1.. {
                    assert!(polls < 100, "{what}, {}: it never ends", scene.on);
                    id += 10;
                    scene.source = scene.source.ungated();
                    (id..id + 3).for_each(|id| scene.source.set(id, id));
                    let before: Vec<_> = (0..is_led).map(|_| scene.spawn(id)).collect();
                    tokio::task::yield_now().await;
                    let is_done = play(&scene, what, polls, id).await;
                    let others = scene.crowd(3, id);
                    for one in before.into_iter().chain(others) {
                        let answer = soon(&format!("{what}, {polls}, {}", scene.on), one).await.unwrap();
                        assert_eq!(answer.unwrap().as_deref(), Some(&id), "{what}, {polls}, {}", scene.on);
                    }
                    assert_eq!(scene.get(id + 1).await, Some(id + 1), "{what}, {polls}, {}", scene.on);
                    soon("no task is left", scene.numbers.drain()).await;
                    if is_done {
                        break;
                    }
                }
            }
        }
    })
    .await;
}
