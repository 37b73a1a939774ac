//! What stands on a line of a scenario: fields, strings and times.

use std::time::Duration;

use crate::script::{Check, Fault, Place};

/// What stands before the first `; ` that a field follows, and between the others. `text/html; charset=utf-8` is one part.
pub(crate) fn parts(line: &str) -> (&str, Vec<&str>) {
    let (mut parts, mut start, mut is_quoted, mut is_escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b';' if !is_quoted && begins_field(&line[at + 1..]) => {
                parts.push(line[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(line[start..].trim());
    let head = parts.remove(0);
    (head, parts)
}

fn begins_field(text: &str) -> bool {
    let Some(text) = text.strip_prefix(' ') else { return false };
    let text = text.strip_prefix("trailer ").unwrap_or(text);
    text.starts_with('!') || text.split_once(':').is_some_and(|(name, _)| !name.contains(|c: char| !is_in_name(c)))
}

fn is_in_name(char: char) -> bool {
    char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-'
}

/// `name: value` or `!name`
pub(crate) fn check(at: &Place, text: &str) -> Result<Check, Fault> {
    match text.strip_prefix('!') {
        Some(name) => Ok(Check::NoField(name.to_owned())),
        None => field(at, text).map(|(name, value)| Check::Field(name, value)),
    }
}

pub(crate) fn field(at: &Place, text: &str) -> Result<(String, String), Fault> {
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() && name.chars().all(is_in_name) => {
            Ok((name.to_owned(), value.trim_start().to_owned()))
        }
        _ => Err(at.fault(format!("neither a step nor a field, as `name: value` in lower case: {text:?}"))),
    }
}

/// A string in quotation marks, and what follows it.
pub(crate) fn quoted<'a>(at: &Place, text: &'a str) -> Result<(String, &'a str), Fault> {
    let mut string = String::new();
    let mut chars = text.strip_prefix('"').unwrap_or_default().char_indices();
    while let Some((index, char)) = chars.next() {
        match char {
            '"' => return Ok((string, &text[index + 2..])),
            '\\' => match chars.next() {
                Some((_, 'r')) => string.push('\r'),
                Some((_, 'n')) => string.push('\n'),
                Some((_, mark @ ('"' | '\\'))) => string.push(mark),
                _ => return Err(at.fault("behind a backslash stands r, n, a quotation mark or a backslash")),
            },
            _ => string.push(char),
        }
    }
    Err(at.fault("a body stands in quotation marks"))
}

/// `500ms`, `5s`, `3m`, `2h`, `1d`
pub(crate) fn duration(at: &Place, text: &str) -> Result<Duration, Fault> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(at.fault(format!("a time is as 500ms, 5s, 3m, 2h or 1d, but not {text:?}"))),
    };
    let number: u64 = number.parse().map_err(|_| at.fault(format!("a time begins with a number: {text:?}")))?;
    Ok(Duration::from_millis(number * millis))
}
