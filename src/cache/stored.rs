//! What the cache keeps under a key.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{
    etag::Etags,
    policy::{conditional::Validators, reuse::Schedule, storable::Terms},
    status::CACHE_STATUS,
};
use crate::{clock::Timestamp, digits, store::Value};

/// What the cache keeps under a key: the `V` of its [`Store`](crate::store::Store).
#[derive(Debug)]
pub struct Stored(Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    /// A response.
    Page(Page),
    /// The response depends on these request fields: look under the variant that they select.
    Vary(Box<[HeaderName]>),
    /// The response is that of this variant of the same resource, as long as it is in this language.
    Same { variant: u128, language: HeaderValue },
    /// The response cannot be stored (hit-for-miss).
    Pass,
}

/// A response as it is kept, ready to be sent.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    /// With `Age` and `Cache-Status` in place, since a map that is cloned full grows when a field is added. `Age` is the
    /// first field, where it is found without a search.
    pub(crate) head: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<Box<HeaderMap>>,
    pub(crate) schedule: Schedule,
    pub(crate) access: Access,
    /// How long it took to make.
    pub(crate) cost: Duration,
    /// Whether the entity tag is the cache's own, of which the origin does not know.
    has_own_etag: bool,
    /// When a refresh in the background was last begun.
    refreshed: AtomicU64,
    /// Whether asking by its validators has led nowhere.
    is_doubted: AtomicBool,
}

/// Which personal requests a response may answer, on its own explicit word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// Those with `Authorization` (RFC 9111, 3.5).
    pub(crate) authorized: bool,
    /// Those with a cookie that the rules do not know.
    pub(crate) cookied: bool,
}

/// How long a refresh in the background is given before another is begun.
const REFRESH_RETRY: Duration = Duration::from_secs(5);

/// Roughly what a header field takes beside its name and value.
const FIELD_OVERHEAD: usize = 112;

// === impl Stored ===

impl Stored {
    pub(crate) fn page(page: Page) -> Self {
        Self(Kind::Page(page))
    }

    pub(crate) fn vary(names: Vec<HeaderName>) -> Self {
        Self(Kind::Vary(names.into()))
    }

    pub(crate) fn same(variant: u128, language: HeaderValue) -> Self {
        Self(Kind::Same { variant, language })
    }

    pub(crate) fn pass() -> Self {
        Self(Kind::Pass)
    }

    #[inline]
    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }

    /// The fields of a sign; none of anything else.
    pub(crate) fn names(&self) -> &[HeaderName] {
        match &self.0 {
            Kind::Vary(names) => names,
            Kind::Page(_) | Kind::Same { .. } | Kind::Pass => &[],
        }
    }

    pub(crate) fn as_page(&self) -> Option<&Page> {
        match &self.0 {
            Kind::Page(page) => Some(page),
            Kind::Vary(_) | Kind::Same { .. } | Kind::Pass => None,
        }
    }
}

impl Value for Stored {
    fn weight(&self) -> usize {
        match &self.0 {
            Kind::Page(page) => {
                let trailers = page.trailers.as_deref().map_or(0, weight_of);
                page.body.len() + weight_of(&page.head) + trailers
            }
            Kind::Vary(names) => names.iter().map(|name| size_of::<HeaderName>() + name.as_str().len()).sum(),
            Kind::Same { language, .. } => language.len(),
            Kind::Pass => 0,
        }
    }
}

fn weight_of(head: &HeaderMap) -> usize {
    head.iter().map(|(name, value)| FIELD_OVERHEAD + name.as_str().len() + value.len()).sum()
}

// === impl Access ===

impl Access {
    pub(crate) fn of(terms: &Terms) -> Self {
        Self { authorized: terms.authorized_reuse, cookied: terms.personal_reuse }
    }
}

// === impl Page ===

impl Page {
    /// A page of a response's end-to-end fields, and of the entity tag that the cache makes for it.
    pub(crate) fn new(
        status: StatusCode,
        (mut head, own_etag): (HeaderMap, Option<HeaderValue>),
        (body, trailers): (Bytes, Option<Box<HeaderMap>>),
        (schedule, access, cost): (Schedule, Access, Duration),
        hit: &HeaderValue,
    ) -> Self {
        if trailers.is_none() {
            let _full = head.try_insert(header::CONTENT_LENGTH, digits::value(body.len() as u64));
        }
        let etag = if own_etag.is_some() { Etags::Generated } else { Etags::Given };
        if let Some(own_etag) = own_etag {
            let _full = head.try_insert(header::ETAG, own_etag);
        }
        // By names and not by lines, of which there may be more than a map has room for names.
        let mut dressed = HeaderMap::try_with_capacity(head.keys_len() + 2).unwrap_or_default();
        dressed.insert(header::AGE, digits::value(0));
        for (name, value) in
            head.iter().filter(|(name, value)| **name != header::AGE && (**name != CACHE_STATUS || *value != hit))
        {
            let _full = dressed.try_append(name, value.clone());
        }
        let _full = dressed.try_append(CACHE_STATUS, hit.clone());
        Self::again(status, (&dressed, etag), (body, trailers), (schedule, access, cost))
    }

    /// A page of the fields that [`new`](Self::new) gave it, here or in another process.
    pub(crate) fn again(
        status: StatusCode,
        (dressed, etag): (&HeaderMap, Etags),
        (body, trailers): (Bytes, Option<Box<HeaderMap>>),
        (schedule, access, cost): (Schedule, Access, Duration),
    ) -> Self {
        // Cloned once, so that the map is as small as its fields allow.
        let head = dressed.clone();
        let has_own_etag = etag == Etags::Generated;
        let (refreshed, is_doubted) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { status, head, body, trailers, schedule, access, cost, has_own_etag, refreshed, is_doubted }
    }

    /// Whether this caller is the one who begins a refresh.
    pub(crate) fn claim_refresh(&self, now: Timestamp) -> bool {
        let last = self.refreshed.load(Ordering::Relaxed);
        let due = now.since(Timestamp::from_millis(last)) >= REFRESH_RETRY || last > now.as_millis();
        due && self.refreshed.compare_exchange(last, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// What the origin can be asked by whether the page still holds; nothing if it can only be fetched anew.
    pub(crate) fn validators(&self, now: Timestamp) -> Option<Validators> {
        let validators = if self.is_doubted.load(Ordering::Relaxed) { None } else { Validators::of(&self.head, now) };
        if self.has_own_etag { validators?.without_etag() } else { validators }
    }

    /// The head without what the cache put into it for each use.
    pub(crate) fn given_head(&self) -> HeaderMap {
        let mut head = self.head.clone();
        head.remove(header::AGE);
        if self.has_own_etag {
            head.remove(header::ETAG);
        }
        head
    }

    /// The entity tag that the cache made.
    pub(crate) fn own_etag(&self) -> Option<&HeaderValue> {
        self.head.get(header::ETAG).filter(|_| self.has_own_etag)
    }

    /// Asking by its validators has led nowhere: from now on a whole response is asked for, until one takes its place.
    pub(crate) fn doubt(&self) {
        self.is_doubted.store(true, Ordering::Relaxed);
    }
}
