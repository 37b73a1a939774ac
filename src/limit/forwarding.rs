//! Who asked, where proxies stand in front: what `X-Forwarded-For` and `Forwarded` (RFC 7239) say, as far as it can be believed.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use http::{HeaderMap, HeaderName, header, request::Parts};

use super::{head::Head, network::Network, peer::Peer};
use crate::error::Error;

/// The proxies in front of this service, and where they write whom they were asked by.
///
/// Each proxy adds, at the right end of a list, the address of who is connected to it. So the list is read from the right, which
/// begins with who is connected to this service, and only as far as proxies of one's own wrote it. What is further to the left
/// came from the client, who may write there what it likes.
///
/// ```
/// use bartizan::limit::{Key, Proxies};
///
/// let behind_one = Key::forwarded(Proxies::hops(1));
/// let behind_many = Key::forwarded(Proxies::networks(["10.0.0.0/8", "2001:db8:5::/48"])?.forwarded());
/// # Ok::<(), bartizan::Error>(())
/// ```
///
/// What is no address (`unknown`, `_hidden`, anything malformed) ends the reading: the client is then the last address before it,
/// at worst that of a proxy. Such clients share a limit; none escapes it. Ports are left out, several lines are one list, empty
/// elements do not count.
///
/// # Deployment caveat
///
/// Who can reach this service past the proxies can say of itself what it likes to [`hops`](Self::hops), which count and do not look.
/// [`networks`](Self::networks) believe only whom they know.
#[derive(Clone, Debug)]
pub struct Proxies {
    trust: Trust,
    field: Field,
    peer: Peer,
}

#[derive(Clone, Debug)]
enum Trust {
    Hops(u8),
    Networks(Arc<[Network]>),
}

#[derive(Clone, Debug)]
enum Field {
    /// A list of addresses, nothing else.
    Plain(HeaderName),
    /// RFC 7239
    Forwarded,
}

// === impl Proxies ===

impl Proxies {
    /// As many proxies, one behind the other, each of which adds one address to `X-Forwarded-For`: the client's is the `hops`th
    /// from the right. With 0 it is the address of who is connected, and nothing is read. Where the list is shorter, the client
    /// is the leftmost in it, or else who is connected.
    ///
    /// The service needs not know who is connected, for instance behind a Unix socket.
    pub fn hops(hops: u8) -> Self {
        Self::new(Trust::Hops(hops))
    }

    /// Every proxy whose address lies in one of `networks` (`10.0.0.0/8`, `::1`): the client is the first from the right, beginning
    /// with who is connected, that does not, or else the leftmost. An IPv4 address in IPv6 clothes is an IPv4 address.
    ///
    /// Where it is not known who is connected, nothing is believed, and nobody found.
    ///
    /// # Errors
    ///
    /// When one of them is no network.
    pub fn networks(networks: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, Error> {
        let networks: Result<_, _> = networks.into_iter().map(|network| network.as_ref().parse()).collect();
        Ok(Self::new(Trust::Networks(networks?)))
    }

    /// They write into this field, a list of addresses or a single one. The default is `X-Forwarded-For`.
    ///
    /// It must be one that the outermost of them replaces or adds to: what clients can set themselves is theirs.
    #[must_use]
    pub fn header(self, name: HeaderName) -> Self {
        Self { field: Field::Plain(name), ..self }
    }

    /// They write into `Forwarded`, as RFC 7239 has it: `for=192.0.2.7;proto=https, for="[2001:db8::7]:443"`.
    #[must_use]
    pub fn forwarded(self) -> Self {
        Self { field: Field::Forwarded, ..self }
    }

    /// Who is connected is told by the extension `T`. The default is as for [`Key::peer`](super::Key::peer).
    #[must_use]
    pub fn peer_in<T: Send + Sync + 'static>(
        self,
        address: impl Fn(&T) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        Self { peer: Peer::within(address), ..self }
    }

    /// The address of the client; `None` when not even that of who is connected is known. Never an IPv4 address in IPv6 clothes.
    pub fn client(&self, request: &Parts) -> Option<IpAddr> {
        self.client_of(&request.into())
    }

    #[inline]
    pub(super) fn client_of(&self, request: &Head<'_>) -> Option<IpAddr> {
        let peer = self.peer.of(request.extensions);
        match &self.trust {
            Trust::Hops(0) => peer,
            Trust::Hops(hops) => self.addresses(request.headers).take(usize::from(*hops)).last().or(peer),
            Trust::Networks(networks) => {
                let mut told = self.addresses(request.headers);
                let mut client = peer?;
                while networks.iter().any(|network| network.contains(client))
                    && let Some(before) = told.next()
                {
                    client = before;
                }
                Some(client)
            }
        }
        .map(|address| address.to_canonical())
    }

    fn new(trust: Trust) -> Self {
        Self { trust, field: Field::Plain(X_FORWARDED_FOR), peer: Peer::Known }
    }

    /// From the right, up to the first element that is none.
    fn addresses(&self, headers: &HeaderMap) -> impl Iterator<Item = IpAddr> {
        let (name, syntax) = match &self.field {
            Field::Plain(name) => (name, Syntax::Plain),
            Field::Forwarded => (&header::FORWARDED, Syntax::Forwarded),
        };
        let lines = headers.get_all(name).iter().rev();
        lines.flat_map(move |line| Elements { rest: line.as_bytes(), syntax }).map_while(move |element| match syntax {
            Syntax::Plain => address(element),
            Syntax::Forwarded => address(node(element)?),
        })
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[derive(Clone, Copy, PartialEq, Eq)]
enum Syntax {
    /// A quotation mark means nothing.
    Plain,
    Forwarded,
}

/// The elements of a line, from the right, so that no mark on the left can swallow what stands to the right of it.
struct Elements<'a> {
    rest: &'a [u8],
    syntax: Syntax,
}

// === impl Elements ===

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let (rest, element) = match self.last_comma() {
                Some(comma) => (&self.rest[..comma], &self.rest[comma + 1..]),
                None => (&self.rest[..0], self.rest),
            };
            self.rest = rest;
            if !element.trim_ascii().is_empty() {
                return Some(element.trim_ascii());
            }
        }
        None
    }
}

impl Elements<'_> {
    fn last_comma(&self) -> Option<usize> {
        let mut end = self.rest.len();
        loop {
            end = self.rest[..end].iter().rposition(|byte| *byte == b',' || *byte == b'"')?;
            if self.rest[end] == b',' {
                return Some(end);
            }
            if self.syntax == Syntax::Forwarded {
                end = self.opening_quote(end)?;
            }
        }
    }

    /// Where the quoted string begins that ends at `closing`.
    fn opening_quote(&self, closing: usize) -> Option<usize> {
        let mut end = closing;
        loop {
            end = self.rest[..end].iter().rposition(|byte| *byte == b'"')?;
            let backslashes = self.rest[..end].iter().rev().take_while(|byte| **byte == b'\\').count();
            if backslashes % 2 == 0 {
                return Some(end);
            }
        }
    }
}

/// The node that an element of `Forwarded` was asked `for`. RFC 7239, 4: no parameter comes twice.
fn node(element: &[u8]) -> Option<&[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let mut pairs = element.split(|byte| {
        is_quoted ^= *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && is_quoted && !is_escaped;
        *byte == b';' && !is_quoted
    });
    let mut nodes = pairs.by_ref().filter_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        pair[..equals].trim_ascii().eq_ignore_ascii_case(b"for").then_some(pair[equals + 1..].trim_ascii())
    });
    let node = nodes.next()?;
    nodes.next().is_none().then_some(node)
}

/// The address of a node: with a port or without, IPv6 in brackets or without, all of it in quotation marks or without. Escapes, which
/// no address needs, are not read.
fn address(node: &[u8]) -> Option<IpAddr> {
    const LONGEST: usize = "\"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:_obfuscated\"".len();
    if node.len() > LONGEST {
        return None;
    }
    let node = str::from_utf8(node).ok()?;
    let node = match node.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => node,
    };
    if let Some(bracketed) = node.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        return (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(address.into());
    }
    if let Ok(address) = node.parse() {
        return Some(address);
    }
    let (address, port) = node.split_once(':')?;
    let address: Ipv4Addr = address.parse().ok()?;
    is_port(port).then_some(address.into())
}

/// RFC 7239, 6.2
fn is_port(text: &str) -> bool {
    let is_obfuscated =
        text.starts_with('_') && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    is_obfuscated || ((1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
