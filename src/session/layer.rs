//! The layer: what is the same for every request, made once.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderName, request::Parts};
use tower_layer::Layer;

use super::{
    codec::Codec,
    contract::SessionStore,
    cookie::SessionCookie,
    erased::BoxSessions,
    handle::{Counts, SessionHandle},
    keys::SigningKeys,
    record::{Client, Lifetime},
    service::SessionService,
    transport::{Carrier, Transport},
};
use crate::expiry::Jitter;

/// Gives each request a [`Session`](super::Session).
///
/// Layers over clones of one store share its sessions. A clone of the layer is the same layer.
#[derive(Clone)]
#[must_use]
pub struct SessionLayer {
    shared: Arc<Shared>,
}

/// What the services, sessions and handles of a layer share.
pub(super) struct Shared {
    pub(super) store: BoxSessions,
    pub(super) transport: Transport,
    pub(super) plan: Plan,
    pub(super) counts: Counts,
}

/// What the layer's setters set.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) codec: Codec,
    pub(super) lifetime: Lifetime,
    pub(super) remembered: Lifetime,
    /// In percent of the idle time.
    pub(super) touch_after: u8,
    pub(super) jitter: Jitter,
    pub(super) renew_after: Option<Duration>,
    pub(super) overlap: Duration,
    pub(super) on_outage: OnOutage,
    pub(super) clear_site_data: bool,
    pub(super) client: Option<Arc<dyn Fn(&Parts) -> Client + Send + Sync>>,
}

/// What becomes of a request that uses its session while the store cannot be asked, or has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnOutage {
    /// Reading is an error that the handler sees, and where something could not be saved, the response is a 503 in place of the
    /// handler's.
    #[default]
    Refuse,
    /// Reading finds an empty session in which nobody is logged in, what is written is lost, and the response is the handler's,
    /// with an [`Unsaved`](super::Unsaved) in its extensions. Nobody can log in or out meanwhile: where that was to be saved, the
    /// response is a 503 all the same.
    Proceed,
}

// === impl SessionLayer ===

impl SessionLayer {
    /// Sessions in `store`, with the defaults that the setters tell.
    pub fn new(store: impl SessionStore) -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        let plan = Plan {
            codec: Codec::default(),
            lifetime: Lifetime::default(),
            remembered: Lifetime::new(14 * day, 90 * day).kept_by_client(),
            touch_after: 10,
            jitter: Jitter::default(),
            renew_after: None,
            overlap: Duration::from_secs(30),
            on_outage: OnOutage::default(),
            clear_site_data: false,
            client: None,
        };
        let transport = Transport { carrier: Carrier::Cookie(SessionCookie::new()), keys: None };
        let (store, counts) = (BoxSessions::new(store), Counts::default());
        Self { shared: Arc::new(Shared { store, transport, plan, counts }) }
    }

    /// How long sessions live. Default: 30 minutes idle, 12 hours in all, and until the browser is closed.
    pub fn lifetime(self, lifetime: Lifetime) -> Self {
        self.plan(|plan| plan.lifetime = lifetime)
    }

    /// How long [remembered](super::Session::remember) sessions live. Default: 14 days idle, 90 days in all, kept by the browser
    /// when it is closed.
    pub fn remembered(self, lifetime: Lifetime) -> Self {
        self.plan(|plan| plan.remembered = lifetime)
    }

    /// After which share of the idle time a session that was only read is touched, which is a call of the store; less by up to a
    /// tenth, so that the requests of one page do not all do so. Default: 10 percent. Changes always touch it; what does not use
    /// the session never does.
    ///
    /// # Panics
    ///
    /// When `percent` is over 50: an idle session might then end early.
    pub fn touch_after(self, percent: u8) -> Self {
        assert!(percent <= 50, "a session is touched after at most 50 percent of its idle time");
        self.plan(|plan| plan.touch_after = percent)
    }

    /// For how long a client has one secret; the first request after that which uses the session is given another. Default: until
    /// somebody logs in or the handler [renews](super::Session::renew) it.
    ///
    /// A client that misses the one response with its next secret has none once [the overlap](Self::overlap) is over.
    ///
    /// # Panics
    ///
    /// When `interval` is zero.
    pub fn renew_after(self, interval: Duration) -> Self {
        assert!(interval > Duration::ZERO, "a secret is good for some time");
        self.plan(|plan| plan.renew_after = Some(interval))
    }

    /// For how long a secret that was replaced is known, for the requests that are under way with it: longer than any of them
    /// takes. Default: 30 s.
    pub fn overlap(self, overlap: Duration) -> Self {
        self.plan(|plan| plan.overlap = overlap)
    }

    /// The cookie that carries the token. Default: [`SessionCookie::new`].
    pub fn cookie(self, cookie: SessionCookie) -> Self {
        self.transport(|transport| transport.carrier = Carrier::Cookie(cookie))
    }

    /// A header field in place of a cookie, in requests and in responses that have news of it, where it is empty when the session
    /// was destroyed. For clients that are not browsers; no other site can have a browser send it.
    pub fn header(self, name: HeaderName) -> Self {
        self.transport(|transport| transport.carrier = Carrier::Header(name))
    }

    /// Signs tokens, so that made-up ones cost no call of the store. Default: unsigned.
    pub fn signed_by(self, keys: SigningKeys) -> Self {
        self.transport(|transport| transport.keys = Some(keys))
    }

    /// How values are written. Default: [`Codec::Postcard`].
    pub fn codec(self, codec: Codec) -> Self {
        self.plan(|plan| plan.codec = codec)
    }

    /// What becomes of requests that use their session while the store cannot be asked. Default: [`OnOutage::Refuse`].
    pub fn on_outage(self, rule: OnOutage) -> Self {
        self.plan(|plan| plan.on_outage = rule)
    }

    /// What is kept of where a session was begun and its principal logged in: asked for on every request. Default: nothing.
    ///
    /// ```
    /// use bartizan::{MemorySessions, SessionLayer, session::Client};
    ///
    /// let layer = SessionLayer::new(MemorySessions::new()).client_by(|parts| {
    ///     let agent = parts.headers.get("user-agent").and_then(|agent| agent.to_str().ok());
    ///     Client::new().agent(agent.unwrap_or("unknown"))
    /// });
    /// ```
    pub fn client_by(self, client: impl Fn(&Parts) -> Client + Send + Sync + 'static) -> Self {
        self.plan(|plan| plan.client = Some(Arc::new(client)))
    }

    /// Has browsers drop what they keep of the site when a session is destroyed: `Clear-Site-Data: "cache", "storage"`. Default:
    /// off.
    pub fn clear_site_data(self) -> Self {
        self.plan(|plan| plan.clear_site_data = true)
    }

    /// A handle to list, end and count sessions with. It belongs to the layer as it is now: take it once all is set.
    #[must_use]
    pub fn handle(&self) -> SessionHandle {
        SessionHandle::new(Arc::clone(&self.shared))
    }

    fn plan(self, change: impl FnOnce(&mut Plan)) -> Self {
        self.rebuild(|shared| change(&mut shared.plan))
    }

    fn transport(self, change: impl FnOnce(&mut Transport)) -> Self {
        self.rebuild(|shared| change(&mut shared.transport))
    }

    fn rebuild(self, change: impl FnOnce(&mut Shared)) -> Self {
        let Shared { store, transport, plan, .. } = &*self.shared;
        let (store, transport, plan) = (store.clone(), transport.clone(), plan.clone());
        let mut shared = Shared { store, transport, plan, counts: Counts::default() };
        change(&mut shared);
        Self { shared: Arc::new(shared) }
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService::new(inner, Arc::clone(&self.shared))
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { transport, plan, .. } = &*self.shared;
        f.debug_struct("SessionLayer")
            .field("transport", transport)
            .field("lifetime", &plan.lifetime)
            .field("remembered", &plan.remembered)
            .finish_non_exhaustive()
    }
}
