//! What the clones of a session's handle share.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use super::{
    contract::{Condition, Destroyed, SessionStore as _},
    layer::{OnOutage, Shared},
    record::{Client, Shows},
    transport::Presented,
    view::{Base, Standing, View},
};
use crate::{error::Error, private::PrivateMark};

/// What the clones of a handle share.
pub(super) struct Core {
    pub(super) shared: Arc<Shared>,
    presented: Presented,
    mark: PrivateMark,
    pub(super) client: Client,
    phase: AtomicU8,
    /// Nothing until it was loaded. Held while the store is asked, so that one load serves all.
    view: Mutex<Option<View>>,
}

/// Nobody has used the handle.
const UNTOUCHED: u8 = 0;
/// It was used.
const TOUCHED: u8 = 1;
/// The head of the response has left: nothing is saved any more.
const SEALED: u8 = 2;

// === impl Core ===

impl Core {
    pub(super) fn new(shared: Arc<Shared>, presented: Presented, mark: PrivateMark, client: Client) -> Self {
        Self { shared, presented, mark, client, phase: AtomicU8::new(UNTOUCHED), view: Mutex::new(None) }
    }

    /// Seals a handle that nobody has used. Otherwise it is to be [saved](super::save).
    pub(super) fn seal_untouched(&self) -> bool {
        self.phase.compare_exchange(UNTOUCHED, SEALED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Ends the time for changes, where none is to be saved.
    pub(super) fn seal_unsaved(&self) {
        self.phase.store(SEALED, Ordering::Release);
    }

    /// Ends the time for changes, and gives what was seen; `None` if nothing was.
    pub(super) async fn seal(&self) -> MutexGuard<'_, Option<View>> {
        let view = self.view.lock().await;
        self.phase.store(SEALED, Ordering::Release);
        view
    }

    pub(super) fn too_large(&self) -> Error {
        let allowed = self.shared.store.field_bytes();
        Error::refused(&format!("the session would take more than the {allowed} bytes that are allowed"), "TOO_LARGE")
    }

    /// Makes a change that takes no room.
    pub(super) async fn change<T>(&self, change: impl FnOnce(&mut View) -> T) -> Result<T, Error> {
        let mut view = self.view().await?;
        self.may_write(&view)?;
        Ok(change(&mut view))
    }

    /// Makes a change that takes up to `bytes` more, unless that is more than is allowed.
    pub(super) async fn grow<T>(&self, bytes: usize, change: impl FnOnce(&mut View) -> T) -> Result<T, Error> {
        let mut view = self.view().await?;
        self.may_write(&view)?;
        let allowed = self.shared.store.field_bytes();
        if view.weight_at_most() + bytes <= allowed {
            return Ok(change(&mut view));
        }
        let before = view.changes.clone();
        let answer = change(&mut view);
        if view.weight() > allowed {
            view.changes = before;
            return Err(self.too_large());
        }
        Ok(answer)
    }

    pub(super) fn encode<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<Bytes, Error> {
        check(name)?;
        self.shared.plan.codec.encode(name, value).map(Bytes::from)
    }

    pub(super) fn may_write(&self, view: &View) -> Result<(), Error> {
        if self.phase.load(Ordering::Acquire) == SEALED {
            return Err(Error::invalid("the head of the response has left: the session is changed before that"));
        }
        match view.standing {
            Standing::Superseded => Err(superseded()),
            Standing::Owner | Standing::Cut(_) => Ok(()),
        }
    }

    /// What asks the store itself cannot go on without it.
    pub(super) fn may_ask(&self, view: &View) -> Result<(), Error> {
        match &view.standing {
            Standing::Cut(error) => Err(error.clone()),
            Standing::Owner | Standing::Superseded => Ok(()),
        }
    }

    pub(super) async fn view(&self) -> Result<MappedMutexGuard<'_, View>, Error> {
        // Each time: a cache asks whether the mark rose since it took over.
        self.mark.raise();
        let _ = self.phase.compare_exchange(UNTOUCHED, TOUCHED, Ordering::AcqRel, Ordering::Acquire);
        let mut view = self.view.lock().await;
        if view.is_none() {
            *view = Some(self.load().await?);
        }
        if let Some(view) = view.as_mut().filter(|view| view.is_ending) {
            self.end(view).await?;
        }
        Ok(MutexGuard::map(view, |view| view.get_or_insert_with(|| View::empty(Standing::Owner))))
    }

    /// Ends the session that `view` is of, unless the rights in it changed since. Dropped meanwhile, it may have ended: who uses the view
    /// next makes sure of it.
    pub(super) async fn end(&self, view: &mut View) -> Result<(), Error> {
        if let Some(base) = &view.base {
            let (id, generation) = (base.token.record_id(), base.loaded.record.head.generation);
            view.is_ending = true;
            let answer = self.shared.store.destroy_if(&id, Condition::Generation(generation)).await;
            view.is_ending = false;
            if answer? == Destroyed::Superseded {
                view.standing = Standing::Superseded;
                return Err(superseded());
            }
            self.shared.counts.destroyed.raise();
            view.destroyed = true;
        }
        *view = View { destroyed: view.destroyed, ..View::empty(Standing::Owner) };
        Ok(())
    }

    async fn load(&self) -> Result<View, Error> {
        let shared = &self.shared;
        let Some(token) = shared.transport.read(&self.presented) else { return Ok(View::empty(Standing::Owner)) };
        let loaded = match shared.store.load(&token.record_id()).await {
            Ok(loaded) => loaded,
            Err(error) if shared.plan.on_outage == OnOutage::Proceed => return Ok(View::empty(Standing::Cut(error))),
            Err(error) => return Err(error),
        };
        let shows = loaded.as_ref().and_then(|loaded| loaded.record.head.shows(&token.digest(), loaded.now));
        Ok(match (loaded, shows) {
            (Some(loaded), Some(Shows::Session)) => View::of(Base { token, loaded }),
            (_, Some(Shows::Nothing)) => View::empty(Standing::Superseded),
            // Nobody's id is taken over: what is written begins a session with an id of ours.
            _ => {
                shared.counts.unknown.raise();
                View::empty(Standing::Owner)
            }
        })
    }
}

pub(super) fn check(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > 255 {
        let message = format!("a name of {} bytes in a session: 1 to 255 are allowed", name.len());
        return Err(Error::invalid(&message));
    }
    Ok(())
}

#[cold]
pub(super) fn superseded() -> Error {
    Error::refused("the rights in this session changed after the request began", "SUPERSEDED")
}
