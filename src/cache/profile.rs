//! What a cache in front of somebody else's origin does, beyond what is safe in front of one's own handlers.

use http::HeaderName;

use super::{policy::vary::Spelling, rules::Rules};

impl Rules {
    /// Response fields that are meant for this cache, the most specific first: `CDN-Cache-Control`, or one of your own, as
    /// `Example-Cache-Control` (RFC 9213). Default: none.
    ///
    /// The first of them that is valid and not empty takes the place of `Cache-Control` and `Expires` altogether, also where
    /// these forbid to store. All of them are passed on, to the caches of the same kind behind this one. So is `Age`: to
    /// caches that go by a shorter `Cache-Control`, a response that was kept for longer is stale on arrival.
    #[must_use]
    pub fn targeted_fields(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.set(|settings| settings.targeted_fields = names.into_iter().collect())
    }

    /// Takes requests for the same that mean the same, though they are spelled otherwise (RFC 9111, 4.1). Off by default:
    /// then only case and whitespace in `Accept-Encoding`, `Accept-Language` and `Accept-Charset` do not count.
    ///
    /// `Accept-Encoding` and `Accept-Language` are put in one order, by weight and then by name, in lower case; `x-gzip` is
    /// `gzip`, and codings with `q=0` that silence would refuse as well are left out. The handler is sent that spelling, so
    /// that it never sees a difference that the cache does not: one that goes by the order of languages of equal weight,
    /// on which RFC 9110, 12.5.4 lets nobody rely, finds them in alphabetical order. Of all other fields that
    /// `Vary` names, whitespace around commas does not count; these are sent as they came.
    #[must_use]
    pub fn normalise_vary(self) -> Self {
        self.set(|settings| settings.spelling = Spelling::Normal)
    }
}
