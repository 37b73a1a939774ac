//! The cached service: from a request to what is done with it.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, request::Parts};
use http_body::Body;
use tower_service::Service;

use super::{
    asked::{Asked, Head},
    body::CacheBody,
    errand::Errand,
    future::{Dress, ResponseFuture},
    invalidation::{self, Invalidation},
    key::{self, Audience},
    layer::{RuleSource, Shared},
    look::Look,
    policy::{control::RequestControl, invalidate},
    post,
    query_method::Content,
    rules::{Post, Rules},
    status::Cause,
    stored::Stored,
    walk::Walk,
};
use crate::{
    observe::{Count, event},
    origin::Origin,
    store::{Kept, Key, Store},
};

/// A service whose responses are cached. Made by [`CacheLayer`](super::CacheLayer).
///
/// It is always ready: what must go to the inner service waits until that is ready, each request with a clone of its
/// own, and what is answered from the store has no need of it.
pub struct Cache<S, T> {
    /// One pointer, since stacks clone their services for each request.
    core: Arc<Core<S, T>>,
}

/// What all clones of a service share.
pub(super) struct Core<S, T> {
    pub(super) origin: Origin<S>,
    pub(super) shared: Arc<Shared<T>>,
}

/// A request whose response may be stored, and what was read of it.
pub(super) struct Ask<B> {
    pub(super) rules: Rules,
    pub(super) parts: Parts,
    pub(super) body: B,
    pub(super) asked: Asked,
    pub(super) audience: Audience,
}

/// Where a response is to go, and what is there by now.
pub(super) struct Miss {
    pub(super) key: Key,
    pub(super) cause: Cause,
    pub(super) stale: Option<Kept<Stored>>,
    /// The last sign on the way, with all the fields that selected the key, and where it stands.
    pub(super) sign: Option<(Key, Kept<Stored>)>,
}

// === impl Cache ===

impl<S, T> Cache<S, T> {
    pub(super) fn new(inner: S, shared: Arc<Shared<T>>) -> Self {
        Self { core: Arc::new(Core { origin: Origin::new(inner), shared }) }
    }
}

impl<S, T, ReqBody, ResBody> Service<Request<ReqBody>> for Cache<S, T>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    T: Store<Stored>,
    ReqBody: Body + Send + 'static,
    ResBody: Body + Send + 'static,
    ResBody::Error: Send,
{
    type Response = Response<CacheBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody, S::Error>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let shared = &*self.core.shared;
        let computed;
        let rules = match &shared.plan.rules {
            RuleSource::Constant(rules) => rules,
            RuleSource::Computed(rules) => {
                (request, computed) = read_parts(request, |parts| rules(parts));
                &computed
            }
        };
        let settings = rules.settings();

        if settings.bypass {
            return self.forward(request, &shared.labels.bypass, &shared.counts.bypass);
        }
        let mut content = None;
        if request.method() != Method::GET && request.method() != Method::HEAD {
            if !invalidate::is_safe(request.method()) {
                return self.change(rules.clone(), request);
            }
            content = request.extensions().get::<Content>().filter(|_| invalidate::is_query(request.method())).cloned();
            if content.is_none() {
                return self.forward(request, &shared.labels.method, &shared.counts.method);
            }
        }
        let mut principal = None;
        if settings.is_keyed_by_principal() {
            (request, principal) = read_parts(request, |parts| settings.principal(parts));
        }
        let (asked, host) = Asked::of(request.headers());
        let is_plain = (content.is_some() || request.body().is_end_stream())
            && !asked.upgrade()
            && !asked.precondition()
            && !asked.method_override();
        let head = Head::from(&request).of_result();
        let said = (head, content.as_ref(), principal.as_deref());
        let keyed = key::of(&shared.seed, settings, said, (asked, host));
        let Some((key, audience)) = keyed.filter(|_| is_plain) else {
            return self.forward(request, &shared.labels.bypass, &shared.counts.bypass);
        };

        let look = Look { shared, settings, head, asked, audience, now: shared.plan.clock.now() };
        let first = shared.fetch.store().get_now(&key);
        if let Some(page) = first.as_ref().and_then(|kept| look.plain_hit(kept)) {
            let response = look.answer(page, &key, false);
            shared.counts.hits.raise();
            event!(method = %request.method(), uri = %head.uri, "hit");
            return ResponseFuture::answered(response);
        }
        match look.walk(key, first) {
            Walk::Good { kept, key, sign, stale, refresh } => {
                let Some(page) = kept.as_page() else { unreachable!("only pages are good") };
                let response = look.answer(page, &key, stale);
                let count = if stale { &shared.counts.stale } else { &shared.counts.hits };
                count.raise();
                event!(method = %request.method(), uri = %head.uri, stale, refresh, "hit");
                // What came of a request that says `no-store` could not take the page's place.
                if refresh && !look.control().no_store && page.claim_refresh(look.now) {
                    let miss = Miss { key, cause: Cause::Expired, stale: Some(kept.clone()), sign };
                    self.refresh(kept, Ask::new(rules.clone(), request, asked, audience), miss);
                }
                ResponseFuture::answered(response)
            }
            Walk::Pass => self.pass((rules.clone(), asked), request),
            Walk::Miss(_) if !key::authority(settings, head.uri, host).is_some_and(key::is_authority) => {
                self.forward(request, &shared.labels.bypass, &shared.counts.bypass)
            }
            Walk::Miss(miss) => {
                let control = look.control();
                self.miss(Ask::new(rules.clone(), request, asked, audience), control, miss)
            }
        }
    }
}

/// Everything but hits, out of their way.
impl<S, T> Cache<S, T> {
    /// An unsafe request: forwards it, and removes what it makes invalid.
    #[inline(never)]
    fn change<ReqBody, ResBody>(
        &self,
        rules: Rules,
        mut request: Request<ReqBody>,
    ) -> ResponseFuture<S::Future, ResBody, S::Error>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        T: Store<Stored>,
        ReqBody: Send + 'static,
        ResBody: Body + Send + 'static,
        ResBody::Error: Send,
    {
        let core = Arc::clone(&self.core);
        if rules.settings().post == Post::Stored && request.method() == Method::POST {
            let key;
            (request, key) = self.key_of_post(&rules, request);
            if let Some((key, asked, audience)) = key {
                event!(uri = %request.uri(), "a POST that may be stored");
                let invalidation = Invalidation::new(Arc::clone(&core.shared), rules.clone(), Head::from(&request));
                let ask = Ask::new(rules, request, asked, audience);
                return ResponseFuture::working(post::forward(core, ask, key, invalidation));
            }
        }
        core.shared.counts.method.raise();
        event!(method = %request.method(), uri = %request.uri(), "a change");
        let invalidation = Invalidation::new(Arc::clone(&core.shared), rules, Head::from(&request));
        ResponseFuture::working(async move { invalidation::forward(&core.origin, request, invalidation).await })
    }

    /// Where the response to a `POST` would be found by a `GET` with the same head, if it may be stored at all.
    fn key_of_post<B>(&self, rules: &Rules, request: Request<B>) -> (Request<B>, Option<(Key, Asked, Audience)>) {
        let (shared, settings) = (&self.core.shared, rules.settings());
        let (request, principal) = read_parts(request, |parts| settings.principal(parts));
        let head = Head::from(&request);
        let (asked, host) = Asked::of(head.headers);
        let is_not_plain = asked.upgrade() || asked.method_override() || asked.precondition();
        let is_plain = !(is_not_plain || asked.condition() || asked.range())
            && key::authority(settings, head.uri, host).is_some_and(key::is_authority);
        let keyed = key::of(&shared.seed, settings, (head, None, principal.as_deref()), (asked, host));
        let found = keyed.filter(|_| is_plain).map(|(key, audience)| match audience {
            Audience::Personal(personal) => (key::personal(&shared.seed, key, personal), asked, audience),
            Audience::Everyone | Audience::Principal => (key, asked, audience),
        });
        (request, found)
    }

    /// What is known as uncacheable goes its way at once.
    #[inline(never)]
    fn pass<ReqBody, ResBody>(
        &self,
        (rules, asked): (Rules, Asked),
        request: Request<ReqBody>,
    ) -> ResponseFuture<S::Future, ResBody, S::Error>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        ReqBody: Send + 'static,
        ResBody: Body + 'static,
    {
        let shared = &self.core.shared;
        shared.counts.pass.raise();
        event!(method = %request.method(), uri = %request.uri(), "pass");
        let (mut parts, body) = request.into_parts();
        rules.settings().strip(&mut parts);
        let dress = Dress { label: shared.labels.pass.clone(), rules: Some((rules, asked)) };
        ResponseFuture::forwarded(self.core.origin.begin(Request::from_parts(parts, body)), dress)
    }

    /// Makes the page anew behind the client's back.
    #[inline(never)]
    fn refresh<ReqBody, ResBody>(&self, kept: Kept<Stored>, ask: Ask<ReqBody>, miss: Miss)
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        T: Store<Stored>,
        ReqBody: Body + Send + 'static,
        ResBody: Body + Send + 'static,
        ResBody::Error: Send,
    {
        let key = miss.key;
        let errand = Errand::new(Arc::clone(&self.core), ask, miss).in_background();
        self.core.shared.fetch.refresh(key, kept, errand);
    }

    /// Nothing that may be used: asks the inner service, with a lease if the response could be shared.
    #[inline(never)]
    fn miss<ReqBody, ResBody>(
        &self,
        mut ask: Ask<ReqBody>,
        control: RequestControl,
        miss: Miss,
    ) -> ResponseFuture<S::Future, ResBody, S::Error>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        T: Store<Stored>,
        ReqBody: Body + Send + 'static,
        ResBody: Body + Send + 'static,
        ResBody::Error: Send,
    {
        if control.only_if_cached {
            return ResponseFuture::answered(self.core.shared.not_cached());
        }
        if ask.parts.method == Method::HEAD && miss.stale.is_some() && !control.no_store {
            let key = miss.key;
            return ResponseFuture::working(Errand::new(Arc::clone(&self.core), ask, miss).head(key));
        }
        // A part, a head or what must not be stored cannot be shared: no lease is asked for.
        if ask.asked.range() || control.no_store || ask.parts.method == Method::HEAD {
            let shared = &self.core.shared;
            shared.count(miss.cause).raise();
            event!(method = %ask.parts.method, uri = %ask.parts.uri, cause = ?miss.cause, "miss, without a lease");
            ask.rules.settings().strip(&mut ask.parts);
            let dress = Dress {
                label: shared.labels.forwarded(miss.cause).key(&miss.key).value(),
                rules: Some((ask.rules, ask.asked)),
            };
            let begun = self.core.origin.begin(Request::from_parts(ask.parts, ask.body));
            return ResponseFuture::forwarded(begun, dress);
        }
        let (key, stale) = (miss.key, miss.stale.clone());
        let errand = Errand::new(Arc::clone(&self.core), ask, miss);
        let shared = Arc::clone(&self.core.shared);
        ResponseFuture::working(async move { shared.fetch.answer(key, stale, errand).await })
    }

    fn forward<ReqBody, ResBody>(
        &self,
        request: Request<ReqBody>,
        label: &HeaderValue,
        count: &Count,
    ) -> ResponseFuture<S::Future, ResBody, S::Error>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send + 'static,
        ReqBody: Send + 'static,
        ResBody: Body + 'static,
    {
        count.raise();
        event!(method = %request.method(), uri = %request.uri(), ?label, "forwarded");
        let dress = Dress { label: label.clone(), rules: None };
        ResponseFuture::forwarded(self.core.origin.begin(request), dress)
    }
}

impl<S, T> Clone for Cache<S, T> {
    #[inline]
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

impl<S: fmt::Debug, T> fmt::Debug for Cache<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("inner", &self.core.origin).finish_non_exhaustive()
    }
}

/// What a function of the user's makes of a request's head.
fn read_parts<B, R>(request: Request<B>, read: impl FnOnce(&Parts) -> R) -> (Request<B>, R) {
    let (parts, body) = request.into_parts();
    let made = read(&parts);
    (Request::from_parts(parts, body), made)
}

// === impl Ask ===

impl<B> Ask<B> {
    fn new(rules: Rules, request: Request<B>, asked: Asked, audience: Audience) -> Self {
        let (parts, body) = request.into_parts();
        Self { rules, parts, body, asked, audience }
    }
}

// === impl Shared ===

impl<T> Shared<T> {
    pub(super) fn count(&self, cause: Cause) -> &Count {
        match cause {
            Cause::Absent => &self.counts.absent,
            Cause::Variant => &self.counts.variant,
            Cause::Expired => &self.counts.expired,
            Cause::Requested => &self.counts.requested,
            Cause::Method => &self.counts.method,
        }
    }

    /// RFC 9111, 5.2.1.7. Without `Cache-Status`: it is based upon nothing stored (RFC 9211, 2).
    fn not_cached<B: Body>(&self) -> Response<CacheBody<B>> {
        let mut response = Response::new(CacheBody::empty());
        *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
        response
    }
}
