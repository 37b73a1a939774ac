//! Networks of addresses.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::error::Error;

/// A network, as `10.0.0.0/8` or `2001:db8::/32`; an address alone is a network of one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    /// Never an IPv4 address in IPv6 clothes.
    first: IpAddr,
    bits: u8,
}

// === impl Network ===

impl Network {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                (first.to_bits() ^ address.to_bits()).checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                (first.to_bits() ^ address.to_bits()).checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = Error;

    /// Bits of the address behind the prefix do not count.
    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::invalid(&format!("a network {text:?}: one like 10.0.0.0/8 or 2001:db8::/32 would do"));
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) if bits.bytes().all(|byte| byte.is_ascii_digit()) => (address, Some(bits)),
            Some(_) => return Err(wrong()),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let bits: u8 = bits.map_or(Ok(longest), str::parse).map_err(|_| wrong())?;
        let first = address.to_canonical();
        // `::ffff:10.0.0.0/104` is 10.0.0.0/8.
        let clothes = if first.is_ipv4() && address.is_ipv6() { 96 } else { 0 };
        match bits.checked_sub(clothes) {
            Some(bits) if bits <= longest - clothes => Ok(Self { first, bits }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.1.2.3/8", "10.0.0.0", "9.255.255.255"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::10.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.0.0.1", "11.0.0.1"),
            ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
            ("::/0", "ffff::", "192.0.2.7"),
            ("::1", "::1", "::2"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network:?} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network:?} {outside}");
        }
    }

    #[test]
    fn nonsense_is_told() {
        let told = "10.0.0.0/33".parse::<Network>().unwrap_err();
        assert_eq!(told.to_string(), r#"a network "10.0.0.0/33": one like 10.0.0.0/8 or 2001:db8::/32 would do"#);
        for wrong in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0/8",
            "::/129",
            "::/999",
            "::ffff:10.0.0.0/95",
            "a/8",
            "1.2.3.4/8/8",
        ] {
            assert!(wrong.parse::<Network>().unwrap_err().is_invalid(), "{wrong}");
        }
    }
}
