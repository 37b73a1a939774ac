//! Which part of a Cluster a key lives in.

/// A key's slot, of 16 384. Keys with the same `{tag}` share one.
pub(super) fn slot(key: &[u8]) -> u16 {
    crc16(tag(key)) % 16384
}

/// What is hashed: what stands between the first `{` and the next `}`, if that is anything at all.
fn tag(key: &[u8]) -> &[u8] {
    key.iter()
        .position(|&byte| byte == b'{')
        .map(|open| &key[open + 1..])
        .and_then(|rest| rest.iter().position(|&byte| byte == b'}').map(|close| &rest[..close]))
        .filter(|tag| !tag.is_empty())
        .unwrap_or(key)
}

/// CRC-16/XMODEM, as the Cluster specification has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| crc << 8 ^ TABLE[usize::from(crc >> 8) ^ usize::from(byte)])
}

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The slots of the keys of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Slots {
    #[default]
    None,
    One(u16),
    Several,
}

impl Slots {
    pub(super) fn and(self, slot: u16) -> Self {
        match self {
            Self::None => Self::One(slot),
            Self::One(own) if own == slot => self,
            Self::One(_) | Self::Several => Self::Several,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        for (key, of) in [
            (&b"foo"[..], &b"foo"[..]),
            (b"shop:{user1000}.following", b"user1000"),
            (b"foo{}{bar}", b"foo{}{bar}"),
            (b"foo{{bar}}zap", b"{bar"),
            (b"foo{bar}{zap}", b"bar"),
            (b"foo{bar", b"foo{bar"),
        ] {
            assert_eq!(tag(key), of, "{}", key.escape_ascii());
        }
        assert_eq!(slot(b"foo"), 12182);
    }

    #[test]
    fn keys_of_one_slot_are_one_and_others_several() {
        let one = Slots::default().and(7).and(7);
        assert_eq!(one, Slots::One(7));
        assert_eq!(one.and(8).and(7), Slots::Several);
    }
}
