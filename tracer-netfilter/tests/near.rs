//! The nearest rule by a ruleset alone, in the shapes that policy engines leave. Needs root, `iptables-nft`, `nft` and `ipset`;
//! works in network namespaces of its own.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use tracer_netfilter::evaluate::walk;
use tracer_netfilter::live::{self, Live};
use tracer_netfilter::near::{Asked, Near, nearest};
use tracer_netfilter::owner::{self, PolicyDirection, PolicyRef};
use tracer_netfilter::packet::{Connection, ConnectionState, Device, Known, Mark};
use tracer_netfilter::walk::{Layer, Question};
use tracer_netfilter::{Hook, Packet};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 1, 2);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 2, 2);

fn feed(program: &[&str], text: &str) {
    let mut child =
        Command::new(program[0]).args(&program[1..]).stdin(Stdio::piped()).spawn().expect("it is installed");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{program:?}: {text}");
}

/// A new packet from the client to the server.
fn packet(protocol: u8, port: u16) -> Packet {
    let mut bytes = vec![0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, protocol, 0, 0];
    bytes.extend(CLIENT.octets().into_iter().chain(SERVER.octets()));
    bytes.extend([40000_u16.to_be_bytes(), port.to_be_bytes()].concat());
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
    let device = |index, name: &str| Known::Is(Device { index, name: name.to_owned(), ..Device::default() });
    let new = Connection {
        state: ConnectionState::New,
        is_reply: false,
        mark: Some(0),
        status: Some(0),
        original: None,
        reply: None,
    };
    let packet = Packet::from_network(0x0800, &bytes);
    Packet {
        input: device(11, "r1"),
        output: device(12, "r2"),
        mark: Mark::Before(0),
        connection: Known::Is(new),
        ..packet
    }
}

/// Loads sets and rules into a namespace that is gone afterwards, and asks about a packet that is forwarded.
fn near(sets: &str, program: &'static [&'static str], rules: &str, packet: Packet) -> Option<Near> {
    let fill = |text: &str| {
        text.replace("%client%", &CLIENT.to_string())
            .replace("%server%", &SERVER.to_string())
            .replace("%len%", "32")
            .replace("%v%", "4")
            .replace("%inet%", "inet")
            .replace("%ip%", "ip")
            .replace("%addr%", "ipv4_addr")
            .replace("%unreach%", "icmp-port-unreachable")
    };
    let (sets, rules) = (fill(sets), fill(rules));
    let thread = std::thread::spawn(move || {
        // SAFETY: `unshare` takes no pointers; only this thread gets the new namespace.
        let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(result, 0, "this test needs root: {}", std::io::Error::last_os_error());
        if !sets.is_empty() {
            feed(&["ipset", "restore"], &sets);
        }
        feed(program, &rules);
        let (ruleset, world) = (live::ruleset(), Live::new());
        let question =
            Question { packet: &packet, hook: Hook::Forward, layer: Layer::Ip, backend: None, verbose: false };
        let walk = walk(&ruleset, &question, &world);
        let candidate = walk.candidates.iter().find(|candidate| candidate.unknown.is_empty()).expect("a drop");
        let owner = owner::recognise(&ruleset, candidate, &packet).expect("an owner");
        let asked = Asked {
            ruleset: &ruleset,
            table: candidate.place.table,
            packet: &packet,
            hook: Hook::Forward,
            world: &world,
        };
        nearest(&asked, &owner.enforced.expect("a policy engine"))
    });
    thread.join().unwrap()
}

const IPTABLES: &[&str] = &["iptables-nft-restore"];

macro_rules! ruleset {
    ($name:literal) => {
        include_str!(concat!("../../tests/rulesets/", $name))
    };
}

/// Without the lines that say this.
fn without(rules: &str, part: &str) -> String {
    rules.split_inclusive('\n').filter(|line| !line.contains(part)).collect()
}

fn ingress(name: &str) -> PolicyRef {
    PolicyRef { namespace: Some("shop".to_owned()), name: name.to_owned(), direction: PolicyDirection::Ingress }
}

#[test]
fn azure_npm_says_which_label_is_missing() {
    // The client is no longer among the pods with the label.
    let sets = ruleset!("azure-npm.ipset").replace("add azure-npm-3922407721 %client%\n", "");
    let near_of = |packet| near(&sets, IPTABLES, ruleset!("azure-npm.iptables"), packet).unwrap();
    let label = near_of(packet(17, 7777));
    assert_eq!(label.policy, Some(ingress("web-in")));
    assert_eq!(label.mismatch, "the source 10.99.1.2 is not in the set azure-npm-3922407721 (podlabel-app:front)");
    assert_eq!(label.place.number, 1);
    let both = near_of(packet(6, 10250)).mismatch;
    let port = "and udp dport 7777 wanted, tcp dport 10250 was used";
    assert!(both.contains("podlabel-app:front") && both.ends_with(port), "{both}");
}

#[test]
fn the_port_is_told_where_only_that_is_another_one() {
    let near = near(ruleset!("azure-npm.ipset"), IPTABLES, ruleset!("azure-npm.iptables"), packet(17, 7778)).unwrap();
    assert_eq!(near.mismatch, "udp dport 7777 wanted, 7778 was used");
}

#[test]
fn the_rule_with_the_fewest_failures_wins() {
    let nearer = "-A AZURE-NPM-INGRESS-3618314628 -p tcp -m tcp --dport 5432 -m comment --comment ALLOW-ALL-ON-TCP-TO-PORT-5432 -j AZURE-NPM-INGRESS-ALLOW-MARK\n-A AZURE-NPM-INGRESS-3618314628 -m comment --comment \"DROP-ALL\"";
    let rules = ruleset!("azure-npm.iptables").replacen(
        "-A AZURE-NPM-INGRESS-3618314628 -m comment --comment \"DROP-ALL\"",
        nearer,
        1,
    );
    let sets = ruleset!("azure-npm.ipset").replace("add azure-npm-3922407721 %client%\n", "");
    let near = near(&sets, IPTABLES, &rules, packet(6, 5433)).unwrap();
    assert_eq!((near.place.number, near.mismatch.as_str()), (2, "tcp dport 5432 wanted, 5433 was used"));
}

#[test]
fn calico_by_iptables_and_by_nft() {
    let near_of = near(ruleset!("calico.ipset"), IPTABLES, ruleset!("calico.iptables"), packet(17, 7778)).unwrap();
    assert_eq!(
        (near_of.policy, near_of.mismatch.as_str()),
        (Some(ingress("web-in")), "udp dport 7777 wanted, 7778 was used")
    );
    let gone: String =
        ruleset!("calico.ipset").lines().filter(|line| line.starts_with("create")).collect::<Vec<_>>().join("\n");
    let label = near(&format!("{gone}\n"), IPTABLES, ruleset!("calico.iptables"), packet(17, 7777)).unwrap();
    assert_eq!(label.mismatch, "the source 10.99.1.2 is not in the set cali40s:9Kvxs7EvTqpHGkdTXmN-gVH");
    let by_nft = near("", &["nft", "-f", "-"], ruleset!("calico.nft"), packet(17, 7778)).unwrap();
    assert_eq!(
        (by_nft.policy, by_nft.mismatch.as_str()),
        (Some(ingress("web-in")), "udp dport 7777 wanted, 7778 was used")
    );
}

#[test]
fn kube_router() {
    let sets = ruleset!("kube-router.ipset").replace("add KUBE-SRC-ZXQKBCIIXIDWQ3RE %client%\n", "");
    // The client's own chain allows it to leave.
    let rules = without(ruleset!("kube-router.iptables"), "-A KUBE-ROUTER-FORWARD -s %client%");
    let near = near(&sets, IPTABLES, &rules, packet(17, 7777)).unwrap();
    assert_eq!(near.policy, Some(ingress("web-in")));
    assert_eq!(near.mismatch, "the source 10.99.1.2 is not in the set KUBE-SRC-ZXQKBCIIXIDWQ3RE");
}

#[test]
fn a_policy_without_rules_allows_nothing() {
    let rules = without(ruleset!("azure-npm.iptables"), "AZURE-NPM-INGRESS-3618314628 -p udp");
    let near = near(ruleset!("azure-npm.ipset"), IPTABLES, &rules, packet(6, 80)).unwrap();
    assert_eq!((near.place.number, near.mismatch.as_str()), (0, "it has no rule that allows any ingress"));
}
