//! What a loader brings.

use std::{sync::Arc, time::Duration};

use crate::store::Tag;

/// What a loader or a writer brings: a value, or that there is none; with its tags, and its lifetime if it is a special
/// one.
///
/// Loaders may return the bare value, or an `Option` of either, instead.
///
/// ```
/// use std::time::Duration;
/// use bartizan::aside::Loaded;
///
/// let page = Loaded::new("a list of users").tag("team:7").ttl(Duration::from_secs(5));
/// let nobody = Loaded::<&str>::absent();
/// # let _ = (page, nobody);
/// ```
#[derive(Debug)]
pub struct Loaded<V> {
    pub(super) value: Option<Arc<V>>,
    pub(super) tags: Vec<Tag>,
    pub(super) ttl: Option<Duration>,
}

// === impl Loaded ===

impl<V> Loaded<V> {
    /// A value.
    pub fn new(value: V) -> Self {
        Arc::new(value).into()
    }

    /// There is none. That is kept, too.
    pub const fn absent() -> Self {
        Self { value: None, tags: Vec::new(), ttl: None }
    }

    /// Adds a word by which it is [invalidated](super::Aside::invalidate_tag) together with others.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// How long it is fresh, at the most. Default: as the [`Policy`](super::Policy) says.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..self }
    }
}

impl<V> From<V> for Loaded<V> {
    fn from(value: V) -> Self {
        Self::new(value)
    }
}

impl<V> From<Arc<V>> for Loaded<V> {
    fn from(value: Arc<V>) -> Self {
        Self { value: Some(value), tags: Vec::new(), ttl: None }
    }
}

impl<V> From<Option<V>> for Loaded<V> {
    fn from(value: Option<V>) -> Self {
        value.map_or_else(Self::absent, Self::new)
    }
}

impl<V> From<Option<Self>> for Loaded<V> {
    fn from(loaded: Option<Self>) -> Self {
        loaded.unwrap_or_else(Self::absent)
    }
}

impl<V> Clone for Loaded<V> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), tags: self.tags.clone(), ttl: self.ttl }
    }
}
