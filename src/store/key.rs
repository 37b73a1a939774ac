//! What values are kept under.

use std::hash::{Hash, Hasher};

use siphasher::sip128::{Hasher128, SipHasher13};

/// Names a resource: the target URI and nothing else.
///
/// Removing it removes every variant. It is a keyed 128-bit hash, made by [`Seed::hasher`].
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

/// The secret under which a store's keys are hashed.
///
/// It is what makes 128 bits enough: without it, nobody can choose two requests that share a key. A store for one
/// process draws its own; stores that share their entries share the seed.
#[derive(Clone, Copy)]
pub struct Seed([u8; 16]);

/// Hashes a sequence of fields into half a key.
///
/// Each field goes in with its length, so that two different sequences are two different inputs. They are collected
/// first: SipHash takes one long write several times faster than many short ones.
#[derive(Clone, Debug)]
pub struct KeyHasher {
    seed: Seed,
    collected: [u8; COLLECTED],
    length: usize,
    /// Has what came before `collected`, where that was too much for it.
    spilled: Option<SipHasher13>,
}

/// Most targets fit.
const COLLECTED: usize = 128;

/// Bytes that are lowered at once.
const LANE: usize = 16;

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
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64((self.primary.0 as u64) ^ (self.variant as u64));
    }
}

// === impl Seed ===

impl Seed {
    /// A seed from the operating system's randomness.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// A given seed, for stores that share their entries.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Starts a hash.
    #[inline]
    pub fn hasher(&self) -> KeyHasher {
        KeyHasher { seed: *self, collected: [0; COLLECTED], length: 0, spilled: None }
    }
}

/// Shows nothing of the secret.
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
        self.write(&(bytes.len() as u32).to_le_bytes());
        self.write(bytes);
    }

    /// Adds two parts as one field.
    #[inline]
    pub fn joined_field(&mut self, first: &[u8], second: &[u8]) {
        self.write(&((first.len() + second.len()) as u32).to_le_bytes());
        self.write(first);
        self.write(second);
    }

    /// Adds a field without regard to the case of ASCII letters.
    #[inline]
    pub fn caseless_field(&mut self, bytes: &[u8]) {
        self.write(&(bytes.len() as u32).to_le_bytes());
        for chunk in bytes.chunks(COLLECTED) {
            let (start, room) = match COLLECTED - self.length {
                room if room < chunk.len() => {
                    self.spill(&[]);
                    (0, COLLECTED)
                }
                room => (self.length, room),
            };
            self.collected[start..start + chunk.len()].copy_from_slice(chunk);
            self.length = start + chunk.len();
            // A few bytes too many, which are yet to be written: a width that the compiler knows is one instruction.
            let width = chunk.len().next_multiple_of(LANE).min(room);
            for lane in self.collected[start..start + width].chunks_mut(LANE) {
                match <&mut [u8; LANE]>::try_from(&mut *lane) {
                    Ok(lane) => lane.make_ascii_lowercase(),
                    Err(_) => lane.make_ascii_lowercase(),
                }
            }
        }
    }

    /// Adds a field of a fixed width.
    #[inline]
    pub fn number(&mut self, number: u128) {
        self.write(&number.to_le_bytes());
    }

    /// Adds one byte that says what follows.
    #[inline]
    pub fn sign(&mut self, sign: u8) {
        self.write(&[sign]);
    }

    /// Half a key.
    #[inline]
    pub fn finish(&self) -> u128 {
        let collected = &self.collected[..self.length];
        match self.spilled {
            None => SipHasher13::new_with_key(&self.seed.0).hash(collected).as_u128(),
            Some(mut hasher) => {
                hasher.write(collected);
                hasher.finish128().as_u128()
            }
        }
    }

    /// Adds a part of an encoding that says itself where its fields end, so that it does not matter where it is cut.
    #[inline]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        match self.collected.get_mut(self.length..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.length = end;
            }
            None => self.spill(bytes),
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        let hasher = self.spilled.get_or_insert_with(|| SipHasher13::new_with_key(&self.seed.0));
        hasher.write(&self.collected[..self.length]);
        hasher.write(bytes);
        self.length = 0;
    }
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

    proptest! {
        #[test]
        fn different_fields_are_different_hashes(a: Vec<Vec<u8>>, b: Vec<Vec<u8>>) {
            let seed = Seed::from_bytes([7; 16]);
            prop_assert_eq!(a == b, hash(seed, &a) == hash(seed, &b));
        }
    }

    #[test]
    fn long_inputs_hash_as_short_ones_do() {
        let seed = Seed::from_bytes([7; 16]);
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for length in [0, COLLECTED - 5, COLLECTED - 4, COLLECTED, 999] {
            let field = &bytes[..length];
            let mut reference = SipHasher13::new_with_key(&[7; 16]);
            reference.write(&(length as u32).to_le_bytes());
            reference.write(field);
            assert_eq!(hash(seed, &[field.to_vec()]), reference.finish128().as_u128(), "{length} bytes");
            let mut caseless = seed.hasher();
            caseless.caseless_field(field);
            caseless.field(field);
            let fields = [field.to_ascii_lowercase(), field.to_vec()];
            assert_eq!(caseless.finish(), hash(seed, &fields), "{length} bytes, caseless");
        }
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
