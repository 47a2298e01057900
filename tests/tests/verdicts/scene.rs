//! Two pods of a node, named by a container runtime of the test's own: `shop/web` asks, `shop/db` answers.

use std::path::Path;

use anyhow::{Result, ensure};
use tracer_tests::cloud::{self, Cloud, PODS};
use tracer_tests::event::key;
use tracer_tests::traffic::server::{Tcp, Udp};
use tracer_tests::traffic::talk::{self, Fate, Talk};
use tracer_tests::{Event, Expect, FakeCri, Family, NetNs, Report, Schema, Tracer, patience, tracer};

/// What db answers at.
pub(crate) const OPEN: u16 = 5432;
/// What db would answer at, if nothing was in the way.
pub(crate) const CLOSED: u16 = 5433;

#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) lab: Cloud,
    pub(crate) cri: FakeCri,
    _tcp: Vec<Tcp>,
    _udp: Vec<Udp>,
}

impl Scene {
    pub(crate) fn new() -> Result<Self> {
        let (lab, cri) = (cloud::cloud()?, FakeCri::new()?);
        for ((name, pod), address) in ["web", "db"].into_iter().zip(&lab.pods).zip(PODS) {
            let (v4, v6) = (address.v4.to_string(), address.v6.to_string());
            cri.pod("shop", name).labels(&[("app", name)]).address(&v4).address(&v6).netns(&pod.path()).run();
        }
        let (mut tcp, mut udp) = (Vec::new(), Vec::new());
        for family in Family::BOTH {
            for port in [OPEN, CLOSED] {
                tcp.push(Tcp::listen(&lab.pods[1], PODS[1].port(family, port))?);
                udp.push(Udp::echo(&lab.pods[1], PODS[1].port(family, port))?);
            }
        }
        Ok(Self { lab, cri, _tcp: tcp, _udp: udp })
    }

    pub(crate) fn web(&self) -> &NetNs {
        &self.lab.pods[0]
    }

    /// A firewall as kube-router leaves it: db takes nothing but what its policy `db-in` allows.
    pub(crate) fn enforce(&self) -> Result<()> {
        for (family, command, unreachable) in [
            (Family::V4, "iptables-nft", "icmp-port-unreachable"),
            (Family::V6, "ip6tables-nft", "icmp6-port-unreachable"),
        ] {
            let db = PODS[1].ip(family);
            let rules = format!(
                "*filter
:FORWARD ACCEPT [0:0]
:KUBE-NWPLCY-5VLCZNPWIAXAL2HB - [0:0]
:KUBE-POD-FW-XIOATVM5TOINSO4V - [0:0]
:KUBE-ROUTER-FORWARD - [0:0]
-A FORWARD -m comment --comment \"kube-router netpol - TEMCG2JMVZWTQEZH\" -j KUBE-ROUTER-FORWARD
-A KUBE-NWPLCY-5VLCZNPWIAXAL2HB -p tcp -m comment --comment \"rule to ACCEPT traffic from source pods to dest pods selected by policy name db-in namespace shop\" -m tcp --dport {OPEN} -j MARK --set-xmark 0x10000/0x10000
-A KUBE-NWPLCY-5VLCZNPWIAXAL2HB -p udp -m comment --comment \"rule to ACCEPT traffic from source pods to dest pods selected by policy name db-in namespace shop\" -m udp --dport {OPEN} -j MARK --set-xmark 0x10000/0x10000
-A KUBE-POD-FW-XIOATVM5TOINSO4V -m comment --comment \"rule for stateful firewall for pod\" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A KUBE-POD-FW-XIOATVM5TOINSO4V -m comment --comment \"run through nw policy db-in\" -j KUBE-NWPLCY-5VLCZNPWIAXAL2HB
-A KUBE-POD-FW-XIOATVM5TOINSO4V -m comment --comment \"rule to REJECT traffic destined for POD name:db namespace: shop\" -m mark ! --mark 0x10000/0x10000 -j REJECT --reject-with {unreachable}
-A KUBE-POD-FW-XIOATVM5TOINSO4V -j MARK --set-xmark 0x0/0x10000
-A KUBE-ROUTER-FORWARD -d {db} -m comment --comment \"rule to jump traffic destined to POD name:db namespace: shop to chain KUBE-POD-FW-XIOATVM5TOINSO4V\" -j KUBE-POD-FW-XIOATVM5TOINSO4V
COMMIT
"
            );
            self.lab.node.exec(&format!("{command}-restore -w 20 <<'RULES'\n{rules}RULES\n"))?;
        }
        Ok(())
    }

    /// `whydrop verdicts -o json` of the node, ready.
    pub(crate) fn watch(&self, more: &[&str]) -> Result<Tracer> {
        let node = self.lab.node.inode()?.to_string();
        let mut command = tracer::command([
            "verdicts",
            "-o",
            "json",
            "--udp",
            "5432,5433",
            "--netns",
            &node,
            "--cri",
            self.cri.path(),
        ])?;
        Tracer::spawn(command.args(more))
    }

    /// The same without the API.
    pub(crate) fn watch_without_api(&self) -> Result<Tracer> {
        self.watch(&["--kubernetes", "off"])
    }

    /// The same with it.
    pub(crate) fn watch_with(&self, kubeconfig: &Path) -> Result<Tracer> {
        self.watch(&["--kubeconfig", kubeconfig.to_str().unwrap_or_default()])
    }

    /// Web connects to db so often, over TCP, and each time over UDP as well.
    pub(crate) fn talk(&self, family: Family, port: u16, times: u32) -> Result<()> {
        let to = PODS[1].port(family, port);
        for _ in 0..times {
            Talk::open(self.web(), to)?.exchange(10, 10)?;
            let fate = talk::ask(self.web(), to, b"hello", patience())?;
            ensure!(fate == Fate::Answered, "udp to {to}: {fate:?}");
        }
        Ok(())
    }
}

/// db hears nothing any more, and no packet is dropped that the kernel tells of: each is taken at its own door (`TC_ACT_STOLEN` is 4).
pub(crate) fn swallow(lab: &Cloud) -> Result<()> {
    let add = "tc filter add dev eth0 ingress bpf da bytecode \"1,6 0 0 4\"";
    lab.pods[1].exec(&format!("tc qdisc add dev eth0 clsact && {add}")).map(drop)
}

/// The lines of verdicts like this.
pub(crate) fn verdict(direction: &str, verdict: &str, protocol: &str, port: u16) -> Expect {
    Expect::any()
        .with(key::KIND, "verdict")
        .with(key::POLICY_SIDE, direction)
        .with(key::VERDICT, verdict)
        .with(key::FLOW_PROTOCOL, protocol)
        .with(key::FLOW_DESTINATION_PORT, port)
}

/// The connections that these lines stand for, of one family.
pub(crate) fn attempts(report: &Report, wanted: &Expect, family: Family) -> Result<u64> {
    let is_of =
        |event: &&Event| event.text(key::FLOW_DESTINATION).parse().is_ok_and(|address| Family::of(address) == family);
    report.matching(wanted).filter(is_of).map(|event| event.number(key::ATTEMPTS)).sum()
}

/// Fails unless every line is as the schema says, and the totals are the sums of the lines.
pub(crate) fn adds_up(report: &Report) -> Result<()> {
    for event in report.events.iter().chain([&report.header]) {
        Schema::of(event.text(key::KIND))?.check(&event.0)?;
    }
    let stats = report.stats()?;
    for (word, total) in [("allowed", key::VERDICTS_ALLOWED), ("denied", key::VERDICTS_DENIED)] {
        let of_word = Expect::any().with(key::KIND, "verdict").with(key::VERDICT, word);
        let lines: u64 = report.matching(&of_word).map(|event| event.number(key::ATTEMPTS)).sum::<Result<u64>>()?;
        ensure!(lines == stats.number(total)?, "{lines} {word} in lines, and {stats}");
    }
    Ok(())
}
