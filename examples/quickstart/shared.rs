//! What several shops have in common: the cache's store, and what was changed of the catalogue, which in a real shop is the
//! database's. With the feature `redis`; `alone.rs` stands in for it without.

use bartizan::{BoxStore, Error, Memory, Redis, RedisStore, Tiered, cache::Stored};

use crate::catalogue::Catalogue;

#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) store: BoxStore<Stored>,
    redis: Option<Redis>,
}

// === impl Shared ===

impl Shared {
    /// At `url`, where other processes have it too; without, in this process. The server need not be there yet.
    pub(crate) async fn open(url: Option<&str>) -> Result<Self, Error> {
        let memory = Memory::with_capacity(64 << 20);
        let Some(url) = url else { return Ok(Self { store: BoxStore::new(memory), redis: None }) };
        let redis = Redis::builder(url)?.namespace("quickstart").build()?;
        match redis.command("PING").run().await {
            Ok(_) => println!("the cache is shared, on {url}"),
            Err(error) => println!("the cache will be shared once {url} answers; until then: {error}"),
        }
        let store = Tiered::new(memory, RedisStore::new(redis.clone()));
        Ok(Self { store: BoxStore::new(store), redis: Some(redis) })
    }

    /// Remembers a price or a stock, for every process.
    pub(crate) async fn write(&self, what: &str, id: u32, number: u64) -> Result<(), Error> {
        let Some(redis) = &self.redis else { return Ok(()) };
        redis.command("HSET").key(what).arg(id).arg(number).run().await.map(|_| ())
    }

    /// Brings `catalogue` up to date. Without an answer it is shown as this process knows it.
    pub(crate) async fn read_into(&self, catalogue: &Catalogue) {
        let Some(redis) = &self.redis else { return };
        for what in ["price", "stock"] {
            let Ok(changes) = redis.command("HGETALL").key(what).run().await.and_then(bartizan::redis::Reply::list)
            else {
                return;
            };
            let mut numbers = changes.into_iter().filter_map(|field| field.text().ok()??.parse::<u64>().ok());
            while let (Some(id), Some(number)) = (numbers.next(), numbers.next()) {
                match what {
                    "price" => drop(catalogue.set_price(id as u32, number)),
                    _ => drop(catalogue.set_stock(id as u32, number as u32)),
                }
            }
        }
    }
}
