//! Stores that break their promise, each in one way. The checker must see it.

use std::time::Duration;

use bartizan::{
    BoxStore, Error, Memory,
    cache::Stored,
    clock::Timestamp,
    store::{Ending, Filled, Kept, Key, Lease, Leased, Primary, Seed, Store, Tag, Tags, Usage, Version, Wait, Woken},
};

use crate::wait::pass;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None: what the others are measured by.
    Sound,
    /// Removals do nothing.
    Deaf,
    /// Removals are told at once and done later.
    Late(Duration),
    /// What is filled is filled under a lease that was won just now.
    Eager,
}

/// A store in memory, with a fault.
#[derive(Clone)]
pub(crate) struct Mutant {
    inner: Memory<Stored>,
    fault: Fault,
}

pub(crate) struct MutantLease {
    inner: <Memory<Stored> as Store<Stored>>::Lease,
    store: Mutant,
    key: Key,
}

// === impl Mutant ===

impl Mutant {
    pub(crate) fn boxed(fault: Fault) -> BoxStore<Stored> {
        BoxStore::new(Self { inner: Memory::with_capacity(64 << 20), fault })
    }

    async fn removal(&self, removal: impl Future<Output = Result<(), Error>> + Send + 'static) -> Result<(), Error> {
        match self.fault {
            Fault::Sound | Fault::Eager => removal.await,
            Fault::Deaf => Ok(()),
            Fault::Late(late) => {
                tokio::spawn(async move {
                    pass(late).await;
                    removal.await
                });
                Ok(())
            }
        }
    }

    fn lease_of(&self, key: Key, inner: <Memory<Stored> as Store<Stored>>::Lease) -> MutantLease {
        MutantLease { inner, store: self.clone(), key }
    }
}

impl Store<Stored> for Mutant {
    type Lease = MutantLease;

    fn seed(&self) -> Seed {
        self.inner.seed()
    }

    fn get_now(&self, key: &Key) -> Option<Kept<Stored>> {
        self.inner.get_now(key)
    }

    async fn lease(&self, key: Key, seen: Option<Version>) -> Result<Leased<Stored, MutantLease>, Error> {
        Ok(match self.inner.lease(key, seen).await? {
            Leased::Found(kept) => Leased::Found(kept),
            Leased::Won(lease) => Leased::Won(self.lease_of(key, lease)),
            Leased::Busy(wait) => {
                let store = self.clone();
                Leased::Busy(Wait::new(async move {
                    match wait.await {
                        Woken::Found(kept) => Woken::Found(kept),
                        Woken::Present(kept) => Woken::Present(kept),
                        Woken::Won(lease) => Woken::Won(store.lease_of(key, lease)),
                        Woken::Alone(ending) => Woken::Alone(ending),
                    }
                }))
            }
        })
    }

    async fn remove(&self, primary: Primary) -> Result<(), Error> {
        let inner = self.inner.clone();
        self.removal(async move { inner.remove(primary).await }).await
    }

    async fn remove_tagged(&self, tag: Tag) -> Result<(), Error> {
        let inner = self.inner.clone();
        self.removal(async move { inner.remove_tagged(tag).await }).await
    }

    async fn clear(&self) -> Result<(), Error> {
        let inner = self.inner.clone();
        self.removal(async move { inner.clear().await }).await
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}

// === impl MutantLease ===

impl Lease<Stored> for MutantLease {
    fn replaces(&self) -> Option<Version> {
        self.inner.replaces()
    }

    async fn fill(self, value: Stored, keep_until: Timestamp, tags: Tags) -> Result<Filled, Error> {
        let Self { inner, store, key } = self;
        if store.fault != Fault::Eager {
            return inner.fill(value, keep_until, tags).await;
        }
        drop(inner);
        match store.inner.lease(key, None).await? {
            Leased::Won(lease) => lease.fill(value, keep_until, tags).await,
            Leased::Found(_) | Leased::Busy(_) => Ok(Filled::Superseded),
        }
    }

    async fn narrow(self, variant: u128, sign: Stored, keep_until: Timestamp) -> Result<Option<Self>, Error> {
        let Self { inner, store, key } = self;
        let inner = inner.narrow(variant, sign, keep_until).await?;
        Ok(inner.map(|inner| store.lease_of(key.with_variant(variant), inner)))
    }

    async fn replace_all(self, variant: u128, tags: Tags) -> Result<Option<Self>, Error> {
        let Self { inner, store, key } = self;
        let inner = inner.replace_all(variant, tags).await?;
        Ok(inner.map(|inner| store.lease_of(key.with_variant(variant), inner)))
    }

    async fn disband(self, ending: Ending) {
        self.inner.disband(ending).await;
    }
}
