//! The way along the signs of a resource to what a request can be answered with at once.

use super::{
    key::{self, Audience, Personal},
    look::{Found, Look},
    rules::Authorized,
    service::Miss,
    status::Cause,
    stored::{Page, Stored},
};
use crate::store::{Kept, Key, Store};

/// What a walk along the signs of a resource ends at.
pub(crate) enum Walk {
    /// A page that may be used.
    Good { kept: Kept<Stored>, key: Key, sign: Option<(Key, Kept<Stored>)>, stale: bool, refresh: bool },
    /// The resource is known as uncacheable.
    Pass,
    /// Nothing that may be used as it is.
    Miss(Miss),
}

/// More signs than one resource needs; a longer way is left to the fetch.
const MOST_SIGNS: usize = 8;

// === impl Look ===

impl<T: Store<Stored>> Look<'_, T> {
    /// The page that answers the request with nothing else to do, as most that are found under their first key.
    #[inline]
    pub(crate) fn plain_hit<'a>(&self, kept: &'a Kept<Stored>) -> Option<&'a Page> {
        let page = kept.as_page().filter(|_| !matches!(self.audience, Audience::Personal(_)))?;
        matches!(self.judge_page(page), Found::Good { stale: false, refresh: false }).then_some(page)
    }

    /// Follows the signs from `key`, where `first` is, to what can be had at once.
    #[inline(never)]
    pub(crate) fn walk(&self, key: Key, first: Option<Kept<Stored>>) -> Walk {
        match self.audience {
            Audience::Everyone | Audience::Principal => {
                let walk = match self.walk_on(key, first) {
                    Walk::Miss(miss) if self.is_given_authorized() => self.walk_authorized(key, miss),
                    walk => walk,
                };
                match walk {
                    Walk::Miss(miss) => self.walk_languages(miss),
                    walk => walk,
                }
            }
            Audience::Personal(personal) => self.walk_personal(key, first, personal),
        }
    }

    fn is_given_authorized(&self) -> bool {
        self.audience == Audience::Everyone && self.settings.authorized == Authorized::Shared
    }

    /// What there is for requests with `Authorization`: it is stored on its explicit word that it is for all (RFC 9111,
    /// 3.5).
    #[inline(never)]
    fn walk_authorized(&self, key: Key, miss: Miss) -> Walk {
        let authorized = Personal { authorized: true, cookied: false };
        match self.walk_from(key::personal(&self.shared.seed, key, authorized)) {
            // Not refreshed by this request: what it brings belongs elsewhere.
            Walk::Good { kept, key, sign, stale, refresh: _ } => Walk::Good { kept, key, sign, stale, refresh: false },
            Walk::Pass | Walk::Miss(_) => Walk::Miss(miss),
        }
    }

    /// What there is in the language that is wanted most.
    #[inline(never)]
    fn walk_languages(&self, miss: Miss) -> Walk {
        match miss.sign.as_ref().and_then(|sign| self.in_wanted_language(sign)) {
            Some((key, kept)) => Walk::Good { kept, key, sign: miss.sign, stale: false, refresh: false },
            None => Walk::Miss(miss),
        }
    }

    /// What everyone has, if it says that it is open to such requests; else what those of the same kind have.
    #[inline(never)]
    fn walk_personal(&self, key: Key, first: Option<Kept<Stored>>, personal: Personal) -> Walk {
        match self.walk_on(key, first) {
            // Not refreshed by this request: a personal response to it would end what everyone has.
            Walk::Good { kept, key, sign, stale, refresh: _ }
                if kept.as_page().is_some_and(|page| self.is_open(page)) =>
            {
                Walk::Good { kept, key, sign, stale, refresh: false }
            }
            _ => self.walk_from(key::personal(&self.shared.seed, key, personal)),
        }
    }

    fn walk_from(&self, key: Key) -> Walk {
        self.walk_on(key, self.shared.fetch.store().get_now(&key))
    }

    fn walk_on(&self, key: Key, mut found: Option<Kept<Stored>>) -> Walk {
        let mut miss = Miss { key, cause: Cause::Absent, stale: None, sign: None };
        for _ in 0..MOST_SIGNS {
            let Some(kept) = found else { break };
            match self.judge(&miss.key, &kept) {
                Found::Good { stale, refresh } => {
                    return Walk::Good { kept, key: miss.key, sign: miss.sign, stale, refresh };
                }
                Found::Same(key, language) => {
                    if let Some(kept) = self.in_language(&key, &language) {
                        return Walk::Good { kept, key, sign: miss.sign, stale: false, refresh: false };
                    }
                    break;
                }
                Found::Pass => return Walk::Pass,
                Found::Elsewhere(variant) => {
                    miss = Miss { key: variant, cause: Cause::Variant, stale: None, sign: Some((miss.key, kept)) };
                    found = self.shared.fetch.store().get_now(&variant);
                }
                Found::Expired(cause) => {
                    (miss.cause, miss.stale) = (cause, Some(kept));
                    break;
                }
                Found::Nothing => break,
            }
        }
        Walk::Miss(miss)
    }
}
