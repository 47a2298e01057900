//! What the tc programs add to packets that pass, dropped or not.
//!
//! Rule: frames are sent to nobody's address, so that little but the device is paid for; what is added stands beside what an
//! empty program adds in the same run. Rounds with and without a program take turns.

use std::fmt;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use aya::Ebpf;
use aya::programs::{SchedClassifier, TcAttachType, TestRun, TestRunOptions};
use serde::Serialize;
use tracer_tests::Family;
use tracer_tests::topology::{self, CLIENT, NEIGHBOUR, Pair};
use tracer_tests::traffic::flood;
use tracer_tests::traffic::frame::{self, Ipv4, Segment};
use tracer_tests::traffic::raw::Interface;
use whydrop::load::{self, FlowMaps, Kernel, Plan, Sizes};
use whydrop::settings::KernelFilter;

use crate::Bench;
use crate::load::{bind_to, thread_time};
use crate::spread::Spread;

/// Runs of a program in a row where the kernel alone runs it.
const REPEAT: u32 = 1_000_000;
/// Bytes of an Ethernet and an IPv4 header up to the source address.
const SOURCE: usize = 14 + 12;

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    TcpData,
    UdpData,
    /// A SYN of a connection that is known.
    Update,
    /// SYNs, each from another address.
    Flood,
}

impl Sent {
    const ALL: [Self; 4] = [Self::TcpData, Self::UdpData, Self::Update, Self::Flood];

    const fn name(self) -> &'static str {
        match self {
            Self::TcpData => "tcp-data",
            Self::UdpData => "udp-data",
            Self::Update => "update",
            Self::Flood => "syn-flood",
        }
    }

    fn frame(self) -> Vec<u8> {
        let (from, to) = (CLIENT.v4, NEIGHBOUR.v4);
        let ends: (IpAddr, IpAddr) = (from.into(), to.into());
        let segment = |flags, data| {
            frame::tcp_segment(ends.0, ends.1, &Segment { ports: (40_000, 443), flags, data, ..Segment::default() })
        };
        let (protocol, payload) = match self {
            Self::TcpData => (frame::TCP, segment(frame::ACK, &[7; 64])),
            Self::UdpData => (frame::UDP, frame::udp(ends.0, ends.1, (40_000, 8472), &[7; 64])),
            Self::Update | Self::Flood => (frame::TCP, segment(frame::SYN, &[])),
        };
        let packet = Ipv4::new(from, to, protocol).build(&payload);
        frame::ethernet([2, 0, 0, 0, 0, 9], topology::C0_MAC, frame::ETHERTYPE_IPV4, &packet)
    }
}

/// What is attached while it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attached {
    None,
    Empty,
    Ours,
}

/// Both objects, loaded.
struct Programs {
    yardstick: Ebpf,
    ours: Ebpf,
    _maps: Option<FlowMaps>,
}

impl Programs {
    fn load(bench: &Bench<'_>) -> Result<Self> {
        let sizes = Sizes::new(u32::try_from(bench.cpus.len())?, false, true);
        let plan = Plan { filter: KernelFilter::default(), every: false, flows: true, sizes };
        let programs = load::load(load::embedded(), &Kernel::read(None)?, &plan)?;
        let yardstick = Ebpf::load_file(&bench.tools.yardstick).context("the yardstick")?;
        let mut loaded = Self { yardstick, ours: programs.object, _maps: programs.flows };
        loaded.find(Attached::Empty, "pass")?.load()?;
        for name in ["flow_ingress", "flow_egress"] {
            loaded.find(Attached::Ours, name)?.load()?;
        }
        Ok(loaded)
    }

    fn find(&mut self, attached: Attached, name: &str) -> Result<&mut SchedClassifier> {
        let object = if attached == Attached::Empty { &mut self.yardstick } else { &mut self.ours };
        Ok(object.program_mut(name).with_context(|| format!("no program {name}"))?.try_into()?)
    }

    /// Does something while a program is at the client's device, in both directions.
    fn with<T: Send>(&mut self, pair: &Pair, attached: Attached, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let names = match attached {
            Attached::None => return pair.client.run(work),
            Attached::Empty => ["pass", "pass"],
            Attached::Ours => ["flow_ingress", "flow_egress"],
        };
        pair.client.run(|| {
            let places = [TcAttachType::Ingress, TcAttachType::Egress];
            let mut links = Vec::new();
            for (name, place) in names.into_iter().zip(places) {
                let program = self.find(attached, name)?;
                let link = program.attach("c0", place)?;
                links.push(program.take_link(link)?);
            }
            let done = work();
            drop(links);
            done
        })
    }
}

/// ns that a packet takes.
#[derive(Debug, Serialize)]
pub(crate) struct Case {
    sent: &'static str,
    /// Of the sender's CPU without a program.
    without: Spread,
    /// What an empty program adds, and ours.
    empty: Spread,
    ours: Spread,
    /// Run time of ours where the kernel alone runs it, one after the other, less that of the empty one.
    alone: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Flow {
    cases: Vec<Case>,
    /// With the programs, to the same without them.
    throughput: Option<Spread>,
    connections: Option<Spread>,
}

impl Flow {
    /// What ours add to such a packet, as times what an empty program adds. The program's own time is what tells them apart: it is
    /// measured best alone. `None` where noise hid the empty one.
    pub(crate) fn to_empty(&self, sent: &str) -> Option<f64> {
        let case = self.cases.iter().find(|case| case.sent == sent)?;
        (case.empty.median >= 1.0).then_some(1.0 + case.alone? / case.empty.median)
    }
}

pub(crate) fn measure(bench: &Bench<'_>) -> Result<Option<Flow>> {
    if !bench.wants("tc-programs") {
        return Ok(None);
    }
    eprintln!("tc-programs");
    let pair = topology::pair()?;
    let mut programs = Programs::load(bench)?;
    let cases = Sent::ALL.into_iter().map(|sent| case(bench, &pair, &mut programs, sent)).collect::<Result<_>>()?;
    let throughput = ratio(bench, &pair, &mut programs, throughput)?;
    let connections = ratio(bench, &pair, &mut programs, connections)?;
    Ok(Some(Flow { cases, throughput, connections }))
}

fn case(bench: &Bench<'_>, pair: &Pair, programs: &mut Programs, sent: Sent) -> Result<Case> {
    eprintln!("tc-programs/{}", sent.name());
    let frames = if bench.quick { 200_000 } else { 1_000_000 };
    let (mut without, mut empty, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let mut once = |attached| programs.with(pair, attached, || send(bench.cpus[0], sent, frames));
        let before = once(Attached::None)?;
        let (of_empty, of_ours) = (once(Attached::Empty)?, once(Attached::Ours)?);
        let plain = f64::midpoint(before, once(Attached::None)?);
        without.push(plain);
        empty.push(of_empty - plain);
        ours.push(of_ours - plain);
    }
    let alone = if sent == Sent::Flood { None } else { Some(alone(pair, programs, &sent.frame())?) };
    let spread = |samples: Vec<f64>| Spread::of(samples).context("no round");
    Ok(Case { sent: sent.name(), without: spread(without)?, empty: spread(empty)?, ours: spread(ours)?, alone })
}

/// CPU time of the sender for a frame, ns.
fn send(cpu: usize, sent: Sent, frames: u64) -> Result<f64> {
    bind_to(cpu)?;
    let interface = Interface::sender("c0")?;
    let begin = thread_time();
    flood::frames(&interface, &sent.frame(), frames, |number, frame| {
        if sent == Sent::Flood {
            frame[SOURCE..SOURCE + 4].copy_from_slice(&(number as u32).wrapping_mul(0x9e37_79b1).to_be_bytes());
        }
    })?;
    Ok(thread_time().saturating_sub(begin).as_nanos() as f64 / frames as f64)
}

/// The run time of ours less that of the empty one, ns: the least of several tries, as others only ever add to it.
fn alone(pair: &Pair, programs: &mut Programs, frame: &[u8]) -> Result<f64> {
    pair.client.run(|| {
        let mut least = |attached, name| -> Result<f64> {
            let program = programs.find(attached, name)?;
            let mut least = f64::MAX;
            for _ in 0..5 {
                let options = TestRunOptions { data_in: Some(frame), repeat: REPEAT, ..TestRunOptions::new() };
                least = least.min(program.test_run(options)?.duration.as_nanos() as f64);
            }
            Ok(least)
        };
        Ok(least(Attached::Ours, "flow_ingress")? - least(Attached::Empty, "pass")?)
    })
}

/// What is done with the programs to what is done without them.
fn ratio(
    bench: &Bench<'_>,
    pair: &Pair,
    programs: &mut Programs,
    work: fn(&Pair, Duration) -> Result<f64>,
) -> Result<Option<Spread>> {
    let mut ratios = Vec::new();
    for _ in 0..bench.rounds {
        let mut once = |attached| programs.with(pair, attached, || work(pair, bench.time));
        let before = once(Attached::None)?;
        let ours = once(Attached::Ours)?;
        ratios.push(ours / f64::midpoint(before, once(Attached::None)?));
    }
    Ok(Spread::of(ratios))
}

/// Bytes a second of one connection, from inside the client's namespace.
fn throughput(pair: &Pair, time: Duration) -> Result<f64> {
    let to = NEIGHBOUR.port(Family::V4, 9001);
    let listener = pair.server.run(|| Ok(TcpListener::bind(to)?))?;
    let mut client = TcpStream::connect(to)?;
    let (mut server, _) = listener.accept()?;
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let (mut buffer, mut bytes) = (vec![0; 1 << 17], 0_u64);
            while let Ok(length @ 1..) = server.read(&mut buffer) {
                bytes += length as u64;
            }
            bytes
        });
        let (buffer, begin) = (vec![7; 1 << 17], Instant::now());
        while begin.elapsed() < time {
            client.write_all(&buffer)?;
        }
        drop(client);
        let bytes = reader.join().ok().context("the reader ended")?;
        Ok(bytes as f64 / begin.elapsed().as_secs_f64())
    })
}

/// Connections a second, one after the other; each ends with a reset, so that no port stays in use.
fn connections(pair: &Pair, time: Duration) -> Result<f64> {
    let to = NEIGHBOUR.port(Family::V4, 9002);
    let listener = pair.server.run(|| Ok(TcpListener::bind(to)?))?;
    let (mut made, begin) = (0_u64, Instant::now());
    while begin.elapsed() < time {
        let client = TcpStream::connect(to)?;
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
        drop(listener.accept()?);
        drop(client);
        made += 1;
    }
    Ok(made as f64 / begin.elapsed().as_secs_f64())
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nPackets that pass the tc programs, ns of the sender's CPU a packet\n")?;
        writeln!(f, "| packet | without | empty program adds | ours add | ours alone, less empty |")?;
        writeln!(f, "| --- | --- | --- | --- | --- |")?;
        for Case { sent, without, empty, ours, alone } in &self.cases {
            let alone = alone.map_or_else(|| "-".into(), |ns| format!("{ns:.0}"));
            writeln!(f, "| {sent} | {without} | {empty} | {ours} | {alone} |")?;
        }
        for (what, ratio) in [("TCP throughput", &self.throughput), ("connections a second", &self.connections)] {
            if let Some(ratio) = ratio {
                writeln!(f, "\n{what} with the programs, to without: {ratio}")?;
            }
        }
        Ok(())
    }
}
