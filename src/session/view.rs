//! What one request sees of a session: what was loaded, and over it what the request changed.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;

use super::{
    changes::{Addition, Changes, Expected},
    contract::{Loaded, Stamped},
    record::{Fields, Head, Lifetime, Principal},
    token::Token,
};
use crate::error::Error;

/// A session as one request sees it.
pub(super) struct View {
    /// What the store has; nothing, where no session was begun.
    pub(super) base: Option<Base>,
    /// What is to be merged into it.
    pub(super) changes: Changes,
    /// Other rights that were asked for.
    pub(super) rights: Option<Rights>,
    /// Whether another secret was asked for.
    pub(super) renew: bool,
    /// Whether a session was destroyed, so that the client is to forget its token.
    pub(super) destroyed: bool,
    /// Whether the store was asked to destroy it, and nobody waited for the answer.
    pub(super) is_ending: bool,
    pub(super) standing: Standing,
}

/// A session in the store, and how this request came to it.
pub(super) struct Base {
    pub(super) token: Token,
    pub(super) loaded: Loaded,
}

#[derive(Clone)]
pub(super) struct Rights {
    pub(super) principal: Option<Principal>,
    pub(super) lifetime: Lifetime,
}

/// What a request may do with what it sees.
#[derive(Clone)]
pub(super) enum Standing {
    Owner,
    /// It came with a secret from before a change of rights.
    Superseded,
    /// The store could not be asked, and the layer goes on without it.
    Cut(Error),
}

// === impl View ===

impl View {
    /// An empty session.
    pub(super) fn empty(standing: Standing) -> Self {
        let changes = Changes::default();
        Self { base: None, changes, rights: None, renew: false, destroyed: false, is_ending: false, standing }
    }

    pub(super) fn of(base: Base) -> Self {
        Self { base: Some(base), ..Self::empty(Standing::Owner) }
    }

    /// The head as the store has it.
    pub(super) fn head(&self) -> Option<&Head> {
        self.base.as_ref().map(|base| &base.loaded.record.head)
    }

    pub(super) fn principal(&self) -> Option<&Principal> {
        match &self.rights {
            Some(rights) => rights.principal.as_ref(),
            None => self.head()?.principal.as_ref(),
        }
    }

    pub(super) fn value(&self, name: &str) -> Option<&Bytes> {
        match self.changes.values.get(name) {
            Some(written) => written.as_ref(),
            None => self.fields()?.values.get(name),
        }
    }

    pub(super) fn write(&mut self, name: &str, value: Option<Bytes>) {
        if self.value(name) == value.as_ref() {
            return;
        }
        // A removal of what only this request wrote leaves no trace.
        if value.is_none() && !self.fields().is_some_and(|fields| fields.values.contains_key(name)) {
            self.changes.values.remove(name);
        } else {
            self.changes.values.insert(name.into(), value);
        }
    }

    pub(super) fn counter(&self, name: &str) -> i64 {
        let kept = || self.fields().and_then(|fields| fields.counters.get(name)).copied().unwrap_or(0);
        match self.changes.counters.get(name) {
            Some(addition) => if addition.reset { 0 } else { kept() }.saturating_add(addition.add),
            None => kept(),
        }
    }

    pub(super) fn add(&mut self, name: &str, add: i64) {
        let pending = self.changes.counters.entry(name.into()).or_default();
        pending.add = pending.add.saturating_add(add);
        if *pending == Addition::default() {
            self.changes.counters.remove(name);
        }
    }

    pub(super) fn reset(&mut self, name: &str) {
        if self.fields().is_some_and(|fields| fields.counters.contains_key(name)) {
            self.changes.counters.insert(name.into(), Addition { reset: true, add: 0 });
        } else {
            self.changes.counters.remove(name);
        }
    }

    pub(super) fn members(&self, name: &str) -> BTreeSet<Bytes> {
        let mut members = self.fields().and_then(|fields| fields.sets.get(name)).cloned().unwrap_or_default();
        if let Some(pending) = self.changes.sets.get(name) {
            members.retain(|member| !pending.removed.contains(member));
            members.extend(pending.added.iter().cloned());
        }
        members
    }

    pub(super) fn has_member(&self, name: &str, member: &[u8]) -> bool {
        let pending = self.changes.sets.get(name);
        pending.is_some_and(|pending| pending.added.contains(member))
            || (self.keeps_member(name, member) && !pending.is_some_and(|pending| pending.removed.contains(member)))
    }

    /// Whether the set is another then.
    pub(super) fn add_member(&mut self, name: &str, member: Bytes) -> bool {
        if self.has_member(name, &member) {
            return false;
        }
        let pending = self.changes.sets.entry(name.into()).or_default();
        pending.removed.remove(&member);
        pending.added.insert(member);
        true
    }

    /// Whether the set is another then.
    pub(super) fn remove_member(&mut self, name: &str, member: Bytes) -> bool {
        if !self.has_member(name, &member) {
            return false;
        }
        let is_kept = self.keeps_member(name, &member);
        let pending = self.changes.sets.entry(name.into()).or_default();
        pending.added.remove(&member);
        if is_kept {
            pending.removed.insert(member);
        } else if pending.added.is_empty() && pending.removed.is_empty() {
            self.changes.sets.remove(name);
        }
        true
    }

    pub(super) fn clear(&mut self) {
        self.changes = Changes { clear: self.base.is_some(), ..Changes::default() };
    }

    /// No less than [`weight`](Self::weight), and told without making the changes.
    pub(super) fn weight_at_most(&self) -> usize {
        self.fields().map_or(0, Fields::weight) + self.changes.weight()
    }

    /// What the fields would weigh, as far as this request can tell.
    pub(super) fn weight(&self) -> usize {
        let mut fields = self.fields().cloned().unwrap_or_default();
        self.changes.merge_into(&mut fields);
        fields.weight()
    }

    /// What a change of the one value `name` expects; nothing, where only this request can know of the session.
    pub(super) fn expected(&self, name: &str) -> Option<Expected> {
        let fields = self.fields()?;
        Some(Expected { name: name.into(), value: fields.values.get(name).cloned() })
    }

    /// The store has `value` by now, and with `stamped` it was this request that wrote it. An answer that came late tells the head of
    /// other rights: that is not for this request.
    pub(super) fn learn(&mut self, name: &str, value: Option<Bytes>, stamped: Option<Stamped>) {
        let Some(base) = &mut self.base else { return };
        let record = Arc::make_mut(&mut base.loaded.record);
        match value {
            Some(value) => record.fields.values.insert(name.into(), value),
            None => record.fields.values.remove(name),
        };
        if let Some(Stamped { head, now }) = stamped {
            self.changes.values.remove(name);
            if head.generation == record.head.generation {
                (record.head, base.loaded.now) = (head, now);
            } else {
                self.standing = Standing::Superseded;
            }
        }
    }

    fn keeps_member(&self, name: &str, member: &[u8]) -> bool {
        self.fields().and_then(|fields| fields.sets.get(name)).is_some_and(|set| set.contains(member))
    }

    /// What the store keeps of the fields, once the changes are made.
    fn fields(&self) -> Option<&Fields> {
        self.base.as_ref().filter(|_| !self.changes.clear).map(|base| &base.loaded.record.fields)
    }
}

impl Rights {
    pub(super) fn new(principal: Option<Principal>, lifetime: Lifetime) -> Self {
        Self { principal, lifetime }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        clock::Timestamp,
        session::{
            contract::NewRecord,
            record::{Client, Record},
        },
    };

    #[derive(Clone, Debug)]
    enum Step {
        Write(&'static str, Option<u8>),
        Add(&'static str, i64),
        Reset(&'static str),
        AddMember(&'static str, u8),
        RemoveMember(&'static str, u8),
        Clear,
    }

    const NAMES: [&str; 3] = ["a", "b", "c"];

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let name = || proptest::sample::select(&NAMES[..]);
        let step = prop_oneof![
            4 => (name(), proptest::option::of(0..3u8)).prop_map(|(name, value)| Step::Write(name, value)),
            4 => (name(), -2..3i64).prop_map(|(name, add)| Step::Add(name, add)),
            1 => name().prop_map(Step::Reset),
            4 => (name(), 0..3u8).prop_map(|(name, member)| Step::AddMember(name, member)),
            3 => (name(), 0..3u8).prop_map(|(name, member)| Step::RemoveMember(name, member)),
            1 => Just(Step::Clear),
        ];
        proptest::collection::vec(step, 0..12)
    }

    fn bytes(byte: u8) -> Bytes {
        Bytes::copy_from_slice(&[byte])
    }

    /// The same, done to the fields themselves.
    fn make(step: &Step, fields: &mut Fields) {
        let changes = match *step {
            Step::Write(name, value) => {
                Changes { values: [(name.into(), value.map(bytes))].into(), ..Changes::default() }
            }
            Step::Add(name, add) => {
                Changes { counters: [(name.into(), Addition { reset: false, add })].into(), ..Changes::default() }
            }
            Step::Reset(name) => {
                Changes { counters: [(name.into(), Addition { reset: true, add: 0 })].into(), ..Changes::default() }
            }
            Step::AddMember(name, member) => {
                fields.sets.entry(name.into()).or_default().insert(bytes(member));
                return;
            }
            Step::RemoveMember(name, member) => {
                if let Some(set) = fields.sets.get_mut(name) {
                    set.remove(&bytes(member));
                }
                fields.sets.retain(|_, set| !set.is_empty());
                return;
            }
            Step::Clear => Changes { clear: true, ..Changes::default() },
        };
        changes.merge_into(fields);
    }

    fn see(step: &Step, view: &mut View) {
        match *step {
            Step::Write(name, value) => view.write(name, value.map(bytes)),
            Step::Add(name, add) => view.add(name, add),
            Step::Reset(name) => view.reset(name),
            Step::AddMember(name, member) => drop(view.add_member(name, bytes(member))),
            Step::RemoveMember(name, member) => drop(view.remove_member(name, bytes(member))),
            Step::Clear => view.clear(),
        }
    }

    fn base(fields: Fields) -> Base {
        let token = Token::random().unwrap();
        let new = NewRecord {
            id: token.record_id(),
            secret: token.digest(),
            lifetime: Lifetime::default(),
            principal: None,
            client: Client::new(),
            changes: Changes::default(),
        };
        let now = Timestamp::from_secs(1_700_000_000);
        let record = Record { fields, ..new.begin(now) };
        Base { token, loaded: Loaded { record: Arc::new(record), now } }
    }

    #[test]
    fn a_head_of_other_rights_is_not_learnt() {
        let mut view = View::of(base(Fields::default()));
        let before = view.head().unwrap().clone();
        let now = Timestamp::from_secs(1_700_000_001);
        let renewed = Head { renewed: now, ..before.clone() };
        view.learn("a", Some(bytes(1)), Some(Stamped { head: renewed.clone(), now }));
        assert!(matches!(view.standing, Standing::Owner) && view.head() == Some(&renewed));
        let head = Head { generation: before.generation.next(), principal: Principal::new("eve").ok(), ..before };
        view.write("a", Some(bytes(2)));
        view.learn("a", Some(bytes(2)), Some(Stamped { head, now }));
        assert!(matches!(view.standing, Standing::Superseded) && view.head() == Some(&renewed));
        assert!(view.principal().is_none() && view.changes.is_touch(), "it was written, and nobody logged in");
    }

    proptest! {
        #[test]
        fn a_request_sees_what_its_changes_will_make_of_the_session(before in steps(), during in steps(), is_new: bool) {
            let mut kept = Fields::default();
            if !is_new {
                before.iter().for_each(|step| make(step, &mut kept));
            }
            let mut view = if is_new { View::empty(Standing::Owner) } else { View::of(base(kept.clone())) };
            let mut expected = kept.clone();
            for step in &during {
                see(step, &mut view);
                make(step, &mut expected);
                for name in NAMES {
                    prop_assert_eq!(view.value(name), expected.values.get(name));
                    prop_assert_eq!(view.counter(name), expected.counters.get(name).copied().unwrap_or(0));
                    prop_assert_eq!(view.members(name), expected.sets.get(name).cloned().unwrap_or_default());
                    for member in 0..3 {
                        let is_there = expected.sets.get(name).is_some_and(|set| set.contains(&bytes(member)));
                        prop_assert_eq!(view.has_member(name, &[member]), is_there);
                    }
                }
                prop_assert!(view.weight_at_most() >= view.weight());
            }
            let mut merged = kept.clone();
            view.changes.merge_into(&mut merged);
            prop_assert_eq!(&merged, &expected);
            prop_assert!(!view.changes.is_touch() || merged == kept);
        }
    }
}
