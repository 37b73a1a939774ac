//! Yes or no, for everybody.

use std::time::Duration;

use crate::{
    error::Error,
    redis::{Command, Redis, Reply, name::checked, wrong_type},
};

/// Yes or no, the same for everybody: maintenance, a feature, a job that runs.
///
/// ```no_run
/// use std::time::Duration;
/// use bartizan::redis::Flag;
///
/// # async fn example(redis: bartizan::Redis) -> Result<(), bartizan::Error> {
/// let maintenance = Flag::new(&redis, "maintenance")?;
/// maintenance.raise_for(Duration::from_secs(600)).await?;
/// assert!(maintenance.is_raised().await?);
/// # Ok(()) }
/// ```
///
/// It is no lock: who found it down and raised it does not learn that it was lowered by another, or that its time was over.
///
/// # Errors
///
/// [`Refused`](crate::error::ErrorKind::Refused), when its key (`flag:{name}:raised`) holds another type; else as those of
/// [`Command::run`](crate::redis::Command::run).
///
/// # Cancellation
///
/// A call that is dropped may or may not have been carried out. All may be repeated, but the answer is then about the first.
#[derive(Clone, Debug)]
pub struct Flag {
    redis: Redis,
    key: Box<str>,
}

// === impl Flag ===

impl Flag {
    /// The flag of that name, down until it is raised.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when the name is empty, longer than 200 bytes, or has braces or control characters.
    pub fn new(redis: &Redis, name: &str) -> Result<Self, Error> {
        let key = format!("flag:{{{}}}:raised", checked("a flag", name)?);
        Ok(Self { redis: redis.clone(), key: key.into() })
    }

    /// Raises it until it is lowered, and tells whether it was down.
    pub async fn raise(&self) -> Result<bool, Error> {
        let set = self.redis.command("SET").key(&*self.key).arg(1).arg("GET");
        Ok(self.run(set).await?.is_nil())
    }

    /// Raises it for so long from now, rounded up to a millisecond, and tells whether it was down.
    pub async fn raise_for(&self, span: Duration) -> Result<bool, Error> {
        let millis = u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).clamp(1, 1 << 52);
        let set = self.redis.command("SET").key(&*self.key).arg(1).arg("GET").arg("PX").arg(millis);
        Ok(self.run(set).await?.is_nil())
    }

    /// Lowers it, and tells whether it was raised.
    pub async fn lower(&self) -> Result<bool, Error> {
        let taken = self.redis.command("GETDEL").key(&*self.key);
        Ok(!self.run(taken).await?.is_nil())
    }

    /// Whether it is raised.
    pub async fn is_raised(&self) -> Result<bool, Error> {
        let get = self.redis.command("GET").key(&*self.key);
        Ok(!self.run(get).await?.is_nil())
    }

    async fn run(&self, command: Command<'_>) -> Result<Reply, Error> {
        match command.run().await {
            Ok(reply) => Ok(reply),
            Err(error) => Err(wrong_type::named(&self.redis, error, &[(&self.key, "string")]).await),
        }
    }
}
