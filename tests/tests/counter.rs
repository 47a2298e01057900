//! Drops that no tracepoint shows are found by the counters that they raise: each is told once, with whose they are, and what
//! the remedy is; what has a drop line is not told again.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, ensure};
use socket2::{Domain, Socket, Type};
use tracer_tests::event::{Report, key};
use tracer_tests::firewall::nft;
use tracer_tests::program::Program;
use tracer_tests::topology::{self, NEIGHBOUR, Pair};
use tracer_tests::traffic::{tcp, udp};
use tracer_tests::{Expect, Family, NetNs, Tracer, eventually, netstat, patience, remedy, sysctl, tracer, within};

const PORT: u16 = 8080;
const OVERFLOWS: &str = "TcpExtListenOverflows";
const DROPS: &str = "TcpExtListenDrops";

/// A listener whose program never accepts; closed when dropped.
fn listen(namespace: &NetNs, to: SocketAddr, backlog: i32) -> Result<Program> {
    let socket = namespace.run(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&to.into())?;
        socket.listen(backlog)?;
        Ok(socket)
    })?;
    Program::holding(namespace, socket)
}

/// The listener as a summary names it.
fn named(program: &Program, to: SocketAddr) -> String {
    format!("tcp {to} ({})", program.label())
}

/// A listener with a backlog of 0 and a connection that waits in its queue, which is all that it holds.
fn full(lab: &Pair, to: SocketAddr) -> Result<(Program, TcpStream)> {
    let listener = listen(&lab.server, to, 0)?;
    let waiting = lab.client.run(|| Ok(TcpStream::connect_timeout(&to, patience())?))?;
    // Its last ACK may still be on the way.
    let queue = || lab.server.exec(&format!("ss -Hltn 'sport = :{PORT}'"));
    eventually("a connection waits", || Ok(queue()?.split_whitespace().nth(1) == Some("1")))?;
    Ok((listener, waiting))
}

/// Connection attempts of one SYN each.
fn attempt(lab: &Pair, to: SocketAddr, times: u32) -> Result<()> {
    lab.client.run(|| (0..times).try_for_each(|_| tcp::attempt(to).map(drop)))
}

/// By how much a counter of the server rises meanwhile, with what `run` gives.
fn meanwhile<T>(namespace: &NetNs, group: &str, name: &str, run: impl FnOnce() -> Result<T>) -> Result<(T, u64)> {
    let before = netstat::read(namespace, group, name)?;
    let done = run()?;
    Ok((done, netstat::read(namespace, group, name)? - before))
}

fn any_counter(namespace: &NetNs) -> Result<Expect> {
    Expect::any().with(key::KIND, "counter").netns(namespace)
}

/// What a run says while `attempts` go to a listener.
fn watch_attempts(lab: &Pair, to: SocketAddr, attempts: u32) -> Result<Report> {
    let tracer = Tracer::watch(&lab.server)?;
    attempt(lab, to, attempts)?;
    tracer.stop()
}

#[test]
fn a_full_accept_queue_is_told_with_its_listener() -> Result<()> {
    for family in Family::BOTH {
        let lab = topology::pair()?;
        let to = NEIGHBOUR.port(family, PORT);
        let (listener, waiting) = full(&lab, to)?;
        let mut tracer = Tracer::watch(&lab.server)?;
        let told = Expect::counter(OVERFLOWS).netns(&lab.server)?.cause("listen_overflow").sure("certain");
        let run = || {
            attempt(&lab, to, 3)?;
            let event = tracer.wait_for(&told)?;
            attempt(&lab, to, 2)?;
            Ok((event, tracer.stop()?))
        };
        let ((event, report), delta) = meanwhile(&lab.server, "TcpExt", "ListenOverflows", run)?;
        assert_eq!((report.risen(&told)?, delta), (5, 5), "{family:?}: each refusal is told once");
        report.ensure_clean()?;
        // Both counters rise for a full accept queue: that is one event.
        report.ensure_silent(&Expect::counter(DROPS))?;
        report.ensure_silent(&Expect::any().with(key::KIND, "drop").with(key::DESTINATION_PORT, PORT))?;
        assert_eq!(
            event.text(key::SUMMARY),
            format!("the accept queue of {} is full: its backlog is 0", named(&listener, to))
        );
        event.says(key::EVIDENCE, "1 connection waits to be accepted")?;
        event.says(key::REMEDY, "larger backlog")?;
        remedy::apply(&event, "ss -ltnp", &lab.server)?;
        drop((listener, waiting));
        let _ample = listen(&lab.server, to, 64)?;
        let (report, delta) = meanwhile(&lab.server, "TcpExt", "ListenDrops", || watch_attempts(&lab, to, 5))?;
        assert_eq!(delta, 0, "the remedy helps");
        report.ensure_silent(&any_counter(&lab.server)?)?;
    }
    Ok(())
}

/// Half-open connections fill the SYN queue: what the server answers never reaches the client.
fn half_open(lab: &Pair) -> Result<()> {
    nft(
        &lab.client,
        &format!("table inet t {{ chain c {{ type filter hook input priority 0; tcp sport {PORT} drop; }}; }}"),
    )
}

#[test]
fn a_full_syn_queue_is_told_with_the_limit_that_it_was() -> Result<()> {
    let by_sysctl = (2, 64, "three quarters of net.ipv4.tcp_max_syn_backlog of 2", "derived");
    let by_backlog = (4096, 1, "as many connections as its backlog of 1", "certain");
    for (family, (most, backlog, says, sure)) in
        [(Family::V4, by_sysctl), (Family::V6, by_sysctl), (Family::V6, by_backlog)]
    {
        let lab = topology::pair()?;
        let _no_cookies = sysctl::set(&lab.server, "net/ipv4/tcp_syncookies", "0")?;
        let _few = sysctl::set(&lab.server, "net/ipv4/tcp_max_syn_backlog", &most.to_string())?;
        half_open(&lab)?;
        let to = NEIGHBOUR.port(family, PORT);
        let listener = listen(&lab.server, to, backlog)?;
        let run = || watch_attempts(&lab, to, 8);
        let (report, delta) = meanwhile(&lab.server, "TcpExt", "ListenDrops", run)?;
        let told = Expect::counter(DROPS).netns(&lab.server)?.cause("listen_overflow").sure(sure);
        assert_eq!(report.risen(&told)?, delta, "{}", told.miss_report(&report.events));
        assert!(delta >= 4, "{delta} of 8 attempts were refused");
        report.ensure_silent(&Expect::counter(OVERFLOWS))?;
        let event = report.matching(&told).next().context("no event")?;
        for part in [says, &named(&listener, to)] {
            event.says(key::SUMMARY, part)?;
        }
        assert_eq!((event.text(key::SYSCTL_NAME), event.text(key::SYSCTL_VALUE)), ("net.ipv4.tcp_syncookies", "0"));
        remedy::apply(event, "tcp_syncookies=1", &lab.server)?;
        let (report, delta) = meanwhile(&lab.server, "TcpExt", "ListenDrops", || watch_attempts(&lab, to, 8))?;
        assert_eq!(delta, 0, "the remedy helps");
        report.ensure_silent(&any_counter(&lab.server)?)?;
    }
    Ok(())
}

#[test]
fn a_backlog_that_the_system_limits_names_the_setting() -> Result<()> {
    let lab = topology::pair()?;
    let _few = sysctl::set(&lab.server, "net/core/somaxconn", "0")?;
    let to = NEIGHBOUR.port(Family::V4, PORT);
    // The program asks for 64, and gets 0.
    let listener = listen(&lab.server, to, 64)?;
    let waiting = lab.client.run(|| Ok(TcpStream::connect_timeout(&to, patience())?))?;
    let report = watch_attempts(&lab, to, 3)?;
    let event = report.matching(&Expect::counter(OVERFLOWS)).next().context("no event")?.clone();
    assert_eq!((event.text(key::SYSCTL_NAME), event.text(key::SYSCTL_VALUE)), ("net.core.somaxconn", "0"));
    remedy::apply(&event, "net.core.somaxconn", &lab.server)?;
    drop((listener, waiting));
    let _again = listen(&lab.server, to, 64)?;
    watch_attempts(&lab, to, 5)?.ensure_silent(&any_counter(&lab.server)?)
}

#[test]
fn a_refused_send_is_told() -> Result<()> {
    let nowhere =
        [(Family::V4, "192.0.2.1:9", "Ip", "IpOutNoRoutes"), (Family::V6, "[2001:db8::1]:9", "Ip6", "Ip6OutNoRoutes")];
    for (family, to, group, name) in nowhere {
        let lab = topology::pair()?;
        let to: SocketAddr = to.parse()?;
        let send = || lab.client.run(|| Ok((0..3).filter(|_| udp::send(to, 1, 20).is_err()).count()));
        let run = || {
            let tracer = Tracer::watch(&lab.client)?;
            assert_eq!(send()?, 3, "there is no route");
            tracer.stop()
        };
        let (report, delta) = meanwhile(&lab.client, group, "OutNoRoutes", run)?;
        let told = Expect::counter(name).netns(&lab.client)?.cause("no_route").sure("certain");
        assert_eq!((report.risen(&told)?, delta >= 3), (delta, true), "{}", told.miss_report(&report.events));
        let event = report.matching(&told).next().context("no event")?;
        remedy::apply(event, "route show", &lab.client)?;
        if family == Family::V6 {
            // Each look-up of a name does that where IPv6 leads nowhere.
            let tracer = Tracer::start(&["--netns", &lab.client.inode()?.to_string()])?;
            assert_eq!(send()?, 3, "there is no route");
            tracer.stop()?.ensure_silent(&any_counter(&lab.client)?)?;
        }
        let flag = family.pick("", "-6 ");
        lab.client.exec(&format!("ip {flag}route add {} via {}", to.ip(), NEIGHBOUR.ip(family)))?;
        let tracer = Tracer::watch(&lab.client)?;
        assert_eq!(send()?, 0, "now there is one");
        tracer.stop()?.ensure_silent(&any_counter(&lab.client)?)?;
    }
    Ok(())
}

#[test]
fn packets_of_open_connections_have_lines_and_are_not_told_again() -> Result<()> {
    let networks = [(Family::V4, "10.99.1.0/24", "Ip"), (Family::V6, "-6 fd99:1::/64", "Ip6")];
    for (family, network, group) in networks {
        let lab = topology::pair()?;
        let (flag, network) = network.split_once(' ').unwrap_or(("", network));
        let mut tracer = Tracer::watch(&lab.client)?;
        let run = || {
            let mut connection = tcp::connect(&lab.client, &lab.server, NEIGHBOUR.port(family, PORT))?;
            lab.client.exec(&format!("ip {flag} route del {network} dev c0"))?;
            // The program learns nothing of it, or later.
            let _taken = connection.client.write(b"w");
            let lost = Expect::any().with(key::KIND, "drop").flow(&connection.flow);
            tracer.wait_for_count(&lost, 1)?;
            lab.client.exec(&format!("ip {flag} route add {network} dev c0"))?;
            Ok((lost, tracer.stop()?))
        };
        let ((lost, report), delta) = meanwhile(&lab.client, group, "OutNoRoutes", run)?;
        assert_eq!(report.count(&lost)?, delta, "{family:?}: the counter rose with each of them");
        report.ensure_silent(&any_counter(&lab.client)?)?;
    }
    Ok(())
}

#[test]
fn a_healthy_namespace_and_drops_with_lines_raise_none() -> Result<()> {
    let lab = topology::pair()?;
    nft(&lab.server, "table inet t { chain c { type filter hook input priority 0; udp dport 9999 drop; }; }")?;
    let mut tracer = Tracer::watch(&lab.server)?;
    for family in Family::BOTH {
        tcp::connect(&lab.client, &lab.server, NEIGHBOUR.port(family, PORT))?;
        udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, 7777))?;
        for (port, reason) in [(81, "NO_SOCKET"), (9999, "NETFILTER_DROP")] {
            let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, port), 3, 20))?;
            tracer.wait_for_count(&Expect::drop(reason).flow(&sent.flow), 3)?;
        }
        // A buffer that nobody reads from.
        let deaf = lab.server.run(|| {
            let socket = Socket::new(Domain::for_address(NEIGHBOUR.port(family, 82)), Type::DGRAM, None)?;
            socket.set_recv_buffer_size(1)?;
            socket.bind(&NEIGHBOUR.port(family, 82).into())?;
            Ok(socket)
        })?;
        lab.client.run(|| udp::send(NEIGHBOUR.port(family, 82), 50, 1000))?;
        tracer.wait_for(&Expect::finest(&["SOCKET_RCVBUFF"])?.with(key::DESTINATION_PORT, 82))?;
        drop(deaf);
    }
    let report = tracer.stop()?;
    report.ensure_clean()?;
    report.ensure_silent(&any_counter(&lab.server)?)
}

#[test]
fn what_happens_while_a_command_runs_is_told() -> Result<()> {
    let lab = topology::pair()?;
    let to = NEIGHBOUR.port(Family::V4, PORT);
    let _full = full(&lab, to)?;
    let (inode, net) = (lab.server.inode()?.to_string(), format!("--net={}", lab.client.path().display()));
    let script = format!("exec 3<>/dev/tcp/{}/{PORT}", to.ip());
    let command =
        ["watch", "-o", "json", "--netns", &inode, "--", "nsenter", &net, "timeout", "0.2", "bash", "-c", &script];
    let run = || Tracer::spawn(&mut tracer::command(command)?)?.finish();
    let (report, delta) = meanwhile(&lab.server, "TcpExt", "ListenOverflows", run)?;
    assert_eq!((report.risen(&Expect::counter(OVERFLOWS))?, delta), (1, 1));
    assert_eq!(report.status.code(), Some(124), "the command's own: {}", report.stderr);
    Ok(())
}

#[test]
fn a_namespace_that_comes_later_has_its_baseline_first() -> Result<()> {
    let mut tracer = Tracer::start(&["--interval", "100ms"])?;
    let lab = topology::pair()?;
    let to = NEIGHBOUR.port(Family::V4, PORT);
    let (_listener, _waiting) = full(&lab, to)?;
    attempt(&lab, to, 100)?;
    let told = Expect::counter(OVERFLOWS).netns(&lab.server)?;
    // It is found within some seconds, later where the machine is busy, as looking for namespaces may not take much of a CPU;
    // from then on each refusal is told.
    within(4 * patience(), "a refusal is told", || {
        attempt(&lab, to, 1)?;
        tracer.take_waiting()?;
        Ok(tracer.events().iter().any(|event| told.accepts(event)))
    })?;
    attempt(&lab, to, 5)?;
    let report = tracer.stop()?;
    report.ensure_clean()?;
    let all = netstat::read(&lab.server, "TcpExt", "ListenOverflows")?;
    let first = report.matching(&told).next().context("no event")?;
    let rose = first.texts(key::EVIDENCE).first().copied().unwrap_or_default().to_owned();
    let baseline = rose.strip_prefix("TcpExtListenOverflows rose from ").and_then(|rest| rest.split(' ').next());
    let baseline: u64 = baseline.with_context(|| format!("no baseline: {rose}"))?.parse()?;
    assert_eq!(report.risen(&told)?, all - baseline, "all since {rose}");
    Ok(())
}

#[test]
fn filters_that_a_counter_cannot_have_leave_it_out() -> Result<()> {
    let lab = topology::pair()?;
    let to = NEIGHBOUR.port(Family::V4, PORT);
    let (_listener, _waiting) = full(&lab, to)?;
    let inode = lab.server.inode()?.to_string();
    let filters =
        [["--port", "8080"], ["--proto", "tcp"], ["--host", "10.99.1.2"], ["--reason", "NO_SOCKET"], ["--iface", "s0"]];
    for filter in filters {
        let tracer = Tracer::start(&[&["--netns", &inode][..], &filter].concat())?;
        attempt(&lab, to, 1)?;
        tracer.stop()?.ensure_silent(&any_counter(&lab.server)?)?;
    }
    let other = lab.client.inode()?.to_string();
    let tracer = Tracer::start(&["--netns", &other])?;
    attempt(&lab, to, 1)?;
    tracer.stop()?.ensure_silent(&any_counter(&lab.server)?)
}

#[test]
fn text_has_a_line_and_the_explanation_at_the_end() -> Result<()> {
    let lab = topology::pair()?;
    let to = NEIGHBOUR.port(Family::V4, PORT);
    let (listener, _waiting) = full(&lab, to)?;
    let (inode, net) = (lab.server.inode()?.to_string(), format!("--net={}", lab.client.path().display()));
    let script = format!("exec 3<>/dev/tcp/{}/{PORT}", to.ip());
    let mut command =
        tracer::command(["watch", "--netns", &inode, "--", "nsenter", &net, "timeout", "0.2", "bash", "-c", &script])?;
    let said = String::from_utf8(command.output()?.stdout)?;
    let line = said.lines().find(|line| line.contains(OVERFLOWS)).with_context(|| said.clone())?;
    for part in ["+1", "counter", lab.server.name(), &named(&listener, to)] {
        ensure!(line.contains(part), "no {part} in {line}");
    }
    ensure!(said.contains("(1×, certain)") && said.contains("  seen:  TcpExtListenOverflows rose from"), "{said}");
    ensure!(said.contains("1  drops are known by counters only"), "{said}");
    Ok(())
}
