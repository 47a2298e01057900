use super::*;
use crate::event::Cause;
use crate::host::Interface;
use crate::node::checksum::Offload;

fn facts(faults: Vec<Fault>) -> Checksum {
    let device = Interface { index: 3, name: "eth0".into(), ..Interface::default() };
    let offload = Offload { driver: Some("ixgbe".into()), receive: Some(true), transmit: Some(true), errors: Some(7) };
    Checksum { faults, device: Some(device), offload, peer: None }
}

fn told(facts: &Checksum, reason: &'static str) -> Explanation {
    let drop = Observation { reason: Some(reason), source: "10.0.0.1".parse().ok(), ..Observation::default() };
    let mut explanation = Explanation::new(Cause::Checksum, Confidence::Derived, "as it was");
    refine(&mut explanation, facts, &drop);
    explanation
}

#[test]
fn the_checksum_and_the_right_one_are_named() {
    let fault = Fault::Checksum { of: "IPv4 header", found: 0x1234, right: 0xabcd };
    let told = told(&facts(vec![fault]), "IP_CSUM");
    assert_eq!(told.summary, "its IPv4 header checksum is 0x1234, it should be 0xabcd (sent by 10.0.0.1)");
    assert_eq!(told.confidence, Confidence::Certain);
    assert!(told.evidence[1].contains("eth0 (driver ixgbe): rx-checksumming on, tx-checksumming on, 7 receive errors"));
    assert!(told.remedy.contains(&"ethtool -K eth0 rx off".to_owned()));
}

#[test]
fn the_fault_that_fits_the_reason_comes_first() {
    let sum = Fault::Checksum { of: "UDP", found: 1, right: 2 };
    let header = Fault::Header("its version field is 5, not 4".into());
    let told = told(&facts(vec![sum, header]), "IP_INHDR");
    assert_eq!(told.summary, "its version field is 5, not 4 (sent by 10.0.0.1)");
    assert!(
        !told.evidence.iter().any(|fact| fact.contains("UDP")),
        "that may be left to hardware: {:?}",
        told.evidence
    );
    assert!(!told.remedy.iter().any(|remedy| remedy.contains("ethtool")));
}

#[test]
fn what_the_bytes_do_not_show_is_open() {
    let told = told(&facts(Vec::new()), "TCP_CSUM");
    assert_eq!((told.summary.as_str(), told.confidence), ("as it was", Confidence::Derived));
    assert!(told.unknown.unwrap().starts_with("which checksum it has"));
}

#[test]
fn a_virtual_device_is_switched_at_the_sender_only() {
    let fault = Fault::Checksum { of: "TCP", found: 1, right: 2 };
    let mut facts = facts(vec![fault]);
    facts.offload.driver = Some("veth".into());
    let told = told(&facts, "TCP_CSUM");
    assert!(!told.remedy.iter().any(|remedy| remedy.contains("rx off")), "{:?}", told.remedy);
}
