//! Addresses that mean the same everywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The cloud's metadata service, the same address on Azure, AWS and GCP.
pub(crate) const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
/// That of AWS over IPv6.
const METADATA_AWS: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254));
/// Azure's own services for a machine: health probes, DNS, DHCP, the guest agent.
pub(crate) const WIRE_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16));
/// Where node-local DNS listens: that of Kubernetes' own manifest, and that of kubespray.
pub(crate) const LOCAL_DNS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(169, 254, 20, 10)), IpAddr::V4(Ipv4Addr::new(169, 254, 25, 10))];

pub(super) fn well_known(address: IpAddr, port: Option<u16>) -> Option<&'static str> {
    match (address.to_canonical(), port) {
        (METADATA | METADATA_AWS, _) => Some("cloud metadata service"),
        (WIRE_SERVER, _) => Some("Azure wire server"),
        // Link-local: anybody may use it for something else.
        (address, Some(53)) if LOCAL_DNS.contains(&address) => Some("node-local DNS"),
        _ => None,
    }
}
