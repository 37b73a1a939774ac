//! What a request changes in a session: never the whole, always what differs.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;

use super::{
    record::{Client, Fields, Head, Lifetime, Principal, Retired, Shows},
    token::SecretDigest,
};
use crate::clock::Timestamp;

/// Changes that a store makes in one step.
///
/// Empty ones are a touch. What they say of the fields is said of the fields as they are by then, in the order of the
/// parts here: first all is cleared, then values are written, and so on. Parallel changes of different names, of a counter
/// and of a set all count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// All or nothing: unless this is so, nothing is changed and nothing touched.
    pub expected: Option<Expected>,
    /// All fields go, also those that this request never saw.
    pub clear: bool,
    /// Values written, and (`None`) removed.
    pub values: BTreeMap<Box<str>, Option<Bytes>>,
    /// Counters changed.
    pub counters: BTreeMap<Box<str>, Addition>,
    /// Sets changed.
    pub sets: BTreeMap<Box<str>, Members>,
    /// Another secret.
    pub rotation: Option<Rotation>,
}

/// A value as it was when it was read; absent where there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its name.
    pub name: Box<str>,
    /// All its bytes.
    pub value: Option<Bytes>,
}

/// A change of a counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addition {
    /// Whether it begins at zero again.
    pub reset: bool,
    /// What is then added. The sum stays within `i64`, at its end.
    pub add: i64,
}

/// A change of a set. What is removed and what is added have nothing in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Whether it is emptied first.
    pub clear: bool,
    /// What is removed.
    pub removed: BTreeSet<Bytes>,
    /// What is added.
    pub added: BTreeSet<Bytes>,
}

/// Another secret for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The same rights. Made only if `from` is the present secret, so that of many requests that want it one has its way;
    /// the other changes are made in any case.
    Renewal {
        /// The secret that the request came with.
        from: SecretDigest,
        /// The secret from now on.
        to: SecretDigest,
        /// For how long `from` still [shows the session](Shows::Session).
        overlap: Duration,
    },
    /// Other rights. The generation rises, the absolute deadline begins anew, and all secrets so far, present and retired, show
    /// [nothing](Shows::Nothing) from now on.
    Rights {
        /// The secret from now on.
        to: SecretDigest,
        /// For how long the secret so far is still known, and shows nothing.
        overlap: Duration,
        /// Who is logged in from now on. With somebody, `authenticated` is now; with nobody, it is never.
        principal: Option<Principal>,
        /// How long the session lives from now on.
        lifetime: Lifetime,
        /// What the change was made from.
        client: Client,
    },
}

// === impl Changes ===

impl Changes {
    /// Whether they are no more than a touch.
    pub fn is_touch(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `fields` are as expected; otherwise the value that is there instead.
    ///
    /// # Errors
    ///
    /// The value that is there, if any.
    pub fn check(&self, fields: &Fields) -> Result<(), Option<Bytes>> {
        match &self.expected {
            Some(expected) if fields.values.get(&expected.name) != expected.value.as_ref() => {
                Err(fields.values.get(&expected.name).cloned())
            }
            _ => Ok(()),
        }
    }

    /// Makes those of them that concern fields.
    pub fn merge_into(&self, fields: &mut Fields) {
        if self.clear {
            *fields = Fields::default();
        }
        for (name, value) in &self.values {
            match value {
                Some(value) => fields.values.insert(name.clone(), value.clone()),
                None => fields.values.remove(name),
            };
        }
        for (name, addition) in &self.counters {
            let before = if addition.reset { 0 } else { fields.counters.get(name).copied().unwrap_or(0) };
            match before.saturating_add(addition.add) {
                0 => fields.counters.remove(name),
                sum => fields.counters.insert(name.clone(), sum),
            };
        }
        for (name, members) in &self.sets {
            let set = fields.sets.entry(name.clone()).or_default();
            if members.clear {
                set.clear();
            }
            set.retain(|member| !members.removed.contains(member));
            set.extend(members.added.iter().cloned());
            if set.is_empty() {
                fields.sets.remove(name);
            }
        }
    }

    /// What they add to the fields' [weight](Fields::weight), at the most.
    pub(super) fn weight(&self) -> usize {
        let value = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        let values = self.values.iter().map(|(name, written)| name.len() + value(written)).sum::<usize>();
        let counters = self.counters.keys().map(|name| name.len() + 8).sum::<usize>();
        let added = self.sets.iter().flat_map(|(name, set)| set.added.iter().map(|member| name.len() + member.len()));
        values + counters + added.sum::<usize>()
    }

    /// Touches `head` at `now`, and makes the rotation, if there is one.
    pub fn touch(&self, head: &mut Head, now: Timestamp) {
        head.seen = head.seen.max(now);
        head.retired.retain(|retired| now < retired.until);
        match &self.rotation {
            Some(Rotation::Renewal { from, to, overlap }) if head.secret == *from => {
                head.retire(*to, now, *overlap, Shows::Session);
            }
            Some(Rotation::Rights { to, overlap, principal, lifetime, client }) => {
                head.retire(*to, now, *overlap, Shows::Nothing);
                for retired in &mut head.retired {
                    retired.shows = Shows::Nothing;
                }
                head.generation = head.generation.next();
                head.authenticated = principal.is_some().then_some(now);
                head.principal.clone_from(principal);
                head.lifetime = *lifetime;
                head.ends = now.plus(lifetime.absolute);
                head.client = client.clone();
            }
            Some(Rotation::Renewal { .. }) | None => {}
        }
    }
}

// === impl Head ===

impl Head {
    fn retire(&mut self, to: SecretDigest, now: Timestamp, overlap: Duration, shows: Shows) {
        let retired = Retired { secret: std::mem::replace(&mut self.secret, to), until: now.plus(overlap), shows };
        self.retired.insert(0, retired);
        self.retired.truncate(Self::RETIRED);
        self.renewed = now;
    }
}
