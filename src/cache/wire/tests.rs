use proptest::prelude::*;

use super::*;
use crate::cache::fuzzing::page::assert_same;

/// Version 1 of the format. What these files say is never changed: a new version has files of its own.
mod golden {
    pub(super) const HEAD: &[u8] = include_bytes!("../../../tests/golden/1/page.head");
    pub(super) const BODY: &[u8] = include_bytes!("../../../tests/golden/1/page.body");
    pub(super) const VARY: &[u8] = include_bytes!("../../../tests/golden/1/vary.head");
    pub(super) const SAME: &[u8] = include_bytes!("../../../tests/golden/1/same.head");
    pub(super) const PASS: &[u8] = include_bytes!("../../../tests/golden/1/pass.head");
}

/// Of each kind one, with every field name that has a byte.
fn examples() -> [(Stored, &'static [u8], &'static [u8]); 4] {
    let mut head = HeaderMap::new();
    for (at, name) in names::KNOWN.iter().filter(|name| *name != header::CONTENT_LENGTH).enumerate() {
        head.insert(name, HeaderValue::from(at));
    }
    head.append(header::LINK, HeaderValue::from_bytes(b"</\xe9>").unwrap());
    head.insert(header::LAST_MODIFIED, HeaderValue::from_static("Tue, 14 Nov 2023 20:13:20 GMT"));
    let mut secret = HeaderValue::from_static("a=b");
    secret.set_sensitive(true);
    head.append(header::SET_COOKIE, secret);
    head.insert("x-not-in-the-table", HeaderValue::from_static(""));
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), HeaderValue::from_static("9"))]);
    let schedule = Schedule {
        answered: Timestamp::from_millis(1_700_000_000_123),
        initial_age: Duration::from_secs(7),
        fresh_until: Timestamp::from_secs(1_700_000_053),
        stale_while_revalidate_until: Timestamp::from_secs(1_700_000_153),
        stale_if_error_until: Timestamp::from_secs(1_700_000_063),
        consent: Consent::Fresh,
    };
    let page = Page::new(
        StatusCode::NON_AUTHORITATIVE_INFORMATION,
        (head, Some(HeaderValue::from_static("\"own\""))),
        (Bytes::from_static(golden::BODY), Some(Box::new(trailers))),
        (schedule, Access { authorized: true, cookied: false }, Duration::from_millis(321)),
        &HeaderValue::from_static("bartizan; hit"),
    );
    let names = vec![header::ACCEPT_ENCODING, HeaderName::from_static("x-not-in-the-table"), header::COOKIE];
    let same = Stored::same(0x0123_4567_89ab_cdef_0011_2233_4455_6677, HeaderValue::from_static("de-CH"));
    [
        (Stored::page(page), golden::HEAD, golden::BODY),
        (Stored::vary(names), golden::VARY, b""),
        (same, golden::SAME, b""),
        (Stored::pass(), golden::PASS, b""),
    ]
}

fn decode(head: &'static [u8], body: &'static [u8]) -> Option<Stored> {
    Stored::decode(Bytes::from_static(head), Bytes::from_static(body))
}

fn decode_copy(head: &[u8], body: &[u8]) -> Option<Stored> {
    Stored::decode(Bytes::copy_from_slice(head), Bytes::copy_from_slice(body))
}

#[test]
fn what_version_1_wrote_is_read() {
    for (stored, head, body) in examples() {
        assert_same(&decode(head, body).unwrap(), &stored);
    }
}

#[test]
fn what_is_written_is_what_version_1_wrote() {
    for (stored, head, body) in examples() {
        let encoded = stored.encode();
        assert_eq!(encoded.head, head, "{stored:?}");
        assert_eq!(encoded.body, body, "{stored:?}");
    }
}

#[test]
fn what_is_cut_off_or_too_long_is_a_miss() {
    for (stored, head, body) in examples() {
        for length in 0..head.len() {
            assert!(decode(&head[..length], body).is_none(), "{length} bytes of {stored:?}");
        }
        assert!(decode_copy(&[head, b"\0"].concat(), body).is_none(), "one byte more of {stored:?}");
    }
}

#[test]
fn a_changed_byte_does_no_harm() {
    for (_, head, body) in examples() {
        for at in 0..head.len() {
            for change in 1..=u8::MAX {
                let mut head = head.to_vec();
                head[at] ^= change;
                let read = decode_copy(&head, body);
                assert!(at > 0 || read.is_none(), "another version is a miss");
                let page = read.as_ref().and_then(Stored::as_page);
                assert!(
                    page.is_none_or(|page| page.head.keys().next() == Some(&header::AGE)),
                    "the first field is Age"
                );
            }
        }
    }
}

#[test]
fn a_count_that_lies_is_a_miss() {
    for kind in [PAGE, VARY] {
        let mut head = vec![VERSION, kind];
        if kind == PAGE {
            head.extend_from_slice(&[200, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        notation::number(&mut head, u64::MAX);
        head.extend_from_slice(&[2, 0]);
        assert!(decode_copy(&head, b"").is_none());
    }
}

#[test]
fn a_head_of_another_body_is_a_miss() {
    let [(_, head, body), (_, vary, _), ..] = examples();
    assert!(decode(head, body).is_some());
    let page = |body: &'static [u8]| {
        let schedule = decode(head, golden::BODY).unwrap().as_page().unwrap().schedule;
        let access = Access { authorized: false, cookied: false };
        let (fields, hit) = ((HeaderMap::new(), None), HeaderValue::from_static("x; hit"));
        let terms = (schedule, access, Duration::ZERO);
        Stored::page(Page::new(StatusCode::OK, fields, (Bytes::from_static(body), None), terms, &hit))
    };
    let head = page(b"four").encode().head;
    assert!(decode_copy(&head, b"four").is_some());
    assert!(decode_copy(&head, b"three").is_none(), "Content-Length says another length");
    assert!(decode(vary, b"a body").is_none(), "a sign has none");
}

#[test]
fn more_names_than_a_map_has_room_for_are_a_miss() {
    let [(_, head, _), ..] = examples();
    let page = |count: usize| {
        let mut bytes = head[..4].to_vec();
        bytes.push(0);
        bytes.extend_from_slice(&[0; 6]);
        notation::number(&mut bytes, count as u64);
        for at in 0..count {
            bytes.push(0);
            notation::run(&mut bytes, format!("x-{at}").as_bytes());
            bytes.push(0);
        }
        decode_copy(&bytes, b"")
    };
    assert!(page(MOST_FIELDS + 10).is_some());
    assert!(page(2 * MOST_FIELDS).is_none());
    assert!(page(30_000).is_none());
}

#[test]
fn the_body_and_the_values_are_those_of_the_bytes() {
    let (head, body) = (Bytes::from(golden::HEAD.to_vec()), Bytes::from(golden::BODY.to_vec()));
    let stored = Stored::decode(head.clone(), body.clone()).unwrap();
    let page = stored.as_page().unwrap();
    assert_eq!(page.body.as_ptr(), body.as_ptr());
    assert!(head.as_ptr_range().contains(&page.head[header::SERVER].as_bytes().as_ptr()));
}

#[test]
fn what_a_process_learned_of_its_copy_is_not_kept() {
    let [(stored, head, body), ..] = examples();
    let now = Timestamp::from_secs(1_800_000_000);
    let page = stored.as_page().unwrap();
    assert!(page.claim_refresh(now) && page.validators(now).is_some());
    page.doubt();
    let encoded = stored.encode();
    assert_eq!((&encoded.head[..], &encoded.body[..]), (head, body));
    let again = decode(head, body).unwrap();
    assert!(again.as_page().unwrap().claim_refresh(now) && again.as_page().unwrap().validators(now).is_some());
}

#[test]
fn what_says_that_it_is_compressed_is_not_compressed_again() {
    let of = |name: HeaderName, value| compression(&HeaderMap::from_iter([(name, HeaderValue::from_static(value))]));
    assert_eq!(compression(&HeaderMap::new()), Compression::Useful);
    for useful in ["text/html; charset=utf-8", "application/json", "image/svg+xml", "application/octet-stream"] {
        assert_eq!(of(header::CONTENT_TYPE, useful), Compression::Useful, "{useful}");
    }
    for useless in ["image/png", "Image/JPEG", "video/mp4", "font/woff2", "application/zip"] {
        assert_eq!(of(header::CONTENT_TYPE, useless), Compression::Useless, "{useless}");
    }
    assert_eq!(of(header::CONTENT_ENCODING, "br"), Compression::Useless);
    assert_eq!(of(header::CONTENT_ENCODING, "identity"), Compression::Useful);
}

prop_compose! {
    fn field()(
        name in prop_oneof![
            proptest::sample::select(&names::KNOWN[..]),
            "[a-z0-9!#-]{1,12}".prop_map(|name| HeaderName::try_from(name).unwrap()),
        ],
        value in proptest::collection::vec(prop_oneof![Just(b'\t'), 32..=126u8, 128..=255u8], 0..40),
        sensitive: bool,
    ) -> (HeaderName, HeaderValue) {
        let mut value = HeaderValue::from_bytes(&value).unwrap();
        value.set_sensitive(sensitive);
        (name, value)
    }
}

fn fields() -> impl Strategy<Value = HeaderMap> {
    proptest::collection::vec(field(), 0..30).prop_map(|fields| {
        let mut head = HeaderMap::new();
        for (name, value) in fields.into_iter().filter(|(name, _)| name != header::CONTENT_LENGTH) {
            head.append(name, value);
        }
        head
    })
}

prop_compose! {
    fn page()(
        status in 100..1000u16,
        head in fields(),
        removed in proptest::sample::select(&names::KNOWN[..]),
        trailers in proptest::option::of(fields()),
        own_etag: bool,
        body: Vec<u8>,
        times: [u64; 6],
        consent in proptest::sample::select(vec![Consent::Stale, Consent::Fresh, Consent::Validated]),
        access: (bool, bool),
    ) -> Stored {
        let mut head = head;
        head.remove(removed);
        let [answered, initial_age, fresh, while_revalidate, if_error, cost] = times;
        let schedule = Schedule {
            answered: Timestamp::from_millis(answered),
            initial_age: Duration::from_millis(initial_age),
            fresh_until: Timestamp::from_millis(fresh),
            stale_while_revalidate_until: Timestamp::from_millis(while_revalidate),
            stale_if_error_until: Timestamp::from_millis(if_error),
            consent,
        };
        let own_etag = own_etag.then(|| HeaderValue::from_static("\"own\""));
        Stored::page(Page::new(
            StatusCode::from_u16(status).unwrap(),
            (head, own_etag),
            (body.into(), trailers.map(Box::new)),
            (schedule, Access { authorized: access.0, cookied: access.1 }, Duration::from_millis(cost)),
            &HeaderValue::from_static("bartizan; hit"),
        ))
    }
}

proptest! {
    #[test]
    fn any_page_is_read_as_it_was_written(stored in page()) {
        let Encoded { head, body, .. } = stored.encode();
        assert_same(&Stored::decode(head.into(), body).unwrap(), &stored);
    }

    #[test]
    fn any_page_that_is_cut_off_is_a_miss(stored in page(), at: proptest::sample::Index) {
        let Encoded { head, body, .. } = stored.encode();
        let head = &head[..at.index(head.len())];
        prop_assert!(decode_copy(head, &body).is_none());
    }
}
