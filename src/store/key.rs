//! What values are kept under.

use std::hash::Hasher;

#[cfg(feature = "redis")]
use sha2::{Digest as _, Sha256};
use siphasher::sip128::{Hasher128, SipHasher13};

/// Names a resource: the target URI and nothing else.
///
/// Removing it removes every variant. It is a hash of 128 bits, made by [`Seed::hasher`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Primary(pub(crate) u128);

/// Names one variant of a resource.
///
/// What selects between variants (headers, cookies, a principal) is hashed into the second half; zero is the resource
/// itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    primary: Primary,
    variant: u128,
}

/// How a store's keys are hashed, so that nobody can choose two requests that share a key.
///
/// Within a process by a secret, which is fast. Processes that share their entries would have to share the secret, and
/// whoever lost it could not find what the others are to remove; they have a digest in common, which needs none.
#[derive(Clone, Copy)]
pub struct Seed(Kind);

#[derive(Clone, Copy)]
enum Kind {
    Secret([u8; 16]),
    #[cfg(feature = "redis")]
    Public,
}

/// Hashes a sequence of fields into half a key.
///
/// Each field goes in with its length, so that two different sequences are two different inputs; and in whole words, the
/// last filled up with zeros, which SipHash takes several times faster than bytes that straddle them.
#[derive(Clone, Debug)]
pub struct KeyHasher(Hash);

#[derive(Clone, Debug)]
enum Hash {
    Secret(SipHasher13),
    #[cfg(feature = "redis")]
    Public(Sha256),
}

const WORD: usize = size_of::<u64>();

// === impl Primary ===

impl From<u128> for Primary {
    fn from(hash: u128) -> Self {
        Self(hash)
    }
}

// === impl Key ===

impl Key {
    /// The resource itself, or the variant of it that is selected by nothing.
    pub const fn new(primary: Primary) -> Self {
        Self { primary, variant: 0 }
    }

    /// The variant of the same resource with this hash.
    #[must_use]
    pub const fn with_variant(self, variant: u128) -> Self {
        Self { variant, ..self }
    }

    /// The resource.
    pub const fn primary(&self) -> Primary {
        self.primary
    }

    /// The hash of what selects the variant.
    pub const fn variant(&self) -> u128 {
        self.variant
    }
}

/// Both halves are uniform already, so one word of them is hash enough.
impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64((self.primary.0 as u64) ^ (self.variant as u64));
    }
}

// === impl Seed ===

impl Seed {
    /// A seed from the operating system's randomness.
    pub fn random() -> Self {
        Self::from_bytes(rand::random())
    }

    /// A given secret.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Kind::Secret(bytes))
    }

    /// No secret, but a cryptographic digest: SHA-256, of which a key takes half. For stores that share their entries.
    #[cfg(feature = "redis")]
    pub const fn public() -> Self {
        Self(Kind::Public)
    }

    /// Starts a hash.
    #[inline]
    pub fn hasher(&self) -> KeyHasher {
        KeyHasher(match &self.0 {
            Kind::Secret(key) => Hash::Secret(SipHasher13::new_with_key(key)),
            #[cfg(feature = "redis")]
            Kind::Public => Hash::Public(Sha256::new()),
        })
    }
}

/// Shows nothing of a secret.
impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

// === impl KeyHasher ===

impl KeyHasher {
    /// Adds a field that may have any content.
    #[inline]
    pub fn field(&mut self, bytes: &[u8]) {
        self.field_of_kind(0, bytes);
    }

    /// Adds a field that another of the same content may stand in place of, if `kind` tells the two apart.
    #[inline]
    pub fn field_of_kind(&mut self, kind: u8, bytes: &[u8]) {
        self.head(kind, bytes.len());
        self.words(words(bytes));
    }

    /// The same without regard to the case of ASCII letters.
    #[inline]
    pub fn caseless_field_of_kind(&mut self, kind: u8, bytes: &[u8]) {
        self.head(kind, bytes.len());
        self.words(words(bytes).map(lowered));
    }

    /// Adds two parts as one field.
    #[inline]
    pub fn joined_field(&mut self, first: &[u8], second: &[u8]) {
        if first.is_empty() {
            return self.field(second);
        }
        self.head(0, first.len() + second.len());
        let mut bytes = first.iter().chain(second).copied().peekable();
        self.words(std::iter::from_fn(|| {
            bytes.peek()?;
            Some(u64::from_le_bytes([(); WORD].map(|()| bytes.next().unwrap_or(0))))
        }));
    }

    /// Adds a field of a fixed width.
    #[inline]
    pub fn number(&mut self, number: u128) {
        self.words([number as u64, (number >> 64) as u64]);
    }

    /// Half a key.
    #[inline]
    pub fn finish(&self) -> u128 {
        match &self.0 {
            Hash::Secret(hasher) => hasher.finish128().as_u128(),
            #[cfg(feature = "redis")]
            Hash::Public(hasher) => {
                let digest = hasher.clone().finalize();
                u128::from_le_bytes(*digest.first_chunk().expect("a digest of 32 bytes"))
            }
        }
    }

    /// Adds a part of an encoding that says itself where its fields end, so that it does not matter where it is cut.
    #[cfg(feature = "cache")]
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Hash::Secret(hasher) => hasher.write(bytes),
            #[cfg(feature = "redis")]
            Hash::Public(hasher) => hasher.update(bytes),
        }
    }

    #[inline]
    fn head(&mut self, kind: u8, length: usize) {
        self.words([(length as u64) << 8 | u64::from(kind)]);
    }

    #[inline]
    fn words(&mut self, words: impl IntoIterator<Item = u64>) {
        match &mut self.0 {
            Hash::Secret(hasher) => words.into_iter().for_each(|word| hasher.write_u64(word)),
            #[cfg(feature = "redis")]
            Hash::Public(hasher) => words.into_iter().for_each(|word| hasher.update(word.to_le_bytes())),
        }
    }
}

/// `bytes` in little-endian words, the last filled up with zeros.
#[inline]
fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (whole, rest) = bytes.as_chunks::<WORD>();
    let last = (!rest.is_empty()).then(|| match bytes.last_chunk::<WORD>() {
        // The end of the field as one word, without what the word before has: faster than byte by byte.
        Some(end) => u64::from_le_bytes(*end) >> (8 * (WORD - rest.len())),
        None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    });
    whole.iter().map(|word| u64::from_le_bytes(*word)).chain(last)
}

/// `word` with the ASCII letters in it in lower case, all bytes at once.
#[inline]
const fn lowered(word: u64) -> u64 {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; WORD])
    }
    let low = word & each(0x7f);
    // The high bit of each byte tells whether it is at least that letter.
    let from_a = low + each(0x80 - b'A');
    let past_z = low + each(0x80 - b'Z' - 1);
    let is_upper = (from_a & !past_z) & !word & each(0x80);
    word | is_upper >> 2
}

/// The hasher of maps whose keys are hashes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prehashed;

#[derive(Debug, Default)]
pub(crate) struct PrehashedWord(u64);

impl std::hash::BuildHasher for Prehashed {
    type Hasher = PrehashedWord;

    #[inline]
    fn build_hasher(&self) -> PrehashedWord {
        PrehashedWord::default()
    }
}

impl Hasher for PrehashedWord {
    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    #[inline]
    fn write_u128(&mut self, word: u128) {
        self.0 = word as u64;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are hashed as whole words");
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(seed: Seed, fields: &[Vec<u8>]) -> u128 {
        let mut hasher = seed.hasher();
        fields.iter().for_each(|field| hasher.field(field));
        hasher.finish()
    }

    const SEEDS: &[Seed] = &[
        Seed::from_bytes([7; 16]),
        #[cfg(feature = "redis")]
        Seed::public(),
    ];

    proptest! {
        #[test]
        fn different_fields_are_different_hashes(a: Vec<Vec<u8>>, b: Vec<Vec<u8>>) {
            for &seed in SEEDS {
                prop_assert_eq!(a == b, hash(seed, &a) == hash(seed, &b));
            }
        }
    }

    proptest! {
        #[test]
        fn a_field_is_its_content_however_it_is_given(bytes: Vec<u8>, cut: prop::sample::Index, kind: u8) {
            for &seed in SEEDS {
            let hash = |add: &dyn Fn(&mut KeyHasher)| {
                let mut hasher = seed.hasher();
                add(&mut hasher);
                hasher.finish()
            };
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            prop_assert_eq!(hash(&|hasher| hasher.field(&bytes)), hash(&|hasher| hasher.joined_field(first, second)));
            prop_assert_eq!(
                hash(&|hasher| hasher.caseless_field_of_kind(kind, &bytes)),
                hash(&|hasher| hasher.field_of_kind(kind, &bytes.to_ascii_lowercase()))
            );
            prop_assert_ne!(
                hash(&|hasher| hasher.field_of_kind(kind, &bytes)),
                hash(&|hasher| hasher.field_of_kind(kind.wrapping_add(1), &bytes))
            );
            }
        }
    }

    #[test]
    #[cfg(feature = "redis")]
    fn a_public_field_is_half_the_sha256_of_its_length_and_its_words() {
        let mut hasher = Seed::public().hasher();
        hasher.field_of_kind(1, b"/page/number/17");
        let digest = Sha256::digest(b"\x01\x0f\0\0\0\0\0\0/page/number/17\0");
        assert_eq!(hasher.finish().to_le_bytes(), digest[..16]);
    }

    #[test]
    fn a_field_is_siphash_of_its_length_and_its_words() {
        let mut hasher = Seed::from_bytes([7; 16]).hasher();
        hasher.field_of_kind(1, b"/page/number/17");
        let input = b"\x01\x0f\0\0\0\0\0\0/page/number/17\0";
        assert_eq!(hasher.finish(), SipHasher13::new_with_key(&[7; 16]).hash(input).as_u128());
    }

    #[test]
    fn another_seed_is_another_hash() {
        let fields = [b"a".to_vec()];
        assert_ne!(hash(Seed::random(), &fields), hash(Seed::random(), &fields));
    }

    #[test]
    fn a_seed_does_not_show_itself() {
        assert_eq!(format!("{:?}", Seed::from_bytes(*b"0123456789abcdef")), "Seed(..)");
    }
}
