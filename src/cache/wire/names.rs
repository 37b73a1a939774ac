//! Field names of one byte.

use http::{HeaderName, header};

/// The byte of a name, if it has one. Zero is none's.
pub(crate) fn byte(name: &HeaderName) -> Option<u8> {
    let at = KNOWN.iter().position(|known| known == name)?;
    u8::try_from(at + 1).ok()
}

/// The name of a byte.
pub(crate) fn name(byte: u8) -> Option<HeaderName> {
    KNOWN.get(usize::from(byte).checked_sub(1)?).cloned()
}

/// At most 255. What is written may be read by the next release and the last: neither the order nor what is there changes
/// within a version of the format, nor does a name come to it, which an older reader would not know.
pub(crate) static KNOWN: [HeaderName; 80] = [
    header::CACHE_STATUS,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::DATE,
    header::CACHE_CONTROL,
    header::ETAG,
    header::LAST_MODIFIED,
    header::EXPIRES,
    header::VARY,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::CONTENT_DISPOSITION,
    header::CONTENT_RANGE,
    header::ACCEPT_RANGES,
    header::LOCATION,
    header::LINK,
    header::SERVER,
    header::SET_COOKIE,
    header::ALLOW,
    header::ALT_SVC,
    header::VIA,
    header::WARNING,
    header::PRAGMA,
    header::REFRESH,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    header::CDN_CACHE_CONTROL,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    header::CONTENT_SECURITY_POLICY,
    header::CONTENT_SECURITY_POLICY_REPORT_ONLY,
    header::REFERRER_POLICY,
    header::STRICT_TRANSPORT_SECURITY,
    header::X_CONTENT_TYPE_OPTIONS,
    header::X_DNS_PREFETCH_CONTROL,
    header::X_FRAME_OPTIONS,
    header::X_XSS_PROTECTION,
    HeaderName::from_static("cache-group-invalidation"),
    HeaderName::from_static("cache-groups"),
    HeaderName::from_static("clear-site-data"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("cross-origin-embedder-policy"),
    HeaderName::from_static("cross-origin-opener-policy"),
    HeaderName::from_static("cross-origin-resource-policy"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("nel"),
    HeaderName::from_static("origin-agent-cluster"),
    HeaderName::from_static("permissions-policy"),
    HeaderName::from_static("report-to"),
    HeaderName::from_static("reporting-endpoints"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("server-timing"),
    HeaderName::from_static("surrogate-control"),
    HeaderName::from_static("surrogate-key"),
    HeaderName::from_static("timing-allow-origin"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("x-cache"),
    HeaderName::from_static("x-powered-by"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-robots-tag"),
    // What `Vary` names.
    header::ACCEPT,
    header::ACCEPT_CHARSET,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::AUTHORIZATION,
    header::COOKIE,
    header::HOST,
    header::ORIGIN,
    header::REFERER,
    header::USER_AGENT,
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("save-data"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-requested-with"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_byte_of_its_own() {
        for (at, known) in KNOWN.iter().enumerate() {
            let byte = byte(known).unwrap();
            assert_eq!(usize::from(byte), at + 1, "{known} stands there once");
            assert_eq!(name(byte).as_ref(), Some(known));
        }
        assert_eq!(byte(&HeaderName::from_static("x-y")), None);
        assert_eq!(name(0), None);
        assert_eq!(name(u8::MAX), None);
    }
}
