//! The service: a check before each request.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, response};
use http_body::Body;
use tower_service::Service;

use super::{
    answer::Dress,
    body::LimitBody,
    check::Check,
    contract::{Charge, Limiter, Verdict},
    failing::Failing,
    future::ResponseFuture,
    head::Head,
    layer::Shared,
    refusal::Refusal,
};
use crate::{error::Error, observe::event, origin::Origin, private::PrivateMark, quota::Decision};

/// A service whose requests are limited. Made by [`RateLimitLayer`](super::RateLimitLayer).
///
/// It is always ready: what is allowed waits until the inner service is, each request with a clone of its own, and what is refused
/// has no need of it.
pub struct RateLimit<S, L> {
    /// One pointer, since stacks clone their services for each request.
    core: Arc<Core<S, L>>,
}

struct Core<S, L> {
    origin: Origin<S>,
    shared: Arc<Shared<L>>,
}

/// What is to become of a request.
enum Judged {
    Passes(Dress),
    Refused(Response<Bytes>),
}

// === impl RateLimit ===

impl<S, L> RateLimit<S, L> {
    pub(super) fn new(inner: S, shared: Arc<Shared<L>>) -> Self {
        Self { core: Arc::new(Core { origin: Origin::new(inner), shared }) }
    }
}

impl<S, L, ReqBody, ResBody> Service<Request<ReqBody>> for RateLimit<S, L>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    L: Limiter,
    ReqBody: Send + 'static,
    ResBody: Body + Send + 'static,
{
    type Response = Response<LimitBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody, S::Error>;

    #[inline]
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let shared = &*self.core.shared;
        let mut check = Check::default();
        let request = if shared.reads_parts {
            let (parts, body) = request.into_parts();
            if !shared.plan.exempt.as_ref().is_some_and(|exempt| exempt(&parts)) {
                check.add(&shared.plan.policies, &Head::from(&parts));
            }
            Request::from_parts(parts, body)
        } else {
            check.add(&shared.plan.policies, &Head::from(&request));
            request
        };
        if check.is_empty() {
            shared.counts.exempt.raise();
            return ResponseFuture::forwarded(self.core.origin.begin(request), Dress::NONE);
        }
        (0..check.nobodies()).for_each(|_| shared.counts.nobody.raise());

        if !shared.waits
            && let Some(verdict) = shared.limiter.take_now(&check.charges(&shared.plan.policies))
        {
            return match shared.judge(&check, &verdict, verdict.is_allowed(), &Head::from(&request)) {
                Judged::Refused(response) => ResponseFuture::refused(response),
                Judged::Passes(dress) => ResponseFuture::forwarded(self.core.origin.begin(request), dress),
            };
        }
        let core = Arc::clone(&self.core);
        ResponseFuture::working(async move { core.ask(check, request).await })
    }
}

impl<S, L> Clone for RateLimit<S, L> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

impl<S: fmt::Debug, L> fmt::Debug for RateLimit<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").field("inner", &self.core.origin).finish_non_exhaustive()
    }
}

// === impl Core ===

impl<S, L: Limiter> Core<S, L> {
    /// Where the answer takes time, or the response says what the request was worth.
    async fn ask<B, R>(&self, check: Check, request: Request<B>) -> Result<Response<LimitBody<R>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
        R: Body,
    {
        let shared = &*self.shared;
        let policies = &shared.plan.policies;
        let _error = match shared.take(&check.charges(policies)).await {
            Ok(answer) => return self.carry_on(&shared.limiter, &check, answer, request).await,
            Err(error) => error,
        };
        event!(error = %_error, "the limiter could not be asked");
        if let Some(alone) = &shared.alone {
            shared.counts.alone.raise();
            let check = check.with_quotas(policies, |quota| shared.plan.failing.share(quota));
            let verdict = alone.take(&check.charges(policies)).await;
            let verdict = verdict.expect("what is in memory can be asked");
            return self.carry_on(alone, &check, Ok(verdict), request).await;
        }
        shared.counts.unasked.raise();
        if shared.plan.failing == Failing::Open || shared.plan.shadow {
            Ok(self.origin.call(request).await?.map(LimitBody::inner))
        } else {
            let refusal = Refusal::unavailable(check.names(policies));
            Ok(shared.refuse(&Head::from(&request), refusal).map(LimitBody::own))
        }
    }

    /// What follows from the answer that `limiter` gave.
    async fn carry_on<M: Limiter, B, R>(
        &self,
        limiter: &M,
        check: &Check,
        answer: Result<Verdict, Verdict>,
        request: Request<B>,
    ) -> Result<Response<LimitBody<R>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
        R: Body,
    {
        let shared = &*self.shared;
        let (Ok(verdict) | Err(verdict)) = &answer;
        match shared.judge(check, verdict, answer.is_ok() && verdict.is_allowed(), &Head::from(&request)) {
            Judged::Refused(response) => Ok(response.map(LimitBody::own)),
            Judged::Passes(dress) => {
                let (mut head, body) = self.origin.call(request).await?.into_parts();
                let (Ok(verdict) | Err(verdict)) = answer;
                shared.settle(limiter, check, verdict, &head).await;
                dress.put_on(&mut head.headers);
                Ok(Response::from_parts(head, LimitBody::inner(body)))
            }
        }
    }
}

/// Takes, without a round trip where it is known already that it would be denied.
pub(super) async fn ask(limiter: &impl Limiter, charges: &[Charge<'_>]) -> Result<Verdict, Error> {
    match limiter.take_now(charges) {
        Some(verdict) => Ok(verdict),
        None => limiter.take(charges).await,
    }
}

// === impl Shared ===

impl<L: Limiter> Shared<L> {
    /// Takes, or waits for it; `Err` when the wait would be too long.
    async fn take(&self, charges: &[Charge<'_>]) -> Result<Result<Verdict, Verdict>, Error> {
        // What is tried out holds up nobody.
        match self.queues.as_ref().filter(|_| !self.plan.shadow) {
            Some(queues) => queues.take(&self.limiter, charges).await,
            None if self.waits => ask(&self.limiter, charges).await.map(Ok),
            // What it knows without waiting was asked before.
            None => self.limiter.take(charges).await.map(Ok),
        }
    }

    fn judge(&self, check: &Check, verdict: &Verdict, is_allowed: bool, head: &Head<'_>) -> Judged {
        let policies = &self.plan.policies;
        let standings = check.policies(policies).zip(verdict.decisions().iter().map(Decision::standing));
        if is_allowed {
            self.counts.allowed.raise();
            Judged::Passes(if self.plan.shadow { Dress::NONE } else { self.fields.dress(self.plan.told, standings) })
        } else if self.plan.shadow {
            self.counts.shadowed.raise();
            event!(policies = ?check.denied(policies, verdict), "would be refused");
            Judged::Passes(Dress::NONE)
        } else {
            self.counts.denied.raise();
            event!(policies = ?check.denied(policies, verdict), "refused");
            let refusal = Refusal::exceeded(check.denied(policies, verdict), verdict.retry());
            let mut response = self.refuse(head, refusal);
            self.fields.dress_refusal(self.plan.told, standings, verdict.retry()).put_on(response.headers_mut());
            Judged::Refused(response)
        }
    }

    fn refuse(&self, head: &Head<'_>, refusal: Refusal<'_>) -> Response<Bytes> {
        // Only a cache that is further out asks, and it has put the mark there.
        if let Some(mark) = head.extensions.get::<PrivateMark>() {
            mark.raise();
        }
        let refusal = refusal.to(head);
        match &self.plan.reject {
            Some(reject) => reject(&refusal),
            None => refusal.respond(),
        }
    }

    /// Gives back, or takes more, as the response says.
    async fn settle(&self, limiter: &impl Limiter, check: &Check, verdict: Verdict, head: &response::Parts) {
        let policies = &self.plan.policies;
        let all = check.policies(policies).map(|(policy, _)| policy).zip(check.charges(policies));
        for ((policy, charge), decision) in all.zip(verdict.into_decisions()) {
            let (Some(cost), Decision::Taken(taken)) = (policy.settled(head, charge.cost), decision) else { continue };
            let settled = if cost < charge.cost {
                limiter.refund(charge, taken.all_but(cost)).await.map(drop)
            } else if cost > charge.cost {
                limiter.penalise(Charge { cost: cost - charge.cost, ..charge }).await.map(drop)
            } else {
                Ok(())
            };
            if let Err(_error) = settled {
                event!(error = %_error, policy = policy.name(), "what the response cost could not be settled");
            }
        }
    }
}
