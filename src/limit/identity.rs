//! Who takes, as a limiter knows them.

use std::{fmt, net::IpAddr};

use sha2::{Digest, Sha256};
use smallvec::SmallVec;

/// Who takes: an address, a user, a path, or several such parts in a row.
///
/// Two identities are equal when they have equal parts in the same order, and never otherwise: no two rows of parts run
/// together. `Debug` does not print what is in it.
///
/// ```
/// use bartizan::limit::Identity;
///
/// let ada = Identity::from("ada");
/// assert_ne!(ada, Identity::new().text("a").text("da"));
/// assert_eq!(Identity::new().address([192, 0, 2, 7].into(), 56), Identity::new().address("::ffff:192.0.2.7".parse()?, 56));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// All of it, up to 15 bytes, and then their number; or else [`LONG`].
    short: [u8; SHORT + 1],
    /// All of it, if it is longer.
    long: SmallVec<[u8; 64]>,
}

/// Each part is a tag, for texts a length, and its bytes.
const SHORT: usize = 15;
const LONG: [u8; SHORT + 1] = [u8::MAX; SHORT + 1];

const TEXT: u8 = 1;
const NOBODY: u8 = 2;
const DIGEST: u8 = 3;
const V4: u8 = 4;
const V6: u8 = 6;

#[cfg(any(feature = "redis", test))]
/// A part, read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    Text(&'a [u8]),
    /// A text that is too long to be kept.
    Digest(&'a [u8; 32]),
    Nobody,
    Address(IpAddr),
    /// An IPv6 network, of so many bits.
    Network(IpAddr, u8),
}

// === impl Identity ===

impl Identity {
    /// The longest text that is kept as it is, in bytes.
    pub const LONGEST_TEXT: usize = 256;

    /// One without parts: everyone's.
    pub fn new() -> Self {
        Self::default()
    }

    /// This one, and a text. Over [`LONGEST_TEXT`](Self::LONGEST_TEXT) its SHA-256 stands for it.
    #[must_use]
    pub fn text(mut self, text: impl AsRef<[u8]>) -> Self {
        self.push_text(text.as_ref());
        self
    }

    /// This one, and an address. Of an IPv6 address the first `prefix` bits count (a subscriber usually has 64 of them or
    /// more for themselves); an IPv4 address in IPv6 clothes (`::ffff:a.b.c.d`) is an IPv4 address. Over 128 counts as 128.
    #[must_use]
    pub fn address(mut self, address: IpAddr, prefix: u8) -> Self {
        self.push_address(address, prefix);
        self
    }

    pub(crate) fn push_text(&mut self, text: &[u8]) {
        if text.len() > Self::LONGEST_TEXT {
            self.push(&[DIGEST]);
            self.push(&Sha256::digest(text));
            return;
        }
        match text.len() {
            length @ ..0x80 => self.push(&[TEXT, length as u8]),
            length => self.push(&[TEXT, length as u8 | 0x80, (length >> 7) as u8]),
        }
        self.push(text);
    }

    #[inline]
    pub(crate) fn push_address(&mut self, address: IpAddr, prefix: u8) {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                self.push(&[V4, a, b, c, d]);
            }
            IpAddr::V6(address) => {
                let prefix = prefix.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
                let network = (address.to_bits() & mask).to_be_bytes();
                self.push(&[V6, prefix]);
                self.push(&network[..usize::from(prefix.div_ceil(8))]);
            }
        }
    }

    /// Somebody of whom a part is not known. All of them are one.
    pub(crate) fn push_nobody(&mut self) {
        self.push(&[NOBODY]);
    }

    /// Every part of another.
    pub(crate) fn push_all(&mut self, other: &Self) {
        self.push(other.bytes());
    }

    /// Takes off what was pushed since it had `length` bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        let mut kept = Self::default();
        kept.push(&self.bytes()[..length]);
        *self = kept;
    }

    /// In bytes, for [`truncate`](Self::truncate).
    pub(crate) fn length(&self) -> usize {
        self.bytes().len()
    }

    /// All of it, so that no two have the same.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.is_long() { &self.long } else { &self.short[..usize::from(self.short[SHORT])] }
    }

    /// A number that no other identity has, if it is short.
    #[inline]
    pub(crate) fn number(&self) -> Option<u128> {
        (!self.is_long()).then(|| u128::from_le_bytes(self.short))
    }

    #[inline]
    fn is_long(&self) -> bool {
        usize::from(self.short[SHORT]) > SHORT
    }

    #[inline(always)]
    fn push(&mut self, bytes: &[u8]) {
        let length = usize::from(self.short[SHORT]);
        match self.short[..SHORT].get_mut(length..length + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.short[SHORT] = (length + bytes.len()) as u8;
            }
            None => self.push_long(bytes),
        }
    }

    #[cold]
    fn push_long(&mut self, bytes: &[u8]) {
        if !self.is_long() {
            self.long.extend_from_slice(&self.short[..usize::from(self.short[SHORT])]);
            self.short = LONG;
        }
        self.long.extend_from_slice(bytes);
    }

    #[cfg(any(feature = "redis", test))]
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let mut rest = self.bytes();
        std::iter::from_fn(move || {
            let (part, left) = split_part(rest)?;
            rest = left;
            Some(part)
        })
    }
}

#[cfg(any(feature = "redis", test))]
/// The first part, and what follows it.
fn split_part(bytes: &[u8]) -> Option<(Part<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    match tag {
        V4 => {
            let (octets, rest) = rest.split_first_chunk::<4>()?;
            Some((Part::Address(IpAddr::from(*octets)), rest))
        }
        V6 => {
            let (&prefix, rest) = rest.split_first()?;
            let (network, rest) = rest.split_at_checked(usize::from(prefix.div_ceil(8)))?;
            let mut octets = [0; 16];
            octets[..network.len()].copy_from_slice(network);
            let address = IpAddr::from(octets);
            Some((if prefix == 128 { Part::Address(address) } else { Part::Network(address, prefix) }, rest))
        }
        TEXT => {
            let (&first, mut rest) = rest.split_first()?;
            let mut length = usize::from(first & 0x7f);
            if first >= 0x80 {
                let (&second, left) = rest.split_first()?;
                (length, rest) = (length | usize::from(second) << 7, left);
            }
            let (text, rest) = rest.split_at_checked(length)?;
            Some((Part::Text(text), rest))
        }
        DIGEST => {
            let (digest, rest) = rest.split_first_chunk::<32>()?;
            Some((Part::Digest(digest), rest))
        }
        _ => Some((Part::Nobody, rest)),
    }
}

impl From<&str> for Identity {
    fn from(text: &str) -> Self {
        Self::new().text(text)
    }
}

impl From<IpAddr> for Identity {
    /// The address alone, of IPv6 the first 56 bits.
    fn from(address: IpAddr) -> Self {
        Self::new().address(address, 56)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part() -> impl Strategy<Value = (u8, Vec<u8>, IpAddr, u8)> {
        (0u8..3, proptest::collection::vec(any::<u8>(), 0..400), any::<IpAddr>(), any::<u8>())
    }

    fn made(parts: &[(u8, Vec<u8>, IpAddr, u8)]) -> Identity {
        let mut identity = Identity::new();
        for (kind, text, address, prefix) in parts {
            match kind {
                0 => identity.push_text(text),
                1 => identity.push_address(*address, *prefix),
                _ => identity.push_nobody(),
            }
        }
        identity
    }

    proptest! {
        #[test]
        fn what_was_put_in_is_read_again(parts in proptest::collection::vec(part(), 0..5)) {
            let identity = made(&parts);
            let again: Vec<Part<'_>> = identity.parts().collect();
            prop_assert_eq!(again.len(), parts.len());
            for ((kind, text, address, _), part) in parts.iter().zip(again) {
                match (kind, part) {
                    (0, Part::Text(again)) => prop_assert_eq!(&text[..], again),
                    (0, Part::Digest(_)) => prop_assert!(text.len() > Identity::LONGEST_TEXT),
                    (1, Part::Address(again)) => prop_assert_eq!(address.to_canonical(), again),
                    (1, Part::Network(_, bits)) => prop_assert!(bits < 128 && address.to_canonical().is_ipv6()),
                    (2, Part::Nobody) => {}
                    (_, part) => prop_assert!(false, "{:?}", part),
                }
            }
        }
    }

    #[test]
    fn long_texts_are_told_apart_and_not_kept() {
        let of = |length| Identity::new().text("x".repeat(length));
        assert_ne!(of(5_000), of(5_001));
        assert!(of(5_000).length() < 40);
        assert_eq!(of(Identity::LONGEST_TEXT).length(), Identity::LONGEST_TEXT + 3);
    }

    #[test]
    fn neighbours_in_one_network_are_one_and_others_are_not() {
        let of = |address: &str, prefix| Identity::new().address(address.parse().unwrap(), prefix);
        assert_eq!(of("2001:db8:0:1200::1", 56), of("2001:db8:0:12ff:ffff::2", 56));
        assert_ne!(of("2001:db8:0:1200::1", 56), of("2001:db8:0:1300::1", 56));
        assert_ne!(of("2001:db8::", 56), of("2001:db8::", 57), "networks of different size");
        assert_eq!(of("2001:db8::1", 0), of("::1", 0));
        assert_eq!(of("192.0.2.7", 0), of("::ffff:192.0.2.7", 128), "an IPv4 address has no prefix here");
        assert_ne!(of("192.0.2.7", 56), of("192.0.2.8", 56));
    }
}
