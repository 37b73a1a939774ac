//! A number that many add to.

use std::{sync::LazyLock, time::Duration};

use crate::{
    error::Error,
    redis::{
        Redis, Reply, Script,
        name::{at, checked},
        wrong_type,
    },
};

static COUNT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/count.lua")));

/// A number that many add to, of 64 bits.
///
/// ```no_run
/// use bartizan::redis::Counter;
///
/// # async fn example(redis: bartizan::Redis) -> Result<(), bartizan::Error> {
/// let views = Counter::new(&redis, "views of page 42")?;
/// let so_far = views.add(1).await?;
/// views.add_once(100, "import of May").await?; // a repetition changes nothing
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`Undecodable`](crate::error::ErrorKind::Undecodable), when its key (`counter:{name}:value`) holds text that is no number;
/// [`Refused`](crate::error::ErrorKind::Refused), when it holds another type; [`Invalid`](crate::error::ErrorKind::Invalid), when the sum would
/// be beyond 64 bits, and nothing is added; else as those of [`Command::run`](crate::redis::Command::run).
///
/// # Cancellation
///
/// A call that is dropped may or may not have been carried out.
#[derive(Clone, Debug)]
pub struct Counter {
    redis: Redis,
    name: Box<str>,
    ttl: Option<Duration>,
}

/// How long operations are remembered, and how many.
const REMEMBER: Duration = Duration::from_secs(24 * 3600);
const REMEMBERED: u32 = 100_000;

/// The longest id of an operation, in bytes.
const LONGEST: usize = 256;

// === impl Counter ===

impl Counter {
    /// The counter of that name, zero until something is added.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when the name is empty, longer than 200 bytes, or has braces or control characters.
    pub fn new(redis: &Redis, name: &str) -> Result<Self, Error> {
        Ok(Self { redis: redis.clone(), name: checked("a counter", name)?.into(), ttl: None })
    }

    /// It is zero again so long after it was first added to. The default is never.
    ///
    /// # Panics
    ///
    /// When that is under a millisecond.
    #[must_use]
    pub fn expires_after(mut self, span: Duration) -> Self {
        assert!(span >= Duration::from_millis(1), "a counter lasts for a while");
        self.ttl = Some(span);
        self
    }

    /// Adds, and tells the sum. In a Cluster whose connection breaks it may be added twice: where that matters,
    /// [`add_once`](Self::add_once).
    pub async fn add(&self, by: i64) -> Result<i64, Error> {
        if self.ttl.is_some() {
            return self.count(by, b"").await;
        }
        let answer = self.redis.command("INCRBY").key(self.value()).arg(by).run().await;
        self.told(answer).await
    }

    /// Adds once for each `operation`, of 1 to 256 bytes, and tells the sum. The last 100 000 of a day are remembered.
    pub async fn add_once(&self, by: i64, operation: impl AsRef<[u8]> + Send) -> Result<i64, Error> {
        let len = operation.as_ref().len();
        if !(1..=LONGEST).contains(&len) {
            return Err(Error::invalid(&format!("the id of an operation has 1 to {LONGEST} bytes, not {len}")));
        }
        self.count(by, operation.as_ref()).await
    }

    /// What it is.
    pub async fn get(&self) -> Result<i64, Error> {
        let answer = self.redis.command("GET").key(self.value()).run().await;
        self.told(answer).await
    }

    /// Makes it zero, and tells what it was. What was added once is remembered all the same.
    pub async fn reset(&self) -> Result<i64, Error> {
        let answer = self.redis.command("GETDEL").key(self.value()).run().await;
        self.told(answer).await
    }

    async fn count(&self, by: i64, operation: &[u8]) -> Result<i64, Error> {
        let ttl = self.ttl.map_or_else(String::new, |ttl| ttl.as_millis().min(i64::MAX as u128 / 2).to_string());
        let call = self
            .redis
            .script(&COUNT)
            .key(self.value())
            .key(self.done())
            .arg(by)
            .arg(&ttl)
            .arg(operation)
            .arg(REMEMBER.as_millis() as u64)
            .arg(REMEMBERED);
        self.told(call.run().await).await
    }

    async fn told(&self, answer: Result<Reply, Error>) -> Result<i64, Error> {
        let value = self.value();
        let error = match answer {
            Ok(nothing) if nothing.is_nil() => return Ok(0),
            Ok(sum) => return sum.int().map_err(|error| at(&value, error)),
            Err(error) => error,
        };
        let text = error.to_string();
        if error.is_refused() && text.contains("overflow") {
            return Err(Error::invalid(&format!("`{value}`: the sum would be beyond 64 bits")).because(error));
        }
        if error.is_refused() && text.contains("not an integer") {
            return Err(Error::undecodable(&format!("`{value}`: the key holds no whole number")).because(error));
        }
        Err(wrong_type::named(&self.redis, error, &[(&value, "string"), (&self.done(), "zset")]).await)
    }

    fn value(&self) -> String {
        format!("counter:{{{}}}:value", self.name)
    }

    fn done(&self) -> String {
        format!("counter:{{{}}}:done", self.name)
    }
}
