//! What an unsafe request makes invalid. RFC 9111, 4.4

use http::{
    HeaderMap, Method, StatusCode, Uri, header,
    uri::{Authority, PathAndQuery},
};

/// Whether a request with `method` that was answered with `status` invalidates what is stored for its target.
pub(crate) fn invalidates(method: &Method, status: StatusCode) -> bool {
    !is_safe(method) && (status.is_success() || status.is_redirection())
}

/// Whether `method` leaves the resource alone. A method that is not known does not. `CONNECT` has no resource.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::CONNECT)
        || is_query(method)
}

/// RFC 10008
pub(crate) fn is_query(method: &Method) -> bool {
    method.as_str() == "QUERY"
}

/// What `Location` and `Content-Location` name beside the target itself: path and query, two at most, of the same origin
/// only, or one site could empty another's cache.
///
/// `target` has scheme and authority, if absolute references are to be followed.
pub(crate) fn also_named(target: &Uri, answer: &HeaderMap) -> Vec<Uri> {
    let mut named = Vec::new();
    for field in [header::LOCATION, header::CONTENT_LOCATION] {
        let reference = answer.get(field).and_then(|value| value.to_str().ok());
        let Some(path) = reference.and_then(|reference| resolved(target, reference)) else {
            continue;
        };
        if Some(&path) != target.path_and_query() && !named.iter().any(|uri: &Uri| uri.path_and_query() == Some(&path))
        {
            named.push(Uri::from(path));
        }
    }
    named
}

/// Whether an answer from `target` says by its one `Content-Location` that it is a representation of `target` itself.
/// RFC 9110, 8.7 and 9.3.3
pub(crate) fn names_itself(target: &Uri, answer: &HeaderMap) -> bool {
    let mut lines = answer.get_all(header::CONTENT_LOCATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let named = line.to_str().ok().and_then(|reference| resolved(target, reference));
    named.is_some() && named.as_ref() == target.path_and_query()
}

/// Path and query of a reference within the target's origin. RFC 3986, 5.2
fn resolved(target: &Uri, reference: &str) -> Option<PathAndQuery> {
    let reference = reference.split('#').next().unwrap_or_default();
    let here = target.path();
    let joined = if let Some(network) = reference.strip_prefix("//") {
        within(target, target.scheme_str()?, network)?
    } else if let Some((scheme, rest)) = scheme_and_rest(reference) {
        within(target, scheme, rest.strip_prefix("//")?)?
    } else if reference.is_empty() {
        return None;
    } else if reference.starts_with('/') {
        reference.to_owned()
    } else if reference.starts_with('?') {
        format!("{here}{reference}")
    } else {
        let folder = here.rfind('/').map_or("/", |slash| &here[..=slash]);
        format!("{folder}{reference}")
    };
    let (path, query) = joined.split_at(joined.find('?').unwrap_or(joined.len()));
    format!("{}{query}", without_dots(path)).parse().ok()
}

fn scheme_and_rest(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    is_scheme.then_some((scheme, rest))
}

/// What follows the authority, if that is the target's.
fn within(target: &Uri, scheme: &str, network: &str) -> Option<String> {
    let end = network.find(['/', '?']).unwrap_or(network.len());
    let (authority, path) = network.split_at(end);
    let authority: Authority = authority.parse().ok()?;
    let ours = target.authority()?;
    let same = target.scheme_str()?.eq_ignore_ascii_case(scheme)
        && !authority.as_str().contains('@')
        && authority.host().eq_ignore_ascii_case(ours.host())
        && port(scheme, &authority).is_some_and(|theirs| Some(theirs) == port(scheme, ours));
    same.then(|| if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

/// The port, where the scheme or the authority tells one.
fn port(scheme: &str, authority: &Authority) -> Option<u16> {
    match authority.as_str().get(authority.host().len()..)? {
        "" | ":" if scheme.eq_ignore_ascii_case("https") => Some(443),
        "" | ":" => Some(80),
        port => port.strip_prefix(':')?.parse().ok(),
    }
}

/// `remove_dot_segments`, for paths that begin with a slash. RFC 3986, 5.2.4
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if segments.peek().is_none() {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests;
