//! Write-through: a change of the source, and what takes the place of what was kept.
//!
//! What takes its place must be younger than any other change, though it was begun before: so it has a lease from before the
//! change, under a key of its own where nobody waits for it, and moves to the value's key together with its own removal.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use super::{call::Answer, codec::Codec, entry::Entry, handle::Aside, loaded::Loaded};
use crate::{
    error::Error,
    store::{Key, Lease, Leased, Store, Tags, fetch::Made},
};

pub(super) struct Write<V, S: Store<Entry<V, C>>, C: Codec>
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

// === impl Write ===

impl<V, S, C> Write<V, S, C>
where
    V: Send + Sync + 'static,
    S: Store<Entry<V, C>>,
    C: Codec,
{
    pub(super) fn new(aside: Aside<V, S, C>, key: Key) -> Self {
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
    pub(super) async fn through(mut self, writing: impl Future<Output = Result<Loaded<V>, Error>>) -> Made<Answer<V>> {
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
