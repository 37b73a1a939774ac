//! RFC 9111 for a shared cache, as pure functions: no async, no I/O, no clock.
//!
//! In the order in which a request meets them:
//!
//! | file | question |
//! |---|---|
//! | [`control`], [`targeted`] | what do the `Cache-Control` fields of this message say, and the fields meant for this cache? |
//! | [`vary`], [`forwarding`], [`accept`], [`cookies`] | which request fields select the response, and by which value? |
//! | [`reuse`] | may this stored response be used now? |
//! | [`conditional`], [`range`] | is a 304 or a 206 enough for this client? |
//! | [`storable`], [`allowance`], [`freshness`] | may this new response be stored, and for how long? |
//! | [`length`] | how long does the response say that it is? |
//! | [`fields`], [`update`] | which of its fields are kept, and what does a 304 change? |
//! | [`invalidate`], [`groups`] | what does an unsafe request make invalid? |
//!
//! [`list`], [`number`] and [`date`] are the grammars below them. Fields are read as bytes: a value that is not UTF-8, too
//! large or malformed is answered by the more careful of the readings, never by a panic.

pub(crate) mod accept;
pub(crate) mod allowance;
pub(crate) mod conditional;
pub(crate) mod control;
pub(crate) mod cookies;
pub(crate) mod date;
pub(crate) mod fields;
pub(crate) mod forwarding;
pub(crate) mod freshness;
pub(crate) mod groups;
pub(crate) mod invalidate;
pub(crate) mod length;
pub(crate) mod list;
pub(crate) mod number;
pub(crate) mod range;
pub(crate) mod reuse;
pub(crate) mod storable;
pub(crate) mod targeted;
pub(crate) mod update;
pub(crate) mod vary;
