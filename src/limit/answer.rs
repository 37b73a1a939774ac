//! The fields by which answers tell of limits.

use std::{fmt, ptr, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    layer::Told,
    policy::{Policy, Unit},
    text::{Text, whole_seconds},
};
use crate::{
    digits,
    quota::{Quota, Retry, Standing},
};

/// What is told of a layer's policies, as far as it is the same for all.
pub(super) struct Fields {
    /// `RateLimit-Policy` of all whose quotas are constant.
    constant: HeaderValue,
}

/// The fields of one answer.
pub(super) struct Dress {
    policies: Option<HeaderValue>,
    standings: Option<HeaderValue>,
    /// The latest time that they tell, in seconds.
    latest: u64,
    legacy: Option<Legacy>,
}

/// Of one policy, since these fields know no other.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Legacy {
    limit: u64,
    remaining: u64,
    /// In seconds from now.
    reset: u64,
}

// === impl Fields ===

impl Fields {
    pub(super) fn new(policies: &[Policy]) -> Self {
        Self { constant: described(policies.iter().filter_map(|policy| Some((policy, policy.constant()?)))) }
    }

    /// The fields of a request that passes.
    #[inline]
    pub(super) fn dress<'a>(
        &self,
        told: Told,
        standings: impl Iterator<Item = ((&'a Policy, &'a Quota), Standing)> + Clone,
    ) -> Dress {
        self.dress_until(told, standings, None)
    }

    /// The fields of a request that is refused until `retry`.
    ///
    /// Of a policy that has more only later, it is not told when: clients would wait for it, though another policy refused them, and
    /// `Retry-After` is not to be earlier than any of the times told.
    pub(super) fn dress_refusal<'a>(
        &self,
        told: Told,
        standings: impl Iterator<Item = ((&'a Policy, &'a Quota), Standing)> + Clone,
        retry: Option<Retry>,
    ) -> Dress {
        let latest = match retry {
            Some(Retry::After(wait)) => Some(wait),
            Some(Retry::Never) => None,
            None => Some(Duration::ZERO),
        };
        self.dress_until(told, standings, latest)
    }

    fn dress_until<'a>(
        &self,
        told: Told,
        standings: impl Iterator<Item = ((&'a Policy, &'a Quota), Standing)> + Clone,
        latest: Option<Duration>,
    ) -> Dress {
        let mut dress = Dress::NONE;
        if told.standard {
            let own = |(policy, quota): (&Policy, &Quota)| policy.constant().is_some_and(|own| ptr::eq(own, quota));
            dress.policies = Some(if standings.clone().all(|(policy, _)| own(policy)) {
                self.constant.clone()
            } else {
                described(standings.clone().map(|(policy, _)| policy))
            });
            let (standings, latest) = stood(standings.clone(), latest);
            (dress.standings, dress.latest) = (Some(standings), latest);
        }
        if told.legacy {
            dress.legacy = standings.map(|(_, standing)| Legacy::of(standing)).min_by(Legacy::by_share);
        }
        dress
    }
}

/// `RateLimit-Policy`, such as `"daily";q=1000;w=86400`.
fn described<'a>(policies: impl Iterator<Item = (&'a Policy, &'a Quota)>) -> HeaderValue {
    let mut text = Text::new();
    for (policy, quota) in policies {
        member(&mut text, policy);
        parameter(&mut text, b";q=", quota.limit());
        match policy.told_unit() {
            Unit::Requests => {}
            Unit::ContentBytes => text.extend_from_slice(b";qu=\"content-bytes\""),
            Unit::ConcurrentRequests => text.extend_from_slice(b";qu=\"concurrent-requests\""),
        }
        // What is counted at once has no window.
        if policy.told_unit() != Unit::ConcurrentRequests {
            parameter(&mut text, b";w=", whole_seconds(quota.window()));
        }
    }
    value(&text)
}

/// `RateLimit`, such as `"daily";r=999;t=86`, with the latest time in it.
fn stood<'a>(
    standings: impl Iterator<Item = ((&'a Policy, &'a Quota), Standing)>,
    latest: Option<Duration>,
) -> (HeaderValue, u64) {
    let (mut text, mut latest_told) = (Text::new(), 0);
    for ((policy, _), standing) in standings {
        member(&mut text, policy);
        parameter(&mut text, b";r=", standing.remaining());
        let more_after = standing.more_after().filter(|after| latest.is_none_or(|latest| *after <= latest));
        if let Some(after) = more_after {
            let seconds = whole_seconds(after);
            parameter(&mut text, b";t=", seconds);
            latest_told = latest_told.max(seconds);
        }
    }
    (value(&text), latest_told)
}

fn member(text: &mut Text, policy: &Policy) {
    if !text.is_empty() {
        text.extend_from_slice(b", ");
    }
    text.extend_from_slice(policy.quoted_name());
}

fn parameter(text: &mut Text, name: &[u8], number: u64) {
    /// RFC 9651, 3.3.1
    const LARGEST: u64 = 999_999_999_999_999;
    let mut number = number.min(LARGEST);
    let mut digits = [b'0'; 15];
    let mut first = digits.len() - 1;
    loop {
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
        first -= 1;
    }
    text.extend_from_slice(name);
    text.extend_from_slice(&digits[first..]);
}

/// Names of policies are printable ASCII, and so is the rest.
fn value(text: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(text).expect("names of policies are printable ASCII")
}

// === impl Dress ===

impl Dress {
    pub(super) const NONE: Self = Self { policies: None, standings: None, latest: 0, legacy: None };

    /// Adds to what another layer within told. Where the response says to come back before a time of these standings, they are
    /// left out: clients that know both times may wait for the later one.
    #[inline]
    pub(super) fn put_on(self, headers: &mut HeaderMap) {
        if let Some(policies) = self.policies {
            headers.append(RATELIMIT_POLICY, policies);
        }
        let come_back = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        if let Some(standings) = self.standings
            && come_back.is_none_or(|seconds: u64| self.latest <= seconds)
        {
            headers.append(RATELIMIT, standings);
        }
        if let Some(legacy) = self.legacy
            && Legacy::told(headers).is_none_or(|within| legacy.by_share(&within).is_lt())
        {
            headers.insert(X_RATELIMIT_LIMIT, digits::value(legacy.limit));
            headers.insert(X_RATELIMIT_REMAINING, digits::value(legacy.remaining));
            headers.insert(X_RATELIMIT_RESET, digits::value(legacy.reset));
        }
    }
}

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

// === impl Legacy ===

impl Legacy {
    fn of(standing: Standing) -> Self {
        let reset = standing.more_after().map_or(0, whole_seconds);
        Self { limit: standing.limit(), remaining: standing.remaining(), reset }
    }

    /// What a layer further in told.
    fn told(headers: &HeaderMap) -> Option<Self> {
        let number = |name| headers.get(name)?.to_str().ok()?.parse().ok();
        let (limit, remaining) = (number(X_RATELIMIT_LIMIT)?, number(X_RATELIMIT_REMAINING)?);
        Some(Self { limit, remaining, reset: number(X_RATELIMIT_RESET)? })
    }

    /// The less of its limit it has left, and then the later it has more, the less it is.
    fn by_share(&self, other: &Self) -> std::cmp::Ordering {
        let cross = |a: u64, b: u64| u128::from(a) * u128::from(b.max(1));
        cross(self.remaining, other.limit)
            .cmp(&cross(other.remaining, self.limit))
            .then_with(|| other.reset.cmp(&self.reset))
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.constant.fmt(f)
    }
}

#[cfg(test)]
mod tests;
