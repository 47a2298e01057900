//! What is said about programs, from facts as they are read.

use std::time::{Duration, SystemTime};

use super::refine;
use crate::event::{Cause, Confidence, Explanation};
use crate::explain::Observation;
use crate::node::program::{Action, Attached, Direction, Filter, Hold, Metrics, Owner, Place, Program, Programs, Why};

const CILIUM: Owner = Owner { name: "cilium", enforces: true };

fn program(id: u32, name: &str, owner: Option<Owner>) -> Program {
    let loaded = Some(SystemTime::UNIX_EPOCH + Duration::from_mins(1));
    let (kind, tag) = ("sched_cls".to_owned(), "a04f5eef06a7f555".to_owned());
    Program { id, name: name.to_owned(), kind, tag, loaded, owner, ..Program::default() }
}

fn at_eth0(place: Place, attached: Vec<Attached>) -> Programs {
    let device = Some("eth0".to_owned());
    Programs { place: Some(place), device, attached, complete: true, ..Programs::default() }
}

fn tcx(program: Program, link: Option<u32>) -> Attached {
    Attached { hold: Hold::Tcx, link, program: Some(program) }
}

fn refined(facts: &Programs) -> Explanation {
    let drop = Observation {
        interface: Some("eth0"),
        netns_entry: Some("nsenter --net=/run/netns/pod"),
        source: "10.0.0.1".parse().ok(),
        destination: "10.0.0.2".parse().ok(),
        destination_port: Some(53),
        protocol: Some(17),
        ..Observation::default()
    };
    let mut explanation = Explanation::new(Cause::BpfProgram, Confidence::Derived, "as the event says");
    explanation.remedy = vec!["as the catalogue says".to_owned()];
    refine(&mut explanation, facts, &drop);
    explanation
}

const INGRESS: Place = Place::Tc(Direction::Ingress);

#[test]
fn one_program_at_the_place_did_it() {
    let said = refined(&at_eth0(INGRESS, vec![tcx(program(77, "drops", None), None)]));
    assert_eq!(said.summary, "the tc program drops (id 77) at eth0 ingress dropped it");
    assert_eq!((said.confidence, said.unknown, said.owner), (Confidence::Derived, None, None));
    let named = said.program.unwrap();
    assert_eq!((named.id, named.attach.as_str(), named.kind.as_str()), (77, "eth0 ingress", "sched_cls"));
    assert_eq!(said.evidence[1], "drops (id 77) has tag a04f5eef06a7f555, was loaded at 1970-01-01T00:01:00Z by uid 0");
    let detach = "nsenter --net=/run/netns/pod bpftool net detach tcx_ingress dev eth0";
    assert_eq!(said.remedy.last().map(String::as_str), Some(detach));
}

#[test]
fn of_several_the_one_that_enforces_is_likelier_than_the_one_that_watches() {
    let watches = Owner { name: "netobserv", enforces: false };
    let list = vec![
        tcx(program(1, "tc_ingress_flow", Some(watches)), Some(5)),
        tcx(program(2, "plain", None), None),
        tcx(program(3, "cil_from_netdev", Some(CILIUM)), Some(6)),
    ];
    let said = refined(&at_eth0(INGRESS, list));
    let expected =
        "one of 3 programs and filters at eth0 ingress dropped it, likeliest the tc program cil_from_netdev (id 3)";
    assert_eq!((said.summary.as_str(), said.confidence), (expected, Confidence::Inferred));
    assert!(said.evidence[0].ends_with("by tcx link 6, number 3 of 3"), "{:?}", said.evidence);
    assert!(said.evidence.contains(&"also attached: tc_ingress_flow (id 1)".to_owned()), "{:?}", said.evidence);
    assert_eq!(said.owner.as_deref(), Some("cilium"));
    let [.., warning, detach] = &said.remedy[..] else { panic!("{:?}", said.remedy) };
    assert!(warning.contains("not for long") && warning.contains("cilium"), "{warning}");
    assert_eq!(detach, "bpftool link detach id 6");
}

#[test]
fn a_filter_is_told_as_tc_prints_it() {
    let action = Action { kind: "gact".into(), drops: true, dropped: Some(412), ..Action::default() };
    let filter = Filter {
        kind: "u32".into(),
        protocol: 0x0800,
        pref: 10,
        handle: 0x8000_0800,
        actions: vec![action],
        ..Filter::default()
    };
    let said = refined(&at_eth0(INGRESS, vec![Attached { hold: Hold::Filter(filter), link: None, program: None }]));
    let filter = "filter protocol ip pref 10 u32 handle 800::800 action drop";
    assert_eq!(said.summary, format!("the tc {filter} at eth0 ingress dropped it"));
    assert_eq!(
        said.evidence,
        [
            format!("eth0 ingress has the tc {filter}"),
            "the action drop of this filter has dropped 412 packets".to_owned()
        ]
    );
    assert_eq!((said.program, said.confidence), (None, Confidence::Derived));
    let ns = "nsenter --net=/run/netns/pod";
    assert_eq!(said.remedy[0], format!("{ns} tc -s filter show dev eth0 ingress"));
    let last = format!("{ns} tc filter del dev eth0 ingress protocol ip pref 10 handle 800::800 u32");
    assert_eq!(said.remedy.last(), Some(&last));
}

#[test]
fn cilium_gives_its_reason_only_if_one_counter_rose() {
    let since = Some(SystemTime::UNIX_EPOCH);
    let denied = (Why { reason: 133, direction: 2 }, 3);
    let other = (Why { reason: 158, direction: 3 }, 1);
    let with = |metrics: Metrics| {
        let list = vec![tcx(program(77, "cil_from_container", Some(CILIUM)), None)];
        refined(&Programs { cilium: Some(metrics), ..at_eth0(INGRESS, list) })
    };
    let said = with(Metrics { rose: vec![denied], since, sums: vec![denied] });
    assert!(said.summary.ends_with("dropped it: Policy denied (egress)"), "{}", said.summary);
    let sentence = "Cilium's metrics map: Policy denied (egress) rose by 3 since 1970-01-01T00:00:00Z";
    assert_eq!(said.evidence.last().map(String::as_str), Some(sentence));
    assert!(said.remedy.contains(&"cilium-dbg monitor --type drop".to_owned()));
    let two = with(Metrics { rose: vec![denied, other], since, sums: Vec::new() });
    assert!(two.summary.ends_with("dropped it") && two.evidence.last().unwrap().contains("Service backend not found"));
    let first = with(Metrics { rose: Vec::new(), since: None, sums: vec![denied] });
    assert!(first.unknown.unwrap().contains("not read before this drop"));
}

#[test]
fn a_cgroup_of_systemd_is_opened_by_its_unit() {
    let systemd = Owner { name: "systemd", enforces: true };
    let path = "/sys/fs/cgroup/system.slice/web.service".to_owned();
    let hold = Hold::Cgroup("/sys/fs/cgroup/system.slice".to_owned());
    let attached = vec![Attached { hold, link: None, program: Some(program(9, "sd_fw_egress", Some(systemd))) }];
    let place = Place::Cgroup(Direction::Egress);
    let facts = Programs { cgroup: Some(path), device: None, ..at_eth0(place, attached) };
    let said = refined(&facts);
    let expected = "the cgroup program sd_fw_egress (id 9) of /sys/fs/cgroup/system.slice refused what its socket sent";
    assert_eq!((said.summary.as_str(), said.confidence), (expected, Confidence::Derived));
    assert!(said.remedy.contains(&"systemctl set-property --runtime system.slice IPAddressAllow=10.0.0.2".to_owned()));
    assert_eq!(said.remedy.last().unwrap(), "bpftool cgroup detach /sys/fs/cgroup/system.slice egress id 9");
    // Which cgroup it is is not known: all that have such programs are told, and none is certain.
    let said = refined(&Programs { cgroup: None, ..facts });
    assert_eq!(said.confidence, Confidence::Inferred);
}

#[test]
fn a_socket_filter_is_what_is_left() {
    let place = Place::Cgroup(Direction::Ingress);
    let said = refined(&Programs { cgroup: Some("/sys/fs/cgroup/a".into()), ..at_eth0(place, Vec::new()) });
    assert_eq!(said.summary, "a filter that the program behind udp 10.0.0.2:53 put on its own socket refused it");
    assert_eq!(said.remedy[0], "nsenter --net=/run/netns/pod ss -lunp 'sport = :53'");
    assert!(said.unknown.is_some() && said.program.is_none());
    // Without the cgroup it could be either.
    let said = refined(&at_eth0(place, Vec::new()));
    assert_eq!((said.summary.as_str(), said.unknown.is_some()), ("as the event says", true));
}

#[test]
fn what_could_not_be_looked_at_changes_nothing() {
    let refused = Programs { complete: false, ..at_eth0(INGRESS, Vec::new()) };
    for facts in [Programs::default(), refused] {
        let said = refined(&facts);
        assert_eq!((said.summary.as_str(), said.unknown), ("as the event says", None));
        assert_eq!(said.remedy, ["as the catalogue says"]);
    }
    let gone = refined(&at_eth0(INGRESS, Vec::new()));
    assert_eq!(gone.unknown.unwrap(), "which program: none that was there at the drop is attached at eth0 ingress now");
    assert_eq!(gone.summary, "as the event says");
}

#[test]
fn a_hostile_interface_name_cannot_run_anything() {
    let filter = Filter { kind: "u32;reboot".into(), handle: 1, ..Filter::default() };
    let attached = vec![Attached { hold: Hold::Filter(filter), link: None, program: None }];
    let said = refined(&Programs { device: Some("$(reboot)".into()), ..at_eth0(INGRESS, attached) });
    let last = said.remedy.last().unwrap();
    assert!(last.contains("dev '$(reboot)' ingress") && last.ends_with("'u32;reboot'"), "{last}");
}

#[test]
fn a_redirect_names_where_the_program_is_and_where_it_sent_to() {
    let mut facts = at_eth0(Place::Redirect, vec![tcx(program(7, "sends", None), None)]);
    facts.device = Some("eth1".to_owned());
    let said = refined(&facts);
    assert_eq!(said.summary, "the tc program sends (id 7) at eth1 ingress sent it to eth0, which does not take it");
    assert_eq!(said.confidence, Confidence::Inferred);
}
