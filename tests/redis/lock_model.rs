//! What a fenced resource accepts, whatever happens to the server and to those who hold the lock.

use std::time::Duration;

use bartizan::{
    Redis,
    redis::lock::{Fenced, FencingToken, Lock, LockGuard},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    replication::{Replication, is_primary, offset},
    support::{Sentinels, Server, eventually},
};

const MILLI: Duration = Duration::from_millis(1);

/// Beyond what the servers themselves need to agree on a new primary.
const LIMIT: Duration = Duration::from_secs(30);

/// Of the lock's one handle at each of several processes, by turns, as slow ones.
struct World {
    handles: Vec<(Lock, Fenced)>,
    /// Who held the lock and does not know whether they do: a holder that was stopped writes whatever it was about to.
    stopped: Vec<LockGuard>,
    /// The tokens in the order in which they were won.
    won: Vec<FencingToken>,
    /// The tokens of what a resource accepted that forgets nothing.
    accepted: Vec<FencingToken>,
    refused: u32,
    random: StdRng,
}

// === impl World ===

impl World {
    fn of(url: &str, seed: u64) -> Self {
        let (handles, random) = (Self::processes(url), StdRng::seed_from_u64(seed));
        Self { handles, stopped: Vec::new(), won: Vec::new(), accepted: Vec::new(), refused: 0, random }
    }

    /// That have seen no token yet.
    fn processes(url: &str) -> Vec<(Lock, Fenced)> {
        let mut handles = Vec::new();
        for _ in 0..4 {
            let redis = Redis::builder(url).unwrap().backoff(10 * MILLI, 50 * MILLI).build().unwrap();
            // Never renewed, so that a holder that does nothing is one that is stopped.
            let lock = Lock::new(&redis, "model").unwrap().ttl(LIMIT).without_renewal();
            handles.push((lock, Fenced::new(&redis, "model").unwrap()));
        }
        handles
    }

    /// A holder comes in, and writes at once.
    async fn acquire(&mut self) {
        let at = self.random.random_range(0..self.handles.len());
        let (lock, value) = &self.handles[at];
        // Of a handle that is stopped another is made, as of a process that came up again.
        let lock = lock.clone();
        let ((guard, value), _) = eventually("the lock is won", LIMIT, async || match lock.try_acquire().await {
            Ok(guard) => Some((guard, value)),
            Err(error) => {
                assert!(error.is_unavailable() || error.is_held(), "{error}");
                None
            }
        })
        .await;
        eventually("the resource is asked", LIMIT, async || match value.write(&guard, "new").await {
            Ok(()) => Some(()),
            Err(error) => {
                assert!(error.is_unavailable(), "the newest holder is refused: {error}");
                None
            }
        })
        .await;
        self.won.push(guard.token());
        assert!(self.accept(guard.token()), "the newest holder is refused");
        self.stopped.push(guard);
    }

    /// A holder that was stopped goes on.
    fn write(&mut self) {
        if self.stopped.is_empty() {
            return;
        }
        let at = self.random.random_range(0..self.stopped.len());
        let token = self.stopped[at].token();
        let is_newest = self.won.last() == Some(&token);
        assert_eq!(self.accept(token), is_newest, "of those who were followed nothing is accepted");
    }

    fn accept(&mut self, token: FencingToken) -> bool {
        let accepts = self.accepted.last().is_none_or(|newest| *newest <= token);
        if accepts {
            self.accepted.push(token);
        } else {
            self.refused += 1;
        }
        accepts
    }

    fn check(&self) {
        assert!(self.won.is_sorted_by(|a, b| a < b), "each token is above all before it: {:?}", self.won);
        assert!(self.accepted.is_sorted(), "what was accepted is in order");
        println!("{} held it, {} writes accepted, {} refused", self.won.len(), self.accepted.len(), self.refused);
    }

    /// Whoever holds the lock holds it no more, and does not know.
    async fn expire(server: &Server) {
        server.tell(&["DEL", "bartizan:lock:{model}:holder"]).await;
    }
}

#[tokio::test]
async fn tokens_rise_through_expiry_flush_and_restart() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut server = Server::start().await;
    let mut world = World::of(&server.url(), seed);
    for _ in 0..300 {
        match world.random.random_range(0..100) {
            0..50 => {
                World::expire(&server).await;
                world.acquire().await;
            }
            50..85 => world.write(),
            85..97 => {
                server.tell(&["FLUSHALL"]).await;
                world.acquire().await;
            }
            _ => {
                server.kill();
                server.restart().await;
                world.acquire().await;
            }
        }
    }
    assert!(world.refused > 20, "some came too late: {}", world.refused);
    world.check();
}

/// The replica has heard neither of the last holders nor of their tokens.
#[tokio::test]
async fn tokens_rise_through_a_failover_that_loses_the_last_of_them() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut group = Sentinels::start().await;
    let way = Replication::of_sentinels(&group).await;
    let url = group.url();
    let mut world = World::of(&url, seed);
    let [primary, replica] = &mut group.servers[..] else { unreachable!("there are two servers") };
    for _ in 0..20 {
        World::expire(primary).await;
        world.acquire().await;
    }
    eventually("the replica has it", LIMIT, async || (offset(replica).await >= offset(primary).await).then_some(()))
        .await;
    way.hold();
    for _ in 0..20 {
        World::expire(primary).await;
        world.acquire().await;
        world.write();
    }
    assert!(offset(replica).await < offset(primary).await, "the replica lacks the last of them");
    primary.kill();
    way.lose();
    eventually("there is a new primary", LIMIT, async || is_primary(replica).await.then_some(())).await;
    // Which has the holder of before, who was followed long since.
    World::expire(replica).await;
    world.handles = World::processes(&url);
    for _ in 0..20 {
        world.acquire().await;
        World::expire(replica).await;
        for _ in 0..3 {
            world.write();
        }
    }
    world.check();
}
