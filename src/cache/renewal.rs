//! A newer head for a stored page: that of a 304 to its validators, or of the 200 to a HEAD. RFC 9111, 4.3.4 and 4.3.5

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header, response};
use http_body::Body;

use super::{
    asked::Head,
    body::CacheBody,
    fill,
    look::relabel,
    policy::{
        fields, freshness,
        reuse::Schedule,
        storable::{self, Consent, Reason, Storable},
        update::{self, Confirmed},
    },
    sent::Sent,
    status::{self, Fate},
    stored::{Access, Page, Stored},
    word::Caching,
};
use crate::{
    clock::Timestamp,
    observe::event,
    store::{Ending, Key, Lease, Store, Tags},
};

/// What a 304 makes of a stored page.
pub(crate) struct Confirmation<B: Body> {
    /// The client's response.
    pub(crate) answer: Response<CacheBody<B>>,
    outcome: Outcome,
}

/// What becomes of the stored page.
enum Outcome {
    Renewed(Box<Renewed>),
    /// It may not be kept any longer.
    Ended,
    /// It stays as it is, and the next request is for a whole response.
    Doubted,
}

/// A page with the fields of a newer head.
struct Renewed {
    page: Page,
    /// Fields that are for the one who asked, and not kept.
    aside: Vec<(HeaderName, HeaderValue)>,
    tags: Tags,
    /// The fields that select it now, beyond those that did before.
    selection: Vec<HeaderName>,
    fate: Fate,
}

/// More tags than a page is given at once. Those of each 304 come to those that it has, since nobody knows what they stood
/// for; a page whose tags would pile up is fetched whole instead.
const MOST_TAGS: usize = 64;

// === impl Sent ===

impl<T: Store<Stored>> Sent<T> {
    /// The page whose validators were sent, if this status says that it is still good.
    pub(crate) fn validated(&self, status: StatusCode) -> Option<&Page> {
        let is_confirmed = self.validating && status == StatusCode::NOT_MODIFIED;
        self.stale.as_ref().filter(|_| is_confirmed)?.as_page()
    }

    /// A 304 to the validators of `page` came, and the lease says that it may be kept anew.
    pub(crate) async fn renew<B, L>(
        &self,
        key: Key,
        lease: L,
        page: &Page,
        not_modified: response::Parts,
    ) -> Response<CacheBody<B>>
    where
        L: Lease<Stored>,
        B: Body,
    {
        let Confirmation { answer, outcome } = self.confirmed(page, not_modified);
        match outcome {
            Outcome::Renewed(renewed) => self.keep(key, lease, *renewed).await,
            // One of those who wait asks for a whole one.
            Outcome::Doubted => drop(lease),
            Outcome::Ended => {
                lease.disband(Ending::Uncacheable).await;
                // It would be asked about for ever.
                if !self.is_one_of_many() {
                    fill::removed(self.shared.fetch.store().remove(key.primary()).await);
                }
            }
        }
        answer
    }

    /// A 304 to the validators of `page`: it is good for longer, and has some new fields.
    pub(crate) fn confirmed<B: Body>(&self, page: &Page, mut not_modified: response::Parts) -> Confirmation<B> {
        let now = self.shared.plan.clock.now();
        if update::confirms(&not_modified.headers, &page.given_head(), now) == Confirmed::Another {
            page.doubt();
            return Confirmation { answer: self.unconfirmed(page, now), outcome: Outcome::Doubted };
        }
        if not_modified.headers.keys_len() > storable::MOST_FIELDS {
            let answer = self.answer(page, Fate::Uncacheable(Reason::TooLarge), now);
            return Confirmation { answer, outcome: Outcome::Ended };
        }
        let word = not_modified.extensions.remove::<Caching>().unwrap_or_default();
        let renewed = self.renewed(page, &not_modified.headers, word, now);
        let mut answer = self.answer(&renewed.page, renewed.fate, now);
        for (name, value) in &renewed.aside {
            let _full = answer.headers_mut().try_append(name, value.clone());
        }
        let outcome = match renewed.fate {
            Fate::Stored { .. } => Outcome::Renewed(Box::new(renewed)),
            Fate::Uncacheable(_) => Outcome::Ended,
            Fate::Unled => {
                page.doubt();
                Outcome::Doubted
            }
        };
        Confirmation { answer, outcome }
    }

    /// The response to a HEAD came while a page was stored; the lease is for that page.
    pub(crate) async fn headed<B, L>(self, key: Key, lease: L, response: Response<B>) -> Response<CacheBody<B>>
    where
        L: Lease<Stored>,
        B: Body,
    {
        let mut fate = Fate::Unled;
        let page = self.stale.as_ref().and_then(|kept| kept.as_page());
        if let Some(page) = page.filter(|page| [page.status, response.status()] == [StatusCode::OK; 2]) {
            let (now, head) = (self.shared.plan.clock.now(), response.headers());
            match update::confirms_head(head, &page.given_head(), page.body.len() as u64) {
                Confirmed::Stored if head.keys_len() <= storable::MOST_FIELDS => {
                    let word = response.extensions().get::<Caching>().cloned().unwrap_or_default();
                    let renewed = self.renewed(page, head, word, now);
                    if matches!(renewed.fate, Fate::Stored { .. }) {
                        fate = renewed.fate;
                        self.keep(key, lease, renewed).await;
                    }
                }
                // What is stale already is asked about anyway, and may yet be needed where the origin fails.
                Confirmed::Another if now < page.schedule.fresh_until && !self.is_one_of_many() => {
                    fill::removed(self.shared.fetch.store().remove(key.primary()).await);
                }
                Confirmed::Stored | Confirmed::Another | Confirmed::Unsaid => {}
            }
        }
        self.deliver(response, fate)
    }

    /// Fills the lease, on which `page` was read, with what a newer head made of it.
    async fn keep<L: Lease<Stored>>(&self, key: Key, lease: L, renewed: Renewed) {
        let Renewed { page, tags, selection, .. } = renewed;
        let keep_until = self.keep_until(&page.schedule, page.validators(page.schedule.answered).as_ref());
        let stays = selection.is_empty();
        let key = self.destination(key, &selection);
        let Some(lease) = self.narrow(key, lease, selection, keep_until).await else { return };
        let page = Stored::page(page);
        // Under another key there is no body yet that a store could leave where it is.
        let filled =
            if stays { lease.refresh(page, keep_until, tags).await } else { lease.fill(page, keep_until, tags).await };
        fill::stored(filled, &self.shared);
    }

    /// `page` with the fields of a newer head.
    fn renewed(&self, page: &Page, newer: &HeaderMap, word: Caching, now: Timestamp) -> Renewed {
        let mut head = update::updated(&page.given_head(), newer, now);
        self.rules.settings().add_vary(self.asked, &mut head);
        // RFC 9111, 4.1: if the newer head brings a `Vary`, that is what selects the page from now on.
        let selection =
            if newer.contains_key(header::VARY) { self.selection(newer) } else { self.selection(&HeaderMap::new()) };
        let storable = self.storable(page.status, &head, &word, now);
        let (schedule, access, dropped, mut fate) = match (storable, &selection) {
            (Storable::Yes(terms), Ok(_)) => {
                let schedule = self.schedule(&terms, now);
                let fate = Fate::Stored { fresh_until: schedule.fresh_until, now };
                (schedule, Access::of(&terms), terms.drop, fate)
            }
            (Storable::No(reason), _) | (Storable::Yes(_), &Err(reason)) => {
                let initial_age = freshness::initial_age(&head, self.begun, now);
                let schedule = Schedule { answered: now, initial_age, ..page.schedule };
                (schedule, page.access, Vec::new(), Fate::Uncacheable(reason))
            }
        };
        let before: &[_] = self.stale.as_ref().map_or(&[], |kept| kept.tags());
        let said = word.into_tags().into_iter().chain(self.groups(&head));
        let tags: Tags = self.tags.iter().cloned().chain(said).chain(before.iter().cloned()).collect();
        if matches!(fate, Fate::Stored { .. }) && tags.len() > before.len().max(MOST_TAGS) {
            fate = Fate::Unled;
        }
        let stored = fields::stored(&head, &dropped, now);
        let is_aside = |name: &HeaderName| dropped.contains(name) && *name != header::AGE;
        let aside = head.iter().filter(|(name, _)| is_aside(name)).map(|(name, value)| (name.clone(), value.clone()));
        let aside = aside.collect();
        let content = (page.body.clone(), page.trailers.clone());
        let terms = (schedule, access, now.since(self.begun));
        let own_etag = page.own_etag().filter(|_| !stored.contains_key(header::ETAG)).cloned();
        let page = Page::new(page.status, (stored, own_etag), content, terms, &self.shared.labels.hit);
        Renewed { page, aside, tags, selection: selection.unwrap_or_default(), fate }
    }

    /// What the page gives the one who asked, after a 304.
    fn answer<B: Body>(&self, page: &Page, fate: Fate, now: Timestamp) -> Response<CacheBody<B>> {
        let mut answer = page.answer(Head::from(&self.client), self.asked, now);
        let line = self.line().status(StatusCode::NOT_MODIFIED, answer.status()).fate(fate).key(&self.key);
        relabel(&mut answer, line.value());
        answer
    }

    /// RFC 9111, 4.3.4: the 304 speaks of a response that is not here, and updates nothing. The request cannot be sent again,
    /// since its body is gone, be it an empty one. So its asker is given the page that the origin has not disowned either,
    /// unless nothing may be served here that the origin has not confirmed.
    fn unconfirmed<B: Body>(&self, page: &Page, now: Timestamp) -> Response<CacheBody<B>> {
        event!("a 304 with the validator of another response");
        if page.schedule.consent == Consent::Stale {
            return self.answer(page, Fate::Unled, now);
        }
        let mut response = Response::new(CacheBody::empty());
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        let line = self.line().status(StatusCode::NOT_MODIFIED, response.status()).detail("unconfirmed").key(&self.key);
        status::add(response.headers_mut(), line.value());
        response
    }
}
