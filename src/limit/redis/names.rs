//! What accounts are called on the server.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::wire::letter;
use crate::limit::{
    contract::Ledger,
    identity::{Identity, Part},
};

/// The key of an account. No two have the same.
pub(super) fn key(ledger: &Ledger, identity: &Identity, one_slot: bool) -> String {
    let mut key = String::with_capacity(64);
    key.push_str(if one_slot { "{limit}:" } else { "limit:{" });
    push_identity(&mut key, identity);
    key.push_str(if one_slot { ":" } else { "}:" });
    let start = key.len();
    push_text(&mut key, ledger.name().as_bytes());
    shorten(&mut key, start, ledger.name().as_bytes());
    key.push(':');
    key.push(letter(ledger.algorithm()).into());
    key
}

fn push_identity(key: &mut String, identity: &Identity) {
    let start = key.len();
    for part in identity.parts() {
        if key.len() > start {
            key.push(',');
        }
        match part {
            // Braces around nothing would not make a slot.
            Part::Text(b"") => key.push('%'),
            Part::Text(text) => push_text(key, text),
            Part::Digest(digest) => push_digest(key, digest),
            Part::Nobody => key.push('?'),
            Part::Address(address) => {
                let _ = write!(key, "{address}/{}", if address.is_ipv4() { 32 } else { 128 });
            }
            Part::Network(network, bits) => {
                let _ = write!(key, "{network}/{bits}");
            }
        }
    }
    if key.len() == start {
        key.push('*');
    }
    shorten(key, start, identity.bytes());
}

fn push_text(key: &mut String, text: &[u8]) {
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~@+".contains(&byte) {
            key.push(byte.into());
        } else {
            let _ = write!(key, "%{byte:02X}");
        }
    }
}

/// Puts the digest in place of what is long.
fn shorten(key: &mut String, start: usize, whole: &[u8]) {
    if key.len() - start > LONG {
        key.truncate(start);
        push_digest(key, &Sha256::digest(whole));
    }
}

fn push_digest(key: &mut String, digest: &[u8]) {
    key.push('#');
    for byte in digest {
        let _ = write!(key, "{byte:02x}");
    }
}

const LONG: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quota::Algorithm;

    fn of(identity: &Identity) -> String {
        key(&Ledger::new("login", Algorithm::Sliding), identity, false)
    }

    #[test]
    fn keys_can_be_read() {
        for (identity, expected) in [
            (Identity::from("ada"), "limit:{ada}:login:s"),
            (Identity::from("a{b}c:d,e"), "limit:{a%7Bb%7Dc%3Ad%2Ce}:login:s"),
            (Identity::new(), "limit:{*}:login:s"),
            (Identity::from(""), "limit:{%}:login:s"),
            (Identity::new().address([192, 0, 2, 7].into(), 56).text("GET"), "limit:{192.0.2.7/32,GET}:login:s"),
            (Identity::new().address("2001:db8::1".parse().unwrap(), 56), "limit:{2001:db8::/56}:login:s"),
            (Identity::new().address("2001:db8::1".parse().unwrap(), 128), "limit:{2001:db8::1/128}:login:s"),
        ] {
            assert_eq!(of(&identity), expected);
        }
        let long = of(&Identity::from(&*"x".repeat(65)));
        assert!(long.starts_with("limit:{#") && long.len() == "limit:{#}:login:s".len() + 64, "{long}");
        let one_slot = key(&Ledger::new("lo:gin", Algorithm::Bucket), &Identity::from("ada"), true);
        assert_eq!(one_slot, "{limit}:ada:lo%3Agin:b");
    }

    fn identities() -> impl Strategy<Value = Identity> {
        let part = (0u8..3, "[a/,%?*#{}0-9.]{0,4}", any::<[u8; 4]>(), 0u8..=128);
        proptest::collection::vec(part, 0..4).prop_map(|parts| {
            let add = |identity: Identity, (kind, text, octets, bits): (u8, String, [u8; 4], u8)| match kind {
                0 => identity.text(text),
                1 => identity.address(octets.into(), 32),
                _ => identity.address([octets[0].into(), 0, 0, 0, 0, 0, 0, octets[1].into()].into(), bits),
            };
            parts.into_iter().fold(Identity::new(), add)
        })
    }

    proptest! {
        #[test]
        fn no_two_share_a_key_and_none_is_without_a_slot(one in identities(), other in identities()) {
            prop_assert_eq!(of(&one) == of(&other), one == other, "{} {}", of(&one), of(&other));
            prop_assert!(of(&one).find('}') > Some("limit:{".len()), "something is between the braces");
            prop_assert_eq!(of(&one).matches(['{', '}']).count(), 2);
        }
    }
}
