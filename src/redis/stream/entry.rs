//! What the server answers about a log.

use bytes::Bytes;

use super::id::EntryId;
use crate::{error::Error, redis::reply::Reply};

/// What stands in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// What it is called by.
    pub id: EntryId,
    /// What was appended.
    pub value: T,
}

/// The field of an entry that has its value.
pub(super) const PAYLOAD: &str = "p";

/// An entry as it came.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) id: EntryId,
    pub(super) fields: Vec<(Bytes, Bytes)>,
}

// === impl Raw ===

impl Raw {
    pub(super) fn field(&self, name: &str) -> Option<&Bytes> {
        self.fields.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    pub(super) fn payload(&self) -> Option<&Bytes> {
        self.field(PAYLOAD)
    }

    /// Entries, as `XRANGE` has them.
    pub(super) fn list(reply: Reply) -> Result<Vec<Self>, Error> {
        reply.list()?.into_iter().map(Self::of).collect()
    }

    /// The entries of the one stream that `XREAD` or `XREADGROUP` was asked about: a list in RESP2, a map in RESP3.
    pub(super) fn of_one_stream(reply: Reply) -> Result<Vec<Self>, Error> {
        let mut streams = reply.list()?;
        if streams.len() == 1
            && let Some(only) = streams.pop()
        {
            streams = only.list()?;
        }
        streams.into_iter().nth(1).map_or(Ok(Vec::new()), Self::list)
    }

    fn of(reply: Reply) -> Result<Self, Error> {
        let mut parts = reply.list()?.into_iter();
        let id = EntryId::of(parts.next().ok_or_else(cut_off)?)?;
        let mut words = parts.next().ok_or_else(cut_off)?.list()?.into_iter();
        let mut fields = Vec::with_capacity(words.len() / 2);
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(cut_off)?;
            fields.push((name.bytes()?.unwrap_or_default(), value.bytes()?.unwrap_or_default()));
        }
        Ok(Self { id, fields })
    }
}

#[cold]
fn cut_off() -> Error {
    Error::undecodable("Redis answered part of an entry")
}
