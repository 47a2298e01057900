//! What happens where a kernel lacks a member that the programs read, or describes it in a module.

use std::path::Path;

use tracer_common::{ABSENT, FIELDS, Need};
use whydrop::btf::{ResolveError, Resolved, resolve};

use crate::builder::{ARRAY, Builder, FLAG, FWD, PTR, STRUCT};
use crate::shapes::Folder;

const NO_MODULES: &str = "/nonexistent";

fn find(made: &Builder) -> Result<Resolved, ResolveError> {
    resolve(&made.parse(), Path::new(NO_MODULES))
}

/// `name[1]` as name and index.
fn indexed(part: &str) -> (&str, Option<u32>) {
    match part.strip_suffix(']').and_then(|part| part.split_once('[')) {
        Some((name, index)) => (name, Some(index.parse().expect("an index"))),
        None => (part, None),
    }
}

/// A struct whose members, and theirs, are at these paths; an array ends with the last element that a path names.
fn aggregate(made: &mut Builder, name: &str, word: u32, paths: &[&str]) -> u32 {
    let parts = || paths.iter().map(|path| path.split_once('.').unwrap_or((path, "")));
    let mut members: Vec<(&str, u32, u32)> = Vec::new();
    for (part, rest) in parts() {
        let (member, index) = indexed(part);
        if members.iter().any(|&(known, ..)| known == member) {
            continue;
        }
        let same = || parts().filter(|(part, _)| indexed(part).0 == member);
        let below: Vec<&str> = same().map(|(_, rest)| rest).collect();
        let mut id = if rest.is_empty() { word } else { aggregate(made, "", word, &below) };
        if index.is_some() {
            let last = same().filter_map(|(part, _)| indexed(part).1).max().expect("an index");
            id = made.add(ARRAY, "", 0, 0, &[id, word, last + 1]);
        }
        members.push((member, id, members.len() as u32 * 64 * 8));
    }
    made.aggregate(STRUCT, name, 64 * members.len() as u32, &members)
}

/// Structs with all these fields.
fn structs(made: &mut Builder, word: u32, paths: &[&str]) {
    let mut roots: Vec<&str> = paths.iter().filter_map(|path| path.split('.').next()).collect();
    roots.sort_unstable();
    roots.dedup();
    for root in roots {
        let below = |path: &&str| path.split_once('.').filter(|(first, _)| *first == root).map(|(_, rest)| rest.len());
        let members: Vec<&str> =
            paths.iter().filter_map(|path| below(path).map(|len| &path[path.len() - len..])).collect();
        aggregate(made, root, word, &members);
    }
}

/// A kernel with all fields whose paths are wanted.
fn fields(is_wanted: impl Fn(&str) -> bool) -> Builder {
    let mut made = Builder::new();
    let word = made.int("u32", 4);
    let paths: Vec<&str> = FIELDS.iter().map(|field| field.path).filter(|path| is_wanted(path)).collect();
    structs(&mut made, word, &paths);
    let void_pointer = made.add(PTR, "", 0, 0, &[]);
    let skb = made.add(FWD, "sk_buff", 0, 0, &[]);
    let skb = made.add(PTR, "", 0, skb, &[]);
    made.tracepoint("kfree_skb", &[void_pointer, skb, void_pointer]);
    made
}

/// Whether a field goes with another: an array without its first element has no second.
fn goes_with(path: &str, other: &str) -> bool {
    path == other || other.split_once("[0]").is_some_and(|(array, _)| path.starts_with(&format!("{array}[")))
}

#[test]
fn each_missing_member_is_an_error_or_an_absence() {
    assert!(find(&fields(|_| true)).unwrap().offsets.iter().all(|&(_, offset)| offset != ABSENT));
    for field in FIELDS {
        let found = find(&fields(|path| !goes_with(path, field.path)));
        let what_is_absent = |resolved: &Resolved| {
            let wanted = FIELDS.iter().filter(|other| goes_with(other.path, field.path)).map(|other| other.global);
            let absent = resolved.offsets.iter().filter(|(_, offset)| *offset == ABSENT).map(|(global, _)| *global);
            assert_eq!(absent.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
        };
        match (found, field.need) {
            (Err(ResolveError::Required { error: source }), Need::Required) => {
                let root = field.path.split('.').next().unwrap();
                assert!(source.to_string().contains(&format!("`{root}`")), "{source}");
            }
            (Ok(resolved), Need::Optional(lost)) => {
                what_is_absent(&resolved);
                assert!(resolved.missing[0].to_string().ends_with(lost));
            }
            (Ok(resolved), Need::IfThere) => {
                what_is_absent(&resolved);
                assert!(resolved.missing.iter().all(|missing| missing.to_string().contains("tracepoint")));
            }
            (other, _) => panic!("{}: {other:?}", field.path),
        }
    }
}

#[test]
fn what_is_lost_is_said_once_however_much_of_it_is_missing() {
    let resolved = find(&fields(|path| !path.starts_with("nf_conn"))).unwrap();
    assert!(resolved.offsets.contains(&("CT_STATUS", ABSENT)) && resolved.offsets.contains(&("TUPLE_SOURCE", ABSENT)));
    let said: Vec<_> = resolved.missing.iter().map(ToString::to_string).filter(|said| said.contains("state")).collect();
    assert_eq!(
        said,
        ["this kernel's type information has no struct `nf_conn`: connections are shown by their state only"]
    );
}

#[test]
fn connections_are_found_in_their_module() {
    let kernel = fields(|path| !path.starts_with("nf_conn"));
    let folder = Folder::new("nf_conntrack");
    let mut module = Builder::split(&kernel);
    let word = module.int("u32", 4);
    let paths: Vec<&str> = FIELDS.iter().map(|field| field.path).filter(|path| path.starts_with("nf_conn")).collect();
    structs(&mut module, word, &paths);
    std::fs::write(folder.0.join("nf_conntrack"), module.bytes()).unwrap();
    let resolved = resolve(&kernel.parse(), &folder.0).unwrap();
    assert!(resolved.offsets.iter().all(|&(_, offset)| offset != ABSENT), "{resolved:?}");

    // One that is damaged is as good as none.
    std::fs::write(folder.0.join("nf_conntrack"), b"rubbish").unwrap();
    let resolved = resolve(&kernel.parse(), &folder.0).unwrap();
    assert!(resolved.offsets.contains(&("CT_STATUS", ABSENT)), "{resolved:?}");
}

#[test]
fn a_packet_type_in_other_bits_is_switched_off() {
    let mut made = fields(|path| path != "sk_buff.pkt_type");
    let word = made.int("u8", 1);
    // The width of a bit field and where it begins.
    made.aggregate(FLAG | STRUCT, "sk_buff", 4, &[("pkt_type", word, 3 << 24 | 9)]);
    let resolved = find(&made).unwrap();
    assert!(resolved.offsets.contains(&("SKB_PKT_TYPE", ABSENT)));
    let expected = "this kernel keeps the bits of `sk_buff.pkt_type` where whydrop does not read them: packets \
                    for other hosts are not told apart";
    assert_eq!(resolved.missing[0].to_string(), expected);
}
