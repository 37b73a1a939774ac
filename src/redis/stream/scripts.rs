//! What must happen as one, on the server.

use std::sync::LazyLock;

use crate::redis::script::Script;

macro_rules! script {
    ($($part:literal),+) => {
        LazyLock::new(|| Script::new(concat!($(include_str!(concat!("lua/", $part, ".lua"))),+)))
    };
}

pub(super) static APPEND: LazyLock<Script> = script!("append");
pub(super) static TRIM: LazyLock<Script> = script!("trim");
pub(super) static TAKE: LazyLock<Script> = script!("group", "take");
pub(super) static FAIL: LazyLock<Script> = script!("group", "fail");
pub(super) static RENEW: LazyLock<Script> = script!("group", "renew");
pub(super) static HAND_BACK: LazyLock<Script> = script!("group", "hand_back");
pub(super) static SWEEP: LazyLock<Script> = script!("group", "sweep");
pub(super) static STATUS: LazyLock<Script> = script!("group", "status");
pub(super) static REQUEUE: LazyLock<Script> = script!("group", "requeue");
