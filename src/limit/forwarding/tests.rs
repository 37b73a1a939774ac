use std::net::SocketAddr;

use http::HeaderValue;

use super::*;

fn request(name: &HeaderName, lines: &[&str]) -> Parts {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.extensions.insert(SocketAddr::from(([10, 0, 0, 1], 80)));
    for line in lines {
        parts.headers.append(name, line.parse().unwrap());
    }
    parts
}

fn client(proxies: &Proxies, lines: &[&str]) -> String {
    let name = match &proxies.field {
        Field::Plain(name) => name.clone(),
        Field::Forwarded => header::FORWARDED,
    };
    proxies.client(&request(&name, lines)).unwrap().to_string()
}

#[test]
fn hops_count_from_the_right() {
    let lines = ["198.51.100.9, 192.0.2.7", "10.0.0.3, 10.0.0.2"];
    for (hops, want) in
        [(0, "10.0.0.1"), (1, "10.0.0.2"), (2, "10.0.0.3"), (3, "192.0.2.7"), (4, "198.51.100.9"), (5, "198.51.100.9")]
    {
        assert_eq!(client(&Proxies::hops(hops), &lines), want, "{hops} hops");
    }
    assert_eq!(client(&Proxies::hops(2), &[]), "10.0.0.1", "nothing was forwarded");
}

#[test]
fn networks_end_at_the_first_stranger() {
    let own = Proxies::networks(["10.0.0.0/8", "fd00::/8"]).unwrap();
    for (lines, want) in [
        (&["198.51.100.9, 192.0.2.7, 10.0.0.2"][..], "192.0.2.7"),
        (&["10.0.0.9, 192.0.2.7"], "192.0.2.7"),
        (&["10.0.0.9, 10.0.0.8"], "10.0.0.9"),
        (&["192.0.2.7, ::ffff:10.0.0.2, [fd00::1]:443"], "192.0.2.7"),
        (&[], "10.0.0.1"),
    ] {
        assert_eq!(client(&own, lines), want, "{lines:?}");
    }
    let strangers = Proxies::networks(["192.168.0.0/16"]).unwrap();
    assert_eq!(client(&strangers, &["192.0.2.7"]), "10.0.0.1", "who is connected is none of the proxies");
    assert!(Proxies::networks(["10.0.0.0/8", "ten"]).unwrap_err().is_invalid());
}

#[test]
fn what_is_no_address_ends_the_reading() {
    for wrong in [
        "unknown",
        "_hidden",
        "192.0.2",
        "192.0.2.07",
        "fe80::1%eth0",
        "[::1",
        "192.0.2.1:",
        "192.0.2.1:123456",
        "a b",
        "é",
    ] {
        let line = format!("192.0.2.9, {wrong}, 10.0.0.2");
        assert_eq!(client(&Proxies::hops(3), &[&line]), "10.0.0.2", "{wrong}");
        assert_eq!(client(&Proxies::networks(["10.0.0.0/8"]).unwrap(), &[&line]), "10.0.0.2", "{wrong}");
    }
}

#[test]
fn nodes_are_read_as_the_rfc_writes_them() {
    for (line, want) in [
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
        ("for=\"192.0.2.7:80\"", "192.0.2.7"),
        ("host=\"a;for=192.0.2.1, b\";for=192.0.2.7", "192.0.2.7"),
        ("for=192.0.2.1, host=\"\\\", for=192.0.2.2\";for=192.0.2.7", "192.0.2.7"),
        ("for=\"192.0.2.1, for=192.0.2.7", "192.0.2.7"),
        ("for=192.0.2.7, ,", "192.0.2.7"),
        ("for=192.0.2.7, by=_x", "10.0.0.1"),
        ("for=192.0.2.7;for=192.0.2.8", "10.0.0.1"),
        ("for=\"192.0.2.\\7\"", "10.0.0.1"),
        ("for=_gazonk", "10.0.0.1"),
        ("for=\"_gazonk", "10.0.0.1"),
    ] {
        assert_eq!(client(&Proxies::hops(1).forwarded(), &[line]), want, "{line}");
    }
}

#[test]
fn a_field_of_its_own_and_a_peer_of_its_own() {
    let cloudy = Proxies::hops(1).header(HeaderName::from_static("cf-connecting-ip"));
    assert_eq!(client(&cloudy, &["2001:db8::7"]), "2001:db8::7");

    #[derive(Clone)]
    struct Socket(Option<IpAddr>);
    let own = Proxies::networks(["10.0.0.0/8"]).unwrap().peer_in(|socket: &Socket| socket.0);
    let mut parts = request(&X_FORWARDED_FOR, &["192.0.2.7"]);
    assert_eq!(own.client(&parts), None, "there is no such extension");
    parts.extensions.insert(Socket(Some([10, 0, 0, 9].into())));
    assert_eq!(own.client(&parts), Some([192, 0, 2, 7].into()));
    parts.extensions.insert(Socket(None));
    assert_eq!(own.client(&parts), None);
    assert_eq!(Proxies::hops(1).peer_in(|socket: &Socket| socket.0).client(&parts), Some([192, 0, 2, 7].into()));
}

#[test]
fn a_long_list_is_read_once() {
    let mut parts = request(&X_FORWARDED_FOR, &[]);
    let line = [&br#"\"\","#.repeat(100_000)[..], b"\""].concat();
    parts.headers.insert(header::FORWARDED, HeaderValue::from_bytes(&line).unwrap());
    assert_eq!(Proxies::hops(9).forwarded().client(&parts), Some([10, 0, 0, 1].into()));
}
