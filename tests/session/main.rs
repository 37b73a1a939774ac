//! What sessions promise.

mod store;
