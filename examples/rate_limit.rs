//! Two routes, two limits, in the memory of one process.
//!
//! ```text
//! cargo run --features axum --example rate_limit          (PORT=8080 for another port than 3000)
//! ```
//!
//! It prints what to type in a second terminal: seven searches in a row, a page, the state of health. See the first five searches
//! pass, with less and less in `RateLimit`; the others are told in `Retry-After` when to come back, and in the body which limit
//! they met. Meanwhile the page is served: its limit is another. Whoever asks for the state of health is not counted.

use std::{env, error::Error, net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use bartizan::{
    RateLimitLayer,
    limit::{Key, Policy, Proxies},
    quota::Quota,
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Of the whole site, each address gets so much. Behind proxies the address is what they say, not what the client says.
    let address = match env::var("PROXIES") {
        Ok(networks) => Key::forwarded(Proxies::networks(networks.split(','))?),
        Err(_) => Key::peer(),
    };
    let site = RateLimitLayer::new(Policy::new(Quota::per_minute(100).named("site")?).by(address.clone()))
        .exempt(|request| request.uri.path() == "/health");

    // Of what is dear it gets less. Some clients know only the old fields.
    let searches = Quota::new(5, Duration::from_secs(10))?.named("searches")?;
    let searches = RateLimitLayer::new(Policy::new(searches).by(address)).legacy_fields(true);

    let app = Router::new()
        .route("/search", get(async || "3 lamps\n").layer(searches))
        .route("/page", get(async || "a page\n"))
        .route("/health", get(async || "well\n"))
        .layer(site);

    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let site = listener.local_addr()?;
    println!(
        "for i in 1 2 3 4 5 6 7; do curl -si {site}/search | grep -iE '^(HTTP|ratelimit|retry|x-rate)'; echo; done
curl -s {site}/search
curl -i {site}/page
curl -i {site}/health"
    );
    // Without the second half of this line nobody knows who is connected, and all share one limit.
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
