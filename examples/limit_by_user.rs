//! Limits by user and plan: what fails costs nothing, and a limit is tried out before it is meant.
//!
//! ```text
//! cargo run --example limit_by_user
//! ```
//!
//! It asks as several users and prints what each is told. See: ada has paid and may ask four times in a minute, bob twice, and who
//! has no key shares two with all of the same address; orders that fail are given back; the limit that is tried out would have
//! refused somebody, and did not.

use std::{error::Error, net::IpAddr};

use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use bartizan::{
    RateLimitLayer,
    limit::{Key, Policy},
    quota::Quota,
};
use http::{StatusCode, request::Parts};
use tower::ServiceExt;

#[derive(Clone)]
struct User {
    name: &'static str,
    has_paid: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // The user, else the address. Users are whom the service found by their keys: a key nobody checked could be invented.
    let user = || Key::extension(|user: &User| Some(user.name.into())).or(Key::peer());

    let plan = Policy::computed("plan", |request: &Parts| {
        let has_paid = request.extensions.get::<User>().is_some_and(|user| user.has_paid);
        Some(Quota::per_minute(if has_paid { 4 } else { 2 }))
    });
    let plan = RateLimitLayer::new(plan.by(user()).refund_on(|status| status.is_server_error()));

    let tried_out = RateLimitLayer::new(Policy::new(Quota::per_hour(3).named("tried-out")?).by(user())).shadow();
    let counts = tried_out.handle();

    // The last layer is the outermost: users are found before they are counted.
    let app = Router::new()
        .route("/orders", get(async || "an order"))
        .route("/broken", get(async || StatusCode::BAD_GATEWAY))
        .layer(tried_out)
        .layer(plan)
        .layer(from_fn(authenticate));

    for (key, times) in [(Some("ada-s-key"), 5), (Some("bob-s-key"), 3), (Some("invented"), 2), (None, 1)] {
        for _ in 0..times {
            ask(&app, "/orders", key).await?;
        }
    }
    println!("\nwhat fails:");
    for _ in 0..3 {
        ask(&app, "/broken", Some("eve-s-key")).await?;
    }
    ask(&app, "/orders", Some("eve-s-key")).await?;

    println!("\nThe limit that is tried out would have refused {}.", counts.counters().shadowed);
    Ok(())
}

/// Finds the user, as a service does that knows its keys.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let key = request.headers().get("x-api-key").map(http::HeaderValue::as_bytes);
    let user = match key {
        Some(b"ada-s-key") => Some(User { name: "ada", has_paid: true }),
        Some(b"bob-s-key") => Some(User { name: "bob", has_paid: false }),
        Some(b"eve-s-key") => Some(User { name: "eve", has_paid: false }),
        _ => None,
    };
    if let Some(user) = user {
        request.extensions_mut().insert(user);
    }
    next.run(request).await
}

/// Sends one request to the router, as a server would, and prints what it is told.
async fn ask(app: &Router, path: &str, key: Option<&str>) -> Result<(), Box<dyn Error>> {
    let mut request = Request::get(path).extension(IpAddr::from([192, 0, 2, 7]));
    if let Some(key) = key {
        request = request.header("x-api-key", key);
    }
    let response = app.clone().oneshot(request.body(Body::empty())?).await?;
    let told = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
    let (status, limits, retry) = (response.status().as_u16(), told("ratelimit"), told("retry-after"));
    println!("{path:8} {:10} {status}  {limits:19} retry after {retry}", key.unwrap_or("no key"));
    Ok(())
}
