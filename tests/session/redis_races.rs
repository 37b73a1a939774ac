//! Orders of events that nobody planned.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use bartizan::{
    clock::{TestClock, Timestamp},
    session::{
        Lifetime, RedisSessions, SessionStore,
        changes::{Addition, Changes, Rotation},
        contract::{Applied, NewRecord},
        record::Generation,
    },
};
use bytes::Bytes;
use futures_util::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::yield_now,
};

use crate::{
    redis_scene::{
        IDLE, SOON, add, apply, check_keys, connect, create, fields, id, listed, member, new, of, principal, renewal,
        rights, secret, set, unset,
    },
    redis_servers::{Cluster, Server, within},
};

#[derive(Clone, Copy, Debug)]
enum Event {
    Write,
    Clear,
    Touch,
    Renew,
    LogIn,
    Destroy,
    DestroyAll,
    Load,
    List,
}

const EVENTS: [Event; 9] = [
    Event::Write,
    Event::Clear,
    Event::Touch,
    Event::Renew,
    Event::LogIn,
    Event::Destroy,
    Event::DestroyAll,
    Event::Load,
    Event::List,
];

/// What somebody learnt of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Learnt {
    Alive,
    Dead,
    Nothing,
}

/// Plays one event, as of the generation that its request saw.
async fn play(store: &RedisSessions, n: u32, event: Event, generation: u64, dice: u8) -> Learnt {
    let changes = match event {
        Event::Write => match dice % 4 {
            0 => set("a", &[dice; 9]),
            1 => unset("a"),
            2 => add("visits", 1),
            _ => member("seen", &[dice]),
        },
        Event::Clear => Changes { clear: true, ..set("b", b"1") },
        Event::Touch => Changes::default(),
        Event::Renew => renewal(dice % 4, dice % 3 + 1),
        Event::LogIn => rights(dice % 4, Some("ann")),
        Event::Destroy => {
            store.destroy(&id(n)).await.unwrap();
            return Learnt::Dead;
        }
        Event::DestroyAll => {
            store.destroy_all(&principal("ann"), None).await.unwrap();
            return Learnt::Nothing;
        }
        Event::Load => {
            let loaded = store.load(&id(n)).await.unwrap();
            return if loaded.is_some() { Learnt::Alive } else { Learnt::Dead };
        }
        Event::List => {
            let is_listed = listed(store, "ann").await.contains(&n);
            return if is_listed { Learnt::Alive } else { Learnt::Nothing };
        }
    };
    match store.apply(&id(n), Generation::from_number(generation), changes).await.unwrap() {
        Applied::Gone => Learnt::Dead,
        _ => Learnt::Alive,
    }
}

#[tokio::test]
async fn what_was_destroyed_or_expired_never_comes_back_nor_is_there_in_part_nor_without_an_end() {
    let server = Server::start().await;
    let clock = TestClock::new();
    let stores = [connect(&server.url()).await, connect(&server.url()).await]
        .map(|redis| RedisSessions::builder(redis).clock(clock.clone()).build());
    let seeds = std::env::var("BARTIZAN_SEEDS").map_or(150, |seeds| seeds.parse().unwrap());
    let mut deaths = 0;
    for seed in 0..seeds {
        let mut dice = StdRng::seed_from_u64(seed);
        let n = u32::try_from(seed).unwrap();
        create(&stores[0], if dice.random() { new(n) } else { of(n, "ann") }).await;
        let mut is_dead = false;
        for step in 0..20 {
            if dice.random_ratio(1, 8) {
                clock.advance(IDLE / dice.random_range(1..4));
            }
            let generation = match stores[0].load(&id(n)).await.unwrap() {
                Some(loaded) => loaded.record.head.generation.number(),
                None => dice.random_range(0..3),
            };
            // Requests may have begun under other rights.
            let plays = stores.iter().map(|store| {
                let (event, at) = (*EVENTS.choose(&mut dice).unwrap(), dice.random_range(0..3));
                let generation = if at == 0 { generation.saturating_sub(1) } else { generation };
                let dice = dice.random();
                async move { (event, play(store, n, event, generation, dice).await) }
            });
            let learnt = join_all(plays).await;
            if is_dead {
                let is_alive = learnt.iter().any(|(_, learnt)| *learnt == Learnt::Alive);
                assert!(!is_alive, "seed {seed}, step {step}: it came back: {learnt:?}");
            }
            is_dead = is_dead || learnt.iter().any(|(_, learnt)| *learnt == Learnt::Dead);
        }
        if is_dead {
            deaths += 1;
            assert!(stores[0].load(&id(n)).await.unwrap().is_none(), "seed {seed}: it came back");
            assert_eq!(apply(&stores[1], n, Changes::default()).await, Applied::Gone, "seed {seed}: it came back");
        }
        if seed % 10 == 0 {
            check_keys(&server).await;
        }
    }
    check_keys(&server).await;
    assert!(deaths > seeds / 2, "most sessions end in so many steps: {deaths}");
}

async fn hundred_add_up(stores: &[RedisSessions]) {
    create(&stores[0], new(1)).await;
    let writers = (0..100u8).map(|n| {
        let store = stores[usize::from(n) % stores.len()].clone();
        tokio::spawn(async move {
            let changes = Changes {
                values: [(format!("own {n}").into(), Some(Bytes::from(vec![n])))].into(),
                counters: [("visits".into(), Addition { reset: false, add: 1 })].into(),
                ..member("seen", &[n])
            };
            apply(&store, 1, changes).await
        })
    });
    for applied in join_all(writers).await {
        assert!(matches!(applied.unwrap(), Applied::Done(_)));
    }
    let fields = fields(&stores[0], 1).await;
    assert_eq!(fields.values.len(), 100, "each has its value");
    assert_eq!(fields.counters.get("visits"), Some(&100), "each addition counts");
    assert_eq!(fields.sets["seen"].len(), 100, "each member is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_parallel_requests_lose_nothing() {
    let server = Server::start().await;
    hundred_add_up(&[RedisSessions::new(connect(&server.url()).await)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nor_do_those_of_four_clients() {
    let server = Server::start().await;
    let redis = join_all((0..4).map(|_| connect_to(&server))).await;
    hundred_add_up(&redis.into_iter().map(RedisSessions::new).collect::<Vec<_>>()).await;
    check_keys(&server).await;
}

async fn connect_to(server: &Server) -> bartizan::Redis {
    connect(&server.url()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nor_do_those_of_four_clients_of_a_cluster() {
    let cluster = Cluster::start().await;
    let mut stores = Vec::new();
    for _ in 0..4 {
        let handle = cluster.handle(Duration::from_secs(5)).deadline(Duration::from_secs(5));
        stores.push(RedisSessions::new(handle.connect().await.unwrap()));
    }
    hundred_add_up(&stores).await;
}

/// Polls until it has waited for so long, then drops it; whether it was done before.
async fn leave_after<F: Future>(polls: usize, future: F) -> bool {
    let mut future = pin!(future);
    for _ in 0..=polls {
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
            return true;
        }
        yield_now().await;
    }
    false
}

/// Whatever was done is done as a whole; who is logged in is listed.
#[tokio::test]
async fn what_is_dropped_at_any_moment_is_made_or_not() {
    let server = Server::start().await;
    let store = RedisSessions::new(connect(&server.url()).await);
    let whole = Changes { counters: [("n".into(), Addition { reset: false, add: 7 })].into(), ..set("a", b"1") };
    let mut n = 0;
    for polls in 0.. {
        n += 4;
        let begun = NewRecord { changes: whole.clone(), ..of(n, "ann") };
        let mut all_done = leave_after(polls, store.create(begun)).await;

        create(&store, new(n + 1)).await;
        let change = Changes { rotation: rights(2, Some("ann")).rotation, ..whole.clone() };
        all_done &= leave_after(polls, store.apply(&id(n + 1), Generation::default(), change)).await;

        create(&store, of(n + 2, "eve")).await;
        all_done &= leave_after(polls, store.destroy_all(&principal("eve"), None)).await;

        create(&store, of(n + 3, "ann")).await;
        all_done &= leave_after(polls, store.destroy(&id(n + 3))).await;
        all_done &= leave_after(polls, store.list(&principal("ann"))).await;
        all_done &= leave_after(polls, store.load(&id(n + 3))).await;

        // On the same connection, so after all of it.
        let listed = within(SOON, listed(&store, "ann")).await.0;
        for n in [n, n + 1] {
            let Some(loaded) = store.load(&id(n)).await.unwrap() else {
                assert!(!listed.contains(&n), "what is not there is not listed");
                continue;
            };
            let record = &loaded.record;
            let is_whole = record.fields.values.len() == 1 && record.fields.counters.get("n") == Some(&7);
            let is_untouched = record.fields.values.is_empty() && record.fields.counters.is_empty();
            assert!(is_whole || is_untouched, "after {polls} polls it is there in part: {record:?}");
            if record.head.principal == Some(principal("ann")) {
                assert!(is_whole && listed.contains(&n), "after {polls} polls somebody is logged in and not listed");
                assert!(record.head.secret == secret(2) || record.head.generation.number() == 0, "with its secret");
            }
        }
        if all_done {
            break;
        }
    }
    check_keys(&server).await;
}

/// What the time is there is told by a time to live, which others change meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_of_a_load_is_the_servers_whatever_happens_meanwhile() {
    let server = Server::start().await;
    let store = RedisSessions::new(connect(&server.url()).await);
    create(&store, new(1)).await;
    let writers = (0..4).map(|_| {
        let server = server.url();
        tokio::spawn(async move {
            let store = RedisSessions::new(connect(&server).await);
            let mut generation = 0;
            loop {
                let mut changes = rights(2, None);
                if let (Some(Rotation::Rights { lifetime, .. }), true) = (&mut changes.rotation, generation % 2 == 0) {
                    *lifetime = Lifetime::new(10 * IDLE, 20 * IDLE);
                }
                let applied = store.apply(&id(1), Generation::from_number(generation), changes).await.unwrap();
                if applied == Applied::Superseded {
                    let loaded = store.load(&id(1)).await.unwrap().unwrap();
                    generation = loaded.record.head.generation.number();
                } else {
                    generation += 1;
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let redis = connect(&server.url()).await;
    let store = RedisSessions::new(connect(&in_pieces(server.port).await).await);
    for _ in 0..500 {
        let (before, loaded, after) =
            tokio::join!(time(&redis), async { store.load(&id(1)).await.unwrap().unwrap() }, time(&redis));
        let (before, after) = (before.minus(ASIDE), after.plus(ASIDE));
        assert!(before <= loaded.now && loaded.now <= after, "{before:?} {:?} {after:?}", loaded.now);
    }
    for writer in writers {
        writer.abort();
    }
}

/// What may go by between a load and what is asked at the same time.
const ASIDE: Duration = Duration::from_secs(5);

async fn time(redis: &bartizan::Redis) -> Timestamp {
    let time = redis.command("TIME").run().await.unwrap().list().unwrap();
    let [secs, micros] = time.try_into().unwrap();
    Timestamp::from_millis(u64::try_from(secs.int().unwrap() * 1000 + micros.int().unwrap() / 1000).unwrap())
}

/// The URL of what carries to a server what comes, in pieces, so that others are served between the commands of a pipeline.
async fn in_pieces(port: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            server.set_nodelay(true).unwrap();
            let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let mut piece = [0; 100];
                while let Ok(read @ 1..) = from_client.read(&mut piece).await {
                    to_server.write_all(&piece[..read]).await.unwrap();
                    yield_now().await;
                }
            });
        }
    });
    url
}
