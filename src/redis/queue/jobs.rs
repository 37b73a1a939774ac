//! The queue.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use super::{
    claimed::Claimed,
    job::{Due, Job, JobId, Pushed},
    scripts,
};
use crate::{
    error::Error,
    redis::{
        client::Redis,
        name::{at, checked},
        payload::{Format, LARGEST},
        reply::Reply,
        script::{Script, ScriptCall},
        wrong_type::named,
    },
};

/// Jobs with values of one type. Its clones are the same.
///
/// See the [module](super).
pub struct Queue<T> {
    pub(super) inner: Arc<Inner>,
    values: PhantomData<fn(T) -> T>,
}

/// A [`Queue`] still to be made. From [`Queue::builder`].
#[must_use]
pub struct QueueBuilder<T> {
    inner: Inner,
    values: PhantomData<fn(T) -> T>,
}

#[derive(Clone, Debug)]
pub(super) struct Inner {
    redis: Redis,
    /// `queue:{name}`, with which all its keys begin.
    pub(super) name: String,
    pub(super) format: Format,
    largest: usize,
    pub(super) visibility: Duration,
    pub(super) max_attempts: u32,
    dedup_for: Duration,
}

/// In the order in which the scripts have them, each with what is kept there.
const KEYS: [(&str, &str); 12] = [
    ("ready", "zset"),
    ("delayed", "zset"),
    ("claimed", "zset"),
    ("dead", "zset"),
    ("jobs", "hash"),
    ("state", "hash"),
    ("keys", "hash"),
    ("recent", "zset"),
    ("wake", "list"),
    ("error", "hash"),
    ("progress", "hash"),
    ("meta", "hash"),
];

/// The longest key of a job, in bytes.
const LONGEST_KEY: usize = 256;

/// How often who waits looks, without being told to.
const LOOK: Duration = Duration::from_secs(1);

/// How many are claimed in one step.
const MOST: usize = 1000;

/// A hundred years: more would not be a number on the server.
const LONGEST_WAIT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

// === impl Queue ===

impl<T> Queue<T> {
    /// The queue `name`.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when the name is empty, has more than 200 bytes, a brace or a control character.
    pub fn new(redis: &Redis, name: &str) -> Result<Self, Error> {
        Ok(Self::builder(redis, name)?.build())
    }

    /// The queue `name`, still to be configured.
    ///
    /// # Errors
    ///
    /// As those of [`new`](Self::new).
    pub fn builder(redis: &Redis, name: &str) -> Result<QueueBuilder<T>, Error> {
        let inner = Inner {
            redis: redis.clone(),
            name: format!("queue:{{{}}}", checked("a queue", name)?),
            format: Format::default(),
            largest: LARGEST,
            visibility: Duration::from_secs(30),
            max_attempts: 10,
            dedup_for: Duration::from_secs(600),
        };
        Ok(QueueBuilder { inner, values: PhantomData })
    }

    /// Removes the job `id`, if nobody works at it; tells how many were removed: 1 or 0.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked, or what is there is no queue.
    pub async fn remove(&self, id: JobId) -> Result<u64, Error> {
        self.count(&scripts::REMOVE, id).await
    }

    /// Gives the dead job `id` all its attempts again; tells how many were among the dead: 1 or 0.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked, or what is there is no queue.
    pub async fn requeue(&self, id: JobId) -> Result<u64, Error> {
        self.count(&scripts::REQUEUE, id).await
    }

    async fn count(&self, script: &Script, id: JobId) -> Result<u64, Error> {
        let reply = self.inner.run(self.inner.script(script).arg(&id.to_string())).await?;
        Ok(u64::try_from(reply.int()?).unwrap_or(0))
    }
}

impl<T: Serialize> Queue<T> {
    /// Adds a job, unless there is one of its key.
    ///
    /// When it is not known whether that was done (an error that [timed out](Error::is_timed_out)), a job without a key may be added
    /// twice by doing it again, and in a Cluster by a connection that breaks; one with a key is not.
    ///
    /// # Errors
    ///
    /// When the value is too large or the key too long, Redis cannot be asked, or what is there is no queue.
    ///
    /// # Cancellation
    ///
    /// Dropped, it may or may not be added.
    pub async fn push(&self, job: Job<'_, T>) -> Result<Pushed, Error> {
        let inner = &*self.inner;
        if job.key.len() > LONGEST_KEY {
            let message = format!("the key of a job has at most {LONGEST_KEY} bytes, not {}", job.key.len());
            return Err(at(&inner.name, Error::invalid(&message)));
        }
        let value = inner.format.encode(job.value, &inner.name, inner.largest)?;
        let (wait, due) = match job.due {
            Due::In(wait) => (millis(wait), String::new()),
            Due::At(time) => (0, time.as_millis().min(millis(LONGEST_WAIT).unsigned_abs()).to_string()),
        };
        let call = inner.script(&scripts::PUSH).arg(&value).arg(u32::from(job.priority)).arg(wait).arg(job.key);
        let mut reply = inner.run(call.arg(millis(inner.dedup_for)).arg(&due)).await?.list()?.into_iter();
        let mut next = || reply.next().ok_or_else(|| Error::undecodable("Redis answered part of a push"));
        let id = JobId::of(next()?)?;
        Ok(if next()?.int()? == 1 { Pushed::New(id) } else { Pushed::Known(id) })
    }
}

impl<T: DeserializeOwned> Queue<T> {
    /// The job that is to be done next, if there is one. What no value can be read from is moved to the dead.
    ///
    /// # Errors
    ///
    /// When Redis cannot be asked, or what is there is no queue.
    ///
    /// # Cancellation
    ///
    /// Dropped, it may have claimed a job, which is ready again after the [visibility](QueueBuilder::visibility).
    pub async fn claim(&self) -> Result<Option<Claimed<T>>, Error> {
        Ok(self.take(1).await?.0.pop())
    }

    /// Up to `count` jobs that are to be done next, at most a thousand.
    ///
    /// # Errors
    ///
    /// As those of [`claim`](Self::claim).
    ///
    /// # Cancellation
    ///
    /// As [`claim`](Self::claim).
    pub async fn claim_many(&self, count: usize) -> Result<Vec<Claimed<T>>, Error> {
        Ok(self.take(count.min(MOST)).await?.0)
    }

    /// The job that is to be done next, for which it waits up to `wait`. While it waits it has a connection of its own
    /// (`blocking_connections`).
    ///
    /// # Errors
    ///
    /// As those of [`claim`](Self::claim).
    ///
    /// # Cancellation
    ///
    /// As [`claim`](Self::claim); while it waits for a job it has none.
    pub async fn claim_within(&self, wait: Duration) -> Result<Option<Claimed<T>>, Error> {
        let begun = Instant::now();
        loop {
            let (mut claimed, due) = self.take(1).await?;
            let left = wait.saturating_sub(begun.elapsed());
            if !claimed.is_empty() || left.is_zero() {
                return Ok(claimed.pop());
            }
            // The server wants a pause; none at all would be forever.
            let pause = due.unwrap_or(LOOK).min(LOOK).min(left).max(Duration::from_millis(1));
            let seconds = format!("{:.3}", pause.as_secs_f64());
            let word = self.inner.redis.command("BLPOP").key(format!("{}:wake", self.inner.name)).arg(&seconds);
            word.run_blocking(pause).await.map_err(|error| at(&self.inner.name, error))?;
        }
    }

    /// What was claimed, the oldest of the highest priority first; and when something comes to be ready.
    async fn take(&self, count: usize) -> Result<(Vec<Claimed<T>>, Option<Duration>), Error> {
        let inner = &*self.inner;
        if count == 0 {
            return Ok((Vec::new(), None));
        }
        loop {
            let call = inner.script(&scripts::CLAIM).arg(count as u64).arg(millis(inner.visibility));
            let mut reply = inner.run(call.arg(inner.max_attempts)).await?.list()?.into_iter();
            let mut next = || reply.next().ok_or_else(|| Error::undecodable("Redis answered part of a claim"));
            let due = u64::try_from(next()?.int()?).ok().map(Duration::from_millis);
            let (mut claimed, mut spoilt) = (Vec::with_capacity(count), Vec::new());
            while let Ok(id) = next() {
                let (id, attempt, priority) = (JobId::of(id)?, number(&next()?)?, number(&next()?)?);
                match inner.value(id, &next()?.bytes()?.unwrap_or_default()) {
                    Ok(value) => claimed.push(Claimed::new(self.clone(), id, value, attempt, priority as u8)),
                    Err(error) => spoilt.push((id, attempt, error)),
                }
            }
            for (id, attempt, error) in &spoilt {
                // What cannot be buried now is given out again, and buried then.
                drop(inner.bury(*id, *attempt, &error.with_cause()).await);
            }
            if spoilt.is_empty() || !claimed.is_empty() {
                return Ok((claimed, due));
            }
        }
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), values: PhantomData }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.inner.name).finish()
    }
}

// === impl QueueBuilder ===

impl<T> QueueBuilder<T> {
    /// How values are written. The default is [`Format::Postcard`].
    pub fn format(mut self, format: Format) -> Self {
        self.inner.format = format;
        self
    }

    /// How many bytes a value may have. The default is 1 MiB.
    pub fn largest(mut self, bytes: usize) -> Self {
        self.inner.largest = bytes;
        self
    }

    /// For how long a job is that of who claimed it, unless they [say](Claimed::heartbeat) that it takes longer: at least 10 ms. The default is
    /// 30 s.
    ///
    /// # Panics
    ///
    /// When it is under 10 ms.
    pub fn visibility(mut self, time: Duration) -> Self {
        assert!(time >= Duration::from_millis(10), "a job is claimed for at least 10 ms");
        self.inner.visibility = time.min(LONGEST_WAIT);
        self
    }

    /// How often a job is given out until it is dead, at least once. The default is 10. It counts when a process dies, for all that it had
    /// claimed: with few attempts and processes that die often, what did no harm dies too.
    ///
    /// # Panics
    ///
    /// When it is zero.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        assert!(attempts > 0, "a job is given out at least once");
        self.inner.max_attempts = attempts;
        self
    }

    /// For how long after a push its key is remembered, also when the job is done by then. The default is ten minutes. With zero a key is
    /// free when its job is done.
    pub fn dedup_for(mut self, time: Duration) -> Self {
        self.inner.dedup_for = time;
        self
    }

    /// The queue.
    pub fn build(self) -> Queue<T> {
        Queue { inner: Arc::new(self.inner), values: PhantomData }
    }
}

impl<T> fmt::Debug for QueueBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

// === impl Inner ===

impl Inner {
    pub(super) fn script<'a>(&'a self, script: &'a Script) -> ScriptCall<'a> {
        let call = self.redis.script(script);
        KEYS.iter().fold(call, |call, (key, _)| call.key(format!("{}:{key}", self.name)))
    }

    /// What `call` answers; its failure names the queue.
    pub(super) async fn run(&self, call: ScriptCall<'_>) -> Result<Reply, Error> {
        match call.run().await {
            Ok(reply) => Ok(reply),
            Err(error) if error.code() == Some("WRONGTYPE") => {
                let keys: Vec<_> = KEYS.iter().map(|(key, kind)| (format!("{}:{key}", self.name), *kind)).collect();
                let keys: Vec<_> = keys.iter().map(|(key, kind)| (key.as_str(), *kind)).collect();
                Err(at(&self.name, named(&self.redis, error, &keys).await))
            }
            Err(error) => Err(at(&self.name, error)),
        }
    }

    pub(super) async fn bury(&self, id: JobId, attempt: u32, reason: &str) -> Result<Reply, Error> {
        self.give_back(id, attempt, -1, reason).await
    }

    /// After `wait` milliseconds; never, when that is negative.
    pub(super) async fn give_back(&self, id: JobId, attempt: u32, wait: i64, reason: &str) -> Result<Reply, Error> {
        let call = self.script(&scripts::NACK).arg(&id.to_string()).arg(attempt);
        self.run(call.arg(wait).arg(reason).arg(self.max_attempts)).await
    }

    pub(super) fn value<T: DeserializeOwned>(&self, id: JobId, bytes: &[u8]) -> Result<T, Error> {
        self.format.decode(bytes, &format!("{}:jobs` at `{id}", self.name))
    }
}

pub(super) fn number(reply: &Reply) -> Result<u32, Error> {
    Ok(u32::try_from(reply.int()?).unwrap_or(u32::MAX))
}

/// Whole milliseconds, up to a hundred years.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.min(LONGEST_WAIT).as_millis()).unwrap_or(i64::MAX)
}
