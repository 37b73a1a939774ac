//! Many keys in one call: what nobody has is loaded together.
//!
//! Each key goes its own way through the loop of `store/fetch.rs`, as if it were asked for alone: it is found, waited
//! for, or to be loaded. Those to be loaded come together here, and wait until no other key of the batch may still join
//! them.

use std::{collections::HashMap, error::Error as StdError, hash::Hash, pin::Pin, sync::Arc};

use futures_util::{
    FutureExt as _,
    future::{Shared, join_all},
};
use parking_lot::Mutex;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::oneshot, task::yield_now};

use super::{
    call::{Answer, Call},
    codec::Codec,
    entry::Entry,
    handle::Aside,
    key::EntityKey,
    loaded::Loaded,
    policy::Standing,
};
use crate::{error::Error, store::Store};

/// The keys of a batch that were not answered at once.
pub(super) struct Batch<K, V>(Arc<Inner<K, V>>);

struct Inner<K, V> {
    load: Box<dyn Fn(Vec<K>) -> Loading<K, V> + Send + Sync>,
    crowd: Mutex<Crowd<K, V>>,
}

struct Crowd<K, V> {
    /// How many may still turn out to be somebody else's to load, or found.
    asking: usize,
    /// Those that are to be loaded.
    members: Vec<(K, oneshot::Sender<Round<K, V>>)>,
}

type Loading<K, V> = Pin<Box<dyn Future<Output = Result<Arc<HashMap<K, Loaded<V>>>, Error>> + Send>>;

/// One call of the loader. Whoever waits for it drives it, so that it goes on for as long as anyone does.
type Round<K, V> = Shared<Loading<K, V>>;

/// A key that may still join. Dropped, it does not any more.
pub(super) struct Asking<K: Eq + Hash, V>(Batch<K, V>);

// === impl Batch ===

impl<K, V> Batch<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(super) fn new<F, Fut, I, L, E>(load: F) -> Self
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (K, L)>,
        L: Into<Loaded<V>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let load = Arc::new(load);
        let boxed = move |ids: Vec<K>| -> Loading<K, V> {
            let load = Arc::clone(&load);
            // The program's own code runs where it is polled, and not where the last key gave up asking.
            Box::pin(async move {
                let count = ids.len();
                let loaded =
                    load(ids).await.map_err(|error| Error::failed(&format!("loading {count} values failed"), error))?;
                Ok(Arc::new(loaded.into_iter().map(|(id, loaded)| (id, loaded.into())).collect()))
            })
        };
        Self(Arc::new(Inner { load: Box::new(boxed), crowd: Mutex::new(Crowd { asking: 0, members: Vec::new() }) }))
    }

    /// The answers to all, in their order.
    pub(super) async fn ask<S, C>(
        self,
        aside: Aside<V, S, C>,
        named: Vec<(EntityKey, K)>,
    ) -> Result<Vec<Option<Arc<V>>>, Error>
    where
        V: Serialize + DeserializeOwned,
        S: Store<Entry<V, C>>,
        C: Codec,
    {
        let now = aside.now();
        let mut answers: Vec<Answer<V>> = Vec::with_capacity(named.len());
        let mut open = Vec::new();
        for (at, (name, id)) in named.into_iter().enumerate() {
            let key = aside.key(&name);
            match aside.look(&key, now) {
                Some((Standing::Fresh, kept)) => {
                    aside.shared.counts.hits.raise();
                    answers.push(kept.answer());
                }
                seen => {
                    let load = self.clone().load(id);
                    answers.push(Ok(None));
                    open.push((at, key, seen, Call::new(aside.clone(), name, load, self.asking())));
                }
            }
        }
        let asked = open.into_iter().map(|(at, key, seen, call)| {
            let aside = &aside;
            async move { (at, aside.ask(key, seen, call).await) }
        });
        for (at, answer) in join_all(asked).await {
            answers[at] = answer;
        }
        answers.into_iter().collect()
    }

    /// Loads one key together with others.
    fn load(self, id: K) -> impl FnOnce(EntityKey) -> Pin<Box<dyn Future<Output = Result<Loaded<V>, Error>> + Send>> {
        move |_| {
            let (tell, told) = oneshot::channel();
            self.0.crowd.lock().members.push((id.clone(), tell));
            Box::pin(async move {
                // Others who wait for the same may be at the same point.
                yield_now().await;
                self.begin_if_all_are_here();
                let round = told.await.expect("whoever takes a member out of the crowd tells it of its round");
                Ok(round.await?.get(&id).cloned().unwrap_or_else(Loaded::absent))
            })
        }
    }

    fn asking(&self) -> Asking<K, V> {
        self.0.crowd.lock().asking += 1;
        Asking(self.clone())
    }
}

impl<K: Eq + Hash, V> Batch<K, V> {
    fn begin_if_all_are_here(&self) {
        let mut crowd = self.0.crowd.lock();
        if crowd.asking > 0 {
            return;
        }
        let mut members = std::mem::take(&mut crowd.members);
        drop(crowd);
        members.retain(|(_, tell)| !tell.is_closed());
        if members.is_empty() {
            return;
        }
        let (ids, tell): (Vec<K>, Vec<_>) = members.into_iter().unzip();
        let round = (self.0.load)(ids).shared();
        for tell in tell {
            // Whoever left meanwhile is not there to be told.
            let _ = tell.send(round.clone());
        }
    }
}

impl<K, V> Clone for Batch<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

// === impl Asking ===

impl<K: Eq + Hash, V> Drop for Asking<K, V> {
    fn drop(&mut self) {
        self.0.0.crowd.lock().asking -= 1;
        self.0.begin_if_all_are_here();
    }
}
