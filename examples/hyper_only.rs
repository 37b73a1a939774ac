//! A cached service without a framework: a `tower` function behind the layer, served by hyper.
//!
//! ```text
//! cargo run --example hyper_only
//! curl -i localhost:3000/hello        # Cache-Status: bartizan; fwd=uri-miss; stored
//! curl -i localhost:3000/hello        # Cache-Status: bartizan; hit        and the same number, with an Age
//! curl -i localhost:3000/now          # Cache-Control: no-store: a new number each time
//! ```
//!
//! `PORT` chooses another port.

use std::{
    convert::Infallible,
    env,
    error::Error,
    net::Ipv4Addr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header::CACHE_CONTROL};
use http_body_util::Full;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

use bartizan::{CacheLayer, Memory};

/// Any service will do; this one counts how often it was asked.
async fn page<B>(request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    let mut response = Response::new(Full::from(format!("{}: call {call}\n", request.uri().path())));
    if request.uri().path() == "/now" {
        response.headers_mut().insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Built once; its clones, one per connection, share the store.
    let cache = CacheLayer::new(Memory::with_capacity(64 << 20)).default_ttl(Duration::from_secs(60));
    let service = ServiceBuilder::new().layer(cache).service_fn(page);

    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let served = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            if let Err(error) = served {
                eprintln!("connection: {error}");
            }
        });
    }
}
