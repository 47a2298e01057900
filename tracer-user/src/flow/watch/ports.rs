//! The ports that the kernel's programs look at, and how they tell an opener from data there.

use std::collections::BTreeMap;

use aya::maps::{Array, Map, MapData, MapError};
use tracer_common::{
    PORT_DNS, PORT_GENEVE, PORT_IKE_NAT, PORT_OPENVPN, PORT_QUIC, PORT_REQUEST, PORT_VXLAN, PORT_WIREGUARD, port_place,
};

/// Well-known UDP ports (IANA's registry), with the ports that WireGuard and VXLAN are used with beside.
const KNOWN: [(u16, u64); 33] = [
    (53, PORT_DNS),
    (69, PORT_REQUEST),  // TFTP; its data goes by other ports
    (88, PORT_REQUEST),  // Kerberos
    (111, PORT_REQUEST), // rpcbind
    (123, PORT_REQUEST), // NTP
    (137, PORT_REQUEST), // NetBIOS names
    (161, PORT_REQUEST), // SNMP
    (389, PORT_REQUEST), // CLDAP
    (427, PORT_REQUEST), // SLP
    (443, PORT_QUIC),
    (464, PORT_REQUEST), // Kerberos passwords
    (500, PORT_REQUEST), // IKE
    (547, PORT_REQUEST), // DHCPv6 servers and relays
    (623, PORT_REQUEST), // IPMI
    (853, PORT_QUIC),    // DNS over QUIC
    (1194, PORT_OPENVPN),
    (1645, PORT_REQUEST), // RADIUS, as it was
    (1646, PORT_REQUEST),
    (1812, PORT_REQUEST), // RADIUS
    (1813, PORT_REQUEST),
    (2123, PORT_REQUEST), // GTP-C
    (3478, PORT_REQUEST), // STUN
    (4500, PORT_IKE_NAT),
    (4789, PORT_VXLAN),
    (5060, PORT_REQUEST), // SIP
    (5349, PORT_REQUEST), // STUN over DTLS
    (6081, PORT_GENEVE),
    (8443, PORT_QUIC),
    (8472, PORT_VXLAN),   // Linux' own default: flannel, Cilium
    (9993, PORT_REQUEST), // ZeroTier
    (51820, PORT_WIREGUARD),
    (51821, PORT_WIREGUARD),
    (51871, PORT_WIREGUARD), // Cilium
];

/// Writes the classes of the known ports; `more` are asked for, and are requests unless they are known.
pub(super) fn fill(map: MapData, more: &[u16]) -> Result<Array<MapData, u64>, MapError> {
    let mut map: Array<MapData, u64> = Map::Array(map).try_into()?;
    words(more).into_iter().try_for_each(|(index, word)| map.set(index, word, 0))?;
    Ok(map)
}

fn words(more: &[u16]) -> BTreeMap<u32, u64> {
    let mut classes: BTreeMap<u16, u64> = more.iter().map(|port| (*port, PORT_REQUEST)).collect();
    classes.extend(KNOWN);
    let mut words = BTreeMap::new();
    for (port, class) in classes {
        let (index, shift) = port_place(port);
        *words.entry(index).or_default() |= class << shift;
    }
    words
}

#[cfg(test)]
mod tests {
    use tracer_common::{PORT_BITS, PORT_NONE};

    use super::*;

    #[test]
    fn each_port_has_its_class() {
        let words = words(&[53, 7777]);
        let class = |port| {
            let (index, shift) = port_place(port);
            words.get(&index).map_or(PORT_NONE, |word| word >> shift & ((1 << PORT_BITS) - 1))
        };
        for (port, wanted) in KNOWN {
            assert_eq!(class(port), wanted, "{port}");
        }
        assert_eq!((class(7777), class(7778), class(5353), class(0)), (PORT_REQUEST, PORT_NONE, PORT_NONE, PORT_NONE));
    }
}
