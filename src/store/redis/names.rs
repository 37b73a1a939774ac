//! What things are called on the server.

use crate::store::{
    kept::Tag,
    key::{Key, Primary},
};

/// The part of all keys that share a slot, and with it a table.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) table: String,
    pub(super) stamp: String,
    prefix: String,
}

#[derive(Debug)]
pub(super) struct Names {
    name: Box<str>,
    buckets: Box<[Bucket]>,
}

/// What a removal names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    Resource(Primary),
    Tag(Tag),
    All,
}

// === impl Names ===

impl Names {
    pub(super) fn new(name: &str, buckets: u16) -> Self {
        let bucket = |at| {
            let prefix = format!("{{{name}:{at}/{buckets}}}");
            Bucket { table: format!("{prefix}:table"), stamp: format!("{prefix}:stamp"), prefix }
        };
        Self { name: name.into(), buckets: (0..buckets).map(bucket).collect() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// Which bucket a resource is in, with all its variants.
    pub(super) fn place(&self, primary: Primary) -> usize {
        (primary.0 >> 64) as usize % self.buckets.len()
    }

    /// The key of an entry by its name.
    pub(super) fn key_of(&self, entry: &[u8]) -> Option<Key> {
        let (_, hashes) = std::str::from_utf8(entry).ok()?.split_once(":entry:")?;
        let (primary, variant) = hashes.split_once(':').unwrap_or((hashes, "0"));
        let hash = |digits| u128::from_str_radix(digits, 16).ok();
        Some(Key::new(hash(primary)?.into()).with_variant(hash(variant)?))
    }

    pub(super) fn of(&self, primary: Primary) -> &Bucket {
        &self.buckets[self.place(primary)]
    }
}

// === impl Bucket ===

impl Bucket {
    pub(super) fn entry(&self, key: &Key) -> String {
        self.key("entry", key)
    }

    pub(super) fn lease(&self, key: &Key) -> String {
        self.key("lease", key)
    }

    /// What the names of all its entries begin with.
    pub(super) fn entries(&self) -> String {
        format!("{}:entry:", self.prefix)
    }

    fn key(&self, kind: &str, key: &Key) -> String {
        let mut name = String::with_capacity(self.prefix.len() + kind.len() + 2 * (DIGITS + 1) + 1);
        for part in [&self.prefix, ":", kind, ":"] {
            name.push_str(part);
        }
        push_hex(&mut name, key.primary().0);
        if key.variant() != 0 {
            name.push(':');
            push_hex(&mut name, key.variant());
        }
        name
    }
}

/// Of half a key.
const DIGITS: usize = 32;

/// Every hit names an entry, and formatting it would be a tenth of what a hit costs.
fn push_hex(name: &mut String, number: u128) {
    let digits = (0..DIGITS).rev().map(|at| b"0123456789abcdef"[(number >> (4 * at)) as usize & 0xf]);
    name.extend(digits.map(char::from));
}

// === impl Name ===

impl Name {
    /// As a field of a table, and in messages.
    pub(super) fn field(&self) -> String {
        match self {
            Self::Resource(primary) => format!("/{:032x}", primary.0),
            Self::Tag(tag) => format!("#{tag}"),
            Self::All => "*".to_owned(),
        }
    }

    pub(super) fn parse(field: &str) -> Option<Self> {
        match field.split_at_checked(1)? {
            ("/", primary) => u128::from_str_radix(primary, 16).ok().map(|hash| Self::Resource(hash.into())),
            ("#", tag) => Some(Self::Tag(tag.into())),
            ("*", "") => Some(Self::All),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written() {
        for name in [Name::Resource(7.into()), Name::Tag("a b #/".into()), Name::Tag("".into()), Name::All] {
            assert_eq!(Name::parse(&name.field()), Some(name));
        }
        for field in ["", "/", "/xyz", "*a", "a", "é"] {
            assert_eq!(Name::parse(field), None, "{field}");
        }
    }

    #[test]
    fn all_variants_of_a_resource_share_its_bucket() {
        let names = Names::new("pages", 16);
        let key = Key::new(Primary::from(0x17 << 64));
        assert_eq!(names.of(key.primary()).entry(&key), "{pages:7/16}:entry:00000000000000170000000000000000");
        for key in [key, key.with_variant(5)] {
            let entry = names.of(key.primary()).entry(&key);
            assert!(entry.starts_with(&names.of(key.primary()).entries()));
            assert_eq!(names.key_of(entry.as_bytes()), Some(key));
        }
        for nonsense in
            ["", "{pages:7/16}:entry:", "{pages:7/16}:entry:x", "{pages:7/16}:entry:1:", "{pages:7/16}:lease:1"]
        {
            assert_eq!(names.key_of(nonsense.as_bytes()), None, "{nonsense}");
        }
        let lease = names.of(key.primary()).lease(&key.with_variant(5));
        assert_eq!(lease, format!("{{pages:7/16}}:lease:{:032x}:{:032x}", 0x17_u128 << 64, 5));
    }
}
