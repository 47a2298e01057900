//! The few values that rules and packets are made of: few, so that they meet often.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tracer_tests::Family;

use crate::random::Random;

pub(crate) const PORTS: [u32; 8] = [22, 53, 80, 443, 1000, 8080, 10250, 40000];
pub(crate) const MARKS: [u32; 5] = [0, 1, 0x10, 0x400, 0x10001];
pub(crate) const MASKS: [u32; 4] = [0x1, 0xf0, 0x400, 0xffff_ffff];
pub(crate) const HOPS: [u32; 6] = [3, 10, 63, 64, 65, 128];
/// Bytes behind the transport header.
pub(crate) const PAYLOADS: [usize; 5] = [0, 1, 16, 100, 700];
pub(crate) const DSCPS: [u32; 4] = [0, 8, 46, 63];
/// The last byte of a link-layer address of the client.
pub(crate) const MACS: [u8; 3] = [2, 3, 4];

/// Addresses of what stands behind the router's first device; the last is of nobody there.
pub(crate) fn sources(family: Family) -> Vec<IpAddr> {
    match family {
        Family::V4 => [[10, 99, 1, 2], [10, 99, 1, 3], [10, 99, 1, 77], [172, 16, 5, 9]]
            .map(|address| Ipv4Addr::from(address).into())
            .to_vec(),
        Family::V6 => ["fd99:1::2", "fd99:1::3", "fd99:1::77", "fd55::9"].map(v6).to_vec(),
    }
}

/// Addresses behind the second device.
pub(crate) fn destinations(family: Family) -> Vec<IpAddr> {
    match family {
        Family::V4 => {
            [[10, 99, 2, 2], [10, 99, 2, 3], [10, 99, 2, 99]].map(|address| Ipv4Addr::from(address).into()).to_vec()
        }
        Family::V6 => ["fd99:2::2", "fd99:2::3", "fd99:2::99"].map(v6).to_vec(),
    }
}

/// Addresses of the router itself.
pub(crate) fn own(family: Family) -> Vec<IpAddr> {
    match family {
        Family::V4 => [[10, 99, 1, 1], [10, 99, 2, 1]].map(|address| Ipv4Addr::from(address).into()).to_vec(),
        Family::V6 => ["fd99:1::1", "fd99:2::1"].map(v6).to_vec(),
    }
}

fn v6(text: &str) -> IpAddr {
    text.parse::<Ipv6Addr>().map_or(Ipv6Addr::UNSPECIFIED, |address| address).into()
}

/// An address that a packet may come from or go to.
pub(crate) fn any(random: &mut Random, family: Family) -> IpAddr {
    let all = [sources(family), destinations(family), own(family)];
    let some = random.pick(&all).clone();
    *random.pick(&some)
}

/// A network around one of the addresses, as both tools write it.
pub(crate) fn network(random: &mut Random, family: Family) -> String {
    let length = match family {
        Family::V4 => *random.pick(&[8, 16, 23, 24, 25, 31, 32]),
        Family::V6 => *random.pick(&[16, 32, 64, 120, 127, 128]),
    };
    masked(any(random, family), length)
}

fn masked(address: IpAddr, length: u32) -> String {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            format!("{}/{length}", Ipv4Addr::from(u32::from(address) & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            format!("{}/{length}", Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}

/// Two addresses in order, as both tools write a range. Never the same: nft refuses a range of one.
pub(crate) fn range(random: &mut Random, family: Family) -> String {
    loop {
        let (one, other) = (any(random, family), any(random, family));
        if one < other {
            return format!("{one}-{other}");
        }
    }
}
