//! Who takes, as a request tells it.

use std::{fmt, net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderName, header, request::Parts};
use smallvec::SmallVec;

use super::{forwarding::Proxies, head::Head, identity::Identity};

/// What of a request tells who takes.
///
/// ```
/// use bartizan::limit::{Identity, Key, Proxies};
/// # #[derive(Clone)] struct User { id: u64 }
///
/// let key = Key::extension(|user: &User| Some(Identity::new().text(user.id.to_be_bytes()))) // the user who logged in,
///     .or(Key::forwarded(Proxies::hops(1)).ipv6_prefix(64)) // else the address,
///     .and(Key::method()); // for each method apart
///
/// let (mut request, ()) = http::Request::get("/").header("x-forwarded-for", "198.51.100.1, 192.0.2.7").body(())?.into_parts();
/// let address = Identity::from(std::net::IpAddr::from([192, 0, 2, 7]));
/// assert_eq!(key.identity(&request), Some(address.text("GET")));
/// request.extensions.insert(User { id: 7 });
/// assert_eq!(key.identity(&request), Some(Identity::new().text(7_u64.to_be_bytes()).text("GET")));
/// # Ok::<(), http::Error>(())
/// ```
///
/// A key that reads what the client may write without proof (a header, an address that no proxy of one's own wrote) counts for each
/// value apart, so a client who invents values takes without a limit. Put such a layer behind what checks the value, or limit
/// the address too.
#[derive(Clone)]
pub struct Key(Kind);

#[derive(Clone)]
enum Kind {
    Everyone,
    Address { proxies: Proxies, ipv6_prefix: u8 },
    Header(HeaderName),
    Path,
    Method,
    Host,
    Computed(Arc<dyn Fn(&Parts) -> Option<Identity> + Send + Sync>),
    And(Box<[Key; 2]>),
    Or(Box<[Key; 2]>),
}

// === impl Key ===

impl Key {
    /// Everyone is one.
    pub const fn everyone() -> Self {
        Self(Kind::Everyone)
    }

    /// The address of who is connected: with the feature `axum` that of its `ConnectInfo<SocketAddr>`, else an extension
    /// `SocketAddr` or `IpAddr`, which whoever accepts connections puts into the request. IPv6 counts [by
    /// prefix](Self::ipv6_prefix), an IPv4 address in IPv6 clothes is an IPv4 address.
    ///
    /// Where none of them is there, nothing is found, and a policy counts all clients as one: axum puts it there when served by
    /// `into_make_service_with_connect_info::<SocketAddr>()`. Behind a proxy it is the proxy for everyone: see [`forwarded`](Self::forwarded).
    pub fn peer() -> Self {
        Self::forwarded(Proxies::hops(0))
    }

    /// The address of who is connected, as the extension `T` tells it: of tonic, `|info: &TcpConnectInfo|
    /// info.remote_addr().map(|address| address.ip())`.
    pub fn peer_in<T: Send + Sync + 'static>(address: impl Fn(&T) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self::forwarded(Proxies::hops(0).peer_in(address))
    }

    /// The address that the proxies in front tell.
    pub fn forwarded(proxies: Proxies) -> Self {
        Self(Kind::Address { proxies, ipv6_prefix: IPV6_PREFIX })
    }

    /// The value of a field, such as the name of a client. On a Redis it is part of a key's name, so who can look there reads it: of what is
    /// secret take a digest ([`by`](Self::by)). An empty one is none, and so are several lines: which of them the service
    /// believes is not known here, and a client must not choose.
    pub const fn header(name: HeaderName) -> Self {
        Self(Kind::Header(name))
    }

    /// The path, byte for byte as the layer sees it: `/a` and `/%61` differ. Where paths hold what clients choose, take the route:
    /// of axum, `Key::extension(|route: &MatchedPath| Some(route.as_str().into()))`.
    pub const fn path() -> Self {
        Self(Kind::Path)
    }

    /// The method.
    pub const fn method() -> Self {
        Self(Kind::Method)
    }

    /// The host that is asked for, in lower case and without its port; of the target, or else of the field `Host`. Several lines
    /// are none.
    pub const fn host() -> Self {
        Self(Kind::Host)
    }

    /// What an extension `T` tells, such as the user whom another layer found; `None` where it tells nothing.
    pub fn extension<T: Send + Sync + 'static>(
        identity: impl Fn(&T) -> Option<Identity> + Send + Sync + 'static,
    ) -> Self {
        Self::by(move |request| request.extensions.get().and_then(&identity))
    }

    /// What `identity` finds; `None` where it finds nothing.
    pub fn by(identity: impl Fn(&Parts) -> Option<Identity> + Send + Sync + 'static) -> Self {
        Self(Kind::Computed(Arc::new(identity)))
    }

    /// Both: who differs in one of them is another, as long as each [computed](Self::by) identity has a fixed number of parts. Where one
    /// finds nothing, nothing is found.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(Kind::And(Box::new([self, other])))
    }

    /// The other, where this one finds nothing: the user, else the address.
    ///
    /// What the two find is told apart, unless one of them is an address: the user `ada` of this is not the client `ada` of the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(Kind::Or(Box::new([self, other])))
    }

    /// Of an IPv6 address the first `bits` count, 0 to 128, for every address in this key. The default is 56, what many
    /// providers give to one customer; a client may have all addresses of its network to choose from, 2^72 of them with 56.
    ///
    /// # Panics
    ///
    /// When `bits` is over 128.
    #[must_use]
    pub fn ipv6_prefix(mut self, bits: u8) -> Self {
        assert!(bits <= 128, "an IPv6 address has 128 bits, so a prefix of {bits} cannot be counted");
        self.set_ipv6_prefix(bits);
        self
    }

    /// Who takes by this request, as the layer counts it; `None` where nothing was found. For asking after an account, or resetting it.
    pub fn identity(&self, request: &Parts) -> Option<Identity> {
        let mut identity = Identity::new();
        self.identify(&request.into(), &mut identity).then_some(identity)
    }

    /// Adds to `identity` what is found, and says whether anything was. If not, `identity` is as before.
    pub(crate) fn identify(&self, request: &Head<'_>, identity: &mut Identity) -> bool {
        let before = identity.length();
        match &self.0 {
            Kind::Everyone => true,
            Kind::Address { proxies, ipv6_prefix } => {
                proxies.client_of(request).map(|address| identity.push_address(address, *ipv6_prefix)).is_some()
            }
            Kind::Header(name) => {
                let value = sole_line(request.headers, name).filter(|value| !value.is_empty());
                value.map(|value| identity.push_text(value)).is_some()
            }
            Kind::Path => {
                identity.push_text(request.uri.path().as_bytes());
                true
            }
            Kind::Method => {
                identity.push_text(request.method.as_str().as_bytes());
                true
            }
            Kind::Host => host(request).map(|host| identity.push_text(&host)).is_some(),
            // What it returns is added here, so that it cannot drop what was found before.
            Kind::Computed(computed) => computed(request.parts()).map(|found| identity.push_all(&found)).is_some(),
            Kind::And(both) => {
                let is_found = both.iter().all(|key| key.identify(request, identity));
                if !is_found {
                    identity.truncate(before);
                }
                is_found
            }
            Kind::Or(either) => {
                let [first, other] = &**either;
                if first.identify(request, identity) {
                    return true;
                }
                // One mark for each that was passed over, or the third could be taken for the second.
                if !first.is_address() && !other.is_address() {
                    (0..first.alternatives()).for_each(|_| identity.push_nobody());
                }
                let is_found = other.identify(request, identity);
                if !is_found {
                    identity.truncate(before);
                }
                is_found
            }
        }
    }

    /// Whether a function of the program's own is asked.
    pub(crate) fn reads_parts(&self) -> bool {
        match &self.0 {
            Kind::Computed(_) => true,
            Kind::And(keys) | Kind::Or(keys) => keys.iter().any(Self::reads_parts),
            _ => false,
        }
    }

    /// How many keys it tries, one in place of the other.
    fn alternatives(&self) -> usize {
        match &self.0 {
            Kind::Or(either) => either.iter().map(Self::alternatives).sum(),
            _ => 1,
        }
    }

    /// Whether all it finds are addresses.
    fn is_address(&self) -> bool {
        match &self.0 {
            Kind::Address { .. } => true,
            Kind::Or(either) => either.iter().all(Self::is_address),
            _ => false,
        }
    }

    fn set_ipv6_prefix(&mut self, bits: u8) {
        match &mut self.0 {
            Kind::Address { ipv6_prefix, .. } => *ipv6_prefix = bits,
            Kind::And(keys) | Kind::Or(keys) => keys.iter_mut().for_each(|key| key.set_ipv6_prefix(bits)),
            _ => {}
        }
    }
}

const IPV6_PREFIX: u8 = 56;

fn sole_line<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    lines.next().is_none().then_some(line.as_bytes())
}

fn host(request: &Head<'_>) -> Option<SmallVec<[u8; 64]>> {
    let host = match request.uri.host() {
        Some(host) => host.as_bytes(),
        None => {
            let field = sole_line(request.headers, &header::HOST)?;
            let colon = field.iter().rposition(|byte| *byte == b':');
            // A port may be empty. RFC 3986, 3.2.3
            match colon.filter(|colon| field[colon + 1..].iter().all(u8::is_ascii_digit)) {
                Some(colon) => &field[..colon],
                None => field,
            }
        }
    };
    (!host.is_empty()).then(|| host.iter().map(u8::to_ascii_lowercase).collect())
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Everyone => f.write_str("Everyone"),
            Kind::Address { proxies, ipv6_prefix } => {
                f.debug_struct("Address").field("proxies", proxies).field("ipv6_prefix", ipv6_prefix).finish()
            }
            Kind::Header(name) => f.debug_tuple("Header").field(name).finish(),
            Kind::Path => f.write_str("Path"),
            Kind::Method => f.write_str("Method"),
            Kind::Host => f.write_str("Host"),
            Kind::Computed(_) => f.write_str("Computed(..)"),
            Kind::And(keys) => f.debug_tuple("And").field(&keys[0]).field(&keys[1]).finish(),
            Kind::Or(keys) => f.debug_tuple("Or").field(&keys[0]).field(&keys[1]).finish(),
        }
    }
}

#[cfg(test)]
mod tests;
