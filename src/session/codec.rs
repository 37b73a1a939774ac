//! Values as bytes.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::Error;

/// How values and members of sets are written. A session's values are read with the codec they were written with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codec {
    /// Compact, and not self-describing: a type that gains a field cannot read what was written before.
    #[default]
    Postcard,
    /// Readable by programs in other languages.
    #[cfg(feature = "session-json")]
    Json,
}

// === impl Codec ===

impl Codec {
    pub(super) fn encode<T: Serialize + ?Sized>(self, name: &str, value: &T) -> Result<Vec<u8>, Error> {
        let failed = || Error::invalid(&format!("the value for `{name}` cannot be written"));
        match self {
            Self::Postcard => postcard::to_stdvec(value).map_err(|error| failed().because(error)),
            #[cfg(feature = "session-json")]
            Self::Json => serde_json::to_vec(value).map_err(|error| failed().because(error)),
        }
    }

    pub(super) fn decode<T: DeserializeOwned>(self, name: &str, bytes: &[u8]) -> Result<T, Error> {
        let failed = || Error::undecodable(&format!("the value of `{name}` is not of the type that was asked for"));
        match self {
            // What is left over was written as another type.
            Self::Postcard => match postcard::take_from_bytes(bytes) {
                Ok((value, [])) => Ok(value),
                Ok(_) => Err(failed()),
                Err(error) => Err(failed().because(error)),
            },
            #[cfg(feature = "session-json")]
            Self::Json => serde_json::from_slice(bytes).map_err(|error| failed().because(error)),
        }
    }
}
