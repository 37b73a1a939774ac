//! What holds of the bytes on a Redis, whatever they are: `fuzz/` feeds this property, and so does a small test.

use bytes::Bytes;

use super::{
    kept::Tags,
    redis::envelope::{self, Label},
    wire::Encoded,
};
use crate::clock::Timestamp;

const LARGEST: usize = 1 << 16;

/// An envelope is read as it was written, and so it is with a newer head. What is read of any bytes, be its checksum mended,
/// takes no more than it may.
pub fn envelope(data: &[u8]) {
    whatever(data);
    whatever(&mended(data));

    let Some((numbers, rest)) = data.split_first_chunk::<8>() else { return };
    let number = u64::from_le_bytes(*numbers);
    let (tags, rest) = rest.split_at(rest.len().min(usize::from(numbers[0]) & 31));
    let tags: Tags = String::from_utf8_lossy(tags).split(' ').collect();
    let (head, body) = rest.split_at(rest.len().min(usize::from(numbers[1])));
    let body = body.repeat(usize::from(numbers[2]) + 1);
    let (epoch, sequence, keep_until) = (number, number.rotate_left(9), Timestamp::from_millis(number >> 20));
    let label = Label { epoch, sequence, keep_until, tags: &tags };
    let encoded = Encoded::new(head.to_vec(), body.into());
    let mut packed = envelope::pack(&encoded, &label, 64).expect("it is shorter than 4 GiB");
    assert!(packed.len() <= 50 + encoded.head.len() + encoded.body.len() + tags.weight());
    let read = envelope::unpack(packed.clone().into(), usize::MAX).expect("what was written is read");
    assert_eq!((read.epoch, read.sequence, read.keep_until), (epoch, sequence, keep_until));
    assert_eq!((&read.tags, &read.head[..], &read.body), (&tags, head, &encoded.body));

    let (fixed, part) = envelope::pack_head(tail(head), &label).expect("it is shorter than 4 GiB");
    let at = 40 + stored_length(&packed);
    packed[8..40].copy_from_slice(&fixed);
    packed.resize(packed.len().max(at + part.len()), 0);
    packed[at..at + part.len()].copy_from_slice(&part);
    let renewed = envelope::unpack(packed.into(), usize::MAX).expect("a newer head is read");
    assert_eq!((&renewed.tags, &renewed.head[..], &renewed.body), (&tags, tail(head), &encoded.body));
}

fn whatever(data: &[u8]) {
    let Some(read) = envelope::unpack(Bytes::copy_from_slice(data), LARGEST) else { return };
    assert!(read.head.len() <= data.len() && read.body.len() <= LARGEST.max(data.len()));
    let label = Label { epoch: read.epoch, sequence: read.sequence, keep_until: read.keep_until, tags: &read.tags };
    let encoded = Encoded::new(read.head.to_vec(), read.body.clone());
    let packed = envelope::pack(&encoded, &label, usize::MAX).expect("it is shorter than 4 GiB");
    assert_eq!(envelope::unpack(packed.into(), LARGEST), Some(read));
}

/// The bytes as an envelope with lengths and a checksum that fit, which a fuzzer does not find.
fn mended(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    bytes.resize(bytes.len().max(40), 0);
    bytes[..3].copy_from_slice(b"bz\x01");
    bytes[3] &= 1;
    let room = bytes.len() - 40;
    let body = usize::from(bytes[4]).min(room);
    let part = room - body;
    bytes[4..8].copy_from_slice(&(body as u32).to_le_bytes());
    bytes[8..12].copy_from_slice(&(part as u32).to_le_bytes());
    let sum = envelope::checksum(&bytes[8..36], &bytes[40 + body..]);
    bytes[36..40].copy_from_slice(&sum);
    bytes
}

fn stored_length(packed: &[u8]) -> usize {
    packed[4..8].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

fn tail(head: &[u8]) -> &[u8] {
    &head[head.len() / 2..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_property_holds_of_any_bytes(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            envelope(&data);
        }
    }
}
