//! A caching reverse proxy: hyper's client is the inner service, the cache lies over it, hyper's server drives both.
//!
//! ```text
//! cargo run --example reverse_proxy -- --listen 127.0.0.1:8020 --origin http://127.0.0.1:8000 --profile default
//! curl -i 127.0.0.1:8020/        # `Cache-Status` tells what was kept, and why the rest was not
//! ```
//!
//! An origin that cannot be reached is an error to the cache, which may answer it with what it has; if it has nothing,
//! the client gets a 502. The profile `default` has the rules of an application, `conformance` those of
//! `Rules::reverse_proxy`; with both the public HTTP cache tests can be run. `--keep-hop-by-hop` passes on what
//! concerns one connection only, to show that the cache keeps none of it. `--redis redis://127.0.0.1` shares what is kept with
//! other proxies on that Redis, when built with `--features redis`.

use std::{env, error::Error};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

use bartizan::{
    BoxStore, CacheLayer, Memory, Rules,
    cache::Stored,
    expiry::{EarlyRefresh, Jitter},
};

type Origin = Client<HttpConnector, Incoming>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Options { listen, origin, rules, hop_by_hop, redis } = options()?;
    let store = open(redis.as_deref())?;
    // A new connection for each request: what an origin sends too much of must not reach the next client.
    let client: Origin = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
    let service = ServiceBuilder::new()
        .map_result(or_bad_gateway)
        .layer(CacheLayer::new(store).rules(rules))
        .service_fn(move |request| forward(client.clone(), origin.clone(), hop_by_hop, request));

    let listener = TcpListener::bind(listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new()).http1_only();
            if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                eprintln!("connection: {error}");
            }
        });
    }
}

struct Options {
    listen: String,
    origin: Uri,
    rules: Rules,
    hop_by_hop: HopByHop,
    redis: Option<String>,
}

/// What becomes of the fields of a response that belong to one connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HopByHop {
    Removed,
    Kept,
}

/// What is kept in this process; with the URL of a Redis, also there. The server need not be there yet.
#[cfg(feature = "redis")]
fn open(redis: Option<&str>) -> Result<BoxStore<Stored>, bartizan::Error> {
    use bartizan::{Redis, RedisStore, Tiered};

    let memory = Memory::with_capacity(256 << 20);
    let Some(url) = redis else { return Ok(BoxStore::new(memory)) };
    Ok(BoxStore::new(Tiered::new(memory, RedisStore::new(Redis::builder(url)?.build()?))))
}

#[cfg(not(feature = "redis"))]
fn open(redis: Option<&str>) -> Result<BoxStore<Stored>, &'static str> {
    match redis {
        None => Ok(BoxStore::new(Memory::with_capacity(256 << 20))),
        Some(_) => Err("--redis needs a proxy that was built with --features redis"),
    }
}

/// Sends the request on, without the fields that belong to one connection.
async fn forward(
    client: Origin,
    origin: Uri,
    hop_by_hop: HopByHop,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>, legacy::Error> {
    let mut target = origin.into_parts();
    target.path_and_query = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from_parts(target).expect("scheme and authority were parsed, and a path stands alone");
    *request.version_mut() = Version::HTTP_11;
    remove_hop_by_hop(request.headers_mut());
    let mut response = client.request(request).await?;
    if hop_by_hop == HopByHop::Removed {
        remove_hop_by_hop(response.headers_mut());
    }
    Ok(response)
}

/// RFC 9110, 7.6.1.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in listed {
        headers.remove(name);
    }
    for name in ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"] {
        headers.remove(name);
    }
}

/// Stands outside the cache, so that the cache sees the error.
fn or_bad_gateway<B>(
    result: Result<Response<B>, legacy::Error>,
) -> Result<Response<Either<B, Empty<Bytes>>>, legacy::Error> {
    Ok(result.map_or_else(
        |error| {
            eprintln!("origin: {error}");
            let mut response = Response::new(Either::Right(Empty::new()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        },
        |response| response.map(Either::Left),
    ))
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options {
        listen: "127.0.0.1:8020".to_owned(),
        origin: Uri::from_static("http://127.0.0.1:8000"),
        // The same numbers in each run: nothing is drawn by lot.
        rules: Rules::new().jitter(Jitter::NONE).early_refresh(EarlyRefresh::NEVER),
        hop_by_hop: HopByHop::Removed,
        redis: None,
    };
    let mut args = env::args().skip(1);
    while let Some(option) = args.next() {
        if option == "--keep-hop-by-hop" {
            options.hop_by_hop = HopByHop::Kept;
            continue;
        }
        let value = args.next().ok_or_else(|| format!("{option} wants a value"))?;
        match (option.as_str(), value.as_str()) {
            ("--listen", _) => options.listen = value,
            ("--origin", _) => options.origin = value.parse()?,
            ("--redis", _) => options.redis = Some(value),
            ("--profile", "default") => {}
            ("--profile", "conformance") => options.rules = Rules::reverse_proxy().share_languages(),
            _ => return Err(format!("unknown: {option} {value}").into()),
        }
    }
    if options.origin.scheme().is_none() {
        return Err(format!("--origin {} has no scheme; http://HOST:PORT would do", options.origin).into());
    }
    if options.redis.is_some() {
        // Proxies on several ports are one site.
        options.rules = options.rules.site(options.origin.to_string().trim_end_matches('/'));
    }
    Ok(options)
}
