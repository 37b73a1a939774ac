//! The one error of this crate.

use std::{error::Error as StdError, fmt, sync::Arc};

/// Why an operation of this crate failed.
///
/// It is cheap to clone, so that everyone who waited for one operation can be told.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: Arc<str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What sort of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument cannot mean anything: the message names it and what would have been allowed.
    Invalid,
    /// The store could not be asked, or did not answer in time.
    Unavailable,
}

// === impl Error ===

impl Error {
    /// A store that could not do what it was asked. For implementations of a store.
    #[cold]
    pub fn unavailable(message: &str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { kind: ErrorKind::Unavailable, message: message.into(), source: Some(Arc::from(source.into())) }
    }

    /// An argument that cannot mean anything. `message` names it and what would have been allowed.
    #[cold]
    pub fn invalid(message: &str) -> Self {
        Self { kind: ErrorKind::Invalid, message: message.into(), source: None }
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether an argument was at fault, so that trying again cannot help.
    pub fn is_invalid(&self) -> bool {
        self.kind == ErrorKind::Invalid
    }

    /// Whether the store was at fault, so that trying again may help.
    pub fn is_unavailable(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}
