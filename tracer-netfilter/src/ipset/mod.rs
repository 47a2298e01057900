//! Sets of ipset over netlink.

/// A set with its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpSet {
    pub name: String,
}
