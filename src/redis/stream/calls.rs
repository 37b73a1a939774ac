//! What a group asks the server for.

use std::time::Duration;

use super::{
    entry::{PAYLOAD, Raw},
    group::{Group, Settings},
    hand::Given,
    id::{EntryId, Position},
    log::millis,
    scripts,
};
use crate::{
    error::Error,
    redis::{name::at, wrong_type::named},
};

/// What was taken over.
pub(super) struct Taken {
    /// Where to look from next; `-` is the beginning.
    pub(super) from: String,
    /// When the next message is to be tried again.
    pub(super) due: Option<Duration>,
    /// How many were found to be dead.
    pub(super) died: u64,
    pub(super) given: Vec<Given>,
}

impl<T> Group<T> {
    /// `error`, with the key that it is about.
    #[cold]
    pub(super) async fn named(&self, error: Error) -> Error {
        let (log, Settings { retry, dead, .. }) = (&self.stream.inner.log, &self.settings);
        at(log, named(self.redis(), error, &[(log, "stream"), (retry, "zset"), (dead, "stream")]).await)
    }

    /// Makes the group, unless it is there.
    pub(super) async fn make(&self, start: Position) -> Result<(), Error> {
        let after = start.after().map_or("$".to_owned(), |id| id.to_string());
        let command = self.redis().command("XGROUP").arg("CREATE").key(&self.stream.inner.log).arg(&self.settings.name);
        match command.arg(&after).arg("MKSTREAM").run().await {
            Err(error) if error.code() != Some("BUSYGROUP") => Err(error),
            _ => Ok(()),
        }
    }

    /// Up to `count` messages that nobody was given, waiting for the first.
    pub(super) async fn read_new(&self, me: &str, count: usize, wait: Duration) -> Result<Vec<Raw>, Error> {
        let read = |wait: Option<i64>| {
            let command = self.redis().command("XREADGROUP").arg("GROUP").arg(&self.settings.name).arg(me);
            let command = command.arg("COUNT").arg(count as u64);
            let command = match wait {
                Some(wait) => command.arg("BLOCK").arg(wait),
                None => command,
            };
            command.arg("STREAMS").key(&self.stream.inner.log).arg(">")
        };
        // What is there already needs no connection of its own.
        let entries = Raw::of_one_stream(read(None).run().await?)?;
        if !entries.is_empty() {
            return Ok(entries);
        }
        Raw::of_one_stream(read(Some(millis(wait))).run_blocking(wait).await?)
    }

    /// Gives `me` up to `count` of the messages that nobody works at any more: those that `whose` (or anybody) had, and did not renew for
    /// `after`. `suspects` of those that were given out twice in this way.
    pub(super) async fn take(
        &self,
        me: &str,
        from: &str,
        after: Duration,
        whose: &str,
        count: usize,
        suspects: u32,
    ) -> Result<Taken, Error> {
        let call = self.script(&scripts::TAKE, me).arg(millis(after)).arg(count as u64);
        let call = call.arg(self.settings.max_attempts).arg(from).arg(whose).arg(suspects);
        let mut reply = call.run().await?.list()?.into_iter();
        let mut next = || reply.next().ok_or_else(|| Error::undecodable("Redis answered part of what was taken"));
        let mut taken = Taken {
            from: next()?.text()?.unwrap_or_default(),
            due: u64::try_from(next()?.int()?).ok().map(Duration::from_millis),
            died: u64::try_from(next()?.int()?).unwrap_or(0),
            given: Vec::new(),
        };
        while let Ok(id) = next() {
            let (id, deliveries) = (EntryId::of(id)?, u32::try_from(next()?.int()?).unwrap_or(u32::MAX));
            let suspect = next()?.int()? == 1;
            let fields = next()?.bytes()?.map(|payload| (PAYLOAD.into(), payload));
            taken.given.push(Given { raw: Raw { id, fields: fields.into_iter().collect() }, deliveries, suspect });
        }
        Ok(taken)
    }

    /// Tells how many of them were not settled yet.
    pub(super) async fn acknowledge(&self, ids: &[EntryId]) -> Result<u64, Error> {
        let command = self.redis().command("XACK").key(&self.stream.inner.log).arg(&self.settings.name);
        let command = ids.iter().fold(command, |command, id| command.arg(&id.to_string()));
        Ok(u64::try_from(command.run().await?.int()?).unwrap_or(0))
    }
}
