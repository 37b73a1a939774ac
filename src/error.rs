//! The one error of this crate.

use std::{error::Error as StdError, fmt, sync::Arc};

/// Why an operation of this crate failed.
///
/// It is cheap to clone, so that everyone who waited for one operation can be told.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: Arc<str>,
    code: Option<Arc<str>>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What sort of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument cannot mean anything: the message names it and what would have been allowed.
    Invalid,
    /// The store could not be asked, or broke off before it answered.
    Unavailable,
    /// No answer came within the deadline. Whether what was asked for was done is not known.
    TimedOut,
    /// The server answered that it will not do it: a wrong password, a missing permission, no memory left.
    Refused,
    /// An answer came that makes no sense where it stands.
    Undecodable,
    /// Another holds what was asked for, and did so for as long as was waited.
    Held,
    /// What was held is held no more, and may be another's.
    Lost,
    /// What the program gave to be called, such as a loader, failed. Its own error is the source.
    Failed,
}

// === impl Error ===

impl Error {
    /// A store that could not do what it was asked. For implementations of a store.
    #[cold]
    pub fn unavailable(message: &str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Unavailable, message).because(source)
    }

    /// An argument that cannot mean anything. `message` names it and what would have been allowed.
    #[cold]
    pub fn invalid(message: &str) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// No answer within the deadline.
    #[cold]
    pub fn timed_out(message: &str) -> Self {
        Self::new(ErrorKind::TimedOut, message)
    }

    /// A server that said no. `code` is its own first word for it, such as `OOM`.
    #[cold]
    pub fn refused(message: &str, code: &str) -> Self {
        Self { code: Some(code.into()), ..Self::new(ErrorKind::Refused, message) }
    }

    /// An answer that makes no sense. `message` says what was expected.
    #[cold]
    pub fn undecodable(message: &str) -> Self {
        Self::new(ErrorKind::Undecodable, message)
    }

    /// What was asked for is another's.
    #[cfg(feature = "redis")]
    #[cold]
    pub(crate) fn held(message: &str) -> Self {
        Self::new(ErrorKind::Held, message)
    }

    /// What was held is lost.
    #[cfg(feature = "redis")]
    #[cold]
    pub(crate) fn lost(message: &str) -> Self {
        Self::new(ErrorKind::Lost, message)
    }

    /// What the program gave to be called failed.
    #[cold]
    pub fn failed(message: &str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Failed, message).because(source)
    }

    /// This error, with what lies behind it.
    #[must_use]
    #[cold]
    pub fn because(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(Arc::from(source.into())), ..self }
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether an argument was at fault, so that trying again cannot help.
    pub fn is_invalid(&self) -> bool {
        self.kind == ErrorKind::Invalid
    }

    /// Whether the store was at fault, so that trying again may help: it could not be asked, or did not answer in time.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::TimedOut)
    }

    /// Whether it is unknown if the store did what it was asked to.
    pub fn is_timed_out(&self) -> bool {
        self.kind == ErrorKind::TimedOut
    }

    /// Whether a server said no.
    pub fn is_refused(&self) -> bool {
        self.kind == ErrorKind::Refused
    }

    /// Whether an answer made no sense.
    pub fn is_undecodable(&self) -> bool {
        self.kind == ErrorKind::Undecodable
    }

    /// Whether another holds what was asked for.
    pub fn is_held(&self) -> bool {
        self.kind == ErrorKind::Held
    }

    /// Whether what was held is held no more.
    pub fn is_lost(&self) -> bool {
        self.kind == ErrorKind::Lost
    }

    /// Whether what the program gave to be called failed.
    pub fn is_failed(&self) -> bool {
        self.kind == ErrorKind::Failed
    }

    /// The server's own first word for its refusal, such as `OOM`, `NOPERM` or `WRONGTYPE`.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// This error, its message after `prefix`, which says where it happened.
    #[cfg(feature = "redis")]
    #[cold]
    pub(crate) fn prefixed(self, prefix: &str) -> Self {
        Self { message: format!("{prefix}{}", self.message).into(), ..self }
    }

    /// The message, and what lies behind it, as one text to be kept.
    #[cfg(feature = "redis")]
    pub(crate) fn with_cause(&self) -> String {
        match &self.source {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }

    fn new(kind: ErrorKind, message: &str) -> Self {
        Self { kind, message: message.into(), code: None, source: None }
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
            .field("code", &self.code)
            .field("source", &self.source)
            .finish()
    }
}
