//! What a program does to its cache beside serving from it.

use std::{fmt, sync::Arc};

use http::{Uri, request::Parts};

use super::{
    asked::Asked,
    counters::Counters,
    key,
    layer::{RuleSource, Shared},
    rules::Rules,
    stored::Stored,
};
use crate::{
    error::Error,
    store::{Primary, Store, Tag, memory::Memory},
};

/// Purges, counts and drains a cache. Cheap to clone; put it where handlers find it.
///
/// ```
/// # use bartizan::{CacheLayer, Memory};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bartizan::Error> {
/// let layer = CacheLayer::new(Memory::with_capacity(1 << 20));
/// let cache = layer.handle();
/// cache.purge_tag("product:42").await?;
/// cache.purge_uri(&"http://example.com/products/42".parse().unwrap()).await?;
/// println!("{}", cache.counters());
/// # Ok(()) }
/// ```
pub struct CacheHandle<T = Memory<Stored>> {
    shared: Arc<Shared<T>>,
}

// === impl CacheHandle ===

impl<T: Store<Stored>> CacheHandle<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    /// Purges the resource that a request with this head addresses: every variant, key part and principal of it.
    ///
    /// No request that begins after this has returned is answered with what was stored, or was being made, before.
    ///
    /// # Errors
    ///
    /// When the request does not say which host it is for, or the store cannot be told.
    pub async fn purge(&self, parts: &Parts) -> Result<(), Error> {
        let rules = self.shared.plan.rules.of(parts);
        let primary = key::primary(
            &self.shared.seed,
            rules.settings(),
            (&rules.settings().mounted_at, &parts.uri),
            Asked::of(&parts.headers).1,
        )
        .ok_or_else(|| Error::invalid("the request to purge names no host, or several"))?;
        self.purge_key(primary).await
    }

    /// Purges a resource by its URI, which is absolute, or relative where the rules name a [`site`](Rules::site).
    /// Otherwise as [`purge`](Self::purge).
    ///
    /// A URI of which nothing is stored, also for another scheme or host than the requests', is no error: name the one
    /// [`site`](Rules::site) of a service to be safe from that. The URI is that of the requests: a service that is told `Host: example.com` and no scheme has
    /// `http://example.com/..` whatever stands in front of it.
    ///
    /// # Errors
    ///
    /// When a relative URI is given without a site, or the store cannot be told.
    pub async fn purge_uri(&self, uri: &Uri) -> Result<(), Error> {
        let primary = self.key(uri).ok_or_else(|| {
            Error::invalid("the URI to purge is neither absolute, as http://example.com/a, nor on a site of the rules")
        })?;
        self.purge_key(primary).await
    }

    /// Purges a resource by its key. Otherwise as [`purge`](Self::purge).
    ///
    /// # Errors
    ///
    /// When the store cannot be told.
    pub async fn purge_key(&self, key: Primary) -> Result<(), Error> {
        self.shared.fetch.store().remove(key).await
    }

    /// Purges all that was tagged so, in the whole store: layers that share it share their tags. Otherwise as [`purge`](Self::purge).
    ///
    /// # Errors
    ///
    /// When the store cannot be told.
    pub async fn purge_tag(&self, tag: impl Into<Tag>) -> Result<(), Error> {
        self.shared.fetch.store().remove_tagged(tag.into()).await
    }

    /// Purges all that is in the store, other caches' entries included. Otherwise as [`purge`](Self::purge).
    ///
    /// # Errors
    ///
    /// When the store cannot be told.
    pub async fn purge_all(&self) -> Result<(), Error> {
        self.shared.fetch.store().clear().await
    }

    /// The key of a URI, to purge by later.
    pub fn key(&self, uri: &Uri) -> Option<Primary> {
        let rules = self.shared.plan.rules.of_uri(uri);
        key::of_uri(&self.shared.seed, rules.settings(), uri)
    }

    /// What the cache did so far.
    pub fn counters(&self) -> Counters {
        self.shared.counts.snapshot(self.shared.fetch.store().usage())
    }

    /// Waits for the fills that go on without their client, and for refreshes. For tests that wait for a refresh, and for
    /// shutdown: axum's graceful shutdown
    /// waits for requests, not for these.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the waiting, and nothing else.
    pub async fn drain(&self) {
        self.shared.fetch.drain().await;
    }
}

impl<T> Clone for CacheHandle<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for CacheHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheHandle(..)")
    }
}

// === impl RuleSource ===

impl RuleSource {
    /// The rules for a request with this head.
    pub(crate) fn of(&self, parts: &Parts) -> Rules {
        match self {
            Self::Constant(rules) => rules.clone(),
            Self::Computed(rules) => rules(parts),
        }
    }

    /// The rules for a plain GET of this URI.
    fn of_uri(&self, uri: &Uri) -> Rules {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.uri = uri.clone();
        self.of(&parts)
    }
}
