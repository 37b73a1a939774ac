//! What must happen as one, on the server.

use std::sync::LazyLock;

use crate::redis::script::Script;

macro_rules! script {
    ($part:literal) => {
        LazyLock::new(|| {
            Script::new(concat!(include_str!("lua/queue.lua"), include_str!(concat!("lua/", $part, ".lua"))))
        })
    };
}

pub(super) static PUSH: LazyLock<Script> = script!("push");
pub(super) static CLAIM: LazyLock<Script> = script!("claim");
pub(super) static ACK: LazyLock<Script> = script!("ack");
pub(super) static NACK: LazyLock<Script> = script!("nack");
pub(super) static HEARTBEAT: LazyLock<Script> = script!("heartbeat");
pub(super) static REMOVE: LazyLock<Script> = script!("remove");
pub(super) static REQUEUE: LazyLock<Script> = script!("requeue");
pub(super) static FIND: LazyLock<Script> = script!("find");
pub(super) static DEAD: LazyLock<Script> = script!("dead");
pub(super) static COUNTS: LazyLock<Script> = script!("counts");
