//! Who is on the link: addresses by hardware address, and whether the device has an address itself.

use std::net::{IpAddr, Ipv4Addr};

use super::Mac;
use crate::host::error::NetlinkError;
use crate::node::neighbour::table::hardware;
use crate::node::route::addresses;

/// Neighbours kept of one device.
const MOST: usize = 4096;

/// The neighbours on one device.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(Vec<(Mac, Ipv4Addr)>);

impl Table {
    /// The only address with this hardware address; a router that has several is not told.
    pub(super) fn find(&self, mac: Mac) -> Option<Ipv4Addr> {
        let mut found = self.0.iter().filter(|(other, _)| *other == mac).map(|(_, address)| *address);
        found.next().filter(|_| found.next().is_none())
    }
}

/// The neighbours on a device of the calling thread's namespace; none where the list can't be read.
pub(super) fn read(index: u32) -> Table {
    let known = hardware(index).unwrap_or_default().into_iter().filter_map(|(mac, address)| match address {
        IpAddr::V4(address) => Some((Mac::try_from(mac).ok()?, address)),
        IpAddr::V6(_) => None,
    });
    Table(known.take(MOST).collect())
}

/// Whether a device of the calling thread's namespace has an IPv4 address.
pub(super) fn has_address(index: u32) -> Result<bool, NetlinkError> {
    Ok(addresses(false)?.iter().any(|own| own.device == index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardware_address_of_several_neighbours_is_nobodys() {
        let (a, b) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let table = Table(vec![
            (a, Ipv4Addr::new(10, 0, 0, 1)),
            (b, Ipv4Addr::new(10, 0, 0, 2)),
            (b, Ipv4Addr::new(10, 0, 0, 3)),
        ]);
        assert_eq!((table.find(a), table.find(b)), (Some(Ipv4Addr::new(10, 0, 0, 1)), None));
        assert_eq!(table.find([0; 6]), None);
    }

    #[test]
    fn the_loopback_device_has_an_address() {
        assert_eq!(has_address(1), Ok(true));
        assert_eq!(has_address(0x7fff_fff0), Ok(false));
        assert_eq!(read(0x7fff_fff0).0, []);
    }
}
