//! What a limiter's login has to be allowed, and no more.

use std::time::Duration;

use bartizan::{
    Error, Redis,
    limit::{Charge, Identity, Ledger, Limiter, RedisLimiter},
    quota::{Algorithm, Decision, Quota},
};

use crate::support::Server;

/// As the documentation of `limit::redis` has it.
const PERMISSIONS: [&str; 11] =
    ["+eval", "+evalsha", "+ping", "+time", "+get", "+mget", "+set", "+del", "+getrange", "+setrange", "+pexpire"];

async fn allow(server: &Server, permissions: &[&str]) {
    let words = ["ACL", "SETUSER", "web", "reset", "on", ">secret", "~bartizan:limit:*"];
    server.tell(&[&words, permissions].concat()).await;
}

/// All that a limiter does, by all algorithms.
async fn everything(limiter: &RedisLimiter, name: &str) -> Result<(), Error> {
    let (ada, short, long) = (Identity::from("ada"), Quota::per_minute(1_000), Quota::per_hour(1_000));
    for algorithm in Algorithm::ALL {
        let ledger = Ledger::new(name, algorithm);
        let charge = Charge { ledger: &ledger, identity: &ada, quota: &short, cost: 1 };
        limiter.take(&[charge]).await?;
        // Later, so that there is more than one run; by a longer window, so that the key lives longer.
        for _ in 0..3 {
            drop(tokio::time::timeout(Duration::from_millis(3), std::future::pending::<()>()).await);
            let charge = Charge { quota: &long, ..charge };
            if let Some(Decision::Taken(taken)) = limiter.take(&[charge]).await?.into_decisions().next() {
                limiter.refund(charge, taken).await?;
            }
            limiter.peek(&[charge]).await?;
            limiter.penalise(charge).await?;
        }
        limiter.reset(&ledger, &ada).await?;
        limiter.reset(&Ledger::new("nobody", algorithm), &ada).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_limiter_needs_is_what_is_documented() {
    let server = Server::start().await;
    let page = include_str!("../../src/limit/redis/mod.rs");
    allow(&server, &PERMISSIONS).await;
    let redis = Redis::builder(&server.url()).unwrap().user("web").password("secret").build().unwrap();
    let limiter = RedisLimiter::new(redis);
    everything(&limiter, "all").await.unwrap();
    for (at, permission) in PERMISSIONS.iter().enumerate() {
        // It is the handle's own, and there was a connection already.
        if *permission == "+ping" {
            continue;
        }
        assert!(page.contains(permission), "{permission} is documented");
        allow(&server, &[&PERMISSIONS[..at], &PERMISSIONS[at + 1..]].concat()).await;
        if *permission == "+eval" {
            server.tell(&["SCRIPT", "FLUSH"]).await;
        }
        let error = everything(&limiter, permission).await.unwrap_err();
        assert!(error.is_refused(), "{permission}: {error:?}");
    }
}
