//! What an unsafe request makes invalid (RFC 9111, 4.4).

use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header, request::Parts, uri::PathAndQuery};
use http_body::Body;
use tower_service::Service;

use super::{
    asked::{Asked, Head},
    body::CacheBody,
    fill, key,
    layer::Shared,
    origin::Origin,
    policy::invalidate,
    rules::Rules,
    status,
    stored::Stored,
    word::Caching,
};
use crate::store::{Primary, Store};

/// The resources that an unsafe request may have changed.
///
/// Where no response came, because the client left, the handler panicked or the inner service failed, it removes the
/// target nevertheless: the handler may have done its work.
pub(crate) struct Invalidation<T: Store<Stored>> {
    shared: Arc<Shared<T>>,
    rules: Rules,
    method: Method,
    /// The target with the host it was asked of.
    target: Parts,
    pending: bool,
}

/// Forwards an unsafe request, and removes what it made invalid before its response is seen.
pub(crate) async fn forward<S, T, ReqBody, ResBody>(
    inner: &Origin<S>,
    request: Request<ReqBody>,
    mut invalidation: Invalidation<T>,
) -> Result<Response<CacheBody<ResBody>>, S::Error>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    T: Store<Stored>,
    ResBody: Body,
{
    let mut response = match inner.call(request).await {
        Ok(response) => response,
        Err(error) => {
            // What failed may have been the way back: a timeout inside of this layer is such an error.
            invalidation.failed().await;
            return Err(error);
        }
    };
    invalidation.answered(response.status(), response.headers()).await;
    response.extensions_mut().remove::<Caching>();
    status::add(response.headers_mut(), invalidation.shared.labels.method.clone());
    Ok(response.map(CacheBody::inner))
}

// === impl Invalidation ===

impl<T: Store<Stored>> Invalidation<T> {
    pub(crate) fn new(shared: Arc<Shared<T>>, rules: Rules, asked: Head<'_>) -> Self {
        let (mut target, ()) = Request::new(()).into_parts();
        target.uri = whole(&rules.settings().mounted_at, asked.uri);
        for host in asked.headers.get_all(header::HOST) {
            target.headers.append(header::HOST, host.clone());
        }
        Self { shared, rules, method: asked.method.clone(), target, pending: true }
    }

    pub(crate) async fn answered(&mut self, status: StatusCode, head: &HeaderMap) {
        // Pending until all is done: the client may leave while the store is told.
        self.pending = invalidate::invalidates(&self.method, status);
        if !self.pending {
            return;
        }
        self.remove(self.target.uri.clone()).await;
        self.replaced(head).await;
    }

    /// What there was of the target is removed, and what takes its place is on its way.
    pub(crate) async fn replaced(&mut self, head: &HeaderMap) {
        let also = self.absolute().map(|target| invalidate::also_named(&target, head)).unwrap_or_default();
        for uri in also {
            self.remove(uri).await;
        }
        self.pending = false;
    }

    /// Whether the answer says that it is what the target is from now on.
    pub(crate) fn is_answered_by_itself(&self, status: StatusCode, head: &HeaderMap) -> bool {
        let target = self.absolute().unwrap_or_else(|| self.target.uri.clone());
        status.is_success() && invalidate::names_itself(&target, head)
    }

    pub(crate) async fn failed(&mut self) {
        self.remove(self.target.uri.clone()).await;
        self.pending = false;
    }

    async fn remove(&self, uri: Uri) {
        if let Some(primary) = self.primary(uri) {
            fill::removed(self.shared.fetch.store().remove(primary).await);
        }
    }

    /// The resource at `uri`, of the host that was asked.
    fn primary(&self, uri: Uri) -> Option<Primary> {
        let mut parts = self.target.clone();
        parts.uri = match (self.target.uri.scheme(), self.target.uri.authority()) {
            (Some(scheme), Some(authority)) => {
                let mut absolute = uri.into_parts();
                (absolute.scheme, absolute.authority) = (Some(scheme.clone()), Some(authority.clone()));
                Uri::from_parts(absolute).ok()?
            }
            _ => uri,
        };
        key::primary(&self.shared.seed, self.rules.settings(), ("", &parts.uri), Asked::of(&parts.headers).1)
    }

    /// The target as an absolute URI, which references are resolved against.
    fn absolute(&self) -> Option<Uri> {
        if self.target.uri.authority().is_some() {
            return Some(self.target.uri.clone());
        }
        let host = self.target.headers.get(header::HOST)?.to_str().ok()?;
        let path = self.target.uri.path_and_query()?.as_str();
        Uri::builder().scheme("http").authority(host).path_and_query(path).build().ok()
    }
}

/// `uri` with what was stripped of its path.
fn whole(stripped: &str, uri: &Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    parts.path_and_query = PathAndQuery::try_from(format!("{stripped}{path}")).ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

impl<T: Store<Stored>> Drop for Invalidation<T> {
    fn drop(&mut self) {
        if self.pending
            && let Some(primary) = self.primary(self.target.uri.clone())
        {
            let shared = Arc::clone(&self.shared);
            self.shared.fetch.finish(async move { fill::removed(shared.fetch.store().remove(primary).await) });
        }
    }
}
