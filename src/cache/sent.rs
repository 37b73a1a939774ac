//! What to do with the response to a request that was sent inwards.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, request};
use http_body::Body;

use super::{
    asked::{Asked, Head},
    body::CacheBody,
    fill::{self, Draft, Private},
    key::{self, Audience},
    language,
    layer::Shared,
    look::relabel,
    policy::{
        allowance::{Allowance, Principal},
        conditional::{self, Validators},
        control::RequestControl,
        fields, groups,
        length::{self, Length},
        reuse::Schedule,
        storable::{self, Chosen, Cookies, Reason, Storable, Terms, Times},
        targeted,
        vary::{self, Vary},
    },
    rules::Rules,
    spool::spool,
    status::{self, Cause, Collapse, Fate, Line},
    stored::{Access, Stored},
    tally::Tally,
    word::Caching,
};
use crate::{
    clock::Timestamp,
    observe::event,
    store::{Ending, Kept, Key, Lease, Store, Tag, Tags, fetch::Made},
};

/// A request that was sent inwards: what of it is needed when its response is there.
pub(crate) struct Sent<T> {
    pub(crate) tally: Tally<T>,
    pub(crate) shared: Arc<Shared<T>>,
    pub(crate) rules: Rules,
    /// The head as the client sent it, without extensions.
    pub(crate) client: request::Parts,
    pub(crate) asked: Asked,
    pub(crate) audience: Audience,
    /// Under which the response was looked for.
    pub(crate) key: Key,
    pub(crate) cause: Cause,
    pub(crate) collapse: Collapse,
    /// The last sign on the way to the key.
    pub(crate) sign: Option<(Key, Kept<Stored>)>,
    /// The page that was not good enough.
    pub(crate) stale: Option<Kept<Stored>>,
    /// Whether its validators were sent.
    pub(crate) validating: bool,
    /// The rule's.
    pub(crate) tags: Vec<Tag>,
    pub(crate) private: Private,
    pub(crate) begun: Timestamp,
}

/// Where a response may be kept that is selected by its language.
struct ByLanguage {
    /// Under the words in which the request asked for languages.
    own: Key,
    /// Under its language, if it is in one.
    there: Option<(Key, HeaderValue)>,
}

// === impl Sent ===

impl<T: Store<Stored>> Sent<T> {
    /// The response came, and the lease says that it may be stored.
    pub(crate) async fn led<B, E, L>(
        self,
        key: Key,
        lease: L,
        response: Response<B>,
    ) -> Made<Result<Response<CacheBody<B>>, E>>
    where
        L: Lease<Stored>,
        B: Body + Send + 'static,
        B::Error: Send,
    {
        if let Some(page) = self.validated(response.status()) {
            return Made::now(Ok(self.renew(key, lease, page, response.into_parts().0).await));
        }
        if let Some(answer) = self.failed(response.status()) {
            lease.disband(Ending::Failed).await;
            return Made::now(Ok(answer));
        }
        let (mut parts, body) = response.into_parts();
        let word = parts.extensions.remove::<Caching>().unwrap_or_default();
        let answered = self.shared.plan.clock.now();
        let selection = self.selection(&parts.headers);
        self.rules.settings().add_vary(self.asked, &mut parts.headers);
        let storable = self.storable(parts.status, &parts.headers, &word, answered);
        let (terms, selection) = match (storable, selection) {
            (Storable::Yes(terms), Ok(selection)) => (terms, selection),
            (Storable::No(reason), _) | (Storable::Yes(_), Err(reason)) => {
                self.keep_nothing(lease, parts.status).await;
                return Made::now(Ok(self.deliver(Response::from_parts(parts, body), Fate::Uncacheable(reason))));
            }
        };
        let draft = self.draft(parts.status, &parts.headers, &terms, word.into_tags(), answered);
        let (status, fate) = (parts.status, Fate::Stored { fresh_until: draft.schedule.fresh_until, now: answered });
        let by_language = self.by_language(key, &selection, &parts.headers);
        let key = self.destination(key, &selection);
        let narrowed = self.narrow(key, lease, selection, draft.keep_until).await;
        let (key, narrowed) = match (narrowed, by_language) {
            (Some(lease), Some(ByLanguage { own, there: Some((there, language)) })) if key == own && key != there => {
                let sign = Stored::same(there.variant(), language);
                (there, leave_sign(lease, there, sign, draft.keep_until).await)
            }
            // It is where others find a language that this is not.
            (Some(_), Some(places)) if !places.include(key) => (key, None),
            (narrowed, _) => (key, narrowed),
        };
        let Some(lease) = narrowed else {
            return Made::now(Ok(self.deliver(Response::from_parts(parts, body), Fate::Unled)));
        };

        let (writer, reader) = spool(body.size_hint(), self.shared.budget.share());
        let (gone, detached) = (writer.reader_gone(), self.shared.fetch.detached().clone());
        let filling = draft.fill(Box::pin(body), writer, lease, Arc::clone(&self.shared));
        let rest = Box::pin(async move {
            detached.run(gone, filling).await;
        });
        let response = self.selected(Response::from_parts(parts, CacheBody::spooled(reader)), answered);
        Made::with_rest(Ok(self.label(response, status, &key, fate)), rest).await
    }

    /// The stale page in place of a status that RFC 5861, 4 counts as an error, where that is allowed.
    pub(crate) fn failed<B: Body>(&self, status: StatusCode) -> Option<Response<CacheBody<B>>> {
        matches!(status.as_u16(), 500 | 502..=504).then(|| self.rescue(Some(status)))?
    }

    /// The stale page in place of an error, where that is allowed.
    pub(crate) fn rescue<B: Body>(&self, status: Option<StatusCode>) -> Option<Response<CacheBody<B>>> {
        let now = self.shared.plan.clock.now();
        let page = self.stale.as_ref()?.as_page().filter(|page| page.schedule.may_serve_on_error(now))?;
        self.tally.stale();
        event!(?status, "stale, since the attempt failed");
        let mut answer = page.answer(Head::from(&self.client), self.asked, now);
        let line = match status {
            Some(status) => self.line().status(status, answer.status()),
            None => self.line().detail("error"),
        };
        relabel(&mut answer, line.ttl(page.schedule.fresh_until, now).key(&self.key).value());
        Some(answer)
    }

    /// The response as it came, with what the cache has to say of it.
    pub(crate) fn deliver<B: Body>(&self, mut response: Response<B>, fate: Fate) -> Response<CacheBody<B>> {
        response.extensions_mut().remove::<Caching>();
        self.rules.settings().add_vary(self.asked, response.headers_mut());
        let status = response.status();
        self.label(response.map(CacheBody::inner), status, &self.key, fate)
    }

    /// Ends a lease whose response may not be stored.
    async fn keep_nothing<L: Lease<Stored>>(&self, lease: L, status: StatusCode) {
        self.shared.counts.uncacheable.raise();
        let is_refusal = status.is_client_error() && !matches!(status.as_u16(), 404 | 410);
        if status.is_server_error() {
            lease.disband(Ending::Failed).await;
        } else if is_refusal {
            // It may be the request's fault: a mark would let anyone keep a page from being cached.
            lease.disband(Ending::Uncacheable).await;
        } else {
            fill::pass(lease, &self.shared, self.pass_ttl()).await;
        }
    }

    /// For how long the key is remembered as uncacheable; not at all where that would take the place of a page that an
    /// error may call for, or that still serves others.
    fn pass_ttl(&self) -> Option<Duration> {
        let now = self.shared.plan.clock.now();
        let page = self.stale.as_ref().and_then(|kept| kept.as_page());
        let may_be_needed = page.is_some_and(|page| page.schedule.may_serve_on_error(now));
        (!self.private.is_doubtful() && !may_be_needed && !self.is_one_of_many())
            .then_some(self.rules.settings().pass_ttl)
    }

    /// Whether the request is personal, and there is a page that still serves others.
    pub(crate) fn is_one_of_many(&self) -> bool {
        let now = self.shared.plan.clock.now();
        let page = self.stale.as_ref().and_then(|kept| kept.as_page());
        matches!(self.audience, Audience::Personal(_)) && page.is_some_and(|page| now < page.schedule.useless_from())
    }

    /// The variant of `key` that the request's values of `names` select.
    pub(crate) fn destination(&self, key: Key, names: &[HeaderName]) -> Key {
        if names.is_empty() {
            return key;
        }
        key.with_variant(key::variant(&self.shared.seed, &key, names, self.rules.settings().seen(&self.client.headers)))
    }

    /// Moves the lease to `key`, which the request's values of `names` select.
    pub(crate) async fn narrow<L>(&self, key: Key, lease: L, names: Vec<HeaderName>, keep_until: Timestamp) -> Option<L>
    where
        L: Lease<Stored>,
    {
        if names.is_empty() {
            return Some(lease);
        }
        leave_sign(lease, key, Stored::vary(names), keep_until).await
    }

    /// Where a response belongs that the fields `selection` select from `key` on, if languages are shared.
    fn by_language(&self, key: Key, selection: &[HeaderName], head: &HeaderMap) -> Option<ByLanguage> {
        let (at, names) = match &self.sign {
            Some((at, sign)) if selection.is_empty() => (at, sign.names()),
            _ => (&key, selection),
        };
        let (seed, settings, headers) = (&self.shared.seed, self.rules.settings(), &self.client.headers);
        language::are_shared(settings, names).then(|| ByLanguage {
            own: self.destination(*at, names),
            there: language::of(head).and_then(|language| {
                let there = language::variant(seed, settings, (at, names), headers, language.clone())?;
                Some((there, language))
            }),
        })
    }

    /// The fields that select the response beyond those that selected the key already, with those of the signs on the
    /// way; nothing, if there are none.
    pub(crate) fn selection(&self, head: &HeaderMap) -> Result<Vec<HeaderName>, Reason> {
        let Vary::On(mut names) = vary::parse(head) else { return Err(Reason::Vary) };
        let signed: &[HeaderName] = self.sign.as_ref().map_or(&[], |(_, sign)| sign.names());
        let settings = self.rules.settings();
        names.retain(|name| !signed.contains(name) && !settings.key_headers.contains(name));
        if !names.is_empty() {
            names.extend_from_slice(signed);
        }
        if names.len() > vary::MOST_NAMES { Err(Reason::Vary) } else { Ok(names) }
    }

    /// The tags of a response that may be stored and has a lifetime of its own.
    pub(crate) fn tags_if_explicit<B>(&self, response: &Response<B>) -> Option<Tags> {
        let word = response.extensions().get::<Caching>().cloned().unwrap_or_default();
        let now = self.shared.plan.clock.now();
        match self.storable(response.status(), response.headers(), &word, now) {
            Storable::Yes(Terms { chosen: Chosen::Explicit, .. }) => {
                let groups = self.groups(response.headers());
                Some(self.tags.iter().cloned().chain(word.into_tags()).chain(groups).collect())
            }
            Storable::Yes(_) | Storable::No(_) => None,
        }
    }

    pub(crate) fn storable(
        &self,
        status: StatusCode,
        head: &HeaderMap,
        word: &Caching,
        answered: Timestamp,
    ) -> Storable {
        if word.is_never() {
            return Storable::No(Reason::Handler);
        }
        if self.private.is_raised() {
            return Storable::No(Reason::PrivateMark);
        }
        let settings = self.rules.settings();
        let cookied = matches!(self.audience, Audience::Personal(personal) if personal.cookied);
        let control = RequestControl::parse(&self.client.headers);
        let asked = storable::Asked::of(
            &self.client.headers,
            &control,
            if cookied { Cookies::Personal } else { Cookies::Known },
        );
        let window = |window: Duration| (!window.is_zero()).then_some(window);
        let allowance = Allowance {
            default_ttl: settings.default_ttl,
            negative_ttl: settings.negative_ttl,
            max_ttl: settings.max_ttl,
            handler_ttl: word.stated_ttl(),
            stale_while_revalidate: window(settings.stale_while_revalidate),
            stale_if_error: window(settings.stale_if_error),
            set_cookie: settings.set_cookie,
            heuristics: settings.heuristics,
            body_limit: settings.body_limit,
            principal: match self.audience {
                Audience::Principal => Principal::InKey,
                Audience::Everyone | Audience::Personal(_) => Principal::Unknown,
            },
        };
        let times = Times { asked: self.begun, answered };
        storable::storable(&asked, status, head, &targeted::control(head, &settings.targeted_fields), &allowance, times)
    }

    fn draft(&self, status: StatusCode, head: &HeaderMap, terms: &Terms, tags: Vec<Tag>, answered: Timestamp) -> Draft {
        let settings = self.rules.settings();
        let schedule = self.schedule(terms, answered);
        let declared = match length::stated(head) {
            Length::Bytes(length) => Some(length),
            Length::Unsaid | Length::Unclear => None,
        };
        Draft {
            status,
            tagger: settings.etags.tagger(status, head),
            head: fields::stored(head, &terms.drop, answered),
            schedule,
            access: Access::of(terms),
            dropped: terms.drop.clone(),
            set_cookie: settings.set_cookie,
            tags: self.tags.iter().cloned().chain(tags).chain(self.groups(head)).collect(),
            keep_until: self.keep_until(&schedule, Validators::of(head, answered).as_ref()),
            begun: self.begun,
            declared,
            complete_at: declared.filter(|_| !head.contains_key(header::TRAILER)),
            body_limit: settings.body_limit,
            pass_ttl: self.pass_ttl(),
            private: self.private.clone(),
        }
    }

    /// The tags of the groups that a response says it is in.
    pub(crate) fn groups(&self, head: &HeaderMap) -> Vec<Tag> {
        let names = groups::named(head, &groups::CACHE_GROUPS);
        let (uri, settings, host) = (&self.client.uri, self.rules.settings(), Asked::of(&self.client.headers).1);
        names.iter().filter_map(|name| key::group(&self.shared.seed, settings, uri, host, name)).collect()
    }

    /// The times of a response on these terms, jittered.
    pub(crate) fn schedule(&self, terms: &Terms, answered: Timestamp) -> Schedule {
        let jitter = self.rules.settings().jitter;
        let left = terms.lifetime.saturating_sub(terms.initial_age);
        // RFC 9111, 4.2: what the origin stated may be shortened, never stretched.
        let moved = match terms.chosen {
            Chosen::Explicit => jitter.shorten(left, rand::random()),
            Chosen::ByRule => jitter.spread(left, rand::random()),
        };
        let lifetime = terms.lifetime.saturating_sub(left).saturating_add(moved);
        let lifetime = self.rules.settings().max_ttl.map_or(lifetime, |longest| lifetime.min(longest));
        Schedule::new(&Terms { lifetime, ..terms.clone() }, answered)
    }

    pub(crate) fn keep_until(&self, schedule: &Schedule, validators: Option<&Validators>) -> Timestamp {
        let grace = if validators.is_some() { VALIDATION_GRACE } else { Duration::ZERO };
        schedule.useless_from().max(schedule.answered).plus(grace)
    }

    /// The response that the client's own conditions select. They were not sent inwards, so they are judged here.
    fn selected<B: Body>(&self, mut response: Response<CacheBody<B>>, answered: Timestamp) -> Response<CacheBody<B>> {
        let (head, status) = (response.headers(), response.status());
        let client = &self.client.headers;
        if self.asked.condition()
            && conditional::answer(&Method::GET, client, status, head, answered) == conditional::Answer::NotModified
        {
            *response.headers_mut() = conditional::not_modified(response.headers());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = CacheBody::empty();
        }
        response
    }

    /// Says what became of a response that came with `status`.
    fn label<B: Body>(
        &self,
        mut response: Response<CacheBody<B>>,
        status: StatusCode,
        key: &Key,
        fate: Fate,
    ) -> Response<CacheBody<B>> {
        let line = self.line().status(status, response.status()).fate(fate).key(key);
        event!(cause = ?self.cause, ?fate, status = status.as_u16(), "miss");
        status::add(response.headers_mut(), line.value());
        response
    }

    pub(crate) fn line(&self) -> Line<'_> {
        self.shared.labels.forwarded(self.cause).collapsed(self.collapse)
    }
}

// === impl ByLanguage ===

impl ByLanguage {
    fn include(&self, key: Key) -> bool {
        self.own == key || self.there.as_ref().is_some_and(|(there, _)| *there == key)
    }
}

/// Leaves `sign` where the lease is, and moves it to `key`.
async fn leave_sign<L>(lease: L, key: Key, sign: Stored, keep_until: Timestamp) -> Option<L>
where
    L: Lease<Stored>,
{
    lease.narrow(key.variant(), sign, keep_until.plus(SIGN_GRACE)).await.ok().flatten()
}

/// How long an entry that can be validated is kept beyond its use without.
const VALIDATION_GRACE: Duration = Duration::from_secs(3600);

/// A sign that ends before its variants would hide them.
const SIGN_GRACE: Duration = Duration::from_secs(3600);
