//! Asks, batches, writes, invalidations, failures and callers that leave, in any order.

use std::{collections::HashMap, sync::Arc};

use bartizan::{BoxStore, Memory, aside::Loaded, clock::TestClock};
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::scene::{Down, MINUTE, SECOND, Scene, exact, number, soon};

const IDS: u64 = 3;
const TAGS: [&str; 2] = ["even", "odd"];

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(u64),
    AskAll,
    /// Lets one of the loads that are under way end.
    End {
        which: usize,
        outcome: Outcome,
    },
    Change(Change),
    Wind(u64),
    /// A caller leaves.
    Cancel(usize),
    /// Lets tasks run for a bit.
    Run(usize),
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Invalidate(u64),
    Tag(usize),
    All,
    Put(u64),
    /// The source is changed, and then says that it failed.
    FailingPut(u64),
    /// The caller leaves while it writes.
    LeftPut(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Value,
    Failed,
    Panic,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![8 => Just(Outcome::Value), 2 => Just(Outcome::Failed), 1 => Just(Outcome::Panic)];
    let change = prop_oneof![
        (0..IDS).prop_map(Change::Invalidate),
        (0..TAGS.len()).prop_map(Change::Tag),
        Just(Change::All),
        (0..IDS).prop_map(Change::Put),
        (0..IDS).prop_map(Change::FailingPut),
        (0..IDS).prop_map(Change::LeftPut),
    ];
    prop_oneof![
        6 => (0..IDS).prop_map(Step::Ask),
        1 => Just(Step::AskAll),
        5 => (0usize..100, outcome).prop_map(|(which, outcome)| Step::End { which, outcome }),
        2 => change.prop_map(Step::Change),
        1 => (1u64..15).prop_map(Step::Wind),
        1 => (0usize..100).prop_map(Step::Cancel),
        4 => (1usize..8).prop_map(Step::Run),
    ]
}

/// One run: what is true, what may still be seen, and what is going on.
struct Run {
    scene: Scene,
    truth: Arc<Mutex<[u64; IDS as usize]>>,
    /// What a caller who begins now may see at the oldest.
    oldest: [u64; IDS as usize],
    loads: Arc<Mutex<Vec<oneshot::Sender<Outcome>>>>,
    callers: Vec<Asked>,
}

/// A caller, and what they may see of each number at the oldest.
struct Asked {
    name: String,
    oldest: Vec<(usize, u64)>,
    caller: JoinHandle<Option<Vec<u64>>>,
}

impl Run {
    fn new(scene: Scene) -> Self {
        let scene = scene
            .under(|_| exact().ttl(10 * SECOND).stale_while_revalidate(5 * SECOND).stale_if_error(10 * SECOND))
            .set_up(|numbers| numbers.detached_loads(3, MINUTE));
        let truth = Arc::new(Mutex::new([1; IDS as usize]));
        Self { scene, truth, oldest: [1; IDS as usize], loads: Arc::default(), callers: Vec::new() }
    }

    fn loader(&self) -> impl Fn(Vec<u64>) -> Loading + Clone + Send + Sync + use<> {
        let (truth, loads) = (Arc::clone(&self.truth), Arc::clone(&self.loads));
        move |ids| {
            // Read at the start, however long the answer takes.
            let read: Vec<_> = ids.iter().map(|id| (*id, truth.lock()[*id as usize])).collect();
            let (tell, told) = oneshot::channel();
            loads.lock().push(tell);
            Box::pin(async move {
                match told.await.unwrap_or(Outcome::Failed) {
                    Outcome::Value => Ok(read
                        .into_iter()
                        .map(|(id, value)| (id, Loaded::new(value).tag(TAGS[id as usize % 2])))
                        .collect()),
                    Outcome::Failed => Err(Down(0)),
                    Outcome::Panic => std::panic::resume_unwind(Box::new("the loader panicked")),
                }
            })
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Ask(id) => {
                let (numbers, load) = (self.scene.numbers.clone(), self.loader());
                let name = format!("{id}, caller {}", self.callers.len());
                let caller = tokio::spawn(async move {
                    let load = move || async move { Ok::<_, Down>(load(vec![id]).await?.remove(0).1) };
                    numbers.get_or_load(number(&id), load).await.ok().map(|value| vec![*value.unwrap()])
                });
                self.callers.push(Asked { name, oldest: vec![(id as usize, self.oldest[id as usize])], caller });
            }
            Step::AskAll => {
                let (numbers, load) = (self.scene.numbers.clone(), self.loader());
                let name = format!("all, caller {}", self.callers.len());
                let caller = tokio::spawn(async move {
                    let asked = numbers.get_or_load_many(0..IDS, number, load).await;
                    asked.ok().map(|values| values.into_iter().map(|value| *value.unwrap()).collect())
                });
                self.callers.push(Asked { name, oldest: self.oldest.into_iter().enumerate().collect(), caller });
            }
            Step::End { which, outcome } => self.end_load(which, outcome),
            Step::Change(change) => self.change(change).await,
            Step::Wind(secs) => self.scene.advance(secs as u32 * SECOND),
            Step::Cancel(which) => {
                if !self.callers.is_empty() {
                    let which = which % self.callers.len();
                    self.callers[which].caller.abort();
                }
            }
            Step::Run(polls) => {
                for _ in 0..polls {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    fn end_load(&self, which: usize, outcome: Outcome) {
        let mut loads = self.loads.lock();
        if !loads.is_empty() {
            let which = which % loads.len();
            // It may have been dropped.
            let _ = loads.swap_remove(which).send(outcome);
        }
    }

    /// The change first, then the word of it. Those who begin after that see it; of what else goes on nobody was told yet.
    async fn change(&mut self, change: Change) {
        let (numbers, truth) = (self.scene.numbers.clone(), Arc::clone(&self.truth));
        let raise = move |id: u64| {
            let mut truth = truth.lock();
            truth[id as usize] += 1;
            truth[id as usize]
        };
        let loaded = |id: u64, value: u64| Loaded::new(value).tag(TAGS[id as usize % 2]);
        let changed = match change {
            Change::Invalidate(id) => {
                let changed = vec![(id, raise(id))];
                numbers.invalidate(number(&id)).await.unwrap();
                changed
            }
            Change::Tag(tag) => {
                let changed = (0..IDS).filter(|id| *id as usize % 2 == tag).map(|id| (id, raise(id))).collect();
                numbers.invalidate_tag(TAGS[tag]).await.unwrap();
                changed
            }
            Change::All => {
                let changed = (0..IDS).map(|id| (id, raise(id))).collect();
                numbers.invalidate_all().await.unwrap();
                changed
            }
            Change::Put(id) => {
                let write = move || async move { Ok::<_, Down>(loaded(id, raise(id))) };
                vec![(id, *numbers.put(number(&id), write).await.unwrap().unwrap())]
            }
            Change::FailingPut(id) => {
                let (tell, told) = oneshot::channel();
                let failing = move || async move {
                    let _ = tell.send(raise(id));
                    Err::<u64, _>(Down(0))
                };
                assert!(numbers.put(number(&id), failing).await.unwrap_err().is_failed());
                vec![(id, told.await.unwrap())]
            }
            Change::LeftPut(id) => {
                let slow = move || async move {
                    tokio::task::yield_now().await;
                    let value = raise(id);
                    tokio::task::yield_now().await;
                    Ok::<_, Down>(loaded(id, value))
                };
                let put = tokio::spawn(async move { numbers.put(number(&id), slow).await });
                tokio::task::yield_now().await;
                put.abort();
                Vec::new()
            }
        };
        for (id, value) in changed {
            self.oldest[id as usize] = self.oldest[id as usize].max(value);
        }
    }

    /// Ends whatever is still under way, and checks what everyone saw.
    async fn end(self) -> Result<usize, TestCaseError> {
        let ending = async {
            while !self.callers.iter().all(|asked| asked.caller.is_finished()) {
                self.end_load(0, Outcome::Value);
                tokio::task::yield_now().await;
            }
        };
        soon("nobody is left waiting", ending).await;
        let mut seen = 0;
        for Asked { name, oldest, caller } in self.callers {
            // Callers that left, and those whose loader failed or panicked, saw nothing.
            let Ok(Some(values)) = caller.await else { continue };
            for ((id, oldest), value) in oldest.into_iter().zip(values) {
                prop_assert!(
                    value >= oldest,
                    "{} saw {} of {}, which {} replaced before it began",
                    name,
                    value,
                    id,
                    oldest
                );
                seen += 1;
            }
        }
        Ok(seen)
    }
}

type Loading = std::pin::Pin<Box<dyn Future<Output = Result<Vec<(u64, Loaded<u64>)>, Down>> + Send>>;

/// Plays random steps on stores of one kind; tells what came of it.
fn play(runtime: &tokio::runtime::Runtime, cases: u32, scene: impl AsyncFn() -> Scene) -> HashMap<&'static str, u64> {
    let totals = Mutex::new(HashMap::<&str, u64>::new());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    proptest!(config, |(steps in proptest::collection::vec(step(), 1..80))| {
        runtime.block_on(async {
            let mut run = Run::new(scene().await);
            for step in steps {
                run.step(step).await;
            }
            let numbers = run.scene.numbers.clone();
            let seen = run.end().await?;
            let counters = numbers.counters();
            let mut totals = totals.lock();
            for (name, number) in [
                ("answers", seen as u64),
                ("hits", counters.hits),
                ("stale", counters.stale),
                ("collapsed", counters.collapsed),
                ("loads", counters.loads),
                ("failures", counters.failures),
                ("superseded", counters.superseded),
            ] {
                *totals.entry(name).or_default() += number;
            }
            Ok::<(), TestCaseError>(())
        })?;
    });
    totals.into_inner()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn no_caller_who_begins_after_an_invalidation_sees_what_was_before_it() {
    let totals = play(&runtime(), 1000, async || {
        Scene::new("memory", BoxStore::new(Memory::with_capacity(16 << 20)), TestClock::new())
    });
    println!("{totals:?}");
    // A run that never comes to what it is about would prove nothing.
    for (name, number) in totals {
        assert!(number > 100, "{name}: {number}");
    }
}

#[cfg(feature = "redis")]
#[test]
fn no_caller_who_begins_after_an_invalidation_on_a_server_sees_what_was_before_it() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bartizan::{RedisStore, Tiered};

    use crate::scene::connect;

    let runtime = runtime();
    let server = runtime.block_on(crate::support::Server::start());
    let redis = runtime.block_on(connect(&server.url()));
    let count = AtomicUsize::new(0);
    let totals = play(&runtime, 100, async || {
        let (clock, number) = (TestClock::new(), count.fetch_add(1, Ordering::Relaxed));
        let far = RedisStore::builder(redis.clone()).name(&format!("run-{number}")).clock(clock.clone()).build();
        if number % 2 == 0 {
            Scene::new("redis", BoxStore::new(far), clock)
        } else {
            Scene::new("tiered", BoxStore::new(Tiered::new(Memory::with_capacity(16 << 20), far)), clock)
        }
    });
    println!("{totals:?}");
    for (name, number) in totals {
        assert!(number > 10, "{name}: {number}");
    }
}
