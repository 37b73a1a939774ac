//! Numbers and runs of bytes, as the formats of this crate write them.
//!
//! Where a number has no fixed width it is LEB128: seven bits a byte, the least first, the top bit where more follow.

use bytes::{Buf, Bytes};

/// Reads from the front of shared bytes; what is read shares them.
///
/// Whatever it is asked for it first looks whether so much is there, so a length that lies costs nothing.
pub(crate) struct Reader(Bytes);

/// Writes `number`, which takes one to ten bytes.
pub(crate) fn number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes `run`, after its length.
pub(crate) fn run(out: &mut Vec<u8>, run: &[u8]) {
    number(out, run.len() as u64);
    out.extend_from_slice(run);
}

// === impl Reader ===

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let array = *self.0.first_chunk()?;
        self.0.advance(N);
        Some(array)
    }

    /// What [`number`] wrote; nothing if it has more than 64 bits.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// What [`run`] wrote.
    pub(crate) fn run(&mut self) -> Option<Bytes> {
        let length = self.number()?;
        self.take(length)
    }

    pub(crate) fn take(&mut self, length: u64) -> Option<Bytes> {
        let length = usize::try_from(length).ok().filter(|length| *length <= self.0.len())?;
        Some(self.0.split_to(length))
    }

    /// All that was not read.
    pub(crate) fn rest(self) -> Bytes {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        number(&mut out, value);
        out
    }

    fn read(bytes: &[u8]) -> Option<u64> {
        Reader::new(Bytes::copy_from_slice(bytes)).number()
    }

    #[test]
    fn a_number_takes_a_byte_for_each_seven_bits() {
        for (value, want) in [(0, &[0][..]), (127, &[127]), (128, &[128, 1]), (300, &[0xac, 2])] {
            assert_eq!(written(value), want);
        }
        assert_eq!(written(u64::MAX).len(), 10);
    }

    #[test]
    fn what_has_more_bits_than_a_number_is_none() {
        assert_eq!(read(&[&[0xff; 9][..], &[1]].concat()), Some(u64::MAX));
        assert_eq!(read(&[&[0xff; 9][..], &[2]].concat()), None, "65 bits");
        assert_eq!(read(&[&[0x80; 10][..], &[0]].concat()), None, "eleven bytes");
        assert_eq!(read(&[0x80]), None, "more should follow");
    }

    #[test]
    fn a_length_that_lies_is_none() {
        assert_eq!(Reader::new(Bytes::from(written(u64::MAX))).run(), None);
        assert_eq!(Reader::new(Bytes::from_static(&[3, 1, 2])).run(), None);
        assert_eq!(Reader::new(Bytes::from_static(&[1, 2])).array::<3>(), None);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(value: u64, small in 0..1000u64, bytes: Vec<u8>) {
            let mut out = written(value);
            number(&mut out, small);
            run(&mut out, &bytes);
            out.push(7);
            let mut reader = Reader::new(out.into());
            prop_assert_eq!((reader.number(), reader.number()), (Some(value), Some(small)));
            prop_assert_eq!(reader.run(), Some(Bytes::from(bytes)));
            prop_assert_eq!(reader.rest(), Bytes::from_static(&[7]));
        }
    }
}
