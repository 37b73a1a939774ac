//! A shop whose search is slow, and a cache that hides it.
//!
//! ```text
//! cargo run --release --example quickstart          (PORT=8080 for another port than 3000)
//! cargo run --release --features redis --example quickstart -- --redis redis://127.0.0.1      (or REDIS_URL)
//! ```
//!
//! It prints what to type in a second terminal: the same search twice, the same without a cache, a new price and the
//! search again. See `Cache-Status: bartizan; hit` and `Age` from the second answer on, in a hundredth of the time of
//! the first (tens of milliseconds); and the new price at once, while every other search stays in the cache.
//!
//! With a Redis, start it twice, on two ports: what one process computed the other answers, and a new price shows in both.

mod catalogue;
#[cfg_attr(not(feature = "redis"), path = "alone.rs")]
mod shared;

use std::{env, error::Error, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use bartizan::{BoxStore, CacheHandle, CacheLayer, Caching, Rules, cache::Stored};
use serde::Deserialize;
use tokio::{net::TcpListener, signal, task};

use self::{
    catalogue::{Catalogue, Detail, Page},
    shared::Shared,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let shared = Shared::open(redis_url()?.as_deref()).await?;
    let catalogue = Arc::new(Catalogue::generate());
    let lamp = catalogue.search("walnut lamp", 1).products[0].id;

    // One store, and a layer with rules of its own for each route. A search is kept for a minute, under `q` and `page`
    // and whatever else the link brought along; a detail page is kept for as long as its handler says. The site is named
    // since two shops on two ports would else have two pages of each, which matters when they share a Redis.
    let rules = Rules::new().site("http://shop.example");
    let searches = CacheLayer::new(shared.store.clone()).rules(
        rules.clone().default_ttl(Duration::from_secs(60)).query(bartizan::Query::only(["q", "page"])).tag("searches"),
    );
    let details = CacheLayer::new(shared.store.clone()).rules(
        rules.negative_ttl(Duration::from_secs(5)).query(bartizan::Query::except(["utm_source", "utm_campaign"])),
    );
    // Purging works on the store, so either handle purges what both layers kept.
    let (cache, other) = (searches.handle(), details.handle());

    let app = Router::new()
        .route("/search", get(search).layer(searches))
        .route("/products/{id}", get(detail).layer(details))
        .route("/uncached/search", get(search))
        .route("/products/{id}/price", post(set_price))
        .route("/products/{id}/stock", post(set_stock))
        .with_state(Shop { catalogue, shared, cache: cache.clone() });

    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    print_what_to_type(&listener.local_addr()?.to_string(), lamp);
    axum::serve(listener, app)
        .with_graceful_shutdown(async {
            // Without a signal handler there is nothing to wait for but the end of the process.
            if signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await?;
    // A search whose client left may still be on its way into the store.
    cache.drain().await;
    other.drain().await;
    Ok(())
}

#[derive(Clone)]
struct Shop {
    catalogue: Arc<Catalogue>,
    shared: Shared,
    cache: CacheHandle<BoxStore<Stored>>,
}

/// Where to share the cache, if anywhere.
fn redis_url() -> Result<Option<String>, String> {
    match &env::args().skip(1).collect::<Vec<_>>()[..] {
        [] => Ok(env::var("REDIS_URL").ok()),
        [option, url] if option == "--redis" => Ok(Some(url.clone())),
        other => Err(format!("unknown: {}; there is only --redis URL", other.join(" "))),
    }
}

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: usize,
}

/// The page carries the tag of each product it shows, so that it goes when one of them changes.
async fn search(
    State(shop): State<Shop>,
    Query(Search { q, page }): Query<Search>,
) -> Result<impl IntoResponse, StatusCode> {
    shop.shared.read_into(&shop.catalogue).await;
    let page: Page = compute(move || shop.catalogue.search(&q, page)).await?;
    let shown = page.products.iter().map(|line| line.id);
    Ok((Extension(tagged(Caching::new(), shown)), Json(page)))
}

/// A page shows prices of similar products too, so it carries their tags as well as its own. One that is nearly sold
/// out is looked at again sooner.
async fn detail(State(shop): State<Shop>, Path(id): Path<u32>) -> Result<impl IntoResponse, StatusCode> {
    shop.shared.read_into(&shop.catalogue).await;
    let detail: Detail = compute(move || shop.catalogue.detail(id)).await?.ok_or(StatusCode::NOT_FOUND)?;
    let ttl = Duration::from_secs(if detail.stock < 5 { 10 } else { 600 });
    let shown = detail.similar.iter().map(|line| line.id).chain([id]);
    Ok((Extension(tagged(Caching::new().ttl(ttl), shown)), Json(detail)))
}

#[derive(Deserialize)]
struct NewPrice {
    cents: u64,
}

/// The price has no say in what a search finds, nor in its order: exactly the pages that show the product are wrong now,
/// and they are the ones with its tag. First the new price, then the purge: what was computed from the old price and is
/// not stored yet, never will be.
async fn set_price(
    State(shop): State<Shop>,
    Path(id): Path<u32>,
    Query(NewPrice { cents }): Query<NewPrice>,
) -> Result<String, StatusCode> {
    let was = shop.catalogue.set_price(id, cents).ok_or(StatusCode::NOT_FOUND)?;
    shop.shared.write("price", id, cents).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    shop.purge(product_tag(id)).await?;
    Ok(format!("product {id} costs {cents} instead of {was}\n"))
}

#[derive(Deserialize)]
struct NewStock {
    count: u32,
}

/// What is sold out is not found. So a product that comes or goes moves others from page to page, also on pages that
/// never showed it: no product's tag names those, but `searches` does.
async fn set_stock(
    State(shop): State<Shop>,
    Path(id): Path<u32>,
    Query(NewStock { count }): Query<NewStock>,
) -> Result<String, StatusCode> {
    let was = shop.catalogue.set_stock(id, count).ok_or(StatusCode::NOT_FOUND)?;
    shop.shared.write("stock", id, count.into()).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    shop.purge(product_tag(id)).await?;
    if (was == 0) != (count == 0) {
        shop.purge("searches".to_owned()).await?;
    }
    Ok(format!("{count} of product {id} instead of {was}\n"))
}

impl Shop {
    async fn purge(&self, tag: String) -> Result<(), StatusCode> {
        self.cache.purge_tag(tag).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
    }
}

fn tagged(caching: Caching, ids: impl Iterator<Item = u32>) -> Caching {
    ids.fold(caching, |caching, id| caching.tag(product_tag(id)))
}

fn product_tag(id: u32) -> String {
    format!("product:{id}")
}

/// Tens of milliseconds of work belong on a thread of their own: the runtime's must stay free to answer hits.
async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, StatusCode> {
    task::spawn_blocking(work).await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

fn print_what_to_type(address: &str, first: u32) {
    println!(
        "listening on http://{address}, {} products. Try, in another terminal:

  # computed, then a hit, then the same without the cache: compare the times
  curl -s -o /dev/null -w '%{{time_total}}\\n' 'http://{address}/search?q=walnut+lamp'
  curl -s -o /dev/null -w '%{{time_total}}\\n' 'http://{address}/search?q=walnut+lamp'
  curl -s -o /dev/null -w '%{{time_total}}\\n' 'http://{address}/uncached/search?q=walnut+lamp'

  # Cache-Status and Age; what the link brought along is not part of the key; lapm finds lamps
  curl -si 'http://{address}/search?q=walnut+lamp&utm_source=mail' | head -8
  curl -si 'http://{address}/search?q=walnut+lapm' | head -8
  curl -si 'http://{address}/products/{first}' | head -8

  # a new price shows at once, and a search without this product stays a hit
  curl -s -o /dev/null 'http://{address}/search?q=golden+teapot'
  curl -s -X POST 'http://{address}/products/{first}/price?cents=1234'
  curl -s 'http://{address}/search?q=walnut+lamp' | head -c 200; echo
  curl -si 'http://{address}/search?q=golden+teapot' | head -8
",
        catalogue::PRODUCTS,
    );
}
