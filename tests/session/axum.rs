//! Sessions in axum.

use axum::{Router, body::Body, routing::get};
use bartizan::{Error, Session};
use http::{Request, StatusCode};
use tower::ServiceExt;

use crate::support::{Browser, Scene};

async fn count(session: Session) -> Result<String, Error> {
    Ok(session.increment("n", 1).await?.to_string())
}

fn request(browser: &Browser) -> Request<Body> {
    browser.request().map(|_| Body::empty())
}

#[tokio::test]
async fn a_handler_asks_for_its_session_and_returns_its_errors() -> Result<(), Error> {
    let (scene, mut browser) = (Scene::new(), Browser::default());
    let site = Router::new().route("/", get(count)).layer(scene.layer.clone());
    for n in ["1", "2"] {
        let response = site.clone().oneshot(request(&browser)).await.unwrap();
        browser.receive(&response);
        assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), n);
    }
    scene.store.down(true);
    let response = site.clone().oneshot(request(&browser)).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    Ok(())
}

#[tokio::test]
async fn a_session_without_the_layer_is_an_error_that_says_so() {
    let site: Router = Router::new().route("/", get(count));
    let response = site.oneshot(request(&Browser::default())).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    assert_eq!(body, "no session layer is around this handler");
}
