//! The board, and what is written on it.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    clock::{Clock, SystemClock, Timestamp},
    error::Error,
    redis::{
        Redis, Reply, ScriptCall,
        leaderboard::{
            Change, LeaderboardBuilder, Outcome, Period, Standings, Update, period::Stretch, scripts::WRITE,
            update::out_of_range,
        },
        name::checked,
        wrong_type,
    },
};

/// Members in the order of their scores. See the [module](super). Its clones are the same.
///
/// # Cancellation
///
/// A call that is dropped may or may not have been carried out; never by half, but for those that say how much they do at once.
/// All of them may be repeated.
#[derive(Clone)]
pub struct Leaderboard {
    inner: Arc<Inner>,
}

struct Inner {
    pub(super) redis: Redis,
    name: Box<str>,
    periods: Vec<Period>,
    /// How it ranks, as the scripts write it down.
    ranks: &'static str,
    capacity: u64,
    keep: u64,
    remember: u64,
    remembered: u64,
    clock: Option<Arc<dyn Clock>>,
}

/// How many changes travel in one script, which holds up the server for a few milliseconds.
const BATCH: usize = 250;

/// What decides for how long, at the most: a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// Up to when (2112) a clock of the caller's own is believed: its microseconds have to be told apart.
const LATEST: u64 = (1 << 52) / 1000;

// === impl Leaderboard ===

impl Leaderboard {
    /// The board of that name, with the defaults of [`LeaderboardBuilder`].
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when the name is empty, longer than 200 bytes, or has braces or control characters.
    pub fn new(redis: &Redis, name: &str) -> Result<Self, Error> {
        Ok(Self::builder(redis, name)?.build())
    }

    /// The board of that name, still to be configured.
    ///
    /// # Errors
    ///
    /// As those of [`new`](Self::new).
    pub fn builder(redis: &Redis, name: &str) -> Result<LeaderboardBuilder, Error> {
        Ok(LeaderboardBuilder::new(redis, checked("a leaderboard", name)?))
    }

    /// Sets a score.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when the score is beyond [`LARGEST`](super::LARGEST), when the member's name is empty or
    /// longer than 256 bytes, or when the board was begun with other ranks; [`Refused`](crate::error::ErrorKind::Refused), when a
    /// key of the board holds something else; [`Undecodable`](crate::error::ErrorKind::Undecodable), when one was deleted and the
    /// others were not; else as those of [`Command::run`](crate::redis::Command::run). So it is with all that follows.
    pub async fn add(&self, member: &str, score: i64) -> Result<Change, Error> {
        self.one(Update::set(member, score)).await
    }

    /// Sets a score, unless there is a better one already.
    pub async fn set_best(&self, member: &str, score: i64) -> Result<Change, Error> {
        self.one(Update::best(member, score)).await
    }

    /// Adds to a score, once for each `operation` that the member takes part in. See [`Update::increment`].
    pub async fn increment(&self, member: &str, by: i64, operation: impl AsRef<[u8]> + Send) -> Result<Change, Error> {
        let update = Update::increment(member, by, operation.as_ref());
        let change = self.one(update).await?;
        match change.outcome {
            Outcome::OutOfRange => Err(out_of_range("and the sum would be beyond")),
            Outcome::Changed | Outcome::Unchanged => Ok(change),
        }
    }

    /// Takes a member off, in all present periods.
    pub async fn remove(&self, member: &str) -> Result<Change, Error> {
        self.one(Update::remove(member)).await
    }

    /// Does many at once, in their order, and tells what became of each. They go out by 250, one round trip each time: when an
    /// error comes, those before it are done, and all may be repeated.
    ///
    /// A sum that is out of range is no error here, but the [outcome](Outcome::OutOfRange) of that update.
    pub async fn apply(&self, updates: &[Update]) -> Result<Vec<Change>, Error> {
        updates.iter().try_for_each(Update::check)?;
        let mut changes = Vec::with_capacity(updates.len());
        for batch in updates.chunks(BATCH) {
            changes.extend(self.write(batch).await?);
        }
        Ok(changes)
    }

    /// What is read of all time.
    pub fn ever(&self) -> Standings {
        self.during(&Period::EVER)
    }

    /// What is read of the day.
    pub fn today(&self) -> Standings {
        self.during(&Period::DAY)
    }

    /// What is read of the week.
    pub fn this_week(&self) -> Standings {
        self.during(&Period::WEEK)
    }

    /// What is read of a period. There is nobody in one in which [nothing counts](LeaderboardBuilder::periods).
    pub fn during(&self, period: &Period) -> Standings {
        Standings::new(self.clone(), period.clone())
    }

    async fn one(&self, update: Update) -> Result<Change, Error> {
        update.check()?;
        let mut changes = self.write(&[update]).await?;
        changes.pop().ok_or_else(nonsense)
    }

    async fn write(&self, updates: &[Update]) -> Result<Vec<Change>, Error> {
        let (word, parts) = self.located(|now| self.writing(now, updates)).await?;
        if word != "done" || parts.len() != 2 * updates.len() {
            return Err(nonsense());
        }
        let mut parts = parts.into_iter();
        let mut changes = Vec::with_capacity(updates.len());
        while let (Some(outcome), Some(score)) = (parts.next(), parts.next()) {
            let outcome = match outcome.int()? {
                0 => Outcome::Unchanged,
                1 => Outcome::Changed,
                _ => Outcome::OutOfRange,
            };
            let score = if score.is_nil() { None } else { Some(score.int()? * self.sign()) };
            changes.push(Change { outcome, score });
        }
        Ok(changes)
    }

    fn writing(&self, now: Timestamp, updates: &[Update]) -> (ScriptCall<'_>, Vec<[String; 3]>) {
        let inner = &*self.inner;
        let stretches: Vec<_> = inner.periods.iter().map(|period| period.stretch(now, 0)).collect();
        let keys: Vec<_> = stretches.iter().map(|stretch| self.keys(&stretch.label)).collect();
        let mut call = inner.redis.script(&WRITE);
        for key in keys.iter().flatten() {
            call = call.key(key);
        }
        call = call
            .key(self.key("done"))
            .arg(&self.micros())
            .arg(inner.ranks)
            .arg(inner.capacity)
            .arg(inner.remember)
            .arg(inner.remembered)
            .arg(stretches.len() as u64);
        for stretch in &stretches {
            call = bounds(call, stretch);
            call = if stretch.ends { call.arg(inner.keep) } else { call.arg(-1) };
        }
        for update in updates {
            let (verb, member, number, operation) = update.args(self.sign());
            call = call.arg(verb).arg(member).arg(number).arg(operation);
        }
        (call, keys)
    }

    /// Runs a script for what is the present by our own clock, and once more by that of the server where it differs.
    pub(super) async fn located<'a>(
        &'a self,
        call: impl Fn(Timestamp) -> (ScriptCall<'a>, Vec<[String; 3]>),
    ) -> Result<(String, Vec<Reply>), Error> {
        let inner = &*self.inner;
        let mut now = inner.clock.as_ref().map_or_else(|| SystemClock.now(), |clock| clock.now());
        // Twice where the clocks differ, once more at midnight.
        for _ in 0..3 {
            let (call, keys) = call(now);
            let reply = match call.run().await {
                Ok(reply) => reply,
                Err(error) => return Err(self.named(error, &keys).await),
            };
            let mut parts = reply.list()?;
            let word = if parts.is_empty() { None } else { parts.remove(0).text()? };
            let mut detail = || if parts.is_empty() { Err(nonsense()) } else { Ok(parts.remove(0)) };
            match word.as_deref() {
                Some("clock") => now = Timestamp::from_millis(detail()?.int()?.unsigned_abs()),
                Some("ranks") => {
                    let message = format!("the leaderboard {:?} was begun with other ranks", inner.name);
                    return Err(Error::invalid(&message));
                }
                Some("lost") => {
                    let key = detail()?.bytes()?.unwrap_or_default();
                    let message =
                        format!("the key {} of a leaderboard is gone, and others are not", key.escape_ascii());
                    return Err(Error::undecodable(&message));
                }
                Some(word) => return Ok((word.to_owned(), parts)),
                None => return Err(nonsense()),
            }
        }
        Err(Error::unavailable("the time of Redis is not found out", "its clock jumps"))
    }

    async fn named(&self, error: Error, keys: &[[String; 3]]) -> Error {
        let done = self.key("done");
        let mut kept: Vec<_> = keys
            .iter()
            .flat_map(|[scores, order, levels]| {
                [(scores.as_str(), "zset"), (order.as_str(), "hash"), (levels.as_str(), "zset")]
            })
            .collect();
        kept.push((&done, "zset"));
        wrong_type::named(&self.inner.redis, error, &kept).await
    }

    pub(super) fn keys(&self, label: &str) -> [String; 3] {
        ["scores", "order", "levels"].map(|field| self.key(&format!("{label}:{field}")))
    }

    fn key(&self, field: &str) -> String {
        format!("leaderboard:{{{}}}:{field}", self.inner.name)
    }

    pub(super) fn redis(&self) -> &Redis {
        &self.inner.redis
    }

    pub(super) fn ranks(&self) -> &'static str {
        self.inner.ranks
    }

    pub(super) fn is_dense(&self) -> bool {
        self.inner.ranks.contains('d')
    }

    /// What a score is multiplied with, so that the server has the best highest.
    pub(super) fn sign(&self) -> i64 {
        if self.inner.ranks.contains('l') { -1 } else { 1 }
    }

    /// What stands for the time in scripts: nothing, for the server's own.
    pub(super) fn micros(&self) -> String {
        let now = self.inner.clock.as_ref().map(|clock| clock.now().as_millis().min(LATEST) * 1000);
        now.map_or_else(String::new, |now| now.to_string())
    }
}

/// From, until, and what is to be done outside.
pub(super) fn bounds<'a>(call: ScriptCall<'a>, stretch: &Stretch) -> ScriptCall<'a> {
    let outside = if stretch.recurs { "r" } else { "" };
    call.arg(stretch.from.as_millis()).arg(stretch.until.as_millis()).arg(outside)
}

#[cold]
pub(super) fn nonsense() -> Error {
    Error::undecodable("Redis answered the script of a leaderboard with other than what it returns")
}

impl From<LeaderboardBuilder> for Leaderboard {
    fn from(builder: LeaderboardBuilder) -> Self {
        let ranks = match (builder.dense, builder.lowest) {
            (false, false) => "",
            (true, false) => "d",
            (false, true) => "l",
            (true, true) => "dl",
        };
        let millis = |span: Duration| span.min(LONGEST).as_millis() as u64;
        let inner = Inner {
            keep: millis(builder.keep),
            remember: millis(builder.remember),
            redis: builder.redis,
            name: builder.name,
            periods: builder.periods,
            ranks,
            capacity: builder.capacity,
            remembered: builder.remembered,
            clock: builder.clock,
        };
        Self { inner: Arc::new(inner) }
    }
}

impl fmt::Debug for Leaderboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaderboard")
            .field("name", &self.inner.name)
            .field("periods", &self.inner.periods)
            .finish_non_exhaustive()
    }
}
