//! A site to log in to: who is there, on which devices, and a message that is shown once.
//!
//! ```text
//! cargo run --example session_login --features axum
//! ```
//!
//! Open <http://localhost:3000/> in two browsers, log in as `ann` with the password `correct horse` in both, and log the
//! other one out. The token in the cookie `__Host-id` is another after each login; browsers take it on `localhost` without TLS.
//! `PORT=8080` chooses another port.

use std::time::Duration;

use axum::{
    Form, Router,
    extract::Request,
    http::{StatusCode, header::USER_AGENT},
    middleware::{Next, from_fn},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use bartizan::{
    Error, MemorySessions, Session, SessionLayer,
    session::{Client, Device},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
    remember: Option<String>,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let sessions = SessionLayer::new(MemorySessions::new())
        .renew_after(Duration::from_secs(15 * 60))
        .clear_site_data()
        .client_by(|parts| {
            let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
            Client::new().agent(agent.unwrap_or("an unknown client"))
        });
    let members_only = Router::new()
        .route("/devices", get(devices))
        .route("/log-out-others", post(log_out_others))
        .layer(from_fn(guard));
    let site = Router::new()
        .route("/", get(home))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .merge(members_only)
        .layer(sessions);
    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://localhost:{}/", listener.local_addr()?.port());
    axum::serve(listener, site).await
}

async fn home(session: Session) -> Result<Html<String>, Error> {
    let notice = session.take_flash::<String>("notice").await?.unwrap_or_default();
    let body = match session.principal().await? {
        Some(name) => format!(
            "<p>You are {}, for the {}. time on this page. <a href=/devices>Your devices</a></p>
             <form method=post action=/logout><button>Log out</button></form>",
            escape(name.as_str()),
            session.increment("visits", 1).await?,
        ),
        None => "<form method=post action=/login><input name=name placeholder=name>
                 <input name=password type=password placeholder=password>
                 <label><input name=remember type=checkbox> remember me</label> <button>Log in</button></form>"
            .to_owned(),
    };
    Ok(page(&format!("<p><b>{}</b></p>{body}", escape(&notice))))
}

async fn log_in(session: Session, Form(login): Form<Login>) -> Result<Redirect, Error> {
    // A real site compares with a password hash.
    if login.name.is_empty() || login.name.len() > 64 || login.password != "correct horse" {
        session.flash("notice", "That is not right.").await?;
        return Ok(Redirect::to("/"));
    }
    session.set_principal(&login.name).await?;
    if login.remember.is_some() {
        session.remember().await?;
    }
    session.flash("notice", &format!("Welcome, {}.", login.name)).await?;
    Ok(Redirect::to("/"))
}

async fn log_out(session: Session) -> Result<Redirect, Error> {
    session.destroy().await?;
    session.flash("notice", "You are logged out.").await?;
    Ok(Redirect::to("/"))
}

async fn devices(session: Session) -> Result<Html<String>, Error> {
    let line = |device: &Device| {
        let here = if device.is_current { " (this one)" } else { "" };
        format!("<li>{}{here}</li>", escape(device.info.client.agent.as_deref().unwrap_or_default()))
    };
    let list: String = session.devices().await?.iter().map(line).collect();
    let others = "<form method=post action=/log-out-others><button>Log out the others</button></form>";
    Ok(page(&format!("<ul>{list}</ul>{others}<p><a href=/>Back</a></p>")))
}

async fn log_out_others(session: Session) -> Result<Redirect, Error> {
    let ended = session.destroy_others().await?;
    session.flash("notice", &format!("{ended} logged out.")).await?;
    Ok(Redirect::to("/"))
}

/// Lets nobody through who is not logged in.
async fn guard(session: Session, request: Request, next: Next) -> Result<Response, Error> {
    if session.principal().await?.is_none() {
        return Ok((StatusCode::FORBIDDEN, page("<p>Please <a href=/>log in</a>.</p>")).into_response());
    }
    Ok(next.run(request).await)
}

fn page(body: &str) -> Html<String> {
    Html(format!("<!doctype html><meta charset=utf-8><title>Sessions</title><h1>Sessions</h1>{body}"))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
