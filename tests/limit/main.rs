//! Rate limiting, from outside.

mod memory;
