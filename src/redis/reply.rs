//! One answer.

use std::fmt;

use ::redis::Value;
use bytes::Bytes;

use crate::error::Error;

/// What a command answered. How it is to be read is the reader's choice, and may turn out to be wrong.
#[derive(Clone, PartialEq)]
pub struct Reply(Value);

// === impl Reply ===

impl Reply {
    pub(super) fn new(value: Value) -> Self {
        Self(value)
    }

    /// Whether it says that there is nothing.
    pub fn is_nil(&self) -> bool {
        self.0 == Value::Nil
    }

    /// As bytes, which are not copied; `None` for nothing.
    ///
    /// # Errors
    ///
    /// [`Undecodable`](crate::error::ErrorKind::Undecodable), for a whole number or a list.
    pub fn bytes(self) -> Result<Option<Bytes>, Error> {
        match self.0 {
            Value::Nil => Ok(None),
            Value::BulkString(bytes) => Ok(Some(bytes.into())),
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => Ok(Some(text.into())),
            Value::Okay => Ok(Some(Bytes::from_static(b"OK"))),
            // RESP2 sends these as text.
            Value::Double(number) => Ok(Some(number.to_string().into())),
            other => Err(unlike("bytes", &other)),
        }
    }

    /// As text; `None` for nothing.
    ///
    /// # Errors
    ///
    /// [`Undecodable`](crate::error::ErrorKind::Undecodable), for a whole number, a list, or what is no UTF-8.
    pub fn text(self) -> Result<Option<String>, Error> {
        let Some(bytes) = self.bytes()? else { return Ok(None) };
        match String::from_utf8(bytes.into()) {
            Ok(text) => Ok(Some(text)),
            Err(error) => Err(Error::undecodable("Redis answered bytes where text was expected").because(error)),
        }
    }

    /// As a whole number; also of a string of digits, and of a Boolean.
    ///
    /// # Errors
    ///
    /// [`Undecodable`](crate::error::ErrorKind::Undecodable), for anything else.
    pub fn int(&self) -> Result<i64, Error> {
        match &self.0 {
            Value::Int(number) => Ok(*number),
            Value::Boolean(truth) => Ok((*truth).into()),
            Value::BulkString(digits) => std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| digits.parse().ok())
                .ok_or_else(|| Error::undecodable("Redis answered a string where a whole number was expected")),
            other => Err(unlike("a whole number", other)),
        }
    }

    /// As a list; of a map the keys and values in turn, of nothing an empty one.
    ///
    /// # Errors
    ///
    /// [`Undecodable`](crate::error::ErrorKind::Undecodable), for a single value.
    pub fn list(self) -> Result<Vec<Self>, Error> {
        match self.0 {
            Value::Nil => Ok(Vec::new()),
            Value::Array(values) | Value::Set(values) => Ok(values.into_iter().map(Self).collect()),
            Value::Map(pairs) => Ok(pairs.into_iter().flat_map(|(key, value)| [Self(key), Self(value)]).collect()),
            other => Err(unlike("a list", &other)),
        }
    }
}

/// The kind of what came, not the value, which may be somebody's secret.
#[cold]
fn unlike(expected: &str, value: &Value) -> Error {
    let found = match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a whole number",
        Value::BulkString(_) | Value::SimpleString(_) | Value::VerbatimString { .. } | Value::Okay => "a string",
        Value::Array(_) | Value::Set(_) | Value::Map(_) | Value::Push { .. } => "a list",
        _ => "something else",
    };
    Error::undecodable(&format!("Redis answered {found} where {expected} was expected"))
}

/// The value itself is not shown: it may be a session.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Value::Nil => f.write_str("Reply(nothing)"),
            Value::Int(number) => write!(f, "Reply({number})"),
            Value::BulkString(bytes) => write!(f, "Reply({} bytes)", bytes.len()),
            Value::Array(values) | Value::Set(values) => write!(f, "Reply({} values)", values.len()),
            Value::Map(pairs) => write!(f, "Reply({} pairs)", pairs.len()),
            _ => f.write_str("Reply(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_as_something_else_is_undecodable_and_not_shown() {
        let secret = || Reply(Value::BulkString(b"secret".to_vec()));
        assert_eq!(secret().bytes().unwrap(), Some(Bytes::from_static(b"secret")));
        for error in
            [secret().int().unwrap_err(), secret().list().unwrap_err(), Reply(Value::Int(1)).text().unwrap_err()]
        {
            assert!(error.is_undecodable());
            assert!(!format!("{error:?}").contains("secret"));
        }
        assert!(!format!("{:?}", secret()).contains("secret"));
        assert!(Reply(Value::BulkString(vec![0xff])).text().unwrap_err().is_undecodable());
    }

    #[test]
    fn both_protocols_read_alike() {
        let pair = || (Value::BulkString(b"a".to_vec()), Value::Int(1));
        let (key, value) = pair();
        let resp2 = Reply(Value::Array(vec![key, value])).list().unwrap();
        assert_eq!(resp2, Reply(Value::Map(vec![pair()])).list().unwrap());
        assert_eq!(Reply(Value::Boolean(true)).int().unwrap(), 1);
        assert_eq!(Reply(Value::BulkString(b"-7".to_vec())).int().unwrap(), -7);
        assert_eq!(Reply(Value::Double(1.5)).text().unwrap().as_deref(), Some("1.5"));
        assert_eq!(Reply(Value::Nil).list().unwrap(), []);
    }
}
