//! What lies on the server: for how long, and what becomes of what is no state.

use std::time::Duration;

use bartizan::{
    Redis,
    clock::TestClock,
    limit::{Charge, Identity, Ledger, Limiter, RedisLimiter},
    quota::{Algorithm, Quota},
};

use crate::support::Server;

async fn handle(server: &Server) -> Redis {
    Redis::builder(&server.url()).unwrap().deadline(Duration::from_secs(20)).connect().await.unwrap()
}

fn key(algorithm: Algorithm) -> String {
    format!("bartizan:limit:{{ada}}:states:{}", &algorithm.as_str()[..1])
}

#[tokio::test]
async fn a_key_lives_until_its_state_is_worth_nothing_and_not_twice_as_long() {
    let server = Server::start().await;
    let limiter = RedisLimiter::new(handle(&server).await);
    let (quota, ada) = (Quota::per_hour(100), Identity::from("ada"));
    const HOUR: i64 = 3_600_000;
    for algorithm in Algorithm::ALL {
        let ledger = Ledger::new("states", algorithm);
        let charge = Charge { ledger: &ledger, identity: &ada, quota: &quota, cost: 50 };
        limiter.take(&[charge]).await.unwrap();
        let ttl: i64 = server.ask(&["PTTL", &key(algorithm)]).await.unwrap();
        let (least, most) = match algorithm {
            Algorithm::Fixed => (0, 2 * HOUR),
            Algorithm::Approximate => (HOUR, 4 * HOUR),
            // Half of it is out, which takes half an hour.
            Algorithm::Bucket => (HOUR / 2, HOUR + HOUR / 10),
            _ => (HOUR, 2 * HOUR),
        };
        assert!(least < ttl + 5_000 && ttl <= most, "{algorithm:?}: {ttl} ms");
        // It is told anew only when it would be too early, and whatever is done the key expires.
        server.tell(&["PEXPIRE", &key(algorithm), "90000000"]).await;
        let taken = limiter.take(&[Charge { cost: 1, ..charge }]).await.unwrap().into_decisions().next();
        let ttl: i64 = server.ask(&["PTTL", &key(algorithm)]).await.unwrap();
        assert!(algorithm == Algorithm::Fixed || ttl > 80_000_000, "{algorithm:?}: it is not told anew: {ttl} ms");
        let Some(bartizan::quota::Decision::Taken(taken)) = taken else { panic!("it was taken") };
        limiter.penalise(charge).await.unwrap();
        limiter.refund(charge, taken).await.unwrap();
        limiter.reset(&ledger, &ada).await.unwrap();
        let ttl: i64 = server.ask(&["PTTL", &key(algorithm)]).await.unwrap();
        assert!(ttl > 0, "{algorithm:?}");
    }
}

#[tokio::test]
async fn a_key_is_renewed_while_it_is_used() {
    let server = Server::start().await;
    let limiter = RedisLimiter::new(handle(&server).await);
    let ada = Identity::from("ada");
    for algorithm in Algorithm::ALL {
        let ledger = Ledger::new("states", algorithm);
        let take = async |quota: &Quota| {
            limiter.take(&[Charge { ledger: &ledger, identity: &ada, quota, cost: 1 }]).await.unwrap();
            server.ask::<i64>(&["PTTL", &key(algorithm)]).await.unwrap()
        };
        let minute = take(&Quota::per_minute(10)).await;
        assert!(minute <= 240_000, "{algorithm:?}: {minute} ms");
        let day = take(&Quota::per_day(10)).await;
        let least = if algorithm == Algorithm::Fixed { 0 } else { 8_000_000 };
        assert!(day > least, "{algorithm:?}: by a longer window it matters for longer: {day} ms");
    }
}

#[tokio::test]
async fn what_is_no_state_is_replaced_and_counted_and_never_an_error() {
    let server = Server::start().await;
    let clock = TestClock::new();
    let limiter = RedisLimiter::builder(handle(&server).await).clock(clock.clone()).denied_capacity(0).build();
    let (quota, ada) = (Quota::per_hour(3), Identity::from("ada"));
    for algorithm in Algorithm::ALL {
        let ledger = Ledger::new("states", algorithm);
        let charge = Charge { ledger: &ledger, identity: &ada, quota: &quota, cost: 1 };
        let key = key(algorithm);
        let long = "x".repeat(500);
        let spoil: [&[&str]; 6] = [
            &["LPUSH", &key, "a"],
            &["HSET", &key, "a", "b"],
            &["SET", &key, ""],
            &["SET", &key, "17"],
            &["SET", &key, "\u{1}7777777777777777777777777777777777777777777777777"],
            &["SET", &key, &long],
        ];
        for command in spoil {
            for what in 0..5 {
                server.tell(&["DEL", &key]).await;
                let taken = limiter.take(&[charge]).await.unwrap().into_decisions().next();
                let Some(bartizan::quota::Decision::Taken(taken)) = taken else { panic!("nothing was taken") };
                server.tell(&["DEL", &key]).await;
                server.tell(command).await;
                let before = limiter.usage().replaced;
                match what {
                    0 => assert!(limiter.take(&[charge]).await.unwrap().is_allowed()),
                    1 => assert!(limiter.peek(&[charge]).await.unwrap().is_allowed()),
                    2 => assert_eq!(limiter.penalise(charge).await.unwrap().remaining(), 2),
                    3 => assert_eq!(limiter.refund(charge, taken).await.unwrap(), 0),
                    _ => limiter.reset(&ledger, &ada).await.unwrap(),
                }
                // To the ranges of a log an empty string is nothing.
                if command.len() > 3 || !command[2].is_empty() {
                    assert_eq!(limiter.usage().replaced, before + 1, "{algorithm:?}, {what}, {command:?}");
                }
                let verdict = limiter.take(&[charge]).await.unwrap();
                let left = verdict.decisions()[0].standing().remaining();
                assert!(verdict.is_allowed() && left >= 1, "{algorithm:?}, {what}, {command:?}: {verdict:?}");
                let ttl: i64 = server.ask(&["PTTL", &key]).await.unwrap();
                assert!(ttl > 0, "{algorithm:?}, {what}, {command:?}");
            }
        }
    }
}

/// Whatever the numbers of a state are, it is decided by them, and the server lives.
#[tokio::test]
async fn states_with_bits_that_fell_over_are_no_error() {
    let server = Server::start().await;
    let clock = TestClock::new();
    let limiter = RedisLimiter::builder(handle(&server).await).clock(clock.clone()).denied_capacity(0).build();
    let client = redis::Client::open(server.url()).unwrap();
    let mut direct = client.get_multiplexed_async_connection().await.unwrap();
    let (quota, ada) = (Quota::new(90, Duration::from_secs(10)).unwrap(), Identity::from("ada"));
    for algorithm in Algorithm::ALL {
        let ledger = Ledger::new("states", algorithm);
        let charge = Charge { ledger: &ledger, identity: &ada, quota: &quota, cost: 1 };
        let key = key(algorithm);
        for _ in 0..20 {
            limiter.take(&[charge]).await.unwrap();
            clock.advance(Duration::from_millis(100));
        }
        let state: Vec<u8> = redis::cmd("GET").arg(&key).query_async(&mut direct).await.unwrap();
        for bit in (0..state.len() * 8).filter(|bit| bit % 3 == 0 || state.len() < 60) {
            let mut spoilt = state.clone();
            spoilt[bit / 8] ^= 1 << (bit % 8);
            let set = async |direct: &mut redis::aio::MultiplexedConnection| {
                let mut set = redis::cmd("SET");
                set.arg(&key).arg(&spoilt).arg("PX").arg(3_600_000).exec_async(direct).await.unwrap();
            };
            set(&mut direct).await;
            let place = format!("{algorithm:?}, bit {bit}");
            for cost in [1, 50, 90] {
                limiter.peek(&[Charge { cost, ..charge }]).await.unwrap_or_else(|error| panic!("{place}: {error:?}"));
            }
            let verdict = limiter.take(&[charge]).await.unwrap_or_else(|error| panic!("{place}: {error:?}"));
            if let Some(bartizan::quota::Decision::Taken(taken)) = verdict.into_decisions().next() {
                set(&mut direct).await;
                limiter.refund(charge, taken).await.unwrap_or_else(|error| panic!("{place}: {error:?}"));
            }
            limiter.penalise(charge).await.unwrap_or_else(|error| panic!("{place}: {error:?}"));
            limiter.reset(&ledger, &ada).await.unwrap_or_else(|error| panic!("{place}: {error:?}"));
            assert!(limiter.take(&[charge]).await.unwrap().is_allowed(), "{place}: a reset helps");
        }
    }
}

#[tokio::test]
async fn a_log_of_many_runs_is_compacted_and_joined() {
    let server = Server::start().await;
    let clock = TestClock::new();
    let limiter = RedisLimiter::builder(handle(&server).await).clock(clock.clone()).build();
    let (quota, ada) = (Quota::new(500, Duration::from_secs(1)).unwrap(), Identity::from("ada"));
    let ledger = Ledger::new("states", Algorithm::Log);
    let charge = Charge { ledger: &ledger, identity: &ada, quota: &quota, cost: 1 };
    let mut longest = 0;
    for _ in 0..4_000 {
        clock.advance(Duration::from_millis(2));
        assert!(limiter.take(&[charge]).await.unwrap().is_allowed(), "500 a second are just what comes");
        longest = longest.max(server.ask::<usize>(&["STRLEN", &key(Algorithm::Log)]).await.unwrap());
    }
    assert!(longest < 12 * (2 * 500 + 200), "those that are over go: {longest} bytes");
}
