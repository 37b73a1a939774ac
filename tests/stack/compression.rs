//! Encoded variants: tower-http's compression on either side of the cache.

use std::convert::Infallible;

use axum::{Router, extract::Request, routing::get};
use bartizan::{CacheLayer, Memory, Rules};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt};
use tower_http::{compression::CompressionLayer, decompression::DecompressionLayer};

use crate::{Calls, HIT, MINUTE, STORED, cache_status};

const TEXT: &str = "a text that is longer than what compression does not bother with, and a text that repeats itself";
const GZIP: (&str, &str) = ("accept-encoding", "gzip");

/// A handler with an entity tag of its own, which knows nothing of encodings.
fn router(calls: &Calls) -> Router {
    let calls = calls.clone();
    Router::new().route(
        "/",
        get(move || async move {
            calls.next();
            ([(header::ETAG, "\"v1\""), (header::CONTENT_TYPE, "text/plain")], TEXT)
        }),
    )
}

struct Answer {
    status: StatusCode,
    head: HeaderMap,
    cache: String,
    body: Bytes,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.get(name).map(|value| value.to_str().expect("a text"))
    }

    fn is_gzip(&self) -> bool {
        let is_gzip = self.body.starts_with(b"\x1f\x8b");
        assert_eq!(self.field("content-encoding"), is_gzip.then_some("gzip"));
        is_gzip
    }
}

async fn ask<S, B>(service: &S, fields: &[(&str, &str)]) -> Answer
where
    S: Service<Request, Response = http::Response<B>, Error = Infallible> + Clone,
    B: http_body::Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let request = fields.iter().fold(http::Request::get("/"), |request, (name, value)| request.header(*name, *value));
    let request = request.body(axum::body::Body::empty()).expect("a request");
    let response = service.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    let cache = cache_status(&response);
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("the body does not break").to_bytes();
    Answer { status: head.status, head: head.headers, cache, body }
}

fn layer(rules: Rules) -> CacheLayer<Memory<bartizan::cache::Stored>> {
    CacheLayer::new(Memory::with_capacity(1 << 20)).rules(rules.default_ttl(MINUTE))
}

#[tokio::test]
async fn inside_of_the_cache_each_encoding_is_stored_with_its_own_bytes() {
    let calls = Calls::default();
    let service = layer(Rules::new()).layer(CompressionLayer::new().layer(router(&calls)));
    assert_eq!(ask(&service, &[GZIP]).await.cache, STORED);
    assert_eq!(ask(&service, &[]).await.cache, "bartizan; fwd=vary-miss; stored");
    for _ in 0..2 {
        let coded = ask(&service, &[GZIP]).await;
        assert!(coded.cache == HIT && coded.is_gzip());
        assert_eq!(coded.field("content-length"), Some(coded.body.len().to_string().as_str()), "known by now");
        let plain = ask(&service, &[]).await;
        assert!(plain.cache == HIT && !plain.is_gzip() && plain.body == TEXT);
        assert_eq!(plain.field("content-length"), Some(TEXT.len().to_string().as_str()));
        for answer in [&coded, &plain] {
            assert_eq!(answer.field("vary"), Some("accept-encoding"));
            assert_eq!(answer.field("etag"), Some("\"v1\""), "as tower-http leaves it");
        }
        let part = ask(&service, &[GZIP, ("range", "bytes=0-1")]).await;
        assert!(part.status == StatusCode::PARTIAL_CONTENT && part.is_gzip(), "a part of the encoded bytes");
    }
    assert_eq!(calls.number(), 2);
    let decoded = ask(&DecompressionLayer::new().layer(service), &[]).await;
    assert_eq!((decoded.cache.as_str(), decoded.body), (HIT, Bytes::from_static(TEXT.as_bytes())));
}

#[tokio::test]
async fn each_encoding_has_a_tag_of_its_own_where_the_cache_makes_them() {
    let untagged = Router::new().route("/", get(|| async { TEXT }));
    let service = layer(Rules::new().generate_etags()).layer(CompressionLayer::new().layer(untagged));
    let mut tags = Vec::new();
    for fields in [&[GZIP][..], &[]] {
        ask(&service, fields).await;
        tags.push(ask(&service, fields).await.field("etag").expect("a tag").to_owned());
    }
    assert_ne!(tags[0], tags[1]);
    let known = ask(&service, &[GZIP, ("if-none-match", &tags[0])]).await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
    let other = ask(&service, &[("if-none-match", &tags[0])]).await;
    assert_eq!((other.status, other.body), (StatusCode::OK, Bytes::from_static(TEXT.as_bytes())));
}

#[tokio::test]
async fn outside_of_the_cache_one_response_is_stored_and_encoded_for_each_client() {
    let calls = Calls::default();
    let service = CompressionLayer::new().layer(layer(Rules::new()).layer(router(&calls)));
    assert_eq!(ask(&service, &[GZIP]).await.cache, STORED);
    for _ in 0..2 {
        let coded = ask(&service, &[GZIP]).await;
        assert!(coded.cache == HIT && coded.is_gzip());
        assert_eq!(coded.field("content-length"), None, "that of the stored bytes would be wrong");
        let plain = ask(&service, &[]).await;
        assert!(plain.cache == HIT && !plain.is_gzip() && plain.body == TEXT);
        assert_eq!(plain.field("content-length"), Some(TEXT.len().to_string().as_str()));
        let known = ask(&service, &[GZIP, ("if-none-match", "\"v1\"")]).await;
        assert_eq!(
            (known.status, known.body.len(), known.field("etag")),
            (StatusCode::NOT_MODIFIED, 0, Some("\"v1\""))
        );
        let part = ask(&service, &[GZIP, ("range", "bytes=0-49")]).await;
        assert!(part.status == StatusCode::PARTIAL_CONTENT && !part.is_gzip(), "it lets parts be");
        assert_eq!(part.body, TEXT[..50]);
    }
    assert_eq!(calls.number(), 1);
}
