use super::*;
use crate::event::Cause;
use crate::node::device::Link;
use crate::node::qdisc::{Counters, Options};

const ROOT: u32 = u32::MAX;

fn queue(kind: &str, handle: u32, parent: u32, options: Options, drops: u32) -> Queue {
    let counters = Counters { drops, ..Counters::default() };
    Queue { kind: kind.into(), handle, parent, info: 1, options, counters, rose: None }
}

fn limited(limit: Limit) -> Options {
    Options { limit: Some(limit), ..Options::default() }
}

fn bucket() -> Queue {
    let options = Options {
        text: "rate 8Kbit burst 1540b limit 3000b".into(),
        rate: Some(1000),
        burst: Some(1540),
        ..limited(Limit::Bytes(3000))
    };
    let mut bucket = queue("tbf", 0x8001_0000, ROOT, options, 7);
    bucket.counters.backlog = 2084;
    bucket
}

fn works() -> Link {
    Link { name: "c0".into(), is_up: true, has_carrier: true, queue_length: Some(1000), ..Link::default() }
}

fn said_of(facts: &Qdisc, reason: Option<&str>) -> Explanation {
    let mut explanation = Explanation::new(Cause::Qdisc, Confidence::Derived, "before");
    let entry = Some("nsenter --net=/run/netns/c");
    refine(&mut explanation, facts, &Observation { reason, netns_entry: entry, ..Observation::default() });
    explanation
}

fn said(queues: Vec<Queue>, classes: Vec<Queue>) -> Explanation {
    said_of(&Qdisc { link: Some(works()), queues, classes, length: 1042, ..Qdisc::default() }, Some("QDISC_DROP"))
}

#[test]
fn a_full_bucket_is_named_with_its_rate_and_limit() {
    let said = said(vec![bucket()], Vec::new());
    assert_eq!(
        said.summary,
        "the tbf qdisc 8001: of c0 (rate 8 kbit/s, limit 3000 bytes) is full: 2084 bytes queued, 7 packets dropped so far"
    );
    assert_eq!(
        said.evidence,
        [
            "qdisc tbf 8001: root rate 8Kbit burst 1540b limit 3000b counts 7 drops; 0 packets (2084 bytes) wait, 0 went through"
        ]
    );
    assert_eq!(
        said.remedy,
        [
            "nsenter --net=/run/netns/c tc -s qdisc show dev c0",
            "nsenter --net=/run/netns/c tc qdisc change dev c0 root handle 8001: tbf rate 8000bit burst 1540 limit 100000",
            "nsenter --net=/run/netns/c tc qdisc del dev c0 root",
        ]
    );
    assert_eq!(said.confidence, Confidence::Derived);
}

#[test]
fn a_counter_that_rose_is_certain() {
    let mut mover = bucket();
    mover.rose = Some(2);
    let said = said(vec![mover], Vec::new());
    assert_eq!(said.confidence, Confidence::Certain);
    assert!(said.evidence[0].contains("7 drops, 2 more than when it was read before"));
}

#[test]
fn a_packet_larger_than_the_burst() {
    let mut empty = bucket();
    empty.counters.backlog = 0;
    let facts = Qdisc { link: Some(works()), queues: vec![empty], length: 2000, ..Qdisc::default() };
    assert!(said_of(&facts, None).summary.ends_with("takes no packet of 2000 bytes: its burst is 1540 bytes"));
}

#[test]
fn the_lowest_queue_is_the_one() {
    let top = queue("htb", 0x1_0000, ROOT, Options { direct_limit: Some(1000), ..Options::default() }, 8);
    let class = queue("htb", 0x1_0001, ROOT, Options { rate: Some(1000), ..Options::default() }, 8);
    let mut leaf = queue("pfifo", 0x8002_0000, 0x1_0001, limited(Limit::Packets(1)), 8);
    leaf.counters.length = 1;
    let said = said(vec![top, leaf], vec![class]);
    assert_eq!(
        said.summary,
        "the pfifo qdisc 8002: of c0 (limit 1 packet, in class 1:1 with 8 kbit/s) is full: 1 packet queued, \
         8 packets dropped so far"
    );
    assert!(said.remedy[1].ends_with("tc qdisc change dev c0 parent 1:1 handle 8002: pfifo limit 1000"));
    assert!(said.remedy[2].ends_with("tc qdisc del dev c0 parent 1:1"));
    assert!(said.evidence.iter().any(|fact| fact.starts_with("it hangs below qdisc htb 1: root")));
}

#[test]
fn queues_of_the_kernel_have_no_handle() {
    let top = queue("mq", 0, ROOT, Options::default(), 5);
    let first = queue("fq_codel", 0, 1, limited(Limit::Packets(10_240)), 5);
    let second = queue("fq_codel", 0, 2, limited(Limit::Packets(10_240)), 0);
    let said = said(vec![top, first, second], Vec::new());
    assert!(said.summary.starts_with("the fq_codel qdisc of c0 (limit 10240 packets)"), "{}", said.summary);
    assert_eq!(said.confidence, Confidence::Derived);
    assert!(said.evidence[0].starts_with("qdisc fq_codel 0: parent :1 "), "{:?}", said.evidence);
    assert_eq!(said.remedy.len(), 1, "below mq nothing can be changed, and it would only come back: {:?}", said.remedy);
}

#[test]
fn a_queue_that_has_drained_was_full() {
    let mut drained = bucket();
    drained.counters.backlog = 0;
    let said = said(vec![drained], Vec::new());
    assert!(said.summary.ends_with("was full: by now 0 bytes queued, 7 packets dropped so far"), "{}", said.summary);
}

#[test]
fn the_default_of_the_kernel_is_replaced() {
    let options = limited(Limit::Packets(10_240));
    let root = said(vec![queue("fq_codel", 0, ROOT, options, 5)], Vec::new());
    assert!(root.remedy[1].ends_with("tc qdisc replace dev c0 root fq_codel limit 20480"), "{:?}", root.remedy);
    let fast = said(vec![queue("pfifo_fast", 0, ROOT, Options::default(), 5)], Vec::new());
    assert!(fast.summary.starts_with("the pfifo_fast qdisc of c0 (txqueuelen 1000 packets)"), "{}", fast.summary);
    assert!(fast.remedy[1].ends_with("ip link set dev c0 txqueuelen 2000"));
}

#[test]
fn packets_without_a_class() {
    let direct = |class| Options { direct_limit: Some(2), default_class: Some(class), ..Options::default() };
    for (class, wanted) in [(0, "it has no default class"), (0x30, "its default class 1:30 does not exist")] {
        let said = said(vec![queue("htb", 0x1_0000, ROOT, direct(class), 3)], Vec::new());
        assert!(said.summary.contains(wanted), "{}", said.summary);
        assert!(said.summary.ends_with("(direct_qlen 2) is full: 3 packets dropped so far"));
    }
}

#[test]
fn a_class_with_its_own_queue() {
    let top = queue("htb", 0x1_0000, ROOT, Options { direct_limit: Some(2), ..Options::default() }, 3);
    let class = queue("htb", 0x1_0001, 0x1_0000, Options { rate: Some(1000), ..Options::default() }, 3);
    let said = said(vec![top], vec![class]);
    assert!(
        said.summary.starts_with("class 1:1 of the htb qdisc 1: of c0 (8 kbit/s) takes no more"),
        "{}",
        said.summary
    );
}

#[test]
fn loss_on_purpose() {
    let options = Options { loss: Some(u32::MAX), ..limited(Limit::Packets(1000)) };
    let said = said(vec![queue("netem", 0x8001_0000, ROOT, options, 4)], Vec::new());
    assert_eq!(
        said.summary,
        "the netem qdisc 8001: of c0 drops 100% of the packets on purpose, 4 packets dropped so far"
    );
    assert!(said.remedy[1].ends_with("tc qdisc del dev c0 root"));
}

#[test]
fn two_that_may_have_done_it_are_a_guess() {
    let mut full = queue("pfifo", 0x2_0000, 0x1_0001, limited(Limit::Packets(1)), 3);
    full.counters.length = 1;
    let other = queue("pfifo", 0x3_0000, 0x1_0002, limited(Limit::Packets(10)), 9);
    let said = said(vec![other, full], Vec::new());
    assert!(said.summary.starts_with("the pfifo qdisc 2: of c0"));
    assert_eq!(said.confidence, Confidence::Inferred);
    assert!(said.evidence.iter().any(|fact| fact == "one more queue of the device has dropped packets"));
}

#[test]
fn a_device_without_carrier_has_no_queue_to_blame() {
    let off = Link { has_carrier: false, ..works() };
    let facts = Qdisc { link: Some(off), queues: vec![bucket()], ..Qdisc::default() };
    let said = said_of(&facts, Some("QDISC_DROP"));
    assert_eq!((said.cause, said.summary.starts_with("c0 has no carrier")), (Cause::Device, true));
    assert_eq!(said_of(&facts, None).cause, Cause::Device);
    assert_eq!(said_of(&facts, Some("QDISC_OVERLIMIT")).cause, Cause::Qdisc, "no such queue gives that reason");
}

#[test]
fn a_reason_of_one_kind_names_that_kind() {
    let fair = Options { flow_limit: Some(100), ..limited(Limit::Packets(10_000)) };
    let queues = vec![bucket(), queue("fq", 0x2_0000, 0x8001_0001, fair, 1)];
    let facts = Qdisc { link: Some(works()), queues, ..Qdisc::default() };
    let said = said_of(&facts, Some("FQ_FLOW_LIMIT"));
    assert!(said.summary.starts_with("the fq qdisc 2: of c0 (limit 10000 packets, 100 packets a flow)"));
}

#[test]
fn without_a_drop_nothing_is_blamed() {
    let idle = queue("pfifo", 0x2_0000, ROOT, limited(Limit::Packets(1)), 0);
    let said = said(vec![idle], Vec::new());
    assert_eq!(said.summary, "before");
    assert!(said.unknown.unwrap().contains("no queue of c0 had counted a drop"));
    assert_eq!(said_of(&Qdisc::default(), None).summary, "before");
}

#[test]
fn a_limit_of_a_pod_has_its_owner() {
    let pod = Link { name: "bwp0123456789ab".into(), kind: Some("ifb".into()), ..works() };
    let facts = Qdisc { link: Some(pod), queues: vec![bucket()], ..Qdisc::default() };
    assert_eq!(said_of(&facts, None).owner.as_deref(), Some("bandwidth plugin"));
}
