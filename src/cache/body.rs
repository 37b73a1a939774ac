//! The body of a response that came through the cache.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{
    multipart::Multipart,
    spool::{Reader, into_bytes},
};

pin_project! {
    /// The body of a response that came through the cache: a stored one, or the inner service's.
    ///
    /// Its data is always [`Bytes`]; bodies of other data are converted, without a copy where they are `Bytes` already.
    pub struct CacheBody<B>
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
        Stored { data: Bytes, trailers: Option<Box<HeaderMap>> },
        Parts { parts: Multipart },
        Inner { #[pin] body: B },
        Spooled { reader: Reader<B> },
    }
}

// === impl CacheBody ===

impl<B: Body> CacheBody<B> {
    pub(crate) fn empty() -> Self {
        Self::stored(Bytes::new(), None)
    }

    pub(crate) fn stored(data: Bytes, trailers: Option<Box<HeaderMap>>) -> Self {
        Self { kind: Kind::Stored { data, trailers } }
    }

    pub(crate) fn multipart(parts: Multipart) -> Self {
        Self { kind: Kind::Parts { parts } }
    }

    pub(crate) fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    pub(crate) fn spooled(reader: Reader<B>) -> Self {
        Self { kind: Kind::Spooled { reader } }
    }
}

impl<B: Body> Body for CacheBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Stored { data, trailers } => Poll::Ready(if data.is_empty() {
                trailers.take().map(|trailers| Ok(Frame::trailers(*trailers)))
            } else {
                Some(Ok(Frame::data(std::mem::take(data))))
            }),
            KindProj::Parts { parts } => Poll::Ready(parts.next().map(|part| Ok(Frame::data(part)))),
            KindProj::Inner { body } => body.poll_frame(cx).map(into_bytes),
            KindProj::Spooled { reader } => reader.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Stored { data, trailers } => data.is_empty() && trailers.is_none(),
            Kind::Parts { parts } => parts.left() == 0,
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Spooled { reader } => reader.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Stored { data, .. } => SizeHint::with_exact(data.len() as u64),
            Kind::Parts { parts } => SizeHint::with_exact(parts.left()),
            Kind::Inner { body } => body.size_hint(),
            Kind::Spooled { reader } => reader.size_hint(),
        }
    }
}

/// Empty, for layers further out that answer for themselves.
impl<B: Body> Default for CacheBody<B> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<B: Body> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Stored { .. } => "CacheBody::Stored",
            Kind::Parts { .. } => "CacheBody::Parts",
            Kind::Inner { .. } => "CacheBody::Inner",
            Kind::Spooled { .. } => "CacheBody::Spooled",
        })
    }
}
