//! Texts of answers.

use std::time::Duration;

use smallvec::SmallVec;

/// Texts are put together on the stack, so that each costs one allocation, of its length.
pub(super) type Text = SmallVec<[u8; 512]>;

/// As RFC 9651, 3.3.3, and JSON write it, which agree on printable ASCII.
pub(super) fn quoted(text: &mut Text, name: &str) {
    text.push(b'"');
    for byte in name.bytes() {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(byte);
    }
    text.push(b'"');
}

/// Rounded up, and at least 1.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}
