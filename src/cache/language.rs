//! One page for all who are given the same language, though they ask for it in different words.
//!
//! The page stands where a request would look that asks for its language and no other. Whoever asked in other words leaves
//! a sign to it; who asks in words that left no sign yet looks there for the language wanted most.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    key,
    look::{Found, Look},
    policy::{accept::Preferences, list::members},
    rules::{Languages, Settings},
    stored::Stored,
};
use crate::store::{Kept, Key, Seed, Store};

/// Whether the rules share languages among what the fields `names` select.
pub(crate) fn are_shared(settings: &Settings, names: &[HeaderName]) -> bool {
    settings.languages == Languages::Shared && names.contains(&header::ACCEPT_LANGUAGE)
}

/// Where the page in `language` is, among those that the fields `names` select under the sign at `sign`.
pub(crate) fn variant(
    seed: &Seed,
    settings: &Settings,
    (sign, names): (&Key, &[HeaderName]),
    headers: &HeaderMap,
    language: HeaderValue,
) -> Option<Key> {
    if !are_shared(settings, names) {
        return None;
    }
    let mut headers = headers.clone();
    headers.try_insert(header::ACCEPT_LANGUAGE, language).ok()?;
    Some(sign.with_variant(key::variant(seed, sign, names, settings.seen(&headers))))
}

/// The one language that a response says it is in.
pub(crate) fn of(head: &HeaderMap) -> Option<HeaderValue> {
    let mut languages = members(head, &header::CONTENT_LANGUAGE);
    let (one, None) = (languages.next()?, languages.next()) else { return None };
    HeaderValue::from_bytes(one).ok()
}

/// The one language that a request wants most.
fn wanted(headers: &HeaderMap) -> Option<HeaderValue> {
    let preferences = Preferences::of(&header::ACCEPT_LANGUAGE, headers)?;
    HeaderValue::from_bytes(preferences.first()?).ok()
}

impl<T: Store<Stored>> Look<'_, T> {
    /// The page under `key`, if it is fresh and in this language. Nobody but who asks for that language alone makes it
    /// anew: to the others the handler may have another answer by then.
    pub(crate) fn in_language(&self, key: &Key, language: &HeaderValue) -> Option<Kept<Stored>> {
        let kept = self.shared.fetch.store().get_now(key)?;
        let is_in = |own: HeaderValue| own.as_bytes().eq_ignore_ascii_case(language.as_bytes());
        let is_it = kept.as_page().and_then(|page| of(&page.head)).is_some_and(is_in);
        (is_it && matches!(self.judge(key, &kept), Found::Good { stale: false, .. })).then_some(kept)
    }

    /// A fresh page in the language that the request wants most, made for one that asked for it in other words.
    pub(crate) fn in_wanted_language(&self, sign: &(Key, Kept<Stored>)) -> Option<(Key, Kept<Stored>)> {
        let (at, sign) = sign;
        let (seed, names) = (&self.shared.seed, sign.names());
        let wanted = are_shared(self.settings, names).then(|| wanted(self.head.headers))??;
        let key = variant(seed, self.settings, (at, names), self.head.headers, wanted.clone())?;
        Some((key, self.in_language(&key, &wanted)?))
    }
}
