//! The task that keeps a lock for its holder, and gives it up when they are gone.

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::tenure::Tenure;

/// Dropped, the lock is given up: asked of the server once, within the deadline of its handle. The task ends with that.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) tenure: Arc<Tenure>,
    renewal: Renewal,
    /// While the task runs.
    alive: Option<oneshot::Sender<Infallible>>,
}

/// Whether the lock is kept for longer than its time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    Renewed,
    Once,
}

// === impl Keeper ===

impl Keeper {
    pub(super) fn new(tenure: Tenure, renewal: Renewal) -> Self {
        Self { tenure: Arc::new(tenure), renewal, alive: None }
    }

    /// The lock is won: from now on it is kept.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub(super) fn begin(&mut self) {
        let (alive, gone) = oneshot::channel();
        self.alive = Some(alive);
        let (tenure, renewal) = (Arc::clone(&self.tenure), self.renewal);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                _ = gone => {}
                () = keep(&tenure, renewal) => {}
            }
            give_up(tenure).await;
        });
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Who leaves in the middle of asking may have won, and not know.
        if self.alive.is_none()
            && self.tenure.may_hold()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(give_up(Arc::clone(&self.tenure)));
        }
    }
}

async fn give_up(tenure: Arc<Tenure>) {
    tenure.end();
    // Best effort: its time to live ends what this does not.
    drop(tenure.release().await);
}

/// Until nobody is left to keep it for; that it was lost is told, and then waited with.
async fn keep(tenure: &Tenure, renewal: Renewal) {
    let mut attempted = None;
    loop {
        let Some(until) = tenure.term().until.filter(|_| !tenure.is_over()) else {
            tenure.end();
            return pending().await;
        };
        let due = match renewal {
            // A third of its time after it was asked for; after an attempt that failed, sooner.
            Renewal::Renewed => {
                let asked = until - tenure.ttl * 9 / 10;
                attempted.map_or(asked + tenure.ttl / 3, |last| last + pause(tenure.ttl))
            }
            Renewal::Once => until,
        };
        tokio::select! {
            biased;
            () = tenure.changed() => {
                attempted = None;
                continue;
            }
            _ = timeout_at(due.min(until), pending::<()>()) => {}
        }
        if due >= until {
            continue;
        }
        attempted = Some(Instant::now());
        // What is refused is tried again too: it does not say that the lock is another's.
        if let Ok(Ok(false)) = timeout_at(until, tenure.renew(tenure.ttl)).await {
            tenure.end();
            return pending().await;
        }
    }
}

/// Between one attempt that failed and the next.
fn pause(ttl: Duration) -> Duration {
    (ttl / 10).max(Duration::from_millis(5))
}
