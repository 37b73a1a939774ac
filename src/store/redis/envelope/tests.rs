use proptest::prelude::*;

use super::*;

/// Version 1 of the format. What these files say is never changed: a new version has files of its own.
const PLAIN: &[u8] = include_bytes!("../../../../tests/golden/1/plain.envelope");
const COMPRESSED: &[u8] = include_bytes!("../../../../tests/golden/1/lz4.envelope");
const HEAD: &[u8] = include_bytes!("../../../../tests/golden/1/page.head");
const BODY: &[u8] = include_bytes!("../../../../tests/golden/1/page.body");

const NEVER: usize = usize::MAX;
const LARGEST: usize = 1 << 20;

fn tags() -> Tags {
    ["catalogue", "", "größe"].into_iter().collect()
}

fn label(tags: &Tags) -> Label<'_> {
    let keep_until = Timestamp::from_millis(1_700_000_600_789);
    Label { epoch: 0x0102_0304_0506_0708, sequence: 0x1112_1314_1516_1718, keep_until, tags }
}

fn packed(head: &[u8], body: &[u8], compress_from: usize) -> Vec<u8> {
    pack(&Encoded::new(head.to_vec(), Bytes::copy_from_slice(body)), &label(&tags()), compress_from).unwrap()
}

fn read(bytes: &[u8]) -> Option<Envelope> {
    unpack(Bytes::copy_from_slice(bytes), LARGEST)
}

fn envelope(head: &[u8], body: &[u8]) -> Envelope {
    let tags = tags();
    let Label { epoch, sequence, keep_until, .. } = label(&tags);
    let (head, body) = (Bytes::copy_from_slice(head), Bytes::copy_from_slice(body));
    Envelope { epoch, sequence, keep_until, tags, head, body }
}

#[test]
fn what_version_1_wrote_is_read() {
    assert_eq!(read(PLAIN).unwrap(), envelope(HEAD, BODY));
    assert_eq!(read(COMPRESSED).unwrap(), envelope(HEAD, &BODY.repeat(20)));
}

#[test]
fn what_is_written_is_what_version_1_wrote() {
    assert_eq!(packed(HEAD, BODY, NEVER), PLAIN);
    // Which block a body becomes is the compressor's choice, and may change with it.
    let (written, kept) = (packed(HEAD, &BODY.repeat(20), 1), COMPRESSED);
    assert_eq!(written[..4], kept[..4]);
    assert_eq!(written[8..44], kept[8..44], "the head, and the length of what the block unpacks to");
    assert!(written.ends_with(HEAD) && kept.ends_with(HEAD));
}

#[test]
fn what_is_cut_off_is_a_miss() {
    for whole in [PLAIN, COMPRESSED] {
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length} bytes");
        }
    }
}

#[test]
fn a_changed_byte_is_a_miss_or_of_the_body() {
    for whole in [PLAIN, COMPRESSED] {
        let before = read(whole).unwrap();
        for at in 0..whole.len() {
            for change in 1..=u8::MAX {
                let mut bytes = whole.to_vec();
                bytes[at] ^= change;
                let Some(read) = read(&bytes) else { continue };
                assert_eq!(Envelope { body: before.body.clone(), ..read }, before, "byte {at}");
                assert!(at == 3 || (FIXED..whole.len() - HEAD.len()).contains(&at), "byte {at}");
            }
        }
    }
}

#[test]
fn lengths_that_lie_are_a_miss() {
    for range in [4..8, 8..12] {
        let mut bytes = PLAIN.to_vec();
        bytes[range].fill(0xff);
        assert_eq!(read(&bytes), None);
    }
    let mut bytes = COMPRESSED.to_vec();
    bytes[40..44].fill(0xff);
    assert_eq!(unpack(bytes.into(), usize::MAX).map(|read| read.body.len()), None, "what a block unpacks to");
}

#[test]
fn a_count_of_tags_that_lies_is_a_miss() {
    let part = [&[0xff; 8][..], &[0x7f, 0]].concat();
    let mut bytes = PLAIN[..FIXED].to_vec();
    bytes[4..8].fill(0);
    bytes[8..12].copy_from_slice(&(part.len() as u32).to_le_bytes());
    let sum = checksum(&bytes[8..36], &part);
    bytes[36..40].copy_from_slice(&sum);
    bytes.extend_from_slice(&part);
    assert_eq!(read(&bytes), None);
}

#[test]
fn what_would_unpack_to_more_than_allowed_is_a_miss() {
    let body = vec![0; 100_000];
    let bytes = Bytes::from(packed(b"head", &body, 64));
    assert!(bytes.len() < 1000);
    assert_eq!(unpack(bytes.clone(), 99_999), None);
    assert_eq!(unpack(bytes, 100_000).unwrap().body, body);
}

#[test]
fn a_body_is_compressed_only_where_that_helps() {
    let dull = vec![7; 4096];
    let mut state = 1u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        // Marsaglia: "Xorshift RNGs"
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    })
    .take(4096)
    .collect();
    assert_eq!(packed(b"", &dull, 4096)[3], LZ4);
    assert_eq!(packed(b"", &dull, 4097)[3], AS_IS, "it is too short");
    assert_eq!(packed(b"", b"", 0)[3], AS_IS);
    assert_eq!(packed(b"", &noise, 0)[3], AS_IS, "it would grow");
    let dense = Encoded::new(Vec::new(), dull.into()).compression(Compression::Useless);
    assert_eq!(pack(&dense, &label(&Tags::default()), 0).unwrap()[3], AS_IS, "it is said to be of no use");
}

#[test]
fn a_body_that_was_not_compressed_is_not_copied() {
    let bytes = Bytes::from(PLAIN.to_vec());
    let read = unpack(bytes.clone(), 0).unwrap();
    assert_eq!(read.body.as_ptr(), bytes[FIXED..].as_ptr());
    assert!(bytes.as_ptr_range().contains(&read.head.as_ptr()));
}

#[test]
fn a_head_does_not_keep_a_compressed_body_in_memory() {
    let bytes = Bytes::from(COMPRESSED.to_vec());
    let read = unpack(bytes.clone(), LARGEST).unwrap();
    assert!(bytes.is_unique(), "{read:?}");
}

#[test]
fn a_head_is_renewed_without_the_body() {
    for whole in [PLAIN, COMPRESSED] {
        for head in [&b"short"[..], &[9; 5000], HEAD] {
            let mut bytes = whole.to_vec();
            let length = u32::from_le_bytes(whole[4..8].try_into().unwrap()) as usize;
            let none = Tags::default();
            let newer = Label { sequence: 99, keep_until: Timestamp::from_secs(9), ..label(&none) };
            let (fixed, part) = pack_head(head, &newer).unwrap();
            set_range(&mut bytes, 8, &fixed);
            assert_eq!(read(&bytes), None, "renewed by half");
            set_range(&mut bytes, FIXED + length, &part);
            let renewed = read(&bytes).unwrap();
            assert_eq!((renewed.epoch, renewed.sequence, renewed.keep_until), (newer.epoch, 99, newer.keep_until));
            assert_eq!((renewed.tags, &renewed.head[..]), (none, head));
            assert_eq!(renewed.body, read(whole).unwrap().body);
        }
    }
}

/// As the server does it.
fn set_range(bytes: &mut Vec<u8>, at: usize, with: &[u8]) {
    bytes.resize(bytes.len().max(at + with.len()), 0);
    bytes[at..at + with.len()].copy_from_slice(with);
}

proptest! {
    #[test]
    fn what_was_packed_is_unpacked(
        head: Vec<u8>,
        body: Vec<u8>,
        repeated in 1..50usize,
        names: Vec<String>,
        numbers: [u64; 3],
        compress_from in 0..300usize,
    ) {
        let tags: Tags = names.into_iter().collect();
        let [epoch, sequence, keep_until] = numbers;
        let keep_until = Timestamp::from_millis(keep_until);
        let encoded = Encoded::new(head, body.repeat(repeated).into());
        let bytes = pack(&encoded, &Label { epoch, sequence, keep_until, tags: &tags }, compress_from).unwrap();
        prop_assert!(bytes.len() <= FIXED + encoded.head.len() + encoded.body.len() + tags.weight() + 10);
        let Encoded { head, body, .. } = encoded;
        let read = unpack(bytes.into(), LARGEST).unwrap();
        prop_assert_eq!(read, Envelope { epoch, sequence, keep_until, tags, head: head.into(), body });
    }
}
