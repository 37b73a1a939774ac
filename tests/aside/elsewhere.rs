//! Values that another process reads.

use std::{collections::HashMap, sync::Arc};

use bartizan::{Aside, RedisStore};
use serde::{Deserialize, Serialize};

use crate::{
    scene::{Down, connect},
    support::Server,
};

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

#[tokio::test]
async fn values_are_read_elsewhere_as_they_were_written() {
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

#[cfg(feature = "json")]
#[tokio::test]
async fn json_is_kept_beside_postcard_and_removed_with_it() {
    use bartizan::aside::Json;

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
