//! Requests whose sessions are on a Redis, at two nodes of a service.

use std::{convert::Infallible, future::Future, time::Duration};

use bartizan::{
    Error, Redis, Session, SessionLayer,
    session::{Principal, RedisSessions, SessionStore},
};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};

use crate::{
    redis_scene::{check_keys, connect},
    redis_servers::{Link, Proxy, Server},
};

/// One request with this cookie at one node; its status, and the cookie from then on.
async fn visit<F, Fut, T>(layer: &SessionLayer, cookie: Option<&str>, handler: F) -> (StatusCode, Option<String>)
where
    F: Fn(Session) -> Fut,
    Fut: Future<Output = Result<T, Error>>,
{
    let service = layer.layer(service_fn(async |request: Request<Full<Bytes>>| {
        let done = handler(Session::of(request.extensions()).unwrap().clone()).await;
        let status = if done.is_ok() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
        Ok::<_, Infallible>(Response::builder().status(status).body(Full::<Bytes>::default()).unwrap())
    }));
    let mut request = Request::new(Full::<Bytes>::default());
    if let Some(cookie) = cookie {
        request.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
    }
    let response = service.oneshot(request).await.unwrap();
    let set = response.headers().get(header::SET_COOKIE).map(|set| set.to_str().unwrap());
    let pair = set.map_or(cookie, |set| set.split(';').next()).map(str::to_owned);
    (response.status(), pair)
}

#[tokio::test]
async fn a_hundred_parallel_requests_at_two_nodes_lose_nothing() {
    let server = Server::start().await;
    let mut nodes = Vec::new();
    for _ in 0..2 {
        nodes.push(SessionLayer::new(RedisSessions::new(connect(&server.url()).await)));
    }
    let (_, cookie) = visit(&nodes[0], None, async |session| session.set_principal("ann").await).await;
    let visits = (0..100usize).map(|n| {
        let (node, cookie) = (&nodes[n % 2], cookie.as_deref());
        visit(node, cookie, move |session: Session| async move {
            session.insert(&format!("own {n}"), &n).await?;
            session.increment("visits", 1).await?;
            if n % 10 == 0 {
                session.update("tens", |tens: Option<usize>| tens.unwrap_or_default() + 1).await?;
            }
            Ok(())
        })
    });
    assert!(join_all(visits).await.iter().all(|(status, _)| *status == StatusCode::OK));
    let (status, _) = visit(&nodes[1], cookie.as_deref(), async |session: Session| {
        assert_eq!(session.principal().await?, Some(Principal::new("ann").unwrap()));
        assert_eq!(session.counter("visits").await?, 100);
        for n in 0..100 {
            assert_eq!(session.get::<usize>(&format!("own {n}")).await?, Some(n));
        }
        assert_eq!(session.get::<usize>("tens").await?, Some(10));
        Ok(())
    })
    .await;
    assert_eq!(status, StatusCode::OK);
    check_keys(&server).await;
}

#[tokio::test]
async fn a_corrupted_record_is_an_empty_session_of_nobody() {
    let server = Server::start().await;
    let store = RedisSessions::new(connect(&server.url()).await);
    let layer = SessionLayer::new(store.clone());
    let log_in = async |session: Session| {
        session.insert("a", &1).await?;
        session.set_principal("ann").await
    };
    let (_, cookie) = visit(&layer, None, log_in).await;
    let keys: Vec<String> = server.ask(&["KEYS", "*:record"]).await.unwrap();
    server.tell(&["HSET", &keys[0], "h", "garbage"]).await;
    let (status, after) = visit(&layer, cookie.as_deref(), async |session: Session| {
        assert_eq!((session.principal().await?, session.get::<i32>("a").await?), (None, None));
        Ok(())
    })
    .await;
    assert_eq!(status, StatusCode::OK, "it is no failure of the request");
    assert_eq!((store.usage().spoilt, layer.handle().counters().unknown), (1, 1), "but counted");
    let (status, other) = visit(&layer, after.as_deref(), log_in).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(other, cookie, "who begins anew has another session");
    assert_eq!(store.list(&Principal::new("ann").unwrap()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_redis_whoever_uses_the_session_is_refused_and_the_others_are_not() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.port).await;
    let redis = Redis::builder(&proxy.url()).unwrap().deadline(Duration::from_millis(300)).connect().await.unwrap();
    let layer = SessionLayer::new(RedisSessions::new(redis));
    let (_, cookie) = visit(&layer, None, async |session: Session| session.insert("a", &1).await).await;
    proxy.set(Link::Cut);
    let (status, _) = visit(&layer, cookie.as_deref(), async |_| Ok(())).await;
    assert_eq!(status, StatusCode::OK, "it did not use it");
    let (status, _) = visit(&layer, None, async |session: Session| session.insert("a", &1).await).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "what it did is not silently lost");
}
