//! Values as they lie on the server.

use serde::{Serialize, de::DeserializeOwned};

use crate::error::Error;

/// How the tools write the values they are given. Processes that share a key must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Compact, for programs in Rust that share the type. It does not say what its bytes mean: fields are told apart by
    /// their order, and one that is new is read neither from old values nor by old programs. Put what is to change into an
    /// enum of versions.
    #[default]
    Postcard,
    /// JSON, which programs in other languages read, and which bears new fields that have a default.
    #[cfg(feature = "json")]
    Json,
}

/// How large a value may be unless said otherwise: 1 MiB.
pub(super) const LARGEST: usize = 1 << 20;

// === impl Format ===

impl Format {
    /// `value` as bytes to be kept under `key`, at most `largest`.
    pub(super) fn encode<T: Serialize>(self, value: &T, key: &str, largest: usize) -> Result<Vec<u8>, Error> {
        let encoded = match self {
            Self::Postcard => postcard::to_stdvec(value).map_err(Box::from),
            #[cfg(feature = "json")]
            Self::Json => serde_json::to_vec(value).map_err(Box::from),
        };
        let bytes = encoded
            .map_err(|error: Cause| Error::invalid(&format!("`{key}`: this value cannot be written")).because(error))?;
        if bytes.len() > largest {
            let message = format!("`{key}`: the value has {} bytes, of which {largest} are allowed", bytes.len());
            return Err(Error::invalid(&message));
        }
        Ok(bytes)
    }

    /// What [`encode`](Self::encode) wrote, found under `key`.
    pub(super) fn decode<T: DeserializeOwned>(self, bytes: &[u8], key: &str) -> Result<T, Error> {
        let decoded = match self {
            Self::Postcard => match postcard::take_from_bytes(bytes) {
                Ok((value, [])) => Ok(value),
                Ok((_, rest)) => Err(format!("{} bytes too many", rest.len()).into()),
                Err(error) => Err(error.into()),
            },
            #[cfg(feature = "json")]
            Self::Json => serde_json::from_slice(bytes).map_err(Box::from),
        };
        decoded.map_err(|error: Cause| {
            Error::undecodable(&format!("`{key}`: {} bytes are no value of this type", bytes.len())).because(error)
        })
    }
}

/// As much of `text` as is kept beside a value: 1 KiB.
pub(super) fn cut(mut text: String) -> String {
    const LONGEST: usize = 1024;
    // TODO: with MSRV 1.91, use `str::floor_char_boundary`.
    let end = (0..=LONGEST.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    text.truncate(end.unwrap_or(0));
    text
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Order {
        id: u64,
        note: Option<String>,
    }

    fn formats() -> Vec<Format> {
        vec![
            Format::Postcard,
            #[cfg(feature = "json")]
            Format::Json,
        ]
    }

    #[test]
    fn what_was_written_is_read() {
        for format in formats() {
            let order = Order { id: 7, note: Some("ring twice".to_owned()) };
            let bytes = format.encode(&order, "orders", LARGEST).unwrap();
            assert_eq!(format.decode::<Order>(&bytes, "orders").unwrap(), order, "{format:?}");
            let mut longer = bytes.clone();
            longer.push(b'x');
            assert!(format.decode::<Order>(&longer, "orders").is_err(), "{format:?}: more than was written");
        }
    }

    #[test]
    fn what_cannot_be_is_an_error_that_names_the_key_and_not_the_value() {
        for format in formats() {
            let error = format.encode(&"secret".repeat(100), "orders", 99).unwrap_err();
            assert!(error.is_invalid() && error.to_string().starts_with("`orders`: the value has 60"), "{error}");
            let error = format.decode::<Order>(b"\xffsecret", "orders").unwrap_err();
            assert!(error.is_undecodable() && error.to_string().starts_with("`orders`: 7 bytes"), "{error}");
            assert!(!format!("{error:?}").contains("secret"));
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("ü".repeat(600)).len(), 1024);
        assert_eq!(cut(format!("x{}", "ü".repeat(600))).len(), 1023);
        assert_eq!(cut("short".to_owned()), "short");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            for format in formats() {
                drop(format.decode::<Order>(&bytes, "orders"));
            }
        }
    }
}
