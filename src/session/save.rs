//! What becomes of a session when its handler has answered.

use http::StatusCode;

use super::{
    changes::{Changes, Rotation},
    contract::{Applied, Creation, NewRecord, SessionStore as _, Stamped},
    core::{Core, superseded},
    layer::Shared,
    record::{Head, Lifetime},
    session::Session,
    token::Token,
    transport::Told,
    view::{Base, Standing, View},
};
use crate::{clock::Timestamp, error::Error, observe::event};

/// In the extensions of a response whose session could not be saved: why.
#[derive(Clone, Debug)]
pub struct Unsaved(Error);

/// What the response is to be given.
pub(super) struct Saved {
    pub(super) told: Option<Told>,
    pub(super) destroyed: bool,
    pub(super) unsaved: Option<Unsaved>,
    /// Whether the handler's answer is given out in no case: it tells of a login, or the end of one, that was not saved.
    pub(super) refused: bool,
}

/// How often an id that is taken is drawn anew. Once is never needed.
const DRAWS: usize = 3;

// === impl Unsaved ===

impl Unsaved {
    /// Why.
    pub fn error(&self) -> &Error {
        &self.0
    }

    /// 409 where the rights changed meanwhile, 413 where the session would take too much, 503 where the store is at fault.
    pub fn status(&self) -> StatusCode {
        status_of(&self.0)
    }
}

/// What an error of a session is to a client.
pub(super) fn status_of(error: &Error) -> StatusCode {
    match error.code() {
        Some("SUPERSEDED") => StatusCode::CONFLICT,
        Some("TOO_LARGE") => StatusCode::PAYLOAD_TOO_LARGE,
        _ if error.is_unavailable() || error.is_refused() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Saves what was changed in `session`, and seals it.
pub(super) async fn save(session: Session) -> Saved {
    let core = session.core();
    let mut view = core.seal().await;
    let Some(view) = view.as_mut() else {
        return Saved { told: None, destroyed: false, unsaved: None, refused: false };
    };
    let is_crucial = view.rights.is_some() || view.is_ending;
    let answer = save_view(core, view).await;
    let destroyed = view.destroyed;
    let told = match answer {
        Ok(told) => Ok(told.or(destroyed.then_some(Told::Removed))),
        Err(error) => Err((error, destroyed.then_some(Told::Removed))),
    };
    match told {
        Ok(told) => Saved { told, destroyed, unsaved: None, refused: false },
        Err((error, told)) => {
            core.shared.counts.unsaved.raise();
            event!(%error, "session not saved");
            Saved { told, destroyed, unsaved: Some(Unsaved(error)), refused: is_crucial }
        }
    }
}

async fn save_view(core: &Core, view: &mut View) -> Result<Option<Told>, Error> {
    if view.is_ending {
        core.end(view).await?;
    }
    let is_changed = !view.changes.is_touch() || view.rights.is_some();
    match (&view.standing, &view.base) {
        // What was changed before this request learnt of it.
        (Standing::Superseded, _) if is_changed || view.renew => Err(superseded()),
        (Standing::Superseded, _) => Ok(None),
        (Standing::Cut(error), _) if is_changed => Err(error.clone()),
        (Standing::Cut(_), _) => Ok(None),
        (Standing::Owner, None) if is_changed => create(core, view).await,
        (Standing::Owner, None) => Ok(None),
        (Standing::Owner, Some(base)) => {
            let token = base.token;
            apply(core, &token, view, is_changed).await
        }
    }
}

async fn create(core: &Core, view: &View) -> Result<Option<Told>, Error> {
    let shared = &core.shared;
    let rights = view.rights.clone();
    for _ in 0..DRAWS {
        let token = Token::random()?;
        let new = NewRecord {
            id: token.record_id(),
            secret: token.digest(),
            lifetime: rights.as_ref().map_or(shared.plan.lifetime, |rights| rights.lifetime),
            principal: rights.as_ref().and_then(|rights| rights.principal.clone()),
            client: core.client.clone(),
            changes: view.changes.clone(),
        };
        match shared.store.create(new).await? {
            Creation::Created(stamped) => {
                shared.counts.created.raise();
                return Ok(Some(told(token, &stamped)));
            }
            Creation::Exists => {}
            Creation::TooLarge => return Err(core.too_large()),
        }
    }
    Err(Error::undecodable("the store has every id that is drawn"))
}

async fn apply(core: &Core, token: &Token, view: &View, is_changed: bool) -> Result<Option<Told>, Error> {
    let Some(Base { loaded, .. }) = &view.base else { return Ok(None) };
    let (shared, head) = (&*core.shared, &loaded.record.head);
    let next = rotation(core, token, view, head, loaded.now)?;
    let asked = is_changed || (view.renew && next.is_some());
    if !asked && next.is_none() && !is_touch_due(shared, head, loaded.now) {
        return Ok(None);
    }
    let (rotated, rotation) = next.unzip();
    let changes = Changes { rotation, ..view.changes.clone() };
    match shared.store.apply(&token.record_id(), head.generation, changes).await {
        Ok(Applied::Done(stamped)) => {
            shared.counts.saved.raise();
            let is_ours = |rotated: &Token| stamped.head.secret == rotated.digest();
            Ok(rotated.filter(is_ours).map(|rotated| told(rotated, &stamped)))
        }
        // As if this request had come just before it ended; but nobody is told to be logged in to what is no more.
        Ok(Applied::Gone) if view.rights.is_none() => Ok(None),
        Ok(Applied::Gone | Applied::Superseded | Applied::Differs(_)) if asked => Err(superseded()),
        Ok(Applied::TooLarge) => Err(core.too_large()),
        Err(error) if asked => Err(error),
        // The handler changed nothing: that it could not be touched is no failure of the request.
        Ok(_) | Err(_) => Ok(None),
    }
}

/// The next secret, if there is to be one.
fn rotation(
    core: &Core,
    token: &Token,
    view: &View,
    head: &Head,
    now: Timestamp,
) -> Result<Option<(Token, Rotation)>, Error> {
    let plan = &core.shared.plan;
    if let Some(rights) = view.rights.clone() {
        let next = token.rotated()?;
        let rotation = Rotation::Rights {
            to: next.digest(),
            overlap: plan.overlap,
            principal: rights.principal,
            lifetime: rights.lifetime,
            client: core.client.clone(),
        };
        return Ok(Some((next, rotation)));
    }
    let is_due = plan.renew_after.is_some_and(|interval| now.since(head.renewed) >= interval);
    // Who came with a retired secret is given no other: the client has a later one, or will have.
    if !(view.renew || is_due) || head.secret != token.digest() {
        return Ok(None);
    }
    let next = token.rotated()?;
    let rotation = Rotation::Renewal { from: token.digest(), to: next.digest(), overlap: plan.overlap };
    Ok(Some((next, rotation)))
}

fn is_touch_due(shared: &Shared, head: &Head, now: Timestamp) -> bool {
    let share = head.lifetime.idle / 100 * u32::from(shared.plan.touch_after);
    now.since(head.seen) >= shared.plan.jitter.shorten(share, rand::random())
}

fn told(token: Token, stamped: &Stamped) -> Told {
    let Stamped { head, now } = stamped;
    let Lifetime { kept_by_client, .. } = head.lifetime;
    Told::Token(token, kept_by_client.then(|| head.ends.since(*now)))
}
