//! Recorded kernels: what the reader must find in each. The numbers are those that `bpftool btf dump` and `pahole` give
//! for the full BTF of the same kernels; the fixtures are made by `examples/btf_extract.rs`.

use std::path::Path;

use aya_obj::btf::BtfKind;
use tracer_common::ABSENT;
use whydrop::btf::{Btf, BtfError, DropArguments, ReasonNames, resolve};

/// Debian's cloud kernels 5.10.262, 6.1.192, 6.12.117, 6.18.15 and 7.2.12, and a 6.18.44 without modules.
macro_rules! kernels {
    ($($version:literal),*) => {
        [$(($version, include_bytes!(concat!("../../fixtures/btf/", $version, ".btf")).as_slice())),*]
    };
}

pub(crate) const KERNELS: [(&str, &[u8]); 6] = kernels!["5.10", "6.1", "6.12", "6.18", "6.18-microvm", "7.2"];

const NO_MODULES: &str = "/nonexistent";

/// A column for each of [`KERNELS`].
const OFFSETS: [(&str, [u32; 6]); 59] = [
    ("SKB_LEN", [112, 112, 112, 112, 112, 112]),
    ("SKB_HEAD", [192, 200, 200, 200, 192, 200]),
    ("SKB_TAIL", [184, 188, 188, 188, 184, 188]),
    ("SKB_PROTOCOL", [176, 180, 180, 180, 176, 180]),
    ("SKB_MAC_HEADER", [182, 186, 186, 186, 182, 186]),
    ("SKB_NETWORK_HEADER", [180, 184, 184, 184, 180, 184]),
    ("SKB_TRANSPORT_HEADER", [178, 182, 182, 182, 178, 182]),
    ("SKB_DEV", [16, 16, 16, 16, 16, 16]),
    ("DEV_IFINDEX", [256, 216, 224, 224, 224, 224]),
    ("DEV_NAME", [0, 0, 304, 288, 280, 288]),
    ("DEV_NET", [1264, 1280, 280, 264, 264, 264]),
    ("NET_INODE", [144, 144, 136, 176, 176, 280]),
    ("NET_COOKIE", [4416, 4032, 4224, 4480, 4160, 4608]),
    ("SKB_IIF", [144, 144, 148, 148, 144, 148]),
    ("SKB_MARK", [164, 168, 168, 168, 164, 168]),
    ("SKB_NFCT", [104, 104, 104, 104, 104, 104]),
    ("SKB_VLAN", [154, 154, 158, 158, 154, 158]),
    ("SKB_PKT_TYPE", [128, 128, 128, 128, 128, 128]),
    ("SKB_SK", [24, 24, 24, 24, 24, 24]),
    ("SKB_DST", [88, 88, 88, 88, 88, 88]),
    ("DST_DEV", [0, 0, 0, 0, 0, 0]),
    ("SOCK_NET", [48, 48, 48, 48, 48, 48]),
    ("SOCK_STATE", [18, 18, 18, 18, 18, 18]),
    ("SOCK_FAMILY", [16, 16, 16, 16, 16, 16]),
    ("SOCK_SOURCE", [4, 4, 4, 4, 4, 4]),
    ("SOCK_DESTINATION", [0, 0, 0, 0, 0, 0]),
    ("SOCK_SOURCE6", [72, 72, 72, 72, 72, 72]),
    ("SOCK_DESTINATION6", [56, 56, 56, 56, 56, 56]),
    ("SOCK_SOURCE_PORT", [14, 14, 14, 14, 14, 14]),
    ("SOCK_DESTINATION_PORT", [12, 12, 12, 12, 12, 12]),
    ("SOCK_PROTOCOL", [540, 516, 574, 532, 532, 540]),
    ("TCP_MSS", [1540, 1580, 1496, 1448, 1440, 1480]),
    ("SOCK_COOKIE", [88, 88, 88, 88, 88, 88]),
    ("SOCK_CGROUP", [664, 648, 672, 680, 672, 688]),
    ("CGROUP_NODE", [248, 248, 256, 256, 256, 296]),
    ("NODE_ID", [104, 104, 96, 96, 96, 96]),
    ("SKB_PRIORITY", [140, 140, 144, 144, 140, 144]),
    ("SKB_ACTIVE_EXTENSIONS", [127, 127, 127, 127, 127, 127]),
    ("SKB_EXTENSIONS", [216, 224, 224, 224, 216, 224]),
    ("EXTENSION_OFFSET", [4, 4, 4, 4, 4, 4]),
    ("BRIDGE_IN", [ABSENT, 4, 4, 4, 4, 4]),
    ("BRIDGE_IN_DEV", [8, ABSENT, ABSENT, ABSENT, ABSENT, ABSENT]),
    ("BRIDGE_OUT_DEV", [16, 8, 8, 8, 8, 8]),
    ("SOCK_SOCKET", [640, 624, 288, 288, 288, 288]),
    ("SOCKET_FILE", [16, 16, 16, 16, 16, 16]),
    ("FILE_CRED", [144, 144, 56, 48, 48, 48]),
    ("CRED_UID", [32, 32, 32, 32, 32, 32]),
    ("CRED_GID", [36, 36, 36, 36, 36, 36]),
    ("CT_STATUS", [128, 128, 128, 128, 128, 128]),
    ("CT_MARK", [176, 168, 168, 168, 168, 168]),
    ("CT_ZONE", [12, 12, 12, 12, 12, 12]),
    ("CT_ORIGINAL", [32, 32, 32, 32, 32, 32]),
    ("CT_REPLY", [88, 88, 88, 88, 88, 88]),
    ("TUPLE_SOURCE", [0, 0, 0, 0, 0, 0]),
    ("TUPLE_SOURCE_PORT", [16, 16, 16, 16, 16, 16]),
    ("TUPLE_FAMILY", [18, 18, 18, 18, 18, 18]),
    ("TUPLE_DESTINATION", [20, 20, 20, 20, 20, 20]),
    ("TUPLE_DESTINATION_PORT", [36, 36, 36, 36, 36, 36]),
    ("TUPLE_PROTOCOL", [38, 38, 38, 38, 38, 38]),
];

fn kernel(version: &str) -> Btf<'static> {
    let (_, bytes) = KERNELS.into_iter().find(|(name, _)| *name == version).expect("a recorded kernel");
    Btf::parse(bytes.to_vec()).expect("intact BTF")
}

fn reasons(version: &str) -> ReasonNames {
    let (names, unusable) = ReasonNames::from_kernel(&kernel(version), Path::new(NO_MODULES)).expect("intact BTF");
    assert!(unusable.is_empty());
    names
}

#[test]
fn every_field_is_where_other_tools_find_it() {
    for (column, (version, _)) in KERNELS.into_iter().enumerate() {
        let resolved = resolve(&kernel(version), Path::new(NO_MODULES)).expect(version);
        let expected = OFFSETS.map(|(global, offsets)| (global, offsets[column]));
        assert_eq!(resolved.offsets, expected, "{version}");
    }
}

#[test]
fn what_a_kernel_lacks_is_named() {
    let missing = |version| {
        let resolved = resolve(&kernel(version), Path::new(NO_MODULES)).expect(version);
        resolved.missing.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let no_reasons =
        "this kernel's drop tracepoint has no reasons: the cause is told from the place of the drop and the stack";
    let no_socket = "this kernel's drop tracepoint has no receiving sockets: only a packet's own socket is shown";
    assert_eq!(missing("5.10"), [no_reasons, no_socket]);
    assert_eq!(missing("6.1"), [no_socket]);
    for version in ["6.12", "6.18", "6.18-microvm", "7.2"] {
        assert!(missing(version).is_empty(), "{version}");
    }
}

#[test]
fn arguments_of_the_drop_tracepoint_came_one_by_one() {
    let known = |reason, rx_sk| DropArguments { skb: 0, location: 1, reason, rx_sk };
    let found = |version| kernel(version).drop_arguments().expect(version);
    assert_eq!(found("5.10"), known(None, None));
    assert_eq!(found("6.1"), known(Some(2), None));
    for version in ["6.12", "6.18", "6.18-microvm", "7.2"] {
        assert_eq!(found(version), known(Some(2), Some(3)), "{version}");
    }
    let types = kernel("7.2").tracepoint_arguments("kfree_skb").expect("a tracepoint");
    assert_eq!(types, ["struct sk_buff *", "void *", "enum skb_drop_reason", "struct sock *"]);
    assert!(matches!(kernel("7.2").tracepoint_arguments("no_such"), Err(BtfError::UnknownType { .. })));
}

#[test]
fn packet_type_is_three_low_bits() {
    for (version, bytes) in KERNELS {
        let member = Btf::parse(bytes.to_vec()).expect(version).member("sk_buff.pkt_type").expect(version);
        assert_eq!(
            (member.byte_offset, member.bit_shift, member.bit_size, member.size),
            (128, 0, Some(3), 1),
            "{version}"
        );
    }
}

#[test]
fn members_have_their_sizes() {
    let btf = kernel("6.12");
    for (path, size) in [
        ("sk_buff.len", 4),
        ("sk_buff.protocol", 2),
        ("sk_buff.cb", 48),
        ("net_device.name", 16),
        ("sock_common.skc_state", 1),
        ("sock_common.skc_cookie", 8),
        ("sock.sk_cgrp_data.cgroup", 8),
        ("sock_common.skc_v6_daddr", 16),
    ] {
        assert_eq!(btf.member(path).expect(path).size, size, "{path}");
    }
}

#[test]
fn reason_numbers_differ_between_kernels() {
    let codes = |name: &str| KERNELS.map(|(version, _)| reasons(version).code(name));
    assert_eq!(codes("NETFILTER_DROP"), [None, Some(7), Some(11), Some(12), Some(12), Some(12)]);
    assert_eq!(codes("NO_SOCKET"), [None, Some(2), Some(3), Some(3), Some(3), Some(3)]);
    assert_eq!(codes("QDISC_DROP"), [None, Some(45), Some(57), Some(64), Some(64), Some(64)]);
    assert_eq!(codes("RECURSION_LIMIT"), [None, None, None, None, Some(127), Some(125)]);
    assert_eq!(codes("QDISC_OVERLIMIT"), [None, None, None, Some(65), Some(65), None]);
    assert_eq!(codes("QDISC_DROP_OVERLIMIT"), [None, None, None, None, None, Some(0x3_0002)]);
}

#[test]
fn every_reason_has_a_name_and_marks_have_none() {
    let count = |version| reasons(version).iter().count();
    assert_eq!(["6.1", "6.12", "6.18", "6.18-microvm"].map(count), [66, 104, 127, 128]);
    // 126 of the core, and 9 of the queueing disciplines.
    assert_eq!(count("7.2"), 135);
    assert!(reasons("5.10").is_empty());
    for (version, _) in KERNELS {
        for (code, name) in reasons(version).iter() {
            assert!(!name.is_empty() && !name.starts_with("SKB_DROP") && !name.ends_with("_MAX"), "{version} {name}");
            assert_eq!((reasons(version).name(code), reasons(version).code(name)), (Some(name), Some(code)));
        }
    }
}

#[test]
fn reasons_are_found_however_they_are_written() {
    let reasons = reasons("6.18");
    for name in ["NETFILTER_DROP", "netfilter_drop", "SKB_DROP_REASON_NETFILTER_DROP", "skb_drop_reason_netfilter_drop"]
    {
        assert_eq!(reasons.code(name), Some(12), "{name}");
    }
    assert_eq!((reasons.name(12), reasons.name(1)), (Some("NETFILTER_DROP"), Some("CONSUMED")));
    assert_eq!((reasons.code(""), reasons.code("NETFILTER"), reasons.name(127)), (None, None, None));
    assert_eq!((reasons.name(0xffff_0000), reasons.name(u32::MAX)), (None, None));
}

#[test]
fn subsystems_are_named_by_the_kernel() {
    let subsystem = |version, code| reasons(version).subsystem(code).to_owned();
    assert_eq!(subsystem("6.12", 11), "core");
    assert_eq!(subsystem("6.12", 0x1_0001), "mac80211");
    assert_eq!(subsystem("6.12", 0x2_0001), "mac80211");
    assert_eq!(subsystem("6.12", 0x3_0001), "openvswitch");
    assert_eq!(subsystem("6.18", 0x2_0001), "openvswitch");
    assert_eq!(subsystem("7.2", 0x3_0002), "qdisc");
    assert_eq!(subsystem("7.2", 0x4_0000), "unknown");
    assert_eq!((subsystem("6.1", 7), subsystem("5.10", 0)), ("core".to_owned(), "core".to_owned()));
    assert_eq!(subsystem("6.1", 0x1_0001), "unknown");
}

#[test]
fn aya_finds_the_tracepoint_at_the_kernels_number() {
    for (version, bytes) in KERNELS {
        let whole = aya::Btf::parse(bytes, aya::Endianness::default()).expect("intact BTF");
        let stand_in = kernel(version).stand_in("kfree_skb").expect(version);
        let id =
            |btf: &aya::Btf| btf.id_by_type_name_kind("btf_trace_kfree_skb", BtfKind::Typedef).expect("the typedef");
        assert_eq!(id(&stand_in), id(&whole), "{version}");
    }
    assert!(matches!(kernel("6.1").stand_in("no_such"), Err(BtfError::UnknownType { .. })));
}

/// The kernel that runs the test is one more recorded kernel, if it shows its BTF.
#[test]
fn the_running_kernel_is_readable() {
    let path = Path::new(Btf::KERNEL);
    if !path.exists() {
        return;
    }
    let btf = Btf::from_kernel(path).expect("the kernel's own BTF");
    let resolved = resolve(&btf, Path::new(NO_MODULES)).expect("a kernel from 5.10 on");
    assert_eq!((resolved.arguments.skb, resolved.arguments.location), (0, 1));
    let read = Btf::parse(std::fs::read(path).expect("readable")).expect("the same, not mapped");
    assert_eq!(resolved.offsets, resolve(&read, Path::new(NO_MODULES)).expect("the same").offsets);
}
