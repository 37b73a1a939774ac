//! Asking for leases, and waiting for them.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::{
    envelope,
    lease::{Nonce, RedisLease},
    names::Name,
    scripts,
    store::{RedisStore, Stamp, fresh_epoch, millis, nonsense, number, table_time},
    waits::{Waiting, Word},
};
use crate::{
    error::Error,
    observe::event,
    store::{
        contract::{Ending, Leased, Wait, Woken},
        kept::Version,
        key::Key,
        wire::Wire,
    },
};

/// What the script says of a key.
enum Asked {
    Found(Bytes, Stamp),
    Won(RedisLease),
    Busy(Held),
    /// The lease that was waited for, which left nothing.
    Ended(Ending),
}

/// Another's lease.
struct Held {
    nonce: String,
    left: Duration,
}

/// Who waits asks after this long, whatever was or was not said.
const POLL: Duration = Duration::from_millis(500);

// === impl RedisStore ===

impl RedisStore {
    async fn ask(&self, key: Key, seen: Option<Version>, waited: &str) -> Result<Asked, Error> {
        let bucket = self.0.names.of(key.primary());
        let nonce = Nonce::new(self.clone(), key);
        let mut answer = self
            .script(&scripts::LEASE, bucket)
            .key(bucket.entry(&key))
            .key(bucket.lease(&key))
            .arg(fresh_epoch())
            .arg(table_time(Duration::ZERO))
            .arg(&nonce.text())
            .arg(millis(self.0.settings.lease_time))
            .arg(&seen.map(|seen| seen.sequence().to_string()).unwrap_or_default())
            .arg(&Name::Resource(key.primary()).field())
            .arg(waited)
            .arg(millis(self.0.settings.doubt))
            .run()
            .await?
            .list()?
            .into_iter();
        let mut next = || answer.next().ok_or_else(nonsense);
        match next()?.text()?.as_deref() {
            Some("found") => {
                let (entry, stamp) = (next()?.bytes()?, next()?.bytes()?);
                self.observe(key.primary(), &next()?)?;
                nonce.unused();
                let stamp = stamp.as_deref().and_then(Stamp::parse).ok_or_else(nonsense)?;
                Ok(Asked::Found(entry.ok_or_else(nonsense)?, stamp))
            }
            Some("busy") => {
                let left = Duration::from_millis(u64::try_from(next()?.int()?).unwrap_or(0));
                let holder = next()?.text()?.ok_or_else(nonsense)?;
                self.observe(key.primary(), &next()?)?;
                nonce.unused();
                Ok(Asked::Busy(Held { nonce: holder, left }))
            }
            Some("ended") => {
                let word = next()?.text()?;
                self.observe(key.primary(), &next()?)?;
                nonce.unused();
                Ok(Asked::Ended(if word.as_deref() == Some("u") { Ending::Uncacheable } else { Ending::Failed }))
            }
            Some("won") => {
                let (epoch, sequence) =
                    (number(&next()?).ok_or_else(nonsense)?, number(&next()?).ok_or_else(nonsense)?);
                let server = self.observe(key.primary(), &next()?)?;
                let replaces = number(&next()?).map(Version::new);
                Ok(Asked::Won(RedisLease::new(nonce, epoch, sequence, server, replaces)))
            }
            _ => Err(nonsense()),
        }
    }

    /// Anything but `seen`, by a script.
    pub(super) async fn lease_by_script<V: Wire>(
        &self,
        key: Key,
        mut seen: Option<Version>,
        waiting: Waiting,
    ) -> Result<Leased<V, RedisLease>, Error> {
        loop {
            match self.ask(key, seen, "").await? {
                Asked::Won(lease) => return Ok(Leased::Won(lease)),
                Asked::Ended(_) => return Err(nonsense()),
                Asked::Busy(held) => {
                    let wait = self.clone().wait(key, seen, waiting, held);
                    return Ok(Leased::Busy(Wait::new(wait)));
                }
                Asked::Found(entry, stamp) => {
                    let sequence = envelope::sequence(&entry);
                    if let Some(kept) = self.judge(&key, entry, stamp).await? {
                        return Ok(Leased::Found(kept));
                    }
                    // The script takes it for a value, but it cannot be read: anything but that.
                    match sequence.map(Version::new) {
                        Some(unreadable) if Some(unreadable) != seen => seen = Some(unreadable),
                        _ => return Err(nonsense()),
                    }
                }
            }
        }
    }

    async fn wait<V: Wire>(
        self,
        key: Key,
        seen: Option<Version>,
        mut waiting: Waiting,
        mut held: Held,
    ) -> Woken<V, RedisLease> {
        loop {
            // A little after it has expired, so that the server thinks so too.
            let patience = POLL.min(held.left.saturating_add(Duration::from_millis(5)));
            match timeout(patience, waiting.word_of(&held.nonce)).await {
                Ok(Word::Uncacheable) => return Woken::Alone(Ending::Uncacheable),
                Ok(Word::Failed) => return Woken::Alone(Ending::Failed),
                Ok(Word::Ask) | Err(_) => {}
            }
            drop(waiting);
            waiting = self.join(&key);
            match self.ask(key, seen, &held.nonce).await {
                Ok(Asked::Busy(next)) => held = next,
                Ok(Asked::Ended(ending)) => return Woken::Alone(ending),
                Ok(Asked::Won(lease)) => return Woken::Won(lease),
                Ok(Asked::Found(entry, stamp)) => match self.judge(&key, entry, stamp).await {
                    Ok(Some(kept)) => return Woken::Found(kept),
                    Ok(None) | Err(_) => return Woken::Alone(Ending::Failed),
                },
                Err(_error) => {
                    event!(error = %_error, "who waits cannot ask Redis");
                    return Woken::Alone(Ending::Failed);
                }
            }
        }
    }

    pub(super) fn join(&self, key: &Key) -> Waiting {
        let entry = self.0.names.of(key.primary()).entry(key);
        self.0.waits.join(self.0.redis.key(entry))
    }
}
