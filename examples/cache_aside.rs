//! Rows of a database, kept in front of it: one query for a crowd, batches, rows that are not there, tags, and writes.
//!
//! ```text
//! cargo run --example cache_aside --features aside
//! ```
//!
//! It plays a short scene and ends. See the queries: one for a hundred callers at once, one for those of a batch that are not kept,
//! none for what is known not to be there, nor after a write; two once a shelf was invalidated.

use std::{collections::BTreeMap, error::Error, fmt, sync::Arc, time::Duration};

use bartizan::{
    Aside, Memory,
    aside::{EntityKey, Entry, Loaded, Policy},
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let shop = Shop::open();

    println!("a hundred callers at once for book 1");
    let mut crowd = JoinSet::new();
    for _ in 0..100 {
        let shop = shop.clone();
        crowd.spawn(async move { shop.book(1).await });
    }
    crowd.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;

    println!("books 0 to 3, one of which is kept");
    for book in shop.books(0..4).await? {
        println!("    {book:?}");
    }
    println!("book 3, which is known not to be there: {:?}", shop.book(3).await?);
    println!("book 1 has a new title");
    shop.rename(1, "Persuasion, annotated").await?;
    println!("    {:?}", shop.book(1).await?);
    println!("all that stands on shelf 1 is invalidated: books 0 and 2");
    shop.kept.invalidate_tag("shelf:1").await?;
    for id in 0..3 {
        println!("    {:?}", shop.book(id).await?);
    }
    println!("{:?}", shop.kept.counters());
    Ok(())
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Book {
    title: String,
    shelf: u32,
}

#[derive(Clone)]
struct Shop {
    database: Database,
    /// Several processes would share a `RedisStore` or a `Tiered` in place of the memory.
    kept: Aside<Book, Memory<Entry<Book>>>,
}

impl Shop {
    fn open() -> Self {
        let policy = Policy::new()
            .ttl(Duration::from_secs(300))
            .stale_if_error(Duration::from_secs(3600))
            .hard_timeout(Duration::from_secs(2));
        let kept = Aside::new(Memory::with_capacity(16 << 20)).policy(policy);
        Self { database: Database::with(&[("Emma", 1), ("Persuasion", 2), ("Sanditon", 1)]), kept }
    }

    async fn book(&self, id: u32) -> Result<Option<Arc<Book>>, bartizan::Error> {
        let database = self.database.clone();
        let load = move || async move {
            let rows = database.select(&[id])?;
            Ok::<_, Down>(rows.into_values().next().map(on_its_shelf))
        };
        self.kept.get_or_load(("book", id), load).await
    }

    async fn books(&self, ids: impl IntoIterator<Item = u32>) -> Result<Vec<Option<Arc<Book>>>, bartizan::Error> {
        let database = self.database.clone();
        let load = move |ids: Vec<u32>| {
            let database = database.clone();
            async move {
                let rows = database.select(&ids)?;
                Ok::<_, Down>(rows.into_iter().map(|(id, book)| (id, on_its_shelf(book))))
            }
        };
        self.kept.get_or_load_many(ids, |id| EntityKey::new("book", id), load).await
    }

    async fn rename(&self, id: u32, title: &'static str) -> Result<(), bartizan::Error> {
        let database = self.database.clone();
        // What is written is what is kept, unless another write comes in between.
        self.kept.put(("book", id), move || async move { database.rename(id, title).map(on_its_shelf) }).await?;
        Ok(())
    }
}

fn on_its_shelf(book: Book) -> Loaded<Book> {
    let tag = format!("shelf:{}", book.shelf);
    Loaded::new(book).tag(tag)
}

/// Stands for one that is far away.
#[derive(Clone)]
struct Database(Arc<Mutex<BTreeMap<u32, Book>>>);

#[derive(Debug)]
struct Down;

impl Database {
    fn with(books: &[(&str, u32)]) -> Self {
        let books = books.iter().map(|(title, shelf)| Book { title: (*title).to_owned(), shelf: *shelf });
        Self(Arc::new(Mutex::new((0..).zip(books).collect())))
    }

    fn select(&self, ids: &[u32]) -> Result<BTreeMap<u32, Book>, Down> {
        println!("    SELECT .. WHERE id IN {ids:?}");
        let rows = self.0.lock();
        Ok(ids.iter().filter_map(|id| Some((*id, rows.get(id)?.clone()))).collect())
    }

    fn rename(&self, id: u32, title: &str) -> Result<Book, Down> {
        println!("    UPDATE .. WHERE id = {id}");
        let mut rows = self.0.lock();
        let book = rows.get_mut(&id).ok_or(Down)?;
        title.clone_into(&mut book.title);
        Ok(book.clone())
    }
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the database is down")
    }
}

impl Error for Down {}
