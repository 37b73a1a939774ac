//! `Accept-Encoding` and `Accept-Language` in one spelling for all requests that mean the same. RFC 9110, 12.4.2, 12.5.3
//! and 12.5.4
//!
//! Nothing is allocated: selection by `Vary` asks on every hit.

use http::{HeaderMap, HeaderName, header};

use super::list::{members, trimmed};

/// What a request prefers, the best first.
#[derive(Clone, Debug)]
pub(crate) struct Preferences<'a> {
    choices: [Choice<'a>; MOST_CHOICES],
    len: usize,
    is_encoding: bool,
}

/// A coding or a range of languages, and its weight in thousandths.
#[derive(Clone, Copy, Debug, Default)]
struct Choice<'a> {
    name: &'a [u8],
    weight: u16,
}

/// Who names more is left its own spelling.
const MOST_CHOICES: usize = 16;

// === impl Preferences ===

impl<'a> Preferences<'a> {
    /// What all lines of the field `name` say.
    ///
    /// `None` for a field that is not there, is not one of the two, or is not as the RFC has it: what is not understood keeps
    /// its spelling.
    pub(crate) fn of(name: &HeaderName, headers: &'a HeaderMap) -> Option<Self> {
        let is_encoding = name == header::ACCEPT_ENCODING;
        if !(is_encoding || name == header::ACCEPT_LANGUAGE) || !headers.contains_key(name) {
            return None;
        }
        let mut own = Self { choices: [Choice::default(); MOST_CHOICES], len: 0, is_encoding };
        for member in members(headers, name) {
            own.insert(Choice::parse(member, is_encoding)?)?;
        }
        if is_encoding {
            own.drop_what_goes_without_saying();
        }
        Some(own)
    }

    /// Feeds `sink` the one spelling: lower case, `, ` between, by weight and then by name, weights as short as they can be.
    pub(crate) fn write(&self, sink: &mut impl FnMut(&[u8])) {
        // RFC 9110, 12.5.3: an empty field asks for no coding.
        if self.is_encoding && self.len == 0 {
            return sink(b"identity");
        }
        for (index, choice) in self.choices().iter().enumerate() {
            if index > 0 {
                sink(b", ");
            }
            lowered(choice.name, sink);
            if choice.weight < 1000 {
                let thousandths = [100, 10, 1].map(|unit| b'0' + (choice.weight / unit % 10) as u8);
                let digits = thousandths.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
                sink(if digits == 0 { b";q=0" } else { b";q=0." });
                sink(&thousandths[..digits]);
            }
        }
    }

    /// What is wanted more than all else, if that is one.
    pub(crate) fn first(&self) -> Option<&'a [u8]> {
        let (first, rest) = self.choices().split_first()?;
        let is_alone = rest.first().is_none_or(|second| second.weight < first.weight);
        (is_alone && first.weight > 0 && first.name != b"*").then_some(first.name)
    }

    fn choices(&self) -> &[Choice<'a>] {
        &self.choices[..self.len]
    }

    /// `None` if there is no room, or the name is there already: what counts of several weights, nobody says.
    fn insert(&mut self, choice: Choice<'a>) -> Option<()> {
        if self.len == MOST_CHOICES || self.choices().iter().any(|other| other.name.eq_ignore_ascii_case(choice.name)) {
            return None;
        }
        let at = self.choices().iter().take_while(|other| other.precedes(&choice)).count();
        self.choices.copy_within(at..self.len, at + 1);
        self.choices[at] = choice;
        self.len += 1;
        Some(())
    }

    /// RFC 9110, 12.5.3: a coding that is not named is refused, unless `*` lets it in. `identity` is not refused by silence.
    fn drop_what_goes_without_saying(&mut self) {
        if self.choices().iter().any(|choice| choice.name == b"*" && choice.weight > 0) {
            return;
        }
        let says = |choice: &Choice<'_>| {
            choice.weight > 0 || choice.name == b"*" || choice.name.eq_ignore_ascii_case(b"identity")
        };
        let mut kept = 0;
        for at in 0..self.len {
            if says(&self.choices[at]) {
                self.choices[kept] = self.choices[at];
                kept += 1;
            }
        }
        self.len = kept;
    }
}

// === impl Choice ===

impl<'a> Choice<'a> {
    fn parse(member: &'a [u8], is_encoding: bool) -> Option<Self> {
        let mut parts = member.splitn(2, |byte| *byte == b';');
        let name = trimmed(parts.next()?);
        let weight = parts.next().map_or(Some(1000), |weight| thousandths(trimmed(weight)))?;
        if name.is_empty() || !name.iter().copied().all(is_token_char) {
            return None;
        }
        // RFC 9110, 8.4.1.2 and 8.4.1.3
        let is_old = is_encoding && [&b"x-gzip"[..], b"x-compress"].iter().any(|old| name.eq_ignore_ascii_case(old));
        Some(Self { name: if is_old { &name[2..] } else { name }, weight })
    }

    fn precedes(&self, other: &Self) -> bool {
        let lower = |name: &'a [u8]| name.iter().map(u8::to_ascii_lowercase);
        self.weight > other.weight
            || (self.weight == other.weight && lower(self.name).lt(other.name.iter().map(u8::to_ascii_lowercase)))
    }
}

/// `weight`, without its semicolon. RFC 9110, 12.4.2
fn thousandths(weight: &[u8]) -> Option<u16> {
    let ([b'q' | b'Q', b'=', whole @ (b'0' | b'1')], fraction) = weight.split_at_checked(3)? else { return None };
    let digits = match fraction {
        [] => &[],
        [b'.', digits @ ..] if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => digits,
        _ => return None,
    };
    let units = [100, 10, 1];
    let sum: u16 = digits.iter().zip(units).map(|(digit, unit)| u16::from(digit - b'0') * unit).sum();
    match whole {
        b'1' => (sum == 0).then_some(1000),
        _ => Some(sum),
    }
}

/// RFC 9110, 5.6.2
fn is_token_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Feeds `sink` the text in lower case.
pub(super) fn lowered(text: &[u8], sink: &mut impl FnMut(&[u8])) {
    for part in text.chunks(32) {
        let mut room = [0; 32];
        let room = &mut room[..part.len()];
        room.copy_from_slice(part);
        room.make_ascii_lowercase();
        sink(room);
    }
}

#[cfg(test)]
mod tests;
