//! Who is connected: the address at the other end, which nobody can make up.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::Extensions;

use super::connect_info;

/// Where the address of who is connected is found.
#[derive(Clone)]
pub(crate) enum Peer {
    /// Where servers leave it.
    Known,
    In(Arc<dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync>),
}

// === impl Peer ===

impl Peer {
    /// In an extension `T`, by `address`.
    pub(crate) fn within<T: Send + Sync + 'static>(
        address: impl Fn(&T) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        Self::In(Arc::new(move |extensions| extensions.get().and_then(&address)))
    }

    pub(crate) fn of(&self, extensions: &Extensions) -> Option<IpAddr> {
        match self {
            Self::Known => connect_info::address(extensions)
                .or_else(|| extensions.get().map(SocketAddr::ip))
                .or_else(|| extensions.get().copied()),
            Self::In(address) => address(extensions),
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Known => "Known",
            Self::In(_) => "In(..)",
        })
    }
}
