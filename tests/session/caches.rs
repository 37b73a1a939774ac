//! A cache in the same stack.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU32, Ordering},
};

use bartizan::{CacheLayer, Memory, Rules, Session};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{Browser, MINUTE, Scene};

#[tokio::test]
async fn no_cache_shares_what_was_made_of_a_session_wherever_it_stands() {
    for cache_is_outside in [false, true] {
        for touches in [false, true] {
            let scene = Scene::new();
            let mut browser = Browser::default();
            scene.on(&mut browser, async |session| session.set_principal("ann").await).await.unwrap();
            let calls = AtomicU32::new(0);
            let calls = &*Box::leak(Box::new(calls));
            let handler = service_fn(move |request: Request<Full<Bytes>>| async move {
                let session = Session::of(request.extensions()).expect("the layer is around it").clone();
                let n = calls.fetch_add(1, Ordering::SeqCst);
                if touches {
                    session.principal().await.unwrap();
                }
                let response = Response::new(Full::new(Bytes::from(n.to_string())));
                Ok::<_, Infallible>(response)
            });
            let rules = Rules::new().default_ttl(MINUTE).ignore_cookie("__Host-id");
            let cache = CacheLayer::new(Memory::with_capacity(1 << 20)).rules(rules);
            for asks in 0..2 {
                let request = browser.request();
                let body = if cache_is_outside {
                    let service = cache.layer(scene.layer.layer(handler));
                    service.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes()
                } else {
                    let service = scene.layer.layer(cache.layer(handler));
                    let response = service.oneshot(request).await.unwrap();
                    assert_eq!(response.headers().contains_key(header::CACHE_CONTROL), touches);
                    response.into_body().collect().await.unwrap().to_bytes()
                };
                let expected = if touches { asks } else { 0 };
                assert_eq!(body, expected.to_string(), "outside: {cache_is_outside}, touches: {touches}");
            }
        }
    }
}
