//! Asking for values.

use std::{error::Error as StdError, hash::Hash, pin::pin, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use super::{
    batch::Batch,
    call::{Answer, Call},
    codec::Codec,
    entry::Entry,
    handle::{Aside, Seen},
    key::EntityKey,
    loaded::Loaded,
    policy::Standing,
};
use crate::{
    error::Error,
    store::{Key, Store, fetch::Verdict},
};

impl<V, S, C> Aside<V, S, C>
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    S: Store<Entry<V, C>>,
    C: Codec,
{
    /// The value under `key`, or `None` if there is none: what is kept, or what `load` brings, which is kept then.
    ///
    /// Of all who ask for a key at once one loads; the others have the same value, the same absence, or the same error.
    /// What is not there is kept too. `load` returns a value, an `Option` of one, or a [`Loaded`] with tags.
    ///
    /// ```
    /// # use std::{io, time::Duration};
    /// # use bartizan::{Aside, Memory};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bartizan::Error> {
    /// # let users: Aside<String, _> = Aside::new(Memory::with_capacity(16 << 20));
    /// # async fn select(id: u64) -> Result<Option<String>, io::Error> { Ok((id == 42).then(|| "Ada".to_owned())) }
    /// let user = users.get_or_load(("user", 42), || select(42)).await?;
    /// assert_eq!(user.as_deref().map(String::as_str), Some("Ada"));
    /// assert_eq!(users.get_or_load(("user", 43), || select(43)).await?, None);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// One that [`is_failed`](Error::is_failed) when the loader failed, whose error is the source: the loader's own in
    /// this process, its text in others. One that [`is_timed_out`](Error::is_timed_out) after the [hard
    /// time-out](super::Policy::hard_timeout). A store that fails is no error: the caller loads for itself.
    ///
    /// # Panics
    ///
    /// As the loader does, where it was run for this caller; outside of a tokio runtime.
    ///
    /// # Cancellation
    ///
    /// Dropping the future does not stop a load that others may wait for: it goes on, within the limits of
    /// [`detached_loads`](Self::detached_loads). A load for this caller alone is dropped.
    pub fn get_or_load<F, Fut, L, E>(
        &self,
        key: impl Into<EntityKey>,
        load: F,
    ) -> impl Future<Output = Result<Option<Arc<V>>, Error>> + Send
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<L, E>> + Send + 'static,
        L: Into<Loaded<V>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let name = key.into();
        let key = self.key(&name);
        async move {
            let seen = self.look(&key, self.now());
            if let Some((Standing::Fresh, kept)) = &seen {
                self.shared.counts.hits.raise();
                return kept.answer();
            }
            let load = move |name: EntityKey| async move {
                load().await.map(Into::into).map_err(|error| Error::failed(&format!("loading `{name}` failed"), error))
            };
            self.ask(key, seen, Call::new(self.clone(), name, load, ())).await
        }
    }

    /// The values under the keys of all `ids`, in their order. What is not kept is loaded together: `load` is called
    /// once with all ids that are nobody's to load yet, and brings pairs of an id and what is under it. An id that it
    /// does not bring is absent.
    ///
    /// On Redis what is kept is read in one round trip, by one command for 64 ids; in a Cluster by one for each bucket
    /// of the store, side by side. What is not kept takes a second one to be asked for, and a third, which nobody waits
    /// for, to be kept. `load` is called again, with fewer ids, for those that another caller was loading in vain.
    ///
    /// ```
    /// # use std::{io, sync::Arc};
    /// # use bartizan::{Aside, Memory, aside::EntityKey};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), bartizan::Error> {
    /// # let users: Aside<String, _> = Aside::new(Memory::with_capacity(16 << 20));
    /// # async fn select(ids: Vec<u64>) -> Result<Vec<(u64, String)>, io::Error> {
    /// #     Ok(ids.into_iter().filter(|id| *id != 2).map(|id| (id, format!("user {id}"))).collect())
    /// # }
    /// let named = users.get_or_load_many([1, 2, 3], |id| EntityKey::new("user", id), select).await?;
    /// assert_eq!(named[0].as_deref().map(String::as_str), Some("user 1"));
    /// assert_eq!(named[1], None);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Self::get_or_load): the first, if there are several.
    ///
    /// # Panics
    ///
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Cancellation
    ///
    /// As [`get_or_load`](Self::get_or_load).
    pub fn get_or_load_many<K, F, Fut, I, L, E>(
        &self,
        ids: impl IntoIterator<Item = K>,
        name: impl Fn(&K) -> EntityKey,
        load: F,
    ) -> impl Future<Output = Result<Vec<Option<Arc<V>>>, Error>> + Send
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, L)>,
        L: Into<Loaded<V>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let named = ids.into_iter().map(|id| (name(&id), id)).collect();
        Batch::new(load).ask(self.clone(), named)
    }

    /// For one who cannot be answered at once: within the time-outs of the policy.
    pub(super) async fn ask<F, Fut, A>(&self, key: Key, seen: Seen<V, C>, mut call: Call<V, S, C, F, A>) -> Answer<V>
    where
        F: FnOnce(EntityKey) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Loaded<V>, Error>> + Send + 'static,
        A: Send + 'static,
    {
        if let Some((standing, kept)) = &seen
            && let Verdict::Answer(answer) = call.weigh(*standing, &key, kept)
        {
            return answer;
        }
        let (soft, hard) = (self.policy.soft_limit(), self.policy.hard_limit());
        let Some(longest) = soft.or(hard) else {
            return self.shared.fetch.answer(key, seen.map(|(_, kept)| kept), call).await;
        };
        let (spare, name) = (call.spare(), call.name().clone());
        let mut answering = pin!(self.shared.fetch.answer(key, seen.map(|(_, kept)| kept), call));
        if let Ok(answer) = timeout(longest, &mut answering).await {
            return answer;
        }
        if let Some(answer) = spare.answer(self) {
            return answer;
        }
        let answered = match (soft, hard) {
            (Some(soft), Some(hard)) => timeout(hard.saturating_sub(soft), answering).await.ok(),
            (Some(_), None) => Some(answering.await),
            (None, _) => None,
        };
        answered.unwrap_or_else(|| {
            self.shared.counts.timeouts.raise();
            Err(Error::timed_out(&format!("loading `{name}` took longer than {:?}", hard.unwrap_or(longest))))
        })
    }
}
