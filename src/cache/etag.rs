//! Entity tags that the cache makes, for responses that come without. RFC 9110, 8.8.3

use std::hash::Hasher;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use siphasher::sip128::{Hasher128, SipHasher13};

/// Whether the cache makes entity tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Etags {
    /// A response has the one that it came with, if any.
    Given,
    /// A 200 that came with none is given one.
    Generated,
}

/// The making of one tag, as the body comes.
///
/// The tag must be the same on each node and after each restart, so it is no hash under the store's secret seed: SipHash-1-3
/// under a key of zeros, whose 128 bits keep different bodies apart as long as nobody makes them equal on purpose. Who can
/// do that writes the bodies anyway.
pub(crate) struct Tagger(SipHasher13);

// === impl Etags ===

impl Etags {
    /// What makes the tag of a response with this head, if it is to have one.
    pub(crate) fn tagger(self, status: StatusCode, head: &HeaderMap) -> Option<Tagger> {
        let wanted = self == Self::Generated && status == StatusCode::OK && !head.contains_key(header::ETAG);
        wanted.then(|| Tagger::new(head))
    }
}

// === impl Tagger ===

impl Tagger {
    fn new(head: &HeaderMap) -> Self {
        let mut hasher = SipHasher13::new();
        // RFC 9110, 8.8.1: the same bytes of another type or in another coding are something else.
        for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
            for line in head.get_all(name) {
                hasher.write(line.as_bytes());
                hasher.write(b"\n");
            }
            hasher.write(b"\n");
        }
        Self(hasher)
    }

    /// Some more of the body.
    pub(crate) fn write(&mut self, data: &[u8]) {
        self.0.write(data);
    }

    /// The strong tag of what was written.
    pub(crate) fn tag(self) -> HeaderValue {
        let tag = format!("\"{:032x}\"", self.0.finish128().as_u128());
        HeaderValue::try_from(tag).expect("hexadecimal digits are visible ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: (&str, &str) = ("content-type", "text/plain");

    fn tag(fields: &[(&'static str, &'static str)], frames: &[&str]) -> HeaderValue {
        let fields = fields.iter().map(|&(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        let mut tagger = Etags::Generated.tagger(StatusCode::OK, &fields.collect()).unwrap();
        frames.iter().for_each(|frame| tagger.write(frame.as_bytes()));
        tagger.tag()
    }

    // Clients keep it for longer than a release lives.
    #[test]
    fn a_tag_is_the_same_everywhere_and_for_ever() {
        assert_eq!(tag(&[TEXT], &["the body"]), "\"d794b72030e959c2bd14556668d73ef5\"");
        assert_eq!(tag(&[TEXT], &["the", "", " body"]), tag(&[TEXT], &["the body"]), "however it comes");
    }

    #[test]
    fn other_bytes_another_type_and_another_coding_have_other_tags() {
        let tags = [
            tag(&[TEXT], &["the body"]),
            tag(&[TEXT], &["the bodY"]),
            tag(&[("content-type", "text/html")], &["the body"]),
            tag(&[TEXT, ("content-encoding", "gzip")], &["the body"]),
            tag(&[("content-encoding", "text/plain")], &["the body"]),
            tag(&[], &["the body"]),
            tag(&[], &["text/plain\n\nthe body"]),
        ];
        for (at, one) in tags.iter().enumerate() {
            assert!(!tags[..at].contains(one), "{at}");
        }
        assert_eq!(tag(&[TEXT, ("x-else", "1")], &["the body"]), tags[0], "and nothing else counts");
    }

    #[test]
    fn only_a_200_without_a_tag_is_given_one() {
        let tagged = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static("of any form"))]);
        assert!(Etags::Given.tagger(StatusCode::OK, &HeaderMap::new()).is_none());
        assert!(Etags::Generated.tagger(StatusCode::NOT_FOUND, &HeaderMap::new()).is_none());
        assert!(Etags::Generated.tagger(StatusCode::OK, &tagged).is_none());
    }
}
