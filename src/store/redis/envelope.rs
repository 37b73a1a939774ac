//! A value as it lies on the server, with what its store knows of it.
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | `bz` |
//! | 2 | version of the format: 1 |
//! | 3 | how the body is stored: 0 as it is, 1 as LZ4 |
//! | 4..8 | length of the body as stored |
//! | 8..12 | length of the head part |
//! | 12..20 | epoch of the bucket, when the lease was won |
//! | 20..28 | its sequence then |
//! | 28..36 | `keep_until`, in milliseconds since the Unix epoch |
//! | 36..40 | checksum of the bytes 8..36 and the head part |
//! | 40.. | the body; as LZ4, a block after the length of what it unpacks to, in 4 bytes |
//! | then | the head part: how many tags, each tag after its length, and the value's head |
//!
//! Numbers of fixed width are little-endian, those of the head part are in the [`notation`] of the crate.
//!
//! The bytes 0..8 speak of the body and all others of the head, so a head is renewed by two `SETRANGE` that leave the body
//! where it is. A shorter head leaves the end of the longer one behind it, so what follows the head part is not read. The
//! checksum tells a head that was renewed by halves, and what is no envelope; the body is left to TCP.

use std::hash::Hasher;

use bytes::Bytes;
use siphasher::sip::SipHasher13;

use crate::{
    clock::Timestamp,
    store::{
        Compression, Encoded, Tag, Tags,
        notation::{self, Reader},
    },
};

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
    pub(crate) keep_until: Timestamp,
    pub(crate) tags: Tags,
    pub(crate) head: Bytes,
    pub(crate) body: Bytes,
}

/// What its store knows of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label<'a> {
    /// Of the bucket, when the lease was won.
    pub(crate) epoch: u64,
    /// Of the bucket, when the lease was won.
    pub(crate) sequence: u64,
    pub(crate) keep_until: Timestamp,
    pub(crate) tags: &'a Tags,
}

/// The envelope of `encoded`. A body of `compress_from` bytes or more is compressed, if that makes it smaller.
///
/// `None`, if its head or body is of 4 GiB or more, whose length cannot be said.
pub(crate) fn pack(encoded: &Encoded, label: &Label<'_>, compress_from: usize) -> Option<Vec<u8>> {
    let compressed = compressed(encoded, compress_from);
    let (how, body) = compressed.as_ref().map_or((AS_IS, &encoded.body[..]), |body| (LZ4, &body[..]));
    let length = u32::try_from(body.len()).ok()?;
    let (fixed, head) = pack_head(&encoded.head, label)?;
    let mut out = Vec::with_capacity(FIXED + body.len() + head.len());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, how]);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&fixed);
    out.extend_from_slice(body);
    out.extend_from_slice(&head);
    Some(out)
}

/// The bytes 8..40 and the head part of an envelope, for a body that is there already.
///
/// `None`, if the head is of 4 GiB or more.
pub(crate) fn pack_head(head: &[u8], label: &Label<'_>) -> Option<([u8; 32], Vec<u8>)> {
    let mut part = Vec::with_capacity(label.tags.weight() + head.len() + 1);
    notation::number(&mut part, label.tags.len() as u64);
    for tag in label.tags.iter() {
        notation::run(&mut part, tag.as_str().as_bytes());
    }
    part.extend_from_slice(head);
    let mut fixed = [0; 32];
    fixed[..4].copy_from_slice(&u32::try_from(part.len()).ok()?.to_le_bytes());
    fixed[4..12].copy_from_slice(&label.epoch.to_le_bytes());
    fixed[12..20].copy_from_slice(&label.sequence.to_le_bytes());
    fixed[20..28].copy_from_slice(&label.keep_until.as_millis().to_le_bytes());
    let checksum = checksum(&fixed[..28], &part);
    fixed[28..].copy_from_slice(&checksum);
    Some((fixed, part))
}

/// Reads an envelope. What was not compressed shares the memory of `bytes`.
///
/// `None`, if it is none, or its body is compressed and would take more than `largest` bytes. Nothing larger than that, or
/// than `bytes`, is allocated.
pub(crate) fn unpack(bytes: Bytes, largest: usize) -> Option<Envelope> {
    let fixed: [u8; 28] = bytes.get(8..36)?.try_into().ok()?;
    let mut reader = Reader::new(bytes);
    let (magic, version, how) = (reader.array()?, reader.byte()?, reader.byte()?);
    if magic != MAGIC || version != VERSION {
        return None;
    }
    let body_length = u32::from_le_bytes(reader.array()?);
    let part_length = u32::from_le_bytes(reader.array()?);
    let (epoch, sequence) = (u64::from_le_bytes(reader.array()?), u64::from_le_bytes(reader.array()?));
    let keep_until = Timestamp::from_millis(u64::from_le_bytes(reader.array()?));
    let stated: [u8; 4] = reader.array()?;
    let body = reader.take(body_length.into())?;
    let part = reader.take(part_length.into())?;
    if checksum(&fixed, &part) != stated {
        return None;
    }
    let (body, part) = match how {
        AS_IS => (body, part),
        // Shared, the head would keep the compressed body in memory.
        LZ4 => (unpacked(&body, largest)?, Bytes::copy_from_slice(&part)),
        _ => return None,
    };
    let mut reader = Reader::new(part);
    let tags = (0..reader.number()?).map(|_| tag(&mut reader)).collect::<Option<Tags>>()?;
    Some(Envelope { epoch, sequence, keep_until, tags, head: reader.rest(), body })
}

/// The sequence of what has the shape of an envelope.
pub(crate) fn sequence(bytes: &[u8]) -> Option<u64> {
    bytes.get(20..28).and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)))
}

fn tag(reader: &mut Reader) -> Option<Tag> {
    let text = reader.run()?;
    std::str::from_utf8(&text).ok().map(Tag::from)
}

fn compressed(encoded: &Encoded, from: usize) -> Option<Vec<u8>> {
    let body = &encoded.body;
    if encoded.compression == Compression::Useless || body.len() < from || u32::try_from(body.len()).is_err() {
        return None;
    }
    Some(lz4_flex::block::compress_prepend_size(body)).filter(|compressed| compressed.len() < body.len())
}

fn unpacked(body: &[u8], largest: usize) -> Option<Bytes> {
    let (length, block) = body.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= largest)?;
    let body = lz4_flex::block::decompress(block, length).ok()?;
    (body.len() == length).then(|| body.into())
}

/// Half of SipHash-1-3 under a key of zeros, which the crate has for its keys anyway: against accidents, not against
/// who writes to the server.
pub(crate) fn checksum(fixed: &[u8], part: &[u8]) -> [u8; 4] {
    let mut hasher = SipHasher13::new();
    hasher.write(fixed);
    hasher.write(part);
    (hasher.finish() as u32).to_le_bytes()
}

const MAGIC: [u8; 2] = *b"bz";
const VERSION: u8 = 1;
const AS_IS: u8 = 0;
const LZ4: u8 = 1;

/// Length of what comes before the body.
pub(super) const FIXED: usize = 40;

#[cfg(test)]
mod tests;
