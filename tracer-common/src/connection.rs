//! What connection tracking has made of a packet: `struct nf_conn` behind `skb->_nfct`.

use crate::plain::Plain;

/// Bit of [`crate::DropEvent::conntrack`]: the packet has an entry.
pub const ENTRY: u32 = 8;

/// One direction of a connection, laid out as `struct nf_conntrack_tuple` is in all known kernels, so that it can be copied in
/// one piece; all zero when it could not be read, and without addresses in a template.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// The sixteen bytes of `union nf_inet_addr`, read as four words; IPv4 is the first of them.
    pub source: [u32; 4],
    /// Host order; of ICMP the id.
    pub source_port: u16,
    /// `l3num`: `NFPROTO_IPV4` (2) or `NFPROTO_IPV6` (10).
    pub family: u16,
    pub destination: [u32; 4],
    /// Host order; of ICMP type * 256 + code.
    pub destination_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// `enum ip_conntrack_dir`.
    pub direction: u8,
}

/// The connection; all zero without one.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `ct->mark`; 0 as well in a kernel without connection marks.
    pub mark: u32,
    /// The low word of `ct->status`: `IPS_` bits (include/uapi/linux/netfilter/nf_conntrack_common.h).
    pub status: u32,
    /// `ct->zone.id`.
    pub zone: u16,
    pub pad: u16,
    /// As the connection's first packet was: before any translation of addresses.
    pub original: Tuple,
    /// As the answers are expected: with the translated addresses.
    pub reply: Tuple,
}

// SAFETY: `repr(C)`, integers only, no padding (asserted below).
unsafe impl Plain for Tuple {}
// SAFETY: as above.
unsafe impl Plain for Connection {}

const _: () = assert!(size_of::<Tuple>() == 2 * 16 + 8);
const _: () = assert!(size_of::<Connection>() == 3 * 4 + 2 * size_of::<Tuple>());
