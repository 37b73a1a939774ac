//! The scripts repeat the arithmetic of `quota`: the table of cases, and random walks of both side by side.

use std::time::Duration;

use bartizan::{
    Redis,
    clock::{TestClock, Timestamp},
    limit::{Charge, Identity, Ledger, Limiter, RedisLimiter},
    quota::{Algorithm, Decision, Denied, Meter, Quota, Standing, Taken},
};

use crate::{
    support::Server,
    table::{Player, play_all},
};

/// An account on a server.
struct Account {
    limiter: RedisLimiter,
    clock: TestClock,
    ledger: Ledger,
    identity: Identity,
    begun: u32,
}

// === impl Account ===

impl Account {
    async fn on(server: &Server) -> Self {
        let clock = TestClock::new();
        let redis = Redis::builder(&server.url()).unwrap().deadline(Duration::from_secs(20)).connect().await.unwrap();
        let limiter = RedisLimiter::builder(redis).clock(clock.clone()).build();
        let ledger = Ledger::new("table", Algorithm::Sliding);
        Self { limiter, clock, ledger, identity: Identity::new(), begun: 0 }
    }

    fn charge<'a>(&'a self, quota: &'a Quota, cost: u64) -> Charge<'a> {
        Charge { ledger: &self.ledger, identity: &self.identity, quota, cost }
    }

    fn at(&self, now: Timestamp) {
        self.clock.set(now);
    }
}

impl Player for Account {
    fn begin(&mut self, algorithm: Algorithm) {
        self.begun += 1;
        self.ledger = Ledger::new("table", algorithm);
        self.identity = Identity::from(&*format!("case {}", self.begun));
    }

    async fn take(&mut self, quota: &Quota, cost: u64, now: Timestamp) -> Result<Taken, Denied> {
        self.at(now);
        let verdict = self.limiter.take(&[self.charge(quota, cost)]).await.unwrap();
        match verdict.into_decisions().next() {
            Some(Decision::Taken(taken)) => Ok(taken),
            Some(Decision::Denied(denied)) => Err(denied),
            other => panic!("{other:?}"),
        }
    }

    async fn peek(&mut self, quota: &Quota, cost: u64, now: Timestamp) -> Result<Standing, Denied> {
        self.at(now);
        let verdict = self.limiter.peek(&[self.charge(quota, cost)]).await.unwrap();
        match verdict.into_decisions().next() {
            Some(Decision::Open(standing)) => Ok(standing),
            Some(Decision::Denied(denied)) => Err(denied),
            other => panic!("{other:?}"),
        }
    }

    async fn refund(&mut self, quota: &Quota, taken: Taken, now: Timestamp) -> u64 {
        self.at(now);
        self.limiter.refund(self.charge(quota, taken.cost()), taken).await.unwrap()
    }

    async fn penalise(&mut self, quota: &Quota, cost: u64, now: Timestamp) -> Standing {
        self.at(now);
        self.limiter.penalise(self.charge(quota, cost)).await.unwrap()
    }

    async fn reset(&mut self, now: Timestamp) {
        self.at(now);
        self.limiter.reset(&self.ledger, &self.identity).await.unwrap();
    }
}

#[tokio::test]
async fn the_table_comes_true_on_a_server() {
    let server = Server::start().await;
    play_all(&mut Account::on(&server).await).await;
}

/// The same walk each time.
struct Dice(u64);

impl Dice {
    /// Below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % sides.max(1)
    }

    fn quota(&mut self) -> Quota {
        let limit = match self.roll(8) {
            0 => 1 + self.roll(3),
            1..4 => 1 + self.roll(100),
            4..6 => 1 + self.roll(5_000),
            6 => Quota::MAX_LIMIT - self.roll(10),
            _ => 1 + self.roll(Quota::MAX_LIMIT),
        };
        let ten_years = Quota::MAX_WINDOW.as_millis() as u64;
        let window = match self.roll(6) {
            0 => 1 + self.roll(3),
            1..4 => 1 + self.roll(3_000),
            4 => 1 + self.roll(ten_years),
            _ => ten_years - self.roll(3),
        };
        let quota = Quota::new(limit, Duration::from_millis(window)).unwrap();
        if self.roll(3) == 0 { quota.burst(1 + self.roll(limit)) } else { quota }
    }

    fn cost(&mut self, quota: &Quota, remaining: u64) -> u64 {
        match self.roll(8) {
            0..4 => self.roll(4),
            4 => self.roll(quota.limit() / 4 + 2),
            5 => quota.limit() / 60 + self.roll(3),
            6 => remaining + self.roll(2),
            _ => self.roll(quota.limit() + 2),
        }
    }

    fn wait(&mut self, quota: &Quota) -> u64 {
        let window = quota.window().as_millis() as u64;
        match self.roll(12) {
            0..4 => 0,
            4 => self.roll(5),
            5..8 => self.roll(window / 40 + 2),
            8 => self.roll(window + 2),
            9 => window - 1 + self.roll(3),
            10 => self.roll(window * 5 / 2),
            _ => 1 + window / 61,
        }
    }
}

async fn walk(account: &mut Account, algorithm: Algorithm, seed: u64, steps: u64) {
    let mut dice = Dice(seed);
    account.begin(algorithm);
    let (mut counter, mut quota) = (algorithm.counter(), dice.quota());
    let mut now = 1_700_000_000_123;
    let mut receipts: Vec<(Taken, Taken)> = Vec::new();
    for step in 0..steps {
        now += dice.wait(&quota);
        if dice.roll(40) == 0 {
            now -= dice.wait(&quota).min(now / 2);
        }
        let at = Timestamp::from_millis(now.min(1 << 47));
        let place = format!("{algorithm:?}, seed {seed}, step {step}, at {now}, {quota:?}");
        let want = Meter::peek(&counter, &quota, 0, at);
        assert_eq!(account.peek(&quota, 0, at).await, want, "{place}: how it stands");
        let cost = dice.cost(&quota, want.unwrap().remaining());
        match dice.roll(20) {
            0..13 => match (Meter::take(&mut counter, &quota, cost, at), account.take(&quota, cost, at).await) {
                (Ok(want), Ok(got)) => {
                    assert_eq!(got, want, "{place}: {cost} taken");
                    receipts.push((want, got));
                }
                (want, got) => assert_eq!(got, want, "{place}: {cost} taken"),
            },
            13..17 => {
                if !receipts.is_empty() {
                    let back = dice.roll(12).min(receipts.len() as u64 - 1);
                    let (ours, theirs) = receipts.remove(receipts.len() - 1 - back as usize);
                    let kept = dice.roll(3);
                    let want = Meter::refund(&mut counter, &quota, ours.all_but(kept), at);
                    assert_eq!(account.refund(&quota, theirs.all_but(kept), at).await, want, "{place}: refund");
                }
            }
            17 => {
                let want = Meter::peek(&counter, &quota, cost, at);
                assert_eq!(account.peek(&quota, cost, at).await, want, "{place}: {cost} looked at");
            }
            18 => match dice.roll(6) {
                0 => {
                    Meter::reset(&mut counter, at);
                    account.reset(at).await;
                }
                1 => quota = dice.quota(),
                2 => {
                    // A limit that changes, and a window that stays.
                    let limit = 1 + dice.roll(2 * quota.limit().min(1 << 40));
                    quota = Quota::new(limit, quota.window()).unwrap();
                }
                _ => {}
            },
            _ => {
                let want = Meter::penalise(&mut counter, &quota, cost, at);
                assert_eq!(account.penalise(&quota, cost, at).await, want, "{place}: penalty of {cost}");
            }
        }
    }
}

#[tokio::test]
async fn walks_are_the_same_on_a_server() {
    let server = Server::start().await;
    let mut account = Account::on(&server).await;
    let seeds = std::env::var("BARTIZAN_SEEDS").map_or(40, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        for algorithm in Algorithm::ALL {
            walk(&mut account, algorithm, seed, 150).await;
        }
    }
    assert_eq!(account.limiter.usage().replaced, 0, "all that was written could be read");
}
