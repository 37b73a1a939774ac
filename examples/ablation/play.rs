//! One day.

use std::{
    convert::Infallible,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use bartizan::{
    BoxStore, CacheHandle, CacheLayer, Caching, Rules,
    cache::Stored,
    clock::TestClock,
    expiry::{EarlyRefresh, Jitter},
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Full};
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt, service_fn};

use crate::{
    BOUND,
    day::{Day, KEYS, NODES, STEPS, asks, capacity, changes, lot, moments, steps},
    round::{Call, Round, Watched},
};

/// What came of it.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) calls: u64,
    pub(crate) refused: u64,
    /// Callers who were given an error.
    pub(crate) errors: u64,
    /// Callers who were given a page that had changed.
    pub(crate) stale: u64,
}

/// A process, but for the walls.
struct Node {
    /// The version of the page; none if it is an error.
    get: Box<dyn Fn(usize) -> BoxFuture<'static, Option<u32>> + Send + Sync>,
    handle: CacheHandle<Watched>,
}

/// How often each page has changed, and the present step.
struct Site {
    versions: Vec<AtomicU32>,
    step: AtomicU32,
    day: Day,
}

pub(crate) async fn play(
    day: Day,
    rules: &Rules,
    stores: [BoxStore<Stored>; NODES],
    clock: &TestClock,
) -> Result<Outcome, Box<dyn Error>> {
    let site =
        Arc::new(Site { versions: (0..KEYS).map(|_| AtomicU32::new(0)).collect(), step: AtomicU32::new(0), day });
    let round = Round::default();
    let mut number = 0..;
    let nodes = stores.map(|inner| {
        let watched = Watched { inner, round: round.clone() };
        Arc::new(Node::new(number.next().unwrap_or_default(), watched, rules.clone(), clock, &site))
    });

    let mut outcome = Outcome::default();
    for step in 0..STEPS {
        site.step.store(step, Relaxed);
        for keys in moments(step) {
            let mut left = capacity(step);
            let mut callers = JoinSet::new();
            let mut asked = 0;
            for key in keys {
                for (node, number) in asks(key, step) {
                    asked += number;
                    let (node, round) = (Arc::clone(&nodes[node]), round.clone());
                    callers.spawn(async move { (key, join_all((0..number).map(|_| node.ask(key, &round))).await) });
                }
            }
            loop {
                let calls = round.calls(asked).await;
                if calls.is_empty() {
                    break;
                }
                outcome.answer(calls, step, &mut left);
            }
            while let Some(answered) = callers.join_next().await {
                let (key, seen) = answered?;
                outcome.count(&seen, site.versions[key].load(Relaxed));
            }
        }
        change(&site, step, &nodes).await?;
        clock.advance(steps(1));
    }
    Ok(outcome)
}

/// Changes pages, and has all nodes know before the next step if they are told at all: by one of them.
#[expect(clippy::disallowed_methods, reason = "the bound is a time, and what is promised holds after it")]
async fn change(site: &Site, step: u32, nodes: &[Arc<Node>]) -> Result<(), bartizan::Error> {
    let mut any = false;
    for key in changes(step) {
        site.versions[key].fetch_add(1, Relaxed);
        if site.day.purges {
            nodes[key % NODES].handle.purge_tag(tag_of(key)).await?;
            any = true;
        }
    }
    if any {
        tokio::time::sleep(BOUND).await;
    }
    Ok(())
}

fn tag_of(key: usize) -> String {
    format!("page:{key}")
}

// === impl Outcome ===

impl Outcome {
    /// Answers whom the lot falls on, as long as the origin has capacity `left`.
    fn answer(&mut self, mut calls: Vec<Call>, step: u32, left: &mut usize) {
        self.calls += calls.len() as u64;
        let mut same = [0; KEYS];
        calls.sort_by_key(|call| (call.key, call.node));
        calls.sort_by_cached_key(|call| {
            same[call.key] += 1;
            lot(call.key + KEYS * (same[call.key] - 1), step)
        });
        for call in calls {
            let can = *left > 0;
            *left = left.saturating_sub(1);
            self.refused += u64::from(!can);
            // Nobody gives up waiting here.
            let _ = call.told.send(can);
        }
    }

    fn count(&mut self, seen: &[Option<u32>], present: u32) {
        self.errors += seen.iter().filter(|seen| seen.is_none()).count() as u64;
        self.stale += seen.iter().flatten().filter(|seen| **seen < present).count() as u64;
    }
}

// === impl Node ===

impl Node {
    fn new(number: usize, store: Watched, rules: Rules, clock: &TestClock, site: &Arc<Site>) -> Self {
        let (round, site) = (store.round.clone(), Arc::clone(site));
        let layer = CacheLayer::new(store)
            // The origin draws lifetimes itself, from the seed.
            .rules(rules.jitter(Jitter::NONE).early_refresh(EarlyRefresh::NEVER))
            // It bounds how many of those whose leader failed call at once, not how many call.
            .failing_concurrency(NODES * KEYS * 100)
            .wait_limit(Duration::from_secs(600))
            .clock(clock.clone());
        let handle = layer.handle();
        let service = layer.layer(service_fn(move |request: Request<Empty<Bytes>>| {
            let (round, site) = (round.clone(), Arc::clone(&site));
            async move {
                let key = key_of(&request);
                let is_answered = round.call(key, number).await;
                Ok::<_, Infallible>(if is_answered { site.page(key) } else { refusal() })
            }
        }));
        let uris: Vec<Uri> =
            (0..KEYS).map(|key| format!("http://shop.example/{key}").parse().expect("a number is a path")).collect();
        let get = move |key: usize| -> BoxFuture<'static, Option<u32>> {
            let mut request = Request::new(Empty::new());
            *request.uri_mut() = uris[key].clone();
            let answering = service.clone().oneshot(request);
            Box::pin(async move {
                let response = answering.await.ok().filter(|response| response.status() == StatusCode::OK)?;
                let body = response.into_body().collect().await.ok()?.to_bytes();
                std::str::from_utf8(&body).ok()?.parse().ok()
            })
        };
        Self { get: Box::new(get), handle }
    }

    async fn ask(&self, key: usize, round: &Round) -> Option<u32> {
        let seen = (self.get)(key).await;
        round.answered();
        seen
    }
}

// === impl Site ===

impl Site {
    fn page(&self, key: usize) -> Response<Full<Bytes>> {
        let version = self.versions[key].load(Relaxed);
        let mut response = Response::new(Full::from(version.to_string()));
        let lifetime = self.day.lifetime(key, self.step.load(Relaxed));
        response.extensions_mut().insert(Caching::new().ttl(lifetime).tag(tag_of(key)));
        response
    }
}

fn refusal() -> Response<Full<Bytes>> {
    let mut refusal = Response::new(Full::default());
    *refusal.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    refusal
}

fn key_of(request: &Request<Empty<Bytes>>) -> usize {
    request.uri().path()[1..].parse().expect("callers ask for numbers")
}
