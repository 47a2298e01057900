//! What explaining costs where the node's own state is read: how soon the line is there, and the CPU time while many flows
//! find no socket.
//!
//! Rule: what it is compared with is the same packet to a port where it is a late answer, of which nothing is asked.

use std::fmt;
use std::net::{SocketAddrV4, TcpListener, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tracer_tests::NetNs;
use tracer_tests::topology::NEIGHBOUR;

use crate::Bench;
use crate::ground::{CLIENT_PORT, CLOSED, Ground, SERVER_PORT};
use crate::load::Load;
use crate::spread::Spread;
use crate::watcher::Watcher;

/// Flows a second that are dropped while CPU time is taken.
const FLOWS: u64 = 1000;
/// TCP listeners and UDP sockets of the namespace, of each as many.
const SOCKETS: [u16; 3] = [10, 1000, 5000];

/// A namespace with so many sockets.
#[derive(Debug, Serialize)]
pub(crate) struct Case {
    sockets: u16,
    /// ms from the drop to its line.
    line: Option<Spread>,
    /// Share of one CPU: nothing is asked; the namespace's sockets are read.
    late: f64,
    closed: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Node {
    cases: Vec<Case>,
}

pub(crate) fn measure(bench: &Bench<'_>) -> Result<Option<Node>> {
    let wanted = SOCKETS.into_iter().filter(|sockets| bench.wants(&format!("node/{sockets}-sockets")));
    let cases: Vec<Case> = wanted.map(|sockets| case(bench, sockets)).collect::<Result<_>>()?;
    Ok((!cases.is_empty()).then_some(Node { cases }))
}

fn case(bench: &Bench<'_>, sockets: u16) -> Result<Case> {
    eprintln!("node/{sockets}-sockets");
    let mut ground = Ground::new()?;
    let _open = open(&ground.pair.server, sockets)?;
    let time = Duration::from_secs(if bench.quick { 3 } else { 10 });
    let share = |ground: &Ground, from_port: u16, to_port: u16| -> Result<f64> {
        let load = Load { flows: 1 << 20, from_port, ..Load::paced(FLOWS, bench.cpus[0], time) };
        let watcher = Watcher::start(&bench.tools.whydrop, &ground.pair.server)?;
        let before = watcher.cpu()?;
        load.send(&ground.pair.client, SocketAddrV4::new(NEIGHBOUR.v4, to_port))?;
        Ok(watcher.cpu()?.saturating_sub(before).as_secs_f64() / time.as_secs_f64())
    };
    let (late, closed) = (share(&ground, SERVER_PORT, CLIENT_PORT)?, share(&ground, CLIENT_PORT, CLOSED)?);
    let watcher = Watcher::start(&bench.tools.whydrop, &ground.pair.server)?;
    let lines = (0..bench.rounds).map(|_| ground.closed(&watcher)).collect::<Result<Vec<_>>>()?;
    Ok(Case { sockets, line: Spread::of(lines.iter().map(|line| line.as_secs_f64() * 1e3)), late, closed })
}

/// Opens so many sockets of each kind, on ports from 1000 on.
fn open(namespace: &NetNs, sockets: u16) -> Result<Vec<(TcpListener, UdpSocket)>> {
    namespace.run(|| {
        let pair = |port: u16| {
            let tcp = TcpListener::bind(("127.0.0.1", port)).with_context(|| format!("no listener on {port}"))?;
            Ok((tcp, UdpSocket::bind(("127.0.0.1", port)).with_context(|| format!("no socket on {port}"))?))
        };
        (1000..1000 + sockets).map(pair).collect()
    })
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nFor want of a socket: from the drop to its line; whydrop's share of a CPU at {FLOWS} new flows/s\n"
        )?;
        writeln!(f, "| sockets | line, ms | nothing is asked | sockets are read | x nothing |")?;
        writeln!(f, "| --- | --- | --- | --- | --- |")?;
        for Case { sockets, line, late, closed } in &self.cases {
            let line = line.as_ref().map_or_else(|| "-".into(), Spread::to_string);
            let ratio = closed / late;
            writeln!(f, "| 2 x {sockets} | {line} | {:.1} % | {:.1} % | {ratio:.2} |", late * 100.0, closed * 100.0)?;
        }
        Ok(())
    }
}
