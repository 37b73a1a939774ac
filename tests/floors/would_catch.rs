//! The rules catch what they are for: small houses, and what is wrong with them.

use super::*;

fn faults_of(files: &[(&str, &str)]) -> Vec<String> {
    faults(&files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect::<Vec<_>>())
}

#[track_caller]
fn stands(path: &str, text: &str) {
    assert_eq!(faults_of(&[(path, text)]), Vec::<String>::new(), "{path}: {text}");
}

#[track_caller]
fn falls(path: &str, text: &str, part: &str) {
    let faults = faults_of(&[(path, text)]);
    assert_eq!(faults.len(), 1, "{path}: {text}: {faults:?}");
    assert!(faults[0].contains(part), "{part:?} in {faults:?}");
}

#[test]
fn a_floor_above() {
    falls(
        "store/memory.rs",
        "\nuse crate::cache::Key;",
        "src/store/memory.rs:2: `store` (floor 3) names `crate::cache`",
    );
    falls("store/mod.rs", "fn f() -> crate::cache::Key { x }", "floors below");
    falls("clock.rs", "fn f() { crate::store::g() }", "floors below");
    falls("redis/lock.rs", "macro_rules! m { () => { $crate::store::x } }", "floors below");
    stands("cache/service.rs", "use crate::store::{Store, fetch}; use crate::{clock::Clock, error::Error};");
    stands("dashboard/mod.rs", "use crate::{cache, limit::Limit, macros::x};");
    stands("lib.rs", "pub use crate::{cache::CacheLayer, store::Memory}; mod anything { use super::redis; }");
}

#[test]
fn a_room_of_the_same_floor() {
    falls("cache/layer.rs", "use crate::limit::Limit;", "one floor never name");
    falls("quota/mod.rs", "use crate::expiry::Expiry;", "on the ground");
    stands("expiry.rs", "use crate::clock::Timestamp;");
    stands("cache/layer.rs", "use crate::cache::service::Cache; pub(in crate::cache) fn f() {}");
}

#[test]
fn one_wrong_path_in_a_group() {
    falls("cache/key.rs", "use crate::{clock::{Clock, Timestamp as T}, limit::{self, L}, store as s};", "crate::limit");
    falls("cache/key.rs", "use crate::{\n    clock,\n    session};", "src/cache/key.rs:3");
    falls("cache/key.rs", "use { std::fmt, crate::{session} };", "crate::session");
}

#[test]
fn a_chain_of_supers_that_leaves_the_room() {
    falls("cache/policy/reuse.rs", "use super::super::super::limit::Limit;", "crate::limit");
    falls("cache/policy/reuse.rs", "use super::{super::super::limit, fields};", "crate::limit");
    falls("cache/mod.rs", "use super::session;", "crate::session");
    falls("cache/mod.rs", "mod inner { use super::super::session; }", "crate::session");
    falls("cache/mod.rs", "mod inner { } use self::super::session;", "crate::session");
    stands("cache/policy/reuse.rs", "use super::super::limit; pub(super) fn f(self) { super::g() }");
    stands("cache/mod.rs", "mod inner { fn f() { super::session() } }");
}

#[test]
fn the_face_instead_of_the_owner() {
    falls("cache/key.rs", "use crate::Error;", "no room");
    falls("cache/key.rs", "use crate::*;", "no room");
    falls("cache/key.rs", "use crate as root;", "no room");
    falls("cache/key.rs", "use crate::{self as root};", "no room");
    falls("cache/mod.rs", "use super::*;", "no room");
}

#[test]
fn a_room_without_a_floor() {
    falls("utils.rs", "fn f() {}", "`utils` has no floor");
    falls("macros.rs", "macro_rules! m { () => { $crate::clock::x() } }", "names nothing");
}

#[test]
fn nothing_in_comments_literals_and_tests() {
    stands("clock.rs", "//! [`crate::cache`]\n/* /* crate::cache */ crate::cache */");
    stands("clock.rs", r###"const A: &str = "\\\" crate::cache"; const B: &[u8] = br#"" crate::cache"#;"###);
    stands("clock.rs", "fn f<'a>(c: &'a char) -> bool { matches!(c, '\"' | '\\'' | '\\u{22}') && b'\"' > b'/' }");
    stands("clock.rs", "#[cfg(test)]\n#[path = \"x\"]\nmod tests { use crate::cache::A; fn f() { {} } }");
    stands(
        "clock.rs",
        "#[cfg(all(test, unix))] use crate::{cache::A, limit}; #[cfg(test)] pub(crate) fn f<A, B>() { crate::cache() }",
    );
    stands("clock.rs", "struct S { #[cfg(test)] a: crate::cache::A, b: u8 }");
    assert_eq!(
        faults_of(&[("store/mod.rs", "#[cfg(test)] mod tests;"), ("store/tests.rs", "use crate::cache;")]).len(),
        0
    );
}

#[test]
fn what_stands_behind_a_literal_or_a_test() {
    falls("clock.rs", "const A: char = '\"'; use crate::cache; const B: char = '\"';", "crate::cache");
    falls("clock.rs", "const A: &str = r\"\\\"; use crate::cache; const B: &str = \"\";", "crate::cache");
    falls("clock.rs", "fn f<'a>() {} use crate::cache; fn g<'a>() {}", "crate::cache");
    falls("clock.rs", "#[cfg(test)] mod tests { fn f() {} } use crate::cache;", "crate::cache");
    falls("clock.rs", "#[cfg(test)] use a::{b}; use crate::cache;", "crate::cache");
    falls("clock.rs", "struct S { #[cfg(test)] a: u8, b: crate::cache::B }", "crate::cache");
    falls("clock.rs", "#[cfg(any(test, feature = \"conformance\"))] mod m { use crate::cache; }", "crate::cache");
    assert_eq!(faults_of(&[("store/mod.rs", "mod tests;"), ("store/tests.rs", "use crate::cache;")]).len(), 1);
}

#[test]
fn a_clock_or_a_wait_in_a_pure_rule() {
    falls("cache/policy/reuse.rs", "fn f() { std::time::Instant::now() }", "pure rule");
    falls("cache/policy/reuse.rs", "fn f() { SystemTime::now() }", "pure rule");
    falls("cache/policy/mod.rs", "async fn f() {}", "pure rule");
    falls("quota/gcra.rs", "fn f(clock: &C) { clock.now() }", "pure rule");
    falls("expiry.rs", "use tokio::time::Duration;", "pure rule");
    stands("cache/policy/reuse.rs", "fn f(now: Timestamp) { now.plus(x) }");
    stands("cache/service.rs", "async fn f() { clock.now() }");
}

#[test]
fn a_task_started_elsewhere() {
    falls("cache/service.rs", "fn f() { tokio::spawn(async {}); }", "only store/fetch.rs");
    falls("store/memory.rs", "fn f() { self.tracker.spawn(work) }", "only store/fetch.rs");
    stands("store/fetch.rs", "fn f() { tokio::spawn(work); }");
}
