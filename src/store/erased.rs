//! Any store behind one type, for programs that choose it when they start.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::{
    contract::{Ending, Filled, Lease, Leased, Store, Usage, Value, Wait, Woken},
    kept::{Kept, Tag, Tags, Version},
    key::{Key, Primary, Seed},
};
use crate::{clock::Timestamp, error::Error};

/// A store whose type is forgotten.
///
/// What is found at once costs one indirect call more; everything else allocates its future.
///
/// ```
/// use bartizan::{BoxStore, CacheLayer, Memory};
///
/// fn store() -> BoxStore<bartizan::cache::Stored> {
///     BoxStore::new(Memory::with_capacity(64 << 20)) // or whichever the configuration names
/// }
/// let cache = CacheLayer::new(store());
/// ```
pub struct BoxStore<V>(Arc<dyn DynStore<V>>);

/// The lease of a [`BoxStore`].
pub struct BoxLease<V>(Box<dyn DynLease<V>>);

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

trait DynStore<V>: Send + Sync {
    fn seed(&self) -> Seed;
    fn get_now(&self, key: &Key) -> Option<Kept<V>>;
    fn lease(&self, key: Key, seen: Option<Version>) -> BoxFuture<'_, Result<Leased<V, BoxLease<V>>, Error>>;
    fn remove(&self, primary: Primary) -> BoxFuture<'_, Result<(), Error>>;
    fn remove_tagged(&self, tag: Tag) -> BoxFuture<'_, Result<(), Error>>;
    fn clear(&self) -> BoxFuture<'_, Result<(), Error>>;
    fn usage(&self) -> Usage;
}

trait DynLease<V>: Send {
    fn replaces(&self) -> Option<Version>;
    fn fill(self: Box<Self>, value: V, keep_until: Timestamp, tags: Tags) -> BoxFuture<'static, Result<Filled, Error>>;
    fn refresh(
        self: Box<Self>,
        value: V,
        keep_until: Timestamp,
        tags: Tags,
    ) -> BoxFuture<'static, Result<Filled, Error>>;
    fn narrow(
        self: Box<Self>,
        variant: u128,
        sign: V,
        keep_until: Timestamp,
    ) -> BoxFuture<'static, Result<Option<BoxLease<V>>, Error>>;
    fn replace_all(
        self: Box<Self>,
        variant: u128,
        tags: Tags,
    ) -> BoxFuture<'static, Result<Option<BoxLease<V>>, Error>>;
    fn disband(self: Box<Self>, ending: Ending) -> BoxFuture<'static, ()>;
}

// === impl BoxStore ===

impl<V: Value> BoxStore<V> {
    /// `store`, behind this type.
    pub fn new(store: impl Store<V>) -> Self {
        Self(Arc::new(Erased(store)))
    }
}

impl<V: Value> Store<V> for BoxStore<V> {
    type Lease = BoxLease<V>;

    fn seed(&self) -> Seed {
        self.0.seed()
    }

    fn get_now(&self, key: &Key) -> Option<Kept<V>> {
        self.0.get_now(key)
    }

    async fn lease(&self, key: Key, seen: Option<Version>) -> Result<Leased<V, BoxLease<V>>, Error> {
        self.0.lease(key, seen).await
    }

    async fn remove(&self, primary: Primary) -> Result<(), Error> {
        self.0.remove(primary).await
    }

    async fn remove_tagged(&self, tag: Tag) -> Result<(), Error> {
        self.0.remove_tagged(tag).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.0.clear().await
    }

    fn usage(&self) -> Usage {
        self.0.usage()
    }
}

impl<V> Clone for BoxStore<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V> fmt::Debug for BoxStore<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxStore(..)")
    }
}

/// A type of our own, so that a `BoxStore` in a `BoxStore` is not ambiguous.
struct Erased<T>(T);

impl<V: Value, T: Store<V>> DynStore<V> for Erased<T> {
    fn seed(&self) -> Seed {
        self.0.seed()
    }

    fn get_now(&self, key: &Key) -> Option<Kept<V>> {
        self.0.get_now(key)
    }

    fn lease(&self, key: Key, seen: Option<Version>) -> BoxFuture<'_, Result<Leased<V, BoxLease<V>>, Error>> {
        Box::pin(async move {
            Ok(match self.0.lease(key, seen).await? {
                Leased::Found(kept) => Leased::Found(kept),
                Leased::Won(lease) => Leased::Won(BoxLease::new(lease)),
                Leased::Busy(wait) => Leased::Busy(Wait::new(async {
                    match wait.await {
                        Woken::Found(kept) => Woken::Found(kept),
                        Woken::Present(kept) => Woken::Present(kept),
                        Woken::Won(lease) => Woken::Won(BoxLease::new(lease)),
                        Woken::Alone(ending) => Woken::Alone(ending),
                    }
                })),
            })
        })
    }

    fn remove(&self, primary: Primary) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.0.remove(primary))
    }

    fn remove_tagged(&self, tag: Tag) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.0.remove_tagged(tag))
    }

    fn clear(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.0.clear())
    }

    fn usage(&self) -> Usage {
        self.0.usage()
    }
}

// === impl BoxLease ===

impl<V: Value> BoxLease<V> {
    fn new(lease: impl Lease<V>) -> Self {
        Self(Box::new(Erased(lease)))
    }
}

impl<V: Value> Lease<V> for BoxLease<V> {
    fn replaces(&self) -> Option<Version> {
        self.0.replaces()
    }

    async fn fill(self, value: V, keep_until: Timestamp, tags: Tags) -> Result<Filled, Error> {
        self.0.fill(value, keep_until, tags).await
    }

    async fn refresh(self, value: V, keep_until: Timestamp, tags: Tags) -> Result<Filled, Error> {
        self.0.refresh(value, keep_until, tags).await
    }

    async fn narrow(self, variant: u128, sign: V, keep_until: Timestamp) -> Result<Option<Self>, Error> {
        self.0.narrow(variant, sign, keep_until).await
    }

    async fn replace_all(self, variant: u128, tags: Tags) -> Result<Option<Self>, Error> {
        self.0.replace_all(variant, tags).await
    }

    async fn disband(self, ending: Ending) {
        self.0.disband(ending).await;
    }
}

impl<V> fmt::Debug for BoxLease<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxLease(..)")
    }
}

impl<V: Value, L: Lease<V>> DynLease<V> for Erased<L> {
    fn replaces(&self) -> Option<Version> {
        self.0.replaces()
    }

    fn fill(self: Box<Self>, value: V, keep_until: Timestamp, tags: Tags) -> BoxFuture<'static, Result<Filled, Error>> {
        Box::pin(self.0.fill(value, keep_until, tags))
    }

    fn refresh(
        self: Box<Self>,
        value: V,
        keep_until: Timestamp,
        tags: Tags,
    ) -> BoxFuture<'static, Result<Filled, Error>> {
        Box::pin(self.0.refresh(value, keep_until, tags))
    }

    fn narrow(
        self: Box<Self>,
        variant: u128,
        sign: V,
        keep_until: Timestamp,
    ) -> BoxFuture<'static, Result<Option<BoxLease<V>>, Error>> {
        Box::pin(async move { Ok(self.0.narrow(variant, sign, keep_until).await?.map(BoxLease::new)) })
    }

    fn replace_all(
        self: Box<Self>,
        variant: u128,
        tags: Tags,
    ) -> BoxFuture<'static, Result<Option<BoxLease<V>>, Error>> {
        Box::pin(async move { Ok(self.0.replace_all(variant, tags).await?.map(BoxLease::new)) })
    }

    fn disband(self: Box<Self>, ending: Ending) -> BoxFuture<'static, ()> {
        Box::pin(self.0.disband(ending))
    }
}
