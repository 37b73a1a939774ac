use std::net::SocketAddr;

use http::HeaderValue;

use super::*;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

fn request(uri: &str) -> Parts {
    http::Request::get(uri).body(()).unwrap().into_parts().0
}

fn text(text: &str) -> Option<Identity> {
    Some(Identity::from(text))
}

#[test]
fn the_peer_is_found_where_servers_leave_it() {
    let of = |address: &str| Some(Identity::from(address.parse::<IpAddr>().unwrap()));
    let mut parts = request("/");
    assert_eq!(Key::peer().identity(&parts), None);
    parts.extensions.insert(IpAddr::from([192, 0, 2, 1]));
    assert_eq!(Key::peer().identity(&parts), of("192.0.2.1"));
    parts.extensions.insert(SocketAddr::from(([192, 0, 2, 2], 9)));
    assert_eq!(Key::peer().identity(&parts), of("::ffff:192.0.2.2"));
    #[cfg(feature = "axum")]
    {
        use axum::extract::connect_info::{ConnectInfo, MockConnectInfo};
        parts.extensions.insert(MockConnectInfo(SocketAddr::from(([192, 0, 2, 3], 9))));
        assert_eq!(Key::peer().identity(&parts), of("192.0.2.3"));
        parts.extensions.insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 4], 9))));
        assert_eq!(Key::peer().identity(&parts), of("192.0.2.4"));
    }
    #[derive(Clone)]
    struct Connected(IpAddr);
    parts.extensions.insert(Connected([192, 0, 2, 5].into()));
    assert_eq!(Key::peer_in(|connected: &Connected| Some(connected.0)).identity(&parts), of("192.0.2.5"));
}

#[test]
fn the_prefix_reaches_every_address_of_the_key() {
    let mut parts = request("/");
    parts.extensions.insert("2001:db8:0:12ff::1".parse::<IpAddr>().unwrap());
    let network = |bits| Some(Identity::new().address("2001:db8:0:1200::".parse().unwrap(), bits));
    assert_eq!(Key::peer().identity(&parts), network(56));
    assert_eq!(Key::header(API_KEY).or(Key::peer()).ipv6_prefix(48).identity(&parts), network(48));
    assert_eq!(Key::peer().ipv6_prefix(0).identity(&parts), network(0));
}

#[test]
#[should_panic(expected = "a prefix of 129 cannot be counted")]
fn a_prefix_over_128_is_told() {
    let _key = Key::peer().ipv6_prefix(129);
}

#[test]
fn a_header_counts_when_it_is_one_line_with_something_in_it() {
    let key = Key::header(API_KEY);
    let mut parts = request("/");
    assert_eq!(key.identity(&parts), None);
    parts.headers.insert(API_KEY, HeaderValue::from_static(""));
    assert_eq!(key.identity(&parts), None);
    parts.headers.insert(API_KEY, HeaderValue::from_bytes(b"\xff k").unwrap());
    assert_eq!(key.identity(&parts), Some(Identity::new().text(b"\xff k")));
    parts.headers.append(API_KEY, HeaderValue::from_static("other"));
    assert_eq!(key.identity(&parts), None);
}

#[test]
fn host_method_and_path_are_as_the_request_has_them() {
    for (uri, host, want) in [
        ("/a", None, None),
        ("/a", Some(""), None),
        ("/a", Some("Example.COM:8080"), Some("example.com")),
        ("/a", Some("example.com:"), Some("example.com")),
        ("/a", Some("[2001:DB8::7]:80"), Some("[2001:db8::7]")),
        ("/a", Some("[2001:db8::7]"), Some("[2001:db8::7]")),
        ("http://Target:80/a", Some("field"), Some("target")),
    ] {
        let mut parts = request(uri);
        if let Some(host) = host {
            parts.headers.insert(header::HOST, host.parse().unwrap());
        }
        assert_eq!(Key::host().identity(&parts), want.and_then(text), "{uri} {host:?}");
        assert_eq!(Key::path().and(Key::method()).identity(&parts), Some(Identity::from("/a").text("GET")));
    }
}

#[test]
fn and_finds_both_or_nothing() {
    let mut parts = request("/a");
    let key = Key::path().and(Key::header(API_KEY));
    let mut identity = Identity::from("before");
    assert!(!key.identify(&(&parts).into(), &mut identity));
    assert_eq!(identity, Identity::from("before"));
    parts.headers.insert(API_KEY, HeaderValue::from_static("k"));
    assert!(key.identify(&(&parts).into(), &mut identity));
    assert_eq!(identity, Identity::from("before").text("/a").text("k"));
}

#[test]
fn or_tells_what_the_two_find_apart() {
    let user = || Key::header(HeaderName::from_static("x-user"));
    let (mut by_key, mut by_user) = (request("/"), request("/"));
    by_key.headers.insert(API_KEY, HeaderValue::from_static("ada"));
    by_user.headers.insert("x-user", HeaderValue::from_static("ada"));
    let key = Key::header(API_KEY).or(user());
    assert!(key.identity(&by_key).is_some());
    assert!(key.identity(&by_user).is_some());
    assert_ne!(key.identity(&by_key), key.identity(&by_user));

    let mut nobody = Identity::from("before");
    assert!(!key.identify(&(&request("/")).into(), &mut nobody));
    assert_eq!(nobody, Identity::from("before"));

    by_key.extensions.insert(IpAddr::from([192, 0, 2, 1]));
    let address = Some(Identity::from(IpAddr::from([192, 0, 2, 1])));
    assert_eq!(user().or(Key::peer()).identity(&by_key), address, "an address is the same wherever it was found");
}

#[test]
fn what_is_computed_is_added_to_what_was_found() {
    #[derive(Clone)]
    struct User(&'static str);
    let key = Key::method().and(Key::extension(|user: &User| Some(user.0.into())));
    let mut parts = request("/");
    assert_eq!(key.identity(&parts), None);
    parts.extensions.insert(User("ada"));
    assert_eq!(key.identity(&parts), Some(Identity::from("GET").text("ada")));
    let nothing = Key::everyone().and(Key::by(|_| None));
    assert_eq!(nothing.identity(&parts), None);
    assert_eq!(Key::everyone().identity(&parts), Some(Identity::new()));
}

#[test]
fn a_key_is_shown_by_what_it_asks() {
    let key = Key::header(API_KEY).or(Key::peer()).and(Key::by(|_| None));
    let shown = format!("{key:?}");
    assert!(shown.starts_with("And(Or(Header(\"x-api-key\"), Address"), "{shown}");
    assert!(shown.ends_with("Computed(..))"), "{shown}");
}

#[test]
fn of_three_in_place_of_each_other_none_is_taken_for_another() {
    let names = ["x-a", "x-b", "x-c"];
    let [a, b, c] = names.map(|name| Key::header(HeaderName::from_static(name)));
    let chains = [a.clone().or(b.clone()).or(c.clone()), a.or(b.or(c))];
    for chain in chains {
        let found = names.map(|name| {
            let mut parts = request("/");
            parts.headers.insert(name, HeaderValue::from_static("ada"));
            chain.identity(&parts).unwrap()
        });
        assert!(found[0] != found[1] && found[1] != found[2] && found[0] != found[2], "{chain:?}");
    }
}
