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

impl Inner {
    /// Three plain commands that travel together, since a script takes the server four times as long. How much longer the record lives tells
    /// what time it is there, where the head before that is the head after it.
    pub(super) async fn load(&self, id: &RecordId) -> Result<Option<Loaded>, Error> {
        if self.clock.is_some() {
            return self.load_at_once(id).await;
        }
        let key = names::record(&self.name, id);
        let head = self.redis.command("HGET").key(&key).arg("h");
        let lives = self.redis.command("PTTL").key(&key);
        let fields = self.redis.command("HGETALL").key(&key);
        let answers = self.redis.pipeline().add_command(head).add_command(lives).add_command(fields).run().await;
        let [head, lives, fields] = answers.try_into().map_err(|_| wire::nonsense())?;
        let fields = match fields {
            Err(error) if error.code() == Some("WRONGTYPE") => return Ok(self.spoilt_record()),
            fields => fields?.list()?,
        };
        if fields.is_empty() {
            return Ok(None);
        }
        let Some(record) = wire::record(fields) else { return Ok(self.spoilt_record()) };
        let before = head?.bytes()?.and_then(|bytes| wire::head(&bytes));
        match moment(&record.head, before.as_ref(), lives?.int()?) {
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

/// The server's time, where a record lives for so many milliseconds more; `None` if it is not of this head that the server said so.
fn moment(head: &Head, before: Option<&Head>, left: i64) -> Option<Timestamp> {
    let left = Duration::from_millis(u64::try_from(left).ok()?);
    (before == Some(head)).then(|| head.expires().minus(Duration::from_millis(1)).minus(left))
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
    fn a_time_to_live_tells_the_time_unless_the_head_is_another() {
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
        assert_eq!(moment(&head, Some(&head), 59_999), Some(begun));
        assert_eq!(moment(&head, Some(&head), 49_999), Some(Timestamp::from_secs(1010)));
        let other = Head { generation: head.generation.next(), ..head.clone() };
        for (before, left) in [(&other, 59_999), (&head, -1), (&head, -2)] {
            assert_eq!(moment(&head, Some(before), left), None, "{left} left");
        }
        assert_eq!(moment(&head, None, 59_999), None, "it was begun in between");
    }
}
