//! The answer to who is refused.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};

use super::{
    check::Names,
    head::Head,
    text::{Text, quoted, whole_seconds},
};
use crate::{digits, quota::Retry};

/// A request that is refused, for the function that answers it
/// ([`RateLimitLayer::reject`](super::RateLimitLayer::reject)).
///
/// ```
/// use bartizan::{RateLimitLayer, quota::Quota};
/// use http::{Response, header};
///
/// let layer = RateLimitLayer::new(Quota::per_minute(100)).reject(|refusal| {
///     let mut response = refusal.respond();
///     if !refusal.is_grpc() {
///         response.headers_mut().insert(header::CONTENT_TYPE, "text/plain".parse().expect("it is a field value"));
///         *response.body_mut() = "Slow down.".into();
///     }
///     response
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Refusal<'a> {
    reason: Reason,
    policies: Names<'a>,
    /// In seconds.
    retry_after: Option<u64>,
    asked: Asked,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It is more than the policies allow.
    Exceeded,
    /// The counts cannot be asked, and requests are then refused ([`Failing::Closed`](super::Failing::Closed)).
    Unavailable,
}

/// How an answer must be made to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Http,
    Head,
    /// With the media type of the answer.
    Grpc(&'static str),
}

pub(super) type Reject = dyn Fn(&Refusal<'_>) -> Response<Bytes> + Send + Sync;

// === impl Refusal ===

impl<'a> Refusal<'a> {
    pub(super) fn exceeded(policies: Names<'a>, retry: Option<Retry>) -> Self {
        let retry_after = retry_after(retry.unwrap_or(Retry::After(Duration::ZERO)), rand::random());
        Self { reason: Reason::Exceeded, policies, retry_after, asked: Asked::Http }
    }

    pub(super) fn unavailable(policies: Names<'a>) -> Self {
        let retry_after = retry_after(Retry::After(UNAVAILABLE_FOR), rand::random());
        Self { reason: Reason::Unavailable, policies, retry_after, asked: Asked::Http }
    }

    /// The same, of this request.
    pub(super) fn to(self, request: &Head<'_>) -> Self {
        // gRPC is always a `POST`; whatever else calls itself so could have its refusal, a 200, stored by a cache.
        let media = request.headers.get(header::CONTENT_TYPE).filter(|_| *request.method == Method::POST);
        let grpc = media.and_then(|media| grpc(media.as_bytes()));
        let asked = match grpc {
            Some(media) => Asked::Grpc(media),
            None if *request.method == Method::HEAD => Asked::Head,
            None => Asked::Http,
        };
        Self { asked, ..self }
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What the policies are called that refused it, or that could not be asked.
    pub fn policies(&self) -> &[&'a str] {
        &self.policies
    }

    /// When to ask again, in whole seconds, at least one; `None` when that is of no use, since the request costs more than a policy
    /// could ever allow.
    ///
    /// That is when the same request would be allowed, rounded up, and at random up to a tenth later (at least up to 1 s, at most up to
    /// 60 s), so that not all come back at once; where the counts cannot be asked, 5 or 6 seconds.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after.map(Duration::from_secs)
    }

    /// Whether the client speaks gRPC, and expects an answer of its kind.
    pub fn is_grpc(&self) -> bool {
        matches!(self.asked, Asked::Grpc(_))
    }

    /// The default answer.
    ///
    /// | | more than allowed | counts that cannot be asked |
    /// |---|---|---|
    /// | HTTP | 429, a problem (RFC 9457) `quota-exceeded` | 503, a problem `temporary-reduced-capacity` |
    /// | gRPC | `RESOURCE_EXHAUSTED` | `UNAVAILABLE` |
    ///
    /// Problems name the violated policies; with `Retry-After` and `Cache-Control: no-store`. An answer to HEAD has the fields alone.
    /// gRPC is answered in the head alone ("trailers-only"), with `grpc-retry-pushback-ms`.
    pub fn respond(&self) -> Response<Bytes> {
        match self.asked {
            Asked::Grpc(media) => self.trailers_only(media),
            Asked::Http | Asked::Head => self.problem(),
        }
    }

    fn problem(&self) -> Response<Bytes> {
        let (status, start) = match self.reason {
            Reason::Exceeded => (StatusCode::TOO_MANY_REQUESTS, QUOTA_EXCEEDED),
            Reason::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, REDUCED_CAPACITY),
        };
        let mut text = Text::from_slice(start.as_bytes());
        for (place, name) in self.policies.iter().enumerate() {
            if place > 0 {
                text.push(b',');
            }
            quoted(&mut text, name);
        }
        text.extend_from_slice(b"]}");

        let mut headers = HeaderMap::with_capacity(ROOM);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, digits::value(seconds));
        }
        let body = if self.asked == Asked::Head {
            headers.insert(header::CONTENT_LENGTH, digits::value(text.len() as u64));
            Bytes::new()
        } else {
            Bytes::copy_from_slice(&text)
        };
        response(status, headers, body)
    }

    /// gRPC over HTTP/2, "Responses"; gRFC A6, "Pushback".
    fn trailers_only(&self, media: &'static str) -> Response<Bytes> {
        let (status, message) = match self.reason {
            Reason::Exceeded => ("8", "quota exceeded"),
            Reason::Unavailable => ("14", "limits cannot be checked"),
        };
        let mut headers = HeaderMap::with_capacity(ROOM);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(GRPC_STATUS, HeaderValue::from_static(status));
        headers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
        let pushback = match self.retry_after {
            Some(seconds) => digits::value(seconds.saturating_mul(1_000)),
            // What is negative says not to try again.
            None => HeaderValue::from_static("-1"),
        };
        headers.insert(GRPC_RETRY_PUSHBACK_MS, pushback);
        response(StatusCode::OK, headers, Bytes::new())
    }
}

/// For the fields of a refusal and those of its [`Dress`], without growing.
const ROOM: usize = 9;

/// The store of the counts is given about as long to come back.
const UNAVAILABLE_FOR: Duration = Duration::from_secs(5);

const QUOTA_EXCEEDED: &str = concat!(
    r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","#,
    r#""title":"Request cannot be satisfied as assigned quota has been exceeded","#,
    r#""status":429,"violated-policies":["#
);

const REDUCED_CAPACITY: &str = concat!(
    r#"{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","#,
    r#""title":"Request cannot be satisfied due to temporary server capacity constraints","#,
    r#""status":503,"violated-policies":["#
);

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_RETRY_PUSHBACK_MS: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

fn response(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The media type of an answer to a request of this one, if that is gRPC or gRPC-Web.
fn grpc(media: &[u8]) -> Option<&'static str> {
    const TYPES: [&str; 3] = ["application/grpc", "application/grpc-web", "application/grpc-web-text"];
    TYPES.into_iter().find(|name| {
        media.split_at_checked(name.len()).is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(name.as_bytes()) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
        })
    })
}

/// `Retry-After`, in seconds: `retry`, rounded up, and as much later as `random` says. See [`Refusal::retry_after`].
pub(super) fn retry_after(retry: Retry, random: u32) -> Option<u64> {
    let Retry::After(wait) = retry else { return None };
    let seconds = whole_seconds(wait);
    let spread = (seconds / 10).clamp(1, 60);
    Some(seconds.saturating_add(u64::from(random) % (spread + 1)))
}

#[cfg(test)]
mod tests;
