//! What is said on the channels of the buckets, and what follows from it.
//!
//! | message | said by | meaning |
//! |---|---|---|
//! | `p <epoch> <before> <sequence> <token> <name>` | a removal | the last removal was at `before`, this one is at `sequence` |
//! | `b <epoch> <sequence> <moment>` | a beat of this process | the last removal was at `sequence` |
//! | `g` | a removal on a full server | all of the bucket is removed |
//! | `f`, `r`, `u`, `x`, then `<nonce> <entry>` | the end of a lease | filled, free again, uncacheable, failed |
//!
//! Removals make a chain: each names the one before it. A link that is missing was missed.

use super::{names::Name, waits::Word};
use crate::{
    clock::Moment,
    store::{kept::Version, key::Key},
};

/// What is nearer than Redis, and must be told what was removed there.
pub(crate) trait Near: Send + Sync {
    fn remove(&self, name: &Name);

    /// Removals may have been missed.
    fn distrust(&self);

    /// No removal that was acknowledged before `then` has been missed.
    fn believe(&self, then: Moment);

    /// The version of what it has under `key`.
    fn version(&self, key: &Key) -> Option<Version>;

    /// Gives up what it has under `key`, if it is this.
    fn give_up(&self, key: &Key, version: Version);
}

/// The state of all channels of a store.
#[derive(Debug)]
pub(super) struct Channel {
    buckets: Box<[Heard]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    /// The epoch, and the sequence of the last removal.
    known: Option<(u64, u64)>,
    /// When the last beat that came back was sent.
    beaten: Option<Moment>,
}

/// What a message has for consequences.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect<'a> {
    /// By whoever knows the token.
    Removed(Name, u64),
    /// Something was missed.
    Gap,
    /// All buckets have been heard of since.
    Proven(Moment),
    /// Of the lease with this nonce, on this entry.
    Ended(&'a [u8], &'a [u8], Word),
}

// === impl Channel ===

impl Channel {
    pub(super) fn new(buckets: usize) -> Self {
        Self { buckets: vec![Heard::default(); buckets].into() }
    }

    /// Nothing is known any more of what is said.
    pub(super) fn lose(&mut self) {
        self.buckets.fill(Heard::default());
    }

    /// The consequences of a message. What is none has none.
    pub(super) fn hear<'a>(&mut self, bucket: usize, message: &'a [u8]) -> Vec<Effect<'a>> {
        match message.split_at_checked(2) {
            Some((b"p ", said)) => self.removed(bucket, said).into_iter().collect(),
            Some((b"b ", said)) => self.beat(bucket, said),
            Some((b"f " | b"r ", lease)) => ended(lease, Word::Ask),
            Some((b"u ", lease)) => ended(lease, Word::Uncacheable),
            Some((b"x ", lease)) => ended(lease, Word::Failed),
            _ if message == b"g" => {
                // What is missed from here to the next beat no chain would tell, so nothing is proven until then.
                self.buckets[bucket] = Heard::default();
                vec![Effect::Gap]
            }
            _ => Vec::new(),
        }
    }

    fn removed<'a>(&mut self, bucket: usize, said: &[u8]) -> Option<Effect<'a>> {
        let mut words = std::str::from_utf8(said).ok()?.splitn(5, ' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let (epoch, before, sequence, token) = (number()?, number()?, number()?, number()?);
        let name = Name::parse(words.next()?)?;
        let known = &mut self.buckets[bucket].known;
        // Before the first beat nothing is believed yet that could be wrong.
        let follows = known.is_none_or(|known| known == (epoch, before));
        *known = known.map(|_| (epoch, sequence));
        Some(if follows { Effect::Removed(name, token) } else { Effect::Gap })
    }

    fn beat<'a>(&mut self, bucket: usize, said: &[u8]) -> Vec<Effect<'a>> {
        let read = || {
            let mut numbers = std::str::from_utf8(said).ok()?.split(' ').map(|word| word.parse::<u64>().ok());
            Some((numbers.next()??, numbers.next()??, numbers.next()??))
        };
        let Some((epoch, sequence, moment)) = read() else { return Vec::new() };
        let heard = &mut self.buckets[bucket];
        let missed = heard.known.is_some_and(|known| known != (epoch, sequence));
        heard.known = Some((epoch, sequence));
        heard.beaten = heard.beaten.max(Some(Moment::from_millis(moment)));
        let oldest = self.buckets.iter().map(|heard| heard.beaten).min().flatten();
        missed.then_some(Effect::Gap).into_iter().chain(oldest.map(Effect::Proven)).collect()
    }
}

fn ended(lease: &[u8], word: Word) -> Vec<Effect<'_>> {
    let space = lease.iter().position(|byte| *byte == b' ');
    space.map(|at| Effect::Ended(&lease[..at], &lease[at + 1..], word)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(tag: &str) -> Vec<Effect<'static>> {
        vec![Effect::Removed(Name::Tag(tag.into()), 77)]
    }

    #[test]
    fn a_chain_that_holds_is_believed_and_one_that_breaks_is_a_gap() {
        let mut channel = Channel::new(1);
        assert_eq!(channel.hear(0, b"p 7 1 2 77 #a"), removed("a"), "before the first beat");
        assert_eq!(channel.hear(0, b"b 7 2 100"), [Effect::Proven(Moment::from_millis(100))]);
        assert_eq!(channel.hear(0, b"p 7 2 5 77 #a b"), removed("a b"));
        assert_eq!(channel.hear(0, b"p 7 6 8 77 #a"), [Effect::Gap], "the removal at 6 was missed");
        assert_eq!(channel.hear(0, b"p 7 8 9 77 #a"), removed("a"), "and the chain goes on");
        assert_eq!(channel.hear(0, b"b 7 10 200"), [Effect::Gap, Effect::Proven(Moment::from_millis(200))]);
        assert_eq!(channel.hear(0, b"p 8 10 11 77 #a"), [Effect::Gap], "another epoch");
        assert_eq!(channel.hear(0, b"b 8 3 300")[0], Effect::Gap, "a server that forgot");
        assert_eq!(channel.hear(0, b"g"), [Effect::Gap]);
    }

    #[test]
    fn a_channel_is_proven_as_of_its_most_silent_bucket() {
        let mut channel = Channel::new(2);
        assert_eq!(channel.hear(0, b"b 7 2 100"), [], "nothing was heard of the other");
        assert_eq!(channel.hear(1, b"b 9 2 50"), [Effect::Proven(Moment::from_millis(50))]);
        assert_eq!(channel.hear(1, b"b 9 2 150"), [Effect::Proven(Moment::from_millis(100))]);
        channel.lose();
        assert_eq!(channel.hear(0, b"b 7 2 200"), []);
    }

    #[test]
    fn a_table_that_was_forgotten_is_proven_by_its_own_next_beat() {
        let mut channel = Channel::new(2);
        channel.hear(0, b"b 7 2 100");
        channel.hear(1, b"b 9 2 100");
        assert_eq!(channel.hear(0, b"g"), [Effect::Gap]);
        assert_eq!(channel.hear(1, b"b 9 2 150"), [], "a removal in the other may be missed, and nobody would know");
        assert_eq!(channel.hear(0, b"b 8 5 200"), [Effect::Proven(Moment::from_millis(150))]);
    }

    #[test]
    fn the_end_of_a_lease_is_told_and_nonsense_is_not() {
        let mut channel = Channel::new(1);
        assert_eq!(channel.hear(0, b"u 5f the entry"), [Effect::Ended(b"5f", b"the entry", Word::Uncacheable)]);
        for nonsense in
            [&b"u entry"[..], b"", b"p", b"p ", b"p 1 2", b"p 1 2 3 4 a", b"b 1 x 2", b"b \xff", b"z a", b"gg"]
        {
            assert_eq!(channel.hear(0, nonsense), [], "{}", nonsense.escape_ascii());
        }
    }
}
