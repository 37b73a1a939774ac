//! What a layer limits: by whom, how much, at what cost.

use std::{fmt, sync::Arc};

use http::{StatusCode, request, response};

use super::{
    contract::Ledger,
    head::Head,
    identity::Identity,
    key::Key,
    text::{Text, quoted},
};
use crate::quota::{Algorithm, Quota};

/// One limit of a [`RateLimitLayer`](super::RateLimitLayer): a [`Quota`], who has it, and what a request costs.
///
/// A quota alone is a policy: for each peer address, by the [default algorithm](Algorithm), a request costing 1.
///
/// ```
/// use bartizan::{limit::{Key, Policy}, quota::{Algorithm, Quota}};
/// use http::{Method, StatusCode, header::HeaderName};
///
/// let searches = Policy::new(Quota::per_minute(30)).by(Key::header(HeaderName::from_static("x-api-key")));
///
/// let guesses = Policy::new(Quota::per_hour(10).named("login")?)
///     .only(|head| head.method == Method::POST)
///     .refund_on(|status| status != StatusCode::UNAUTHORIZED);
///
/// let bytes = Policy::new(Quota::per_day(1 << 30).burst(1 << 26).named("upload-bytes")?)
///     .algorithm(Algorithm::Bucket)
///     .unit(bartizan::limit::Unit::ContentBytes)
///     .cost_by(|head| head.headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(1));
/// # Ok::<(), bartizan::Error>(())
/// ```
#[derive(Clone)]
pub struct Policy {
    quota: Quotas,
    ledger: Ledger,
    /// Its name as answers have it.
    quoted_name: Arc<[u8]>,
    key: Key,
    cost: Cost,
    unit: Unit,
    only: Option<Arc<Predicate>>,
    settle: Option<Arc<Settle>>,
}

/// What is counted, as `RateLimit-Policy` tells it (draft-ietf-httpapi-ratelimit-headers, "Quota Unit Parameter").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Requests, which is not said.
    #[default]
    Requests,
    /// Bytes of content.
    ContentBytes,
    /// Requests that are at work at once.
    ConcurrentRequests,
}

type Predicate = dyn Fn(&request::Parts) -> bool + Send + Sync;
type Settle = dyn Fn(&response::Parts, u64) -> u64 + Send + Sync;

#[derive(Clone)]
enum Quotas {
    Constant(Quota),
    Computed(Arc<dyn Fn(&request::Parts) -> Option<Quota> + Send + Sync>),
}

#[derive(Clone)]
enum Cost {
    Constant(u64),
    Computed(Arc<dyn Fn(&request::Parts) -> u64 + Send + Sync>),
}

// === impl Policy ===

impl Policy {
    /// `quota` for each peer address ([`Key::peer`]), by the default algorithm, at a cost of 1.
    ///
    /// It is called what the quota is [named](Quota::named), or else by its numbers, such as `100-per-minute`. Policies of one name
    /// and algorithm over one limiter share their counts.
    pub fn new(quota: Quota) -> Self {
        let name = quota.name().map_or_else(|| described(&quota), str::to_owned);
        Self::of(&name, Quotas::Constant(quota))
    }

    /// The quota that `quota` says for a request, by its plan, or by a configuration that may change: what was taken before still
    /// counts, as long as the window is the same. With another window what is older than that is forgotten, so quotas of different windows
    /// want policies of different names. Requests for which it says `None` are not limited.
    ///
    /// # Panics
    ///
    /// When `name` is empty or has other characters than printable ASCII.
    pub fn computed(name: &str, quota: impl Fn(&request::Parts) -> Option<Quota> + Send + Sync + 'static) -> Self {
        let named = Quota::per_second(1).named(name);
        assert!(named.is_ok(), "a policy is named in printable ASCII, and not {name:?}");
        Self::of(name, Quotas::Computed(Arc::new(quota)))
    }

    /// Who takes. The default is [`Key::peer`].
    #[must_use]
    pub fn by(self, key: Key) -> Self {
        Self { key, ..self }
    }

    /// By which rules it is counted. The default is [`Algorithm::Sliding`].
    ///
    /// # Panics
    ///
    /// When the quota has a burst and this is not a [token bucket](Algorithm::Bucket).
    #[must_use]
    pub fn algorithm(self, algorithm: Algorithm) -> Self {
        let ledger = Ledger::new(self.ledger.name(), algorithm);
        Self { ledger, ..self }
    }

    /// What each request costs. The default is 1. What costs nothing is always allowed.
    #[must_use]
    pub fn cost(self, cost: u64) -> Self {
        Self { cost: Cost::Constant(cost), ..self }
    }

    /// What a request costs, by its head. A cost above the limit is denied for ever.
    #[must_use]
    pub fn cost_by(self, cost: impl Fn(&request::Parts) -> u64 + Send + Sync + 'static) -> Self {
        Self { cost: Cost::Computed(Arc::new(cost)), ..self }
    }

    /// What the request turns out to have cost, by the head of its response and the cost that was taken: less is given back, more is
    /// taken whether it remains or not. The response waits until that is done. A request whose handler fails, panics or is dropped
    /// keeps its cost.
    #[must_use]
    pub fn settle(self, settle: impl Fn(&response::Parts, u64) -> u64 + Send + Sync + 'static) -> Self {
        Self { settle: Some(Arc::new(settle)), ..self }
    }

    /// Gives the cost back where the response has such a status. Short for a [`settle`](Self::settle) of all or nothing.
    #[must_use]
    pub fn refund_on(self, status: impl Fn(StatusCode) -> bool + Send + Sync + 'static) -> Self {
        self.settle(move |response, cost| if status(response.status) { 0 } else { cost })
    }

    /// Limits only such requests. The default is all.
    #[must_use]
    pub fn only(self, such: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        Self { only: Some(Arc::new(such)), ..self }
    }

    /// What is counted, for `RateLimit-Policy`. The default is requests.
    #[must_use]
    pub fn unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    /// Its name, in answers and among the counts.
    pub fn name(&self) -> &str {
        self.ledger.name()
    }

    /// Where it is counted. With its [identity](Self::identity) this is what a [`Charge`](super::Charge) needs, so that a handler can take
    /// more, or give back.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whose request it is. All of whom nothing is found are one.
    pub fn identity(&self, head: &request::Parts) -> Identity {
        let mut identity = Identity::new();
        self.identify(&head.into(), &mut identity);
        identity
    }

    /// Adds whose request it is; `false` when that is nobody known.
    #[inline]
    pub(super) fn identify(&self, head: &Head<'_>, identity: &mut Identity) -> bool {
        let is_known = self.key.identify(head, identity);
        if !is_known {
            identity.push_nobody();
        }
        is_known
    }

    /// Whether a function of the program's own is asked about a request.
    pub(super) fn reads_parts(&self) -> bool {
        let is_computed = matches!(self.quota, Quotas::Computed(_)) || matches!(self.cost, Cost::Computed(_));
        is_computed || self.only.is_some() || self.key.reads_parts()
    }

    /// Whether the request is limited by this at all.
    pub(super) fn concerns(&self, head: &Head<'_>) -> bool {
        self.only.as_ref().is_none_or(|only| only(head.parts()))
    }

    /// The quota, where it is the same for all.
    pub(super) fn constant(&self) -> Option<&Quota> {
        match &self.quota {
            Quotas::Constant(quota) => Some(quota),
            Quotas::Computed(_) => None,
        }
    }

    /// The quota of a request whose quota is not [constant](Self::constant).
    pub(super) fn quota_of(&self, head: &Head<'_>) -> Option<Quota> {
        match &self.quota {
            Quotas::Constant(quota) => Some(quota.clone()),
            Quotas::Computed(quota) => quota(head.parts()),
        }
    }

    pub(super) fn cost_of(&self, head: &Head<'_>) -> u64 {
        match &self.cost {
            Cost::Constant(cost) => *cost,
            Cost::Computed(cost) => cost(head.parts()),
        }
    }

    /// What the request turned out to cost, where that is asked.
    pub(super) fn settled(&self, head: &response::Parts, cost: u64) -> Option<u64> {
        self.settle.as_ref().map(|settle| settle(head, cost))
    }

    pub(super) fn settles(&self) -> bool {
        self.settle.is_some()
    }

    pub(super) fn quoted_name(&self) -> &[u8] {
        &self.quoted_name
    }

    pub(super) fn told_unit(&self) -> Unit {
        self.unit
    }

    /// # Panics
    ///
    /// When what was said does not fit together.
    pub(super) fn check(&self) {
        if let Some(Err(error)) = self.constant().map(|quota| self.ledger.algorithm().suits(quota)) {
            panic!("the policy {:?}: {error}", self.name());
        }
    }

    fn of(name: &str, quota: Quotas) -> Self {
        let mut quoted_name = Text::new();
        quoted(&mut quoted_name, name);
        Self {
            quota,
            ledger: Ledger::new(name, Algorithm::default()),
            quoted_name: quoted_name.as_slice().into(),
            key: Key::peer(),
            cost: Cost::Constant(1),
            unit: Unit::default(),
            only: None,
            settle: None,
        }
    }
}

impl From<Quota> for Policy {
    fn from(quota: Quota) -> Self {
        Self::new(quota)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("ledger", &self.ledger)
            .field("quota", &self.constant())
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A name that says what it is.
fn described(quota: &Quota) -> String {
    let window = match quota.window().as_millis() {
        1_000 => "second".to_owned(),
        60_000 => "minute".to_owned(),
        3_600_000 => "hour".to_owned(),
        86_400_000 => "day".to_owned(),
        millis if millis % 1_000 == 0 => format!("{}s", millis / 1_000),
        millis => format!("{millis}ms"),
    };
    format!("{}-per-{window}", quota.limit())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_policy_without_a_name_is_called_by_its_numbers() {
        let name = |limit, window| Policy::new(Quota::new(limit, window).unwrap()).name().to_owned();
        assert_eq!(name(100, Duration::from_secs(60)), "100-per-minute");
        assert_eq!(name(5, Duration::from_secs(90)), "5-per-90s");
        assert_eq!(name(5, Duration::from_millis(250)), "5-per-250ms");
        assert_eq!(Policy::new(Quota::per_day(1).named("daily").unwrap()).name(), "daily");
    }

    #[test]
    #[should_panic(expected = "only a bucket has one")]
    fn a_burst_for_a_window_is_told_where_the_policy_is_used() {
        Policy::new(Quota::per_second(1).burst(2)).check();
    }
}
