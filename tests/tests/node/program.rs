//! Which BPF program or tc filter dropped: named with its number, name and place, and its detaching lets traffic pass.

use std::net::{SocketAddr, UdpSocket};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::bpf::{Attach, CpuHash, Verdict, with_file_system};
use tracer_tests::cgroup::Cgroup;
use tracer_tests::event::{Event, key};
use tracer_tests::topology::{self, CLIENT, NEIGHBOUR, Pair};
use tracer_tests::traffic::raw::index;
use tracer_tests::traffic::{Flow, udp};
use tracer_tests::{Expect, Family, NetNs, Story, kernel, patience, remedy, require};

const TC_ACT_SHOT: i32 = 2;
const TC_ACT_UNSPEC: i32 = -1;
const XDP_DROP: i32 = 1;
const DENY: i32 = 0;
const PORT: u16 = 9999;
const CONTROL: u16 = 7777;

/// The client sends three datagrams that do not arrive; the line that names why.
fn dropped(story: &mut Story, lab: &Pair, family: Family, wanted: &Expect) -> Result<Event> {
    let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, PORT), 3, 20))?;
    story.names(wanted.clone().cause("bpf_program").problem().flow(&sent.flow), 3)
}

/// As [`dropped`], of what a filter refuses at a socket. A kernel without reasons counts that like a full buffer, so both
/// are told there, and there is no more to check.
fn filtered(story: &mut Story, lab: &Pair, family: Family, wanted: &Expect) -> Result<Option<Event>> {
    if kernel::tells_reasons() {
        return dropped(story, lab, family, wanted).map(Some);
    }
    let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, PORT), 3, 20))?;
    let wanted = Expect::drop("SOCKET_RCVBUFF").cause("socket_buffer").sure("inferred").problem();
    let event = story.names(wanted.flow(&sent.flow), 3)?;
    ensure!(event.text(key::SUMMARY).ends_with("was full, or a BPF program refused it"), "{event}");
    ensure!(event.text(key::UNDECIDED).contains("whether its buffer was full"), "{event}");
    Ok(None)
}

/// As sure as the kernel is of the place: one that gives no reasons leaves it to be derived or inferred.
fn sure(expect: Expect) -> Expect {
    let words: &[&str] = if kernel::tells_reasons() { &["derived"] } else { &["derived", "inferred"] };
    expect.with_any(key::CONFIDENCE, words.iter().copied())
}

fn delivered(story: &mut Story, lab: &Pair, family: Family) -> Result<()> {
    story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL))?);
    Ok(())
}

/// The program is this one, and there.
fn is_program(event: &Event, id: u32, name: &str, kind: &str, attach: &str) -> Result<()> {
    ensure!(event.number(key::PROGRAM_ID)? == u64::from(id), "another program than {id}: {event}");
    for (key, wanted) in [(key::PROGRAM_NAME, name), (key::PROGRAM_TYPE, kind), (key::PROGRAM_ATTACH, attach)] {
        ensure!(event.text(key) == wanted, "{key} is not {wanted}: {event}");
    }
    let named = format!("{name} (id {id})");
    ensure!(event.text(key::SUMMARY).contains(&named), "the summary does not have {named}: {event}");
    event.says(key::REMEDY, &format!("bpftool prog show id {id}"))
}

#[test]
fn a_tcx_program_is_named_by_its_link() -> Result<()> {
    require!(TCX);
    let lab = topology::pair()?;
    for (attach, namespace, interface, direction, reason) in [
        (Attach::TcxIngress, &lab.server, "s0", "ingress", "TC_INGRESS"),
        (Attach::TcxEgress, &lab.client, "c0", "egress", "TC_EGRESS"),
    ] {
        let mut story = Story::of(namespace)?;
        for family in Family::BOTH {
            let program = Verdict::load(attach, "wd_says_no", TC_ACT_SHOT)?;
            let link = namespace.run(|| program.attach(index(interface)?))?;
            let event = dropped(&mut story, &lab, family, &sure(Expect::drop(reason)))?;
            is_program(&event, program.id()?, "wd_says_no", "sched_cls", &format!("{interface} {direction}"))?;
            event.says(key::EVIDENCE, "has tag")?;
            event.says(key::REMEDY, "bpftool link detach id ")?;
            drop(link);
            delivered(&mut story, &lab, family)?;
        }
        story.end()?;
    }
    Ok(())
}

#[test]
fn of_two_programs_the_likeliest_is_named_and_both_are_told() -> Result<()> {
    require!(TCX);
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.server)?;
    let looks = Verdict::load(Attach::TcxIngress, "tc_ingress_flow", TC_ACT_UNSPEC)?;
    let drops = Verdict::load(Attach::TcxIngress, "wd_says_no", TC_ACT_SHOT)?;
    let links = lab.server.run(|| Ok([looks.attach(index("s0")?)?, drops.attach(index("s0")?)?]))?;
    for family in Family::BOTH {
        let event = dropped(&mut story, &lab, family, &Expect::drop("TC_INGRESS").sure("inferred"))?;
        is_program(&event, drops.id()?, "wd_says_no", "sched_cls", "s0 ingress")?;
        ensure!(event.text(key::SUMMARY).starts_with("one of 2 programs"), "not told as one of two: {event}");
        event.says(key::EVIDENCE, &format!("tc_ingress_flow (id {})", looks.id()?))?;
        event.says(key::EVIDENCE, "number 2 of 2")?;
    }
    drop(links);
    Family::BOTH.into_iter().try_for_each(|family| delivered(&mut story, &lab, family))?;
    story.end().map(drop)
}

/// A filter of tc with a pinned program.
fn filter(namespace: &NetNs, interface: &str, direction: &str, program: &Verdict) -> Result<()> {
    with_file_system(|| {
        program.pin("/sys/fs/bpf/wd")?;
        namespace.exec(&format!("tc qdisc replace dev {interface} clsact"))?;
        let filter = format!("tc filter add dev {interface} {direction} protocol all pref 77 bpf da");
        namespace.exec(&format!("{filter} object-pinned /sys/fs/bpf/wd"))
    })?;
    Ok(())
}

#[test]
fn a_filter_of_tc_is_named_and_its_deletion_helps() -> Result<()> {
    require!(CLS_BPF);
    let lab = topology::pair()?;
    for (namespace, interface, direction, reason) in
        [(&lab.server, "s0", "ingress", "TC_INGRESS"), (&lab.client, "c0", "egress", "TC_EGRESS")]
    {
        let mut story = Story::of(namespace)?;
        for family in Family::BOTH {
            let program = Verdict::load(Attach::TcxIngress, "wd_filter", TC_ACT_SHOT)?;
            filter(namespace, interface, direction, &program)?;
            let event = dropped(&mut story, &lab, family, &sure(Expect::drop(reason)))?;
            is_program(&event, program.id()?, "wd_filter", "sched_cls", &format!("{interface} {direction}"))?;
            event.says(key::EVIDENCE, "filter protocol all pref 77 bpf handle 0x1")?;
            remedy::apply(&event, "tc -s filter show", namespace)?;
            remedy::apply(&event, "tc filter del", namespace)?;
            delivered(&mut story, &lab, family)?;
        }
        story.end()?;
    }
    Ok(())
}

#[test]
fn an_xdp_program_is_named_with_its_mode() -> Result<()> {
    let lab = topology::pair()?;
    for mode in ["xdpdrv", "xdpgeneric"] {
        let mut story = Story::of(&lab.server)?;
        for family in Family::BOTH {
            let program = Verdict::load(Attach::Xdp, "wd_xdp", XDP_DROP)?;
            with_file_system(|| {
                program.pin("/sys/fs/bpf/wd")?;
                lab.server.exec(&format!("ip link set dev s0 {mode} pinned /sys/fs/bpf/wd"))
            })?;
            let event = dropped(&mut story, &lab, family, &sure(Expect::any()))?;
            is_program(&event, program.id()?, "wd_xdp", "xdp", &format!("s0 {mode}"))?;
            remedy::apply(&event, &format!("{mode} off"), &lab.server)?;
            delivered(&mut story, &lab, family)?;
        }
        story.end()?;
    }
    Ok(())
}

#[test]
fn a_cgroup_that_may_not_send_is_named() -> Result<()> {
    require!(CGROUP_BPF);
    let lab = topology::pair()?;
    let (above, program) = (Cgroup::new()?, Verdict::load(Attach::CgroupEgress, "sd_fw_egress", DENY)?);
    // What is forbidden above is forbidden below.
    let cgroup = above.below()?;
    let mut story = Story::of(&lab.client)?;
    for (family, port) in Family::BOTH.into_iter().zip(4001..) {
        let (from, to) = (CLIENT.port(family, port), NEIGHBOUR.port(family, PORT));
        let link = program.attach_to_cgroup(above.path())?;
        let _socket = lab.client.run(|| cgroup.socket(from, Some((to, 3))))?;
        let wanted = sure(Expect::drop("BPF_CGROUP_EGRESS")).cause("bpf_program");
        let flow = Flow { protocol: "udp", source: from, destination: to };
        let event = story.names(wanted.flow(&flow), 3)?;
        let path = above.path().to_str().context("no text")?;
        is_program(&event, program.id()?, "sd_fw_egress", "cgroup_skb", path)?;
        ensure!(event.text(key::OWNER) == "systemd", "not systemd's: {event}");
        event.says(key::REMEDY, &format!("IPAddressAllow={}", to.ip()))?;
        drop(link);
        let receiver = lab.server.run(|| Ok(UdpSocket::bind(NEIGHBOUR.port(family, CONTROL))?))?;
        arrives(&lab, &cgroup, &receiver, CLIENT.port(family, port + 100), NEIGHBOUR.port(family, CONTROL))?;
    }
    story.end().map(drop)
}

/// What the cgroup sends gets through.
fn arrives(lab: &Pair, cgroup: &Cgroup, receiver: &UdpSocket, from: SocketAddr, to: SocketAddr) -> Result<()> {
    let _socket = lab.client.run(|| cgroup.socket(from, Some((to, 1))))?;
    receiver.set_read_timeout(Some(patience()))?;
    let (_, source) = receiver.recv_from(&mut [0; 64]).context("it did not arrive")?;
    ensure!(source == from, "from {source} instead of {from}");
    Ok(())
}

#[test]
fn a_cgroup_that_may_not_receive_is_named() -> Result<()> {
    require!(CGROUP_BPF);
    let lab = topology::pair()?;
    let (cgroup, program) = (Cgroup::new()?, Verdict::load(Attach::CgroupIngress, "wd_no_entry", DENY)?);
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let link = program.attach_to_cgroup(cgroup.path())?;
        let mut socket = lab.server.run(|| cgroup.socket(NEIGHBOUR.port(family, PORT), None))?;
        let wanted = Expect::drop("SOCKET_FILTER").sure("inferred");
        if let Some(event) = filtered(&mut story, &lab, family, &wanted)? {
            let path = cgroup.path().to_str().context("no text")?;
            is_program(&event, program.id()?, "wd_no_entry", "cgroup_skb", path)?;
            event.says(key::REMEDY, &format!("bpftool cgroup show {path}"))?;
            ensure!(event.text(key::UNDECIDED).contains("filter of its own"), "{event}");
        }
        drop(link);
        let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, PORT), 1, 20))?;
        socket.receives(20)?;
        story.control(sent.flow);
    }
    story.end().map(drop)
}

#[test]
fn a_socket_that_filters_for_itself_is_told_from_its_cgroup() -> Result<()> {
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let socket = lab.server.run(|| Ok(UdpSocket::bind(NEIGHBOUR.port(family, PORT))?))?;
        // BPF_RET | BPF_K, 0: takes nothing.
        let nothing = socket2::SockFilter::new(6, 0, 0, 0);
        socket2::SockRef::from(&socket).attach_filter(&[nothing])?;
        if let Some(event) = filtered(&mut story, &lab, family, &Expect::drop("SOCKET_FILTER"))? {
            ensure!(event.at(key::PROGRAM_ID).is_none(), "a program is named: {event}");
            // Before 6.11 the event of a received packet has no socket, so its cgroup is not known.
            let told = event.text(key::SUMMARY).contains("put on its own socket refused it");
            ensure!(told || kernel::release()? < (6, 11), "{event}");
            if told {
                remedy::apply(&event, "ss -lunp", &lab.server)?;
            }
        }
        socket2::SockRef::from(&socket).detach_filter()?;
        let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, PORT), 1, 20))?;
        socket.set_read_timeout(Some(patience()))?;
        let (_, source) = socket.recv_from(&mut [0; 64])?;
        ensure!(source.port() == sent.flow.source.port(), "from {source}");
        story.control(sent.flow);
    }
    story.end().map(drop)
}

#[test]
fn cilium_says_why_by_its_own_counters() -> Result<()> {
    require!(CLS_BPF);
    let lab = topology::pair()?;
    with_file_system(|| {
        std::fs::create_dir_all("/sys/fs/bpf/tc/globals")?;
        let metrics = CpuHash::new("cilium_metrics")?;
        metrics.pin("/sys/fs/bpf/tc/globals/cilium_metrics")?;
        // Reason, direction, and where in the source: forwarded, and policy denied (ingress).
        let (forwarded, denied) = ([0, 1, 9, 0, 1, 0, 0, 0], [133, 1, 77, 1, 2, 0, 0, 0]);
        metrics.set(forwarded, [1000, 64_000])?;
        metrics.set(denied, [4, 240])?;
        let program = Verdict::load(Attach::TcxIngress, "cil_from_contai", TC_ACT_SHOT)?;
        program.pin("/sys/fs/bpf/cil_from_container")?;
        lab.server.exec("tc qdisc replace dev s0 clsact")?;
        lab.server.exec(
            "tc filter add dev s0 ingress protocol all pref 1 bpf da object-pinned /sys/fs/bpf/cil_from_container",
        )?;
        let mut story = Story::of(&lab.server)?;
        for (family, count) in Family::BOTH.into_iter().zip([7, 9]) {
            let wanted = sure(Expect::drop("TC_INGRESS").with(key::OWNER, "cilium"));
            let first = dropped(&mut story, &lab, family, &wanted)?;
            ensure!(first.at("/explanation/program/owner") == Some(&Value::from("cilium")), "{first}");
            first.says(key::EVIDENCE, "is pinned at /sys/fs/bpf/cil_from_container")?;
            metrics.set(denied, [count, 999])?;
            let second = dropped(&mut story, &lab, family, &wanted)?;
            ensure!(second.text(key::SUMMARY).ends_with(": Policy denied (ingress)"), "no reason: {second}");
            second.says(key::EVIDENCE, "Policy denied (ingress) rose by ")?;
            second.says(key::REMEDY, "cilium-dbg monitor --type drop")?;
        }
        let event = dropped(&mut story, &lab, Family::BOTH[0], &Expect::drop("TC_INGRESS"))?;
        remedy::apply(&event, "tc filter del", &lab.server)?;
        Family::BOTH.into_iter().try_for_each(|family| delivered(&mut story, &lab, family))?;
        story.end().map(drop)
    })
}

#[test]
fn a_program_that_is_gone_leaves_what_the_event_says() -> Result<()> {
    require!(TCX);
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let program = Verdict::load(Attach::TcxIngress, "wd_brief", TC_ACT_SHOT)?;
        let link = lab.server.run(|| program.attach(index("s0")?))?;
        let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, PORT), 1, 20))?;
        drop((link, program));
        // Whether it was still there when it was looked for is a race; either answer is an honest one.
        let event = story.names(Expect::drop("TC_INGRESS").cause("bpf_program").flow(&sent.flow), 1)?;
        let named = event.at(key::PROGRAM_ID).is_some();
        let open = event.text(key::UNDECIDED);
        ensure!(named || open.contains("attached at s0 ingress now") || open.contains("unloaded"), "{event}");
    }
    story.end().map(drop)
}

#[test]
fn an_interface_that_is_gone_leaves_what_the_event_says() -> Result<()> {
    require!(TCX);
    for family in Family::BOTH {
        let lab = topology::pair()?;
        let mut story = Story::of(&lab.server)?;
        let program = Verdict::load(Attach::TcxIngress, "wd_brief", TC_ACT_SHOT)?;
        let link = lab.server.run(|| program.attach(index("s0")?))?;
        let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, PORT), 1, 20))?;
        lab.server.exec("ip link del s0")?;
        // Whether it was still there when it was looked at is a race; either answer is an honest one.
        let event = story.names(Expect::drop("TC_INGRESS").cause("bpf_program").flow(&sent.flow), 1)?;
        let open = event.text(key::UNDECIDED);
        let honest = ["attached at", "the interface was removed", "unloaded"].iter().any(|why| open.contains(why));
        ensure!(event.at(key::PROGRAM_ID).is_some() || honest, "{event}");
        drop(link);
        story.end()?;
    }
    Ok(())
}
