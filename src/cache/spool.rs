//! A body that is read once, at the origin's pace, for the store and for the client who caused it.
//!
//! The fill's task reads the inner body and puts its frames into the spool; the client's body takes them out. Neither
//! waits for the other: what the client has not read yet is bounded by the body limit, since beyond that limit the task
//! hands the inner body itself over and is done. All that wait to be read are bounded together by the layer's budget, of
//! which a spool keeps its share until the client has taken the last frame: a fill may be done long before.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::budget::Share;

/// The task's end.
pub(crate) struct Writer<B: Body>(Arc<Spool<B>>);

/// The client's end.
pub(crate) struct Reader<B: Body> {
    spool: Arc<Spool<B>>,
    /// The inner body, once it was handed over.
    rest: Option<Pin<Box<B>>>,
    /// What is left, as far as the inner body told.
    left: SizeHint,
}

struct Spool<B: Body> {
    state: Mutex<State<B>>,
    reader_gone: Notify,
}

struct State<B: Body> {
    frames: VecDeque<Frame<Bytes>>,
    end: Option<End<B>>,
    /// Given back when the reader has come to the end.
    share: Option<Share>,
    reader: Option<Waker>,
}

enum End<B: Body> {
    Complete,
    Error(B::Error),
    /// From here on the reader reads for itself.
    HandedOver(Pin<Box<B>>),
    /// The task came to no end: the inner body panicked.
    Broken,
}

/// Both ends of a spool for a body of which `hint` is still to come.
pub(crate) fn spool<B: Body>(hint: SizeHint, share: Share) -> (Writer<B>, Reader<B>) {
    let state = State { frames: VecDeque::new(), end: None, share: Some(share), reader: None };
    let spool = Arc::new(Spool { state: Mutex::new(state), reader_gone: Notify::new() });
    (Writer(Arc::clone(&spool)), Reader { spool, rest: None, left: hint })
}

// === impl Writer ===

impl<B: Body> Writer<B> {
    /// Whether there is room in the budget for a frame with `length` bytes of data.
    pub(crate) fn has_room_for(&self, length: u64) -> bool {
        let bytes = length.max(size_of::<Frame<Bytes>>() as u64);
        self.0.state.lock().share.as_mut().is_some_and(|share| share.take(bytes))
    }

    pub(crate) fn frame(&self, frame: Frame<Bytes>) {
        self.tell(|state| state.frames.push_back(frame));
    }

    pub(crate) fn complete(self) {
        self.end(End::Complete);
    }

    pub(crate) fn error(self, error: B::Error) {
        self.end(End::Error(error));
    }

    pub(crate) fn hand_over(self, body: Pin<Box<B>>) {
        self.end(End::HandedOver(body));
    }

    /// Resolves when the reader was dropped.
    pub(crate) fn reader_gone(&self) -> impl Future<Output = ()> + Send + use<B>
    where
        B: Send,
        B::Error: Send,
    {
        let spool = Arc::clone(&self.0);
        async move { spool.reader_gone.notified().await }
    }

    fn end(&self, end: End<B>) {
        self.tell(|state| state.end = Some(end));
    }

    fn tell(&self, change: impl FnOnce(&mut State<B>)) {
        let reader = {
            let mut state = self.0.state.lock();
            change(&mut state);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl<B: Body> Drop for Writer<B> {
    fn drop(&mut self) {
        self.tell(|state| {
            state.end.get_or_insert(End::Broken);
        });
    }
}

// === impl Reader ===

impl<B: Body> Reader<B> {
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = match &mut self.rest {
            Some(rest) => match ready!(rest.as_mut().poll_frame(cx).map(into_bytes)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            },
            None => {
                let mut state = self.spool.state.lock();
                match state.frames.pop_front() {
                    Some(frame) => frame,
                    None => {
                        let Some(end) = state.end.take() else {
                            state.reader = Some(cx.waker().clone());
                            return Poll::Pending;
                        };
                        state.share = None;
                        match end {
                            End::Complete => {
                                state.end = Some(End::Complete);
                                return Poll::Ready(None);
                            }
                            End::Error(error) => {
                                state.end = Some(End::Complete);
                                return Poll::Ready(Some(Err(error)));
                            }
                            End::HandedOver(body) => {
                                drop(state);
                                self.rest = Some(body);
                                return self.poll_frame(cx);
                            }
                            End::Broken => panic!("the inner service's response body panicked"),
                        }
                    }
                }
            }
        };
        if let Some(data) = frame.data_ref() {
            self.left = less(&self.left, data.len() as u64);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match &self.rest {
            Some(rest) => rest.is_end_stream(),
            None => {
                let state = self.spool.state.lock();
                state.frames.is_empty() && matches!(state.end, Some(End::Complete))
            }
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.rest.as_ref().map_or(self.left, Body::size_hint)
    }
}

impl<B: Body> Drop for Reader<B> {
    fn drop(&mut self) {
        self.spool.reader_gone.notify_one();
    }
}

impl<B: Body> fmt::Debug for Reader<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("left", &self.left).finish_non_exhaustive()
    }
}

/// A body's frame with its data as [`Bytes`], which costs nothing where they are.
pub(crate) fn into_bytes<D: Buf, E>(frame: Option<Result<Frame<D>, E>>) -> Option<Result<Frame<Bytes>, E>> {
    frame.map(|frame| frame.map(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))))
}

fn less(hint: &SizeHint, taken: u64) -> SizeHint {
    let mut left = SizeHint::new();
    if let Some(upper) = hint.upper() {
        left.set_upper(upper.saturating_sub(taken));
    }
    left.set_lower(hint.lower().saturating_sub(taken));
    left
}
