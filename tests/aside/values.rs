//! Values of a program's own types: what they are called and take, and what becomes of those that cannot be written.

use bartizan::{
    Aside, Memory,
    aside::{EntityKey, Entry},
};
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};

use crate::scene::Down;

/// What no codec takes.
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
    shared::<Aside<String, Memory<Entry<String>>>>();
}
