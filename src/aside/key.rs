//! What values are called: `entity:id:field`.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use crate::error::Error;

/// Names a value, as `entity:id` or `entity:id:field`.
///
/// The entity is the program's own word. Id and field may come from anywhere: every byte of them that is not a letter
/// or digit of ASCII nor one of `-._~@+=,/` is percent-encoded, so that two different names are never the same text.
///
/// ```
/// use bartizan::aside::EntityKey;
///
/// assert_eq!(EntityKey::new("user", 42).as_str(), "user:42");
/// assert_eq!(EntityKey::new("user", 42).field("orders").as_str(), "user:42:orders");
/// assert_eq!(EntityKey::new("user", "42:orders").as_str(), "user:42%3Aorders");
/// assert_eq!(EntityKey::from(("user", 42, "orders")), "user:42:orders".parse().unwrap());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityKey(String);

// === impl EntityKey ===

impl EntityKey {
    /// The entity of this kind with this id, which may be text of any content and length.
    ///
    /// # Panics
    ///
    /// When `entity` is empty, or has other characters than letters and digits of ASCII, `-`, `_` and `.`.
    pub fn new(entity: &'static str, id: impl fmt::Display) -> Self {
        assert!(
            is_entity(entity),
            "an entity is named by letters and digits of ASCII, `-`, `_` and `.`; not {entity:?}"
        );
        let mut text = String::with_capacity(entity.len() + 24);
        text.push_str(entity);
        Self(text).field(id)
    }

    /// One aspect of it, which is a value of its own: [`invalidate`](super::Aside::invalidate) of the one leaves the
    /// other.
    #[must_use]
    pub fn field(mut self, field: impl fmt::Display) -> Self {
        self.0.push(':');
        // What an id's own `Display` refuses to say is left out.
        let _ = write!(Escaping(&mut self.0), "{field}");
        self
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<I: fmt::Display> From<(&'static str, I)> for EntityKey {
    fn from((entity, id): (&'static str, I)) -> Self {
        Self::new(entity, id)
    }
}

impl<I: fmt::Display, F: fmt::Display> From<(&'static str, I, F)> for EntityKey {
    fn from((entity, id, field): (&'static str, I, F)) -> Self {
        Self::new(entity, id).field(field)
    }
}

impl From<&Self> for EntityKey {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

/// Reads what [`as_str`](EntityKey::as_str) tells, and nothing else.
impl FromStr for EntityKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.split(':');
        let is_whole = parts.next().is_some_and(is_entity) && text.contains(':') && parts.all(is_escaped);
        if is_whole { Ok(Self(text.to_owned())) } else { Err(malformed(text)) }
    }
}

#[cold]
fn malformed(text: &str) -> Error {
    let start: String = text.chars().take(100).collect();
    Error::invalid(&format!("a key is entity:id or entity:id:field, with other bytes percent-encoded; not {start:?}"))
}

fn is_entity(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~@+=,/".contains(&byte)
}

/// Whether this is what [`Escaping`] writes, for which there is one way only.
fn is_escaped(text: &str) -> bool {
    let mut bytes = text.bytes();
    let digit = |byte: Option<u8>| match byte? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    while let Some(byte) = bytes.next() {
        let is_right = match byte {
            b'%' => match (digit(bytes.next()), digit(bytes.next())) {
                (Some(high), Some(low)) => !is_plain(high << 4 | low),
                _ => false,
            },
            byte => is_plain(byte),
        };
        if !is_right {
            return false;
        }
    }
    true
}

struct Escaping<'a>(&'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if is_plain(byte) {
                self.0.push(char::from(byte));
            } else {
                write!(self.0, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What breaks out of formats that do not escape, and some of everything else.
    fn part() -> impl Strategy<Value = String> {
        prop_oneof!["[:%a1A3\\-]{0,6}", any::<String>()]
    }

    proptest! {
        #[test]
        fn no_two_names_are_the_same_text(a in proptest::collection::vec(part(), 1..4), b in proptest::collection::vec(part(), 1..4)) {
            let key = |parts: &[String]| parts[1..].iter().fold(EntityKey::new("user", &parts[0]), EntityKey::field);
            prop_assert_eq!(a == b, key(&a) == key(&b));
        }

        #[test]
        fn a_key_is_read_as_it_was_written(id in part(), field in part()) {
            for key in [EntityKey::new("user", &id), EntityKey::new("user", &id).field(&field)] {
                prop_assert_eq!(key.as_str().parse::<EntityKey>().unwrap(), key);
            }
        }

        #[test]
        fn whatever_is_read_is_what_it_tells(text in prop_oneof!["[a:%1F]{0,8}", any::<String>()]) {
            if let Ok(key) = text.parse::<EntityKey>() {
                prop_assert_eq!(key.as_str(), text);
            }
        }
    }

    #[test]
    fn what_no_key_tells_is_not_read() {
        for text in ["", "user", ":1", "us er:1", "user:a b", "user:%", "user:%4", "user:%41", "user:%3a", "user:é"] {
            assert!(text.parse::<EntityKey>().unwrap_err().is_invalid(), "{text}");
        }
        for text in ["user:", "user:1:", "user:%C3%A9", "user::"] {
            assert!(text.parse::<EntityKey>().is_ok(), "{text}");
        }
    }

    #[test]
    #[should_panic(expected = "an entity is named by")]
    fn an_entity_is_a_plain_word() {
        let _ = EntityKey::new("user:1", 2);
    }
}
