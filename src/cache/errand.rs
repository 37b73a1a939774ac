//! One request's way to the origin: with a lease, for everyone; without, for itself.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use tower_service::Service;

use super::{
    asked::{Asked, Head},
    body::CacheBody,
    fill::Private,
    key::Audience,
    look::{Found, Look, relabel},
    policy::conditional,
    rules::Rules,
    sent::Sent,
    service::{Ask, Core, Miss},
    status::{Cause, Collapse, Fate},
    stored::{Kind, Page, Stored},
    tally::{Asker, Tally},
};
use crate::{
    observe::event,
    private::PrivateMark,
    store::{
        Ending, Kept, Key, Lease, Leased, Store,
        fetch::{self, Alone, Arrival, Caller, Made, Verdict},
    },
};

/// A GET that could not be answered at once.
pub(crate) struct Errand<S, T, B> {
    core: Arc<Core<S, T>>,
    rules: Rules,
    parts: Parts,
    body: B,
    asked: Asked,
    audience: Audience,
    /// Under which the response is looked for.
    key: Key,
    cause: Cause,
    collapse: Collapse,
    /// The last sign on the way to the key.
    sign: Option<(Key, Kept<Stored>)>,
    /// The last page found there, which was not good enough.
    stale: Option<Kept<Stored>>,
    /// Whether a request waits for it, which is then counted.
    asker: Asker,
}

type Answer<B, E> = Result<Response<CacheBody<B>>, E>;

// === impl Errand ===

impl<S, T, B> Errand<S, T, B> {
    pub(crate) fn new(core: Arc<Core<S, T>>, ask: Ask<B>, miss: Miss) -> Self {
        let Ask { rules, parts, body, asked, audience } = ask;
        let Miss { key, cause, stale, sign } = miss;
        let asker = Asker::Client;
        Self { core, rules, parts, body, asked, audience, key, cause, collapse: Collapse::Unneeded, sign, stale, asker }
    }

    /// A refresh that nobody waits for.
    pub(crate) fn in_background(self) -> Self {
        Self { asker: Asker::Nobody, ..self }
    }

    /// The answer from a page that is good enough.
    fn reused<A: Body>(&self, page: &Page, key: &Key, stale: bool, arrival: Arrival) -> Response<CacheBody<A>> {
        let (look, shared) = (self.look(), &self.core.shared);
        let mut response = look.answer(page, key, stale);
        match arrival {
            Arrival::Stored if stale => shared.counts.stale.raise(),
            Arrival::Stored => shared.counts.hits.raise(),
            Arrival::Awaited => {
                shared.counts.collapsed.raise();
                let line = shared.labels.forwarded(self.cause).collapsed(Collapse::Reused);
                let line = line.status(page.status, response.status());
                relabel(&mut response, line.ttl(page.schedule.fresh_until, look.now).key(key).value());
            }
        }
        response
    }

    fn look(&self) -> Look<'_, T> {
        Look {
            shared: &self.core.shared,
            settings: self.rules.settings(),
            head: Head::from(&self.parts).of_result(),
            asked: self.asked,
            audience: self.audience,
            now: self.core.shared.plan.clock.now(),
        }
    }
}

impl<S, T, ReqBody, ResBody> Errand<S, T, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    T: Store<Stored>,
    ResBody: Body,
{
    /// A HEAD goes inwards as it came. It holds the lease of the page that it may speak of meanwhile: what was read before
    /// a purge is not kept after it.
    pub(crate) async fn head(self, key: Key) -> Answer<ResBody, S::Error> {
        let core = Arc::clone(&self.core);
        let lease = match self.renewable() {
            // A wait that is not kept hands the lease to the next, and does not hold it up here.
            Some(seen) => match core.shared.fetch.store().lease(key, Some(seen.version())).await {
                Ok(Leased::Won(lease)) if fetch::replaces(&lease, seen) => Some(lease),
                Ok(_) | Err(_) => None,
            },
            None => None,
        };
        let (sent, request) = self.send(Conditions::Head);
        let response = core.origin.call(request).await?;
        Ok(match lease {
            Some(lease) => sent.headed(key, lease, response).await,
            None => sent.deliver(response, Fate::Unled),
        })
    }

    /// The stored page, if the head of a newer response can tell whether it speaks of it.
    fn renewable(&self) -> Option<&Kept<Stored>> {
        let can_tell = |page: &Page| {
            page.status == StatusCode::OK
                && (page.head.contains_key(header::ETAG) || page.head.contains_key(header::LAST_MODIFIED))
        };
        self.stale.as_ref().filter(|kept| kept.as_page().is_some_and(can_tell))
    }
}

impl<S, T, ReqBody, ResBody, L> Caller<Stored, L> for Errand<S, T, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    T: Store<Stored>,
    L: Lease<Stored>,
    ReqBody: Body + Send + 'static,
    ResBody: Body + Send + 'static,
    ResBody::Error: Send,
{
    type Answer = Answer<ResBody, S::Error>;

    fn judge(&mut self, key: &Key, kept: &Kept<Stored>, arrival: Arrival) -> Verdict<Self::Answer> {
        let look = self.look();
        match (look.judge(key, kept), kept.kind()) {
            (Found::Good { stale, .. }, Kind::Page(page)) => {
                Verdict::Answer(Ok(self.reused(page, key, stale, arrival)))
            }
            (Found::Same(there, language), _) => {
                let same = look.in_language(&there, &language);
                match (same.as_ref().and_then(|kept| kept.as_page()), arrival) {
                    (Some(page), _) => Verdict::Answer(Ok(self.reused(page, &there, false, arrival))),
                    // Its maker left this sign just now.
                    (None, Arrival::Awaited) => {
                        self.key = there;
                        Verdict::Elsewhere(there)
                    }
                    (None, Arrival::Stored) => Verdict::Expired,
                }
            }
            (Found::Elsewhere(variant), _) => {
                (self.key, self.cause, self.stale) = (variant, Cause::Variant, None);
                self.sign = Some((*key, kept.clone()));
                Verdict::Elsewhere(variant)
            }
            (Found::Pass, _) => Verdict::Alone,
            (Found::Expired(cause), _) => {
                (self.cause, self.stale) = (cause, Some(kept.clone()));
                Verdict::Expired
            }
            (Found::Nothing | Found::Good { .. }, _) => Verdict::Expired,
        }
    }

    fn rescue(&mut self, stale: &Kept<Stored>) -> Option<Self::Answer> {
        let look = self.look();
        let page = stale.as_page().filter(|page| page.schedule.may_serve_on_error(look.now))?;
        self.core.shared.counts.stale.raise();
        event!(uri = %self.parts.uri, "stale, since the attempt failed");
        Some(Ok(look.answer(page, &self.key, true)))
    }

    fn waits(&mut self) {
        self.collapse = Collapse::InVain;
    }

    /// A page that is never fresh serves nobody who did not ask for it.
    fn may_follow(&self, seen: Option<&Kept<Stored>>) -> bool {
        seen.and_then(|kept| kept.as_page()).is_none_or(|page| page.schedule.is_ever_fresh())
    }

    async fn lead(mut self, key: Key, lease: L, seen: Option<Kept<Stored>>) -> Made<Self::Answer> {
        self.stale = seen;
        let core = Arc::clone(&self.core);
        let (sent, request) = self.send(Conditions::Cache);
        match core.origin.call(request).await {
            Ok(response) => sent.led(key, lease, response).await,
            Err(error) => match sent.rescue(None) {
                Some(answer) => {
                    lease.disband(Ending::Failed).await;
                    Made::now(Ok(answer))
                }
                // Dropping the lease lets one of those who wait try.
                None => Made::now(Err(error)),
            },
        }
    }

    async fn alone(self, _why: Alone) -> Self::Answer {
        event!(why = ?_why, "without a lease");
        let core = Arc::clone(&self.core);
        let (sent, request) = self.send(Conditions::Client);
        let response = match core.origin.call(request).await {
            Ok(response) => response,
            Err(error) => return sent.rescue(None).ok_or(error),
        };
        if let Some(answer) = sent.failed(response.status()) {
            return Ok(answer);
        }
        if let Some(page) = sent.validated(response.status()) {
            return Ok(sent.confirmed(page, response.into_parts().0).answer);
        }
        Ok(sent.deliver(response, Fate::Unled))
    }
}

/// Whose conditions a request is sent with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Conditions {
    /// The cache's: the validators of what it has, or none, so that the response can be stored whole.
    Cache,
    /// The client's, if it has any; else as the cache's.
    Client,
    /// The client's, if it has any, whose HEAD it is.
    Head,
}

impl<S, T, B> Errand<S, T, B> {
    /// Makes the request that goes inwards, of which the whole response is wanted.
    pub(crate) fn send_whole(self) -> (Sent<T>, Request<B>) {
        self.send(Conditions::Cache)
    }

    fn send(self, conditions: Conditions) -> (Sent<T>, Request<B>) {
        let Self { core, rules, mut parts, body, asked, audience, key, cause, collapse, sign, stale, asker } = self;
        let shared = Arc::clone(&core.shared);
        let settings = rules.settings();
        let tags = settings.rule_tags(&parts);
        let (mut client, ()) = Request::new(()).into_parts();
        (client.uri, client.headers) = (parts.uri.clone(), parts.headers.clone());
        let begun = shared.plan.clock.now();

        settings.strip(&mut parts);
        let asks_itself = match conditions {
            Conditions::Cache => true,
            Conditions::Client => !asked.condition(),
            Conditions::Head => false,
        };
        // A refresh may have been caused by a HEAD.
        if parts.method == Method::HEAD && conditions != Conditions::Head {
            parts.method = Method::GET;
        }
        let mut validating = false;
        if asks_itself {
            conditional::strip(&mut parts.headers);
            let page = stale.as_ref().and_then(|kept| kept.as_page());
            if let Some(validators) = page.and_then(|page| page.validators(begun)) {
                validators.write(&mut parts.headers);
                validating = true;
            }
        }
        let clients = PrivateMark::of(&mut parts.extensions);
        let private = if asker == Asker::Nobody {
            // The client's exchange goes on beside the refresh: what is personal in it need not be so in this one.
            parts.extensions.insert(PrivateMark::default());
            Private::of_refresh(PrivateMark::of(&mut parts.extensions), clients)
        } else {
            Private::since_now(clients)
        };
        let tally = Tally::new(Arc::clone(&shared), cause, asker);
        let sent = Sent {
            tally,
            shared,
            rules,
            client,
            asked,
            audience,
            key,
            cause,
            collapse,
            sign,
            stale,
            validating,
            tags,
            private,
            begun,
        };
        (sent, Request::from_parts(parts, body))
    }
}
