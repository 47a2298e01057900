//! The network interfaces of one namespace: index to name, kind and relations, by one rtnetlink dump.
//!
//! Rule: only the attributes that are needed are read, and a strange one costs itself, not the interface. Names come
//! from whoever created the interface and may hold control characters: sinks sanitise them when they print.

use netlink_packet_core::NlasIterator;

use super::error::NetlinkError;
use super::netlink::{self, Message};

const RTM_NEWLINK: u16 = libc::RTM_NEWLINK;
const RTM_GETLINK: u16 = libc::RTM_GETLINK;
/// `struct ifinfomsg`: family, pad, type (2), index (4), flags (4), change (4).
const HEADER: usize = 16;
/// Leaves the statistics out of the answer, two thirds of its size (`RTEXT_FILTER_SKIP_STATS`, `uapi/linux/rtnetlink.h`).
const SKIP_STATISTICS: u32 = 1 << 3;

/// One interface (`RTM_NEWLINK`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// `ifindex`, unique in its namespace, never 0.
    pub index: u32,
    /// As the kernel has it; not sanitised.
    pub name: String,
    /// `veth`, `bridge`, `vxlan`, …; none for a physical device and for `lo`.
    pub kind: Option<String>,
    /// Hardware address, empty when it has none.
    pub address: Vec<u8>,
    /// Index of the bridge, bond or VRF it is a port of.
    pub master: Option<u32>,
    /// A veth's other end, or the device that a VLAN or tunnel sits on.
    pub link: Option<Link>,
    /// `IFF_` flags of `net_device.flags`.
    pub flags: u32,
    /// `ARPHRD_` of its link layer (uapi/linux/if_arp.h).
    pub hardware: u16,
    /// Bytes.
    pub mtu: u32,
}

/// Another interface that this one is tied to (`IFLA_LINK`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    /// The namespace id (`NSID`, as seen from this interface's namespace) it lives in; none for the same namespace.
    pub nsid: Option<i32>,
}

impl Interface {
    pub fn is_up(&self) -> bool {
        self.flags & libc::IFF_UP as u32 != 0
    }

    /// Whether there is a carrier: a cable, a peer, a program.
    pub fn has_carrier(&self) -> bool {
        self.flags & libc::IFF_LOWER_UP as u32 != 0
    }
}

/// All interfaces of one namespace at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceTable {
    /// By index, ascending.
    interfaces: Vec<Interface>,
    /// The list changed while it was read: some may be missing.
    pub partial: bool,
}

impl InterfaceTable {
    pub fn new(mut interfaces: Vec<Interface>, partial: bool) -> Self {
        interfaces.sort_by_key(|interface| interface.index);
        interfaces.dedup_by_key(|interface| interface.index);
        Self { interfaces, partial }
    }

    pub fn get(&self, index: u32) -> Option<&Interface> {
        let at = self.interfaces.binary_search_by_key(&index, |interface| interface.index).ok()?;
        self.interfaces.get(at)
    }

    pub fn by_name(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter()
    }
}

/// The interfaces of the calling thread's network namespace. Needs no privilege.
pub fn read() -> Result<InterfaceTable, NetlinkError> {
    let answer = netlink::dump(libc::NETLINK_ROUTE as isize, &request())?;
    Ok(InterfaceTable::new(answer.messages.iter().filter_map(parse).collect(), answer.partial))
}

fn request() -> Message {
    let mut payload = vec![0; HEADER];
    payload.extend(8u16.to_ne_bytes());
    payload.extend(libc::IFLA_EXT_MASK.to_ne_bytes());
    payload.extend(SKIP_STATISTICS.to_ne_bytes());
    Message { kind: RTM_GETLINK, payload }
}

/// One `RTM_NEWLINK` message; none when it is not one or has no index or name.
pub fn parse(message: &Message) -> Option<Interface> {
    if message.kind != RTM_NEWLINK {
        return None;
    }
    let (header, attributes) = message.payload.split_at_checked(HEADER)?;
    let mut interface =
        Interface { index: word(header.get(4..8)?)?, flags: word(header.get(8..12)?)?, ..Interface::default() };
    interface.hardware =
        header.get(2..).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u16::from_ne_bytes(*bytes));
    let (mut link, mut nsid) = (None, None);
    for attribute in NlasIterator::new(attributes).map_while(Result::ok) {
        let value = attribute.value();
        match attribute.kind() {
            libc::IFLA_IFNAME => interface.name = text(value),
            libc::IFLA_ADDRESS => interface.address = value.to_vec(),
            libc::IFLA_MTU => interface.mtu = word(value).unwrap_or_default(),
            libc::IFLA_MASTER => interface.master = word(value),
            libc::IFLA_LINK => link = word(value),
            libc::IFLA_LINK_NETNSID => nsid = word(value).map(u32::cast_signed),
            libc::IFLA_LINKINFO => interface.kind = kind(value),
            _ => {}
        }
    }
    // An interface tied to nothing names itself or 0.
    let itself = |index: u32| nsid.is_none() && index == interface.index;
    interface.link = link.filter(|&index| index != 0 && !itself(index)).map(|index| Link { index, nsid });
    (interface.index != 0 && !interface.name.is_empty()).then_some(interface)
}

fn kind(nested: &[u8]) -> Option<String> {
    NlasIterator::new(nested)
        .map_while(Result::ok)
        .find(|attribute| attribute.kind() == libc::IFLA_INFO_KIND)
        .map(|attribute| text(attribute.value()))
}

/// Up to the first NUL.
fn text(value: &[u8]) -> String {
    let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

fn word(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::netlink::{attribute, noise};
    use super::*;

    fn message(index: u32, attributes: &[Vec<u8>]) -> Message {
        let mut payload = vec![0, 0, 1, 0];
        payload.extend(index.to_ne_bytes());
        payload.extend(1u32.to_ne_bytes());
        payload.extend([0; 4]);
        payload.extend(attributes.concat());
        Message { kind: RTM_NEWLINK, payload }
    }

    #[test]
    fn a_veth_is_read_with_its_relations() {
        let info = attribute(libc::IFLA_INFO_KIND, b"veth\0");
        let parsed = parse(&message(
            7,
            &[
                attribute(libc::IFLA_IFNAME, b"veth12ab\0"),
                attribute(libc::IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1]),
                attribute(libc::IFLA_MTU, &1450u32.to_ne_bytes()),
                attribute(libc::IFLA_MASTER, &4u32.to_ne_bytes()),
                attribute(libc::IFLA_LINK, &7u32.to_ne_bytes()),
                attribute(libc::IFLA_LINK_NETNSID, &0u32.to_ne_bytes()),
                attribute(libc::IFLA_LINKINFO | 0x8000, &info),
            ],
        ))
        .unwrap();
        assert_eq!((parsed.index, parsed.name.as_str(), parsed.kind.as_deref()), (7, "veth12ab", Some("veth")));
        assert_eq!((parsed.master, parsed.mtu, parsed.is_up()), (Some(4), 1450, true));
        // Its peer has the same index in another namespace: that is not itself.
        assert_eq!(parsed.link, Some(Link { index: 7, nsid: Some(0) }));
    }

    #[test]
    fn an_interface_is_not_linked_to_itself() {
        let name = attribute(libc::IFLA_IFNAME, b"eth0\0");
        let parsed = parse(&message(2, &[name, attribute(libc::IFLA_LINK, &2u32.to_ne_bytes())])).unwrap();
        assert_eq!((parsed.link, parsed.hardware), (None, libc::ARPHRD_ETHER));
    }

    #[test]
    fn a_broken_attribute_costs_only_what_follows() {
        let mut broken = message(3, &[attribute(libc::IFLA_IFNAME, b"eth1\0")]);
        broken.payload.extend([0xff, 0xff, 1, 0]);
        assert_eq!(parse(&broken).unwrap().name, "eth1");
        assert_eq!(parse(&message(3, &[attribute(libc::IFLA_MTU, &[0; 4])])), None, "no name");
        assert_eq!(parse(&message(0, &[attribute(libc::IFLA_IFNAME, b"x")])), None, "no index");
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let good = message(7, &[attribute(libc::IFLA_IFNAME, b"veth0\0"), attribute(libc::IFLA_LINKINFO, &[8; 16])]);
        noise(&good.payload, |bytes| {
            let _ = parse(&Message { kind: good.kind, payload: bytes.to_vec() });
        });
    }

    #[test]
    fn the_table_finds_by_index_and_by_name() {
        let of = |index, name: &str| Interface { index, name: name.into(), ..Interface::default() };
        let table = InterfaceTable::new(vec![of(9, "b"), of(1, "lo"), of(9, "again")], false);
        assert_eq!(table.get(9).unwrap().name, "b");
        assert_eq!(table.by_name("lo").unwrap().index, 1);
        assert_eq!((table.get(2), table.iter().count()), (None, 2));
    }
}
