//! Stored values as bytes, for stores that are shared by processes.
//!
//! A head is the version of the format, the kind of value, and what the kind has:
//!
//! | kind | head | body |
//! |---|---|---|
//! | 0, a page | status (2 bytes), flags, times, fields, trailers if the flags say so | the page's |
//! | 1, a sign to variants | names | |
//! | 2, a sign to the page of others | variant (16 bytes), language | |
//! | 3, a pass | | |
//!
//! Flags are, from the lowest bit: two of consent, answers to `Authorization`, answers to cookies, the entity tag is the
//! cache's own, there are trailers. Times are when it was answered, its age then, how long it was fresh from then on, either
//! stale window, and its cost, in milliseconds. Fields and names come after how many they are. A name is a byte of
//! [`names`], or zero and its text; a value is twice its length, and one more if it is sensitive, and its bytes.
//!
//! `Age` is not written: it is the first field of a page that was read, as of one that was made here.
//!
//! Not kept is what a process learned of its copy: when it began a refresh, and that its validators led nowhere.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{
    etag::Etags,
    policy::{
        length::{self, Length},
        list,
        reuse::Schedule,
        storable::{Consent, MOST_FIELDS},
    },
    stored::{Access, Kind, Page, Stored},
};
use crate::{
    clock::Timestamp,
    digits,
    store::{
        Compression, Encoded, Wire,
        notation::{self, Reader},
    },
};

mod names;

// === impl Stored ===

impl Wire for Stored {
    fn encode(&self) -> Encoded {
        let mut head = vec![VERSION];
        match self.kind() {
            Kind::Page(page) => {
                head.push(PAGE);
                write_page(&mut head, page);
                return Encoded::new(head, page.body.clone()).compression(compression(&page.head));
            }
            Kind::Vary(names) => {
                head.push(VARY);
                notation::number(&mut head, names.len() as u64);
                names.iter().for_each(|name| write_name(&mut head, name));
            }
            Kind::Same { variant, language } => {
                head.push(SAME);
                head.extend_from_slice(&variant.to_le_bytes());
                write_value(&mut head, language);
            }
            Kind::Pass => head.push(PASS),
        }
        Encoded::new(head, Bytes::new())
    }

    fn decode(head: Bytes, body: Bytes) -> Option<Self> {
        let mut reader = Reader::new(head);
        if reader.byte()? != VERSION {
            return None;
        }
        let kind = reader.byte()?;
        if kind != PAGE && !body.is_empty() {
            return None;
        }
        let stored = match kind {
            PAGE => Self::page(read_page(&mut reader, body)?),
            VARY => Self::vary((0..reader.number()?).map(|_| read_name(&mut reader)).collect::<Option<_>>()?),
            SAME => Self::same(u128::from_le_bytes(reader.array()?), read_value(&mut reader)?),
            PASS => Self::pass(),
            _ => return None,
        };
        reader.rest().is_empty().then_some(stored)
    }
}

const VERSION: u8 = 1;

const PAGE: u8 = 0;
const VARY: u8 = 1;
const SAME: u8 = 2;
const PASS: u8 = 3;

/// What says that it is compressed is not compressed again.
fn compression(head: &HeaderMap) -> Compression {
    let starts = |value: &HeaderValue, with: &str| {
        value.as_bytes().get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
    };
    let is_dense = head.get(header::CONTENT_TYPE).is_some_and(|value| {
        DENSE.iter().any(|with| starts(value, with)) && !starts(value, "image/svg") && !starts(value, "image/bmp")
    });
    let is_coded =
        head.get_all(header::CONTENT_ENCODING).iter().any(|value| list::trimmed(value.as_bytes()) != b"identity");
    if is_coded || is_dense { Compression::Useless } else { Compression::Useful }
}

/// How the types of what is compressed begin.
const DENSE: [&str; 8] = [
    "application/gzip",
    "application/vnd.openxmlformats",
    "application/zip",
    "application/zstd",
    "audio/",
    "font/woff",
    "image/",
    "video/",
];

fn write_page(out: &mut Vec<u8>, page: &Page) {
    out.extend_from_slice(&page.status.as_u16().to_le_bytes());
    let consent = match page.schedule.consent {
        Consent::Stale => STALE,
        Consent::Fresh => FRESH,
        Consent::Validated => VALIDATED,
    };
    let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    out.push(
        consent
            | flag(page.access.authorized, AUTHORIZED)
            | flag(page.access.cookied, COOKIED)
            | flag(page.own_etag().is_some(), OWN_ETAG)
            | flag(page.trailers.is_some(), TRAILERS),
    );
    write_times(out, &page.schedule);
    notation::number(out, millis(page.cost));
    write_fields(out, &page.head.iter().filter(|(name, _)| **name != header::AGE).collect::<Vec<_>>());
    if let Some(trailers) = &page.trailers {
        write_fields(out, &trailers.iter().collect::<Vec<_>>());
    }
}

fn read_page(reader: &mut Reader, body: Bytes) -> Option<Page> {
    let status = StatusCode::from_u16(u16::from_le_bytes(reader.array()?)).ok()?;
    let flags = reader.byte()?;
    if flags & !ALL_FLAGS != 0 {
        return None;
    }
    let consent = match flags & CONSENT {
        STALE => Consent::Stale,
        FRESH => Consent::Fresh,
        VALIDATED => Consent::Validated,
        _ => return None,
    };
    let schedule = read_times(reader, consent)?;
    let cost = Duration::from_millis(reader.number()?);
    let access = Access { authorized: flags & AUTHORIZED != 0, cookied: flags & COOKIED != 0 };
    let etag = if flags & OWN_ETAG != 0 { Etags::Generated } else { Etags::Given };

    let mut head = HeaderMap::with_capacity(USUAL_FIELDS);
    head.insert(header::AGE, digits::value(0));
    read_fields(reader, &mut head)?;
    let trailers = if flags & TRAILERS != 0 {
        let mut trailers = HeaderMap::new();
        read_fields(reader, &mut trailers)?;
        Some(Box::new(trailers))
    } else {
        None
    };
    // A head of another body would break the framing of the response.
    let fits = match length::stated(&head) {
        Length::Unsaid => true,
        Length::Bytes(length) => length == body.len() as u64,
        Length::Unclear => false,
    };
    let is_aged_once = head.get_all(header::AGE).iter().count() == 1;
    (fits && is_aged_once).then(|| Page::again(status, (&head, etag), (body, trailers), (schedule, access, cost)))
}

const CONSENT: u8 = 0b11;
const STALE: u8 = 0;
const FRESH: u8 = 1;
const VALIDATED: u8 = 2;
const AUTHORIZED: u8 = 1 << 2;
const COOKIED: u8 = 1 << 3;
const OWN_ETAG: u8 = 1 << 4;
const TRAILERS: u8 = 1 << 5;
const ALL_FLAGS: u8 = CONSENT | AUTHORIZED | COOKIED | OWN_ETAG | TRAILERS;

/// Room for the fields of most heads, whatever the bytes say.
const USUAL_FIELDS: usize = 24;

/// The distances wrap: any times are read as they were written, whichever comes first.
fn write_times(out: &mut Vec<u8>, schedule: &Schedule) {
    let distance = |from: Timestamp, to: Timestamp| to.as_millis().wrapping_sub(from.as_millis());
    notation::number(out, schedule.answered.as_millis());
    notation::number(out, millis(schedule.initial_age));
    notation::number(out, distance(schedule.answered, schedule.fresh_until));
    notation::number(out, distance(schedule.fresh_until, schedule.stale_while_revalidate_until));
    notation::number(out, distance(schedule.fresh_until, schedule.stale_if_error_until));
}

fn read_times(reader: &mut Reader, consent: Consent) -> Option<Schedule> {
    let later = |from: Timestamp, distance: u64| Timestamp::from_millis(from.as_millis().wrapping_add(distance));
    let answered = Timestamp::from_millis(reader.number()?);
    let initial_age = Duration::from_millis(reader.number()?);
    let fresh_until = later(answered, reader.number()?);
    Some(Schedule {
        answered,
        initial_age,
        fresh_until,
        stale_while_revalidate_until: later(fresh_until, reader.number()?),
        stale_if_error_until: later(fresh_until, reader.number()?),
        consent,
    })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn write_fields(out: &mut Vec<u8>, fields: &[(&HeaderName, &HeaderValue)]) {
    notation::number(out, fields.len() as u64);
    for (name, value) in fields {
        write_name(out, name);
        write_value(out, value);
    }
}

/// The fields are added to what `head` has.
fn read_fields(reader: &mut Reader, head: &mut HeaderMap) -> Option<()> {
    for _ in 0..reader.number()? {
        let name = read_name(reader)?;
        head.try_append(name, read_value(reader)?).ok()?;
        // Twice what may be stored, so that there is room for what the cache added and will add.
        if head.keys_len() > 2 * MOST_FIELDS {
            return None;
        }
    }
    Some(())
}

fn write_name(out: &mut Vec<u8>, name: &HeaderName) {
    match names::byte(name) {
        Some(byte) => out.push(byte),
        None => {
            out.push(0);
            notation::run(out, name.as_str().as_bytes());
        }
    }
}

fn read_name(reader: &mut Reader) -> Option<HeaderName> {
    match reader.byte()? {
        0 => HeaderName::from_lowercase(&reader.run()?).ok(),
        byte => names::name(byte),
    }
}

fn write_value(out: &mut Vec<u8>, value: &HeaderValue) {
    notation::number(out, (value.len() as u64) << 1 | u64::from(value.is_sensitive()));
    out.extend_from_slice(value.as_bytes());
}

fn read_value(reader: &mut Reader) -> Option<HeaderValue> {
    let length = reader.number()?;
    let mut value = HeaderValue::from_maybe_shared(reader.take(length >> 1)?).ok()?;
    value.set_sensitive(length & 1 != 0);
    Some(value)
}

#[cfg(test)]
mod tests;
