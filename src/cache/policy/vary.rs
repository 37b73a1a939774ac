//! Which fields of a request select among the stored responses of one URI. RFC 9111, 4.1

use http::{HeaderMap, HeaderName, header};

use super::{
    accept::{Preferences, lowered},
    cookies,
    list::{Members, members, trimmed},
};

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

/// The fields of a request as its handler sees them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// The fields as the client sent them.
    pub(crate) headers: &'a HeaderMap,
    /// The fields that are stripped on the way to the handler.
    pub(crate) ignored_headers: &'a [HeaderName],
    /// The cookies that are stripped on the way to the handler.
    pub(crate) ignored_cookies: &'a [Box<str>],
    /// Which spellings of a value are one.
    pub(crate) spelling: Spelling,
}

/// Which spellings of a selecting field's value are one. RFC 9111, 4.1
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// Those that differ in what surely means nothing.
    #[default]
    Sent,
    /// Those that mean the same: [`accept`](super::accept), and whitespace around the commas of any field.
    Normal,
}

/// Feeds `sink` an encoding of the request's values of the fields `names`, in that order.
///
/// Two requests have the same encoding only if, for each name, both lack the field or both have the same value, where
/// several lines are one value joined by `, `, and whitespace around each line is nothing. Of `Accept-Language`,
/// `Accept-Encoding` and `Accept-Charset` neither case nor whitespace counts. How the bytes are cut into calls means nothing.
pub(crate) fn selecting(names: &[HeaderName], seen: Seen<'_>, sink: &mut impl FnMut(&[u8])) {
    for name in names {
        framed(name.as_str().len(), sink);
        sink(name.as_str().as_bytes());
        // Twice over the lines, once for the length: nothing is allocated.
        let mut length = 0;
        let is_there = seen.value(name, &mut |part| length += part.len());
        if !is_there {
            sink(&[0]);
            continue;
        }
        sink(&[1]);
        framed(length, sink);
        seen.value(name, sink);
    }
}

fn framed(length: usize, sink: &mut impl FnMut(&[u8])) {
    sink(&(length as u64).to_le_bytes());
}

// === impl Seen ===

impl Seen<'_> {
    /// Feeds `sink` the value of a field, and says whether there is one.
    fn value(&self, name: &HeaderName, sink: &mut impl FnMut(&[u8])) -> bool {
        if self.ignored_headers.contains(name) {
            return false;
        }
        if name == header::COOKIE && cookies::has_one_of(self.ignored_cookies, self.headers) {
            let mut is_there = false;
            cookies::write_without(self.ignored_cookies, self.headers, &mut |part| {
                is_there = true;
                sink(part);
            });
            return is_there;
        }
        if self.spelling == Spelling::Normal
            && let Some(preferences) = Preferences::of(name, self.headers)
        {
            preferences.write(sink);
            return true;
        }
        if name == header::COOKIE {
            return self.cookies(sink);
        }
        let folds = [header::ACCEPT_LANGUAGE, header::ACCEPT_ENCODING, header::ACCEPT_CHARSET].contains(name);
        if folds && self.spelling == Spelling::Normal {
            // No spelling that was understood begins like this.
            sink(b"\xff");
        }
        for (index, line) in self.headers.get_all(name).iter().enumerate() {
            let line = trimmed(line.as_bytes());
            if index > 0 {
                sink(if folds { b"," } else { b", " });
            }
            match self.spelling {
                _ if folds => folded(line, sink),
                Spelling::Sent => sink(line),
                Spelling::Normal => spaced(line, sink),
            }
        }
        self.headers.contains_key(name)
    }

    /// Several lines are joined as RFC 9113, 8.2.3 has it: a comma may be within a cookie.
    fn cookies(&self, sink: &mut impl FnMut(&[u8])) -> bool {
        for (index, line) in self.headers.get_all(header::COOKIE).iter().enumerate() {
            if index > 0 {
                sink(b"; ");
            }
            sink(trimmed(line.as_bytes()));
        }
        self.headers.contains_key(header::COOKIE)
    }
}

/// RFC 9110, 12.5: in these fields whitespace may stand around commas, semicolons and nowhere else, and case means nothing.
///
/// Where it stands elsewhere it stays, or what no handler understands would be the same as what it does.
fn folded(line: &[u8], sink: &mut impl FnMut(&[u8])) {
    let parts = |byte: Option<&u8>| matches!(byte, None | Some(b',' | b';'));
    let mut before = None;
    for run in line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|run| !run.is_empty()) {
        if !parts(before) && !parts(run.first()) {
            sink(b" ");
        }
        lowered(run, sink);
        before = run.last();
    }
}

/// RFC 9110, 5.6.1: in a list, whitespace around commas means nothing.
fn spaced(line: &[u8], sink: &mut impl FnMut(&[u8])) {
    for (index, member) in Members::of(line).with_empty().enumerate() {
        if index > 0 {
            sink(b", ");
        }
        sink(member);
    }
}

#[cfg(test)]
mod tests;
