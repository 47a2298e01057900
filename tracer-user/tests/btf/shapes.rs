//! Shapes of types that kernels have had or may have.

use std::path::PathBuf;

use whydrop::btf::{Btf, BtfError, Member, ReasonNames};

use crate::builder::{
    ARRAY, Builder, CONST, ENUM, ENUM64, FLAG, FWD, INT, PTR, STRUCT, TYPE_TAG, TYPEDEF, UNION, VOLATILE,
};

fn bytes(byte_offset: u32, size: u32) -> Member {
    Member { byte_offset, bit_shift: 0, bit_size: None, size }
}

/// A member's place in a struct that has bit fields.
fn bit_field(width: u32, at: u32) -> u32 {
    width << 24 | at
}

#[test]
fn anonymous_parts_add_their_offsets_and_named_parts_need_their_name() {
    let mut made = Builder::new();
    let word = made.int("u32", 4);
    let inner = made.aggregate(STRUCT, "", 8, &[("a", word, 0), ("b", word, 32)]);
    let either = made.aggregate(UNION, "", 8, &[("x", word, 0), ("", inner, 0)]);
    let part = made.aggregate(STRUCT, "part", 8, &[("a2", word, 0), ("b2", word, 32)]);
    let hidden = made.add(TYPEDEF, "part_t", 0, part, &[]);
    let hidden = made.add(CONST, "", 0, hidden, &[]);
    let hidden = made.add(VOLATILE, "", 0, hidden, &[]);
    let hidden = made.add(TYPE_TAG, "rcu", 0, hidden, &[]);
    let pointer = made.add(PTR, "", 0, part, &[]);
    let row = made.add(ARRAY, "", 0, 0, &[part, word, 3]);
    let members =
        [("first", word, 0), ("", either, 64), ("named", hidden, 128), ("far", pointer, 192), ("row", row, 256)];
    made.aggregate(STRUCT, "all", 56, &members);
    let btf = made.parse();
    for (path, expected) in [
        ("all.first", bytes(0, 4)),
        ("all.x", bytes(8, 4)),
        ("all.b", bytes(12, 4)),
        ("all.named", bytes(16, 8)),
        ("all.named.b2", bytes(20, 4)),
        ("all.far", bytes(24, 8)),
        ("all.row", bytes(32, 24)),
        ("all.row[0]", bytes(32, 8)),
        ("all.row[2].b2", bytes(52, 4)),
    ] {
        assert_eq!(btf.member(path).expect(path), expected, "{path}");
    }
    for path in ["all.b2", "all.far.a2", "all.row.a2", "all.nothing", "all.", "all", "all.first.", "all.x.y", "all..b"]
        .into_iter()
        .chain([
            "all.row[3].b2",
            "all.row[].b2",
            "all.row[-1]",
            "all.row[0",
            "all.first[0]",
            "all.far[0].b2",
            "all.[0]",
        ])
    {
        assert!(matches!(btf.member(path), Err(BtfError::UnknownMember { .. })), "{path}");
    }
    for path in ["none.x", "u32.x", "part_t.a2", "", "."] {
        assert!(matches!(btf.member(path), Err(BtfError::UnknownType { .. })), "{path}");
    }
}

#[test]
fn bit_fields_of_both_notations_are_found() {
    let mut made = Builder::new();
    let byte = made.int("u8", 1);
    let old = made.add(INT, "old", 0, 4, &[2 << 16 | 5]);
    made.aggregate(FLAG | STRUCT, "new", 4, &[("whole", byte, 8), ("part", byte, bit_field(3, 21))]);
    made.aggregate(STRUCT, "older", 4, &[("part", old, 8)]);
    let btf = made.parse();
    assert_eq!(btf.member("new.whole").unwrap(), bytes(1, 1));
    let part = Member { byte_offset: 2, bit_shift: 5, bit_size: Some(3), size: 1 };
    assert_eq!(btf.member("new.part").unwrap(), part);
    let part = Member { byte_offset: 1, bit_shift: 2, bit_size: Some(5), size: 1 };
    assert_eq!(btf.member("older.part").unwrap(), part);
}

#[test]
fn two_structs_of_one_name_must_agree() {
    let mut made = Builder::new();
    let word = made.int("u32", 4);
    made.add(FWD, "twice", 0, 0, &[]);
    made.aggregate(STRUCT, "twice", 8, &[("same", word, 0), ("moved", word, 32)]);
    made.aggregate(STRUCT, "twice", 12, &[("same", word, 0), ("moved", word, 64), ("once", word, 32)]);
    let btf = made.parse();
    assert_eq!(btf.member("twice.same").unwrap(), bytes(0, 4));
    assert_eq!(btf.member("twice.once").unwrap(), bytes(4, 4));
    assert!(matches!(btf.member("twice.moved"), Err(BtfError::Ambiguous { .. })));
}

#[test]
fn enums_keep_their_signs_and_widths() {
    let mut made = Builder::new();
    made.enumeration(ENUM, "plain", &[("A", 0), ("B", 0xffff_0000)]);
    made.enumeration(FLAG | ENUM, "signed", &[("C", 1), ("D", u32::MAX)]);
    let wide = made.name("E");
    made.add(ENUM64, "wide", 1, 8, &[wide, 7, 1]);
    let btf = made.parse();
    assert_eq!(btf.enumerators("plain").unwrap(), [("A", 0), ("B", 0xffff_0000)]);
    assert_eq!(btf.enumerators("signed").unwrap(), [("C", 1), ("D", -1)]);
    assert_eq!(btf.enumerators("wide").unwrap(), [("E", 0x1_0000_0007)]);
    assert!(matches!(btf.enumerators("none"), Err(BtfError::UnknownType { .. })));
}

#[test]
fn arguments_are_known_by_their_types_wherever_they_stand() {
    let mut made = Builder::new();
    let void_pointer = made.add(PTR, "", 0, 0, &[]);
    let skb = made.add(FWD, "sk_buff", 0, 0, &[]);
    let skb = made.add(CONST, "", 0, skb, &[]);
    let skb = made.add(PTR, "", 0, skb, &[]);
    let sock = made.aggregate(STRUCT, "sock", 0, &[]);
    let sock = made.add(PTR, "", 0, sock, &[]);
    let pointers = made.add(PTR, "", 0, sock, &[]);
    let reason = made.enumeration(ENUM, "skb_drop_reason", &[]);
    made.tracepoint("kfree_skb", &[void_pointer, reason, pointers, sock, void_pointer, skb]);
    made.tracepoint("bare", &[void_pointer]);
    let btf = made.parse();
    let found = btf.drop_arguments().unwrap();
    assert_eq!((found.skb, found.location, found.reason, found.rx_sk), (4, 3, Some(0), Some(2)));
    let types = btf.tracepoint_arguments("kfree_skb").unwrap();
    assert_eq!(types, ["enum skb_drop_reason", "struct sock **", "struct sock *", "void *", "struct sk_buff *"]);
    assert!(btf.tracepoint_arguments("bare").unwrap().is_empty());
}

#[test]
fn a_drop_tracepoint_without_a_packet_is_refused_by_name() {
    let mut made = Builder::new();
    let void_pointer = made.add(PTR, "", 0, 0, &[]);
    made.tracepoint("kfree_skb", &[void_pointer, void_pointer]);
    let error = made.parse().drop_arguments().unwrap_err().to_string();
    assert_eq!(
        error,
        "this kernel's tracepoint `kfree_skb` has no argument of type `struct sk_buff *`; it has (void *)"
    );
}

#[test]
fn a_module_continues_the_kernels_types() {
    let mut made = Builder::new();
    let word = made.int("u32", 4);
    let inner = made.aggregate(STRUCT, "inner", 8, &[("low", word, 0), ("high", word, 32)]);
    made.enumeration(ENUM, "skb_drop_reason", &[("SKB_DROP_REASON_SUBSYS_MASK", 0xffff_0000)]);
    made.enumeration(ENUM, "skb_drop_reason_subsys", &[("SKB_DROP_REASON_SUBSYS_OPENVSWITCH", 5)]);
    let mut module = Builder::split(&made);
    module.aggregate(STRUCT, "outer", 16, &[("", inner, 64)]);
    let last =
        module.enumeration(ENUM, "ovs_drop_reason", &[("__OVS_DROP_REASON", 5 << 16), ("OVS_DROP_METER", 5 << 16 | 1)]);
    let kernel = made.parse();
    let btf = Btf::parse_split(&kernel, module.bytes()).unwrap();
    assert_eq!(btf.member("outer.high").unwrap(), bytes(12, 4));
    assert_eq!(btf.member("inner.high").unwrap(), bytes(4, 4));
    assert!(kernel.member("outer.high").is_err());

    let mut beyond = Builder::split(&made);
    beyond.aggregate(STRUCT, "outer", 16, &[("", last + 1, 0)]);
    let btf = Btf::parse_split(&kernel, beyond.bytes()).unwrap();
    assert!(matches!(btf.member("outer.x"), Err(BtfError::Malformed { .. })));

    let folder = Folder::new("split");
    std::fs::write(folder.0.join("openvswitch"), module.bytes()).unwrap();
    std::fs::write(folder.0.join("mac80211"), b"rubbish").unwrap();
    let (reasons, unusable) = ReasonNames::from_kernel(&kernel, &folder.0).unwrap();
    assert_eq!(reasons.iter().collect::<Vec<_>>(), [(0x5_0001, "OVS_DROP_METER")]);
    assert_eq!(reasons.subsystem(0x5_0001), "openvswitch");
    assert_eq!(unusable.len(), 1);
}

#[test]
fn kinds_of_later_kernels_are_stepped_over_if_the_file_tells_their_size() {
    let mut made = Builder::new();
    let word = made.int("u32", 4);
    made.add(77, "news", 3, 0, &[1, 2, 3, 4]);
    made.aggregate(STRUCT, "after", 4, &[("x", word, 0)]);
    assert!(matches!(Btf::parse(made.bytes()), Err(BtfError::Malformed { .. })));
    made.layout(77, 4, 4);
    assert_eq!(made.parse().member("after.x").unwrap(), bytes(0, 4));
}

#[test]
fn more_members_than_sixteen_bits_can_count_are_counted() {
    let mut made = Builder::new();
    let word = made.int("u32", 4);
    let name = made.name("x");
    let members: Vec<u32> = (0..70_000).flat_map(|at| [if at == 69_999 { name } else { 0 }, word, at]).collect();
    made.add(STRUCT, "large", 70_000, 70_000, &members);
    made.aggregate(STRUCT, "after", 4, &[("x", word, 0)]);
    assert_eq!(made.parse().member("after.x").unwrap(), bytes(0, 4));
}

#[test]
fn a_file_that_cannot_be_read_says_what_is_needed() {
    let error = Btf::from_kernel(&PathBuf::from("/nonexistent/vmlinux")).err().expect("no such file").to_string();
    assert!(error.contains("/nonexistent/vmlinux") && error.contains("CONFIG_DEBUG_INFO_BTF=y"), "{error}");
}

/// A folder of its own, removed afterwards.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("whydrop-btf-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
