//! What a request gets of a stored page: all of it, a part, or the word that the client has it already.

use std::ops;

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body::Body;

use super::{
    asked::{Asked, Head},
    body::CacheBody,
    multipart::Multipart,
    policy::{
        conditional,
        range::{self, Extent},
    },
    status::CACHE_STATUS,
    stored::Page,
};
use crate::{clock::Timestamp, digits};

// === impl Page ===

impl Page {
    /// The response to a request that this page may answer.
    #[inline]
    pub(crate) fn answer<B: Body>(&self, head: Head<'_>, asked: Asked, now: Timestamp) -> Response<CacheBody<B>> {
        if asked.condition() || asked.range() {
            return self.selected(head, asked, now);
        }
        self.whole(head.method, now)
    }

    #[inline]
    fn whole<B: Body>(&self, method: &Method, now: Timestamp) -> Response<CacheBody<B>> {
        let body = if method == Method::HEAD {
            CacheBody::empty()
        } else {
            CacheBody::stored(self.body.clone(), self.trailers.clone())
        };
        let mut head = self.head.clone();
        if let Some(age) = head.values_mut().next() {
            *age = self.age(now);
        }
        response(self.status, head, body)
    }

    #[inline]
    fn age(&self, now: Timestamp) -> HeaderValue {
        digits::value(self.schedule.age(now).as_secs())
    }

    /// RFC 9110, 13.2.2: `If-None-Match` or `If-Modified-Since` first, then `Range`, if `If-Range` lets it.
    fn selected<B: Body>(&self, asked_for: Head<'_>, asked: Asked, now: Timestamp) -> Response<CacheBody<B>> {
        let Head { method, headers, .. } = asked_for;
        if asked.condition()
            && conditional::answer(method, headers, self.status, &self.head, now) == conditional::Answer::NotModified
        {
            return self.not_modified(now);
        }
        // RFC 9110, 14.2: of a GET that would get a 200. Trailers belong to the end of the whole.
        let is_divisible = self.status == StatusCode::OK && *method == Method::GET && self.trailers.is_none();
        if !asked.range() || !is_divisible {
            return self.whole(method, now);
        }
        match range::extent(headers, &self.head, self.length(), now) {
            Extent::Whole => self.whole(method, now),
            Extent::Part(part) => self.part(&part, now),
            Extent::Parts(parts) => self.parts(&parts, now),
            Extent::Unsatisfiable => {
                let head = range::unsatisfied(&self.head, self.length());
                response(StatusCode::RANGE_NOT_SATISFIABLE, head, CacheBody::empty())
            }
        }
    }

    fn not_modified<B: Body>(&self, now: Timestamp) -> Response<CacheBody<B>> {
        let mut head = conditional::not_modified(&self.head);
        for line in self.head.get_all(CACHE_STATUS) {
            head.append(CACHE_STATUS, line.clone());
        }
        head.insert(header::AGE, self.age(now));
        response(StatusCode::NOT_MODIFIED, head, CacheBody::empty())
    }

    fn part<B: Body>(&self, part: &ops::Range<u64>, now: Timestamp) -> Response<CacheBody<B>> {
        let body = self.body.slice(part.start as usize..part.end as usize);
        let mut partial = self.whole(&Method::GET, now);
        let head = partial.headers_mut();
        head.insert(header::CONTENT_LENGTH, digits::value(body.len() as u64));
        head.insert(header::CONTENT_RANGE, range::content_range(part, self.length()));
        *partial.status_mut() = StatusCode::PARTIAL_CONTENT;
        *partial.body_mut() = CacheBody::stored(body, None);
        partial
    }

    fn parts<B: Body>(&self, parts: &[ops::Range<u64>], now: Timestamp) -> Response<CacheBody<B>> {
        let (content_type, body) =
            Multipart::new(&self.body, parts, self.head.get(header::CONTENT_TYPE), rand::random());
        let mut partial = self.whole(&Method::GET, now);
        let head = partial.headers_mut();
        head.insert(header::CONTENT_LENGTH, digits::value(body.left()));
        head.insert(header::CONTENT_TYPE, content_type);
        // RFC 9110, 15.3.7.2
        head.remove(header::CONTENT_RANGE);
        *partial.status_mut() = StatusCode::PARTIAL_CONTENT;
        *partial.body_mut() = CacheBody::multipart(body);
        partial
    }

    fn length(&self) -> u64 {
        self.body.len() as u64
    }
}

fn response<B: Body>(status: StatusCode, head: HeaderMap, body: CacheBody<B>) -> Response<CacheBody<B>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = head;
    response
}
