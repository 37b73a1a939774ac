//! What could not be done.

use serde::de::DeserializeOwned;

use super::{
    entry::Raw,
    group::Group,
    id::{EntryId, Position},
    scripts,
};
use crate::{error::Error, redis::name::at};

/// A message that is not tried again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter<T> {
    /// What it is called by among the dead, which also says when it died.
    pub id: EntryId,
    /// What it was called by in the log.
    pub message: EntryId,
    /// How often it was given out.
    pub attempts: u32,
    /// Why it died.
    pub reason: String,
    /// What was appended; an error if that is no `T`, or was trimmed before it died.
    pub value: Result<T, Error>,
}

impl<T: DeserializeOwned> Group<T> {
    /// Up to `count` of the dead letters from `position` on, the oldest first.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked.
    pub async fn dead_letters(&self, position: Position, count: u32) -> Result<Vec<DeadLetter<T>>, Error> {
        let Some(after) = position.after() else { return Ok(Vec::new()) };
        let command = self.redis().command("XRANGE").key(&self.settings.dead).arg(&format!("({after}")).arg("+");
        let found = command.arg("COUNT").arg(count).run().await;
        let letters = Raw::list(found.map_err(|error| at(&self.settings.dead, error))?)?;
        letters.into_iter().map(|raw| self.letter(&raw)).collect()
    }

    fn letter(&self, raw: &Raw) -> Result<DeadLetter<T>, Error> {
        let text = |name| raw.field(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
        let message = text("id").parse().map_err(|_| Error::undecodable("a dead letter does not say what it was"))?;
        Ok(DeadLetter {
            id: raw.id,
            message,
            attempts: text("deliveries").parse().unwrap_or(0),
            reason: text("reason"),
            value: self.stream.inner.value(message, raw.payload()),
        })
    }
}

impl<T> Group<T> {
    /// Appends the dead letter `id` to the log again, as a new message, which every group is given. Tells its id; `None` if there is no
    /// such letter, or nothing is left of what it had.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked.
    ///
    /// # Cancellation
    ///
    /// Dropped, it is either done or not; called again, it is done once.
    pub async fn requeue(&self, id: EntryId) -> Result<Option<EntryId>, Error> {
        let call = self.script(&scripts::REQUEUE, "").arg(&id.to_string());
        let reply = match call.run().await {
            Ok(reply) => reply,
            Err(error) => return Err(self.named(error).await),
        };
        if reply.is_nil() { Ok(None) } else { EntryId::of(reply).map(Some) }
    }

    /// Removes the dead letter `id`; tells how many there were: 1 or 0.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked.
    pub async fn discard(&self, id: EntryId) -> Result<u64, Error> {
        let command = self.redis().command("XDEL").key(&self.settings.dead).arg(&id.to_string());
        let removed = command.run().await.map_err(|error| at(&self.settings.dead, error))?;
        Ok(u64::try_from(removed.int()?).unwrap_or(0))
    }
}
