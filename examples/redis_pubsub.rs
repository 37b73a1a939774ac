//! What is said to one process is heard by the browsers of all: server-sent events over a bus.
//!
//! ```text
//! cargo run --features redis --example redis_pubsub            (REDIS_URL=redis://.., PORT=3000)
//! PORT=3001 cargo run --features redis --example redis_pubsub  (in another terminal)
//! ```
//!
//! It prints what to type. Stop Redis and start it again: whoever listens is told that something may have been missed.

use std::{convert::Infallible, env, error::Error, process};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::sse::{Event as Sent, KeepAlive, Sse},
    routing::{get, post},
};
use bartizan::{
    Redis,
    redis::bus::{Bus, Event, Feed},
};
use futures_util::stream::{Stream, unfold};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Deserialize, Serialize)]
struct Said {
    by: u32,
    text: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    let redis = Redis::builder(&url)?.namespace("redis_pubsub").build()?;
    let rooms: Bus<Said> = Bus::new(&redis, "rooms")?;
    let app = Router::new().route("/{room}", get(listen)).route("/{room}", post(say)).with_state(rooms);

    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let (one, two) = (port, port + 1);
    println!(
        "process {} listens on {one}. Try, each in a terminal of its own:

  curl -sN http://127.0.0.1:{one}/tea
  curl -sN http://127.0.0.1:{two}/tea                        (the process with PORT={two})
  curl -sN http://127.0.0.1:{one}/all                        (every room)
  curl -s http://127.0.0.1:{two}/tea -d 'the kettle is on'   (both hear it)
",
        process::id()
    );
    axum::serve(listener, app).await?;
    Ok(())
}

type Refusal = (StatusCode, String);

async fn say(State(rooms): State<Bus<Said>>, Path(room): Path<String>, text: String) -> Result<String, Refusal> {
    let said = Said { by: process::id(), text };
    match rooms.publish(&room, &said).await {
        Ok(heard) => Ok(format!("heard by {heard}\n")),
        Err(error) if error.is_invalid() => Err((StatusCode::BAD_REQUEST, format!("{error}\n"))),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))),
    }
}

/// Each listener has a connection to Redis of their own. A service of many shares a feed by a `tokio::sync::broadcast`.
async fn listen(
    State(rooms): State<Bus<Said>>,
    Path(room): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>>>, Refusal> {
    let feed = match room.as_str() {
        "all" => rooms.subscribe::<&str>(&[]).and_then(|feed| feed.patterns(&["*"])),
        room => rooms.subscribe(&[room]),
    };
    let feed = feed.map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")))?;
    let events = unfold(feed, async |mut feed: Feed<Said>| Some((Ok(sent(feed.next().await)), feed)));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// In words of the page's own: what is missed, it reads anew.
fn sent(event: Event<Said>) -> Sent {
    match event {
        Event::Message { topic, payload } => {
            Sent::default().event(topic).data(format!("{} (by process {})", payload.text, payload.by))
        }
        Event::Begun => Sent::default().event("begun").data("listening"),
        Event::Missed(_) => Sent::default().event("missed").data("something may have been said meanwhile"),
        Event::Disconnected(error) => Sent::default().event("disconnected").data(error.to_string()),
        Event::Undecodable { error, .. } => Sent::default().event("undecodable").data(error.to_string()),
        _ => Sent::default().comment("something new"),
    }
}
