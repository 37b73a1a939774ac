//! How a record is read.

use std::{sync::Arc, time::Duration};

use super::{names, scripts::LOAD, store::Inner, wire};
use crate::{
    clock::Timestamp,
    error::Error,
    session::{
        contract::Loaded,
        record::{Head, Record},
        token::RecordId,
    },
};

/// What may go by between two looks at a record's time to live, in milliseconds. What is more was not time.
const ASIDE: u64 = 100;

impl Inner {
    /// Three plain commands that travel together, since a script takes the server four times as long. What the time is there is told by how
    /// much longer the record lives.
    pub(super) async fn load(&self, id: &RecordId) -> Result<Option<Loaded>, Error> {
        if self.clock.is_some() {
            return self.load_at_once(id).await;
        }
        let key = names::record(&self.name, id);
        let lives = || self.redis.command("PTTL").key(&key);
        let fields = self.redis.command("HGETALL").key(&key);
        let answers = self.redis.pipeline().add_command(lives()).add_command(fields).add_command(lives()).run().await;
        let [before, fields, after] = answers.try_into().map_err(|_| wire::nonsense())?;
        let fields = match fields {
            Err(error) if error.code() == Some("WRONGTYPE") => return Ok(self.spoilt_record()),
            fields => fields?.list()?,
        };
        if fields.is_empty() {
            return Ok(None);
        }
        let Some(record) = wire::record(fields) else { return Ok(self.spoilt_record()) };
        match moment(&record.head, before?.int()?, after?.int()?) {
            Some(now) => Ok(loaded(record, now)),
            // Somebody changed it in between.
            None => self.load_at_once(id).await,
        }
    }

    async fn load_at_once(&self, id: &RecordId) -> Result<Option<Loaded>, Error> {
        let reply = self.run(self.script(&LOAD, id)).await?;
        if reply.is_nil() {
            return Ok(None);
        }
        if reply.int().is_ok() {
            return Ok(self.spoilt_record());
        }
        let [now, fields] = reply.list()?.try_into().map_err(|_| wire::nonsense())?;
        match wire::record(fields.list()?) {
            Some(record) => Ok(loaded(record, wire::moment(&now)?)),
            None => Ok(self.spoilt_record()),
        }
    }

    fn spoilt_record(&self) -> Option<Loaded> {
        self.note_spoilt();
        None
    }
}

/// As in the scripts: the server's clock may have been set back since.
fn loaded(record: Record, now: Timestamp) -> Option<Loaded> {
    let now = now.max(record.head.seen);
    (record.head.expires() > now).then(|| Loaded { record: Arc::new(record), now })
}

/// The server's time, where the record lived for so long before and after it was read; `None` if it was changed in between.
fn moment(head: &Head, before: i64, after: i64) -> Option<Timestamp> {
    let left = u64::try_from(after).ok()?;
    (before >= 0 && before.abs_diff(after) <= ASIDE)
        .then(|| head.expires().minus(Duration::from_millis(1)).minus(Duration::from_millis(left)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{
        changes::Changes,
        contract::NewRecord,
        record::{Client, Lifetime},
        token::SecretDigest,
    };

    #[test]
    fn a_time_to_live_tells_the_time_unless_it_jumps() {
        let begun = Timestamp::from_secs(1000);
        let new = NewRecord {
            id: RecordId::from_bytes([1; 32]),
            secret: SecretDigest::from_bytes([1; 32]),
            lifetime: Lifetime::new(Duration::from_secs(60), Duration::from_secs(600)),
            principal: None,
            client: Client::new(),
            changes: Changes::default(),
        };
        let head = new.begin(begun).head;
        assert_eq!(moment(&head, 59_999, 59_999), Some(begun));
        assert_eq!(moment(&head, 50_002, 49_999), Some(Timestamp::from_secs(1010)), "the latter is the later");
        for (before, after) in [(49_999, 59_999), (59_999, 49_999), (-1, -1), (-2, -2), (1, -2), (-2, 1)] {
            assert_eq!(moment(&head, before, after), None, "{before} and {after}");
        }
    }
}
