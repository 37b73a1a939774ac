//! What a request says of the request that a proxy was sent: its host, scheme, port, path. Handlers that stand behind a
//! proxy believe it, and anyone can send it.

use http::{HeaderMap, HeaderName};

/// Some of the fields that tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forwarding(u32);

/// One bit of the set each. Who asks (`X-Forwarded-For` and its kin) is not among them: it differs from client to
/// client, and a response that depends on it is not one to share.
static NAMES: [HeaderName; 21] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-scheme"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-forwarded-path"),
    HeaderName::from_static("x-forwarded-uri"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-forwarded-ssl"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-original-host"),
    HeaderName::from_static("x-original-uri"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-url-scheme"),
    HeaderName::from_static("x-scheme"),
    HeaderName::from_static("front-end-https"),
    HeaderName::from_static("x-forwarded-protocol"),
    HeaderName::from_static("x-forwarded-context"),
    HeaderName::from_static("cloudfront-forwarded-proto"),
];

/// Where `Forwarded` stands among them.
const FORWARDED: usize = 0;

// === impl Forwarding ===

impl Forwarding {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// The field with this name, if it is one of them.
    #[inline]
    pub(crate) fn of(name: &str) -> Self {
        // Every field of every request is asked.
        if !name.starts_with(['c', 'f', 'x']) {
            return Self::NONE;
        }
        Self(match name {
            "forwarded" => 1,
            "x-forwarded-host" => 1 << 1,
            "x-forwarded-proto" => 1 << 2,
            "x-forwarded-scheme" => 1 << 3,
            "x-forwarded-port" => 1 << 4,
            "x-forwarded-prefix" => 1 << 5,
            "x-forwarded-path" => 1 << 6,
            "x-forwarded-uri" => 1 << 7,
            "x-forwarded-server" => 1 << 8,
            "x-forwarded-ssl" => 1 << 9,
            "x-host" => 1 << 10,
            "x-original-host" => 1 << 11,
            "x-original-uri" => 1 << 12,
            "x-original-url" => 1 << 13,
            "x-rewrite-url" => 1 << 14,
            "x-url-scheme" => 1 << 15,
            "x-scheme" => 1 << 16,
            "front-end-https" => 1 << 17,
            "x-forwarded-protocol" => 1 << 18,
            "x-forwarded-context" => 1 << 19,
            "cloudfront-forwarded-proto" => 1 << 20,
            _ => 0,
        })
    }

    #[inline]
    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    pub(crate) fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// One bit for each field.
    #[inline]
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    pub(crate) fn names<'a>(self) -> impl Iterator<Item = &'a HeaderName> {
        self.places().map(|place| &NAMES[place])
    }

    /// Feeds `sink` an encoding of a request's values of these fields, line by line, that ends where it says itself.
    ///
    /// Of `Forwarded` (RFC 7239) what names a client or a proxy, `for` and `by`, is left out. Handlers cut its lines in
    /// various ways, so that everything counts that begins after a comma or a semicolon, be it within quotation marks.
    pub(crate) fn selecting(self, headers: &HeaderMap, sink: &mut impl FnMut(&[u8])) {
        for place in self.places() {
            for line in headers.get_all(&NAMES[place]) {
                let apart = |byte: &u8| place == FORWARDED && b",;".contains(byte);
                for part in line.as_bytes().split(apart).map(<[u8]>::trim_ascii) {
                    if place != FORWARDED || !names_a_node(part) {
                        sink(&[1]);
                        sink(&(part.len() as u64).to_le_bytes());
                        sink(part);
                    }
                }
            }
            sink(&[0]);
        }
    }

    fn places(self) -> impl Iterator<Item = usize> {
        (0..NAMES.len()).filter(move |place| self.0 & 1 << place != 0)
    }
}

/// RFC 7239, 5.1 and 5.2
fn names_a_node(pair: &[u8]) -> bool {
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
    pair.is_empty() || name.eq_ignore_ascii_case(b"for") || name.eq_ignore_ascii_case(b"by")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(lines: &[(&str, &str)]) -> Vec<u8> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let set = lines.iter().fold(Forwarding::NONE, |set, (name, _)| set.union(Forwarding::of(name)));
        let mut encoded = set.bits().to_le_bytes().to_vec();
        set.selecting(&headers, &mut |part| encoded.extend_from_slice(part));
        encoded
    }

    #[test]
    fn each_name_has_a_bit_of_its_own() {
        for (place, name) in NAMES.iter().enumerate() {
            assert_eq!(Forwarding::of(name.as_str()), Forwarding(1 << place), "{name}");
        }
        assert_eq!(Forwarding::ALL.names().count(), NAMES.len());
        assert_eq!(Forwarding::of("x-forwarded-for"), Forwarding::NONE);
        let host = Forwarding::of("x-host");
        assert_eq!(Forwarding::ALL.without(host).intersection(host), Forwarding::NONE);
    }

    #[test]
    fn of_forwarded_only_who_asks_is_left_out() {
        let plain = encoded(&[("forwarded", "for=1;host=a;proto=https")]);
        for same in ["for=2;host=a;proto=https", "host=a;proto=https;by=_x", "FOR=\"[::1]:80\" , host=a;proto=https"] {
            assert_eq!(encoded(&[("forwarded", same)]), plain, "{same}");
        }
        for other in [
            "for=1;host=b;proto=https",
            "for=1;host=a",
            "proto=https;host=a",
            "for=\"1;host=b\";host=a;proto=https",
            "for=\"1,host=b\";host=a;proto=https",
            "for=1;host=a;proto=https;path=/x",
            "for=1;host=a;proto=https, host=b",
        ] {
            assert_ne!(encoded(&[("forwarded", other)]), plain, "{other}");
        }
    }

    proptest! {
        #[test]
        fn different_lines_have_different_encodings(
            a in prop::collection::vec(("x-host|x-forwarded-host", "[a-b, ]{0,3}"), 0..4),
            b in prop::collection::vec(("x-host|x-forwarded-host", "[a-b, ]{0,3}"), 0..4),
        ) {
            // The order of lines of different names means nothing.
            let of = |lines: &[(String, String)]| {
                let mut lines: Vec<_> = lines.iter().map(|(name, value)| (name.clone(), value.trim().to_owned())).collect();
                lines.sort_by(|a, b| a.0.cmp(&b.0));
                lines
            };
            let encode = |lines: &[(String, String)]| {
                encoded(&lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>())
            };
            prop_assert_eq!(of(&a) == of(&b), encode(&a) == encode(&b));
        }
    }
}
