//! What to make of a stored value for one request. The same question on the way in, after a wait and after a fill.

use http::{HeaderValue, Response};
use http_body::Body;

use super::{
    asked::{Asked, Head},
    body::CacheBody,
    key::{self, Audience},
    layer::Shared,
    policy::{
        control::RequestControl,
        reuse::{self, Demands, Reuse},
    },
    rules::{ClientDirectives, Settings},
    status::{self, Cause},
    stored::{Kind, Page, Stored},
};
use crate::{
    clock::Timestamp,
    store::{Kept, Key},
};

/// One request, as far as stored values are judged by it.
pub(crate) struct Look<'a, T> {
    pub(crate) shared: &'a Shared<T>,
    pub(crate) settings: &'a Settings,
    pub(crate) head: Head<'a>,
    pub(crate) asked: Asked,
    pub(crate) audience: Audience,
    pub(crate) now: Timestamp,
}

/// What a stored value is to a request.
pub(crate) enum Found {
    /// Good to use; `stale` if its lifetime is over, `refresh` if a new one should be made.
    Good { stale: bool, refresh: bool },
    /// A sign to a variant.
    Elsewhere(Key),
    /// A sign to a page that others make, good for this request too while it is fresh.
    Same(Key, HeaderValue),
    /// A sign that there is nothing to look for.
    Pass,
    /// A response that cannot be used as it is.
    Expired(Cause),
    /// As good as absent.
    Nothing,
}

// === impl Look ===

impl<T> Look<'_, T> {
    /// What `kept`, found under `key`, is to the request.
    #[inline]
    pub(crate) fn judge(&self, key: &Key, kept: &Kept<Stored>) -> Found {
        match kept.kind() {
            Kind::Page(page) => self.judge_page(page),
            Kind::Vary(names) => {
                let variant = key::variant(&self.shared.seed, key, names, self.settings.seen(self.head.headers));
                Found::Elsewhere(key.with_variant(variant))
            }
            Kind::Same { variant, language } => Found::Same(key.with_variant(*variant), language.clone()),
            Kind::Pass if self.now < kept.keep_until() => Found::Pass,
            Kind::Pass => Found::Nothing,
        }
    }

    /// The directives of the request.
    pub(crate) fn control(&self) -> RequestControl {
        if self.asked.control() { RequestControl::parse(self.head.headers) } else { RequestControl::default() }
    }

    /// Whether a page that was stored for everyone says explicitly that it is for this request too.
    pub(crate) fn is_open(&self, page: &Page) -> bool {
        match self.audience {
            Audience::Personal(personal) => {
                (!personal.authorized || page.access.authorized) && (!personal.cookied || page.access.cookied)
            }
            Audience::Everyone | Audience::Principal => true,
        }
    }

    /// The response that a good page gives.
    #[inline]
    pub(crate) fn answer<B: Body>(&self, page: &Page, key: &Key, stale: bool) -> Response<CacheBody<B>> {
        let mut response = page.answer(self.head, self.asked, self.now);
        if stale || self.shared.labels.tell_more() {
            self.tell(page, key, &mut response);
        }
        response
    }

    /// The page says `hit`; how long it is fresh, or past that, only the moment knows.
    #[inline(never)]
    fn tell<B: Body>(&self, page: &Page, key: &Key, response: &mut Response<CacheBody<B>>) {
        let line = self.shared.labels.answered().ttl(page.schedule.fresh_until, self.now).key(key);
        relabel(response, line.value());
    }

    #[inline]
    pub(crate) fn judge_page(&self, page: &Page) -> Found {
        let control;
        let demands = match self.settings.client_directives {
            ClientDirectives::Honoured if self.asked.control() => {
                control = RequestControl::parse(self.head.headers);
                Demands::Honoured(&control)
            }
            ClientDirectives::Honoured | ClientDirectives::Ignored => Demands::Ignored,
        };
        match reuse::verdict(&page.schedule, demands, self.now) {
            Reuse::Fresh => {
                let remaining = page.schedule.fresh_until.since(self.now);
                let refresh = self.settings.early_refresh.is_due(remaining, page.cost, rand::random);
                Found::Good { stale: false, refresh }
            }
            Reuse::Accepted => Found::Good { stale: true, refresh: false },
            Reuse::WhileRevalidate => Found::Good { stale: true, refresh: true },
            Reuse::Revalidate if self.now < page.schedule.fresh_until && matches!(demands, Demands::Honoured(_)) => {
                Found::Expired(Cause::Requested)
            }
            Reuse::Revalidate => Found::Expired(Cause::Expired),
        }
    }
}

/// Replaces the line that a page brings with it by another.
pub(crate) fn relabel<B>(response: &mut Response<B>, line: http::HeaderValue) {
    if let http::header::Entry::Occupied(mut lines) = response.headers_mut().entry(status::CACHE_STATUS)
        && let Some(own) = lines.iter_mut().last()
    {
        *own = line;
    }
}
