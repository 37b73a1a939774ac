//! Orders of events that nobody planned: replies that are lost, keepers that are late, servers that take over, callers that leave.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use bartizan::{
    Memory, Redis, RedisStore, Tiered,
    clock::Timestamp,
    redis::BreakerState,
    store::{Ending, Filled, Key, Lease, Leased, Primary, Store, Tag, Tags, Woken, conformance::Probe},
};
use tokio::{net::TcpListener, time::Instant};

use crate::support::{Link, Proxy, Server, eventually, within};

const KEEP: Timestamp = Timestamp::from_secs(4_000_000_000);
const SOON: Duration = Duration::from_secs(10);
const MILLI: Duration = Duration::from_millis(1);

fn key(resource: u128) -> Key {
    Key::new(Primary::from(resource))
}

async fn redis(url: &str) -> Redis {
    Redis::builder(url).unwrap().deadline(300 * MILLI).connect().await.unwrap()
}

async fn far(url: &str) -> RedisStore {
    RedisStore::new(redis(url).await)
}

fn tiered(far: impl Into<RedisStore>, bound: Duration) -> Tiered<Probe> {
    Tiered::with_staleness_bound(Memory::with_capacity(1 << 20), far, bound)
}

async fn connected(store: &Tiered<Probe>) {
    eventually("the channel works", SOON, async || {
        drop(store.lease(key(999), None).await);
        store.is_connected().then_some(())
    })
    .await;
}

async fn won<S: Store<Probe>>(store: &S, key: Key) -> S::Lease {
    match store.lease(key, None).await.unwrap() {
        Leased::Won(lease) => lease,
        other => panic!("{key:?} is free to be made, and not {}", said(&other)),
    }
}

async fn fill<S: Store<Probe>>(store: &S, key: Key, value: u64, tag: &str) {
    let filled = won(store, key).await.fill(Probe(value), KEEP, Tags::from_iter([tag])).await.unwrap();
    assert_eq!(filled, Filled::Stored);
}

fn said<L>(leased: &Leased<Probe, L>) -> &'static str {
    match leased {
        Leased::Found(_) => "found",
        Leased::Won(_) => "won",
        Leased::Busy(_) => "busy",
    }
}

/// A store on a server that accepts connections and ends them, and how many there were.
async fn refused() -> (Tiered<Probe>, tokio::sync::watch::Receiver<u32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (count, counted) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.send_modify(|count| *count += 1);
        }
    });
    let redis = Redis::builder(&url).unwrap().backoff(MILLI, 20 * MILLI).build().unwrap();
    (tiered(RedisStore::new(redis), 300 * MILLI), counted)
}

#[tokio::test]
async fn what_was_filled_alone_is_believed_for_the_bound_and_no_longer() {
    let (store, _count) = refused().await;
    let begun = Instant::now();
    fill(&store, key(1), 5, "a").await;
    let kept = store.get_now(&key(1)).expect("it is near");
    assert_eq!(kept.keep_until(), KEEP, "who has it in hand judges it by itself");
    let (_, _) =
        eventually("it is not believed any more", SOON, async || store.get_now(&key(1)).is_none().then_some(())).await;
    assert!(begun.elapsed() < 600 * MILLI, "{:?}", begun.elapsed());
    assert_eq!(said(&store.lease(key(1), None).await.unwrap()), "won", "nor found");
}

#[tokio::test]
async fn what_took_longer_than_the_bound_to_make_alone_is_not_believed() {
    let (store, _count) = refused().await;
    let lease = won(&store, key(1)).await;
    let begun = Instant::now();
    eventually("an origin takes its time", SOON, async || (begun.elapsed() > 350 * MILLI).then_some(())).await;
    let Leased::Busy(wait) = store.lease(key(1), None).await.unwrap() else { panic!("it is being made") };
    lease.fill(Probe(5), KEEP, Tags::default()).await.unwrap();
    assert!(matches!(within(SOON, wait).await.0, Woken::Found(kept) if kept.0 == 5), "who waited has it");
    assert!(store.get_now(&key(1)).is_none(), "it may have been removed since it was read, and nobody could tell");
}

#[tokio::test]
async fn those_who_make_something_alone_are_joined_whatever_becomes_of_the_connection() {
    let (store, mut count) = refused().await;
    let lease = won(&store, key(1)).await;
    within(SOON, count.wait_for(|count| *count > 20)).await.0.unwrap();
    let leased = store.lease(key(1), None).await.unwrap();
    assert_eq!(said(&leased), "busy", "one call to the origin at a time");
    drop(lease);
}

async fn calls(server: &Server, command: &str) -> u64 {
    let stats: String = server.ask(&["INFO", "commandstats"]).await.unwrap();
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls="))).unwrap_or("0,");
    line.split(',').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_flood_of_removals_is_none_of_beats() {
    let server = Server::start().await;
    let store = far(&server.url()).await;
    drop(won(&store, key(1)).await);
    for removal in 0..500 {
        Store::<Probe>::remove(&store, Primary::from(removal)).await.unwrap();
    }
    let calls = calls(&server, "evalsha").await;
    assert!(calls < 1500, "sixteen beats for each: {calls}");
}

#[tokio::test]
async fn a_lease_is_renewed_however_much_else_there_is_to_do() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let redis = Redis::builder(&proxy.url()).unwrap().deadline(SOON).connect().await.unwrap();
    let store = RedisStore::builder(redis).lease_time(1000 * MILLI).build();
    let leases = futures_util::future::join_all((0..3000).map(|at| won(&store, key(at)))).await;
    let held = won(&store, key(5000)).await;
    drop(leases);
    proxy.set(Link::Slow(20 * MILLI));
    let begun = Instant::now();
    eventually("the others are being given up", SOON, async || (begun.elapsed() > 2500 * MILLI).then_some(())).await;
    let filled = held.fill(Probe(5), KEEP, Tags::default()).await.unwrap();
    assert_eq!(filled, Filled::Stored, "its holder was there all the time");
}

/// What the server has of a key with this in its name.
async fn named(server: &Server, part: &str) -> String {
    let mut keys: Vec<String> = server.ask(&["KEYS", &format!("*{part}*")]).await.unwrap();
    assert_eq!(keys.len(), 1, "{keys:?}");
    keys.remove(0)
}

fn one_bucket(redis: Redis) -> RedisStore {
    RedisStore::builder(redis).buckets(1).build()
}

#[tokio::test]
async fn a_removal_and_a_beat_leave_the_tables_as_long_as_what_they_speak_of() {
    let server = Server::start().await;
    let store = tiered(one_bucket(redis(&server.url()).await), 100 * MILLI);
    fill(&store, key(1), 5, "a").await;
    store.remove_tagged(Tag::from("b")).await.unwrap();
    connected(&store).await;
    for part in [":table", ":stamp"] {
        let ttl: u64 = server.ask(&["PTTL", &named(&server, part).await]).await.unwrap();
        assert!(ttl > 1_000_000_000, "{part}: the value lives for years, and this for {ttl} ms");
    }
}

#[tokio::test]
async fn a_server_that_lost_the_last_of_what_was_counted_counts_nothing_twice() {
    let mut server = Server::start().await;
    let store = one_bucket(redis(&server.url()).await);
    drop(won(&store, key(9)).await);
    let table = named(&server, ":table").await;
    let before: Vec<String> = server.ask(&["HGETALL", &table]).await.unwrap();
    fill(&store, key(1), 5, "a").await;
    let Leased::Found(lost) = Store::<Probe>::lease(&store, key(1), None).await.unwrap() else {
        panic!("it was filled")
    };
    server.kill();
    server.restart().await;
    let mut restore = vec!["HSET", &table];
    restore.extend(before.iter().map(String::as_str));
    server.tell(&restore).await;
    let lease =
        eventually("it is asked again", SOON, async || match Store::<Probe>::lease(&store, key(1), None).await {
            Ok(Leased::Won(lease)) => Some(lease),
            _ => None,
        })
        .await
        .0;
    lease.fill(Probe(6), KEEP, Tags::default()).await.unwrap();
    let Leased::Found(kept) = Store::<Probe>::lease(&store, key(1), Some(lost.version())).await.unwrap() else {
        panic!("who saw the one that was lost takes the other for it, and its body for that of the other")
    };
    assert!(kept.0 == 6 && kept.version() > lost.version());
}

#[tokio::test]
async fn those_who_leave_while_they_wait_for_another_process_are_no_leaders_that_vanished() {
    let server = Server::start().await;
    let (one, two) = (tiered(far(&server.url()).await, 400 * MILLI), tiered(far(&server.url()).await, 400 * MILLI));
    connected(&one).await;
    connected(&two).await;
    let lease = won(&one, key(1)).await;
    let mut waits = Vec::new();
    for _ in 0..8 {
        let Leased::Busy(wait) = two.lease(key(1), None).await.unwrap() else { panic!("it is being made") };
        waits.push(Some(tokio::spawn(wait)));
    }
    let last = waits.pop().unwrap().unwrap();
    for wait in &mut waits {
        let wait = wait.take().unwrap();
        tokio::task::yield_now().await;
        wait.abort();
        assert!(wait.await.is_err_and(|error| error.is_cancelled()), "it waits until it is told to leave");
    }
    lease.fill(Probe(5), KEEP, Tags::default()).await.unwrap();
    let woken = within(SOON, last).await.0.unwrap();
    assert!(matches!(woken, Woken::Found(kept) if kept.0 == 5), "who stayed has what was made elsewhere");
}

/// How somebody leaves.
#[derive(Clone, Copy)]
struct Leaving<'a> {
    polls: usize,
    /// Not before what was sent has come there.
    after: Option<&'a Server>,
}

impl Leaving<'_> {
    /// Polls `future` as it asks to be, up to so many times, and leaves it then. Whether it was done.
    async fn from(self, future: impl Future) -> bool {
        let (mut future, mut left) = (pin!(future), self.polls);
        let is_done = poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending => {
                left -= 1;
                if left == 0 { Poll::Ready(false) } else { Poll::Pending }
            }
        })
        .await;
        if let Some(server) = self.after.filter(|_| !is_done) {
            server.tell(&["PING"]).await;
        }
        is_done
    }
}

/// Leaves everything that a store does at each of its awaits, and sees that nobody has to wait for who left.
async fn nothing_is_left_behind<S: Store<Probe>>(server: &Server, store: &S, other: &RedisStore) {
    let mut resource = 0;
    for what in ["lease", "wait", "fill", "refresh", "narrow", "replace all", "disband", "remove", "remove tagged"] {
        for (polls, after) in (1..).flat_map(|polls| [(polls, None), (polls, Some(server))]) {
            let leaving = Leaving { polls, after };
            resource += 1;
            let key = key(resource);
            let sign = Probe(9);
            let is_done = match what {
                "lease" => leaving.from(store.lease(key, None)).await,
                "wait" => {
                    let lease = won(other, key).await;
                    let Leased::Busy(wait) = store.lease(key, None).await.unwrap() else { panic!("it is being made") };
                    let filled = lease.fill(Probe(1), KEEP, Tags::default());
                    tokio::join!(leaving.from(wait), async { filled.await.unwrap() }).0
                }
                "fill" => {
                    let lease = won(store, key).await;
                    leaving.from(lease.fill(Probe(1), KEEP, Tags::default())).await
                }
                "refresh" => {
                    fill(store, key, 1, "a").await;
                    let Leased::Found(kept) = store.lease(key, None).await.unwrap() else { panic!("it was filled") };
                    let leased = store.lease(key, Some(kept.version())).await.unwrap();
                    let Leased::Won(lease) = leased else { panic!("another is asked for") };
                    leaving.from(lease.refresh(Probe(2), KEEP, Tags::default())).await
                }
                "narrow" => leaving.from(won(store, key).await.narrow(5, sign, KEEP)).await,
                "replace all" => leaving.from(won(store, key).await.replace_all(5, Tags::default())).await,
                "disband" => leaving.from(won(store, key).await.disband(Ending::Failed)).await,
                "remove" => leaving.from(store.remove(key.primary())).await,
                _ => leaving.from(store.remove_tagged(Tag::from("a"))).await,
            };
            for key in [key, key.with_variant(5)] {
                for attempt in ["there", "here"] {
                    let what = format!("{what}, left after {polls} polls: {key:?} is free {attempt}");
                    eventually(&what, SOON, async || {
                        let is_busy = match attempt {
                            "here" => matches!(store.lease(key, None).await, Ok(Leased::Busy(_))),
                            _ => matches!(Store::<Probe>::lease(other, key, None).await, Ok(Leased::Busy(_))),
                        };
                        (!is_busy).then_some(())
                    })
                    .await;
                }
            }
            if is_done {
                assert!(polls > 1, "{what}: there is something to wait for");
                break;
            }
        }
    }
    eventually("no lease is held any more", SOON, async || {
        let leases: Vec<String> = server.ask(&["KEYS", "*:lease:*"]).await.unwrap();
        leases.is_empty().then_some(())
    })
    .await;
    let keys: Vec<String> = server.ask(&["KEYS", "*"]).await.unwrap();
    for key in keys {
        assert!(server.ask::<i64>(&["PTTL", &key]).await.unwrap() != -1, "{key} stays for ever");
    }
}

#[tokio::test]
async fn whoever_leaves_a_store_at_any_await_leaves_nothing_behind() {
    let server = Server::start().await;
    let far = async || RedisStore::builder(redis(&server.url()).await).lease_time(400 * MILLI).build();
    let other = far().await;
    nothing_is_left_behind(&server, &far().await, &other).await;
    server.tell(&["FLUSHALL"]).await;
    let store = tiered(far().await, 400 * MILLI);
    connected(&store).await;
    nothing_is_left_behind(&server, &store, &other).await;
}

#[tokio::test]
async fn beats_that_come_too_late_for_the_bound_are_no_failure_of_the_server() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let redis = redis(&proxy.url()).await;
    let store = tiered(RedisStore::new(redis.clone()), 40 * MILLI);
    fill(&store, key(1), 5, "a").await;
    proxy.set(Link::Slow(60 * MILLI));
    let before = calls(&server, "publish").await;
    eventually("it goes on beating", SOON, async || (calls(&server, "publish").await > before + 320).then_some(()))
        .await;
    assert_eq!(redis.breaker(), BreakerState::Closed, "every call but a beat was in time, and that was too");
}

#[tokio::test]
async fn what_the_server_evicts_one_by_one_brings_no_old_value_back() {
    let server = Server::start().await;
    let stores = [one_bucket(redis(&server.url()).await), one_bucket(redis(&server.url()).await)];
    let tags = ["a", "b c", "\u{0}é\r\n*", ""];
    for seed in 0..8_u64 {
        let mut random = seed;
        let mut below = |bound: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % bound
        };
        let mut leases = Vec::new();
        // When each tag, and after them each resource, was removed last.
        let mut removed = [0; 7];
        for moment in 1..250_u64 {
            let (store, resource, tag) = (&stores[below(2)], below(3), below(4));
            match below(8) {
                0 | 1 => match Store::<Probe>::lease(store, key(resource as u128), None).await.unwrap() {
                    Leased::Won(lease) => leases.push((moment, lease)),
                    Leased::Found(kept) => {
                        let borne = kept.tags().iter().filter_map(|tag| tags.iter().position(|of| *of == tag.as_str()));
                        for name in borne.chain([4 + resource]) {
                            let (read, at) = (kept.0, removed[name]);
                            assert!(read >= at, "seed {seed}: read at {read}, and removed at {at}");
                        }
                    }
                    Leased::Busy(_) => {}
                },
                2 | 3 if !leases.is_empty() => {
                    let (read, lease) = leases.swap_remove(below(leases.len()));
                    let tags = Tags::from_iter((0..4).filter(|_| below(2) == 0).map(|tag| tags[tag]));
                    Lease::<Probe>::fill(lease, Probe(read), KEEP, tags).await.unwrap();
                }
                4 => {
                    Store::<Probe>::remove_tagged(store, Tag::from(tags[tag])).await.unwrap();
                    removed[tag] = moment;
                }
                5 => {
                    Store::<Probe>::remove(store, Primary::from(resource as u128)).await.unwrap();
                    removed[4 + resource] = moment;
                }
                _ => {
                    let mut keys: Vec<String> = server.ask(&["KEYS", "*"]).await.unwrap();
                    keys.sort();
                    if !keys.is_empty() {
                        server.tell(&["DEL", &keys[below(keys.len())]]).await;
                    }
                }
            }
        }
        server.tell(&["FLUSHALL"]).await;
    }
}

#[tokio::test]
async fn a_hundred_thousand_tags_are_as_good_as_one() {
    let server = Server::start().await;
    let store = one_bucket(Redis::builder(&server.url()).unwrap().deadline(SOON).connect().await.unwrap());
    let many = || (0..100_000).map(|tag| format!("tag {tag}")).collect::<Tags>();
    let filled = won(&store, key(1)).await.fill(Probe(5), KEEP, many()).await.unwrap();
    assert_eq!(filled, Filled::Stored);
    let find = async || Store::<Probe>::lease(&store, key(1), None).await.unwrap();
    Store::<Probe>::remove_tagged(&store, Tag::from("another")).await.unwrap();
    let Leased::Found(kept) = find().await else { panic!("none of its own was removed") };
    assert_eq!(kept.tags().len(), 100_000);
    Store::<Probe>::remove_tagged(&store, Tag::from("tag 99999")).await.unwrap();
    let leased = find().await;
    assert_eq!(said(&leased), "won");
    let Leased::Won(lease) = leased else { return };
    Store::<Probe>::remove_tagged(&store, Tag::from("tag 77777")).await.unwrap();
    assert_eq!(Lease::<Probe>::fill(lease, Probe(6), KEEP, many()).await.unwrap(), Filled::Superseded);
}

#[test]
fn a_runtime_that_ended_takes_the_store_along_no_further_than_the_next() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = runtime();
    let (server, store, lease) = first.block_on(async {
        let server = Server::start().await;
        let store = tiered(far(&server.url()).await, 400 * MILLI);
        connected(&store).await;
        fill(&store, key(1), 5, "a").await;
        let lease = won(&store, key(2)).await;
        (server, store, lease)
    });
    drop(first);
    runtime().block_on(async {
        eventually("what is near is not believed for longer than the bound", SOON, async || {
            store.get_now(&key(1)).is_none().then_some(())
        })
        .await;
        drop(lease);
        connected(&store).await;
        let (kept, _) =
            eventually("it is found again", SOON, async || match store.lease(key(1), None).await.unwrap() {
                Leased::Found(kept) => Some(kept.0),
                _ => None,
            })
            .await;
        assert_eq!(kept, 5);
        eventually("the lease of before is given up", SOON, async || {
            matches!(store.lease(key(2), None).await.unwrap(), Leased::Won(_)).then_some(())
        })
        .await;
        assert!(store.is_connected());
        drop(server);
    });
}
