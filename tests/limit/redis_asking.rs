//! What the server is asked for a check, and what is not asked.

use std::time::Duration;

use bartizan::{
    Redis,
    clock::TestClock,
    limit::{Charge, Identity, Ledger, Limiter, RedisLimiter},
    quota::{Algorithm, Decision, Quota, Retry},
};
use futures_util::{future::join_all, poll};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::support::{Link, Proxy, Server, within};

const SOON: Duration = Duration::from_secs(20);

/// Hears every command of the server.
struct Monitor<'a> {
    server: &'a Server,
    lines: BufReader<TcpStream>,
    marks: u32,
}

// === impl Monitor ===

impl<'a> Monitor<'a> {
    async fn of(server: &'a Server) -> Self {
        let mut socket = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
        socket.write_all(b"MONITOR\r\n").await.unwrap();
        let mut lines = BufReader::new(socket);
        let mut ok = String::new();
        lines.read_line(&mut ok).await.unwrap();
        assert_eq!(ok, "+OK\r\n");
        Self { server, lines, marks: 0 }
    }

    /// The scripts that were sent since the last time, and what they did.
    async fn heard(&mut self) -> (usize, Vec<String>) {
        self.marks += 1;
        let mark = format!("mark {}", self.marks);
        self.server.tell(&["ECHO", &mark]).await;
        let (mut scripts, mut commands) = (0, Vec::new());
        loop {
            let mut line = Vec::new();
            assert!(self.lines.read_until(b'\n', &mut line).await.unwrap() > 0, "the server is up");
            let line = String::from_utf8_lossy(&line).into_owned();
            if line.contains(&mark) {
                return (scripts, commands);
            }
            if line.contains(" lua]") {
                commands.push(line.split('"').nth(1).unwrap_or_default().to_owned());
            } else if line.contains("\"EVAL") {
                scripts += 1;
            }
        }
    }
}

async fn handle(url: &str) -> Redis {
    Redis::builder(url).unwrap().deadline(SOON).connect().await.unwrap()
}

fn sliding(name: &str) -> Ledger {
    Ledger::new(name, Algorithm::Sliding)
}

#[tokio::test]
async fn a_check_is_one_script_and_one_round_trip_however_many_quotas_it_has() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let limiter = RedisLimiter::new(handle(&proxy.url()).await);
    let quota = Quota::per_hour(100);
    let ledgers = Algorithm::ALL.map(|algorithm| Ledger::new("each", algorithm));
    let (ada, bob) = (Identity::from("ada"), Identity::from("bob"));
    let charges: Vec<_> = [&ada, &bob]
        .into_iter()
        .flat_map(|identity| ledgers.iter().map(move |ledger| (ledger, identity)))
        .map(|(ledger, identity)| Charge { ledger, identity, quota: &quota, cost: 1 })
        .collect();
    // The server learns the script.
    assert!(limiter.take(&charges).await.unwrap().is_allowed());
    let mut monitor = Monitor::of(&server).await;
    let late = Duration::from_millis(150);
    proxy.set(Link::Slow(late));
    let (verdict, took) = within(SOON, limiter.take(&charges)).await;
    assert!(verdict.unwrap().is_allowed());
    assert_eq!(monitor.heard().await.0, 1);
    assert!(took >= 2 * late && took < 4 * late, "there and back once is {:?}, not {took:?}", 2 * late);
}

#[tokio::test]
async fn whoever_asks_in_the_same_moment_shares_a_script() {
    let server = Server::start().await;
    let limiter = RedisLimiter::new(handle(&server.url()).await);
    let (quota, ledger) = (Quota::per_hour(30), sliding("crowd"));
    let identities: Vec<_> = (0..2).map(|number| Identity::from(&*format!("user {number}"))).collect();
    let charge = |number: usize| Charge { ledger: &ledger, identity: &identities[number % 2], quota: &quota, cost: 1 };
    let take = async |number| limiter.take(&[charge(number)]).await.unwrap();
    take(0).await;
    let mut monitor = Monitor::of(&server).await;
    let verdicts = join_all((1..=50).map(take)).await;
    assert_eq!(monitor.heard().await.0, 1);
    let allowed = verdicts.iter().filter(|verdict| verdict.is_allowed()).count();
    assert_eq!(allowed, 50, "each is asked for on its own");
    let left = |verdict: &bartizan::limit::Verdict| verdict.decisions()[0].standing().remaining();
    let mut seen: Vec<_> = verdicts.iter().skip(1).step_by(2).map(left).collect();
    seen.dedup();
    assert_eq!(seen.len(), 25, "and has an answer of its own");
    let verdicts = join_all((1..=50).map(take)).await;
    assert_eq!(verdicts.iter().filter(|verdict| verdict.is_allowed()).count(), 9, "30 each, and no more");
}

#[tokio::test]
async fn who_goes_away_leaves_the_call_to_the_others() {
    let server = Server::start().await;
    let limiter = RedisLimiter::new(handle(&server.url()).await);
    let (quota, ledger, ada) = (Quota::per_hour(9), sliding("crowd"), Identity::from("ada"));
    let charges = [Charge { ledger: &ledger, identity: &ada, quota: &quota, cost: 1 }];
    limiter.take(&charges).await.unwrap();
    for polls in 1..4 {
        let mut first = Box::pin(limiter.take(&charges));
        for _ in 0..polls {
            assert!(poll!(&mut first).is_pending());
        }
        // Where the call is out already, it has one of its own.
        let mut second = Box::pin(limiter.take(&charges));
        assert!(poll!(&mut second).is_pending());
        drop(first);
        let (verdict, _) = within(SOON, second).await;
        assert!(verdict.unwrap().is_allowed(), "polled {polls} times");
    }
    // Nobody polls what nobody waits for.
    drop(limiter.take(&charges));
    let mut alone = Box::pin(limiter.take(&charges));
    assert!(poll!(&mut alone).is_pending());
    drop(alone);
    let (verdict, _) = within(SOON, limiter.take(&charges)).await;
    let remaining = verdict.unwrap().decisions()[0].standing().remaining();
    assert!((1..=4).contains(&remaining), "from 5 to 8 are counted: {remaining}");
}

#[tokio::test]
async fn what_is_denied_writes_nothing() {
    let server = Server::start().await;
    let limiter = RedisLimiter::builder(handle(&server.url()).await).denied_capacity(0).build();
    for algorithm in Algorithm::ALL {
        let (quota, ledger, ada) = (Quota::per_hour(3), Ledger::new("denied", algorithm), Identity::from("ada"));
        let charge = |cost| [Charge { ledger: &ledger, identity: &ada, quota: &quota, cost }];
        limiter.take(&charge(2)).await.unwrap();
        let mut monitor = Monitor::of(&server).await;
        for cost in [2, 3, 4, 0] {
            limiter.take(&charge(cost)).await.unwrap();
            limiter.peek(&charge(cost)).await.unwrap();
        }
        let (scripts, commands) = monitor.heard().await;
        assert!(scripts >= 8, "nothing was remembered: {scripts}");
        let reads = |command: &String| matches!(command.as_str(), "TIME" | "GET" | "MGET" | "GETRANGE");
        assert!(commands.iter().all(reads), "{algorithm:?}: {commands:?}");
    }
}

#[tokio::test]
async fn a_flood_of_what_is_denied_costs_next_to_no_round_trips() {
    let server = Server::start().await;
    let limiter = RedisLimiter::new(handle(&server.url()).await);
    let (quota, ledger, ada) = (Quota::per_hour(1), sliding("flood"), Identity::from("ada"));
    let (other, ledger_of_other) = (Quota::per_hour(5), sliding("by user"));
    let users: Vec<_> = (0..100).map(|number| Identity::from(&*format!("user {number}"))).collect();
    let mut denied = 0;
    for number in 0..2_001 {
        let charges = [
            Charge { ledger: &ledger, identity: &ada, quota: &quota, cost: 1 },
            Charge { ledger: &ledger_of_other, identity: &users[number % 100], quota: &other, cost: 1 },
        ];
        let verdict = match limiter.take_now(&charges) {
            Some(verdict) => verdict,
            None => limiter.take(&charges).await.unwrap(),
        };
        denied += u64::from(!verdict.is_allowed());
    }
    let usage = limiter.usage();
    println!("{denied} denied in {} round trips", usage.asked - 1);
    assert_eq!(denied, 2_000);
    assert_eq!(usage.recalled + usage.asked, 2_001);
    // One at first, and one a second for as long as the test runs.
    assert!(usage.asked <= 12, "{usage:?}");
}

#[tokio::test]
async fn what_is_remembered_is_asked_again_when_it_may_be_allowed_or_after_a_second() {
    let server = Server::start().await;
    let clock = TestClock::new();
    let limiter = RedisLimiter::builder(handle(&server.url()).await).clock(clock.clone()).build();
    let (ledger, ada, bob) = (sliding("memory"), Identity::from("ada"), Identity::from("bob"));
    let (quota, long) = (Quota::new(3, Duration::from_millis(400)).unwrap(), Quota::per_hour(3));
    let charge = |cost| [Charge { ledger: &ledger, identity: &ada, quota: &quota, cost }];
    let millis = Duration::from_millis;
    assert!(limiter.take_now(&charge(1)).is_none(), "nothing is known");
    limiter.take(&charge(2)).await.unwrap();
    assert!(!limiter.take(&charge(2)).await.unwrap().is_allowed());

    clock.advance(millis(100));
    let verdict = limiter.take_now(&charge(2)).unwrap();
    assert_eq!(verdict.retry(), Some(Retry::After(millis(300))), "less by the time that passed");
    let standing = verdict.decisions()[0].standing();
    assert_eq!((standing.remaining(), standing.more_after(), standing.more()), (1, Some(millis(300)), 2));
    assert!(limiter.take_now(&charge(1)).is_none(), "less may be had");
    assert_eq!(limiter.take_now(&charge(4)).unwrap().retry(), Some(Retry::Never));
    let by_another = [Charge { quota: &long, ..charge(2)[0] }];
    assert!(limiter.take_now(&by_another).is_none(), "another quota may allow it");

    clock.advance(millis(299));
    assert!(limiter.take_now(&charge(2)).is_some());
    clock.advance(millis(1));
    assert!(limiter.take_now(&charge(2)).is_none());
    assert!(limiter.take(&charge(2)).await.unwrap().is_allowed());

    let charge = |cost| [Charge { ledger: &ledger, identity: &bob, quota: &long, cost }];
    let taken = limiter.take(&charge(3)).await.unwrap().into_decisions().next();
    limiter.take(&charge(1)).await.unwrap();
    clock.advance(millis(999));
    assert!(limiter.take_now(&charge(1)).is_some());
    clock.advance(millis(1));
    assert!(limiter.take_now(&charge(1)).is_none(), "somebody else may have given back");

    limiter.take(&charge(1)).await.unwrap();
    let Some(Decision::Taken(taken)) = taken else { panic!("it was taken") };
    assert_eq!(limiter.refund(charge(3)[0], taken).await.unwrap(), 3);
    assert!(limiter.take_now(&charge(1)).is_none(), "what was given back here is known here");
    limiter.take(&charge(3)).await.unwrap();
    limiter.take(&charge(1)).await.unwrap();
    limiter.reset(&ledger, &bob).await.unwrap();
    assert!(limiter.take_now(&charge(1)).is_none());
    assert!(limiter.take(&charge(3)).await.unwrap().is_allowed());
}

#[tokio::test]
async fn all_is_taken_or_nothing_also_from_an_account_that_comes_twice() {
    let server = Server::start().await;
    let limiter = RedisLimiter::builder(handle(&server.url()).await).denied_capacity(0).build();
    for algorithm in Algorithm::ALL {
        let ledger = Ledger::new("all", algorithm);
        let (ada, bob) = (Identity::from("ada"), Identity::from("bob"));
        let (three, two) = (Quota::per_hour(3), Quota::per_hour(2));
        let of_ada = Charge { ledger: &ledger, identity: &ada, quota: &three, cost: 1 };
        let of_bob = Charge { ledger: &ledger, identity: &bob, quota: &two, cost: 1 };
        let remaining = async |charge: &Charge<'_>| {
            let verdict = limiter.peek(&[Charge { cost: 0, ..*charge }]).await.unwrap();
            verdict.decisions()[0].standing().remaining()
        };
        for _ in 0..2 {
            assert!(limiter.take(&[of_ada, of_bob]).await.unwrap().is_allowed(), "{algorithm:?}");
        }
        let verdict = limiter.take(&[of_ada, of_bob]).await.unwrap();
        assert!(matches!(verdict.decisions(), [Decision::Open(_), Decision::Denied(_)]), "{algorithm:?}: {verdict:?}");
        assert_eq!(remaining(&of_ada).await, 1, "{algorithm:?}: untouched");
        assert!(!limiter.take(&[of_ada, of_ada]).await.unwrap().is_allowed(), "{algorithm:?}: two of one");
        assert_eq!(remaining(&of_ada).await, 1, "{algorithm:?}: untouched again");
        assert!(limiter.take(&[of_ada]).await.unwrap().is_allowed(), "{algorithm:?}");
    }
}
