//! Stored values as bytes.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{NOW, heads};
use crate::{
    cache::{
        policy::{reuse::Schedule, storable::Consent},
        stored::{Access, Kind, Page, Stored},
    },
    store::{Encoded, Wire},
};

/// A head and a trailer make a page that is read as it was written. Of what else the bytes may be, what is read can be
/// written, and is read again as the same.
pub fn page(data: &[u8]) {
    let [head, trailers, signs] = heads(data);
    let (flags, body) = (data.len(), Bytes::copy_from_slice(data));
    let consent = [Consent::Stale, Consent::Fresh, Consent::Validated][flags % 3];
    let times = data.iter().fold(0, |sum: u64, byte| sum.rotate_left(7) ^ u64::from(*byte));
    let later = |millis| NOW.plus(Duration::from_millis(millis));
    let schedule = Schedule {
        answered: NOW,
        initial_age: Duration::from_millis(times),
        fresh_until: later(times >> 11),
        stale_while_revalidate_until: later(times >> 23),
        stale_if_error_until: later(times >> 31),
        consent,
    };
    let access = Access { authorized: flags & 8 != 0, cookied: flags & 16 != 0 };
    let own_etag = (flags & 32 != 0).then(|| HeaderValue::from_static("\"own\""));
    let trailers = (flags & 64 != 0 || head.contains_key("content-length")).then(|| Box::new(trailers));
    let status = StatusCode::from_u16(200 + (flags % 400) as u16).expect("three digits are a status");
    let mut head = head;
    head.remove("content-length");
    let names: Vec<HeaderName> = signs.keys().cloned().collect();
    let language = signs.values().next().cloned().unwrap_or(HeaderValue::from_static("en"));
    let hit = HeaderValue::from_static("bartizan; hit");
    let terms = (schedule, access, Duration::from_millis(times >> 40));
    for stored in [
        Stored::page(Page::new(status, (head, own_etag), (body, trailers), terms, &hit)),
        Stored::vary(names),
        Stored::same(u128::from(times) << 3, language),
        Stored::pass(),
    ] {
        let Encoded { head, body, .. } = stored.encode();
        assert_same(&Stored::decode(head.into(), body).expect("what was written is read"), &stored);
    }

    let Some((&length, rest)) = data.split_first() else { return };
    let rest = Bytes::copy_from_slice(rest);
    let body = rest.slice(..rest.len().min(length.into()));
    let Some(read) = Stored::decode(rest.slice(body.len()..), body) else { return };
    let Encoded { head, body, .. } = read.encode();
    assert_same(&Stored::decode(head.into(), body).expect("what was written is read"), &read);
}

/// The same in all that is kept, down to the order of the fields.
pub(crate) fn assert_same(one: &Stored, other: &Stored) {
    match (one.kind(), other.kind()) {
        (Kind::Page(one), Kind::Page(other)) => {
            assert_eq!(one.status, other.status);
            assert_eq!(lines(&one.head), lines(&other.head));
            assert_eq!(one.body, other.body);
            assert_eq!(one.trailers.as_deref().map(lines), other.trailers.as_deref().map(lines));
            assert_eq!((one.schedule, one.access, one.cost), (other.schedule, other.access, other.cost));
            assert_eq!(one.own_etag(), other.own_etag());
        }
        (Kind::Vary(one), Kind::Vary(other)) => assert_eq!(one, other),
        (Kind::Same { variant, language }, Kind::Same { variant: other_variant, language: other_language }) => {
            assert_eq!((variant, language), (other_variant, other_language));
        }
        (Kind::Pass, Kind::Pass) => {}
        (one, other) => panic!("{one:?} and {other:?}"),
    }
}

fn lines(fields: &HeaderMap) -> Vec<(&HeaderName, &HeaderValue, bool)> {
    fields.iter().map(|(name, value)| (name, value, value.is_sensitive())).collect()
}
