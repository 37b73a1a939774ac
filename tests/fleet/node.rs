//! A node, wherever it runs.

use http::response::Parts;

use crate::{history::Outcome, member::Member, process::Process, site::What};

pub(crate) enum Node {
    Here(Member),
    Apart(Box<Process>),
}

/// What a node answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) value: u64,
    /// Its `Cache-Status`.
    pub(crate) how: String,
}

// === impl Node ===

impl Node {
    /// `None` when there is nobody to answer.
    pub(crate) async fn read(&self, page: usize, language: usize) -> Option<Answer> {
        match self {
            Self::Here(member) => Some(member.read(page, language).await),
            Self::Apart(process) => process.read(page, language).await,
        }
    }

    /// Ends a pause.
    pub(crate) fn resume(&self) {
        if let Self::Apart(process) = self {
            process.resume();
        }
    }

    pub(crate) fn lives(&self) -> bool {
        match self {
            Self::Here(_) => true,
            Self::Apart(process) => process.lives(),
        }
    }

    pub(crate) async fn purge(&self, what: What) -> Outcome {
        match self {
            Self::Here(member) => match member.purge(what).await {
                Ok(()) => Outcome::Acknowledged,
                Err(error) => Outcome::Failed(error.to_string()),
            },
            Self::Apart(process) => process.purge(what).await,
        }
    }
}

// === impl Answer ===

impl Answer {
    /// Whether it is no answer of the site that has `value` or a later one.
    pub(crate) fn is_older_than(&self, value: u64) -> bool {
        self.status != 200 || self.value < value
    }

    pub(crate) fn of(head: &Parts, body: &[u8]) -> Self {
        Self {
            status: head.status.as_u16(),
            value: std::str::from_utf8(body).ok().and_then(|value| value.parse().ok()).unwrap_or(0),
            how: head.headers.get("cache-status").and_then(|how| how.to_str().ok()).unwrap_or_default().to_owned(),
        }
    }
}
