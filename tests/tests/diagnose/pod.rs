//! It was handed to a pod, and the pod is silent or refuses.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use socket2::{Domain, Socket, Type};
use tracer_tests::cloud::{PODS, VIP};
use tracer_tests::event::{Event, key};
use tracer_tests::firewall::nft;
use tracer_tests::program::Program;
use tracer_tests::topology::ip;
use tracer_tests::traffic::server::Tcp;
use tracer_tests::traffic::talk::{Fate, Talk};
use tracer_tests::{Family, Findings, NetNs};

use crate::scene::{Scene, attempts, in_both, unanswered};

const PORT: u16 = 8080;

/// A listener that nobody accepts from, with room for two connections.
fn short_queue(pod: &NetNs, at: SocketAddr) -> Result<Socket> {
    pod.run(|| {
        let socket = Socket::new(Domain::for_address(at), Type::STREAM, None)?;
        socket.bind(&at.into())?;
        // "Greater than the backlog" is full.
        socket.listen(1)?;
        Ok(socket)
    })
}

/// Attempts from outside that the first pod does not answer, and no packet is dropped.
fn silent(scene: &Scene, family: Family, confidence: &str, words: &[&str]) -> Result<Event> {
    let findings = ended(scene, family, "no_answer")?;
    findings.only("no_answer", confidence, &[&["8080", "v1"], words].concat()).cloned()
}

fn ended(scene: &Scene, family: Family, outcome: &str) -> Result<Findings> {
    let mut diagnosis = scene.diagnose(&[])?;
    unanswered(&scene.lab.internet, &[PODS[0].port(family, PORT)], 3)?;
    diagnosis.sees_many(family, outcome, "tcp", PORT, 3)?;
    scene.end(diagnosis)
}

#[test]
fn its_listener_has_no_room() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let at = PODS[0].port(family, PORT);
        let program = Program::holding(&scene.lab.pods[0], short_queue(&scene.lab.pods[0], at)?)?;
        let _waiting = [0, 1].map(|_| Talk::open(&scene.lab.node, at));
        silent(&scene, family, "derived", &["accept queue", &program.label(), "is full"]).map(drop)
    })
}

#[test]
fn its_program_is_stopped() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let at = PODS[0].port(family, PORT);
        let program = Program::holding(&scene.lab.pods[0], short_queue(&scene.lab.pods[0], at)?)?;
        program.signal(libc::SIGSTOP)?;
        let _waiting = [0, 1].map(|_| Talk::open(&scene.lab.node, at));
        silent(&scene, family, "derived", &[&program.label(), "is stopped"]).map(drop)
    })
}

#[test]
fn nobody_listens_and_its_firewall_keeps_the_refusal_back() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        nft(
            &scene.lab.pods[0],
            "table inet t { chain o { type filter hook output priority 0; tcp flags rst drop; }; }",
        )?;
        // Nobody has the port, but that the client hears nothing is due to the rule.
        let findings = ended(&scene, family, "dropped")?;
        let finding = findings.only("netfilter_rule", "certain|derived", &["8080", "is never answered"])?;
        ensure!(finding.text(key::RULE_TEXT) == "tcp flags rst drop", "{finding}");
        Ok(())
    })
}

#[test]
fn its_firewall_drops_what_comes() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let _server = Tcp::listen(&scene.lab.pods[0], PODS[0].port(family, PORT))?;
        nft(
            &scene.lab.pods[0],
            "table inet t { chain i { type filter hook input priority 0; tcp dport 8080 drop; }; }",
        )?;
        let findings = ended(&scene, family, "dropped")?;
        let finding = findings.only("netfilter_rule", "certain|derived", &["8080", "inet t/i"])?;
        ensure!(finding.text(key::RULE_TEXT) == "tcp dport 8080 drop", "{finding}");
        Ok(())
    })
}

#[test]
fn it_has_lost_its_address() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        let (pod, address) = (&scene.lab.pods[0], PODS[0].ip(family));
        // The node still believes that the pod is there.
        let mac = "02:77:00:00:0c:02";
        ip(&scene.lab.node, &format!("neighbour replace {address} lladdr {mac} dev v1 nud permanent\n"))?;
        let length = family.pick(24, 64);
        let mut diagnosis = scene.diagnose(&[])?;
        ip(pod, &format!("address del {address}/{length} dev eth0\n"))?;
        unanswered(&scene.lab.internet, &[PODS[0].port(family, PORT)], 3)?;
        diagnosis.sees_many(family, "dropped", "tcp", PORT, 3)?;
        // The others talk from the second pod only: this one can't.
        let findings = diagnosis.end()?;
        let words = ["8080", "not an address", &address.to_string()];
        findings.only("no_route", "certain|derived", &words).map(drop)
    })
}

#[test]
fn a_service_leads_to_a_port_that_nobody_has() -> Result<()> {
    in_both(|family| {
        let scene = Scene::new()?;
        scene.lab.service(80, 0, 8888)?;
        let _server = Tcp::listen(&scene.lab.pods[0], PODS[0].port(family, PORT))?;
        let mut diagnosis = scene.diagnose(&[])?;
        let fates = attempts(&scene.lab.internet, &[VIP.port(family, 80)], 4)?;
        ensure!(fates.iter().all(|fate| matches!(fate, Fate::Refused(_))), "{fates:?}");
        diagnosis.sees_many(family, "rejected", "tcp", 80, 4)?;
        let findings = scene.end(diagnosis)?;
        let words = ["80", "8888", &VIP.port(family, 80).to_string(), "is refused"];
        let finding = findings.only("no_socket", "derived|certain", &words)?;
        ensure!(
            !finding.text(key::TITLE).contains("destinations"),
            "the Service and its pod are told as two: {finding}"
        );
        Ok(())
    })
}
