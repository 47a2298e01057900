//! The contract between whydrop's kernel programs and its user space.
//!
//! Rule: everything here is plain data. `repr(C)` structs of integers and byte arrays with explicit padding, no
//! `bool`, `Option` or Rust `enum`, so that any bytes are a valid value; layouts are asserted at compile time on
//! both targets. A change of any layout or meaning raises [`ABI_VERSION`].
#![no_std]

mod attempt;
mod connection;
mod control;
mod counter;
mod event;
mod fields;
mod filter;
mod flow;
mod plain;
mod ports;
mod retransmit;

pub use attempt::{
    Attempt, AttemptCounter, AttemptKey, AttemptState, EGRESS, INGRESS, QUESTION_LENGTH, Query, QueryKey, Quoting,
    TUNNEL_GENEVE, TUNNEL_IPIP, TUNNEL_NONE, TUNNEL_VXLAN,
};
pub use connection::{Connection, ENTRY, Tuple};
pub use control::{CAST_CALL, Control, LOCATION_POSITION, REASON_POSITION, RX_SK_POSITION, SKB_POSITION, Settings};
pub use counter::{Counter, CpuState};
pub use event::{
    DROP_EVENT, DropEvent, FLAG_FIRST, FLAG_HEAD_UNREADABLE, FLAG_OWNER, FLAG_SAMPLED, FLAG_STACK, HEAD_LENGTH,
    HEAD_MAC, HEAD_NETWORK, HEAD_NONE, HEAD_TRANSPORT, STACK_FRAMES, StackedDropEvent,
};
pub use fields::{ABSENT, FIELDS, Field, Need};
pub use filter::{
    BY_IFACE, BY_NETNS, BY_POD, BY_PORT, BY_PROTOCOL, BY_REASON, BY_SUBNET, FilterKey, MAX_FILTER_VALUES, MAX_POD_KEYS,
    MAX_SUBNETS, POD_ADDRESS,
};
pub use flow::{FAMILY_IPV4, FAMILY_IPV6, FAMILY_OTHER, FlowKey, NO_REASON, PORT_IS_SOURCE, Tally, TotalKey};
pub use plain::{Plain, read_plain};
pub use ports::{
    PORT_BITS, PORT_DNS, PORT_GENEVE, PORT_IKE_NAT, PORT_NONE, PORT_OPENVPN, PORT_QUIC, PORT_REQUEST, PORT_VXLAN,
    PORT_WIREGUARD, PORT_WORDS, PORTS_A_WORD, port_place,
};
pub use retransmit::{Retransmit, RetransmitKey};

/// Version of every layout in this crate; the object carries it and the loader compares it.
pub const ABI_VERSION: u32 = 6;
