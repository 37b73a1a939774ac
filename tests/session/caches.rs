//! A cache in the same stack.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use bartizan::{CacheLayer, Memory, Rules, Session, cache::CacheBody, clock::TestClock, expiry::Jitter};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{Browser, MINUTE, Scene};

/// Which call of the handler each of the browsers' requests is answered by.
async fn answers<S>(service: S, browsers: &[Browser]) -> Vec<String>
where
    S: Service<Request<Full<Bytes>>, Response = Response<CacheBody<Full<Bytes>>>, Error = Infallible> + Clone,
{
    let mut answers = Vec::new();
    for browser in browsers {
        let response = service.clone().oneshot(browser.request()).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        answers.push(String::from_utf8(body.to_vec()).unwrap());
    }
    answers
}

/// Counts its calls, and may look at its session.
fn handler(
    touches: bool,
) -> impl Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    let calls = Arc::new(AtomicU32::new(0));
    service_fn(move |request: Request<Full<Bytes>>| {
        let calls = calls.clone();
        async move {
            let session = Session::of(request.extensions()).expect("the layer is around it").clone();
            assert!(!request.headers().contains_key(header::COOKIE), "no handler sees the token");
            if touches {
                session.principal().await.unwrap();
            }
            Ok(Response::new(Full::from(calls.fetch_add(1, Ordering::SeqCst).to_string())))
        }
    })
}

async fn browsers(scene: &Scene) -> [Browser; 3] {
    let mut browsers = [Browser::default(), Browser::default(), Browser::default()];
    for (browser, name) in browsers.iter_mut().skip(1).zip(["ann", "eve"]) {
        scene.on(browser, async |session| session.set_principal(name).await).await.unwrap();
    }
    browsers
}

#[tokio::test]
async fn within_the_session_layer_a_cache_shares_what_is_made_without_the_session_and_nothing_else() {
    let scene = Scene::new();
    let browsers = browsers(&scene).await;
    let cache = || CacheLayer::new(Memory::with_capacity(1 << 20)).default_ttl(MINUTE);
    let untouched = answers(scene.layer.layer(cache().layer(handler(false))), &browsers).await;
    assert_eq!(untouched, ["0", "0", "0"]);
    let touched = answers(scene.layer.layer(cache().layer(handler(true))), &browsers).await;
    assert_eq!(touched, ["0", "1", "2"]);
}

#[tokio::test]
async fn around_the_session_layer_a_cache_shares_with_no_one_who_has_a_cookie() {
    let scene = Scene::new();
    let mut browsers = browsers(&scene).await.to_vec();
    browsers.push(Browser::default());
    let cache = || CacheLayer::new(Memory::with_capacity(1 << 20)).default_ttl(MINUTE);
    let untouched = answers(cache().layer(scene.layer.layer(handler(false))), &browsers).await;
    assert_eq!(untouched, ["0", "1", "2", "0"]);
    let touched = answers(cache().layer(scene.layer.layer(handler(true))), &browsers).await;
    assert_eq!(touched, ["0", "1", "2", "3"]);
}

/// An outer session reaches a refresh in the background with the client's extensions.
#[tokio::test]
async fn what_a_refresh_makes_of_its_clients_session_is_not_stored() {
    let scene = Scene::new();
    let [nobody, ann, _] = browsers(&scene).await;
    let (greets, clock) = (Arc::new(AtomicBool::new(false)), TestClock::new());
    let greeting = greets.clone();
    let handler = service_fn(move |request: Request<Full<Bytes>>| {
        let greets = greeting.load(Ordering::SeqCst);
        async move {
            let session = Session::of(request.extensions()).expect("the layer is around it").clone();
            let name = if greets { session.principal().await.unwrap() } else { None };
            let body = name.map_or("hello".to_owned(), |name| format!("hello {}", name.as_str()));
            Ok::<_, Infallible>(Response::new(Full::from(body)))
        }
    });
    let rules = Rules::new().default_ttl(MINUTE).stale_while_revalidate(MINUTE).jitter(Jitter::NONE);
    let cache = CacheLayer::new(Memory::with_capacity(1 << 20)).rules(rules).clock(clock.clone());
    let handle = cache.handle();
    let service = scene.layer.layer(cache.layer(handler));

    assert_eq!(answers(service.clone(), std::slice::from_ref(&nobody)).await, ["hello"]);
    clock.advance(MINUTE + MINUTE / 2);
    greets.store(true, Ordering::SeqCst);
    assert_eq!(answers(service.clone(), &[ann]).await, ["hello"], "the stale page, and a refresh with her session");
    handle.drain().await;
    assert_eq!(answers(service, &[nobody]).await, ["hello"]);
}
