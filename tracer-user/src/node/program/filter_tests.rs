//! Filters as the kernel sends them.

use super::filter::{Action, Filter, parse};
use crate::host::netlink::{Message, attribute, noise};

const RTM_NEWTFILTER: u16 = 44;
const SHOT: i32 = 2;

/// A filter of protocol ip and preference 10.
fn message(kind: &str, handle: u32, options: &[Vec<u8>], more: &[Vec<u8>]) -> Message {
    let info = 10 << 16 | u32::from(0x0800u16.to_be());
    let mut payload = vec![0; 4];
    for word in [3, handle, 0xffff_fff2, info] {
        payload.extend(word.to_ne_bytes());
    }
    payload.extend(attribute(1, format!("{kind}\0").as_bytes()));
    payload.extend(attribute(2 | 0x8000, &options.concat()));
    payload.extend(more.concat());
    Message { kind: RTM_NEWTFILTER, payload }
}

fn action(kind: &str, parameters: u16, verdict: i32, before: usize) -> Vec<u8> {
    let parameter = [vec![0; before], verdict.to_ne_bytes().to_vec(), vec![0; 8]].concat();
    let queue = [[0u8; 8].to_vec(), 412u32.to_ne_bytes().to_vec(), vec![0; 8]].concat();
    let parts = [
        attribute(1, format!("{kind}\0").as_bytes()),
        attribute(4 | 0x8000, &attribute(3, &queue)),
        attribute(2 | 0x8000, &attribute(parameters, &parameter)),
    ];
    attribute(1, &parts.concat())
}

fn word(value: u32) -> [u8; 4] {
    value.to_ne_bytes()
}

#[test]
fn a_bpf_filter_has_its_program() {
    let options = [attribute(7, b"progs.o:[tc]\0"), attribute(8, &word(1)), attribute(11, &word(77))];
    let filter = parse(&message("bpf", 1, &options, &[])).unwrap();
    assert_eq!((filter.program, filter.direct, filter.decides_by()), (Some(77), true, Some(77)));
    assert_eq!(filter.to_string(), "filter protocol ip pref 10 bpf handle 0x1 progs.o:[tc] direct-action");
    assert_eq!(filter.selector(), "protocol ip pref 10 handle 0x1 bpf");
    let only_sorts = parse(&message("bpf", 1, &[attribute(11, &word(77))], &[])).unwrap();
    assert!(!only_sorts.may_drop(), "its verdict is a class");
}

#[test]
fn an_action_drops_by_its_verdict() {
    let drop = attribute(7 | 0x8000, &action("gact", 2, SHOT, 8));
    let filter = parse(&message("u32", 0x8000_0800, &[drop], &[attribute(11, &word(3))])).unwrap();
    let gact = Action { kind: "gact".into(), drops: true, dropped: Some(412), ..Action::default() };
    assert_eq!(filter.actions, [gact]);
    assert_eq!(filter.to_string(), "filter protocol ip pref 10 u32 chain 3 handle 800::800 action drop");
    assert_eq!(filter.selector(), "chain 3 protocol ip pref 10 handle 800::800 u32");
    assert!(filter.may_drop() && filter.decides_by().is_none());
}

#[test]
fn what_cannot_drop_is_told_from_what_can() {
    let of = |kind: &str, attribute_kind: u16, action: Vec<u8>| {
        parse(&message(kind, 1, &[attribute(attribute_kind | 0x8000, &action)], &[])).unwrap()
    };
    let passes = of("flower", 3, action("gact", 2, 0, 8));
    assert!(!passes.may_drop() && passes.to_string().ends_with("action gact"));
    let mirrors = of("matchall", 2, action("mirred", 2, 3, 8));
    assert!(!mirrors.may_drop());
    let police = of("flower", 3, action("police", 1, SHOT, 4));
    assert!(police.may_drop() && police.to_string().ends_with("action police drop"));
    let jump = of("flower", 3, action("gact", 2, 0x2000_0007, 8));
    assert_eq!((jump.actions[0].jump, jump.to_string().ends_with("action goto chain 7")), (Some(7), true));
    // The classifier itself polices.
    let old = parse(&message("u32", 0x8000_0800, &[attribute(6, &[0; 8])], &[])).unwrap();
    assert!(old.may_drop());
}

#[test]
fn the_head_of_a_list_is_no_filter() {
    assert_eq!(parse(&message("u32", 0, &[], &[])), None);
    assert_eq!(parse(&Message { kind: 45, ..message("u32", 1, &[], &[]) }), None);
    assert_eq!(parse(&Message { kind: RTM_NEWTFILTER, payload: vec![0; 19] }), None);
}

#[test]
fn hostile_bytes_never_panic() {
    let options = [attribute(7 | 0x8000, &action("gact", 2, SHOT, 8)), attribute(7, b"x"), attribute(11, &word(1))];
    let good = message("bpf", 1, &options, &[]);
    noise(&good.payload, |bytes| {
        let _ = parse(&Message { kind: good.kind, payload: bytes.to_vec() }).as_ref().map(Filter::to_string);
    });
}
