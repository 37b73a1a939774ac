//! A handler that changes the data says which answers are wrong now.
//!
//! ```text
//! cargo run --example purge_by_tag
//! ```
//!
//! It plays a short scene and ends. See: the first answer from the origin, the second a hit; then a new price; the list
//! and the page that show it are made anew, while the page of the other book is still a hit.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, State},
    response::IntoResponse,
    routing::{get, put},
};
use bartizan::{CacheHandle, CacheLayer, Caching, Memory, cache::Stored};
use http::{Method, Request, StatusCode};
use tower::ServiceExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let layer = CacheLayer::new(Memory::with_capacity(16 << 20)).default_ttl(Duration::from_secs(3600));
    let shop = Shop { prices: Arc::new([AtomicU32::new(10), AtomicU32::new(20)]), cache: layer.handle() };
    let app = Router::new()
        .route("/books", get(list).layer(layer.clone()))
        .route("/books/{id}", get(book).layer(layer))
        .route("/books/{id}/price/{euros}", put(set_price))
        .with_state(shop);

    for _ in 0..2 {
        ask(&app, Method::GET, "/books").await?;
        ask(&app, Method::GET, "/books/0").await?;
        ask(&app, Method::GET, "/books/1").await?;
    }
    ask(&app, Method::PUT, "/books/1/price/15").await?;
    ask(&app, Method::GET, "/books").await?;
    ask(&app, Method::GET, "/books/0").await?;
    ask(&app, Method::GET, "/books/1").await
}

#[derive(Clone)]
struct Shop {
    prices: Arc<[AtomicU32; 2]>,
    cache: CacheHandle<Memory<Stored>>,
}

/// The list shows both books, so it carries both tags.
async fn list(State(shop): State<Shop>) -> impl IntoResponse {
    let prices = shop.prices.each_ref().map(|price| price.load(Ordering::Relaxed));
    (Extension(Caching::new().tag("book:0").tag("book:1")), format!("{prices:?}"))
}

async fn book(State(shop): State<Shop>, Path(id): Path<usize>) -> Result<impl IntoResponse, StatusCode> {
    let price = shop.prices.get(id).ok_or(StatusCode::NOT_FOUND)?.load(Ordering::Relaxed);
    Ok((Extension(Caching::new().tag(format!("book:{id}"))), price.to_string()))
}

/// First the change, then the purge: an answer made from the old price and still on its way is not stored any more.
async fn set_price(
    State(shop): State<Shop>,
    Path((id, euros)): Path<(usize, u32)>,
) -> Result<&'static str, StatusCode> {
    shop.prices.get(id).ok_or(StatusCode::NOT_FOUND)?.store(euros, Ordering::Relaxed);
    // Whoever changed the price should hear that old answers may live on.
    shop.cache.purge_tag(format!("book:{id}")).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok("done")
}

/// Sends one request to the router, as a server would, and prints the answer and what the cache says about it.
async fn ask(app: &Router, method: Method, path: &str) -> Result<(), Box<dyn Error>> {
    let asked = format!("{method} {path}");
    let request = Request::builder().method(method).uri(path).header("host", "books.example").body(Body::empty())?;
    let response = app.clone().oneshot(request).await?;
    let status = response.headers().get("cache-status").cloned();
    let status = status.as_ref().and_then(|value| value.to_str().ok()).unwrap_or("-");
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await?;
    println!("{asked:28} {:10} {status}", String::from_utf8_lossy(&body));
    Ok(())
}
