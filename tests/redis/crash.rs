//! Consumers that are killed, as processes of their own: this test binary, started again. `BARTIZAN_MESSAGES=100000` for the long run.

use std::{
    collections::{HashMap, HashSet},
    io::Read,
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bartizan::{
    Redis,
    redis::{
        queue::{Job, JobPlace, Queue},
        stream::{EntryId, Failure, Group, Message, Position, Stream},
    },
};
use futures_util::future::join_all;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::support::{Server, eventually};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(600);

/// What a node is told by its environment: what it works at, and where.
const TOLD: &str = "BARTIZAN_TOOL_NODE";

const NODES: usize = 4;
const AT_ONCE: usize = 16;
const ATTEMPTS: u32 = 5;

/// One in a hundred fails whenever it is tried.
fn is_poison(value: u64) -> bool {
    value % 100 == 7
}

/// Some take the process with them.
fn kills(value: u64) -> bool {
    value % 2500 == 1207
}

#[test]
#[ignore = "a node, not a test: the tests start it"]
fn node() {
    let Ok(told) = std::env::var(TOLD) else { return };
    std::thread::spawn(|| {
        // The test that started this one is gone.
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        std::process::exit(0);
    });
    let (tool, url) = told.split_once(' ').unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let redis = Redis::builder(url).unwrap().deadline(5 * SECOND).connect().await.unwrap();
        match tool {
            "stream" => work_at_stream(&redis).await,
            _ => work_at_queue(&redis).await,
        }
    });
}

/// The effect, or why there is none.
async fn work(redis: &Redis, id: &str, value: u64) -> Result<(), Failure> {
    if kills(value) {
        std::process::abort();
    }
    if is_poison(value) {
        return Err(Failure::retry("poison"));
    }
    redis.command("HINCRBY").key("effects").arg(id).arg(1).run().await?;
    Ok(())
}

async fn work_at_stream(redis: &Redis) {
    let handler = |message: Message<u64>| async move { work(redis, &message.id.to_string(), message.value).await };
    drop(group(redis).run_until(handler, std::future::pending()).await);
}

fn group(redis: &Redis) -> Group<u64> {
    let group = Stream::new(redis, "numbers").unwrap().group("nodes").unwrap();
    group
        .claim_after(2 * SECOND)
        .max_attempts(ATTEMPTS)
        .backoff(10 * MILLI, 100 * MILLI)
        .concurrency(AT_ONCE)
        .prefetch(AT_ONCE)
}

fn queue(redis: &Redis) -> Queue<u64> {
    Queue::builder(redis, "numbers").unwrap().visibility(2 * SECOND).max_attempts(ATTEMPTS).build()
}

async fn work_at_queue(redis: &Redis) {
    let queue = queue(redis);
    let one = async || {
        loop {
            let Ok(Some(job)) = queue.claim_within(SECOND).await else { continue };
            let settled = match job.keep_while(work(redis, &job.id.to_string(), job.value)).await {
                Some(Ok(())) => job.ack().await,
                Some(Err(_)) => job.nack(10 * MILLI, "poison").await,
                None => continue,
            };
            drop::<Result<_, _>>(settled);
        }
    };
    join_all((0..AT_ONCE).map(|_| one())).await;
}

/// It is killed when this is dropped, and ends by itself when this process does.
struct Node {
    child: Child,
    _alive: ChildStdin,
}

impl Node {
    fn start(told: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::node", "--exact", "--ignored", "--nocapture"])
            .env(TOLD, told)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let alive = child.stdin.take().unwrap();
        Self { child, _alive: alive }
    }

    fn lives(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn messages() -> u64 {
    std::env::var("BARTIZAN_MESSAGES").ok().and_then(|count| count.parse().ok()).unwrap_or(10_000)
}

/// Kills and restarts nodes at random until `is_over`; tells how many were killed, or died.
async fn havoc(told: &str, mut is_over: impl AsyncFnMut() -> bool) -> u64 {
    let mut nodes: Vec<Node> = (0..NODES).map(|_| Node::start(told)).collect();
    let mut ticks = interval(100 * MILLI);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let begun = Instant::now();
    let mut deaths = 0;
    while !is_over().await {
        ticks.tick().await;
        assert!(begun.elapsed() < LIMIT, "it comes to an end");
        let victim = rand::random_range(0..2 * NODES);
        for (at, node) in nodes.iter_mut().enumerate() {
            if at == victim || !node.lives() {
                *node = Node::start(told);
                deaths += 1;
            }
        }
    }
    deaths
}

async fn effects(redis: &Redis) -> HashMap<String, u64> {
    let mut parts = redis.command("HGETALL").key("effects").run().await.unwrap().list().unwrap().into_iter();
    let mut effects = HashMap::new();
    while let (Some(id), Some(count)) = (parts.next(), parts.next()) {
        effects.insert(id.text().unwrap().unwrap(), count.int().unwrap() as u64);
    }
    effects
}

/// What is neither pending nor dead was done; tells how much that is.
fn check(
    all: &HashMap<String, u64>,
    pending: &HashSet<String>,
    dead: &[String],
    effects: &HashMap<String, u64>,
) -> usize {
    let once: HashSet<_> = dead.iter().cloned().collect();
    assert_eq!(once.len(), dead.len(), "nobody dies twice");
    assert!(once.is_disjoint(pending), "what is dead is not pending");
    assert!(pending.iter().chain(&once).chain(effects.keys()).all(|id| all.contains_key(id)), "there is nothing else");
    let mut acknowledged = 0;
    for (id, value) in all.iter().filter(|(id, _)| !pending.contains(*id) && !once.contains(*id)) {
        assert!(effects.contains_key(id), "{id} ({value}) is acknowledged without its effect");
        assert!(!is_poison(*value), "{id} ({value}) is poison");
        acknowledged += 1;
    }
    acknowledged
}

fn report(
    tool: &str,
    all: usize,
    acknowledged: usize,
    dead: usize,
    deaths: u64,
    took: Duration,
    effects: &HashMap<String, u64>,
) {
    let done: u64 = effects.values().sum();
    let twice = done - effects.len() as u64;
    println!(
        "{tool}: {all} messages, {acknowledged} acknowledged, {dead} dead, {deaths} deaths of nodes, {twice} effects more than once \
         ({:.2} %), {took:?}",
        100.0 * twice as f64 / all as f64,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_of_a_stream_is_acknowledged_pending_or_dead_whoever_is_killed() {
    let server = Server::start().await;
    let redis = Redis::builder(&server.url()).unwrap().deadline(10 * SECOND).connect().await.unwrap();
    let (stream, group) = (Stream::<u64>::new(&redis, "numbers").unwrap(), group(&redis));
    let (told, begun) = (format!("stream {}", server.url()), Instant::now());
    let mut all = HashMap::new();
    // The group is there before the first is trimmed.
    let mut deaths = {
        let appended = AtomicU64::new(0);
        let appending = async {
            for chunk in (0..messages()).collect::<Vec<_>>().chunks(100) {
                for (id, value) in join_all(chunk.iter().map(|n| stream.append(n))).await.into_iter().zip(chunk) {
                    all.insert(id.unwrap().to_string(), *value);
                }
                appended.fetch_add(chunk.len() as u64, Ordering::SeqCst);
                stream.trim(Duration::ZERO).await.unwrap();
            }
        };
        let half_done = async || {
            stream.trim(Duration::ZERO).await.unwrap();
            let status = group.status().await.unwrap();
            appended.load(Ordering::SeqCst) == messages() && status.lag.is_some_and(|lag| lag < messages() / 2)
        };
        tokio::join!(havoc(&told, half_done), appending).0
    };

    // All nodes are dead: nothing moves.
    let acknowledged = check(&all, &pending(&server).await, &dead(&group).await, &effects(&redis).await);
    println!("stream, in between: {acknowledged} acknowledged");

    let settled = async || {
        stream.trim(Duration::ZERO).await.unwrap();
        let status = group.status().await.unwrap();
        status.lag == Some(0) && status.pending < messages() / 50
    };
    deaths += havoc(&told, settled).await;
    let nodes: Vec<_> = (0..NODES).map(|_| std::cell::RefCell::new(Node::start(&told))).collect();
    eventually("all is settled", LIMIT, async || {
        for node in nodes.iter().filter(|node| !node.borrow_mut().lives()) {
            node.replace(Node::start(&told));
        }
        let status = group.status().await.unwrap();
        (status.lag == Some(0) && status.pending == 0).then_some(())
    })
    .await;
    drop(nodes);
    let (dead, effects) = (dead(&group).await, effects(&redis).await);
    let acknowledged = check(&all, &pending(&server).await, &dead, &effects);
    assert_eq!(acknowledged + dead.len(), messages() as usize);
    for (id, value) in &all {
        assert!(!is_poison(*value) || dead.contains(id), "{value} is dead");
    }
    stream.trim(Duration::ZERO).await.unwrap();
    assert_eq!(stream.length().await.unwrap(), 0, "all was trimmed");
    report("stream", all.len(), acknowledged, dead.len(), deaths, begun.elapsed(), &effects);
}

/// What is given out and not settled, or not given out yet.
async fn pending(server: &Server) -> HashSet<String> {
    const LOG: &str = "bartizan:stream:{numbers}:log";
    let groups: Vec<HashMap<String, redis::Value>> = server.ask(&["XINFO", "GROUPS", LOG]).await.unwrap();
    let last: String = redis::from_redis_value(groups[0]["last-delivered-id"].clone()).unwrap();
    let given: Vec<(String, String, u64, u64)> =
        server.ask(&["XPENDING", LOG, "nodes", "-", "+", "1000000"]).await.unwrap();
    let rest: Vec<(String, Vec<Vec<u8>>)> = server.ask(&["XRANGE", LOG, &format!("({last}"), "+"]).await.unwrap();
    let (given_ids, rest_ids) = (given.into_iter().map(|p| p.0), rest.into_iter().map(|entry| entry.0));
    given_ids.chain(rest_ids).collect()
}

async fn dead(group: &Group<u64>) -> Vec<String> {
    let (mut dead, mut position) = (Vec::new(), Position::Beginning);
    loop {
        let page = group.dead_letters(position, 1000).await.unwrap();
        let Some(last) = page.last() else { return dead };
        position = Position::After(last.id);
        dead.extend(page.iter().map(|letter| EntryId::to_string(&letter.message)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_job_of_a_queue_is_done_waiting_or_dead_whoever_is_killed() {
    let server = Server::start().await;
    let redis = Redis::builder(&server.url()).unwrap().deadline(10 * SECOND).connect().await.unwrap();
    let (queue, begun) = (queue(&redis), Instant::now());
    let told = format!("queue {}", server.url());
    let mut all = HashMap::new();
    let mut deaths = {
        let pushing = async {
            for chunk in (0..messages()).collect::<Vec<_>>().chunks(100) {
                let push = async |n: &u64| {
                    let key = format!("n{n}");
                    let job = Job::new(n).priority((n % 3) as u8).key(&key).delay((n % 5) as u32 * 10 * MILLI);
                    let first = queue.push(job).await.unwrap().id();
                    // What is pushed again is the same job, also when it is done by then.
                    assert_eq!(if n.is_multiple_of(10) { queue.push(job).await.unwrap().id() } else { first }, first);
                    first
                };
                for (id, value) in join_all(chunk.iter().map(push)).await.into_iter().zip(chunk) {
                    all.insert(id.to_string(), *value);
                }
            }
            true
        };
        let pushed = AtomicU64::new(0);
        let half_done = async || {
            let counts = queue.counts().await.unwrap();
            pushed.load(Ordering::SeqCst) == 1 && counts.ready + counts.delayed < messages() / 2
        };
        let pushing = async {
            pushing.await;
            pushed.store(1, Ordering::SeqCst);
        };
        tokio::join!(havoc(&told, half_done), pushing).0
    };
    // All nodes are dead: nothing moves but time.
    let (waiting, dead) = places(&queue, &all).await;
    let acknowledged = check(&all, &waiting, &dead, &effects(&redis).await);
    println!("queue, in between: {acknowledged} done");

    let settled = async || {
        let counts = queue.counts().await.unwrap();
        counts.ready + counts.delayed + counts.claimed < messages() / 50
    };
    deaths += havoc(&told, settled).await;
    let nodes: Vec<_> = (0..NODES).map(|_| std::cell::RefCell::new(Node::start(&told))).collect();
    eventually("all is settled", LIMIT, async || {
        for node in nodes.iter().filter(|node| !node.borrow_mut().lives()) {
            node.replace(Node::start(&told));
        }
        let counts = queue.counts().await.unwrap();
        (counts.ready + counts.delayed + counts.claimed == 0).then_some(())
    })
    .await;
    drop(nodes);
    let ((waiting, dead), effects) = (places(&queue, &all).await, effects(&redis).await);
    let acknowledged = check(&all, &waiting, &dead, &effects);
    assert_eq!(acknowledged + dead.len(), messages() as usize);
    let jobs: u64 = server.ask(&["HLEN", "bartizan:queue:{numbers}:jobs"]).await.unwrap();
    assert_eq!(jobs, dead.len() as u64, "nothing is left of what is done");
    report("queue", all.len(), acknowledged, dead.len(), deaths, begun.elapsed(), &effects);
}

/// What waits or is claimed, and what is dead.
async fn places(queue: &Queue<u64>, all: &HashMap<String, u64>) -> (HashSet<String>, Vec<String>) {
    let (mut waiting, mut dead) = (HashSet::new(), Vec::new());
    for chunk in all.keys().collect::<Vec<_>>().chunks(500) {
        let found = join_all(chunk.iter().map(async |id| queue.find(id.parse().unwrap()).await.unwrap())).await;
        for (id, status) in chunk.iter().zip(found) {
            match status.map(|status| status.place) {
                None => {}
                Some(JobPlace::Dead) => dead.push((*id).clone()),
                Some(_) => drop(waiting.insert((*id).clone())),
            }
        }
    }
    (waiting, dead)
}
