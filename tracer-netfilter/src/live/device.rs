//! A network device (`RTM_GETLINK`).

use super::RouteError;
use super::socket::{self, Request, split, word};
use crate::netlink::Attributes;
use crate::packet::Device;

/// `struct ifinfomsg`.
const HEADER: usize = 16;
/// Leaves the statistics out (`RTEXT_FILTER_SKIP_STATS`).
const SKIP_STATISTICS: u32 = 1 << 3;

pub(super) fn read(index: u32) -> Result<Device, RouteError> {
    let [a, b, c, d] = index.to_ne_bytes();
    let header: [u8; HEADER] = [0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0];
    let request = Request::new(libc::RTM_GETLINK, &header).with(libc::IFLA_EXT_MASK, &SKIP_STATISTICS.to_ne_bytes());
    socket::get(&request, parse)
}

/// From an `RTM_NEWLINK`, behind its netlink header.
pub(super) fn parse(payload: &[u8]) -> Option<Device> {
    let (header, attributes) = split::<HEADER>(payload)?;
    let [_, _, hardware_low, hardware_high, a, b, c, d, ..] = *header;
    Some(Device {
        index: u32::from_ne_bytes([a, b, c, d]),
        name: attributes.text(libc::IFLA_IFNAME)?,
        hardware: Some(u16::from_ne_bytes([hardware_low, hardware_high])),
        group: word(attributes, libc::IFLA_GROUP),
        kind: Some(kind(attributes.nested(libc::IFLA_LINKINFO))),
        master: Some(word(attributes, libc::IFLA_MASTER).unwrap_or(0)),
    })
}

fn kind(info: Attributes<'_>) -> String {
    info.text(libc::IFLA_INFO_KIND).unwrap_or_default()
}
