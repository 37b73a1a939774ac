//! The body of a response that came through a limit.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a response that came through a limit: the inner service's, or that of a refusal.
    ///
    /// Its data is always [`Bytes`]; bodies of other data are converted, without a copy where they are `Bytes` already.
    pub struct LimitBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Own { data: Bytes },
    }
}

// === impl LimitBody ===

impl<B> LimitBody<B> {
    #[inline]
    pub(super) fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    #[inline]
    pub(super) fn own(data: Bytes) -> Self {
        Self { kind: Kind::Own { data } }
    }
}

impl<B: Body> Body for LimitBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    #[inline]
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Inner { body } => body.poll_frame(cx).map_ok(into_bytes),
            KindProj::Own { data } if data.is_empty() => Poll::Ready(None),
            KindProj::Own { data } => Poll::Ready(Some(Ok(Frame::data(std::mem::take(data))))),
        }
    }

    /// At once where there is nothing, so that a refused gRPC call is one frame of HTTP/2.
    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Own { data } => data.is_empty(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Own { data } => SizeHint::with_exact(data.len() as u64),
        }
    }
}

fn into_bytes(frame: Frame<impl Buf>) -> Frame<Bytes> {
    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
}

impl<B> fmt::Debug for LimitBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            Kind::Inner { .. } => "LimitBody::Inner",
            Kind::Own { .. } => "LimitBody::Own",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http::HeaderMap;
    use http_body_util::{BodyExt, Full};

    use super::*;

    #[tokio::test]
    async fn the_inner_body_comes_through_with_its_trailers() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-end", "1".parse().unwrap());
        let told = trailers.clone();
        let body = Full::new(VecDeque::from(*b"any data")).with_trailers(async { Some(Ok(told)) });
        let collected = LimitBody::inner(body).collect().await.unwrap();
        assert_eq!(collected.trailers(), Some(&trailers));
        assert_eq!(collected.to_bytes(), "any data");
    }

    #[tokio::test]
    async fn a_refusal_says_how_long_it_is_and_when_it_ends() {
        type Own = LimitBody<Full<Bytes>>;
        let own = Own::own(Bytes::from_static(b"refused"));
        assert_eq!((own.size_hint().exact(), own.is_end_stream()), (Some(7), false));
        assert_eq!(own.collect().await.unwrap().to_bytes(), "refused");
        let empty = Own::own(Bytes::new());
        assert_eq!((empty.size_hint().exact(), empty.is_end_stream()), (Some(0), true));
        assert!(empty.collect().await.unwrap().to_bytes().is_empty());
    }
}
