//! Who should have answered a packet that arrived in a namespace: whether it is for the namespace at all, its listeners
//! and their queues, and whether the program behind them runs; else where it would be sent on.
//!
//! Rule: asked about attempts that nobody answered, of which no packet was dropped; so what is read is a state, not a verdict.
//! A packet without ports is an answer that came in for a client: no listener is looked for.

use std::net::IpAddr;

use super::program::{Direction, Hold, Place, Program};
use super::reverse_path::{self, Combined};
use super::route::{Address, Routing, addresses};
use super::socket::{Expected, expected};
use super::{Scene, program, route, socket, sysctl};
use crate::host::HostError;

/// Own addresses that are told.
const MOST_ADDRESSES: usize = 8;
/// Beginnings of the names of our own programs, which change no packet's way.
const OURS: [&str; 2] = ["flow_ingress", "flow_egress"];

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Silence {
    /// The device of the namespace that it came in by.
    pub device: Option<String>,
    /// Whether the destination is an address of the namespace.
    pub is_local: Option<bool>,
    /// Addresses of its family that the namespace has, without those of the loopback: at most 8.
    pub addresses: Vec<IpAddr>,
    /// Where it would go, for a destination that is not here.
    pub routing: Option<Box<Routing>>,
    /// Who should take it, for one that is.
    pub expected: Option<Box<Expected>>,
    /// `rp_filter` of IPv4 for the device.
    pub reverse_path: Option<reverse_path::Setting>,
    /// What other programs stand where it came in.
    pub programs: Vec<Standing>,
}

/// A program where packets come in by a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `tcx ingress`, `tc ingress`, `xdpdrv`.
    pub at: String,
    pub program: Program,
}

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {
    sockets: socket::Memory,
    route: route::Memory,
    programs: program::Memory,
}

pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Silence, HostError> {
    let Some(destination) = scene.question.packet.destination else { return Ok(Silence::default()) };
    let own = scene.inside(|| addresses(destination.is_ipv6()))?;
    let own = scene.note("the addresses of the namespace", own);
    let mut question = scene.question.clone();
    if question.packet.came_in_by == 0 {
        let device = arrival(scene, own.as_deref().unwrap_or_default(), destination);
        question.packet.came_in_by = device;
        question.packet.interface.index = device;
    }
    let mut inner = Scene { question: &question, host: scene.host, unknown: Vec::new(), time: scene.time };
    let silence = of_device(&mut inner, memory, own.as_deref(), destination);
    let unknown = inner.unknown;
    scene.unknown.extend(unknown);
    silence
}

fn of_device(
    scene: &mut Scene<'_>,
    memory: &mut Memory,
    own: Option<&[Address]>,
    destination: IpAddr,
) -> Result<Silence, HostError> {
    let index = scene.question.packet.came_in_by;
    let device = scene.interface_name(index).map(str::to_owned);
    let is_local = own.map(|own| own.iter().any(|address| address.prefix.address == destination));
    let shown = own.unwrap_or_default().iter().filter(|address| !address.is_host_scope);
    let mut silence = Silence {
        is_local,
        addresses: shown.map(|address| address.prefix.address).take(MOST_ADDRESSES).collect(),
        device,
        ..Silence::default()
    };
    if is_local == Some(false) {
        let routing = route::read(scene, &mut memory.route);
        silence.routing = scene.note("where it was to go", routing).map(Box::new);
    } else {
        let taker = expected::read(scene, &mut memory.sockets);
        silence.expected = scene.note("who listens", taker).flatten().map(Box::new);
    }
    if let Some(device) = silence.device.clone() {
        silence.reverse_path = if destination.is_ipv4() { Some(reverse_path_of(scene, &device)?) } else { None };
        silence.programs = programs(scene, memory);
    }
    Ok(silence)
}

/// The device that packets to this address most likely come in by: the one that has it, or the only one that leads out.
fn arrival(scene: &Scene<'_>, own: &[Address], destination: IpAddr) -> u32 {
    let has = own.iter().find(|address| address.prefix.address == destination && !destination.is_loopback());
    let Ok(table) = scene.host.interfaces(scene.question.netns.inode) else { return has.map_or(0, |own| own.device) };
    let is_out = |index: u32| table.get(index).is_some_and(|device| device.name != "lo");
    if let Some(own) = has.filter(|own| is_out(own.device)) {
        return own.device;
    }
    let mut out = table.iter().filter(|device| device.is_up() && device.name != "lo");
    match (out.next(), out.next()) {
        (Some(only), None) => only.index,
        _ => 0,
    }
}

fn reverse_path_of(scene: &Scene<'_>, device: &str) -> Result<reverse_path::Setting, HostError> {
    let number =
        |of: &str| -> Option<u32> { sysctl::read(&format!("net/ipv4/conf/{of}/rp_filter")).ok()?.parse().ok() };
    scene.inside(|| reverse_path::Setting::new("rp_filter", Combined::Higher, number("all"), number(device)))
}

/// Programs that may have taken the packet out of its way where it came in.
fn programs(scene: &mut Scene<'_>, memory: &mut Memory) -> Vec<Standing> {
    let mut all = Vec::new();
    for place in [Place::Xdp, Place::Tc(Direction::Ingress)] {
        let found = program::at(scene, &mut memory.programs, place);
        let found = scene.note("the programs of the device", found).unwrap_or_default();
        all.extend(found.attached.into_iter().filter_map(|attached| {
            let at = match attached.hold {
                Hold::Xdp(mode) => mode.to_owned(),
                Hold::Tcx => "tcx ingress".to_owned(),
                _ => "tc ingress".to_owned(),
            };
            let program = attached.program.filter(|program| !is_ours(program))?;
            Some(Standing { at, program })
        }));
    }
    all
}

fn is_ours(program: &Program) -> bool {
    program.owner.is_none() && OURS.iter().any(|ours| program.name.starts_with(ours))
}
