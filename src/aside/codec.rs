//! Values as bytes, for stores beyond the process.

use std::{error::Error as StdError, io};

use serde::{Serialize, de::DeserializeOwned};

/// How values are written where they leave the process, and how large they are where they do not.
///
/// Values that are written by one codec are not found by another.
pub trait Codec: Send + Sync + 'static {
    /// Tells it from others, wherever values are kept: 0 is [`Postcard`], 1 is `Json`; take 1000 or more.
    const ID: u16;

    /// Writes a value. What is written is the same each time.
    ///
    /// # Errors
    ///
    /// When the value has no form in this format, or `out` fails.
    fn encode<V: Serialize>(value: &V, out: impl io::Write) -> Result<(), Box<dyn StdError + Send + Sync>>;

    /// Reads what was written; `None`, which is a miss, if it makes no sense. It may be anything: trust no length in it.
    fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Option<V>;
}

/// [postcard](https://docs.rs/postcard): small and fast, but without names: a value whose type has changed cannot be
/// told from one that has not. Raise [`schema`](super::Aside::schema) when it does.
#[derive(Clone, Copy, Debug)]
pub struct Postcard;

/// JSON, which programs in other languages read.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug)]
pub struct Json;

/// Takes bytes and keeps none.
#[derive(Debug, Default)]
struct Length(usize);

/// What a value takes where it is encoded.
pub(super) fn size<C: Codec, V: Serialize>(value: &V) -> Result<usize, Box<dyn StdError + Send + Sync>> {
    let mut length = Length::default();
    C::encode(value, &mut length)?;
    Ok(length.0)
}

impl Codec for Postcard {
    const ID: u16 = 0;

    fn encode<V: Serialize>(value: &V, out: impl io::Write) -> Result<(), Box<dyn StdError + Send + Sync>> {
        postcard::to_io(value, out)?;
        Ok(())
    }

    fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Option<V> {
        let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
        rest.is_empty().then_some(value)
    }
}

#[cfg(feature = "json")]
impl Codec for Json {
    const ID: u16 = 1;

    fn encode<V: Serialize>(value: &V, out: impl io::Write) -> Result<(), Box<dyn StdError + Send + Sync>> {
        Ok(serde_json::to_writer(out, value)?)
    }

    fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Option<V> {
        serde_json::from_slice(bytes).ok()
    }
}

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
