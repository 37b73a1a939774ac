//! Which fields of a request select among the stored responses of one URI. RFC 9111, 4.1

use http::{HeaderMap, HeaderName, header};

use super::list::{members, trimmed};

/// What `Vary` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Vary {
    /// These fields select, in alphabetical order; none, if there is no `Vary`.
    On(Vec<HeaderName>),
    /// No other request can be known to match: `*`, something that is no field name, or more than [`MOST_NAMES`] names.
    Star,
}

/// More names than this are nobody's intention, and each costs on every hit.
pub(crate) const MOST_NAMES: usize = 32;

/// Reads all `Vary` lines of a response. The result depends neither on order nor on repetition.
pub(crate) fn parse(headers: &HeaderMap) -> Vary {
    let mut names = Vec::new();
    for member in members(headers, &header::VARY) {
        // `*` is a character of field names, so it must be looked for first.
        let Some(name) = HeaderName::from_bytes(member).ok().filter(|name| name != "*") else {
            return Vary::Star;
        };
        if names.contains(&name) {
            continue;
        }
        if names.len() == MOST_NAMES {
            return Vary::Star;
        }
        names.push(name);
    }
    names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    Vary::On(names)
}

/// Feeds `sink` an encoding of the request's values of the fields `names`, in that order.
///
/// Two requests have the same encoding only if, for each name, both lack the field or both have the same value, where
/// several lines are one value joined by `, `, and whitespace around each line is nothing. Of `Accept-Language`,
/// `Accept-Encoding` and `Accept-Charset` neither case nor whitespace counts. How the bytes are cut into calls means nothing.
pub(crate) fn selecting(names: &[HeaderName], headers: &HeaderMap, sink: &mut impl FnMut(&[u8])) {
    for name in names {
        framed(name.as_str().len(), sink);
        sink(name.as_str().as_bytes());
        if !headers.contains_key(name) {
            sink(&[0]);
            continue;
        }
        sink(&[1]);
        // Twice over the lines, once for the length: nothing is allocated.
        let mut length = 0;
        value(name, headers, &mut |part| length += part.len());
        framed(length, sink);
        value(name, headers, sink);
    }
}

fn framed(length: usize, sink: &mut impl FnMut(&[u8])) {
    sink(&(length as u64).to_le_bytes());
}

fn value(name: &HeaderName, headers: &HeaderMap, sink: &mut impl FnMut(&[u8])) {
    let folds = [header::ACCEPT_LANGUAGE, header::ACCEPT_ENCODING, header::ACCEPT_CHARSET].contains(name);
    for (index, line) in headers.get_all(name).iter().enumerate() {
        if folds {
            if index > 0 {
                sink(b",");
            }
            folded(line.as_bytes(), sink);
        } else {
            if index > 0 {
                sink(b", ");
            }
            sink(trimmed(line.as_bytes()));
        }
    }
}

/// RFC 9110, 12.5: in these fields whitespace may stand around commas, semicolons and nowhere else, and case means nothing.
fn folded(line: &[u8], sink: &mut impl FnMut(&[u8])) {
    for run in line.split(|byte| matches!(byte, b' ' | b'\t')) {
        for part in run.chunks(32) {
            let mut room = [0; 32];
            let room = &mut room[..part.len()];
            room.copy_from_slice(part);
            room.make_ascii_lowercase();
            sink(room);
        }
    }
}

#[cfg(test)]
mod tests;
