//! The word by which rooms that never name each other agree that an exchange is private.
//!
//! Whoever uses something personal to make a response (a session that was read, a limit that refused) raises the
//! mark; a cache further out sees that it rose and keeps the response to its client.
//!
//! ```
//! use bartizan::private::PrivateMark;
//!
//! // In a middleware of your own that authenticates by a way the crate knows nothing of:
//! fn authenticated<B>(request: &mut http::Request<B>) {
//!     PrivateMark::of(request.extensions_mut()).raise();
//! }
//! # authenticated(&mut http::Request::new(()));
//! ```

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use http::Extensions;

/// How often something personal was used in this exchange.
///
/// A count and not a flag, so that each reader can ask "since I took over?": what a layer outside of the cache looked
/// at does not concern the response that the cache is given.
#[derive(Clone, Debug, Default)]
pub struct PrivateMark(Arc<AtomicU32>);

// === impl PrivateMark ===

impl PrivateMark {
    /// The mark of the exchange whose extensions these are. Whoever comes first puts it there.
    pub fn of(extensions: &mut Extensions) -> Self {
        extensions.get_or_insert_default::<Self>().clone()
    }

    /// Says that something personal was used.
    pub fn raise(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// The present count, to be compared with a later one.
    pub fn reading(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}
