//! The handler's own word on its response.

use std::time::Duration;

use crate::store::Tag;

/// What a handler says of its response to the cache around it, and to nobody else.
///
/// Put it into the response's extensions; with the feature `axum` it is a response part.
///
/// ```
/// use std::time::Duration;
/// use bartizan::Caching;
///
/// let mut response = http::Response::new("...");
/// response.extensions_mut().insert(Caching::new().ttl(Duration::from_secs(300)).tag("product:42"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Caching {
    ttl: Option<Duration>,
    tags: Vec<Tag>,
    never: bool,
}

// === impl Caching ===

impl Caching {
    /// Says nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The response is for its asker only, and the cache remembers that much for a while.
    pub fn never() -> Self {
        Self { never: true, ..Self::default() }
    }

    /// How long the response is fresh in this cache, whatever `s-maxage`, `max-age`, `Expires` or a rule's default say.
    /// It does not override `no-store`, `private` or `no-cache`, and does not open the response to requests with cookies
    /// or `Authorization`, as `public` and `s-maxage` do.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..self }
    }

    /// A word by which the response is purged, beside the rule's. May be called several times.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        self.tags.push(tag.into());
        self
    }

    pub(crate) fn stated_ttl(&self) -> Option<Duration> {
        self.ttl
    }

    pub(crate) fn is_never(&self) -> bool {
        self.never
    }

    pub(crate) fn into_tags(self) -> Vec<Tag> {
        self.tags
    }
}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponseParts for Caching {
    type Error = std::convert::Infallible;

    fn into_response_parts(
        self,
        mut parts: axum_core::response::ResponseParts,
    ) -> Result<axum_core::response::ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}
