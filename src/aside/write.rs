//! Write-through: a change of the source, and what takes the place of what was kept.
//!
//! What takes its place must be younger than any other change, though it was begun before: so it has a lease from
//! before the change, under a key of its own where nobody waits for it, and moves to the value's key together with its
//! own removal.

use std::{error::Error as StdError, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{call::Answer, codec::Codec, entry::Entry, handle::Aside, key::EntityKey, loaded::Loaded};
use crate::{
    error::Error,
    store::{Key, Lease, Leased, Store, Tags, fetch::Made},
};

struct Write<V, S: Store<Entry<V, C>>, C: Codec>
where
    V: Send + Sync + 'static,
{
    aside: Aside<V, S, C>,
    key: Key,
    /// Whether what is kept may be older than the source.
    is_owed: bool,
}

/// Tells the keys of writes, one for each, from those of values.
const APART: u128 = 1 << 127;

impl<V, S, C> Aside<V, S, C>
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    S: Store<Entry<V, C>>,
    C: Codec,
{
    /// Changes the source and keeps what it holds from then on: write-through. `write` makes the change, and returns
    /// what is there now.
    ///
    /// All that was kept under `key` is removed, and so is what is being loaded. What `write` returns is kept in their
    /// place unless anything was removed, or written, since it was called: what is there now may then be something
    /// else, and the next caller loads it.
    ///
    /// ```
    /// # use std::io;
    /// # use bartizan::{Aside, Memory};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bartizan::Error> {
    /// # let users: Aside<String, _> = Aside::new(Memory::with_capacity(16 << 20));
    /// # async fn update(_: u64, name: &str) -> Result<String, io::Error> { Ok(name.to_owned()) }
    /// users.put(("user", 42), || update(42, "Grace")).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// One that [`is_failed`](Error::is_failed) when `write` failed, whose error is the source; the value is removed
    /// all the same, since the change may have been made. Any other means that the change was made, and that others may
    /// not see it until a store that others share can be told.
    ///
    /// # Panics
    ///
    /// As `write` does; outside of a tokio runtime.
    ///
    /// # Cancellation
    ///
    /// The write goes on, within the limits of [`detached_loads`](Self::detached_loads). Where it is dropped half way, or
    /// panics, the value is removed.
    pub fn put<F, Fut, L, E>(
        &self,
        key: impl Into<EntityKey>,
        write: F,
    ) -> impl Future<Output = Result<Option<Arc<V>>, Error>> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let name = key.into();
        let work = Write::new(self.clone(), self.key(&name)).through(async move {
            write().await.map(Into::into).map_err(|error| Error::failed(&format!("writing `{name}` failed"), error))
        });
        self.shared.fetch.carry(work)
    }
}

// === impl Write ===

impl<V, S, C> Write<V, S, C>
where
    V: Send + Sync + 'static,
    S: Store<Entry<V, C>>,
    C: Codec,
{
    fn new(aside: Aside<V, S, C>, key: Key) -> Self {
        Self { aside, key, is_owed: false }
    }

    async fn remove(&mut self) -> Result<(), Error> {
        let removed = self.aside.shared.fetch.store().remove(self.key.primary()).await;
        // A store that could not be told carries it out later.
        self.is_owed = false;
        removed
    }
}

impl<V, S, C> Write<V, S, C>
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    S: Store<Entry<V, C>>,
    C: Codec,
{
    async fn through(mut self, writing: impl Future<Output = Result<Loaded<V>, Error>>) -> Made<Answer<V>> {
        let apart = self.key.with_variant(APART | rand::random::<u128>());
        let lease = match self.aside.shared.fetch.store().lease(apart, None).await {
            Ok(Leased::Won(lease)) => Some(lease),
            Ok(Leased::Found(_) | Leased::Busy(_)) | Err(_) => None,
        };
        self.is_owed = true;
        let begun = self.aside.now();
        let loaded = match writing.await {
            Ok(loaded) => loaded,
            Err(error) => {
                // What failed may have been the way back. The loader's error is the one to be told.
                let _ = self.remove().await;
                return Made::now(Err(error));
            }
        };
        let tags: Tags = loaded.tags.iter().cloned().collect();
        if let Some(lease) = lease
            && let Ok(replaced) = lease.replace_all(self.key.variant(), tags).await
        {
            self.is_owed = false;
            return match replaced {
                Some(lease) => self.aside.keep(lease, loaded, begun).await,
                None => Made::now(Ok(loaded.value)),
            };
        }
        let removed = self.remove().await;
        Made::now(removed.map(|()| loaded.value))
    }
}

impl<V, S, C> Drop for Write<V, S, C>
where
    V: Send + Sync + 'static,
    S: Store<Entry<V, C>>,
    C: Codec,
{
    fn drop(&mut self) {
        if self.is_owed {
            let (shared, primary) = (Arc::clone(&self.aside.shared), self.key.primary());
            let fetch = &self.aside.shared.fetch;
            fetch.finish(async move { drop(shared.fetch.store().remove(primary).await) });
        }
    }
}
