//! What must happen as one, on the server.

use std::sync::LazyLock;

use crate::redis::Script;

macro_rules! script {
    ($($part:literal),+) => {
        LazyLock::new(|| Script::new(concat!($(include_str!(concat!("lua/", $part, ".lua"))),+)))
    };
}

pub(super) static WRITE: LazyLock<Script> = script!("board", "write");
pub(super) static READ: LazyLock<Script> = script!("board", "read");
pub(super) static TRIM: LazyLock<Script> = script!("board", "trim");
