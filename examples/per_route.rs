//! Three routes, three ways to be cached, one store.
//!
//! ```text
//! cargo run --example per_route
//! ```
//!
//! It asks each route twice and prints `Cache-Status` and `Age`. See: the news are a hit; the profile is one entry per
//! language; the report is a hit for a reader and goes past the cache for an editor.

use std::{error::Error, time::Duration};

use axum::{Router, body::Body, http::HeaderMap, routing::get};
use bartizan::{CacheLayer, Memory, Rules};
use http::{
    Request,
    header::{ACCEPT_LANGUAGE, AGE},
    request::Parts,
};
use tower::ServiceExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = Memory::with_capacity(16 << 20);

    // The same for everyone, for a minute.
    let news = CacheLayer::new(store.clone()).default_ttl(Duration::from_secs(60));

    // One entry per language, for an hour.
    let profile = CacheLayer::new(store.clone())
        .rules(Rules::new().default_ttl(Duration::from_secs(3600)).add_key_header(ACCEPT_LANGUAGE));

    // Computed: what the request says decides what the cache does. Rules are made once; a clone costs nothing.
    let (readers, editors) = (Rules::new().default_ttl(Duration::from_secs(10)), Rules::bypass());
    let report = CacheLayer::new(store).rules_by(move |request: &Parts| {
        if request.headers.contains_key("x-editor") { editors.clone() } else { readers.clone() }
    });

    let app = Router::new()
        .route("/news", get(|| async { "it rains" }).layer(news))
        .route("/profile", get(greet).layer(profile))
        .route("/report", get(|| async { "forty-two" }).layer(report));

    ask(&app, "/news", None).await?;
    ask(&app, "/news", None).await?;

    ask(&app, "/profile", Some(("accept-language", "de"))).await?;
    ask(&app, "/profile", Some(("accept-language", "fr"))).await?;
    ask(&app, "/profile", Some(("accept-language", "de"))).await?;

    ask(&app, "/report", None).await?;
    ask(&app, "/report", Some(("x-editor", "yes"))).await?;
    ask(&app, "/report", None).await
}

async fn greet(headers: HeaderMap) -> &'static str {
    match headers.get(ACCEPT_LANGUAGE) {
        Some(language) if language.as_bytes().starts_with(b"de") => "Guten Tag",
        _ => "Bonjour",
    }
}

/// Sends one request to the router, as a server would, and prints what the cache says about it.
async fn ask(app: &Router, path: &str, header: Option<(&str, &str)>) -> Result<(), Box<dyn Error>> {
    let mut request = Request::get(path).header("host", "shop.example");
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    let response = app.clone().oneshot(request.body(Body::empty())?).await?;
    let said = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
    let asked = header.map_or_else(|| path.to_owned(), |(name, value)| format!("{path} ({name}: {value})"));
    println!("{asked:32} {:40} age {}", said("cache-status"), said(AGE.as_str()));
    // An answer is stored when its body ends.
    axum::body::to_bytes(response.into_body(), 1 << 20).await?;
    Ok(())
}
