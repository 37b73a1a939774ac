//! What is kept under a key.

use std::{
    error::Error as StdError,
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::codec::{self, Codec, Postcard};
use crate::{
    clock::Timestamp,
    error::Error,
    store::{Encoded, Value, Wire},
};

/// What an [`Aside`](super::Aside) keeps under a key: the `V` of its [`Store`](crate::store::Store).
///
/// In a process it is the value itself, which hits share; it is written by the [`Codec`] only where it leaves the
/// process.
pub struct Entry<V, C = Postcard> {
    content: Content<V>,
    fresh_until: Timestamp,
    /// How long it took to load.
    cost: Duration,
    /// When it is written.
    size: usize,
    /// When a refresh in the background was last begun.
    refreshed: AtomicU64,
    codec: PhantomData<fn() -> C>,
}

enum Content<V> {
    Value(Arc<V>),
    Absent,
    /// Told to those who waited for it, and to nobody else.
    Failed(Error),
}

/// How long a refresh in the background is given before another is begun.
const REFRESH_RETRY: Duration = Duration::from_secs(5);

const FORMAT: u8 = 1;

/// Of the head: format, kind, until when it is fresh, cost.
const HEAD: usize = 14;

/// How much of a loader's error other processes are told, in bytes.
const MOST_TEXT: usize = 1024;

const VALUE: u8 = 0;
const ABSENT: u8 = 1;
const FAILED: u8 = 2;

// === impl Entry ===

impl<V, C> Entry<V, C> {
    pub(super) fn failed(error: Error) -> Self {
        Self::of(Content::Failed(error), 0, Timestamp::default(), Duration::ZERO)
    }

    /// The value, or that there is none; or why it is not known.
    pub(super) fn answer(&self) -> Result<Option<Arc<V>>, Error> {
        match &self.content {
            Content::Value(value) => Ok(Some(Arc::clone(value))),
            Content::Absent => Ok(None),
            Content::Failed(error) => Err(error.clone()),
        }
    }

    pub(super) fn is_failed(&self) -> bool {
        matches!(self.content, Content::Failed(_))
    }

    pub(super) fn fresh_until(&self) -> Timestamp {
        self.fresh_until
    }

    pub(super) fn cost(&self) -> Duration {
        self.cost
    }

    /// Whether this caller is the one who begins a refresh.
    pub(super) fn claim_refresh(&self, now: Timestamp) -> bool {
        let last = self.refreshed.load(Ordering::Relaxed);
        let due = now.since(Timestamp::from_millis(last)) >= REFRESH_RETRY || last > now.as_millis();
        due && self.refreshed.compare_exchange(last, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn of(content: Content<V>, size: usize, fresh_until: Timestamp, cost: Duration) -> Self {
        Self { content, fresh_until, cost, size, refreshed: AtomicU64::new(0), codec: PhantomData }
    }
}

impl<V: Serialize, C: Codec> Entry<V, C> {
    /// # Errors
    ///
    /// When the value cannot be written.
    pub(super) fn new(
        value: Option<Arc<V>>,
        fresh_until: Timestamp,
        cost: Duration,
    ) -> Result<Self, Box<dyn StdError + Send + Sync>> {
        let Some(value) = value else { return Ok(Self::of(Content::Absent, 0, fresh_until, cost)) };
        let size = codec::size::<C, V>(&value)?;
        Ok(Self::of(Content::Value(value), size, fresh_until, cost))
    }
}

impl<V: Send + Sync + 'static, C: 'static> Value for Entry<V, C> {
    fn weight(&self) -> usize {
        match self.content {
            Content::Value(_) => size_of::<V>() + self.size,
            Content::Absent => 0,
            Content::Failed(_) => MOST_TEXT,
        }
    }
}

impl<V, C> Wire for Entry<V, C>
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    C: Codec,
{
    fn encode(&self) -> Encoded {
        let mut body = Vec::with_capacity(self.size);
        let kind = match &self.content {
            Content::Value(value) => match C::encode(&**value, &mut body) {
                Ok(()) => VALUE,
                // It could be written when it was made. An empty head is read as a miss.
                Err(_) => return Encoded::new(Vec::new(), Bytes::new()),
            },
            Content::Absent => ABSENT,
            Content::Failed(error) => {
                body = told(error).into_bytes();
                FAILED
            }
        };
        let mut head = Vec::with_capacity(HEAD);
        head.extend([FORMAT, kind]);
        head.extend(self.fresh_until.as_millis().to_le_bytes());
        head.extend(u32::try_from(self.cost.as_millis()).unwrap_or(u32::MAX).to_le_bytes());
        Encoded::new(head, body.into())
    }

    fn decode(head: Bytes, body: Bytes) -> Option<Self> {
        let (&[FORMAT, kind], rest) = head.split_first_chunk()? else { return None };
        let (fresh_until, rest) = rest.split_first_chunk()?;
        let cost = <[u8; 4]>::try_from(rest).ok()?;
        let content = match kind {
            VALUE => Content::Value(Arc::new(C::decode(&body)?)),
            ABSENT if body.is_empty() => Content::Absent,
            FAILED => {
                let text = std::str::from_utf8(&body).ok().filter(|text| text.len() <= MOST_TEXT)?;
                Content::Failed(Error::failed("a loader failed in another process", text))
            }
            _ => return None,
        };
        let fresh_until = Timestamp::from_millis(u64::from_le_bytes(*fresh_until));
        Some(Self::of(content, body.len(), fresh_until, Duration::from_millis(u32::from_le_bytes(cost).into())))
    }
}

/// An error and what lies behind it, as other processes are told.
fn told(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        text.push_str(": ");
        text.push_str(&next.to_string());
        source = next.source();
    }
    let mut end = text.len().min(MOST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

impl<V: fmt::Debug, C> fmt::Debug for Entry<V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("answer", &self.answer())
            .field("fresh_until", &self.fresh_until)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct User {
        id: u64,
        name: String,
        mails: Vec<String>,
    }

    type Kept = Entry<User>;

    fn read(entry: &Kept) -> Option<Kept> {
        let Encoded { head, body, .. } = entry.encode();
        Kept::decode(head.into(), body)
    }

    proptest! {
        #[test]
        fn a_value_is_read_as_it_was_written(id: u64, name: String, mails: Vec<String>, millis: u64, cost: u32) {
            let (until, cost) = (Timestamp::from_millis(millis), Duration::from_millis(cost.into()));
            for value in [Some(Arc::new(User { id, name, mails })), None] {
                let entry = Kept::new(value.clone(), until, cost).unwrap();
                let again = read(&entry).unwrap();
                prop_assert_eq!(again.answer().unwrap(), value);
                prop_assert_eq!((again.fresh_until, again.cost, again.weight()), (until, cost, entry.weight()));
            }
        }

        #[test]
        fn any_bytes_are_a_value_or_a_miss(head: Vec<u8>, kind in 0u8..4, body: Vec<u8>) {
            let _ = Kept::decode(head.into(), body.clone().into());
            let mut head = vec![FORMAT, kind];
            head.extend([0; 12]);
            let _ = Kept::decode(head.into(), body.into());
        }
    }

    #[test]
    fn whatever_is_cut_off_or_added_is_a_miss() {
        let user = User { id: 7, name: "Ada".into(), mails: vec!["ada@example.com".into()] };
        let entry = Kept::new(Some(Arc::new(user)), Timestamp::from_secs(1), Duration::ZERO).unwrap();
        let Encoded { head, body, .. } = entry.encode();
        for cut in 0..head.len() {
            assert!(Kept::decode(Bytes::copy_from_slice(&head[..cut]), body.clone()).is_none(), "{cut}");
        }
        for cut in 0..body.len() {
            assert!(Kept::decode(head.clone().into(), body.slice(..cut)).is_none(), "{cut}");
        }
        assert!(Kept::decode(head.clone().into(), [&body[..], b"x"].concat().into()).is_none());
        assert!(Kept::decode([&head[..], b"x"].concat().into(), body).is_none());
    }

    #[test]
    fn a_failure_is_told_with_what_lies_behind_it_and_no_more_than_a_kilobyte() {
        let error = Error::failed("loading `user:7` failed", format!("no route to {}", "ü".repeat(2000)));
        let again = read(&Kept::failed(error)).unwrap().answer().unwrap_err();
        assert!(again.is_failed());
        let source = again.source().unwrap().to_string();
        assert!(source.starts_with("loading `user:7` failed: no route to ü") && source.len() <= MOST_TEXT, "{source}");
    }

    #[test]
    fn what_has_no_form_in_the_format_is_an_error_where_it_is_made() {
        struct Unwritable;
        impl Serialize for Unwritable {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("never"))
            }
        }
        assert!(Entry::<_, Postcard>::new(Some(Arc::new(Unwritable)), Timestamp::default(), Duration::ZERO).is_err());
    }
}
