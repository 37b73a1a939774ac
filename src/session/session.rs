//! The handle that handlers hold.

use std::{fmt, sync::Arc};

use http::Extensions;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    changes::Changes,
    contract::{Applied, Condition, Destroyed, SessionStore as _},
    core::{Core, check, superseded},
    record::{Client, Head, Principal},
    token::RecordId,
    view::{Rights, View},
};
use crate::{clock::Timestamp, error::Error};

/// The session of a request.
///
/// It is in the extensions of each request that comes through a [`SessionLayer`](super::SessionLayer), and an axum extractor. A
/// clone is the same session; several may be used at once. Nothing is read before the first method is called, one load serves the
/// whole request, and what is changed is saved when the handler has answered, before the head of the response leaves. [The
/// module](super) says what parallel requests see of each other.
///
/// # Errors
///
/// Of every method:
///
/// | | |
/// |---|---|
/// | [`is_unavailable`](Error::is_unavailable) | the store could not be asked |
/// | [`is_undecodable`](Error::is_undecodable) | a value is not of the type that was asked for |
/// | [`is_invalid`](Error::is_invalid) | a name that is empty or has more than 255 bytes, a value that cannot be written, a change after the head of the response left |
/// | [`is_refused`](Error::is_refused), code `SUPERSEDED` | a change in a request that came with a secret from before a change of rights, and sees an empty session, or that has learnt since that they changed |
/// | [`is_refused`](Error::is_refused), code `TOO_LARGE` | the fields would take more than the store allows |
/// | [`is_refused`](Error::is_refused), another code | the store has no room |
///
/// With the feature `axum` an error is a response: 503, 500, 500, 409, 413, 503.
///
/// # Cancellation
///
/// Methods can be cancelled: what they were to change is then changed in whole or not at all.
#[derive(Clone)]
pub struct Session(Arc<Core>);

/// What is known of a session, besides what handlers put there. All times are the store's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// When it was begun.
    pub created: Timestamp,
    /// When it was last used, give or take [a share of the idle time](super::SessionLayer::touch_after).
    pub seen: Timestamp,
    /// When its principal logged in.
    pub authenticated: Option<Timestamp>,
    /// When it ends, unless it is used again before.
    pub expires: Timestamp,
    /// When it ends in any case.
    pub ends: Timestamp,
    /// What it was begun, or logged in, from: what [`client_by`](super::SessionLayer::client_by) made of the request.
    pub client: Client,
}

/// One of the sessions of a principal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Device {
    /// Names the session, and opens nothing.
    pub id: RecordId,
    /// What is known of it.
    pub info: SessionInfo,
    /// Whether it is the session of this request.
    pub is_current: bool,
}

/// How often [`Session::update`] meets with another's change before it gives up. Each time somebody else has got on.
const UPDATES: usize = 1000;

// === impl Session ===

impl Session {
    pub(super) fn new(core: Core) -> Self {
        Self(Arc::new(core))
    }

    /// The session of the request that has these extensions; `None` without the layer.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// The value `name`, of the type that it was written as: what another type makes of its bytes is not always an error.
    pub async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let view = self.0.view().await?;
        view.value(name).map(|bytes| self.0.shared.plan.codec.decode(name, bytes)).transpose()
    }

    /// Writes the value `name`. Of parallel requests that write the same one the last counts: see [`update`](Self::update).
    pub async fn insert<T: Serialize + ?Sized>(&self, name: &str, value: &T) -> Result<(), Error> {
        let bytes = self.0.encode(name, value)?;
        self.0.grow(name.len() + bytes.len(), |view| view.write(name, Some(bytes))).await
    }

    /// Removes the value `name`, of whatever type it is.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        self.0.change(|view| view.write(name, None)).await
    }

    /// Removes the value `name` and gives it. Two requests at the same time may both get it.
    pub async fn take<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let mut view = self.0.view().await?;
        let Some(bytes) = view.value(name) else { return Ok(None) };
        let value = self.0.shared.plan.codec.decode(name, bytes)?;
        self.0.may_write(&view)?;
        view.write(name, None);
        Ok(Some(value))
    }

    /// Writes what `change` makes of the value `name`, and gives it. No parallel change of this value is lost: `change` is
    /// called again where there was one.
    ///
    /// In a session that was there before, this is done at once, whatever becomes of the request: a round trip, and one more
    /// for each change that came between.
    pub async fn update<T>(&self, name: &str, mut change: impl FnMut(Option<T>) -> T) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
    {
        let codec = self.0.shared.plan.codec;
        let mut view = self.0.view().await?;
        self.0.may_write(&view)?;
        for _ in 0..UPDATES {
            let before = view.value(name).map(|bytes| codec.decode(name, bytes)).transpose()?;
            let bytes = self.0.encode(name, &change(before))?;
            let (Some(expected), Some(base)) = (view.expected(name), &view.base) else {
                view.write(name, Some(bytes.clone()));
                return codec.decode(name, &bytes);
            };
            let (id, generation) = (base.token.record_id(), base.loaded.record.head.generation);
            let values = [(name.into(), Some(bytes.clone()))].into();
            let changes = Changes { expected: Some(expected), values, ..Changes::default() };
            match self.0.shared.store.apply(&id, generation, changes).await? {
                Applied::Done(stamped) => {
                    view.learn(name, Some(bytes.clone()), Some(stamped));
                    return codec.decode(name, &bytes);
                }
                Applied::Differs(value) => view.learn(name, value, None),
                // It ended after this request saw it: no one will see the value.
                Applied::Gone => return codec.decode(name, &bytes),
                Applied::Superseded => return Err(superseded()),
                Applied::TooLarge => return Err(self.0.too_large()),
            }
        }
        Err(Error::timed_out(&format!("the value of `{name}` changed {UPDATES} times while it was updated")))
    }

    /// The counter `name`; zero, if nothing was added yet.
    pub async fn counter(&self, name: &str) -> Result<i64, Error> {
        Ok(self.0.view().await?.counter(name))
    }

    /// Adds to the counter `name`, and gives the sum as this request sees it. What parallel requests add is added up; the sum
    /// stays within `i64`.
    pub async fn increment(&self, name: &str, add: i64) -> Result<i64, Error> {
        check(name)?;
        self.0
            .grow(name.len() + 8, |view| {
                view.add(name, add);
                view.counter(name)
            })
            .await
    }

    /// Sets the counter `name` to zero.
    pub async fn reset_counter(&self, name: &str) -> Result<(), Error> {
        self.0.change(|view| view.reset(name)).await
    }

    /// The members of the set `name`, in the order of their bytes.
    pub async fn members<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, Error> {
        let members = self.0.view().await?.members(name);
        members.iter().map(|bytes| self.0.shared.plan.codec.decode(name, bytes)).collect()
    }

    /// Whether the set `name` has `member`.
    pub async fn has_member<T: Serialize + ?Sized>(&self, name: &str, member: &T) -> Result<bool, Error> {
        let bytes = self.0.encode(name, member)?;
        Ok(self.0.view().await?.has_member(name, &bytes))
    }

    /// Adds a member to the set `name`; `false` if it was there. What parallel requests add is all there.
    pub async fn add_member<T: Serialize + ?Sized>(&self, name: &str, member: &T) -> Result<bool, Error> {
        let bytes = self.0.encode(name, member)?;
        self.0.grow(name.len() + bytes.len(), |view| view.add_member(name, bytes)).await
    }

    /// Removes a member from the set `name`; `false` if it was not there.
    pub async fn remove_member<T: Serialize + ?Sized>(&self, name: &str, member: &T) -> Result<bool, Error> {
        let bytes = self.0.encode(name, member)?;
        self.0.change(|view| view.remove_member(name, bytes)).await
    }

    /// Leaves a message for the next page: the value `flash:name`.
    pub async fn flash<T: Serialize + ?Sized>(&self, name: &str, message: &T) -> Result<(), Error> {
        self.insert(&format!("flash:{name}"), message).await
    }

    /// Takes the message that was left under `name`.
    pub async fn take_flash<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        self.take(&format!("flash:{name}")).await
    }

    /// Removes all values, counters and sets, also those that a parallel request has just written. Who is logged in stays so.
    pub async fn clear(&self) -> Result<(), Error> {
        self.0.change(View::clear).await
    }

    /// Who is logged in.
    pub async fn principal(&self) -> Result<Option<Principal>, Error> {
        Ok(self.0.view().await?.principal().cloned())
    }

    /// Logs somebody in: to be called once they have shown who they are, also when they show it again.
    ///
    /// The deadlines begin anew, and the client is given another secret. Requests under way with the one so far see an empty
    /// session until [the overlap](super::SessionLayer::overlap) is over, and can change nothing. The fields stay, unless somebody
    /// else was logged in: those are [cleared](Self::clear), together with what this request has written so far.
    ///
    /// # Errors
    ///
    /// Also when `name` is empty or has more than 255 bytes ([`is_invalid`](Error::is_invalid)).
    pub async fn set_principal(&self, name: impl AsRef<str> + Send) -> Result<(), Error> {
        let principal = Principal::new(name)?;
        self.change_rights(|_| Some(principal), false).await
    }

    /// Nobody is logged in from now on. Otherwise as [`set_principal`](Self::set_principal). To log out, [`destroy`](Self::destroy)
    /// the session.
    pub async fn remove_principal(&self) -> Result<(), Error> {
        self.change_rights(|_| None, false).await
    }

    /// Lets the session live as long as the layer says of [remembered](super::SessionLayer::remembered) ones, and the client keep
    /// it when it is closed. With [`set_principal`](Self::set_principal), before or after it; alone, it is a change of rights
    /// itself.
    pub async fn remember(&self) -> Result<(), Error> {
        self.change_rights(|view| view.principal().cloned(), true).await
    }

    /// Gives the client another secret. The one so far is good for [the overlap](super::SessionLayer::overlap), so that requests
    /// under way go on. Without a session nothing happens.
    pub async fn renew(&self) -> Result<(), Error> {
        self.0.change(|view| view.renew = true).await
    }

    /// Ends the session, at once and for good, whatever becomes of the request. The response has the client forget its token.
    /// What the handler writes afterwards begins another session.
    ///
    /// Dropped while the store is told, it may have ended: the next method that is called makes sure of it, or the layer, once the
    /// handler has answered.
    ///
    /// # Errors
    ///
    /// Where the store could not be told, or somebody logged in or out since this request saw the session (`SUPERSEDED`), the
    /// session goes on.
    pub async fn destroy(&self) -> Result<(), Error> {
        let mut view = self.0.view().await?;
        self.0.may_write(&view)?;
        self.0.may_ask(&view)?;
        self.0.end(&mut view).await
    }

    /// What is known of the session; `None` while it is not in the store.
    pub async fn info(&self) -> Result<Option<SessionInfo>, Error> {
        Ok(self.0.view().await?.head().map(SessionInfo::from))
    }

    /// The sessions of who is logged in, the last used first; none, if nobody is.
    pub async fn devices(&self) -> Result<Vec<Device>, Error> {
        let (principal, current) = self.who().await?;
        let Some(principal) = principal else { return Ok(Vec::new()) };
        self.0.shared.devices(&principal, current).await
    }

    /// Ends one of the sessions of who is logged in, at once. `false` if it is none of theirs, or had ended; on a Redis Cluster
    /// whose connection broke meanwhile also if this has just ended it. That of this request is ended as
    /// [`destroy`](Self::destroy) does it.
    pub async fn destroy_device(&self, id: &RecordId) -> Result<bool, Error> {
        let (principal, current) = self.who().await?;
        let Some(principal) = principal else { return Ok(false) };
        if current == Some(*id) {
            return self.destroy().await.map(|()| true);
        }
        Ok(self.0.shared.store.destroy_if(id, Condition::Principal(principal)).await? == Destroyed::Done)
    }

    /// Ends the other sessions of who is logged in, at once; tells how many ended.
    pub async fn destroy_others(&self) -> Result<usize, Error> {
        let (principal, current) = self.who().await?;
        match principal {
            Some(principal) => self.0.shared.store.destroy_all(&principal, current).await,
            None => Ok(0),
        }
    }

    pub(super) fn core(&self) -> &Core {
        &self.0
    }

    async fn who(&self) -> Result<(Option<Principal>, Option<RecordId>), Error> {
        let view = self.0.view().await?;
        self.0.may_ask(&view)?;
        Ok((view.principal().cloned(), view.base.as_ref().map(|base| base.token.record_id())))
    }

    /// Who is to be logged in is told by what is seen in the same step: clones may be at it, too.
    async fn change_rights(
        &self,
        principal: impl FnOnce(&View) -> Option<Principal>,
        remember: bool,
    ) -> Result<(), Error> {
        let mut view = self.0.view().await?;
        let principal = principal(&view);
        self.0.may_write(&view)?;
        self.0.may_ask(&view)?;
        let plan = &self.0.shared.plan;
        let lifetime = match (&view.rights, view.head()) {
            _ if remember => plan.remembered,
            (Some(rights), _) => rights.lifetime,
            // Who shows again who they are stays remembered.
            (None, Some(head)) if principal.is_some() && head.principal == principal => head.lifetime,
            (None, _) => plan.lifetime,
        };
        if view.principal().is_some_and(|before| Some(before) != principal.as_ref()) {
            view.clear();
        }
        view.rights = Some(Rights::new(principal, lifetime));
        Ok(())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session(..)")
    }
}

// === impl SessionInfo ===

impl From<&Head> for SessionInfo {
    fn from(head: &Head) -> Self {
        Self {
            created: head.created,
            seen: head.seen,
            authenticated: head.authenticated,
            expires: head.expires(),
            ends: head.ends,
            client: head.client.clone(),
        }
    }
}
