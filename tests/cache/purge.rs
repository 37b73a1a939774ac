//! What was read before a purge is never seen after it.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use bartizan::{
    CacheHandle, Caching, Memory, Rules,
    cache::Stored,
    store::{Primary, Tag},
};
use http::Uri;
use proptest::prelude::*;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::support::{Answer, Failed, Gate, Origin, Scene, exact, get, request, response, run_others};

const MINUTE: Duration = Duration::from_secs(60);

type Handle = CacheHandle<Memory<Stored>>;

fn uri(text: &str) -> Uri {
    text.parse().expect("a URI")
}

fn parts(path: &str, fields: &[(&str, &str)]) -> http::request::Parts {
    get(path, fields).into_parts().0
}

fn key(cache: &Handle, text: &str) -> Primary {
    cache.key(&uri(text)).expect("an absolute URI")
}

/// Tagged by the rule, by a computation of the rule's and by the handler.
fn tagged() -> Rules {
    exact().tag("rule").tags_by(|parts| vec![Tag::from(format!("path:{}", parts.uri.path()))])
}

fn origin() -> Origin {
    Origin::new(|call| async move {
        let mut response = response(200, &[("cache-control", "max-age=60")], call.number.to_string());
        let word = Caching::new().tag("handler").tag(format!("item{}", call.request.uri().path()));
        response.extensions_mut().insert(word);
        Ok(response)
    })
}

/// Fills `/a` and `/b`, purges, and tells which of them are gone.
async fn gone<F: Future<Output = Result<(), bartizan::Error>>>(purge: impl FnOnce(Handle) -> F) -> (bool, bool) {
    let scene = Scene::new(tagged(), origin());
    let host = [("host", "h")];
    for path in ["/a", "/b"] {
        scene.ask(get(path, &host)).await;
        assert!(scene.ask(get(path, &host)).await.is_hit());
    }
    purge(scene.cache.clone()).await.expect("the store in memory does not fail");
    let a = scene.ask(get("/a", &host)).await;
    let b = scene.ask(get("/b", &host)).await;
    (!a.is_hit(), !b.is_hit())
}

#[tokio::test]
async fn a_purge_removes_what_it_names_and_nothing_else() {
    assert_eq!(gone(|cache| async move { cache.purge_uri(&uri("http://h/a")).await }).await, (true, false), "URI");
    assert_eq!(
        gone(|cache| async move { cache.purge_uri(&uri("http://H:80/a")).await }).await,
        (true, false),
        "same URI"
    );
    for other in ["http://other/a", "https://h/a", "http://h/a?", "http://h/c", "http://h:81/a"] {
        assert_eq!(gone(|cache| async move { cache.purge_uri(&uri(other)).await }).await, (false, false), "{other}");
    }
    let by_parts = |cache: Handle| async move { cache.purge(&parts("/a", &[("host", "h"), ("x", "y")])).await };
    assert_eq!(gone(by_parts).await, (true, false), "request parts");
    let by_key = |cache: Handle| async move { cache.purge_key(key(&cache, "http://h/a")).await };
    assert_eq!(gone(by_key).await, (true, false), "key");
    for (tag, want) in [
        ("rule", (true, true)),
        ("path:/a", (true, false)),
        ("handler", (true, true)),
        ("item/b", (false, true)),
        ("Rule", (false, false)),
        ("unknown", (false, false)),
    ] {
        assert_eq!(gone(|cache| async move { cache.purge_tag(tag).await }).await, want, "tag {tag}");
    }
    assert_eq!(gone(|cache| async move { cache.purge_all().await }).await, (true, true), "all");
}

#[tokio::test]
async fn a_purge_that_names_no_resource_is_an_error() {
    let scene = Scene::new(exact(), origin());
    assert!(scene.cache.purge_uri(&uri("/a")).await.is_err(), "a relative URI without a site");
    assert!(scene.cache.purge(&parts("/a", &[("host", "a"), ("host", "b")])).await.is_err(), "two hosts");
    let scene = Scene::new(exact().site("https://example.com"), origin());
    scene.ask(get("/a", &[("host", "anything")])).await;
    scene.cache.purge_uri(&uri("/a")).await.expect("a relative URI on the site");
    assert!(!scene.get("/a").await.is_hit());
}

#[tokio::test]
async fn a_refreshed_page_keeps_its_tags() {
    let scene = Scene::new(
        exact().tag("rule"),
        Origin::new(|call| async move {
            let mut response = match call.number {
                0 => response(200, &[("cache-control", "max-age=60"), ("etag", "\"1\"")], "page"),
                _ => response(304, &[("etag", "\"1\"")], ""),
            };
            if call.number == 0 {
                response.extensions_mut().insert(Caching::new().tag("handler"));
            }
            Ok(response)
        }),
    );
    for tag in ["rule", "handler"] {
        scene.get("/").await;
        scene.advance(60);
        assert_eq!(scene.get("/").await.cache_status(), "bartizan; fwd=stale; fwd-status=304; stored");
        assert!(scene.get("/").await.is_hit());
        scene.cache.purge_tag(tag).await.expect("memory does not fail");
        assert!(!scene.get("/").await.is_hit(), "{tag}");
        if tag == "rule" {
            // The handler's first word is asked for anew.
            scene.origin.calls.store(0, std::sync::atomic::Ordering::SeqCst);
            scene.cache.purge_all().await.expect("memory does not fail");
        }
    }
}

/// Requests for one resource that each have a page of their own.
fn all_kinds() -> Vec<Vec<(&'static str, &'static str)>> {
    let mut kinds = Vec::new();
    for user in [None, Some("a"), Some("b")] {
        for accept in [None, Some("text/html")] {
            for language in [None, Some("de"), Some("en")] {
                let fields = [("user", user), ("accept", accept), ("accept-language", language)];
                let mut kind = vec![("host", "h")];
                kind.extend(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
                kinds.push(kind);
            }
        }
    }
    // Personal by credentials and by cookies; the response is for all of them.
    kinds.push(vec![("host", "h"), ("authorization", "Basic a")]);
    kinds.push(vec![("host", "h"), ("cookie", "sid=a")]);
    kinds
}

#[tokio::test]
async fn a_purge_and_an_unsafe_method_remove_every_variant_key_part_and_principal() {
    for way in ["uri", "parts", "key", "tag", "all", "POST", "DELETE", "M-SEARCH"] {
        let scene = Scene::new(
            exact()
                .tag("t")
                .add_key_header(http::header::ACCEPT)
                .principal(|parts| Some(parts.headers.get("user")?.to_str().ok()?.to_owned())),
            Origin::says(&[("cache-control", "public, max-age=60"), ("vary", "accept-language")]),
        );
        // The personal ones first, or they would be answered with nobody's page, which is public.
        let kinds: Vec<_> = all_kinds().into_iter().rev().collect();
        for kind in &kinds {
            assert!(!scene.ask(get("/a", kind)).await.is_hit(), "{kind:?} has a page of its own");
        }
        for kind in &kinds {
            assert!(scene.ask(get("/a", kind)).await.is_hit(), "{kind:?}");
        }
        let purged = match way {
            "uri" => scene.cache.purge_uri(&uri("http://h/a")).await,
            "parts" => scene.cache.purge(&parts("/a", &[("host", "h"), ("user", "z")])).await,
            "key" => scene.cache.purge_key(key(&scene.cache, "http://h/a")).await,
            "tag" => scene.cache.purge_tag("t").await,
            "all" => scene.cache.purge_all().await,
            method => {
                scene.ask(request(method, "/a", &[("host", "h"), ("user", "c")])).await;
                Ok(())
            }
        };
        purged.expect("memory does not fail");
        for kind in &kinds {
            assert!(!scene.ask(get("/a", kind)).await.is_hit(), "{kind:?} after {way}");
        }
    }
}

/// What is to be true of the origin while it works, behind a gate: it answers what was current when it was called.
struct World {
    value: Arc<Mutex<String>>,
    gate: Gate,
    scene: Scene,
}

impl World {
    fn new(rules: Rules, fields: &'static [(&'static str, &'static str)]) -> Self {
        let (value, gate) = (Arc::new(Mutex::new("old".to_owned())), Gate::new());
        let (current, held) = (Arc::clone(&value), gate.clone());
        let origin = Origin::new(move |call| {
            let read = current.lock().expect("not poisoned").clone();
            let gate = held.clone();
            async move {
                if *call.request.method() != http::Method::GET {
                    return Ok(response(200, &[], ""));
                }
                gate.pass().await;
                let mut response = response(200, fields, read);
                response.extensions_mut().insert(Caching::new().tag("handler"));
                Ok(response)
            }
        });
        Self { value, gate, scene: Scene::new(rules, origin) }
    }

    fn ask(&self) -> JoinHandle<Answer> {
        tokio::spawn(self.scene.ask(get("/a", &[("host", "h")])))
    }

    fn set(&self, value: &str) {
        *self.value.lock().expect("not poisoned") = value.to_owned();
    }

    async fn purge(&self, way: &str) {
        let cache = &self.scene.cache;
        let purged = match way {
            "uri" => cache.purge_uri(&uri("http://h/a")).await,
            "parts" => cache.purge(&parts("/a", &[("host", "h")])).await,
            "tag" => cache.purge_tag("rule").await,
            "handler's tag" => cache.purge_tag("handler").await,
            "all" => cache.purge_all().await,
            "unsafe" => {
                self.scene.ask(request("PUT", "/a", &[("host", "h")])).await;
                Ok(())
            }
            _ => unreachable!("no such way"),
        };
        purged.expect("memory does not fail");
    }
}

const WAYS: [&str; 6] = ["uri", "parts", "tag", "handler's tag", "all", "unsafe"];

#[tokio::test]
async fn what_is_being_made_when_a_purge_comes_is_not_stored_and_not_seen_by_who_comes_later() {
    for way in WAYS {
        for fields in
            [&[("cache-control", "max-age=60")][..], &[("cache-control", "max-age=60"), ("vary", "accept-language")]]
        {
            let world = World::new(exact().tag("rule"), fields);
            let leader = world.ask();
            world.gate.arrived(1).await;
            let follower = world.ask();
            run_others().await;
            world.set("new");
            world.purge(way).await;
            let late = world.ask();
            run_others().await;
            // All that was asked for and is still to come.
            world.gate.open(100);
            assert_eq!(leader.await.expect("no panic").text(), "old", "it asked before the purge; {way}");
            let follower = follower.await.expect("no panic");
            assert!(["old", "new"].contains(&follower.text()), "it asked before the purge; {way}");
            assert_eq!(late.await.expect("no panic").text(), "new", "{way}, {fields:?}");
            let after = world.ask().await.expect("no panic");
            assert_eq!(after.text(), "new", "the old value was not stored; {way}, {fields:?}");
            assert!(after.is_hit(), "the new one was; {way}, {fields:?}: {}", after.cache_status());
            // A variant's fill may end where its sign is refused, before there is anything to count.
            if fields.len() == 1 {
                assert_eq!(world.scene.cache.counters().superseded, 1, "{way}");
            }
        }
    }
}

#[tokio::test]
async fn a_purge_while_a_page_is_validated_or_refreshed_keeps_the_old_away() {
    for way in WAYS {
        for fields in
            [&[("cache-control", "max-age=60")][..], &[("cache-control", "max-age=60, stale-while-revalidate=60")]]
        {
            let world = World::new(exact().tag("rule"), fields);
            world.gate.open(1);
            world.ask().await.expect("no panic");
            world.gate.arrived(1).await;
            world.scene.advance(61);
            let stale = world.ask();
            world.gate.arrived(1).await;
            world.set("new");
            world.purge(way).await;
            let late = world.ask();
            run_others().await;
            world.gate.open(100);
            assert_eq!(stale.await.expect("no panic").text(), "old", "{way}");
            assert_eq!(late.await.expect("no panic").text(), "new", "{way}, {fields:?}");
            world.scene.cache.drain().await;
            assert_eq!(world.ask().await.expect("no panic").text(), "new", "{way}, {fields:?}");
        }
    }
}

#[tokio::test]
async fn who_comes_between_two_purges_does_not_see_what_was_before_the_first() {
    for first in WAYS {
        for second in WAYS {
            let world = World::new(exact().tag("rule"), &[("cache-control", "max-age=60")]);
            let leader = world.ask();
            world.gate.arrived(1).await;
            world.set("new");
            world.purge(first).await;
            let between = world.ask();
            run_others().await;
            world.set("newest");
            world.purge(second).await;
            let last = world.ask();
            run_others().await;
            world.gate.open(100);
            assert_eq!(leader.await.expect("no panic").text(), "old", "{first}, {second}");
            let between = between.await.expect("no panic");
            assert_ne!(between.text(), "old", "{first}, {second}");
            assert_eq!(last.await.expect("no panic").text(), "newest", "{first}, {second}");
        }
    }
}

// === any interleaving ===

const PATHS: usize = 3;
const TAGS: [&str; 2] = ["even", "odd"];
const KINDS: [&str; 2] = ["de", "en"];

/// `/0` and `/2` are even; the last path has a page per language.
fn tag_of(path: usize) -> usize {
    path % 2
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask {
        path: usize,
        kind: usize,
    },
    /// Lets one of the calls that are being answered end.
    Answer {
        which: usize,
        outcome: Outcome,
    },
    Purge(Purge),
    Wind {
        secs: u64,
    },
    /// A client leaves.
    Cancel {
        which: usize,
    },
    /// Lets tasks run for a bit.
    Run {
        polls: usize,
    },
}

#[derive(Clone, Copy, Debug)]
enum Purge {
    Path(usize),
    Tag(usize),
    All,
    Unsafe(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Page,
    Confirmed,
    Private,
    Unavailable,
    Failed,
    Panic,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        8 => Just(Outcome::Page),
        3 => Just(Outcome::Confirmed),
        1 => Just(Outcome::Private),
        1 => Just(Outcome::Unavailable),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::Panic),
    ];
    let purge = prop_oneof![
        (0..PATHS).prop_map(Purge::Path),
        (0..TAGS.len()).prop_map(Purge::Tag),
        Just(Purge::All),
        (0..PATHS).prop_map(Purge::Unsafe),
    ];
    prop_oneof![
        6 => (0..PATHS, 0..KINDS.len()).prop_map(|(path, kind)| Step::Ask { path, kind }),
        5 => (0usize..100, outcome).prop_map(|(which, outcome)| Step::Answer { which, outcome }),
        2 => purge.prop_map(Step::Purge),
        1 => (1u64..15).prop_map(|secs| Step::Wind { secs }),
        1 => (0usize..100).prop_map(|which| Step::Cancel { which }),
        4 => (1usize..8).prop_map(|polls| Step::Run { polls }),
    ]
}

/// One run: the versions that are true, what may still be seen, and what is going on.
struct Run {
    scene: Scene,
    /// The present version of each path.
    truth: Arc<Mutex<[u64; PATHS]>>,
    /// What a request for a path that begins now may see at the oldest.
    oldest: [u64; PATHS],
    calls: Arc<Mutex<Vec<oneshot::Sender<Outcome>>>>,
    clients: Vec<(String, u64, JoinHandle<Option<u64>>)>,
}

impl Run {
    fn new() -> Self {
        let truth = Arc::new(Mutex::new([1; PATHS]));
        let calls: Arc<Mutex<Vec<oneshot::Sender<Outcome>>>> = Arc::default();
        let (read, waiting) = (Arc::clone(&truth), Arc::clone(&calls));
        let origin = Origin::new(move |call| {
            let path: usize = call.request.uri().path()[1..].parse().expect("a number");
            // Read at the start, however long the answer takes.
            let version = read.lock().expect("not poisoned")[path];
            let tag = format!("\"{version}\"");
            let asked = call.request.headers().get("if-none-match").map(|tag| tag.to_str().expect("a text").to_owned());
            let is_get = *call.request.method() == http::Method::GET;
            let (tell, told) = oneshot::channel();
            if is_get {
                waiting.lock().expect("not poisoned").push(tell);
            }
            async move {
                if !is_get {
                    return Ok(response(204, &[], ""));
                }
                let outcome = told.await.unwrap_or(Outcome::Failed);
                let control = "max-age=10, stale-while-revalidate=5, stale-if-error=10";
                let mut fields = vec![("cache-control", control), ("etag", tag.as_str())];
                if path == PATHS - 1 {
                    fields.push(("vary", "accept-language"));
                }
                let mut answer = match outcome {
                    Outcome::Confirmed if asked.as_deref() == Some(&tag) => response(304, &fields, ""),
                    Outcome::Page | Outcome::Confirmed => response(200, &fields, version.to_string()),
                    Outcome::Private => response(200, &[("cache-control", "private")], version.to_string()),
                    Outcome::Unavailable => response(503, &[], version.to_string()),
                    Outcome::Failed => return Err(Failed),
                    Outcome::Panic => std::panic::resume_unwind(Box::new("the handler panicked")),
                };
                answer.extensions_mut().insert(Caching::new().tag(TAGS[tag_of(path)]));
                Ok(answer)
            }
        });
        let scene = Scene::with(origin, |layer| layer.rules(exact()).detached_fills(3, MINUTE));
        Self { scene, truth, oldest: [1; PATHS], calls, clients: Vec::new() }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Ask { path, kind } => {
                let fields = [("host", "h"), ("accept-language", KINDS[kind])];
                let asked = self.scene.send(get(&format!("/{path}"), &fields));
                let client = tokio::spawn(async move {
                    let answer = Answer::read(asked.await.ok()?).await;
                    Some(answer.text().parse().expect("a version"))
                });
                let name = format!("/{path} in {}, request {}", KINDS[kind], self.clients.len());
                self.clients.push((name, self.oldest[path], client));
            }
            Step::Answer { which, outcome } => self.answer(which, outcome),
            Step::Purge(purge) => self.purge(purge).await,
            Step::Wind { secs } => self.scene.advance(secs),
            Step::Cancel { which } => {
                if !self.clients.is_empty() {
                    let which = which % self.clients.len();
                    self.clients[which].2.abort();
                }
            }
            Step::Run { polls } => {
                for _ in 0..polls {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    fn answer(&self, which: usize, outcome: Outcome) {
        let mut calls = self.calls.lock().expect("not poisoned");
        if !calls.is_empty() {
            let which = which % calls.len();
            // The call may have been cancelled with its client.
            let _ = calls.swap_remove(which).send(outcome);
        }
    }

    /// The change first, then the purge, as a handler does it.
    async fn purge(&mut self, purge: Purge) {
        let changed = |path: usize| match purge {
            Purge::Path(only) | Purge::Unsafe(only) => path == only,
            Purge::Tag(tag) => tag_of(path) == tag,
            Purge::All => true,
        };
        let truth = {
            let mut truth = self.truth.lock().expect("not poisoned");
            (0..PATHS).filter(|path| changed(*path)).for_each(|path| truth[path] += 1);
            *truth
        };
        let cache = &self.scene.cache;
        let purged = match purge {
            Purge::Path(path) => cache.purge_uri(&uri(&format!("http://h/{path}"))).await,
            Purge::Tag(tag) => cache.purge_tag(TAGS[tag]).await,
            Purge::All => cache.purge_all().await,
            Purge::Unsafe(path) => {
                self.scene.ask(request("POST", &format!("/{path}"), &[("host", "h")])).await;
                Ok(())
            }
        };
        purged.expect("memory does not fail");
        self.oldest = truth;
    }

    /// Answers whatever is still asked, and checks what everyone saw.
    async fn end(self) -> Result<usize, TestCaseError> {
        loop {
            run_others().await;
            if self.calls.lock().expect("not poisoned").is_empty() {
                break;
            }
            self.answer(0, Outcome::Page);
        }
        let mut seen = 0;
        for (name, oldest, client) in self.clients {
            prop_assert!(client.is_finished(), "{} is left waiting", name);
            // Clients that left, and those whose handler failed or panicked, saw nothing.
            if let Ok(Some(version)) = client.await {
                prop_assert!(version >= oldest, "{} saw {}, which {} replaced before it began", name, version, oldest);
                seen += 1;
            }
        }
        Ok(seen)
    }
}

#[test]
fn no_request_that_begins_after_a_purge_sees_what_was_before_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let totals = Mutex::new(HashMap::<&str, u64>::new());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) };
    proptest!(config, |(steps in proptest::collection::vec(step(), 1..80))| {
        runtime.block_on(async {
            let mut run = Run::new();
            for step in steps {
                run.step(step).await;
            }
            let cache = run.scene.cache.clone();
            let seen = run.end().await?;
            let counters = cache.counters();
            let mut totals = totals.lock().expect("not poisoned");
            for (name, number) in [
                ("answers", seen as u64),
                ("hits", counters.hits),
                ("stale", counters.stale),
                ("collapsed", counters.collapsed),
                ("stored", counters.stored),
                ("superseded", counters.superseded),
            ] {
                *totals.entry(name).or_default() += number;
            }
            Ok::<(), TestCaseError>(())
        })?;
    });
    let totals = totals.into_inner().expect("not poisoned");
    println!("{totals:?}");
    // A run that never comes to what it is about would prove nothing.
    for (name, number) in totals {
        assert!(number > 100, "{name}: {number}");
    }
}
