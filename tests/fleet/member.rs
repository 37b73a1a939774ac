//! A node in this process: a cache over a store, with the site behind it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bartizan::{
    BoxStore, CacheHandle, CacheLayer, Rules,
    cache::{Cache, Counters, Stored},
    expiry::Jitter,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};

use crate::{
    node::Answer,
    site::{LANGUAGE, LANGUAGES, Said, Site, What, uri},
};

type Inner = BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, Infallible>;

#[derive(Clone)]
pub(crate) struct Member {
    service: Cache<Inner, BoxStore<Stored>>,
    pub(crate) cache: CacheHandle<BoxStore<Stored>>,
}

/// How long a request waits for another's before it goes on its own.
const WAIT: Duration = Duration::from_secs(5);

// === impl Member ===

impl Member {
    /// In front of a site in this process.
    pub(crate) fn new(store: BoxStore<Stored>, site: &Arc<Site>, name: &str) -> Self {
        let (site, name) = (Arc::clone(site), Arc::<str>::from(name));
        Self::before(store, move |page| {
            let (site, name) = (Arc::clone(&site), Arc::clone(&name));
            async move { Ok(site.get(page, &name).await) }
        })
    }

    /// In front of whatever answers for a page.
    pub(crate) fn before<F>(store: BoxStore<Stored>, site: impl Fn(usize) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Said, Infallible>> + Send + 'static,
    {
        let inner = service_fn(move |request: Request<Full<Bytes>>| {
            let page = page(request.uri().path());
            let said = site(page);
            async move { Ok(said.await?.into_response(page)) }
        });
        let layer = CacheLayer::new(store).rules(Rules::new().jitter(Jitter::NONE)).wait_limit(WAIT);
        Self { cache: layer.handle(), service: layer.layer(BoxCloneSyncService::new(inner)) }
    }

    pub(crate) async fn read(&self, page: usize, language: usize) -> Answer {
        let request = Request::get(uri(page)).header(LANGUAGE, LANGUAGES[language]).body(Full::default()).unwrap();
        let Ok(response) = self.service.clone().oneshot(request).await;
        let (head, body) = response.into_parts();
        let Ok(body) = body.collect().await;
        Answer::of(&head, &body.to_bytes())
    }

    pub(crate) async fn purge(&self, what: What) -> Result<(), bartizan::Error> {
        match what {
            What::Tag(tag) => self.cache.purge_tag(What::tag(tag)).await,
            What::Page(page) => self.cache.purge_uri(&uri(page)).await,
            What::All => self.cache.purge_all().await,
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.cache.counters()
    }
}

/// The page of a path.
pub(crate) fn page(path: &str) -> usize {
    path.strip_prefix("/pages/").unwrap().parse().unwrap()
}
