//! Which ports the tc programs look at: four bits a port in an array of words, so that a data packet costs two look-ups.
//!
//! Rule: a class says how an opener is told from data. Ports of class [`PORT_NONE`] are never looked at over UDP; over TCP
//! every port's handshake is.

/// Not looked at over UDP.
pub const PORT_NONE: u64 = 0;
/// Each packet to the port is a request, each from it a reply: NTP, SNMP, RADIUS, Kerberos.
pub const PORT_REQUEST: u64 = 1;
/// DNS, over UDP and TCP.
pub const PORT_DNS: u64 = 2;
/// VXLAN (RFC 7348) and Geneve (RFC 8926): what they carry is looked at.
pub const PORT_VXLAN: u64 = 3;
pub const PORT_GENEVE: u64 = 4;
/// QUIC (RFC 9000, section 17.2): packets with the long header.
pub const PORT_QUIC: u64 = 5;
/// OpenVPN: control and reset packets, not data (the opcode is in the upper five bits of the first byte).
pub const PORT_OPENVPN: u64 = 6;
/// WireGuard: handshakes (message types 1 to 3), not data (4).
pub const PORT_WIREGUARD: u64 = 7;
/// IKE through NAT (RFC 3948): packets that begin with four zero bytes; the rest is ESP.
pub const PORT_IKE_NAT: u64 = 8;

/// Bits of a class, and classes in a word.
pub const PORT_BITS: u32 = 4;
pub const PORTS_A_WORD: u32 = u64::BITS / PORT_BITS;
/// Words for all ports.
pub const PORT_WORDS: u32 = 65_536 / PORTS_A_WORD;

/// Where the class of a port stands: the word's index and the shift in it.
pub const fn port_place(port: u16) -> (u32, u32) {
    (port as u32 / PORTS_A_WORD, port as u32 % PORTS_A_WORD * PORT_BITS)
}
