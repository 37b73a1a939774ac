//! A server, a store on it, and what is asked of both.

use std::{collections::BTreeMap, sync::atomic::AtomicU32, sync::atomic::Ordering, time::Duration};

use bartizan::{
    Redis,
    session::{
        Client, Lifetime, Principal, RecordId, RedisSessions, SecretDigest, SessionStore,
        changes::{Addition, Changes, Members, Rotation},
        contract::{Applied, Creation, NewRecord},
        record::{Fields, Generation},
    },
};
use bytes::Bytes;

use crate::redis_servers::Server;

pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const IDLE: Duration = Duration::from_secs(60);

pub(crate) async fn connect(url: &str) -> Redis {
    // Other tests share the machine.
    Redis::builder(url).unwrap().deadline(Duration::from_secs(5)).connect().await.unwrap()
}

/// What keys of a store of its own begin with.
pub(crate) fn fresh_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("session-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn id(n: u32) -> RecordId {
    let mut bytes = [0x5a; 32];
    bytes[..4].copy_from_slice(&n.to_le_bytes());
    RecordId::from_bytes(bytes)
}

pub(crate) fn secret(n: u8) -> SecretDigest {
    SecretDigest::from_bytes([n; 32])
}

pub(crate) fn principal(name: &str) -> Principal {
    Principal::new(name).unwrap()
}

/// Idle for [`IDLE`], ten times that in all.
pub(crate) fn new(n: u32) -> NewRecord {
    NewRecord {
        id: id(n),
        secret: secret(1),
        lifetime: Lifetime::new(IDLE, 10 * IDLE),
        principal: None,
        client: Client::new().agent("a browser").address([127, 0, 0, 1].into()),
        changes: Changes::default(),
    }
}

pub(crate) fn of(n: u32, name: &str) -> NewRecord {
    NewRecord { principal: Some(principal(name)), ..new(n) }
}

pub(crate) async fn create(store: &RedisSessions, new: NewRecord) {
    assert!(matches!(store.create(new).await.unwrap(), Creation::Created(_)), "the id is new");
}

pub(crate) async fn apply(store: &RedisSessions, n: u32, changes: Changes) -> Applied {
    store.apply(&id(n), Generation::default(), changes).await.unwrap()
}

pub(crate) async fn done(store: &RedisSessions, n: u32, changes: Changes) {
    let applied = apply(store, n, changes).await;
    assert!(matches!(applied, Applied::Done(_)), "{applied:?}");
}

pub(crate) fn set(name: &str, value: &[u8]) -> Changes {
    Changes { values: [(name.into(), Some(Bytes::copy_from_slice(value)))].into(), ..Changes::default() }
}

pub(crate) fn unset(name: &str) -> Changes {
    Changes { values: [(name.into(), None)].into(), ..Changes::default() }
}

pub(crate) fn add(name: &str, add: i64) -> Changes {
    Changes { counters: [(name.into(), Addition { reset: false, add })].into(), ..Changes::default() }
}

pub(crate) fn member(name: &str, member: &[u8]) -> Changes {
    let members = Members { added: [Bytes::copy_from_slice(member)].into(), ..Members::default() };
    Changes { sets: [(name.into(), members)].into(), ..Changes::default() }
}

pub(crate) fn rights(to: u8, name: Option<&str>) -> Changes {
    let rotation = Rotation::Rights {
        to: secret(to),
        overlap: Duration::from_secs(10),
        principal: name.map(principal),
        lifetime: Lifetime::new(IDLE, 10 * IDLE),
        client: Client::new(),
    };
    Changes { rotation: Some(rotation), ..Changes::default() }
}

pub(crate) fn renewal(from: u8, to: u8) -> Changes {
    let rotation = Rotation::Renewal { from: secret(from), to: secret(to), overlap: Duration::from_secs(10) };
    Changes { rotation: Some(rotation), ..Changes::default() }
}

pub(crate) async fn fields(store: &RedisSessions, n: u32) -> Fields {
    store.load(&id(n)).await.unwrap().expect("it is there").record.fields.clone()
}

/// The numbers of a principal's sessions.
pub(crate) async fn listed(store: &RedisSessions, name: &str) -> Vec<u32> {
    let listed = store.list(&principal(name)).await.unwrap();
    let mut numbers: Vec<_> =
        listed.iter().map(|one| u32::from_le_bytes(*one.id.as_bytes().first_chunk().unwrap())).collect();
    numbers.sort_unstable();
    numbers
}

/// The key of a record on the server, for a store with its default name.
pub(crate) fn key(n: u32) -> String {
    key_in("session", n)
}

pub(crate) fn key_in(name: &str, n: u32) -> String {
    let hex: String = id(n).as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("bartizan:{name}:{{{hex}}}:record")
}

/// What holds of every key at every moment: it has an end, and a record has a head that knows what its fields weigh.
pub(crate) async fn check_keys(server: &Server) {
    let keys: Vec<String> = server.ask(&["KEYS", "*"]).await.unwrap();
    for key in keys {
        let left: i64 = server.ask(&["PTTL", &key]).await.unwrap();
        // It may have ended since.
        assert!(left > 0 || left == -2, "{key} has no end: {left}");
        if !key.ends_with(":record") {
            continue;
        }
        let hash: BTreeMap<Vec<u8>, Vec<u8>> = server.ask(&["HGETALL", &key]).await.unwrap();
        if hash.is_empty() {
            continue;
        }
        let head = hash.get(&b"h"[..]).unwrap_or_else(|| panic!("{key} has no head: {hash:?}"));
        let mut weight = [0; 8];
        weight[..6].copy_from_slice(&head[52..58]);
        assert_eq!(u64::from_le_bytes(weight), weigh(&hash) as u64, "{key}: {hash:?}");
    }
}

/// As `Fields::weight`.
fn weigh(hash: &BTreeMap<Vec<u8>, Vec<u8>>) -> usize {
    let weight = |(field, value): (&Vec<u8>, &Vec<u8>)| match field[0] {
        b'v' => field.len() - 1 + value.len(),
        b'c' => field.len() - 1 + 8,
        b's' => field.len() - 1 - field.iter().position(|&byte| byte == b':').unwrap(),
        _ => 0,
    };
    hash.iter().map(weight).sum()
}
