//! Every kernel struct member that the programs read: one list, expanded to the globals on the kernel side and to
//! the table that user space resolves from BTF, so that the two cannot disagree.

/// Value of a field's global when this kernel has no such member: the code behind it is removed at load.
pub const ABSENT: u32 = u32::MAX;

/// Whether whydrop can work without a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Required,
    /// The text says what is lost, to follow "no `member` in this kernel:".
    Optional(&'static str),
    /// Nothing is lost without it: the kernel was built without what it belongs to, or has another member in its place.
    IfThere,
}

/// One member: the global that carries its byte offset, and its path in BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name of the `u32` global in the object.
    pub global: &'static str,
    /// `struct.member.member`, `[1]` behind an array; anonymous structs and unions on the way are not named.
    pub path: &'static str,
    pub need: Need,
}

/// Calls `$each! { (GLOBAL, "struct.member", need); … }` with the list of all fields.
#[macro_export]
macro_rules! kernel_fields {
    ($each:ident) => {
        $each! {
            (SKB_LEN, "sk_buff.len", Need::Required);
            (SKB_HEAD, "sk_buff.head", Need::Required);
            (SKB_TAIL, "sk_buff.tail", Need::Required);
            (SKB_PROTOCOL, "sk_buff.protocol", Need::Required);
            (SKB_MAC_HEADER, "sk_buff.mac_header", Need::Required);
            (SKB_NETWORK_HEADER, "sk_buff.network_header", Need::Required);
            (SKB_TRANSPORT_HEADER, "sk_buff.transport_header", Need::Required);
            (SKB_DEV, "sk_buff.dev", Need::Required);
            (DEV_IFINDEX, "net_device.ifindex", Need::Required);
            (DEV_NAME, "net_device.name", Need::Required);
            (DEV_NET, "net_device.nd_net.net", Need::Required);
            (NET_INODE, "net.ns.inum", Need::Required);
            (NET_COOKIE, "net.net_cookie", Need::IfThere);
            (SKB_IIF, "sk_buff.skb_iif", Need::Optional("the incoming interface is not shown"));
            (SKB_MARK, "sk_buff.mark", Need::Optional("packet marks are not shown"));
            (SKB_NFCT, "sk_buff._nfct", Need::Optional("the conntrack state is not shown"));
            (SKB_VLAN, "sk_buff.vlan_tci", Need::Optional("VLAN tags that the device took off are not shown"));
            (SKB_PKT_TYPE, "sk_buff.pkt_type", Need::Optional("packets for other hosts are not told apart"));
            (SKB_SK, "sk_buff.sk", Need::Optional("local packets have no namespace, socket or cgroup"));
            (SKB_DST, "sk_buff._skb_refdst", Need::Optional("the way out is not shown"));
            (DST_DEV, "dst_entry.dev", Need::Optional("the way out is not shown"));
            (SOCK_NET, "sock_common.skc_net.net", Need::Optional("local packets have no namespace"));
            (SOCK_STATE, "sock_common.skc_state", Need::Optional("sockets are not read"));
            (SOCK_FAMILY, "sock_common.skc_family", Need::Optional("packets without headers have no addresses"));
            (SOCK_SOURCE, "sock_common.skc_rcv_saddr", Need::Optional("packets without headers have no addresses"));
            (SOCK_DESTINATION, "sock_common.skc_daddr", Need::Optional("packets without headers have no addresses"));
            (SOCK_SOURCE6, "sock_common.skc_v6_rcv_saddr", Need::Optional("packets without headers have no addresses"));
            (SOCK_DESTINATION6, "sock_common.skc_v6_daddr", Need::Optional("packets without headers have no addresses"));
            (SOCK_SOURCE_PORT, "sock_common.skc_num", Need::Optional("packets without headers have no ports"));
            (SOCK_DESTINATION_PORT, "sock_common.skc_dport", Need::Optional("packets without headers have no ports"));
            (SOCK_PROTOCOL, "sock.sk_protocol", Need::Optional("packets without headers have no protocol"));
            (TCP_MSS, "tcp_sock.mss_cache", Need::Optional("large segments that are sent again are not told apart"));
            (SOCK_COOKIE, "sock_common.skc_cookie", Need::Optional("socket cookies are not shown"));
            (SOCK_CGROUP, "sock.sk_cgrp_data.cgroup", Need::Optional("the owner's cgroup is not shown"));
            (CGROUP_NODE, "cgroup.kn", Need::Optional("the owner's cgroup is not shown"));
            (NODE_ID, "kernfs_node.id", Need::Optional("the owner's cgroup is not shown"));
            (SKB_PRIORITY, "sk_buff.priority", Need::Optional("rules that ask for a packet's priority stay undecided"));
            (SKB_ACTIVE_EXTENSIONS, "sk_buff.active_extensions", Need::IfThere);
            (SKB_EXTENSIONS, "sk_buff.extensions", Need::IfThere);
            (EXTENSION_OFFSET, "skb_ext.offset", Need::IfThere);
            (BRIDGE_IN, "nf_bridge_info.physinif", Need::IfThere);
            (BRIDGE_IN_DEV, "nf_bridge_info.physindev", Need::IfThere);
            (BRIDGE_OUT_DEV, "nf_bridge_info.physoutdev", Need::IfThere);
            (SOCK_SOCKET, "sock.sk_socket", Need::Optional("users and groups of sockets are not shown"));
            (SOCKET_FILE, "socket.file", Need::Optional("users and groups of sockets are not shown"));
            (FILE_CRED, "file.f_cred", Need::Optional("users and groups of sockets are not shown"));
            (CRED_UID, "cred.fsuid", Need::Optional("users and groups of sockets are not shown"));
            (CRED_GID, "cred.fsgid", Need::Optional("users and groups of sockets are not shown"));
            (CT_STATUS, "nf_conn.status", Need::Optional("connections are shown by their state only"));
            (CT_MARK, "nf_conn.mark", Need::IfThere);
            (CT_ZONE, "nf_conn.zone.id", Need::IfThere);
            (CT_ORIGINAL, "nf_conn.tuplehash[0].tuple", Need::Optional("connections are shown by their state only"));
            (CT_REPLY, "nf_conn.tuplehash[1].tuple", Need::Optional("connections are shown by their state only"));
            (TUPLE_SOURCE, "nf_conntrack_tuple.src.u3", Need::Optional("connections are shown by their state only"));
            (TUPLE_SOURCE_PORT, "nf_conntrack_tuple.src.u.all", Need::Optional("connections are shown by their state only"));
            (TUPLE_FAMILY, "nf_conntrack_tuple.src.l3num", Need::Optional("connections are shown by their state only"));
            (TUPLE_DESTINATION, "nf_conntrack_tuple.dst.u3", Need::Optional("connections are shown by their state only"));
            (TUPLE_DESTINATION_PORT, "nf_conntrack_tuple.dst.u.all", Need::Optional("connections are shown by their state only"));
            (TUPLE_PROTOCOL, "nf_conntrack_tuple.dst.protonum", Need::Optional("connections are shown by their state only"));
        }
    };
}

macro_rules! table {
    ($(($global:ident, $path:literal, $need:expr);)*) => {
        /// All fields, in the order in which they are resolved and listed.
        pub const FIELDS: &[Field] = &[$(Field { global: stringify!($global), path: $path, need: $need }),*];
    };
}

kernel_fields!(table);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_global_and_path_is_listed_once() {
        for (index, field) in FIELDS.iter().enumerate() {
            assert!(FIELDS[index + 1..].iter().all(|other| other.global != field.global && other.path != field.path));
        }
    }
}
