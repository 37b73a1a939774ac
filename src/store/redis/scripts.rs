//! What must happen as one, on the server.

use std::sync::LazyLock;

use crate::redis::Script;

macro_rules! script {
    ($($part:literal),+) => {
        LazyLock::new(|| Script::new(concat!($(include_str!(concat!("lua/", $part, ".lua"))),+)))
    };
}

pub(super) static LEASE: LazyLock<Script> = script!("bucket", "lease");
pub(super) static FILL: LazyLock<Script> = script!("bucket", "held", "fill");
pub(super) static NARROW: LazyLock<Script> = script!("bucket", "held", "narrow");
pub(super) static REPLACE_ALL: LazyLock<Script> = script!("bucket", "held", "replace_all");
pub(super) static RELEASE: LazyLock<Script> = script!("bucket", "release");
pub(super) static RENEW: LazyLock<Script> = script!("renew");
pub(super) static REMOVE: LazyLock<Script> = script!("bucket", "remove");
pub(super) static FORGET: LazyLock<Script> = script!("forget");
pub(super) static BEAT: LazyLock<Script> = script!("bucket", "beat");
