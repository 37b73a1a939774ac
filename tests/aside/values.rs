//! Values of a program's own types: how they are written, and what becomes of those that cannot be.

use std::{collections::HashMap, sync::Arc};

use bartizan::{
    Aside, Memory,
    aside::{EntityKey, Entry},
};
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};

use crate::scene::Down;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Account {
    name: String,
    roles: Vec<Role>,
    limits: HashMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Role {
    Owner,
    Guest { until: Option<u64> },
}

fn account() -> Account {
    Account {
        name: "Ada".to_owned(),
        roles: vec![Role::Owner, Role::Guest { until: Some(7) }],
        limits: HashMap::from([("reads".to_owned(), 10)]),
    }
}

/// What no codec takes: a map whose keys are no text is not JSON, and what says it cannot be written is nothing.
#[derive(Debug, Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it is never written"))
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_answered_and_not_kept() {
    let values: Aside<Unwritable, _> = Aside::new(Memory::with_capacity(1 << 20));
    for loads in 1..=2 {
        let value = values.get_or_load(("value", 1), || async { Ok::<_, Down>(Unwritable) }).await.unwrap();
        assert!(value.is_some());
        assert_eq!((values.counters().loads, values.counters().unwritable), (loads, loads));
    }
    values.put(("value", 1), || async { Ok::<_, Down>(Unwritable) }).await.unwrap();
    assert_eq!(values.counters().unwritable, 3);
}

#[tokio::test]
async fn memory_is_bounded_by_what_values_take() {
    let texts: Aside<String, _> = Aside::new(Memory::with_capacity(1 << 20));
    for id in 0..1000 {
        texts.get_or_load(("text", id), || async { Ok::<_, Down>("x".repeat(10_000)) }).await.unwrap();
    }
    let usage = texts.counters().usage;
    assert!((50..=104).contains(&usage.entries) && usage.bytes <= 1 << 20, "{usage:?}");
}

#[tokio::test]
async fn an_error_is_anything_that_becomes_one() {
    let texts: Aside<String, _> = Aside::new(Memory::with_capacity(1 << 20));
    let error = texts.get_or_load(("text", 1), || async { Err::<String, _>("a text will do") }).await.unwrap_err();
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "a text will do");
    let boxed = || async { Err::<String, Box<dyn std::error::Error + Send + Sync>>(Down(3).into()) };
    let error = texts.get_or_load(("text", 1), boxed).await.unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().is::<Down>());
}

#[tokio::test]
async fn keys_that_look_alike_are_others() {
    let texts: Aside<String, _> = Aside::new(Memory::with_capacity(1 << 20));
    let keys = [
        EntityKey::new("user", 1),
        EntityKey::new("user", 1).field("name"),
        EntityKey::new("user", "1:name"),
        EntityKey::new("user", "1%3Aname"),
        EntityKey::new("users", 1),
    ];
    for key in &keys {
        let own = key.to_string();
        let text = texts.get_or_load(key, move || async move { Ok::<_, Down>(own) }).await.unwrap();
        assert_eq!(text.as_deref().map(String::as_str), Some(key.as_str()));
    }
    assert_eq!(texts.counters().loads, 5);
    texts.invalidate(&keys[0]).await.unwrap();
    let other = texts.get_or_load(&keys[1], || async { Err::<String, _>(Down(0)) }).await.unwrap();
    assert_eq!(other.as_deref().map(String::as_str), Some("user:1:name"), "an entity is another than its field");
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn values_are_read_elsewhere_as_they_were_written() {
    use bartizan::RedisStore;

    use crate::{scene::connect, support::Server};

    let server = Server::start().await;
    let store = async || RedisStore::new(connect(&server.url()).await);
    let (here, there): (Aside<Account, _>, Aside<Account, _>) = (Aside::new(store().await), Aside::new(store().await));
    here.get_or_load(("account", 1), || async { Ok::<_, Down>(account()) }).await.unwrap();
    here.drain().await;
    let read = there.get_or_load(("account", 1), || async { Err::<Account, _>(Down(0)) }).await.unwrap();
    assert_eq!(read, Some(Arc::new(account())));

    // The same name for another type, by mistake.
    let wrong: Aside<Vec<Account>, _> = Aside::new(store().await);
    let loaded = wrong.get_or_load(("account", 1), || async { Ok::<_, Down>(vec![account()]) }).await.unwrap();
    assert_eq!(loaded, Some(Arc::new(vec![account()])), "what cannot be read is a miss");
}

#[cfg(all(feature = "json", feature = "redis"))]
#[tokio::test]
async fn json_is_kept_beside_postcard_and_removed_with_it() {
    use bartizan::{RedisStore, aside::Json};

    use crate::{scene::connect, support::Server};

    let server = Server::start().await;
    let store = RedisStore::new(connect(&server.url()).await);
    let postcard: Aside<Account, _> = Aside::new(store.clone());
    let json = Aside::<Account, _, Json>::with_codec(store);
    json.get_or_load(("account", 1), || async { Ok::<_, Down>(account()) }).await.unwrap();
    json.drain().await;
    let keys: Vec<String> = server.ask(&["KEYS", "*:entry:*"]).await.unwrap();
    let entry: Vec<u8> = server.ask(&["GET", &keys[0]]).await.unwrap();
    let text = serde_json::to_string(&account()).unwrap();
    assert!(entry.windows(text.len()).any(|window| window == text.as_bytes()), "{}", String::from_utf8_lossy(&entry));
    let read = json.get_or_load(("account", 1), || async { Err::<Account, _>(Down(0)) }).await.unwrap();
    assert_eq!(read, Some(Arc::new(account())));
    assert!(postcard.get_or_load(("account", 1), || async { Err::<Account, _>(Down(0)) }).await.is_err());
    postcard.invalidate(("account", 1)).await.unwrap();
    assert!(json.get_or_load(("account", 1), || async { Err::<Account, _>(Down(0)) }).await.is_err());
}

#[tokio::test]
async fn a_hit_allocates_the_text_of_its_key_and_nothing_else() {
    let texts: Aside<String, _> = Aside::new(Memory::with_capacity(1 << 20));
    let load = || async { Ok::<_, Down>("a text".to_owned()) };
    texts.get_or_load(("text", 1), load).await.unwrap();
    let mut hit = None;
    let allocated = allocation_counter::measure(|| hit = texts.get_or_load(("text", 1), load).now_or_never());
    assert!(hit.is_some_and(|hit| hit.is_ok()), "it waits for nothing");
    assert_eq!(allocated.count_total, 1);
}

#[test]
fn handles_may_be_sent_and_shared() {
    fn shared<T: Send + Sync + Clone + std::fmt::Debug>() {}
    shared::<Aside<Account, Memory<Entry<Account>>>>();
}
