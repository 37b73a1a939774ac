//! Whether a stored response may be used now. RFC 9111, 4.2 and 5.2.1; RFC 5861
//!
//! Runs on every hit: nothing here allocates.

use std::time::Duration;

use super::{
    control::RequestControl,
    storable::{Consent, Terms},
};
use crate::clock::Timestamp;

/// The times of a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// When it arrived, or was last validated.
    pub(crate) answered: Timestamp,
    /// How old it was then.
    pub(crate) initial_age: Duration,
    /// The end of its lifetime.
    pub(crate) fresh_until: Timestamp,
    /// Until when it may be served while a new one is fetched.
    pub(crate) stale_while_revalidate_until: Timestamp,
    /// Until when it may be served where the origin fails.
    pub(crate) stale_if_error_until: Timestamp,
    /// What the origin lets a cache do with it.
    pub(crate) consent: Consent,
}

/// Whether clients may ask for more than the stored response's own terms.
///
/// Within an application, every client that may force a call to the origin may overload it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Demands<'a> {
    /// They may not.
    Ignored,
    /// They may: RFC 9111, 5.2.1.
    Honoured(&'a RequestControl),
}

/// What to do with a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Serve it.
    Fresh,
    /// Serve it: it is stale, and the client said that it may be.
    Accepted,
    /// Serve it, and ask for a new one meanwhile.
    WhileRevalidate,
    /// Ask first.
    Revalidate,
}

/// Whether the stored response may answer a request that came `now`.
#[inline]
pub(crate) fn verdict(schedule: &Schedule, demands: Demands<'_>, now: Timestamp) -> Reuse {
    if schedule.consent == Consent::Validated {
        return Reuse::Revalidate;
    }
    match demands {
        Demands::Ignored => schedule.own_verdict(now),
        Demands::Honoured(control) => schedule.verdict_for(control, now),
    }
}

// === impl Schedule ===

impl Schedule {
    /// The times of a response that arrived at `answered` and is stored on these terms.
    pub(crate) fn new(terms: &Terms, answered: Timestamp) -> Self {
        // Never by way of the moment at which its age was zero: that may lie before the epoch.
        let fresh_until = answered.plus(terms.lifetime).minus(terms.initial_age);
        Self {
            answered,
            initial_age: terms.initial_age,
            fresh_until,
            stale_while_revalidate_until: fresh_until.plus(terms.stale_while_revalidate),
            stale_if_error_until: fresh_until.plus(terms.stale_if_error),
            consent: terms.consent,
        }
    }

    /// `current_age`, of which the field takes the whole seconds. RFC 9111, 4.2.3
    #[inline]
    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        let age = self.initial_age.saturating_add(now.since(self.answered));
        Duration::from_secs(age.as_secs())
    }

    /// Whether it may be served where the origin fails. RFC 9111, 4.2.4; RFC 5861, 4
    pub(crate) fn may_serve_on_error(&self, now: Timestamp) -> bool {
        self.consent != Consent::Validated && now < self.stale_if_error_until
    }

    /// Whether there is, or was, a time at which it may be used without asking.
    pub(crate) fn is_ever_fresh(&self) -> bool {
        self.consent != Consent::Validated && self.useless_from() > self.answered
    }

    /// From when on it is of no use without validation.
    pub(crate) fn useless_from(&self) -> Timestamp {
        self.stale_while_revalidate_until.max(self.stale_if_error_until)
    }

    #[inline]
    fn own_verdict(&self, now: Timestamp) -> Reuse {
        if now < self.fresh_until {
            Reuse::Fresh
        } else if now < self.stale_while_revalidate_until {
            Reuse::WhileRevalidate
        } else {
            Reuse::Revalidate
        }
    }

    fn verdict_for(&self, control: &RequestControl, now: Timestamp) -> Reuse {
        // Whole seconds, as the client sees them in `Age`.
        let too_old = control.max_age.is_some_and(|oldest| self.age(now) > oldest || oldest.is_zero());
        let too_stale = control.min_fresh.is_some_and(|least| now.plus(least) > self.fresh_until);
        if control.no_cache || too_old || too_stale {
            return Reuse::Revalidate;
        }
        let accepted = || match control.max_stale {
            // RFC 9111, 5.2.2.2: a client cannot undo what the origin demands.
            Some(most) if self.consent == Consent::Stale => now <= self.fresh_until.plus(most),
            _ => false,
        };
        match self.own_verdict(now) {
            Reuse::Revalidate if accepted() => Reuse::Accepted,
            own => own,
        }
    }
}

#[cfg(test)]
mod tests;
