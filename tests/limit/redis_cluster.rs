//! Identities that are in different parts of a Cluster.

use std::time::Duration;

use bartizan::{
    limit::{Charge, Identity, Ledger, Limiter, RedisLimiter},
    quota::{Algorithm, Decision, Quota},
};
use futures_util::{future::join_all, poll};

use crate::support::{Cluster, eventually};

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(20);

async fn limiter(cluster: &Cluster) -> RedisLimiter {
    let redis = cluster.handle(4 * SECOND).deadline(2 * SECOND).connect().await.unwrap();
    RedisLimiter::builder(redis).denied_capacity(0).build()
}

async fn used(limiter: &RedisLimiter, charge: &Charge<'_>) -> u64 {
    let verdict = limiter.peek(&[Charge { cost: 0, ..*charge }]).await.unwrap();
    charge.quota.limit() - verdict.decisions()[0].standing().remaining()
}

#[tokio::test]
async fn identities_of_several_shards_are_all_charged_or_none_is() {
    let mut cluster = Cluster::start().await;
    let limiter = limiter(&cluster).await;
    let ledgers = Algorithm::ALL.map(|algorithm| Ledger::new("apart", algorithm));
    let (ada, bob) = (Identity::from("b"), Identity::from("foo"));
    let (many, few) = (Quota::per_hour(100), Quota::per_hour(5));
    for ledger in &ledgers {
        let of_ada = Charge { ledger, identity: &ada, quota: &many, cost: 2 };
        let of_bob = Charge { ledger, identity: &bob, quota: &few, cost: 1 };
        for _ in 0..5 {
            assert!(limiter.take(&[of_ada, of_bob]).await.unwrap().is_allowed());
        }
        let verdict = limiter.take(&[of_ada, of_bob]).await.unwrap();
        let [Decision::Open(standing), Decision::Denied(_)] = verdict.decisions() else { panic!("{verdict:?}") };
        assert_eq!(standing.remaining(), 90, "as it is when what was taken was given back");
        assert_eq!((used(&limiter, &of_ada).await, used(&limiter, &of_bob).await), (10, 5));
    }

    // Whoever asks at the same time, none has more than the limit, and what was given back can be had.
    let ledger = Ledger::new("crowd", Algorithm::Sliding);
    let of_ada = Charge { ledger: &ledger, identity: &ada, quota: &many, cost: 1 };
    let of_bob = Charge { ledger: &ledger, identity: &bob, quota: &few, cost: 1 };
    let both = [of_ada, of_bob];
    let verdicts = join_all((0..50).map(|_| limiter.take(&both)))
        .await
        .into_iter()
        .filter(|verdict| verdict.as_ref().unwrap().is_allowed());
    assert_eq!(verdicts.count(), 5);
    assert_eq!((used(&limiter, &of_ada).await, used(&limiter, &of_bob).await), (5, 5));

    // Dropped at each await: what was taken stays taken, and never more is admitted than that.
    let ledger = Ledger::new("dropped", Algorithm::Sliding);
    let of_ada = Charge { ledger: &ledger, ..of_ada };
    let of_bob = Charge { ledger: &ledger, quota: &many, ..of_bob };
    let (mut polls, mut begun, mut admitted) = (0, 0, 0);
    while polls < 6 || admitted == 0 {
        let charges = [of_ada, of_bob];
        let mut take = Box::pin(limiter.take(&charges));
        begun += 1;
        for _ in 0..polls {
            if let std::task::Poll::Ready(verdict) = poll!(&mut take) {
                assert!(verdict.unwrap().is_allowed());
                admitted += 1;
                break;
            }
            tokio::task::yield_now().await;
        }
        polls += 1;
    }
    let counted = [used(&limiter, &of_ada).await, used(&limiter, &of_bob).await];
    assert!(counted.iter().all(|&used| (admitted..=begun).contains(&used)), "{admitted} of {begun}: {counted:?}");

    // A shard that is gone: an error, and the other one has been given back what it gave.
    let before = used(&limiter, &of_bob).await;
    let [gone, whole] = {
        let of_first = cluster.nodes[0].ask::<Vec<String>>(&["KEYS", "*:{b}:*"]).await.unwrap().is_empty();
        if of_first { [of_bob, of_ada] } else { [of_ada, of_bob] }
    };
    let before_whole = used(&limiter, &whole).await;
    cluster.nodes[0].kill();
    let mut errors = 0;
    for _ in 0..3 {
        errors += u64::from(limiter.take(&[gone, whole]).await.is_err());
    }
    assert!(errors > 0, "{before}: the shard that is gone cannot be asked");
    let (after, _) = eventually("the other shard answers", LIMIT, async || {
        let verdict = limiter.peek(&[Charge { cost: 0, ..whole }]).await.ok()?;
        Some(whole.quota.limit() - verdict.decisions()[0].standing().remaining())
    })
    .await;
    assert!(after <= before_whole + 3, "{after}");
    println!("of {errors} checks that failed, {} stay counted where they could be", after - before_whole);
}

#[tokio::test]
async fn in_one_slot_several_identities_are_one_script() {
    let cluster = Cluster::start().await;
    let redis = cluster.handle(4 * SECOND).deadline(2 * SECOND).connect().await.unwrap();
    let limiter = RedisLimiter::builder(redis).one_slot().build();
    let ledger = Ledger::new("one", Algorithm::Sliding);
    let identities = ["b", "foo", "c"].map(Identity::from);
    let quota = Quota::per_hour(3);
    let charges = identities.each_ref().map(|identity| Charge { ledger: &ledger, identity, quota: &quota, cost: 1 });
    for _ in 0..3 {
        assert!(limiter.take(&charges).await.unwrap().is_allowed());
    }
    assert!(!limiter.take(&charges).await.unwrap().is_allowed());
    assert_eq!(limiter.usage().asked, 4);
}
