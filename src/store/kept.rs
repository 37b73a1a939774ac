//! A value as a store keeps it.

use std::{fmt, ops::Deref, sync::Arc};

#[cfg(feature = "redis")]
use crate::clock::Moment;
use crate::clock::Timestamp;

/// A value together with what its store knows of it. A clone is one reference count.
pub struct Kept<V>(Arc<Inner<V>>);

struct Inner<V> {
    value: V,
    version: Version,
    keep_until: Timestamp,
    tags: Tags,
    /// When a tier that cannot be told of removals stops believing it.
    #[cfg(feature = "redis")]
    lapse: Option<Moment>,
}

/// Orders the values of one key: the moment, in the store's own count, at which the right to make the value was won.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

/// A word by which values are removed together.
///
/// Any text; tags are compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

/// The tags of one value, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Box<[Tag]>);

// === impl Kept ===

impl<V> Kept<V> {
    /// For [`Store`](super::Store) implementations.
    pub fn new(value: V, version: Version, keep_until: Timestamp, tags: Tags) -> Self {
        Self(Arc::new(Inner {
            value,
            version,
            keep_until,
            tags,
            #[cfg(feature = "redis")]
            lapse: None,
        }))
    }

    /// Which value of its key this is.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// The moment from which it is as good as absent. The store does not look at it; whoever reads the value does.
    pub fn keep_until(&self) -> Timestamp {
        self.0.keep_until
    }

    /// The same, not to be believed from `lapse` on. Only for what nobody shares yet.
    #[cfg(feature = "redis")]
    pub(crate) fn lapsing(mut self, lapse: Moment) -> Self {
        Arc::get_mut(&mut self.0).expect("what was made just now is not shared").lapse = Some(lapse);
        self
    }

    #[cfg(feature = "redis")]
    #[inline]
    pub(crate) fn has_lapsed(&self, now: Moment) -> bool {
        self.0.lapse.is_some_and(|lapse| lapse <= now)
    }

    /// The tags it was filled with.
    pub fn tags(&self) -> &Tags {
        &self.0.tags
    }
}

impl<V> Clone for Kept<V> {
    #[inline]
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V> Deref for Kept<V> {
    type Target = V;

    #[inline]
    fn deref(&self) -> &V {
        &self.0.value
    }
}

impl<V: fmt::Debug> fmt::Debug for Kept<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("value", &self.0.value)
            .field("version", &self.0.version)
            .field("keep_until", &self.0.keep_until)
            .field("tags", &self.0.tags)
            .finish()
    }
}

// === impl Version ===

impl Version {
    /// For [`Store`](super::Store) implementations: `sequence` rises with every lease the store gives for a key.
    pub const fn new(sequence: u64) -> Self {
        Self(sequence)
    }

    #[cfg(feature = "redis")]
    pub(crate) const fn sequence(self) -> u64 {
        self.0
    }
}

// === impl Tag ===

impl Tag {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Tag {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Tag {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Tags ===

impl Tags {
    /// Roughly what they take, in bytes.
    pub fn weight(&self) -> usize {
        self.iter().map(|tag| size_of::<Tag>() + tag.0.len()).sum()
    }
}

impl Deref for Tags {
    type Target = [Tag];

    fn deref(&self) -> &[Tag] {
        &self.0
    }
}

impl<T: Into<Tag>> FromIterator<T> for Tags {
    fn from_iter<I: IntoIterator<Item = T>>(tags: I) -> Self {
        let mut tags: Vec<Tag> = tags.into_iter().map(Into::into).collect();
        tags.sort_unstable();
        tags.dedup();
        Self(tags.into())
    }
}
