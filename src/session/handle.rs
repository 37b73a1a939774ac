//! What can be done with sessions from outside of a request.

use std::{fmt, sync::Arc};

use super::{
    contract::SessionStore as _,
    layer::Shared,
    record::Principal,
    session::{Device, SessionInfo},
    token::RecordId,
};
use crate::{error::Error, observe::Count};

/// Lists, ends and counts the sessions of a layer. Made by [`SessionLayer::handle`](super::SessionLayer::handle).
#[derive(Clone)]
pub struct SessionHandle {
    shared: Arc<Shared>,
}

/// What came of the requests that used their session, since the layer was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionCounters {
    /// Sessions begun.
    pub created: u64,
    /// Changes saved, touches and renewals included.
    pub saved: u64,
    /// Sessions that their handlers destroyed.
    pub destroyed: u64,
    /// Tokens that opened nothing: forged, ended, or replaced too long ago.
    pub unknown: u64,
    /// Changes that were not saved, for whatever reason.
    pub unsaved: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) created: Count,
    pub(super) saved: Count,
    pub(super) destroyed: Count,
    pub(super) unknown: Count,
    pub(super) unsaved: Count,
}

// === impl SessionHandle ===

impl SessionHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The sessions of `principal`, the last used first.
    ///
    /// # Errors
    ///
    /// When the name is empty or too long, or the store could not be asked.
    pub async fn sessions_of(&self, principal: &str) -> Result<Vec<Device>, Error> {
        self.shared.devices(&Principal::new(principal)?, None).await
    }

    /// Ends all sessions of `principal`; tells how many ended: for an account that was disabled, or a password that was changed
    /// elsewhere.
    ///
    /// # Errors
    ///
    /// When the name is empty or too long, or the store could not be told; some may then go on.
    pub async fn destroy_all_of(&self, principal: &str) -> Result<usize, Error> {
        self.shared.store.destroy_all(&Principal::new(principal)?, None).await
    }

    /// Ends a session. `false` if it had ended; on a Redis Cluster whose connection broke meanwhile also if this has just ended it.
    /// In both cases it is no more.
    ///
    /// # Errors
    ///
    /// When the store could not be told.
    pub async fn destroy(&self, id: &RecordId) -> Result<bool, Error> {
        self.shared.store.destroy(id).await
    }

    /// What came of the requests so far.
    pub fn counters(&self) -> SessionCounters {
        let counts = &self.shared.counts;
        SessionCounters {
            created: counts.created.sum(),
            saved: counts.saved.sum(),
            destroyed: counts.destroyed.sum(),
            unknown: counts.unknown.sum(),
            unsaved: counts.unsaved.sum(),
        }
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionHandle").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) async fn devices(&self, principal: &Principal, current: Option<RecordId>) -> Result<Vec<Device>, Error> {
        let mut listed = self.store.list(principal).await?;
        listed.sort_by_key(|one| std::cmp::Reverse(one.head.seen));
        let device = |id, info| Device { id, info, is_current: Some(id) == current };
        Ok(listed.into_iter().map(|one| device(one.id, SessionInfo::from(&one.head))).collect())
    }
}
