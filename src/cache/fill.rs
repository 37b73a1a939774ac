//! From a response that may be stored to the stored page.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::{Body, Frame};

use super::{
    etag::Tagger,
    layer::Shared,
    policy::{allowance::SetCookie, reuse::Schedule},
    spool::{self, Writer},
    stored::{Access, Page, Stored},
};
use crate::{
    clock::Timestamp,
    error::Error,
    observe::event,
    private::PrivateMark,
    store::{Ending, Filled, Lease, Tags},
};

/// A page that lacks its body.
pub(crate) struct Draft {
    pub(crate) status: StatusCode,
    /// The fields that are stored.
    pub(crate) head: HeaderMap,
    /// Makes the entity tag that they lack.
    pub(crate) tagger: Option<Tagger>,
    pub(crate) schedule: Schedule,
    pub(crate) access: Access,
    /// The fields that are for the one who asked; of the head they are gone already.
    pub(crate) dropped: Vec<HeaderName>,
    pub(crate) set_cookie: SetCookie,
    pub(crate) tags: Tags,
    pub(crate) keep_until: Timestamp,
    /// When its making began.
    pub(crate) begun: Timestamp,
    /// The length that the response declares.
    pub(crate) declared: Option<u64>,
    /// The same, where no trailers are announced to follow.
    pub(crate) complete_at: Option<u64>,
    pub(crate) body_limit: u64,
    /// Nothing where the key is not to be remembered as uncacheable.
    pub(crate) pass_ttl: Option<Duration>,
    pub(crate) private: Private,
}

/// Whether anything personal was used since the cache took over.
#[derive(Clone, Debug)]
pub(crate) struct Private {
    mark: PrivateMark,
    before: u32,
    /// That of the client who caused a refresh, which goes on beside it.
    clients: Option<(PrivateMark, u32)>,
}

/// What came of a body so far.
#[derive(Default)]
struct Copy {
    data: Vec<u8>,
    trailers: Option<Box<HeaderMap>>,
}

// === impl Private ===

impl Private {
    pub(crate) fn since_now(mark: PrivateMark) -> Self {
        Self { before: mark.reading(), mark, clients: None }
    }

    /// Of a refresh, which has a mark of its own. It was also given what outer layers put into the client's exchange, such as a
    /// session, which raises the client's mark whoever uses it.
    pub(crate) fn of_refresh(own: PrivateMark, clients: PrivateMark) -> Self {
        let before = clients.reading();
        Self { clients: Some((clients, before)), ..Self::since_now(own) }
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.is_certain() || self.clients.as_ref().is_some_and(|(mark, before)| mark.reading() != *before)
    }

    /// Whether it may have been raised by what the client of a refresh went on to do, and not by what the response was made of.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.is_raised() && !self.is_certain()
    }

    fn is_certain(&self) -> bool {
        self.mark.reading() != self.before
    }
}

// === impl Draft ===

impl Draft {
    /// Reads `body` to its end, into the spool and, if it may be, into the store.
    ///
    /// What is stored is there before the last byte reaches the client, so that a client who asks again finds it.
    pub(crate) async fn fill<B, L, T>(
        mut self,
        mut body: Pin<Box<B>>,
        writer: Writer<B>,
        lease: L,
        shared: Arc<Shared<T>>,
    ) where
        B: Body,
        L: Lease<Stored>,
    {
        let mut copy = Copy::default();
        let mut held: Option<Frame<Bytes>> = None;
        loop {
            // With the length that was declared it is complete, and its client does not wait for what lingers after that.
            let is_complete = self.complete_at == Some(copy.data.len() as u64);
            let frame = poll_fn(|cx| match body.as_mut().poll_frame(cx).map(spool::into_bytes) {
                Poll::Pending if is_complete => Poll::Ready(None),
                frame => frame,
            });
            let Some(frame) = frame.await else { break };
            if let Some(frame) = held.take() {
                writer.frame(frame);
            }
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    event!("the body broke off");
                    // Who waits for it is not to wait for a client to read.
                    drop(lease);
                    return writer.error(error);
                }
            };
            if let Some(data) = frame.data_ref() {
                let length = data.len() as u64;
                let fits = copy.data.len() as u64 + length <= self.body_limit;
                if !fits || !writer.has_room_for(length) {
                    writer.frame(frame);
                    writer.hand_over(body);
                    return if fits {
                        lease.disband(Ending::Uncacheable).await;
                    } else {
                        self.pass(lease, &shared).await;
                    };
                }
                copy.data.extend_from_slice(data);
                if let Some(tagger) = &mut self.tagger {
                    tagger.write(data);
                }
            } else if let Some(trailers) = frame.trailers_ref() {
                copy.trailers = Some(Box::new(trailers.clone()));
            }
            // A client that counts bytes is done with the last of them, one that does not with the end.
            let is_last = self.declared == Some(copy.data.len() as u64) || body.is_end_stream();
            if is_last || frame.is_trailers() {
                held = Some(frame);
            } else {
                writer.frame(frame);
            }
        }
        self.finish(copy, lease, &shared).await;
        if let Some(frame) = held {
            writer.frame(frame);
        }
        writer.complete();
    }

    /// Remembers the key as one that cannot be stored.
    pub(crate) async fn pass<L, T>(&self, lease: L, shared: &Shared<T>)
    where
        L: Lease<Stored>,
    {
        pass(lease, shared, self.pass_ttl).await;
    }

    async fn finish<L, T>(self, mut copy: Copy, lease: L, shared: &Shared<T>)
    where
        L: Lease<Stored>,
    {
        if self.declared.is_some_and(|declared| declared != copy.data.len() as u64) {
            // RFC 9111, 3.3: an incomplete response is not stored as a complete one.
            return lease.disband(Ending::Uncacheable).await;
        }
        if let Some(trailers) = &mut copy.trailers {
            for name in &self.dropped {
                trailers.remove(name);
            }
        }
        let sets_cookie = copy.trailers.as_ref().is_some_and(|trailers| trailers.contains_key(header::SET_COOKIE));
        // Asked last: the body may have been made of something personal too.
        if self.private.is_raised() || (sets_cookie && self.set_cookie == SetCookie::Refused) {
            let is_certain = sets_cookie || !self.private.is_doubtful();
            return pass(lease, shared, self.pass_ttl.filter(|_| is_certain)).await;
        }
        // A vector grows by doubling: what is kept is to take what it is weighed as.
        let data = copy.data.into_boxed_slice();
        let (keep_until, tags) = (self.keep_until, self.tags.clone());
        let page = self.into_page(Bytes::from(data), copy.trailers, shared.plan.clock.now(), &shared.labels.hit);
        stored(lease.fill(Stored::page(page), keep_until, tags).await, shared);
    }

    pub(crate) fn into_page(
        self,
        body: Bytes,
        trailers: Option<Box<HeaderMap>>,
        now: Timestamp,
        hit: &HeaderValue,
    ) -> Page {
        let cost = now.since(self.begun);
        let own_etag = self.tagger.map(Tagger::tag);
        Page::new(self.status, (self.head, own_etag), (body, trailers), (self.schedule, self.access, cost), hit)
    }
}

/// Ends a lease whose response cannot be stored, and remembers that of the key for so long.
pub(crate) async fn pass<L, T>(lease: L, shared: &Shared<T>, ttl: Option<Duration>)
where
    L: Lease<Stored>,
{
    let Some(ttl) = ttl else { return lease.disband(Ending::Uncacheable).await };
    let until = shared.plan.clock.now().plus(ttl);
    if let Err(_error) = lease.fill(Stored::pass(), until, Tags::default()).await {
        event!(error = %_error, "a mark did not reach the store");
    }
}

/// Tells of a removal that failed. The request it was for succeeded nevertheless.
pub(crate) fn removed(removed: Result<(), Error>) {
    if let Err(_error) = removed {
        event!(error = %_error, "an invalidation did not reach the store");
    }
}

/// Counts what became of a fill.
pub(crate) fn stored<T>(filled: Result<Filled, Error>, shared: &Shared<T>) {
    match filled {
        Ok(Filled::Stored) => shared.counts.stored.raise(),
        Ok(Filled::Superseded) => shared.counts.superseded.raise(),
        Err(_error) => event!(error = %_error, "a fill did not reach the store"),
    }
}
