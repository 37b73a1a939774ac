//! The cookies of a request. RFC 6265, 5.4; RFC 9113, 8.2.3

use http::{HeaderMap, header};

/// The name and value of each cookie, in the order sent.
pub(crate) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs =
        headers.get_all(header::COOKIE).into_iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty()).map(|pair| {
        let end = pair.iter().position(|&byte| byte == b'=');
        end.map_or((pair, &b""[..]), |end| (pair[..end].trim_ascii(), pair[end + 1..].trim_ascii()))
    })
}

/// Whether one of the cookies is among `names`.
pub(crate) fn has_one_of(names: &[Box<str>], headers: &HeaderMap) -> bool {
    !names.is_empty() && pairs(headers).any(|(name, _)| is_among(names, name))
}

/// Feeds `sink` the field without the cookies `names`; nothing, if none is left.
pub(crate) fn write_without(names: &[Box<str>], headers: &HeaderMap, sink: &mut impl FnMut(&[u8])) {
    for (index, (name, value)) in pairs(headers).filter(|(name, _)| !is_among(names, name)).enumerate() {
        if index > 0 {
            sink(b"; ");
        }
        sink(name);
        sink(b"=");
        sink(value);
    }
}

fn is_among(names: &[Box<str>], name: &[u8]) -> bool {
    names.iter().any(|other| other.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_one_line() {
        let names: [Box<str>; 2] = ["_ga".into(), "_gid".into()];
        for (lines, found, left) in [
            (&["_ga=1; lang=en", "a=b=c; _gid=2"][..], true, "lang=en; a=b=c"),
            (&["_ga=1"], true, ""),
            (&[" _ga ;; ; lang = en"], true, "lang=en"),
            (&["lang=en", "sid"], false, "lang=en; sid="),
            (&["_GA=1"], false, "_GA=1"),
            (&[], false, ""),
        ] {
            let headers: HeaderMap = lines.iter().map(|line| (header::COOKIE, line.parse().unwrap())).collect();
            let mut rest = Vec::new();
            write_without(&names, &headers, &mut |part| rest.extend_from_slice(part));
            assert_eq!((has_one_of(&names, &headers), &*rest), (found, left.as_bytes()), "{lines:?}");
        }
    }
}
