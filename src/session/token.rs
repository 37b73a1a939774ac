//! What a client holds, and what a store sees of it.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{TryRng as _, rngs::SysRng};
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// What names a record in a store: the SHA-256 of the first half of what the client holds.
///
/// It never changes while the session lives and is never used again. Who reads the store, or a list of devices, cannot
/// make a cookie of it; still, `Debug` shows none of it, since it names a person's session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId([u8; 32]);

/// The SHA-256 of a secret: of the second half of what a client holds. Compared without an early exit.
#[derive(Clone, Copy)]
pub struct SecretDigest([u8; 32]);

/// What the client holds: 256 bits that name the record, and 256 bits that open it.
///
/// The halves change apart: a rotation swaps the secret, so that the record stays where it is.
#[derive(Clone, Copy)]
pub(super) struct Token {
    id: [u8; HALF],
    secret: [u8; HALF],
}

const HALF: usize = 32;

/// How long a token is as text.
pub(super) const TOKEN_TEXT: usize = 86;

// === impl RecordId ===

impl RecordId {
    /// For [`SessionStore`](super::SessionStore) implementations that read one back.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For [`SessionStore`](super::SessionStore) implementations.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordId(..)")
    }
}

// === impl SecretDigest ===

impl SecretDigest {
    /// For [`SessionStore`](super::SessionStore) implementations that read one back.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For [`SessionStore`](super::SessionStore) implementations.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for SecretDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
    }
}

impl Eq for SecretDigest {}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(..)")
    }
}

// === impl Token ===

impl Token {
    /// A token nobody else has.
    pub(super) fn random() -> Result<Self, Error> {
        Ok(Self { id: random()?, secret: random()? })
    }

    /// The same record's, with another secret.
    pub(super) fn rotated(&self) -> Result<Self, Error> {
        Ok(Self { id: self.id, secret: random()? })
    }

    pub(super) fn record_id(&self) -> RecordId {
        RecordId(Sha256::digest(self.id).into())
    }

    pub(super) fn digest(&self) -> SecretDigest {
        SecretDigest(Sha256::digest(self.secret).into())
    }

    /// `None` for all that [`write`](Self::write) does not write: every token has one spelling.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 2 * HALF];
        if text.len() != TOKEN_TEXT || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) != Ok(2 * HALF) {
            return None;
        }
        let (id, secret) = bytes.split_at(HALF);
        Some(Self { id: id.try_into().ok()?, secret: secret.try_into().ok()? })
    }

    pub(super) fn write(&self) -> String {
        let mut bytes = [0; 2 * HALF];
        bytes[..HALF].copy_from_slice(&self.id);
        bytes[HALF..].copy_from_slice(&self.secret);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Straight from the system: what a process forks off, or restores from a snapshot, draws nothing twice.
fn random() -> Result<[u8; HALF], Error> {
    let mut bytes = [0; HALF];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| Error::unavailable("the system gives no random bytes", error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_has_one_spelling(text in "[A-Za-z0-9_-]{86}") {
            if let Some(token) = Token::read(text.as_bytes()) {
                prop_assert_eq!(token.write(), text);
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Token::read(&text);
        }
    }

    #[test]
    fn a_token_is_read_as_it_was_written() {
        let token = Token::random().unwrap();
        let read = Token::read(token.write().as_bytes()).unwrap();
        assert!(read.record_id() == token.record_id() && read.digest() == token.digest());
        let rotated = token.rotated().unwrap();
        assert!(rotated.record_id() == token.record_id() && rotated.digest() != token.digest());
    }

    #[test]
    fn nothing_that_names_or_opens_a_session_is_printed() {
        let token = Token::random().unwrap();
        let printed = format!("{token:?} {:?} {:?}", token.record_id(), token.digest());
        assert_eq!(printed, "Token(..) RecordId(..) SecretDigest(..)");
    }

    #[test]
    fn digests_that_differ_in_one_bit_differ() {
        for bit in 0..256 {
            let mut bytes = [7; 32];
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(SecretDigest(bytes), SecretDigest([7; 32]));
        }
    }
}
