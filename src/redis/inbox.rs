//! What a server says unasked, until it is listened to. Bounded.

use std::{collections::VecDeque, mem, sync::Arc};

use ::redis::{Msg, PushInfo, PushKind, Value};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::Error;

/// Filled by the connections of one subscription, emptied by one listener.
#[derive(Debug)]
pub(super) struct Inbox {
    names: Arc<Names>,
    waiting: Mutex<Waiting>,
    notify: Notify,
}

/// How what a subscription hears is called on the server.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) channels: Vec<Vec<u8>>,
    /// As globs of the server.
    pub(super) patterns: Vec<Vec<u8>>,
    pub(super) prefixes: Vec<Vec<u8>>,
    /// With its colon.
    pub(super) namespace: Vec<u8>,
    /// The channels belong to the slot of the first of them, where there are slots.
    pub(super) sharded: bool,
    pub(super) room: Room,
}

/// How many bytes may wait, [`EACH`] more for every item, and what comes when that is not enough.
#[derive(Clone, Copy, Debug)]
pub(super) enum Room {
    /// Nothing more.
    OrEnd(usize),
    /// The newest only.
    OrDropOldest(usize),
}

/// Of what can be heard on a connection, all that says nothing of the connection.
#[derive(Debug, PartialEq)]
pub(super) enum Item {
    Said {
        channel: usize,
        text: Bytes,
    },
    Matched {
        channel: Bytes,
        text: Bytes,
    },
    Changed(Bytes),
    ChangedAll,
    /// So many that were older than what comes now.
    Dropped(u64),
}

#[derive(Debug, Default)]
struct Waiting {
    items: VecDeque<Item>,
    weight: usize,
    dropped: u64,
    /// Why nothing comes any more.
    ended: Option<Error>,
}

pub(super) const ROOM: usize = 4 << 20;
const EACH: usize = 64;

// === impl Inbox ===

impl Inbox {
    pub(super) fn new(names: Arc<Names>) -> Self {
        Self { names, waiting: Mutex::default(), notify: Notify::new() }
    }

    /// Takes in what a connection in RESP3 was told.
    pub(super) fn push(&self, PushInfo { kind, data }: PushInfo) {
        match kind {
            PushKind::Message | PushKind::SMessage => {
                if let Ok([Value::BulkString(channel), Value::BulkString(text)]) = <[_; 2]>::try_from(data) {
                    self.said(&channel, text);
                }
            }
            PushKind::PMessage => {
                if let Ok([_, Value::BulkString(channel), Value::BulkString(text)]) = <[_; 3]>::try_from(data) {
                    self.matched(channel, text);
                }
            }
            PushKind::Invalidate => match data.into_iter().next() {
                Some(Value::Array(keys)) => {
                    for key in keys {
                        if let Value::BulkString(key) = key {
                            self.put(Item::Changed(self.names.own(key)));
                        }
                    }
                }
                // Of a flush no keys are named.
                _ => self.put(Item::ChangedAll),
            },
            // The slot of the channels has moved.
            PushKind::Disconnection | PushKind::SUnsubscribe => self.end(),
            _ => {}
        }
    }

    /// Takes in what a connection in RESP2 was told; whether there may be more.
    pub(super) fn take_in(&self, message: Option<Msg>) -> bool {
        let Some(message) = message else {
            self.end();
            return false;
        };
        if let Ok(channel) = message.get_channel::<Vec<u8>>() {
            let text = message.get_payload_bytes().to_vec();
            if message.from_pattern() { self.matched(channel, text) } else { self.said(&channel, text) }
        }
        true
    }

    fn said(&self, channel: &[u8], text: Vec<u8>) {
        if let Some(channel) = self.names.channels.iter().position(|name| name == channel) {
            self.put(Item::Said { channel, text: text.into() });
        }
    }

    fn matched(&self, channel: Vec<u8>, text: Vec<u8>) {
        self.put(Item::Matched { channel: self.names.own(channel), text: text.into() });
    }

    /// The next, in the order in which they came, or why there is none any more.
    ///
    /// # Cancellation
    ///
    /// Takes nothing along.
    pub(super) async fn next(&self) -> Result<Item, Error> {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.notify.notified().await;
        }
    }

    /// What [`next`](Self::next) would tell without waiting.
    pub(super) fn take(&self) -> Option<Result<Item, Error>> {
        let mut waiting = self.waiting.lock();
        if waiting.dropped > 0 {
            return Some(Ok(Item::Dropped(mem::take(&mut waiting.dropped))));
        }
        match waiting.pop() {
            Some(item) => Some(Ok(item)),
            None => waiting.ended.clone().map(Err),
        }
    }

    fn put(&self, item: Item) {
        let mut waiting = self.waiting.lock();
        if waiting.ended.is_some() {
            return;
        }
        // One that is larger than all the room is let in alone.
        match self.names.room {
            Room::OrEnd(room) if waiting.weight + item.weight() > room && !waiting.items.is_empty() => {
                // Who is so far behind catches up sooner without what is no longer the whole.
                *waiting = Waiting { ended: Some(overflow()), ..Waiting::default() };
            }
            Room::OrDropOldest(room) => {
                while waiting.weight + item.weight() > room && waiting.pop().is_some() {
                    waiting.dropped += 1;
                }
                waiting.push(item);
            }
            Room::OrEnd(_) => waiting.push(item),
        }
        drop(waiting);
        self.notify.notify_one();
    }

    /// Nothing comes any more.
    fn end(&self) {
        let broken = || Error::unavailable("a subscription to Redis broke", "its connection ended");
        self.waiting.lock().ended.get_or_insert_with(broken);
        self.notify.notify_one();
    }
}

impl Waiting {
    fn push(&mut self, item: Item) {
        self.weight += item.weight();
        self.items.push_back(item);
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.weight -= item.weight();
        Some(item)
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::OrEnd(ROOM)
    }
}

impl Names {
    /// A key as it is called without the namespace.
    fn own(&self, key: Vec<u8>) -> Bytes {
        let mut key = Bytes::from(key);
        key.split_off(self.namespace.len().min(key.len()))
    }
}

impl Item {
    fn weight(&self) -> usize {
        EACH + match self {
            Self::Said { text: bytes, .. } | Self::Changed(bytes) => bytes.len(),
            Self::Matched { channel, text } => channel.len() + text.len(),
            Self::ChangedAll | Self::Dropped(_) => 0,
        }
    }
}

fn overflow() -> Error {
    Error::unavailable("a subscription to Redis was given up", "more was said than was listened to")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox() -> Inbox {
        let names = Names {
            channels: vec![b"ns:a".to_vec(), b"ns:b".to_vec()],
            namespace: b"ns:".to_vec(),
            ..Names::default()
        };
        Inbox::new(Arc::new(names))
    }

    fn push(inbox: &Inbox, kind: PushKind, data: Vec<Value>) {
        inbox.push(PushInfo { kind, data });
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn taken(inbox: &Inbox) -> Item {
        inbox.take().expect("something waits").expect("it goes on")
    }

    #[test]
    fn everything_comes_in_its_order_and_then_the_end() {
        let inbox = inbox();
        push(&inbox, PushKind::Message, vec![bulk("ns:b"), bulk("1")]);
        push(&inbox, PushKind::Message, vec![bulk("ns:unknown"), bulk("2")]);
        push(&inbox, PushKind::Invalidate, vec![Value::Array(vec![bulk("ns:k"), bulk("n")])]);
        push(&inbox, PushKind::Subscribe, vec![bulk("ns:a"), Value::Int(1)]);
        push(&inbox, PushKind::Invalidate, vec![Value::Nil]);
        push(&inbox, PushKind::Disconnection, vec![]);
        push(&inbox, PushKind::Message, vec![bulk("ns:a"), bulk("3")]);
        assert_eq!(taken(&inbox), Item::Said { channel: 1, text: "1".into() });
        assert_eq!(taken(&inbox), Item::Changed("k".into()));
        assert_eq!(taken(&inbox), Item::Changed("".into()), "what is shorter than the namespace is no panic");
        assert_eq!(taken(&inbox), Item::ChangedAll);
        for _ in 0..2 {
            assert!(inbox.take().expect("the end").expect_err("stays the end").is_unavailable());
        }
    }

    #[test]
    fn who_does_not_listen_is_given_up_and_nothing_is_kept() {
        let inbox = inbox();
        let text = "x".repeat(ROOM / 4);
        for _ in 0..4 {
            push(&inbox, PushKind::Message, vec![bulk("ns:a"), bulk(&text)]);
        }
        assert!(inbox.take().expect("the end").is_err());
        assert_eq!(inbox.waiting.lock().items.len(), 0);
    }

    #[test]
    fn who_wants_the_newest_is_told_how_many_older_ones_were_dropped() {
        let names = Names { room: Room::OrDropOldest(4 * EACH), ..(*inbox().names).clone() };
        let inbox = Inbox::new(Arc::new(names));
        for n in 0..10 {
            push(&inbox, PushKind::PMessage, vec![bulk("ns:*"), bulk("ns:"), bulk(&n.to_string())]);
        }
        let next = |n: u32| Item::Matched { channel: "".into(), text: n.to_string().into() };
        assert_eq!(taken(&inbox), Item::Dropped(7), "three fit, of one byte each");
        assert_eq!(taken(&inbox), next(7));
        push(&inbox, PushKind::PMessage, vec![bulk("ns:*"), bulk("ns:"), bulk(&"x".repeat(8 * EACH))]);
        assert_eq!(taken(&inbox), Item::Dropped(2), "one of any size has room, alone");
        assert!(matches!(taken(&inbox), Item::Matched { text, .. } if text.len() == 8 * EACH));
        push(&inbox, PushKind::Disconnection, vec![]);
        assert!(inbox.take().expect("the end").is_err());
    }

    #[test]
    fn what_was_listened_to_makes_room_and_one_of_any_size_has_it() {
        let inbox = inbox();
        let text = "x".repeat(2 * ROOM);
        for _ in 0..3 {
            push(&inbox, PushKind::Message, vec![bulk("ns:a"), bulk(&text)]);
            assert_eq!(taken(&inbox), Item::Said { channel: 0, text: text.clone().into() });
        }
        for _ in 0..2 * ROOM / EACH {
            push(&inbox, PushKind::Message, vec![bulk("ns:a"), bulk("")]);
            taken(&inbox);
        }
        assert!(inbox.take().is_none());
    }
}
