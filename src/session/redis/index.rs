//! Which records are a principal's.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    names,
    scripts::{DESTROY, ENLIST, STRIKE},
    store::Inner,
    wire,
};
use crate::{
    error::Error,
    redis::{Pipeline, Reply},
    session::{
        contract::Listed,
        record::{Head, Principal},
        token::RecordId,
    },
};

/// The index of one principal: a sorted set, by the moment when each entry is of no use in any case. An entry is the record's id and
/// when it was made, so that one whose record is about to be written is told from one whose record ended.
pub(super) struct Index<'a> {
    store: &'a Inner,
    principal: Principal,
    key: String,
}

/// A record, and its entries.
type Entries = (RecordId, Vec<Bytes>);

/// When an entry was made, by this process's clock.
pub(super) struct Noted(Instant);

/// An entry without a record is kept for so long: longer than any write that it was made for takes.
const GRACE: Duration = Duration::from_secs(600);

/// For how long an entry outlives the absolute deadline: the clocks of two servers of a Cluster need not agree.
const MARGIN: Duration = Duration::from_secs(3600);

/// How many records are asked for at once.
const AT_ONCE: usize = 256;

// === impl Index ===

impl<'a> Index<'a> {
    pub(super) fn new(store: &'a Inner, principal: &Principal) -> Self {
        Self { store, principal: principal.clone(), key: names::index(&store.name, principal) }
    }

    /// Notes that the record is about to be of the principal, for `absolute` at the most.
    pub(super) async fn add(&self, id: &RecordId, absolute: Duration) -> Result<Noted, Error> {
        let noted = Noted(Instant::now());
        if self.try_add(id, absolute).await? {
            return Ok(noted);
        }
        self.live().await?;
        if self.try_add(id, absolute).await? {
            return Ok(noted);
        }
        let most = self.store.sessions_each;
        let message = format!("a principal would have more than the {most} sessions that are allowed");
        Err(Error::refused(&message, "TOO_MANY"))
    }

    /// Those that have not ended. What is found to be of no use is removed, also where it cannot be.
    pub(super) async fn live(&self) -> Result<Vec<Listed>, Error> {
        let entries = self.entries().await?;
        let (mut live, mut useless) = (Vec::new(), Vec::new());
        for some in entries.chunks(AT_ONCE) {
            for ((id, of_id), head) in some.iter().zip(self.heads(some).await?) {
                match head.filter(|head| head.principal.as_ref() == Some(&self.principal)) {
                    Some(head) if self.store.is_live(&head) => {
                        live.push(Listed { id: *id, head });
                        useless.extend(&of_id[..of_id.len() - 1]);
                    }
                    _ => useless.extend(of_id),
                }
            }
        }
        // That some are left is nobody's failure.
        drop(self.strike(&useless, GRACE).await);
        Ok(live)
    }

    pub(super) async fn destroy_all(&self, except: Option<RecordId>) -> Result<usize, Error> {
        let entries = self.entries().await?;
        let others: Vec<_> = entries.into_iter().filter(|(id, _)| Some(*id) != except).collect();
        let (mut ended, mut useless, mut failure) = (0, Vec::new(), None);
        for some in others.chunks(AT_ONCE) {
            let calls = some.iter().map(|(id, _)| self.store.script(&DESTROY, id).arg(self.principal.as_str()).arg(""));
            let answers = calls.fold(self.store.redis.pipeline(), Pipeline::add_script).run();
            for ((_, of_id), answer) in some.iter().zip(answers.await) {
                match answer.and_then(|reply| reply.int()) {
                    Ok(1) => {
                        ended += 1;
                        useless.extend(of_id);
                    }
                    Ok(_) => {}
                    Err(error) => failure = Some(error),
                }
            }
        }
        drop(self.strike(&useless, Duration::ZERO).await);
        match failure {
            None => Ok(ended),
            Some(error) => Err(error),
        }
    }

    async fn try_add(&self, id: &RecordId, absolute: Duration) -> Result<bool, Error> {
        let call = self.store.timed(self.store.redis.script(&ENLIST).key(&self.key));
        let span = wire::millis(absolute.saturating_add(MARGIN));
        let call = call.arg(&id.as_bytes()[..]).arg(span).arg(self.store.sessions_each as u64);
        let [added, spoilt] = self.store.run(call).await?.list()?.try_into().map_err(|_| wire::nonsense())?;
        if spoilt.int()? == 1 {
            self.store.note_spoilt();
        }
        Ok(added.int()? == 1)
    }

    /// Those of each record, the latest last.
    async fn entries(&self) -> Result<Vec<Entries>, Error> {
        let found = self.store.redis.command("ZRANGE").key(&self.key).arg(0).arg(-1).run().await;
        let found = match found {
            Err(error) if error.code() == Some("WRONGTYPE") => {
                self.store.note_spoilt();
                return Ok(Vec::new());
            }
            found => found?.list()?,
        };
        let mut entries = BTreeMap::<RecordId, Vec<Bytes>>::new();
        for entry in found {
            let Some(entry) = entry.bytes()? else { continue };
            let Some(id) = entry.first_chunk().filter(|_| entry.len() == ENTRY) else { continue };
            entries.entry(RecordId::from_bytes(*id)).or_default().push(entry);
        }
        for of_id in entries.values_mut() {
            of_id.sort_unstable_by_key(made);
        }
        Ok(entries.into_iter().collect())
    }

    async fn heads(&self, of: &[Entries]) -> Result<Vec<Option<Head>>, Error> {
        let commands =
            of.iter().map(|(id, _)| self.store.redis.command("HGET").key(names::record(&self.store.name, id)).arg("h"));
        let answers = commands.fold(self.store.redis.pipeline(), Pipeline::add_command).run();
        let head = |answer: Result<Reply, Error>| match answer {
            Err(error) if error.code() == Some("WRONGTYPE") => Ok(None),
            answer => Ok(answer?.bytes()?.and_then(|bytes| wire::head(&bytes))),
        };
        answers.await.into_iter().map(head).collect()
    }

    /// Removes those that were made so long ago.
    async fn strike(&self, entries: &[&Bytes], age: Duration) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        let call = self.store.timed(self.store.redis.script(&STRIKE).key(&self.key)).arg(wire::millis(age));
        self.store.run(entries.iter().fold(call, |call, entry| call.arg(&entry[..]))).await.map(drop)
    }
}

/// The length of an entry: the id and six bytes of time.
const ENTRY: usize = 38;

/// When an entry was made.
fn made(entry: &Bytes) -> u64 {
    entry[32..].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

// === impl Noted ===

impl Noted {
    /// Whether it is time to note it again.
    pub(super) fn is_old(&self) -> bool {
        self.0.elapsed() > GRACE / 2
    }
}
