//! Damaged and malicious files: any answer but a panic, an endless search or a wrong kind of error.

use std::path::Path;
use std::time::{Duration, Instant};

use whydrop::btf::{Btf, BtfError, ReasonNames, resolve};

use crate::builder::{ARRAY, Builder, CONST, ENUM, FUNC_PROTO, PTR, STRUCT, TYPEDEF, UNION};
use crate::kernels::KERNELS;

/// Asks everything that whydrop asks.
fn ask(btf: &Btf<'_>) {
    let _ = resolve(btf, Path::new("/nonexistent"));
    let _ = ReasonNames::from_kernel(btf, Path::new("/nonexistent")).map(|(names, _)| names.iter().count());
}

#[expect(clippy::needless_pass_by_value, reason = "asks about results that are made on the spot")]
fn is_malformed<T>(result: Result<T, BtfError>) -> bool {
    matches!(result, Err(BtfError::Malformed { .. }))
}

/// xorshift64*: the same damage in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

const ODD_WORDS: [u32; 12] =
    [0, 1, 2, 12, 24, 0xff, 0xffff, 0x0100_0000, 0x0400_0001, 0x7fff_ffff, 0x84ff_ffff, u32::MAX];

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    // A third of the damage hits the header, where it matters most.
    let end = if random.below(3) == 0 { 24.min(bytes.len()) } else { bytes.len() };
    let at = random.below(end);
    match random.below(5) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        2 => {
            let word = ODD_WORDS[random.below(ODD_WORDS.len())].to_ne_bytes();
            let at = at & !3;
            bytes.iter_mut().skip(at).zip(word).for_each(|(byte, new)| *byte = new);
        }
        3 => {
            let from = random.below(bytes.len());
            let copied: Vec<u8> = bytes[from..].iter().take(random.below(64)).copied().collect();
            bytes.iter_mut().skip(at).zip(copied).for_each(|(byte, new)| *byte = new);
        }
        _ => bytes.truncate(bytes.len() - random.below(bytes.len() / 8 + 1)),
    }
}

#[test]
fn random_damage_is_survived() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut intact, mut refused) = (0, 0);
    for round in 0..3_000 {
        let mut bytes = KERNELS[round % KERNELS.len()].1.to_vec();
        for _ in 0..=random.below(4) {
            if !bytes.is_empty() {
                damage(&mut bytes, &mut random);
            }
        }
        let start = Instant::now();
        match Btf::parse(bytes) {
            Ok(btf) => {
                intact += 1;
                ask(&btf);
            }
            Err(BtfError::Malformed { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
        }
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    assert!(intact > 300 && refused > 300, "the damage must hit both sides: {intact} parsed, {refused} refused");
}

#[test]
fn damaged_modules_are_survived() {
    let mut made = Builder::new();
    let word = made.int("u32", 4);
    let inner = made.aggregate(STRUCT, "inner", 8, &[("low", word, 0)]);
    let mut module = Builder::split(&made);
    module.aggregate(STRUCT, "sk_buff", 16, &[("", inner, 64)]);
    module.enumeration(ENUM, "skb_drop_reason", &[("SKB_DROP_REASON_X", 5 << 16), ("OVS_DROP_METER", 1)]);
    let kernel = made.parse();
    let mut random = Random(7);
    for _ in 0..20_000 {
        let mut bytes = module.bytes();
        damage(&mut bytes, &mut random);
        if let Ok(btf) = Btf::parse_split(&kernel, bytes) {
            ask(&btf);
            let _ = btf.member("sk_buff.low");
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let (_, whole) = KERNELS[1];
    let types_end = 24 + u32::from_ne_bytes(whole[12..16].try_into().unwrap()) as usize;
    let around = |middle: usize| middle.saturating_sub(40)..(middle + 40).min(whole.len());
    for len in (0..64).chain(around(types_end)).chain(around(whole.len())).chain((64..whole.len()).step_by(97)) {
        assert!(is_malformed(Btf::parse(whole[..len].to_vec())), "{len} bytes");
    }
}

#[test]
fn headers_that_lie_are_refused() {
    let good = KERNELS[2].1;
    assert!(Btf::parse(good.to_vec()).is_ok());
    for (at, value) in [
        (0, 0x0001_9feb_u32), // another byte order
        (0, 0x0002_eb9f),     // another version
        (4, 0),               // no header
        (4, 23),
        (4, u32::MAX),
        (4, 32), // a long header, so that types are taken for sections
        (8, u32::MAX),
        (12, u32::MAX),
        (16, u32::MAX),
        (20, u32::MAX),
        (12, 11), // not even one record
    ] {
        let mut bytes = good.to_vec();
        bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        assert!(is_malformed(Btf::parse(bytes)), "{value:#x} at {at}");
    }
}

#[test]
fn types_made_of_themselves_end() {
    let mut made = Builder::new();
    // Numbers 1 to 6: each refers to itself or to one behind it.
    made.add(TYPEDEF, "t", 0, 1, &[]);
    made.add(CONST, "", 0, 3, &[]);
    made.add(TYPEDEF, "u", 0, 2, &[]);
    made.add(PTR, "", 0, 4, &[]);
    made.add(ARRAY, "", 0, 0, &[5, 5, 1]);
    made.aggregate(STRUCT, "nest", 8, &[("", 6, 0), ("x", 6, 0)]);
    made.aggregate(STRUCT, "by_typedef", 8, &[("x", 1, 0), ("y", 5, 0)]);
    made.tracepoint("itself", &[0, 4]);
    made.add(TYPEDEF, "btf_trace_circle", 0, 2, &[]);
    let btf = made.parse();
    for path in ["nest.y", "by_typedef.x", "by_typedef.y", "by_typedef.x.z"] {
        assert!(is_malformed(btf.member(path)), "{path}");
    }
    assert!(is_malformed(btf.tracepoint_arguments("itself")));
    assert!(is_malformed(btf.tracepoint_arguments("circle")));
}

#[test]
fn anonymous_types_that_multiply_end_soon() {
    let mut made = Builder::new();
    let mut last = made.int("u32", 4);
    for _ in 0..15 {
        last = made.aggregate(UNION, "", 4, &[("", last, 0); 64]);
    }
    made.aggregate(STRUCT, "bomb", 4, &[("", last, 0)]);
    let start = Instant::now();
    assert!(is_malformed(made.parse().member("bomb.x")));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn counts_and_references_beyond_the_file_are_refused() {
    let refused = |kind: u32, count: u32| {
        let mut made = Builder::new();
        made.add(kind, "x", count, 4, &[]);
        is_malformed(Btf::parse(made.bytes()))
    };
    for kind in [STRUCT, UNION, ENUM, FUNC_PROTO] {
        assert!(refused(kind, 1) && refused(kind, 0xffff) && refused(kind, 0x00ff_ffff), "{kind}");
    }
    for kind in [0, 20, 0x7f] {
        assert!(refused(kind, 0), "{kind}");
    }
    let mut made = Builder::new();
    let text = made.name("m");
    made.add(STRUCT, "s", 1, 4, &[text, 99, 0]);
    made.add(STRUCT, "n", 1, 4, &[0xffff, 0, 0]);
    made.add(ENUM, "e", 1, 4, &[0xffff, 0]);
    made.add(TYPEDEF, "btf_trace_nowhere", 0, 99, &[]);
    made.tracepoint("empty", &[]);
    made.tracepoint("many", &[0; 14]);
    made.add(TYPEDEF, "btf_trace_void", 0, 0, &[]);
    let btf = made.parse();
    assert!(is_malformed(btf.member("s.m")) && is_malformed(btf.member("n.m")));
    assert!(is_malformed(btf.enumerators("e")));
    for name in ["nowhere", "empty", "many", "void"] {
        assert!(is_malformed(btf.tracepoint_arguments(name)), "{name}");
    }
}

#[test]
fn names_that_are_not_names_are_refused() {
    let long = "x".repeat(600);
    for name in ["\u{1b}[31mred", "tab\there", long.as_str()] {
        let mut made = Builder::new();
        made.enumeration(ENUM, "e", &[(name, 1)]);
        assert!(is_malformed(made.parse().enumerators("e")), "{name:?}");
    }
    let mut made = Builder::new();
    made.add(ENUM, "e", 1, 4, &[3, 1]);
    for tail in [&b"\xff\xfe\0"[..], b"endless"] {
        made.strings.truncate(3);
        made.strings.extend(tail);
        assert!(is_malformed(made.parse().enumerators("e")), "{tail:?}");
    }
}

#[test]
fn places_beyond_numbers_are_refused() {
    let mut made = Builder::new();
    let word = made.int("u32", 4);
    let row = made.add(ARRAY, "", 0, 0, &[word, word, u32::MAX]);
    let rows = made.add(ARRAY, "", 0, 0, &[row, word, u32::MAX]);
    let mut nested = made.aggregate(STRUCT, "", 4, &[("deep", word, !7)]);
    for _ in 0..12 {
        nested = made.aggregate(STRUCT, "", 4, &[("", nested, !7)]);
    }
    let members = [("row", row, 0), ("rows", rows, 0), ("", nested, 0), ("between", word, 3), ("void", 0, 0)];
    made.aggregate(STRUCT, "s", 4, &members);
    let btf = made.parse();
    for path in ["s.row", "s.rows", "s.between", "s.void"] {
        assert!(is_malformed(btf.member(path)), "{path}");
    }
    assert_eq!(
        btf.member("s.deep").map(|member| member.byte_offset).ok(),
        u32::try_from(13_u64 * (0xffff_fff8 / 8)).ok()
    );
}

#[test]
fn enums_with_thousands_of_values_are_refused() {
    let mut made = Builder::new();
    let name = made.name("N");
    let values: Vec<u32> = (0..5000).flat_map(|value| [name, value]).collect();
    made.add(ENUM, "e", 5000, 4, &values);
    assert!(is_malformed(made.parse().enumerators("e")));
}
