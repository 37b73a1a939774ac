//! A consumer at work. It is one future, made of several that share a [`Hand`]: one reads, one takes over what others left, one runs
//! handlers, one acknowledges, one renews.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use futures_util::{
    FutureExt, StreamExt,
    future::{AbortHandle, Abortable},
    stream::FuturesUnordered,
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use super::{
    calls::Taken,
    entry::Raw,
    failure::{Failure, Message, Then},
    group::Group,
    hand::{Given, Hand},
    id::{EntryId, Position},
    log::millis,
    scripts,
};
use crate::{
    error::Error,
    observe::event,
    redis::{breaker::Backoff, reply::Reply},
};

/// What became of the messages that a consumer was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Acknowledged.
    pub acknowledged: u64,
    /// Done here, and settled by somebody else before this consumer could acknowledge them: done twice, or dead.
    pub late: u64,
    /// Failed, to be tried again.
    pub failed: u64,
    /// Moved to the dead letters.
    pub dead: u64,
    /// Given to others, since this consumer was not heard of for too long.
    pub lost: u64,
    /// Given back at the end.
    pub handed_back: u64,
}

pub(super) struct Worker<T, H> {
    group: Group<T>,
    me: String,
    batch: usize,
    handler: H,
    hand: Hand,
}

/// For how long the server lets a read wait, and how often, at least, it is looked for what others left.
const WAIT: Duration = Duration::from_secs(1);

/// How often the log is trimmed, and consumers that are gone are looked for.
const UPKEEP: Duration = Duration::from_secs(10);

/// How many are read, or acknowledged, at once.
const MOST: usize = 500;

const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(2) };

// === impl Worker ===

impl<T, H, F> Worker<T, H>
where
    T: DeserializeOwned,
    H: Fn(Vec<Message<T>>) -> F,
    F: Future<Output = Result<(), Failure>>,
{
    pub(super) fn new(group: Group<T>, batch: usize, handler: H) -> Self {
        let me = group.settings.consumer.clone();
        let me = me.unwrap_or_else(|| format!("{}-{:016x}", std::process::id(), rand::random::<u64>()));
        let hand = Hand::new(group.settings.concurrency.saturating_mul(batch).saturating_add(group.settings.prefetch));
        Self { group, me, batch, handler, hand }
    }

    pub(super) async fn run_until(self, stop: impl Future<Output = ()>) -> Result<Summary, Error> {
        {
            let stopping = &self.hand.stopping;
            let stopped = async {
                tokio::select! {
                    () = stop => stopping.cancel(),
                    () = stopping.cancelled() => {}
                }
                pause(self.group.settings.drain_time).await;
            };
            let working = async { tokio::join!(self.feed(), self.tend(), self.work(), self.acknowledge()) };
            tokio::select! {
                biased;
                _ = working => {}
                () = self.renew() => {}
                () = stopped => {}
            }
        }
        self.hand_back().await;
        self.hand.end()
    }

    /// Reads what is new.
    async fn feed(&self) {
        let (mut failures, mut start) = (0, Some(self.group.settings.start));
        // Many at once; the handlers have as many to begin meanwhile.
        let worthwhile = (self.group.settings.prefetch / 2).max(1);
        while !self.hand.stopping.is_cancelled() {
            let room = self.hand.room().min(MOST);
            if room < worthwhile.min(MOST) {
                tokio::select! {
                    () = self.hand.left.notified() => {}
                    () = self.hand.stopping.cancelled() => {}
                }
                continue;
            }
            match self.read(room, &mut start).await {
                Ok(entries) => {
                    failures = 0;
                    self.hand
                        .arrive(entries.into_iter().map(|raw| Given { raw, deliveries: 1, suspect: false }).collect());
                }
                Err(error) => self.bear(error, &mut failures).await,
            }
        }
    }

    async fn read(&self, room: usize, start: &mut Option<Position>) -> Result<Vec<Raw>, Error> {
        if let Some(position) = *start {
            self.group.make(position).await?;
            self.take_own().await?;
            *start = None;
        }
        match self.group.read_new(&self.me, room, WAIT).await {
            Err(error) if error.code() == Some("NOGROUP") => {
                *start = Some(Position::Beginning);
                Ok(Vec::new())
            }
            result => result,
        }
    }

    /// What a consumer of this name had when it was here last.
    async fn take_own(&self) -> Result<(), Error> {
        if self.group.settings.consumer.is_none() {
            return Ok(());
        }
        let mut from = "-".to_owned();
        loop {
            from = self.take(&from, Duration::ZERO, &self.me, MOST).await?.0;
            if from == "-" {
                return Ok(());
            }
        }
    }

    /// Takes over what failed and is to be tried again, and what consumers left that are gone.
    async fn tend(&self) {
        let (mut from, mut failures, mut upkeep) = ("-".to_owned(), 0, Instant::now());
        while !self.hand.stopping.is_cancelled() {
            let room = self.hand.room().min(MOST);
            let mut wait = WAIT;
            if room > 0 {
                match self.take(&from, self.group.settings.claim_after, "", room).await {
                    Ok((next, due)) => {
                        wait = if next == "-" { due.unwrap_or(WAIT).min(WAIT) } else { Duration::ZERO };
                        (from, failures) = (next, 0);
                    }
                    // Whoever reads makes it.
                    Err(error) if error.code() == Some("NOGROUP") => {}
                    Err(error) => self.bear(error, &mut failures).await,
                }
            }
            if upkeep.elapsed() >= UPKEEP {
                upkeep = Instant::now();
                self.keep_up().await;
            }
            tokio::select! {
                _ = timeout(wait, self.hand.look.notified()) => {}
                () = self.hand.stopping.cancelled() => {}
            }
        }
    }

    /// Tells where to look from next, and when the next message is to be tried again.
    async fn take(
        &self,
        from: &str,
        after: Duration,
        whose: &str,
        room: usize,
    ) -> Result<(String, Option<Duration>), Error> {
        // One at a time: so it dies alone, and not with all that was given to others together with it.
        let suspects = u32::from(!self.hand.has_suspect());
        let Taken { from, due, died, given } = self.group.take(&self.me, from, after, whose, room, suspects).await?;
        self.hand.count(|summary| summary.dead += died);
        self.hand.arrive(given);
        Ok((from, due))
    }

    async fn keep_up(&self) {
        let gone_after = self.group.settings.claim_after.saturating_mul(10).max(UPKEEP);
        if let Err(_error) = self.group.script(&scripts::SWEEP, &self.me).arg(millis(gone_after)).run().await {
            event!(error = %_error, "consumers that are gone were not looked for");
        }
        let Some(stays) = self.group.settings.trim else { return };
        if let Err(_error) = self.group.stream.trim(stays).await {
            event!(error = %_error, "a stream was not trimmed");
        }
    }

    /// Runs handlers, until the last of them has ended.
    async fn work(&self) {
        let mut running = FuturesUnordered::new();
        loop {
            let is_stopping = self.hand.stopping.is_cancelled();
            while !is_stopping && running.len() < self.group.settings.concurrency {
                let given = self.hand.begin(self.batch);
                if given.is_empty() {
                    break;
                }
                running.push(self.handle(given));
            }
            if is_stopping && running.is_empty() {
                return self.hand.worked();
            }
            tokio::select! {
                Some(()) = running.next() => {}
                () = self.hand.arrived.notified() => {}
                () = self.hand.stopping.cancelled(), if !is_stopping => {}
            }
        }
    }

    async fn handle(&self, given: Vec<Given>) {
        let (mut messages, mut known) = (Vec::with_capacity(given.len()), Vec::with_capacity(given.len()));
        for given in given {
            let id = given.raw.id;
            match self.group.stream.inner.value(id, given.raw.payload()) {
                Ok(value) => {
                    messages.push(Message { id, value, attempt: given.deliveries });
                    known.push(given);
                }
                Err(error) => self.fail(id, &Failure::dead(error.with_cause())).await,
            }
        }
        if messages.is_empty() {
            return;
        }
        let (abort, registration) = AbortHandle::new_pair();
        self.hand.work(&known, &abort);
        let work = AssertUnwindSafe(async { (self.handler)(messages).await }).catch_unwind();
        let failure = match Abortable::new(work, registration).await {
            Ok(Ok(Ok(()))) => return self.hand.done(&known),
            Err(_) => return self.hand.again(known),
            Ok(Ok(Err(failure))) => failure,
            Ok(Err(panic)) => Failure::retry(format!("the handler panicked: {}", said(&*panic))),
        };
        for given in known {
            self.fail(given.raw.id, &failure).await;
        }
    }

    /// Sees to it that the server knows of the failure, for as long as the message is ours.
    async fn fail(&self, id: EntryId, failure: &Failure) {
        let mut failures = 0;
        while let Some(deliveries) = self.hand.deliveries(id) {
            let wait = match failure.then {
                Then::Retry(wait) if deliveries < self.group.settings.max_attempts => {
                    let wait = wait.unwrap_or_else(|| self.group.settings.backoff.pause(deliveries, rand::random()));
                    millis(wait.min(LONGEST_WAIT))
                }
                _ => NEVER,
            };
            let call = self.group.script(&scripts::FAIL, &self.me).arg(&id.to_string()).arg(deliveries);
            let told = async { call.arg(wait).arg(&failure.reason).run().await?.text() }.await;
            match told.as_ref().map(Option::as_deref) {
                Ok(Some("parked")) => return self.hand.park(id, deliveries),
                Ok(Some("dead")) => self.hand.leave(&[id], |summary| summary.dead += 1),
                // Unless it is ours again: then its last attempt is the one that failed.
                Ok(_) => self.hand.lose(&[(id, deliveries)]),
                Err(error) if error.code() == Some("NOGROUP") => self.hand.lose(&[(id, deliveries)]),
                // It stays ours, and is given back.
                Err(_) if self.hand.has_given_up() => return,
                Err(error) => self.bear(error.clone(), &mut failures).await,
            }
        }
    }

    /// Acknowledges what is done: all that came to be done while the call before was under way goes in one.
    async fn acknowledge(&self) {
        let mut failures = 0;
        loop {
            let ids = self.hand.to_acknowledge(MOST);
            if ids.is_empty() {
                if self.hand.is_worked() {
                    return;
                }
                self.hand.settled.notified().await;
                continue;
            }
            loop {
                match self.group.acknowledge(&ids).await {
                    Ok(settled) => {
                        self.hand.leave(&ids, |summary| {
                            summary.acknowledged += settled;
                            summary.late += (ids.len() as u64).saturating_sub(settled);
                        });
                        break;
                    }
                    Err(_) if self.hand.has_given_up() => return,
                    Err(error) => self.bear(error, &mut failures).await,
                }
            }
            failures = 0;
        }
    }

    /// Says of what is in hand that somebody works at it. Never ends.
    async fn renew(&self) {
        loop {
            pause(self.group.settings.claim_after / 3).await;
            for held in self.hand.held().chunks(MOST) {
                let call = self.group.script(&scripts::RENEW, &self.me);
                let call = held.iter().fold(call, |call, (id, deliveries)| call.arg(&id.to_string()).arg(*deliveries));
                let gone =
                    async { call.run().await?.list()?.into_iter().map(EntryId::of).collect::<Result<Vec<_>, _>>() };
                match gone.await {
                    Ok(gone) => {
                        let gone: Vec<_> = held.iter().filter(|(id, _)| gone.contains(id)).copied().collect();
                        self.hand.lose(&gone);
                    }
                    Err(_error) => event!(error = %_error, "messages were not renewed"),
                }
            }
        }
    }

    /// Gives back what is not done. What cannot be given back is taken by others later.
    async fn hand_back(&self) {
        let begun = self.hand.begun();
        loop {
            let call = self.group.script(&scripts::HAND_BACK, &self.me);
            let call = begun.iter().fold(call, |call, id| call.arg(&id.to_string()));
            let told = async { call.run().await?.list()?.iter().map(Reply::int).collect::<Result<Vec<_>, _>>() };
            match told.await.as_deref() {
                Ok(&[given, left]) => {
                    self.hand.count(|summary| summary.handed_back += u64::try_from(given).unwrap_or(0));
                    if left == 0 {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    /// Waits after a failure, or gives up where waiting does not help.
    async fn bear(&self, error: Error, failures: &mut u32) {
        *failures = failures.saturating_add(1);
        event!(error = %error, "a consumer could not ask Redis");
        if matches!(error.code(), Some("WRONGTYPE" | "NOPERM" | "ERR")) {
            self.hand.give_up(self.group.named(error).await);
        }
        pause(BACKOFF.pause(*failures, rand::random())).await;
    }
}

/// In place of a wait: it is not tried again.
const NEVER: i64 = -1;

/// A hundred years: more would not be a number on the server.
const LONGEST_WAIT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

#[expect(clippy::disallowed_methods, reason = "nothing but time ends a pause")]
async fn pause(span: Duration) {
    sleep(span).await;
}
