//! What must happen as one, on the server.

use std::sync::LazyLock;

use crate::redis::Script;

macro_rules! script {
    ($($part:literal),+) => {
        LazyLock::new(|| Script::new(concat!($(include_str!(concat!("lua/", $part, ".lua"))),+)))
    };
}

pub(super) static CREATE: LazyLock<Script> = script!("record", "create");
pub(super) static LOAD: LazyLock<Script> = script!("load");
pub(super) static APPLY: LazyLock<Script> = script!("record", "apply");
pub(super) static DESTROY: LazyLock<Script> = script!("record", "destroy");
pub(super) static ENLIST: LazyLock<Script> = script!("enlist");
pub(super) static STRIKE: LazyLock<Script> = script!("strike");
