//! Any store behind one type, for programs that choose it when they start, and for the layer itself.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::{
    changes::Changes,
    contract::{Applied, Condition, Creation, Destroyed, Listed, Loaded, NewRecord, SessionStore},
    record::{Generation, Principal},
    token::RecordId,
};
use crate::error::Error;

/// A store of sessions whose type is forgotten. Each call allocates its future.
///
/// ```
/// use bartizan::{BoxSessions, MemorySessions, SessionLayer};
///
/// fn store() -> BoxSessions {
///     BoxSessions::new(MemorySessions::new()) // or whichever the configuration names
/// }
/// let sessions = SessionLayer::new(store());
/// ```
#[derive(Clone)]
pub struct BoxSessions(Arc<dyn DynSessions>);

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

trait DynSessions: Send + Sync {
    fn field_bytes(&self) -> usize;
    fn create(&self, new: NewRecord) -> Answer<'_, Creation>;
    fn load<'a>(&'a self, id: &'a RecordId) -> Answer<'a, Option<Loaded>>;
    fn apply<'a>(&'a self, id: &'a RecordId, generation: Generation, changes: Changes) -> Answer<'a, Applied>;
    fn destroy<'a>(&'a self, id: &'a RecordId) -> Answer<'a, bool>;
    fn destroy_if<'a>(&'a self, id: &'a RecordId, condition: Condition) -> Answer<'a, Destroyed>;
    fn list<'a>(&'a self, principal: &'a Principal) -> Answer<'a, Vec<Listed>>;
    fn destroy_all<'a>(&'a self, principal: &'a Principal, except: Option<RecordId>) -> Answer<'a, usize>;
}

struct Erased<S>(S);

// === impl BoxSessions ===

impl BoxSessions {
    /// `store`, behind this type.
    pub fn new(store: impl SessionStore) -> Self {
        Self(Arc::new(Erased(store)))
    }
}

impl SessionStore for BoxSessions {
    fn field_bytes(&self) -> usize {
        self.0.field_bytes()
    }

    async fn create(&self, new: NewRecord) -> Result<Creation, Error> {
        self.0.create(new).await
    }

    async fn load(&self, id: &RecordId) -> Result<Option<Loaded>, Error> {
        self.0.load(id).await
    }

    async fn apply(&self, id: &RecordId, generation: Generation, changes: Changes) -> Result<Applied, Error> {
        self.0.apply(id, generation, changes).await
    }

    async fn destroy(&self, id: &RecordId) -> Result<bool, Error> {
        self.0.destroy(id).await
    }

    async fn destroy_if(&self, id: &RecordId, condition: Condition) -> Result<Destroyed, Error> {
        self.0.destroy_if(id, condition).await
    }

    async fn list(&self, principal: &Principal) -> Result<Vec<Listed>, Error> {
        self.0.list(principal).await
    }

    async fn destroy_all(&self, principal: &Principal, except: Option<RecordId>) -> Result<usize, Error> {
        self.0.destroy_all(principal, except).await
    }
}

impl fmt::Debug for BoxSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxSessions(..)")
    }
}

// === impl Erased ===

impl<S: SessionStore> DynSessions for Erased<S> {
    fn field_bytes(&self) -> usize {
        self.0.field_bytes()
    }

    fn create(&self, new: NewRecord) -> Answer<'_, Creation> {
        Box::pin(self.0.create(new))
    }

    fn load<'a>(&'a self, id: &'a RecordId) -> Answer<'a, Option<Loaded>> {
        Box::pin(self.0.load(id))
    }

    fn apply<'a>(&'a self, id: &'a RecordId, generation: Generation, changes: Changes) -> Answer<'a, Applied> {
        Box::pin(self.0.apply(id, generation, changes))
    }

    fn destroy<'a>(&'a self, id: &'a RecordId) -> Answer<'a, bool> {
        Box::pin(self.0.destroy(id))
    }

    fn destroy_if<'a>(&'a self, id: &'a RecordId, condition: Condition) -> Answer<'a, Destroyed> {
        Box::pin(self.0.destroy_if(id, condition))
    }

    fn list<'a>(&'a self, principal: &'a Principal) -> Answer<'a, Vec<Listed>> {
        Box::pin(self.0.list(principal))
    }

    fn destroy_all<'a>(&'a self, principal: &'a Principal, except: Option<RecordId>) -> Answer<'a, usize> {
        Box::pin(self.0.destroy_all(principal, except))
    }
}
