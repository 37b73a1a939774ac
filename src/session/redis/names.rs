//! What keys are called.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::session::{record::Principal, token::RecordId};

/// A record.
pub(super) fn record(store: &str, id: &RecordId) -> String {
    key(store, id.as_bytes(), "record")
}

/// Which records are of a principal, whose name is not for everyone who lists keys, and may be of any bytes.
pub(super) fn index(store: &str, principal: &Principal) -> String {
    key(store, &Sha256::digest(principal.as_str()).into(), "index")
}

fn key(store: &str, digest: &[u8; 32], field: &str) -> String {
    let mut key = String::with_capacity(store.len() + 64 + field.len() + 4);
    key.push_str(store);
    key.push_str(":{");
    for byte in digest {
        let _ = write!(key, "{byte:02x}");
    }
    key.push_str("}:");
    key.push_str(field);
    key
}
