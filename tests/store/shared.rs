//! What two processes have of one store: here two handles, each with connections and memory of its own.

use std::time::Duration;

use bartizan::{
    Memory, Redis, RedisStore, Tiered,
    clock::Timestamp,
    store::{
        Ending, Filled, Kept, Key, Lease, Leased, Primary, Store, Tag, Tags, TieredLease, Wait, Woken,
        conformance::Probe,
    },
};

use crate::support::{Link, Proxy, Server, eventually, within};

const KEEP: Timestamp = Timestamp::from_secs(4_000_000_000);
const SOON: Duration = Duration::from_secs(10);
const BOUND: Duration = Duration::from_millis(400);

/// The one that is asked for.
fn key() -> Key {
    Key::new(Primary::from(7))
}

struct Node(Tiered<Probe>);

// === impl Node ===

impl Node {
    async fn at(url: &str) -> Self {
        let node = Self::apart(url).await;
        eventually("the channel works", SOON, async || node.0.is_connected().then_some(())).await;
        node
    }

    /// One whose channel may not work yet.
    async fn apart(url: &str) -> Self {
        let redis = Redis::builder(url).unwrap().deadline(Duration::from_millis(200)).build().unwrap();
        let far = RedisStore::builder(redis).lease_time(Duration::from_millis(600)).build();
        let store = Tiered::with_staleness_bound(Memory::with_capacity(1 << 20), far, BOUND);
        drop(store.lease(Key::new(1.into()), None).await);
        Self(store)
    }

    async fn lease(&self) -> Leased<Probe, TieredLease<Probe>> {
        self.0.lease(key(), None).await.unwrap()
    }

    async fn won(&self) -> TieredLease<Probe> {
        match self.lease().await {
            Leased::Won(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    async fn busy(&self) -> Wait<Probe, TieredLease<Probe>> {
        match self.lease().await {
            Leased::Busy(wait) => wait,
            other => panic!("{other:?}"),
        }
    }

    async fn found(&self) -> Kept<Probe> {
        match self.lease().await {
            Leased::Found(kept) => kept,
            other => panic!("{other:?}"),
        }
    }

    fn near(&self) -> Option<u64> {
        self.0.get_now(&key()).map(|kept| kept.0)
    }

    async fn fill(&self, value: u64, tag: &str) {
        let filled = self.won().await.fill(Probe(value), KEEP, Tags::from_iter([tag])).await.unwrap();
        assert_eq!(filled, Filled::Stored);
    }

    async fn forgets(&self, what: &str) {
        eventually(what, SOON, async || self.near().is_none().then_some(())).await;
    }
}

#[tokio::test]
async fn what_one_made_the_other_finds_and_keeps_near() {
    let server = Server::start().await;
    let (one, two) = (Node::at(&server.url()).await, Node::at(&server.url()).await);
    one.fill(5, "a").await;
    assert_eq!((one.near(), two.near()), (Some(5), None));
    let kept = two.found().await;
    assert_eq!((kept.0, kept.keep_until(), kept.tags().len()), (5, KEEP, 1));
    assert_eq!(two.near(), Some(5), "the next time it is not asked for");
}

#[tokio::test]
async fn one_makes_it_and_the_other_is_woken() {
    let server = Server::start().await;
    let (one, two) = (Node::at(&server.url()).await, Node::at(&server.url()).await);
    let lease = one.won().await;
    let wait = tokio::spawn(two.busy().await);
    let waits_behind = two.busy().await;
    lease.fill(Probe(5), KEEP, Tags::default()).await.unwrap();
    let (woken, took) = within(SOON, wait).await;
    assert!(matches!(woken.unwrap(), Woken::Found(kept) if kept.0 == 5));
    assert!(took < Duration::from_millis(300), "it was told, and did not ask: {took:?}");
    assert!(matches!(waits_behind.await, Woken::Found(kept) if kept.0 == 5));
}

#[tokio::test]
async fn the_wait_ends_however_the_lease_ends() {
    let server = Server::start().await;
    let (one, two) = (Node::at(&server.url()).await, Node::at(&server.url()).await);
    for ending in [Ending::Uncacheable, Ending::Failed] {
        let (lease, wait) = (one.won().await, two.busy().await);
        lease.disband(ending).await;
        assert!(matches!(within(SOON, wait).await.0, Woken::Alone(why) if why == ending));
    }
    let (lease, wait) = (one.won().await, two.busy().await);
    drop(lease);
    assert!(matches!(within(SOON, wait).await.0, Woken::Won(_)), "the other makes it");
}

#[tokio::test]
async fn a_lease_is_held_for_as_long_as_its_holder_works_and_not_longer() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let (one, two) = (Node::at(&proxy.url()).await, Node::at(&server.url()).await);
    let (lease, wait) = (one.won().await, two.busy().await);
    assert!(tokio::time::timeout(Duration::from_millis(1500), wait).await.is_err(), "it is renewed");
    let wait = two.busy().await;
    proxy.set(Link::Cut);
    let (woken, took) = within(SOON, wait).await;
    assert!(matches!(woken, Woken::Won(_)) && took < Duration::from_millis(1500), "{took:?}");
    proxy.set(Link::Up);
    if let Ok(filled) = lease.fill(Probe(5), KEEP, Tags::default()).await {
        assert_eq!(filled, Filled::Superseded, "another has the lease");
    }
}

#[tokio::test]
async fn what_one_removes_the_other_forgets() {
    let server = Server::start().await;
    let (one, two) = (Node::at(&server.url()).await, Node::at(&server.url()).await);
    for way in ["tag", "resource", "all"] {
        one.fill(5, "a").await;
        assert_eq!(two.found().await.0, 5, "{way}");
        match way {
            "tag" => one.0.remove_tagged(Tag::from("a")).await,
            "resource" => one.0.remove(key().primary()).await,
            _ => one.0.clear().await,
        }
        .unwrap();
        assert_eq!(one.near(), None, "{way}: at once");
        let (_, took) = eventually(way, SOON, async || two.near().is_none().then_some(())).await;
        assert!(took < BOUND, "{way}: it was told; {took:?}");
        assert!(two.0.is_connected(), "{way}: nothing was missed");
        drop(one.won().await);
    }
}

#[tokio::test]
async fn who_hears_nothing_believes_nothing_for_longer_than_the_bound() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let (one, two) = (Node::at(&server.url()).await, Node::at(&proxy.url()).await);
    for link in [Link::Held, Link::HalfOpen, Link::Cut] {
        one.0.clear().await.unwrap();
        one.fill(5, "a").await;
        eventually("the channel works", SOON, async || {
            (two.0.is_connected() && matches!(two.lease().await, Leased::Found(_))).then_some(())
        })
        .await;
        proxy.set(link);
        one.0.remove_tagged(Tag::from("a")).await.unwrap();
        let (_, took) = eventually("it forgets", SOON, async || two.near().is_none().then_some(())).await;
        assert!(took <= BOUND + Duration::from_millis(50), "{link:?}: {took:?}");
        let lease = two.won().await;
        lease.fill(Probe(9), KEEP, Tags::default()).await.unwrap();
        assert_eq!(two.near(), Some(9), "{link:?}: alone, it believes what it made itself");
        two.forgets("it does for no longer than the bound").await;
        let says = two.0.usage().sharing.unwrap();
        // Over a link that only lost what was on it there is soon another channel.
        assert!(
            says.staleness_bound == BOUND && (link == Link::HalfOpen || !says.is_connected),
            "{link:?}: and says so"
        );
        proxy.set(Link::Up);
        eventually("the channel works again", SOON, async || two.0.is_connected().then_some(())).await;
        assert_eq!(two.near(), None, "{link:?}: what it made alone nobody knew of");
    }
}

#[tokio::test]
async fn a_removal_that_could_not_be_sent_is_made_up_for() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let (one, two) = (Node::at(&proxy.url()).await, Node::at(&server.url()).await);
    two.fill(5, "a").await;
    assert_eq!(one.found().await.0, 5);
    proxy.set(Link::Cut);
    assert!(one.0.remove_tagged(Tag::from("a")).await.is_err(), "the caller is told");
    assert_eq!(one.near(), None, "here it is removed");
    assert_eq!(two.near(), Some(5));
    proxy.set(Link::Up);
    two.forgets("the removal arrives").await;
    drop(two.won().await);
}

#[tokio::test]
async fn a_removal_works_on_a_server_that_is_full() {
    let server = Server::start().await;
    let (one, two) = (Node::at(&server.url()).await, Node::at(&server.url()).await);
    one.fill(5, "a").await;
    assert_eq!(two.found().await.0, 5);
    server.tell(&["CONFIG", "SET", "maxmemory", "1"]).await;
    one.0.remove_tagged(Tag::from("a")).await.unwrap();
    two.forgets("it was told all the same").await;
    server.tell(&["CONFIG", "SET", "maxmemory", "0"]).await;
    drop(two.won().await);
}

#[tokio::test]
async fn what_another_program_deletes_is_noticed() {
    let server = Server::start().await;
    let (one, two) = (Node::at(&server.url()).await, Node::at(&server.url()).await);
    one.fill(5, "a").await;
    assert_eq!(two.found().await.0, 5);
    let keys: Vec<String> = server.ask(&["KEYS", "*:entry:*"]).await.unwrap();
    assert_eq!(keys.len(), 1);
    eventually("both forget it", SOON, async || {
        // Until both watch, there is nobody to notice.
        server.tell(&["SET", &keys[0], "somebody's own"]).await;
        (one.near().is_none() && two.near().is_none()).then_some(())
    })
    .await;
    drop(two.won().await);
    assert!(one.0.is_connected() && two.0.is_connected(), "and nothing else");
}

#[tokio::test]
async fn a_server_that_restarts_empty_is_no_gap_in_the_service() {
    let mut server = Server::start().await;
    let (one, two) = (Node::at(&server.url()).await, Node::at(&server.url()).await);
    one.fill(5, "a").await;
    assert_eq!(two.found().await.0, 5);
    let lease = one.0.lease(key().with_variant(1), None).await.unwrap();
    server.kill();
    server.restart().await;
    for node in [&one, &two] {
        eventually("the channel works again", SOON, async || {
            drop(node.0.lease(Key::new(1.into()), None).await);
            node.0.is_connected().then_some(())
        })
        .await;
    }
    let Leased::Won(lease) = lease else { panic!("it was free") };
    let filled = lease.fill(Probe(6), KEEP, Tags::default()).await.unwrap();
    assert_eq!(filled, Filled::Superseded, "a server that knows nothing of a lease refuses it");
    one.fill(7, "a").await;
    assert_eq!(two.found().await.0, 7);
}

#[tokio::test]
async fn what_is_no_value_is_a_miss() {
    let server = Server::start().await;
    let far = RedisStore::new(Redis::connect(&server.url()).await.unwrap());
    let fill = async |value| {
        let Leased::Won(lease) = Store::<Probe>::lease(&far, key(), None).await.unwrap() else { panic!("it is free") };
        lease.fill(Probe(value), KEEP, Tags::from_iter(["a"])).await.unwrap()
    };
    fill(5).await;
    let keys: Vec<String> = server.ask(&["KEYS", "*:entry:*"]).await.unwrap();
    for (at, garbage) in ["", "bz", "bz\u{1}", "x".repeat(100).as_str()].into_iter().enumerate() {
        server.tell(&["SET", &keys[0], garbage]).await;
        fill(at as u64).await;
    }
    // An envelope as it should be, around what is no value of this kind.
    server.tell(&["SETRANGE", &keys[0], "44", "garbage"]).await;
    fill(6).await;
    server.tell(&["DEL", &keys[0]]).await;
    server.tell(&["LPUSH", &keys[0], "a list"]).await;
    fill(7).await;
    let Leased::Found(kept) = Store::<Probe>::lease(&far, key(), None).await.unwrap() else { panic!("it was filled") };
    assert_eq!(kept.0, 7, "a key of another kind is taken over");
}
