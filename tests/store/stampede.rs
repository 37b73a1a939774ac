//! A node that has nothing, and a Redis with a page that is stale: its callers are one call of the handler.
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bartizan::{CacheLayer, Memory, Redis, RedisStore, Rules, Tiered, cache::Stored, clock::TestClock};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, ServiceExt, service_fn};

use crate::support::Server;

#[tokio::test]
async fn those_who_find_a_stale_page_elsewhere_are_one_call() {
    let server = Server::start().await;
    let (clock, calls) = (TestClock::new(), Arc::new(AtomicU32::new(0)));
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let redis = Redis::connect(&server.url()).await.unwrap();
        let far = RedisStore::builder(redis).clock(clock.clone()).build();
        let store: Tiered<Stored> = Tiered::new(Memory::with_capacity(1 << 20), far);
        let rules = Rules::new().default_ttl(Duration::from_secs(60)).stale_if_error(Duration::from_secs(600));
        let calls = Arc::clone(&calls);
        let origin = service_fn(move |_: Request<Empty<Bytes>>| {
            let calls = Arc::clone(&calls);
            async move {
                calls.fetch_add(1, Ordering::Relaxed);
                let _ = tokio::time::timeout(Duration::from_millis(100), std::future::pending::<()>()).await;
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("a page")))
            }
        });
        nodes.push(CacheLayer::new(store).rules(rules).clock(clock.clone()).layer(origin));
    }
    let get = async |node: usize| {
        let request = Request::get("http://example.com/").body(Empty::<Bytes>::new()).unwrap();
        let response = nodes[node].clone().oneshot(request).await.unwrap();
        response.into_body().collect().await.unwrap();
    };
    get(0).await;
    clock.advance(Duration::from_secs(90));
    join_all((0..32).map(|_| get(1))).await;
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}
