//! What a holder has: until when, and what says so on the server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{scripts, token::FencingToken};
use crate::{error::Error, redis::client::Redis};

/// One lock, as all its handles in a process know it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) redis: Redis,
    pub(super) name: Box<str>,
    /// The highest number of a token that was heard of.
    seen: AtomicU64,
}

/// The attempt of one handle to hold a lock, and the time for which it does.
#[derive(Debug)]
pub(super) struct Tenure {
    pub(super) place: Arc<Place>,
    pub(super) ttl: Duration,
    nonce: u64,
    term: Mutex<Term>,
    /// The term is another.
    changed: Notify,
    /// It is over.
    over: CancellationToken,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Term {
    /// Once it has begun.
    pub(super) token: Option<FencingToken>,
    /// From when on it may be another's. Without a token this means nothing.
    pub(super) until: Option<Instant>,
    may_hold: bool,
}

/// How an attempt ended.
pub(super) enum Asked {
    Won,
    /// Another's, which ends by itself after this time, or not at all.
    Busy(Option<Duration>),
}

/// How long the number of the last token is remembered. After that, the server's clock is above it.
const MEMORY_MS: u64 = 7 * 24 * 3600 * 1000;

/// How late a wake-up may be heard by who is about to wait.
const WAKE_MS: u64 = 5000;

// === impl Place ===

impl Place {
    pub(super) fn new(redis: Redis, name: &str) -> Self {
        Self { redis, name: name.into(), seen: AtomicU64::new(0) }
    }

    pub(super) fn key(&self, field: &str) -> String {
        format!("lock:{{{}}}:{field}", self.name)
    }

    pub(super) fn observe(&self, token: FencingToken) {
        self.seen.fetch_max(token.number(), Ordering::AcqRel);
    }

    pub(super) fn lost(&self) -> Error {
        Error::lost(&format!("the lock `{}` was lost: it may be another's by now", self.name))
    }
}

// === impl Tenure ===

impl Tenure {
    pub(super) fn new(place: Arc<Place>, ttl: Duration) -> Self {
        let (term, changed, over) = (Mutex::default(), Notify::new(), CancellationToken::new());
        Self { place, ttl, nonce: rand::random(), term, changed, over }
    }

    /// Asks for the lock. The same attempt may ask again, whatever came of it before.
    pub(super) async fn ask(&self) -> Result<Asked, Error> {
        self.term.lock().may_hold = true;
        let sent = Instant::now();
        let place = &*self.place;
        let call = place.redis.script(&scripts::ACQUIRE);
        let call = call.key(place.key("holder")).key(place.key("token")).key(place.key("wake"));
        let call = call.arg(&self.nonce()).arg(millis(self.ttl)).arg(place.seen.load(Ordering::Acquire)).arg(MEMORY_MS);
        let mut answer = call.run().await?.list()?.into_iter();
        let (word, detail) = (answer.next().ok_or_else(nonsense)?, answer.next().ok_or_else(nonsense)?);
        match word.text()?.as_deref() {
            Some("won") => {
                let token: FencingToken = detail.text()?.ok_or_else(nonsense)?.parse()?;
                place.observe(token);
                self.term.lock().token = Some(token);
                self.lasts(sent, self.ttl);
                Ok(Asked::Won)
            }
            Some("busy") => {
                self.term.lock().may_hold = false;
                let left = detail.int()?;
                Ok(Asked::Busy(u64::try_from(left).ok().map(Duration::from_millis)))
            }
            _ => Err(nonsense()),
        }
    }

    /// Lets it last for at least `ttl` from now on. Whether it still does.
    pub(super) async fn renew(&self, ttl: Duration) -> Result<bool, Error> {
        let Some(token) = self.term().token else { return Ok(false) };
        let sent = Instant::now();
        let place = &*self.place;
        let call = place.redis.script(&scripts::RENEW).key(place.key("holder"));
        let holds = call.arg(&token.to_string()).arg(millis(ttl)).run().await?.int()? == 1;
        if holds {
            self.lasts(sent, ttl);
        }
        Ok(holds)
    }

    /// Gives up whatever the server has of it. Whether it had anything.
    pub(super) async fn release(&self) -> Result<bool, Error> {
        if !self.may_hold() {
            return Ok(false);
        }
        let place = &*self.place;
        let call = place.redis.script(&scripts::RELEASE).key(place.key("holder")).key(place.key("wake"));
        let held = call.arg(&self.nonce()).arg(WAKE_MS).run().await?.int()? == 1;
        self.term.lock().may_hold = false;
        Ok(held)
    }

    pub(super) fn term(&self) -> Term {
        *self.term.lock()
    }

    /// Whether the server may have us as the holder.
    pub(super) fn may_hold(&self) -> bool {
        self.term.lock().may_hold
    }

    /// When the term becomes another.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Nothing makes it last any more.
    pub(super) fn end(&self) {
        self.over.cancel();
    }

    /// Also where nobody had the time to notice.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled() || self.term().until.is_some_and(|until| Instant::now() >= until)
    }

    pub(super) async fn over(&self) {
        self.over.cancelled().await;
    }

    /// Counted from the moment at which it was asked for, which is before the server counts, and a tenth less: what is begun
    /// at the last moment, and clocks that run unlike, have so much time.
    fn lasts(&self, sent: Instant, ttl: Duration) {
        let until = sent + (ttl - ttl / 10);
        let mut term = self.term.lock();
        term.until = term.until.max(Some(until));
        drop(term);
        self.changed.notify_one();
    }

    fn nonce(&self) -> String {
        format!("{:016x}", self.nonce)
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a lock is held for at most a day")
}

#[cold]
fn nonsense() -> Error {
    Error::undecodable("Redis answered what no script of a lock says")
}
