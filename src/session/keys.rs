//! Keys by which a forged token is known before the store is asked.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::token::{TOKEN_TEXT, Token};

/// Signs the tokens that clients hold, and knows those that it signed.
///
/// A token is 512 bits from the system, so nobody guesses one; signed, what was made up costs no call of the store. Keys are
/// changed without a logout: the new one signs, the old one is [accepted](Self::accept) for as long as sessions may live.
///
/// ```
/// use bartizan::{MemorySessions, SessionLayer, session::SigningKeys};
///
/// # let (new, old) = ([1; 32], [2; 32]);
/// let layer = SessionLayer::new(MemorySessions::new()).signed_by(SigningKeys::new(&new).accept(&old));
/// ```
#[derive(Clone)]
pub struct SigningKeys(Arc<[Signer]>);

type Signer = Hmac<Sha256>;

/// A token, a dot, and 32 bytes as text.
pub(super) const SIGNED_TEXT: usize = TOKEN_TEXT + 1 + 43;

// === impl SigningKeys ===

impl SigningKeys {
    /// Signs with `key`: at least 32 bytes, from a random source.
    ///
    /// # Panics
    ///
    /// When `key` is shorter.
    pub fn new(key: &[u8]) -> Self {
        Self([signer(key)].into())
    }

    /// Accepts what was signed with `key`, too.
    ///
    /// # Panics
    ///
    /// When `key` is shorter than 32 bytes.
    #[must_use]
    pub fn accept(self, key: &[u8]) -> Self {
        Self(self.0.iter().cloned().chain([signer(key)]).collect())
    }

    pub(super) fn read(&self, text: &[u8]) -> Option<Token> {
        let (token, signature) = text.split_at_checked(TOKEN_TEXT)?;
        let mut bytes = [0; 32];
        let decoded = URL_SAFE_NO_PAD.decode_slice(signature.strip_prefix(b".")?, &mut bytes);
        if decoded != Ok(32) {
            return None;
        }
        let knows = |key: &Signer| key.clone().chain_update(token).verify_slice(&bytes).is_ok();
        if !self.0.iter().any(knows) {
            return None;
        }
        Token::read(token)
    }

    pub(super) fn write(&self, token: &Token) -> String {
        let mut text = token.write();
        if let Some(key) = self.0.first() {
            let signature = key.clone().chain_update(&text).finalize().into_bytes();
            text.push('.');
            URL_SAFE_NO_PAD.encode_string(signature, &mut text);
        }
        text
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys(.. {} keys)", self.0.len())
    }
}

fn signer(key: &[u8]) -> Signer {
    assert!(key.len() >= 32, "a key that signs sessions has 32 bytes at least, this one has {}", key.len());
    // The same key may sign other things elsewhere.
    let own = Signer::new_from_slice(key).expect("HMAC takes keys of any length");
    let own = own.chain_update(b"bartizan session token").finalize().into_bytes();
    Signer::new_from_slice(&own).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_known_key_signed_is_read_and_nothing_else_is() {
        let (old, new, other) = ([1; 32], [2; 32], [3; 32]);
        let token = Token::random().unwrap();
        let text = SigningKeys::new(&old).write(&token);
        assert_eq!(text.len(), SIGNED_TEXT);
        let read = SigningKeys::new(&new).accept(&old).read(text.as_bytes()).unwrap();
        assert_eq!(read.record_id(), token.record_id());
        assert!(SigningKeys::new(&other).read(text.as_bytes()).is_none());
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert!(SigningKeys::new(&old).read(&forged).is_none(), "byte {at}");
        }
        assert!(SigningKeys::new(&old).read(&text.as_bytes()[..TOKEN_TEXT]).is_none());
    }

    #[test]
    fn keys_are_not_printed() {
        assert_eq!(format!("{:?}", SigningKeys::new(&[7; 32])), "SigningKeys(.. 1 keys)");
    }

    #[test]
    #[should_panic(expected = "32 bytes at least")]
    fn a_short_key_is_refused() {
        SigningKeys::new(b"secret");
    }
}
