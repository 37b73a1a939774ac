//! A store of whose leases nothing is made.

use bartizan::{
    Error, Memory,
    cache::Stored,
    clock::Timestamp,
    store::{
        Encoded, Ending, Filled, Kept, Key, Lease, Leased, Primary, Seed, Store, Tag, Tags, Usage, Version, Wait, Wire,
        Woken,
    },
};

/// Whoever finds a key leased makes its value too.
#[derive(Clone)]
pub(crate) struct Leaseless<T> {
    inner: T,
    /// By which those of one node wait for each other all the same.
    flights: Option<Memory<Stored>>,
}

/// To make a value, whether or not others make it as well.
pub(crate) struct Licence<T: Store<Stored>> {
    store: T,
    key: Key,
    seen: Option<Version>,
    flight: Option<<Memory<Stored> as Store<Stored>>::Lease>,
    /// Absent where another has it.
    lease: Option<T::Lease>,
}

// === impl Leaseless ===

impl<T: Store<Stored>> Leaseless<T> {
    /// All who miss make the value.
    pub(crate) fn of_callers(inner: T) -> Self {
        Self { inner, flights: None }
    }

    /// One of those makes it who miss on this node, whatever other nodes do.
    pub(crate) fn of_nodes(inner: T) -> Self {
        Self { inner, flights: Some(Memory::with_capacity(64 << 20)) }
    }

    fn licence(&self, key: Key, seen: Option<Version>) -> Licence<T> {
        Licence { store: self.inner.clone(), key, seen, flight: None, lease: None }
    }
}

impl<T: Store<Stored>> Store<Stored> for Leaseless<T> {
    type Lease = Licence<T>;

    fn seed(&self) -> Seed {
        self.inner.seed()
    }

    fn get_now(&self, key: &Key) -> Option<Kept<Stored>> {
        self.inner.get_now(key)
    }

    async fn lease(&self, key: Key, seen: Option<Version>) -> Result<Leased<Stored, Licence<T>>, Error> {
        let mut licence = self.licence(key, seen);
        if let Some(flights) = &self.flights {
            let mut landed = None;
            while licence.flight.is_none() {
                match flights.lease(key, landed).await? {
                    Leased::Won(flight) => licence.flight = Some(flight),
                    Leased::Found(kept) => landed = Some(kept.version()),
                    Leased::Busy(wait) => {
                        return Ok(Leased::Busy(Wait::new(async move {
                            match wait.await {
                                // The flight does not say whether it was made just now.
                                Woken::Found(kept) | Woken::Present(kept) => Woken::Present(kept),
                                Woken::Alone(ending) => Woken::Alone(ending),
                                Woken::Won(flight) => Woken::Won(Licence { flight: Some(flight), ..licence }),
                            }
                        })));
                    }
                }
            }
        }
        match self.inner.lease(key, seen).await? {
            Leased::Found(kept) => {
                if let Some(flight) = licence.flight {
                    flight.fill(copy(&kept), kept.keep_until(), kept.tags().clone()).await?;
                }
                Ok(Leased::Found(kept))
            }
            Leased::Won(lease) => Ok(Leased::Won(Licence { lease: Some(lease), ..licence })),
            Leased::Busy(_) => Ok(Leased::Won(licence)),
        }
    }

    async fn remove(&self, primary: Primary) -> Result<(), Error> {
        self.inner.remove(primary).await
    }

    async fn remove_tagged(&self, tag: Tag) -> Result<(), Error> {
        self.inner.remove_tagged(tag).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.inner.clear().await
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}

// === impl Licence ===

impl<T: Store<Stored>> Lease<Stored> for Licence<T> {
    fn replaces(&self) -> Option<Version> {
        self.lease.as_ref().map_or(self.seen, Lease::replaces)
    }

    async fn fill(self, value: Stored, keep_until: Timestamp, tags: Tags) -> Result<Filled, Error> {
        let for_waiters = copy(&value);
        let lease = match self.lease {
            Some(lease) => Some(lease),
            None => lease_at_last(&self.store, self.key, self.seen).await?,
        };
        let filled = match lease {
            Some(lease) => lease.fill(value, keep_until, tags.clone()).await,
            None => Ok(Filled::Stored),
        };
        if let Some(flight) = self.flight {
            flight.fill(for_waiters, keep_until, tags).await?;
        }
        filled
    }

    // Nothing here has variants, and nothing is posted.

    async fn narrow(self, _: u128, _: Stored, _: Timestamp) -> Result<Option<Self>, Error> {
        Ok(None)
    }

    async fn replace_all(self, _: u128, _: Tags) -> Result<Option<Self>, Error> {
        Ok(None)
    }

    async fn disband(self, ending: Ending) {
        if let Some(flight) = self.flight {
            flight.disband(ending).await;
        }
        if let Some(lease) = self.lease {
            lease.disband(ending).await;
        }
    }
}

/// The lease, when whoever has it failed; none when a value came of it.
async fn lease_at_last<T: Store<Stored>>(
    store: &T,
    key: Key,
    seen: Option<Version>,
) -> Result<Option<T::Lease>, Error> {
    loop {
        match store.lease(key, seen).await? {
            Leased::Won(lease) => return Ok(Some(lease)),
            Leased::Found(_) => return Ok(None),
            Leased::Busy(wait) => match wait.await {
                Woken::Won(lease) => return Ok(Some(lease)),
                Woken::Found(_) | Woken::Present(_) => return Ok(None),
                Woken::Alone(_) => {}
            },
        }
    }
}

pub(crate) fn copy(value: &Stored) -> Stored {
    let Encoded { head, body, .. } = value.encode();
    Stored::decode(head.into(), body).expect("what was encoded just now can be decoded")
}
