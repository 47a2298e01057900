//! Namespaces as pods have them: without a name, gone the next moment, many at once, or closed to us.

use std::collections::HashSet;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tracer_tests::event::{Event, key};
use tracer_tests::firewall::nft;
use tracer_tests::topology;
use tracer_tests::traffic::{tcp, udp};
use tracer_tests::{Expect, Family, NetNs, Tracer, patience, tracer};

const PORT: u16 = 10250;
const RULE: &str = "table inet t { chain c { type filter hook output priority 0; tcp dport 10250 drop; }; }";

/// A process that alone holds a namespace, as the first one of a container does.
struct Pod(Child);

impl Pod {
    fn new(ruleset: &str) -> Result<Self> {
        // It says when it is ready, and stays until its standard input is closed.
        let script = format!("ip link set lo up && nft '{ruleset}' && echo ready && exec cat");
        let child = Command::new("unshare")
            .args(["-n", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut pod = Self(child);
        let stdout = pod.0.stdout.take().context("no pipe from the pod")?;
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
        ensure!(line.trim() == "ready", "the pod is not ready");
        Ok(pod)
    }

    /// Sends a SYN to itself.
    fn knock(&self, port: u16) -> Result<()> {
        let pid = self.0.id().to_string();
        let script =
            format!("import socket\ns=socket.socket()\ns.setblocking(0)\ns.connect_ex((\"127.0.0.1\", {port}))");
        // bash can't give up in time, so what tries is ended by its own closing.
        let status = Command::new("nsenter").args(["-t", &pid, "-n", "python3", "-c", &script]).status()?;
        ensure!(status.success(), "no attempt was made");
        Ok(())
    }

    fn inode(&self) -> Result<u64> {
        use std::os::unix::fs::MetadataExt;
        Ok(std::fs::metadata(format!("/proc/{}/ns/net", self.0.id()))?.ino())
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn dropped(inode: u64) -> Expect {
    Expect::drop("NETFILTER_DROP").with(key::NETNS, inode)
}

/// Runs what is suggested as it stands.
fn runs(event: &Event, with: &str) -> Result<()> {
    let remedy = event.texts(key::REMEDY);
    let step = remedy.iter().find(|step| step.contains(with)).with_context(|| format!("no {with} in {event}"))?;
    let done = Command::new("sh").args(["-c", step]).output()?;
    ensure!(done.status.success(), "`{step}` failed: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

#[test]
fn a_namespace_that_only_a_process_holds() -> Result<()> {
    let pod = Pod::new(RULE)?;
    let mut tracer = Tracer::start(&["--all", "--interval", "100ms", "--netns", &format!("pid:{}", pod.0.id())])?;
    pod.knock(PORT)?;
    let wanted = dropped(pod.inode()?).rule("nftables inet t/c", 1, "tcp dport 10250 drop");
    let event = tracer.wait_for(&wanted)?;
    ensure!(event.texts(key::REMEDY)[0].contains(&format!("/proc/{}/ns/net", pod.0.id())), "{event}");
    runs(&event, "list chain")?;
    runs(&event, "delete rule")?;
    tracer.stop()?.ensure_clean()
}

#[test]
fn a_namespace_that_comes_after_the_start_and_goes_with_its_drop() -> Result<()> {
    let mut tracer = Tracer::start(&["--all", "--interval", "100ms"])?;
    let pod = Pod::new(RULE)?;
    let inode = pod.inode()?;
    pod.knock(PORT)?;
    drop(pod);
    let begun = Instant::now();
    let event = tracer.wait_for(&dropped(inode))?;
    let took = begun.elapsed();
    // As long as a line waits for its rule, and a moment.
    ensure!(took < Duration::from_secs(7), "its line came after {took:?}: {event}");
    if event.at("/explanation/rule").is_none() {
        let unknown = event.text(key::UNDECIDED);
        ensure!(unknown.contains("namespace"), "it is not said why there is no rule: {unknown}");
    }
    tracer.stop()?.ensure_clean()
}

/// A namespace whose inode has the number that another one's had.
fn with_number(inode: u64) -> Result<NetNs> {
    let (mut others, begun) = (Vec::new(), Instant::now());
    loop {
        let namespace = NetNs::new("reused")?;
        if namespace.inode()? == inode {
            return Ok(namespace);
        }
        // The kernel gives the lowest free number, once it has cleaned up behind the old one.
        others.push(namespace);
        ensure!(begun.elapsed() < patience(), "the number {inode} is not given again");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_number_that_is_given_again_does_not_bring_back_the_old_rules() -> Result<()> {
    let knock = |namespace: &NetNs, port: u16| {
        namespace.run(|| udp::send(std::net::SocketAddr::from(([127, 0, 0, 1], port)), 1, 10))
    };
    let rules = |table: &str| {
        format!("table inet {table} {{ chain c {{ type filter hook output priority 0; udp dport 5000-5999 drop; }}; }}")
    };
    let mut tracer = Tracer::start(&["--all", "--interval", "100ms"])?;
    let old = NetNs::new("old")?;
    let inode = old.inode()?;
    nft(&old, &rules("old"))?;
    knock(&old, 5000)?;
    tracer.wait_for(&dropped(inode).with(key::DESTINATION_PORT, 5000).with(key::RULE_TABLE, "old"))?;
    let old_name = old.name().to_owned();
    drop(old);
    let new = with_number(inode)?;
    nft(&new, &rules("new"))?;
    // Until its name is known it has no way in.
    let named = dropped(inode).with(key::RULE_TABLE, "new");
    let begun = Instant::now();
    for port in 5001..5999 {
        knock(&new, port)?;
        let wanted = dropped(inode).with(key::DESTINATION_PORT, port);
        let event = tracer.wait_for(&wanted)?;
        ensure!(event.text(key::RULE_TABLE) != "old", "the rule of a namespace that is gone is named: {event}");
        ensure!(event.text(key::NETNS_NAME) != old_name, "it has the name of a namespace that is gone: {event}");
        if named.accepts(&event) {
            return tracer.stop()?.ensure_clean();
        }
        ensure!(begun.elapsed() < patience(), "its own rule is not named: {event}");
        sleep(Duration::from_millis(100));
    }
    anyhow::bail!("its own rule is not named")
}

#[test]
fn twenty_at_once_each_have_their_own_rule() -> Result<()> {
    let labs = (0..20).map(|_| topology_of_one()).collect::<Result<Vec<_>>>()?;
    let rule = |number: usize| format!("udp dport 9000 meta length {} drop", 40 + number);
    for (number, lab) in labs.iter().enumerate() {
        // Each drops at a place of its own in its chain.
        let rules = (0..=number).map(rule).collect::<Vec<_>>().join("; ");
        nft(lab, &format!("table inet t{number} {{ chain c {{ type filter hook output priority 0; {rules}; }}; }}"))?;
    }
    let mut tracer = Tracer::start(&["--all", "--interval", "100ms"])?;
    std::thread::scope(|scope| {
        for (number, lab) in labs.iter().enumerate() {
            scope.spawn(move || lab.run(|| udp::send(([127, 0, 0, 1], 9000).into(), 1, 12 + number)));
        }
    });
    for (number, lab) in labs.iter().enumerate() {
        let place = format!("nftables inet t{number}/c");
        let wanted = dropped(lab.inode()?).rule(&place, number as u64 + 1, &rule(number));
        tracer.wait_for(&wanted)?;
    }
    tracer.stop()?.ensure_clean()
}

/// A namespace that talks to itself.
fn topology_of_one() -> Result<NetNs> {
    NetNs::new("one")
}

#[test]
fn without_the_capability_the_drop_is_shown_and_the_capability_named() -> Result<()> {
    let lab = topology::pair()?;
    nft(&lab.client, RULE)?;
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]).arg(tracer::binary()?);
    command.args(["watch", "-o", "json", "--all", "--interval", "100ms"]);
    command.args(["--netns", &lab.client.inode()?.to_string()]);
    let mut tracer = Tracer::spawn(command.stdin(Stdio::null()).process_group(0))?;
    let flow = lab.client.run(|| tcp::attempt(topology::NEIGHBOUR.port(Family::V4, PORT)))?;
    let event = tracer.wait_for(&Expect::drop("NETFILTER_DROP").flow(&flow))?;
    ensure!(event.text(key::UNDECIDED).contains("CAP_NET_ADMIN"), "the capability is not named: {event}");
    ensure!(event.at("/explanation/rule").is_none(), "{event}");
    let report = tracer.stop()?;
    ensure!(report.status.success(), "{}: {}", report.status, report.stderr);
    Ok(())
}

#[test]
fn a_thousand_flows_in_a_second_are_all_accounted_for() -> Result<()> {
    const FLOWS: u16 = 1000;
    let lab = topology_of_one()?;
    nft(&lab, "table inet t { chain c { type filter hook output priority 0; udp dport 20000-20999 drop; }; }")?;
    let mut tracer = Tracer::start(&["--all", "--interval", "100ms", "--netns", &lab.inode()?.to_string()])?;
    lab.run(|| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
        for port in 0..FLOWS {
            // Refused by the rule.
            let _refused = socket.send_to(&[0; 8], ("127.0.0.1", 20_000 + port));
        }
        Ok(())
    })?;
    let wanted = dropped(lab.inode()?);
    let named = wanted.clone().rule("nftables inet t/c", 1, "udp dport 20000-20999 drop");
    tracer.wait_for(&named)?;
    sleep(Duration::from_millis(3500).min(patience()));
    let report = tracer.stop()?;
    report.ensure_clean()?;
    let stats = report.stats()?;
    let not_shown = stats.number(key::NOT_SHOWN)?;
    let lines = report.count(&wanted)?;
    // Flows that were only counted have no packet to ask about, and say so.
    let is_counted = |event: &Event| event.text(key::UNDECIDED).contains("only counted");
    let is_unnamed = |event: &&Event| !named.accepts(event) && !is_counted(event);
    let unnamed = report.matching(&wanted).filter(is_unnamed).count();
    let ports: HashSet<u64> =
        report.matching(&named).filter_map(|event| event.number(key::DESTINATION_PORT).ok()).collect();
    assert_eq!(report.final_total(&wanted_total(&lab)?)?.packets, u64::from(FLOWS), "{stats}");
    ensure!(lines + not_shown == u64::from(FLOWS), "{lines} in lines and {not_shown} not shown: {stats}");
    let first = report.matching(&wanted).find(is_unnamed).map(Event::to_string);
    ensure!(unnamed == 0, "{unnamed} lines without the rule, {} with it: {first:?}", ports.len());
    ensure!(ports.len() > 256, "only {} flows have their rule named", ports.len());
    Ok(())
}

/// A row of the totals has no kind.
fn wanted_total(lab: &NetNs) -> Result<Expect> {
    Expect::total("NETFILTER_DROP").netns(lab)
}
