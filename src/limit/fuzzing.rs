//! What holds of forwarding fields for any bytes whatever: `fuzz/` feeds this property, and so does a small test.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderName, HeaderValue, header, request::Parts};

use super::forwarding::Proxies;

/// Whatever a client sends, the address is found that the proxies added to it: to its last line or as a line of their own, as
/// RFC 7239 or as a plain list. Nothing of the client's is believed beyond that.
pub fn forwarded(data: &[u8]) {
    let sent: Vec<&[u8]> =
        data.split(|byte| *byte == b'\n').filter(|line| HeaderValue::from_bytes(line).is_ok()).collect();
    let own = Proxies::networks(["10.0.0.0/8", "fd00::/8"]).expect("these are networks");
    for address in addresses(data) {
        let is_own = own_address(address);
        for (field, written, proxy) in [
            (&X_FORWARDED_FOR, plain(address), "10.0.0.2"),
            (&header::FORWARDED, node(address), "BY=_in; for=\"[fd00::2]:4711\";proto=https"),
        ] {
            let syntax = |proxies: Proxies| if field == header::FORWARDED { proxies.forwarded() } else { proxies };
            for mut lines in [
                ends_with(&sent, &written),
                [&sent[..], &[written.as_bytes()]].concat().iter().map(|line| line.to_vec()).collect(),
            ] {
                let one = request(field, &lines);
                assert_eq!(syntax(Proxies::hops(1)).client(&one), Some(address), "{written}");
                assert_eq!(syntax(Proxies::hops(0)).client(&one), Some(PEER));
                assert!(is_own || syntax(own.clone()).client(&one) == Some(address), "{written}");

                let last = lines.last_mut().expect("one was added");
                last.extend_from_slice(b" ,, ");
                last.extend_from_slice(proxy.as_bytes());
                let two = request(field, &lines);
                assert_eq!(syntax(Proxies::hops(2)).client(&two), Some(address), "{written}, {proxy}");
                assert!(is_own || syntax(own.clone()).client(&two) == Some(address), "{written}, {proxy}");

                let any = syntax(Proxies::hops(u8::MAX)).client(&two).expect("somebody is connected");
                assert_eq!(any, any.to_canonical());
            }
        }
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

/// One of each family, of the bytes themselves.
fn addresses(data: &[u8]) -> [IpAddr; 2] {
    let mut octets = [0; 16];
    octets.iter_mut().zip(data).for_each(|(octet, byte)| *octet = *byte);
    let [a, b, c, d, ..] = octets;
    [IpAddr::from([a, b, c, d]), IpAddr::from(octets).to_canonical()]
}

fn own_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    }
}

/// With a port or without.
fn plain(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) if address.octets()[3] % 2 == 0 => format!("::ffff:{address}"),
        IpAddr::V4(_) => SocketAddr::new(address, 65_535).to_string(),
        IpAddr::V6(address) if address.octets()[15] % 2 == 0 => format!("[{address}]:1"),
        IpAddr::V6(_) => address.to_string(),
    }
}

fn node(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) if address.octets()[3] % 2 == 0 => format!("proto=http;For={address}"),
        IpAddr::V4(_) => format!("for=\"{address}:_x.y-z\";by=\"\\\",;for=192.0.2.9\""),
        IpAddr::V6(_) => format!("host=\"a,b;c\";for=\"[{address}]\""),
    }
}

/// The lines, with this at the end of the last.
fn ends_with(lines: &[&[u8]], end: &str) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = lines.iter().map(|line| line.to_vec()).collect();
    match lines.last_mut() {
        Some(last) => last.extend_from_slice(format!(", {end}").as_bytes()),
        None => lines.push(end.into()),
    }
    lines
}

fn request(name: &HeaderName, lines: &[Vec<u8>]) -> Parts {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.extensions.insert(SocketAddr::new(PEER, 80));
    for line in lines {
        let line = HeaderValue::from_bytes(line).expect("the lines are field values");
        let _full = parts.headers.try_append(name, line);
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_of_any_bytes(data in proptest::collection::vec(any::<u8>(), 0..120)) {
            forwarded(&data);
        }

        #[test]
        fn it_holds_of_what_looks_like_such_fields(data in r#"([0-9a-f.:]{0,6}|for=|"|\\|,|;|\[|\]|192\.0\.2\.1|::1|unknown|_x|\n| ){0,30}"#) {
            forwarded(data.as_bytes());
        }
    }
}
