//! Values as bytes, for stores that keep them elsewhere.

use bytes::Bytes;

use super::contract::Value;

/// What can leave the process: a value that a store elsewhere can keep, and another process can read.
///
/// It has two parts. The *head* is what may change while the rest stays: a store renews it, on
/// [`refresh`](super::Lease::refresh), without sending the *body* again. The body is large, and never copied by either
/// direction: it is the value's own bytes on the way out, and bytes of the store's answer on the way in.
///
/// What one release wrote another may read, so the head should begin with the version of its format.
///
/// ```
/// use bartizan::store::{Encoded, Value, Wire};
/// use bytes::Bytes;
///
/// struct Report { year: u16, text: Bytes }
///
/// impl Value for Report {
///     fn weight(&self) -> usize { self.text.len() }
/// }
///
/// impl Wire for Report {
///     fn encode(&self) -> Encoded {
///         let [low, high] = self.year.to_le_bytes();
///         Encoded::new(vec![1, low, high], self.text.clone())
///     }
///
///     fn decode(head: Bytes, body: Bytes) -> Option<Self> {
///         match head[..] {
///             [1, low, high] => Some(Self { year: u16::from_le_bytes([low, high]), text: body }),
///             _ => None,
///         }
///     }
/// }
/// # let Encoded { head, body, .. } = Report { year: 2020, text: Bytes::from("good") }.encode();
/// # assert!(Report::decode(head.into(), body).is_some_and(|read| read.year == 2020 && read.text == "good"));
/// ```
pub trait Wire: Value + Sized {
    /// The value as bytes.
    fn encode(&self) -> Encoded;

    /// The value that was [encoded](Self::encode) as these bytes; `None`, which is a miss, if they are not of this format.
    ///
    /// They may be anything: of another version, or cut off. Trust no length in them.
    fn decode(head: Bytes, body: Bytes) -> Option<Self>;
}

/// A value as bytes. [`Wire`] says what the parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Encoded {
    /// What may change while the body stays.
    pub head: Vec<u8>,
    /// The large rest; empty if there is none.
    pub body: Bytes,
    /// Whether a store should try to compress the body.
    pub compression: Compression,
}

/// Whether compressing bytes is worth a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// It may make them fewer.
    Useful,
    /// They are compressed as they are.
    Useless,
}

// === impl Encoded ===

impl Encoded {
    /// These parts, of a body that can be compressed.
    pub const fn new(head: Vec<u8>, body: Bytes) -> Self {
        Self { head, body, compression: Compression::Useful }
    }

    /// Says whether compressing the body is worth a try.
    #[must_use]
    pub fn compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }
}
