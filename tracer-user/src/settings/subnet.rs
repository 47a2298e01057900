//! An address prefix in the form that the kernel's prefix map wants: IPv4 as `::ffff:a.b.c.d`.

use std::net::IpAddr;

/// A prefix; bits of the address beyond it are ignored by the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    pub address: [u8; 16],
    /// 0 to 128 bits; for IPv4 96 to 128.
    pub prefix: u32,
}

impl Subnet {
    /// `ADDRESS` or `ADDRESS/BITS`; `None` if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let (address, most) = match address.parse().ok()? {
            IpAddr::V4(address) => (address.to_ipv6_mapped(), 32),
            IpAddr::V6(address) => (address, 128),
        };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address: address.octets(), prefix: 128 - most + bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_prefixes_lie_behind_the_mapped_ones() {
        let subnet = Subnet::parse("10.0.0.0/8").unwrap();
        assert_eq!((subnet.prefix, &subnet.address[10..13]), (104, &[0xff, 0xff, 10][..]));
        assert_eq!(Subnet::parse("10.1.2.3").unwrap().prefix, 128);
        assert_eq!(Subnet::parse("fd00::/8").unwrap().prefix, 8);
    }

    #[test]
    fn what_is_no_prefix_is_refused() {
        for text in ["", "10.0.0.0/33", "fd00::/129", "10.0.0.0/", "10.0.0/8", "example.com", "10.0.0.1/-1"] {
            assert_eq!(Subnet::parse(text), None, "{text}");
        }
    }
}
