//! `--pod`, `--namespace` and `--selector` let through what has to do with the pods that are selected, and nothing else: in the
//! kernel, in the pods' namespaces and on the node, and as the pods come and go.
//!
//! ```text
//! shop/web-0  10.99.1.2  ---  10.99.1.1  node  10.99.2.1  ---  10.99.2.2  shop/db-0
//! ```

use std::net::{IpAddr, SocketAddr, UdpSocket};

use anyhow::{Result, ensure};
use std::sync::atomic::{AtomicU16, Ordering};
use tracer_tests::cri::FakeCri;
use tracer_tests::event::key;
use tracer_tests::topology::{self, CLIENT, ROUTER_1, ROUTER_2, Router, SERVER};
use tracer_tests::traffic::{Flow, tcp, udp};
use tracer_tests::{Diagnosis, Expect, Family, NetNs, Report, Tracer, eventually, tracer};

/// An address in the namespace of `shop/db-0` that nobody says is its.
const UNTOLD: [u8; 4] = [10, 99, 2, 7];

/// A node with two pods.
struct Node {
    lab: Router,
    cri: FakeCri,
}

impl Node {
    fn new() -> Result<Self> {
        let (lab, cri) = (topology::router()?, FakeCri::new()?);
        topology::ip(&lab.server, &format!("address add {}/24 dev s0", IpAddr::from(UNTOLD)))?;
        lab.router
            .exec("iptables -A FORWARD -p udp --dport 84 -j DROP; ip6tables -A FORWARD -p udp --dport 84 -j DROP")?;
        Ok(Self { lab, cri })
    }

    fn with_pods() -> Result<Self> {
        let node = Self::new()?;
        node.run_web();
        node.run_db("db-0");
        Ok(node)
    }

    fn run_web(&self) {
        let pod = self.cri.pod("shop", "web-0").labels(&[("app", "web")]).netns(&self.lab.client.path());
        pod.address(&CLIENT.v4.to_string()).address(&CLIENT.v6.to_string()).run();
    }

    fn run_db(&self, name: &str) {
        let pod = self.cri.pod("shop", name).labels(&[("app", "db")]).netns(&self.lab.server.path());
        pod.address(&SERVER.v4.to_string()).address(&SERVER.v6.to_string()).run();
    }

    /// Watches these three namespaces, as other tests use the same addresses in others.
    fn watch(&self, arguments: &[&str]) -> Result<Tracer> {
        let namespaces = [&self.lab.client, &self.lab.router, &self.lab.server].map(|netns| netns.name().to_owned());
        let places = ["--all", "--interval", "100ms", "--netns", &namespaces.join(","), "--cri", self.cri.path()];
        Tracer::start(&[&places[..], &["--kubernetes", "off"], arguments].concat())
    }

    /// Provokes one drop of each kind, in the order of [`NAMES`].
    fn provoke(&self) -> Result<Vec<Flow>> {
        let Router { client, router, server } = &self.lab;
        let send = |from: &NetNs, to: SocketAddr| from.run(|| Ok(udp::send(to, 1, 20)?.flow));
        let (v4, v6) = (Family::V4, Family::V6);
        Ok(vec![
            send(router, CLIENT.port(v4, 81))?,
            send(router, CLIENT.port(v6, 81))?,
            send(router, SERVER.port(v4, 82))?,
            send(router, (UNTOLD, 83).into())?,
            send(client, SERVER.port(v4, 84))?,
            send(client, SERVER.port(v6, 84))?,
            send(server, ([10, 99, 1, 77], 84).into())?,
            send(client, ROUTER_1.port(v4, 85))?,
            send(server, ROUTER_2.port(v4, 86))?,
            self.masqueraded()?,
        ])
    }

    /// An answer to the web pod that still has the node's address when the node drops it.
    fn masqueraded(&self) -> Result<Flow> {
        let Router { client, router, server } = &self.lab;
        router.exec(
            "iptables -t nat -A POSTROUTING -o r2 -p udp --dport 87 -j MASQUERADE && \
             iptables -t mangle -A PREROUTING -i r2 -p udp --sport 87 -j DROP",
        )?;
        let answerer = server.run(|| Ok(UdpSocket::bind(SERVER.port(Family::V4, 87))?))?;
        client.run(|| udp::send(SERVER.port(Family::V4, 87), 1, 20))?;
        let asked = udp::receive(&answerer)?;
        ensure!(asked.ip() == ROUTER_2.ip(Family::V4), "{asked} is not masqueraded");
        answerer.send_to(b"answer", asked)?;
        Ok(Flow { protocol: "udp", source: answerer.local_addr()?, destination: asked })
    }
}

const NAMES: [&str; 10] = [
    "in web's namespace",
    "in web's namespace, IPv6",
    "in db's namespace",
    "in db's namespace, another address",
    "forwarded from web to db",
    "forwarded from web to db, IPv6",
    "forwarded from db to nobody",
    "from web to the node",
    "from db to the node",
    "masqueraded, to web",
];

fn reported(report: &Report, flow: &Flow) -> Result<u64> {
    report.count(&Expect::any().with(key::KIND, "drop").flow(flow))
}

/// With these arguments exactly the drops of the given numbers are told, and the others were not even copied.
fn passes(arguments: &[&str], wanted: &[usize]) -> Result<()> {
    let node = Node::with_pods()?;
    let tracer = node.watch(arguments)?;
    let is_waited_for = tracer.header().to_string().contains("it is waited for");
    ensure!(is_waited_for == wanted.is_empty(), "{arguments:?}: {}", tracer.header());
    let flows = node.provoke()?;
    let report = tracer.stop()?;
    report.ensure_clean()?;
    for (number, flow) in flows.iter().enumerate() {
        let (counted, expected) = (reported(&report, flow)?, u64::from(wanted.contains(&number)));
        ensure!(counted == expected, "{arguments:?}: {} is told {counted} times", NAMES[number]);
    }
    let stats = report.stats()?;
    let left_out = (flows.len() - wanted.len()) as u64;
    ensure!(stats.number(key::FILTERED)? >= left_out, "{arguments:?}: not filtered in the kernel: {stats}");
    Ok(())
}

const WEB: [usize; 6] = [0, 1, 4, 5, 7, 9];
const DB: [usize; 7] = [2, 3, 4, 5, 6, 8, 9];

#[test]
fn by_name() -> Result<()> {
    passes(&["--pod", "shop/web-0"], &WEB)?;
    passes(&["--pod", "db-0", "--namespace", "shop"], &DB)?;
    passes(&["--pod", "shop/web-0,shop/db-0"], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9])?;
    passes(&["--pod", "shop/web-1"], &[])
}

#[test]
fn by_labels() -> Result<()> {
    passes(&["--selector", "app=web"], &WEB)?;
    passes(&["-n", "shop", "-l", "app notin (web),app"], &DB)
}

#[test]
fn with_other_filters_both_must_hold() -> Result<()> {
    passes(&["-l", "app=web", "--port", "84"], &[4, 5])?;
    passes(&["-l", "app=db", "--host", "10.99.0.0/16", "--proto", "udp", "--port", "82,83"], &[2, 3])
}

/// Sends a datagram to a port that nobody listens on until it is told, or is told no more.
fn until_told(node: &Node, tracer: &mut Tracer, is_told: bool) -> Result<()> {
    // Another port each time: the first packet of a flow has a line of its own for certain.
    static PORT: AtomicU16 = AtomicU16::new(1000);
    eventually("what is sent is told, or is told no more", || {
        let port = PORT.fetch_add(1, Ordering::Relaxed);
        let probe = node.lab.router.run(|| Ok(udp::send(SERVER.port(Family::V4, port), 1, 20)?.flow))?;
        // What is told before this is all that there is of the other.
        let control = node.lab.router.run(|| Ok(udp::send(CLIENT.port(Family::V4, port), 1, 20)?.flow))?;
        tracer.wait_for(&Expect::drop("NO_SOCKET").flow(&control))?;
        let wanted = Expect::drop("NO_SOCKET").flow(&probe);
        Ok(tracer.events().iter().any(|event| wanted.accepts(event)) == is_told)
    })
}

#[test]
fn one_that_comes_later_is_in_and_one_whose_address_is_another_s_is_out() -> Result<()> {
    let node = Node::new()?;
    node.run_web();
    node.run_db("other-0");
    let mut tracer = node.watch(&["-l", "app", "--pod", "shop/web-0,shop/db-0"])?;
    until_told(&node, &mut tracer, false)?;
    node.cri.stop("shop", "other-0");
    node.run_db("db-0");
    until_told(&node, &mut tracer, true)?;
    node.cri.stop("shop", "db-0");
    node.run_db("other-0");
    until_told(&node, &mut tracer, false)?;
    let sent = node.lab.router.run(|| Ok(udp::send(SERVER.port(Family::V4, 91), 3, 20)?.flow))?;
    let report = tracer.stop()?;
    ensure!(reported(&report, &sent)? == 0, "what the other pod gets is told");
    report.ensure_clean()
}

#[test]
fn a_pod_that_is_not_there_yet_is_waited_for() -> Result<()> {
    let node = Node::new()?;
    let mut tracer = node.watch(&["--pod", "shop/web-0"])?;
    let header = tracer.header().to_string();
    ensure!(header.contains("no pod matches --pod shop/web-0 now; it is waited for"), "{header}");
    node.run_web();
    eventually("its drops are told", || {
        let flow = node.lab.router.run(|| Ok(udp::send(CLIENT.port(Family::V6, 92), 1, 20)?.flow))?;
        tracer.take_waiting()?;
        let told = Expect::drop("NO_SOCKET").with(key::DESTINATION_PORT, flow.destination.port());
        Ok(tracer.events().iter().any(|event| told.accepts(event)))
    })?;
    tracer.stop()?.ensure_clean()
}

#[test]
fn attempts_of_others_are_neither_told_nor_counted() -> Result<()> {
    let node = Node::with_pods()?;
    let Router { client, router, server } = &node.lab;
    router.exec("iptables -A FORWARD -p tcp --dport 84 -j DROP")?;
    let pods = ["--cri", node.cri.path(), "--kubernetes", "off", "--pod", "shop/web-0"];
    let mut diagnosis = Diagnosis::with(router, &pods)?;
    let others = server.run(|| tcp::attempt(([10, 99, 1, 77], 84).into()))?;
    for _ in 0..3 {
        client.run(|| tcp::attempt(SERVER.port(Family::V4, 84)))?;
    }
    diagnosis.sees_many(Family::V4, "dropped", "tcp", 84, 3)?;
    let findings = diagnosis.end()?;
    findings.only("netfilter_rule", "certain|derived", &["84"])?;
    let told = |source: &IpAddr| {
        let of = Expect::attempt("dropped", "tcp", 84).with(key::FLOW_SOURCE, source.to_string());
        findings.report.events.iter().filter(|event| of.accepts(event)).count()
    };
    ensure!((told(&CLIENT.ip(Family::V4)), told(&others.source.ip())) == (3, 0), "{:#?}", findings.report.events);
    let stats = findings.report.stats()?;
    ensure!(stats.number("/attempts/dropped")? == 3 && stats.number("/attempts/no_answer")? == 0, "{stats}");
    Ok(())
}

#[test]
fn where_nobody_can_be_asked_about_pods_it_ends() -> Result<()> {
    let nowhere = ["watch", "--cri", "/nonexistent/whydrop.sock", "--kubernetes", "off", "--pod", "shop/web-0"];
    let output = tracer::command(nowhere)?.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1) && said.lines().count() == 1, "{:?}: {said}", output.status);
    ensure!(said.contains("--pod shop/web-0 can't be looked for") && said.contains("--cri"), "{said}");
    Ok(())
}

#[test]
fn what_can_t_be_meant_is_a_wrong_command_line() -> Result<()> {
    for (arguments, because) in [
        (["watch", "-l", "app=web=1"], "--selector app=web=1: "),
        (["diagnose", "--pod", "web-0"], "--pod web-0: give NAMESPACE/NAME"),
        (["dns", "-n", "Shop"], "--namespace Shop: "),
        (["explain", "-l", "app=web"], "labels are not recorded"),
    ] {
        let output = tracer::command(arguments)?.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(2) && said.lines().count() == 1, "{arguments:?}: {said}");
        ensure!(said.contains(because), "{arguments:?}: {said}");
    }
    Ok(())
}
