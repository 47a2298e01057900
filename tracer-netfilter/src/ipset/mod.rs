//! Sets of ipset over netlink.

/// A set with its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpSet {
    pub name: String,
}

impl IpSet {
    /// Whether the packet is in it, each dimension taken from its source or its destination.
    pub fn test(&self, _packet: &crate::packet::Packet, _is_source: &[bool]) -> crate::truth::Truth {
        crate::truth::Truth::unknown(format!("the elements of set {}", self.name))
    }
}
