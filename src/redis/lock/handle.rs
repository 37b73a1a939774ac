//! Asking for a lock.

use std::{
    fmt,
    future::pending,
    pin::pin,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::{
    guard::{Claim, LockGuard},
    keeper::{Keeper, Renewal},
    tenure::{Asked, Place, Tenure},
    token::FencingToken,
};
use crate::{
    error::Error,
    redis::{client::Redis, name},
};

/// A lock that processes share. See the [module](crate::redis::lock).
///
/// A handle has one [`LockGuard`] at most: who asks for the lock by a handle that has it is refused, and would else wait for
/// themselves. A clone is another handle on the same lock, for another task.
pub struct Lock {
    place: Arc<Place>,
    ttl: Duration,
    wait: Duration,
    renewal: Renewal,
    claimed: Arc<AtomicBool>,
}

/// Who waits asks so often at least, since a wake-up dies with whoever it reached.
const ASKS: Duration = Duration::from_secs(1);

/// Who cannot wait on the server pauses for so long.
const PAUSE: Duration = Duration::from_millis(100);

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

// === impl Lock ===

impl Lock {
    /// The lock called `name` in the handle's namespace.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::error::ErrorKind::Invalid), when the name is empty, longer than 200 bytes, or has a brace or a control
    /// character.
    pub fn new(redis: &Redis, name: &str) -> Result<Self, Error> {
        let place = Place::new(redis.clone(), name::checked("a lock", name)?);
        Ok(Self {
            place: Arc::new(place),
            ttl: Duration::from_secs(10),
            wait: Duration::from_secs(10),
            renewal: Renewal::Renewed,
            claimed: Arc::default(),
        })
    }

    /// How long the server keeps the lock for a holder of whom it hears nothing. The default is 10 s; a holder that is well
    /// renews it at a third of that. Others wait for so long when a holder dies, and a holder that cannot reach the server
    /// has so long until the lock is lost, less a tenth.
    ///
    /// # Panics
    ///
    /// When it is shorter than 10 ms or longer than a day.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        check_ttl(ttl);
        self.ttl = ttl;
        self
    }

    /// How long [`acquire`](Self::acquire) waits for another to give the lock up. The default is 10 s.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Lets the lock end with its time to live, unless its holder [extends](LockGuard::extend) it.
    #[must_use]
    pub fn without_renewal(mut self) -> Self {
        self.renewal = Renewal::Once;
        self
    }

    /// Takes the lock, and waits while it is another's. Who gives it up wakes one who waits; that one is not sure to get it,
    /// since who comes at that moment may be faster.
    ///
    /// While the server cannot be asked, it is asked again until the time is over.
    ///
    /// # Errors
    ///
    /// [`Held`](crate::error::ErrorKind::Held), when it was another's to the end. [`Invalid`](crate::error::ErrorKind::Invalid), when
    /// this handle has it already, or asks for it. Else why the server could not be asked, or refused.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancellation
    ///
    /// Dropped, it gives up what it may have got, as a guard does.
    pub async fn acquire(&self) -> Result<LockGuard, Error> {
        self.take(self.wait).await
    }

    /// Takes the lock if nobody has it.
    ///
    /// # Errors
    ///
    /// [`Held`](crate::error::ErrorKind::Held), when it is another's; else as those of [`acquire`](Self::acquire).
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancellation
    ///
    /// As that of [`acquire`](Self::acquire).
    pub async fn try_acquire(&self) -> Result<LockGuard, Error> {
        self.take(Duration::ZERO).await
    }

    /// Does `work` while holding the lock, and gives it up afterwards. When the lock is lost, `work` is dropped at its next
    /// await; what it has sent by then is not taken back, and only the [fence](crate::redis::lock#fencing) stops it.
    ///
    /// # Errors
    ///
    /// [`Lost`](crate::error::ErrorKind::Lost), when `work` was dropped; else as those of [`acquire`](Self::acquire). That the lock
    /// could not be given up is none: it ends with its time to live.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    ///
    /// # Cancellation
    ///
    /// `work` is dropped, then the guard.
    pub async fn with_lock<T, F>(&self, work: F) -> Result<T, Error>
    where
        F: AsyncFnOnce(&LockGuard) -> T,
    {
        let guard = self.acquire().await?;
        let done = {
            let mut work = pin!(work(&guard));
            tokio::select! {
                biased;
                () = guard.lost() => None,
                value = &mut work => Some(value),
            }
        };
        let Some(value) = done else { return Err(self.place.lost()) };
        drop(guard.release().await);
        Ok(value)
    }

    /// Lets this lock and its clones ask only for tokens above `token`, which a resource has accepted or a log has named.
    ///
    /// So a server that lost what it knew, and whose clock is behind, is no reason for being refused again and again.
    pub fn observe(&self, token: FencingToken) {
        self.place.observe(token);
    }

    async fn take(&self, wait: Duration) -> Result<LockGuard, Error> {
        let claim = Claim::of(&self.claimed).ok_or_else(|| self.reentrant())?;
        let began = Instant::now();
        let left = || wait.saturating_sub(began.elapsed());
        let mut keeper = self.keeper();
        loop {
            match keeper.tenure.ask().await {
                Ok(Asked::Won) => match keeper.tenure.term().token {
                    Some(token) if !keeper.tenure.is_over() => {
                        keeper.begin();
                        return Ok(LockGuard::new(keeper, token, claim));
                    }
                    _ if left().is_zero() => return Err(self.place.lost()),
                    // The answer came too late to be of use.
                    _ => keeper = self.keeper(),
                },
                Ok(Asked::Busy(_)) if left().is_zero() => return Err(self.held()),
                Ok(Asked::Busy(ends)) => self.woken(ends.unwrap_or(ASKS).min(ASKS).min(left())).await,
                Err(error) if error.is_unavailable() && !left().is_zero() => pause(PAUSE.min(left())).await,
                Err(error) => return Err(error),
            }
        }
    }

    fn keeper(&self) -> Keeper {
        Keeper::new(Tenure::new(Arc::clone(&self.place), self.ttl), self.renewal)
    }

    /// Until the lock may be free, or for about so long.
    async fn woken(&self, wait: Duration) {
        // So that not all who wait for a holder that died ask at once.
        let wait = wait + Duration::from_millis(rand::random_range(1..=10));
        let began = Instant::now();
        let pop = self.place.redis.command("BLPOP").key(self.place.key("wake"));
        let popped = pop.arg(&format!("{:.3}", wait.as_secs_f64())).run_blocking(wait).await;
        if let Err(error) = popped {
            // No connection to wait on, or no right to.
            let most = if error.is_unavailable() { PAUSE } else { wait };
            pause(most.saturating_sub(began.elapsed())).await;
        }
    }

    #[cold]
    fn held(&self) -> Error {
        Error::held(&format!("the lock `{}` is held by another", self.place.name))
    }

    #[cold]
    fn reentrant(&self) -> Error {
        let name = &self.place.name;
        Error::invalid(&format!("the lock `{name}` is held or asked for by this very handle; a clone is another one"))
    }
}

/// Another handle on the same lock.
impl Clone for Lock {
    fn clone(&self) -> Self {
        let Self { ttl, wait, renewal, .. } = *self;
        Self { place: Arc::clone(&self.place), ttl, wait, renewal, claimed: Arc::default() }
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("name", &self.place.name)
            .field("ttl", &self.ttl)
            .field("wait", &self.wait)
            .field("renewal", &self.renewal)
            .finish_non_exhaustive()
    }
}

pub(super) fn check_ttl(ttl: Duration) {
    assert!((SHORTEST..=LONGEST).contains(&ttl), "a lock lives for 10 ms to a day, not {ttl:?}");
}

async fn pause(time: Duration) {
    drop(timeout(time, pending::<()>()).await);
}
