//! Values on a Redis.

#[cfg_attr(not(any(fuzzing, test)), expect(dead_code, reason = "the store that writes them is still to come"))]
pub(crate) mod envelope;
