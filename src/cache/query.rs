//! Which part of the query is in the key. The rest does not reach the handler.

use http::{
    Uri,
    uri::{Parts, PathAndQuery},
};

use crate::store::KeyHasher;

/// Which query parameters select the response.
///
/// A parameter that is not in the key is stripped from the URI that the handler sees of requests that the cache handles:
/// what it cannot see cannot change the response that others get. Parameters are compared as they stand, without decoding: `%71=1` is not `q=1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    choice: Choice,
    order: Order,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    All,
    Only(Box<[Box<str>]>),
    Except(Box<[Box<str>]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    AsSent,
    Sorted,
}

// === impl Query ===

impl Query {
    /// The whole query, as it was sent. The default.
    pub const ALL: Self = Self { choice: Choice::All, order: Order::AsSent };

    /// These parameters and no others.
    pub fn only<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Self {
        Self { choice: Choice::Only(boxed(names)), ..Self::ALL }
    }

    /// All parameters but these.
    pub fn except<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Self {
        Self { choice: Choice::Except(boxed(names)), ..Self::ALL }
    }

    /// Parameters in another order are the same query. The handler sees them sorted by name; those of one name stay in
    /// the order in which they were sent.
    #[must_use]
    pub fn sorted(self) -> Self {
        Self { order: Order::Sorted, ..self }
    }

    /// Adds the chosen part of `query` to a key, as its last field.
    #[inline]
    pub(crate) fn hash(&self, query: Option<&str>, into: &mut KeyHasher) {
        match query {
            None => {}
            Some(query) if self.is_whole() => into.field(query.as_bytes()),
            Some(query) => {
                if let Some(chosen) = self.chosen(query) {
                    into.field(chosen.as_bytes());
                }
            }
        }
    }

    /// `uri` with the chosen part of its query, where that differs.
    pub(crate) fn strip(&self, uri: &mut Uri) {
        if self.is_whole() {
            return;
        }
        let Some(query) = uri.query() else { return };
        let chosen = self.chosen(query);
        if chosen.as_deref() == Some(query) {
            return;
        }
        let stripped = match chosen {
            Some(chosen) => format!("{}?{chosen}", uri.path()),
            None => uri.path().to_owned(),
        };
        let mut parts = Parts::from(std::mem::take(uri));
        parts.path_and_query = PathAndQuery::try_from(stripped).ok();
        // A part of a valid query is a valid query.
        *uri = Uri::from_parts(parts).unwrap_or_default();
    }

    #[inline]
    fn is_whole(&self) -> bool {
        matches!((&self.choice, self.order), (Choice::All, Order::AsSent))
    }

    /// The chosen part; `None` where nothing is left of a query.
    fn chosen(&self, query: &str) -> Option<String> {
        let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
        let mut pairs: Vec<&str> = query
            .split('&')
            .filter(|pair| match &self.choice {
                Choice::All => true,
                Choice::Only(names) => names.iter().any(|only| **only == *name(pair)),
                Choice::Except(names) => names.iter().all(|except| **except != *name(pair)),
            })
            .collect();
        if self.order == Order::Sorted {
            pairs.sort_by_key(|pair| name(pair));
        }
        (!pairs.is_empty()).then(|| pairs.join("&"))
    }
}

impl Default for Query {
    fn default() -> Self {
        Self::ALL
    }
}

fn boxed<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Box<[Box<str>]> {
    names.into_iter().map(|name| name.as_ref().into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(query: &Query, uri: &str) -> String {
        let mut uri = uri.parse().unwrap();
        query.strip(&mut uri);
        uri.to_string()
    }

    #[test]
    fn the_handler_sees_what_is_in_the_key() {
        let only = Query::only(["q", "page"]);
        assert_eq!(stripped(&only, "/s?q=a&utm=1&page=2"), "/s?q=a&page=2");
        assert_eq!(stripped(&only, "/s?utm=1"), "/s", "an empty query is none");
        assert_eq!(stripped(&only, "/s"), "/s");
        assert_eq!(stripped(&only, "/s?q"), "/s?q", "a name without a value");
        assert_eq!(stripped(&only, "/s?Q=1&q=1=2"), "/s?q=1=2", "names are compared as they stand");
        let except = Query::except(["utm"]);
        assert_eq!(stripped(&except, "http://h/s?b=1&utm=1&a=2"), "http://h/s?b=1&a=2");
        assert_eq!(stripped(&except.sorted(), "/s?b=1&utm=1&a=2&b=0"), "/s?a=2&b=1&b=0", "stable within a name");
        assert_eq!(stripped(&Query::ALL, "/s?b=1&&a"), "/s?b=1&&a");
    }

    #[test]
    fn a_cloaked_parameter_is_another_parameter() {
        // `;` separates nothing here, so the handler sees the pair exactly as the key does.
        assert_eq!(stripped(&Query::only(["q"]), "/s?q=1;utm=2&x=3"), "/s?q=1;utm=2");
        assert_eq!(stripped(&Query::except(["utm"]), "/s?q=1;utm=2"), "/s?q=1;utm=2");
    }
}
