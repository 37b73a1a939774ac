//! What an unsafe request makes invalid (RFC 9111, 4.4).

use std::sync::Arc;

use http::{
    HeaderMap, Method, Request, Response, StatusCode, Uri, header,
    request::Parts,
    uri::{PathAndQuery, Scheme},
};
use http_body::Body;
use tower_service::Service;

use super::{
    asked::{Asked, Head},
    body::CacheBody,
    fill, key,
    layer::Shared,
    policy::{groups, invalidate},
    rules::Rules,
    status,
    stored::Stored,
    word::Caching,
};
use crate::{
    origin::Origin,
    store::{Primary, Store, Tag},
};

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
    /// What is removed even if the client leaves: the target, and what the response names.
    pending: Vec<Removal>,
}

/// What is removed at once.
enum Removal {
    Resource(Primary),
    /// By their tag.
    Group(Tag),
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
            invalidation.remove().await;
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
        let mut invalidation = Self { shared, rules, method: asked.method.clone(), target, pending: Vec::new() };
        invalidation.pending.extend(invalidation.resource(invalidation.target.uri.clone()));
        invalidation
    }

    pub(crate) async fn answered(&mut self, status: StatusCode, head: &HeaderMap) {
        if invalidate::invalidates(&self.method, status) {
            self.add_named(head);
        } else {
            self.pending.clear();
        }
        self.add_groups(head);
        self.remove().await;
    }

    /// What there was of the target is removed, and what takes its place is on its way.
    pub(crate) async fn replaced(&mut self, head: &HeaderMap) {
        self.pending.clear();
        self.add_named(head);
        self.add_groups(head);
        self.remove().await;
    }

    /// Whether the answer says that it is what the target is from now on.
    pub(crate) fn is_answered_by_itself(&self, status: StatusCode, head: &HeaderMap) -> bool {
        let target = self.absolute().unwrap_or_else(|| self.target.uri.clone());
        // RFC 9110, 8.7: it is the content that is what the target is; a 202 or 204 has none of it.
        status == StatusCode::OK && invalidate::names_itself(&target, head)
    }

    /// Removes what is pending: the target, where no answer came that says more.
    pub(crate) async fn remove(&mut self) {
        while let Some(removal) = self.pending.last() {
            removal.carry_out(&self.shared).await;
            self.pending.pop();
        }
    }

    fn add_named(&mut self, head: &HeaderMap) {
        let named = self.absolute().map(|target| invalidate::also_named(&target, head)).unwrap_or_default();
        let named: Vec<_> = named.into_iter().filter_map(|uri| self.resource(uri)).collect();
        self.pending.extend(named);
    }

    /// RFC 9875, 3 asks for no particular status: an error that names groups means them.
    fn add_groups(&mut self, head: &HeaderMap) {
        let ended = groups::named(head, &groups::CACHE_GROUP_INVALIDATION);
        let ended: Vec<_> = ended.iter().filter_map(|name| self.group(name)).collect();
        self.pending.extend(ended);
    }

    fn group(&self, name: &str) -> Option<Removal> {
        let (settings, host) = (self.rules.settings(), Asked::of(&self.target.headers).1);
        key::group(&self.shared.seed, settings, &self.target.uri, host, name).map(Removal::Group)
    }

    /// The resource at `uri`, of the host that was asked.
    fn resource(&self, uri: Uri) -> Option<Removal> {
        let mut parts = self.target.clone();
        parts.uri = match (self.target.uri.scheme(), self.target.uri.authority()) {
            (Some(scheme), Some(authority)) => {
                let mut absolute = uri.into_parts();
                (absolute.scheme, absolute.authority) = (Some(scheme.clone()), Some(authority.clone()));
                Uri::from_parts(absolute).ok()?
            }
            _ => uri,
        };
        let host = Asked::of(&parts.headers).1;
        key::primary(&self.shared.seed, self.rules.settings(), ("", &parts.uri), host).map(Removal::Resource)
    }

    /// The target as an absolute URI, which references are resolved against.
    fn absolute(&self) -> Option<Uri> {
        let path = self.target.uri.path_and_query()?.clone();
        let mut absolute = self.rules.settings().site.as_ref().unwrap_or(&self.target.uri).clone().into_parts();
        if absolute.authority.is_none() {
            absolute.authority = Some(self.target.headers.get(header::HOST)?.as_bytes().try_into().ok()?);
        }
        absolute.scheme.get_or_insert(Scheme::HTTP);
        absolute.path_and_query = Some(path);
        Uri::from_parts(absolute).ok()
    }
}

/// `uri` with what was stripped of its path.
fn whole(stripped: &str, uri: &Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    parts.path_and_query = PathAndQuery::try_from(format!("{stripped}{path}")).ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

impl Removal {
    async fn carry_out<T: Store<Stored>>(&self, shared: &Shared<T>) {
        let store = shared.fetch.store();
        fill::removed(match self {
            Self::Resource(primary) => store.remove(*primary).await,
            Self::Group(tag) => store.remove_tagged(tag.clone()).await,
        });
    }
}

impl<T: Store<Stored>> Drop for Invalidation<T> {
    fn drop(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            let shared = Arc::clone(&self.shared);
            self.shared.fetch.finish(async move {
                for removal in pending {
                    removal.carry_out(&shared).await;
                }
            });
        }
    }
}
