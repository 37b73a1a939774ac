//! What a check sees of a request.

use http::{Extensions, HeaderMap, Method, Request, Uri, request::Parts};

/// A request's head, borrowed: taking a request apart and putting it together again costs as much as a check.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) extensions: &'a Extensions,
    parts: Option<&'a Parts>,
}

// === impl Head ===

impl<'a> Head<'a> {
    /// The head as functions of the program's own want it.
    ///
    /// # Panics
    ///
    /// When the request was not taken apart: whoever has such functions [says so](super::policy::Policy::reads_parts).
    pub(crate) fn parts(&self) -> &'a Parts {
        self.parts.expect("a request that functions of the program look at is taken apart")
    }
}

impl<'a> From<&'a Parts> for Head<'a> {
    fn from(parts: &'a Parts) -> Self {
        let Parts { method, uri, headers, extensions, .. } = parts;
        Self { method, uri, headers, extensions, parts: Some(parts) }
    }
}

impl<'a, B> From<&'a Request<B>> for Head<'a> {
    #[inline]
    fn from(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
            parts: None,
        }
    }
}
