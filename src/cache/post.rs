//! A `POST` whose response is what a `GET` would be answered with (RFC 9110, 9.3.3).
//!
//! It is a change first: it removes what is stored, as every unsafe request does. What takes its place must be younger than
//! any other change, though it was begun before; so it has a lease from before the handler is called, under a key of its own
//! where no `GET` waits for it, and moves to the page's key together with its own removal.

use std::sync::Arc;

use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    body::CacheBody,
    errand::Errand,
    invalidation::Invalidation,
    key,
    service::{Ask, Core, Miss},
    status::{Cause, Fate},
    stored::Stored,
};
use crate::store::{Key, Lease, Leased, Store, fetch::Made};

/// Forwards a `POST`, removes what it made invalid, and stores its response under `key` if that says so.
pub(crate) async fn forward<S, T, ReqBody, ResBody>(
    core: Arc<Core<S, T>>,
    ask: Ask<ReqBody>,
    key: Key,
    mut invalidation: Invalidation<T>,
) -> Result<Response<CacheBody<ResBody>>, S::Error>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    T: Store<Stored>,
    ResBody: Body + Send + 'static,
    ResBody::Error: Send,
{
    let shared = Arc::clone(&core.shared);
    // Where another is under way, it is not known which of the two is what a `GET` would see.
    let lease = match shared.fetch.store().lease(key::post(&shared.seed, key), None).await {
        Ok(Leased::Won(lease)) => Some(lease),
        Ok(Leased::Found(_) | Leased::Busy(_)) | Err(_) => None,
    };
    let miss = Miss { key, cause: Cause::Method, stale: None, sign: None };
    let (sent, mut request) = Errand::new(Arc::clone(&core), ask, miss).send_whole();
    *request.method_mut() = Method::POST;
    let response = match core.origin.call(request).await {
        Ok(response) => response,
        Err(error) => {
            invalidation.remove().await;
            return Err(error);
        }
    };
    let (status, head) = (response.status(), response.headers());
    if let Some(lease) = lease
        && invalidation.is_answered_by_itself(status, head)
        && let Some(tags) = sent.tags_if_explicit(&response)
        && let Ok(Some(lease)) = lease.replace_all(key.variant(), tags).await
    {
        invalidation.replaced(head).await;
        let Made { answer, rest } = sent.led(key, lease, response).await;
        if let Some(rest) = rest {
            shared.fetch.finish(rest);
        }
        return answer;
    }
    invalidation.answered(status, head).await;
    Ok(sent.deliver(response, Fate::Unled))
}
