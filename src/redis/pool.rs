//! Where connections are kept: bb8's pool, shared by all, or lent to one.

use std::{
    fmt,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Poll,
};

use bb8_redis::bb8::{self, ErrorSink, PooledConnection, RunError};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::{
    error::Error,
    redis::{
        line::Line,
        manager::{Manager, NoLine, Plan},
    },
};

pub(super) struct Pool {
    inner: bb8::Pool<Manager>,
    /// What was checked out last. Held for as long as a clone takes.
    shared: RwLock<Option<Line>>,
    failures: Arc<Failures>,
    resp2: Arc<AtomicBool>,
}

/// The attempts to connect that failed. bb8 tells nobody who waits for a connection that there will be none; they would
/// wait until their deadline for what is known at once.
#[derive(Debug, Default)]
struct Failures {
    count: AtomicU64,
    /// The last of them.
    last: Mutex<Option<Error>>,
    notify: Notify,
}

// === impl Pool ===

impl Pool {
    /// Of at most `size` connections, each made when it is first needed, and not before.
    pub(super) fn new(plan: Plan, size: u32) -> Self {
        let failures = Arc::new(Failures::default());
        let resp2 = Arc::new(AtomicBool::new(false));
        let inner = bb8::Pool::builder()
            .max_size(size)
            .min_idle(None)
            .connection_timeout(plan.connect_deadline)
            // The breaker says when to try again.
            .retry_connection(false)
            .test_on_check_out(true)
            // Without either, bb8 needs no runtime until the first connection.
            .max_lifetime(None)
            .idle_timeout(None)
            .error_sink(Box::new(Sink(Arc::clone(&failures))))
            .build_unchecked(Manager::new(plan, Arc::clone(&resp2)));
        Self { inner, shared: RwLock::new(None), failures, resp2 }
    }

    /// A handle on a connection that others use at the same time, so that all callers write into the same socket, one after
    /// the other, and nobody waits for anybody's answer.
    ///
    /// The pool is asked when there is none, or the one there was is lost. Asked each time it would cost four locks, and
    /// a wait whenever two threads check out at once.
    #[inline]
    pub(super) async fn shared(&self) -> Result<Line, Error> {
        let kept = self.shared.read().as_ref().filter(|line| !line.is_lost()).cloned();
        let line = match kept {
            Some(line) if !line.is_to_be_replaced() => return Ok(line),
            // Nobody waits for the next one while this one serves others: it is made behind their backs.
            Some(line) => match poll_fn(|cx| Poll::Ready(pin!(self.inner.get()).poll(cx))).await {
                Poll::Ready(Ok(next)) => next.clone(),
                Poll::Ready(Err(_)) | Poll::Pending => return Ok(line),
            },
            None => self.checked_out().await?.clone(),
        };
        *self.shared.write() = Some(line.clone());
        Ok(line)
    }

    /// As far as is known from the connections so far.
    pub(super) fn speaks_resp3(&self) -> bool {
        !self.resp2.load(Ordering::Relaxed)
    }

    /// A connection for one caller, until it is dropped.
    pub(super) async fn exclusive(&self) -> Result<PooledConnection<'_, Manager>, Error> {
        self.checked_out().await
    }

    async fn checked_out(&self) -> Result<PooledConnection<'_, Manager>, Error> {
        let mut get = pin!(self.inner.get());
        let seen = self.failures.count.load(Ordering::Acquire);
        let first = poll_fn(|cx| Poll::Ready(get.as_mut().poll(cx))).await;
        let got = match first {
            Poll::Ready(got) => got,
            Poll::Pending => tokio::select! {
                biased;
                got = get => got,
                error = self.failures.after(seen) => return Err(error),
            },
        };
        got.map_err(|error| match error {
            RunError::User(none) => none.into(),
            RunError::TimedOut => Error::timed_out("no connection to Redis became free within the deadline"),
        })
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state();
        f.debug_struct("Pool").field("connections", &state.connections).field("idle", &state.idle_connections).finish()
    }
}

// === impl Failures ===

impl Failures {
    /// The first failure after the first `seen`.
    async fn after(&self, seen: u64) -> Error {
        loop {
            let mut notified = pin!(self.notify.notified());
            notified.as_mut().enable();
            if self.count.load(Ordering::Acquire) > seen
                && let Some(error) = self.last.lock().clone()
            {
                return error;
            }
            notified.await;
        }
    }
}

#[derive(Debug)]
struct Sink(Arc<Failures>);

impl ErrorSink<NoLine> for Sink {
    fn sink(&self, none: NoLine) {
        // What was lost is being replaced: nothing failed yet.
        if let NoLine::Failed(error) = none {
            *self.0.last.lock() = Some(error);
            self.0.count.fetch_add(1, Ordering::Release);
            self.0.notify.notify_waiters();
        }
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<NoLine>> {
        Box::new(Self(Arc::clone(&self.0)))
    }
}
