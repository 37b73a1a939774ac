//! A request body of which the beginning was read already.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::spool::into_bytes;

pin_project! {
    /// The request body within a [`QueryMethodLayer`](super::QueryMethodLayer): nothing of it is lost that was read for
    /// the key.
    pub struct ReadAhead<B>
    where
        B: Body,
    {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B>
    where
        B: Body,
    {
        Unread { #[pin] body: B },
        Read { data: Bytes, then: Then<B> },
    }
}

/// What follows the data that was read.
pub(crate) enum Then<B: Body> {
    End,
    /// Trailers, or a frame of a kind that is not known.
    Frame(Frame<Bytes>),
    Broken(B::Error),
    /// More than was to be read.
    Rest(Pin<Box<B>>),
}

// === impl ReadAhead ===

impl<B: Body> ReadAhead<B> {
    pub(crate) fn unread(body: B) -> Self {
        Self { kind: Kind::Unread { body } }
    }

    pub(crate) fn read(data: Bytes, then: Then<B>) -> Self {
        Self { kind: Kind::Read { data, then } }
    }
}

impl<B: Body> Body for ReadAhead<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let (data, then) = match self.project().kind.project() {
            KindProj::Unread { body } => return body.poll_frame(cx).map(into_bytes),
            KindProj::Read { data, then } => (data, then),
        };
        if !data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(data)))));
        }
        if let Then::Rest(body) = then {
            return body.as_mut().poll_frame(cx).map(into_bytes);
        }
        Poll::Ready(match std::mem::replace(then, Then::End) {
            Then::Frame(frame) => Some(Ok(frame)),
            Then::Broken(error) => Some(Err(error)),
            Then::End | Then::Rest(_) => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Unread { body } => body.is_end_stream(),
            Kind::Read { data, then: Then::End } => data.is_empty(),
            Kind::Read { data, then: Then::Rest(body) } => data.is_empty() && body.is_end_stream(),
            Kind::Read { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Unread { body } => body.size_hint(),
            Kind::Read { data, then: Then::Rest(body) } => {
                let (read, rest) = (data.len() as u64, body.size_hint());
                let mut hint = SizeHint::new();
                hint.set_lower(read + rest.lower());
                if let Some(upper) = rest.upper() {
                    hint.set_upper(read + upper);
                }
                hint
            }
            Kind::Read { data, .. } => SizeHint::with_exact(data.len() as u64),
        }
    }
}

impl<B: Body> fmt::Debug for ReadAhead<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Unread { .. } => "ReadAhead::Unread",
            Kind::Read { .. } => "ReadAhead::Read",
        })
    }
}
