//! The contract every session store keeps; `conformance` tests it.

use std::{future::Future, sync::Arc};

use bytes::Bytes;

use super::{
    changes::Changes,
    record::{Client, Fields, Generation, Head, Lifetime, Principal, Record},
    token::{RecordId, SecretDigest},
};
use crate::{clock::Timestamp, error::Error};

/// Keeps sessions, and merges what parallel requests change in them.
///
/// Three rules carry the contract.
///
/// - **What is gone stays gone.** A record that was destroyed, or that expired, is never there again: a change finds it
///   [gone](Applied::Gone) and leaves nothing behind, no matter when its request began. Ids are random, and never used twice.
/// - **Changes are differences**, each made in one step on the record as it is by then. Nothing is read, changed elsewhere,
///   and written back.
/// - **Rights have generations.** A change begun under another generation is [refused](Applied::Superseded), so that nothing
///   a stranger began with a fixed id reaches the session of who logs in with it.
///
/// Time is the store's alone: callers say for how long, the store says until when, and of several processes none compares its
/// clock with another's. A record whose deadline has come is not found, whether or not it was reclaimed. A clock that steps
/// back brings none back that was found to be gone.
///
/// Each method is one step and, beyond the process, one round trip in steady state, but for [`list`](Self::list) and
/// [`destroy_all`](Self::destroy_all). Whoever holds a store's handle may ask for any record: that a client knows the secret
/// is for the caller to compare, with [`Head::shows`]. Clones are handles of the same store.
///
/// # Cancellation
///
/// A dropped future may have done all it was asked to, or nothing.
///
/// # Errors
///
/// Of every method: when the store could not be asked ([`is_unavailable`](Error::is_unavailable)), or has no room
/// ([`is_refused`](Error::is_refused)). After [`is_timed_out`](Error::is_timed_out) it is unknown whether the change was
/// made: the caller does not repeat it. A record that makes no sense is no record.
pub trait SessionStore: Clone + Send + Sync + 'static {
    /// How many bytes the fields of one session may [weigh](super::record::Fields::weight).
    fn field_bytes(&self) -> usize;

    /// Begins a session, whose id must be new.
    fn create(&self, new: NewRecord) -> impl Future<Output = Result<Creation, Error>> + Send;

    /// The record, if it is there. It is not touched by being read.
    fn load(&self, id: &RecordId) -> impl Future<Output = Result<Option<Loaded>, Error>> + Send;

    /// Makes `changes`, and touches the record, if it is there and its rights are still of `generation`.
    ///
    /// The first of these that applies is the answer: [`Gone`](Applied::Gone), [`Superseded`](Applied::Superseded),
    /// [`Differs`](Applied::Differs), [`TooLarge`](Applied::TooLarge), [`Done`](Applied::Done). Only the last changes
    /// anything, the time it was seen included.
    fn apply(
        &self,
        id: &RecordId,
        generation: Generation,
        changes: Changes,
    ) -> impl Future<Output = Result<Applied, Error>> + Send;

    /// Ends a session, also where the store has no more room. `false` if it was not there, and, where a connection sends again
    /// what may have arrived, perhaps also if it was this call that ended it.
    fn destroy(&self, id: &RecordId) -> impl Future<Output = Result<bool, Error>> + Send;

    /// The same, as long as `condition` holds, in one step. Otherwise nothing is changed. [`Gone`](Destroyed::Gone) says no more
    /// than `false` does there.
    fn destroy_if(&self, id: &RecordId, condition: Condition) -> impl Future<Output = Result<Destroyed, Error>> + Send;

    /// The sessions of a principal, in any order. All whose [`create`](Self::create) or [`apply`](Self::apply) with this
    /// principal has returned, and that have not ended; none of another principal.
    fn list(&self, principal: &Principal) -> impl Future<Output = Result<Vec<Listed>, Error>> + Send;

    /// Ends the sessions of a principal but `except`; tells how many ended. Those that begin meanwhile may be spared.
    fn destroy_all(
        &self,
        principal: &Principal,
        except: Option<RecordId>,
    ) -> impl Future<Output = Result<usize, Error>> + Send;
}

/// A session to begin.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Its name.
    pub id: RecordId,
    /// Of the secret that opens it.
    pub secret: SecretDigest,
    /// How long it lives. Its times of creation, of being seen and of the secret are now.
    pub lifetime: Lifetime,
    /// Who is logged in. With somebody, `authenticated` is now.
    pub principal: Option<Principal>,
    /// What it is begun from.
    pub client: Client,
    /// What is put in it. Only what they say of fields counts, and nothing is [expected](Changes::expected).
    pub changes: Changes,
}

/// What [`SessionStore::create`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every one is the large one")]
pub enum Creation {
    /// It is there.
    Created(Stamped),
    /// The id is taken; what is there was left alone.
    Exists,
    /// The fields weigh more than is allowed; nothing was begun.
    TooLarge,
}

/// What [`SessionStore::apply`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was done, and this is the head by then.
    Done(Stamped),
    /// The record is not there: it was destroyed, or it expired.
    Gone,
    /// The rights changed since.
    Superseded,
    /// What was [expected](Changes::expected) is not so; this is the value in its place.
    Differs(Option<Bytes>),
    /// The fields would weigh more than is allowed.
    TooLarge,
}

/// What is to be so of a session that is there, for it to be ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Its rights have not changed since they were of this generation.
    Generation(Generation),
    /// This is who is logged in.
    Principal(Principal),
}

/// What [`SessionStore::destroy_if`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destroyed {
    /// It was there, and has ended.
    Done,
    /// It was not there.
    Gone,
    /// It is there, and otherwise than it was to be.
    Superseded,
}

/// A head, and the store's time when it was so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// The head.
    pub head: Head,
    /// The store's time.
    pub now: Timestamp,
}

/// A record, and the store's time when it was so.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Shared, so that a store in this process copies nothing.
    pub record: Arc<Record>,
    /// The store's time.
    pub now: Timestamp,
}

/// One of a principal's sessions.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name, which opens nothing.
    pub id: RecordId,
    /// What is known of it.
    pub head: Head,
}

// === impl Condition ===

impl Condition {
    /// Whether it holds of a session with this head.
    pub fn holds(&self, head: &Head) -> bool {
        match self {
            Self::Generation(generation) => head.generation == *generation,
            Self::Principal(principal) => head.principal.as_ref() == Some(principal),
        }
    }
}

// === impl NewRecord ===

impl NewRecord {
    /// The record as it begins at `now`.
    pub fn begin(self, now: Timestamp) -> Record {
        let mut fields = Fields::default();
        self.changes.merge_into(&mut fields);
        let head = Head {
            created: now,
            seen: now,
            renewed: now,
            authenticated: self.principal.is_some().then_some(now),
            lifetime: self.lifetime,
            ends: now.plus(self.lifetime.absolute),
            generation: Generation::default(),
            secret: self.secret,
            retired: Vec::new(),
            principal: self.principal,
            client: self.client,
        };
        Record { head, fields }
    }
}
