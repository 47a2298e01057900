//! What the node itself decides about packets: its routes, sockets, neighbours, programs and queues, read beside the
//! event line from the namespace where a packet was dropped.
//!
//! Rules: nothing is read before a drop asks for it, nothing is changed, and what was read is a plain [`State`] that
//! explaining uses as it uses any other fact. What could not be read is said in [`State::unknown`]. One file or folder a
//! [`Topic`]; the function that explains it has the same name in `explain/node`.

pub mod checksum;
pub mod device;
pub mod fragment;
mod handle;
pub mod ipsec;
pub mod mtu;
pub mod neighbour;
mod pace;
pub mod program;
pub mod qdisc;
mod question;
pub(crate) mod recent;
pub mod reverse_path;
pub mod route;
mod scene;
pub mod setting;
pub mod silence;
pub mod socket;
pub mod sysctl;
mod turns;

pub use handle::{NodeHandle, spawn};
pub use question::{Packet, Question};
pub use scene::Scene;

use std::time::SystemTime;

/// What is to be read about a drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Whether its source may come in by this interface: `rp_filter`, the route back, martians.
    ReversePath,
    /// Where it was to go: routes, rules, forwarding, addresses.
    Route,
    /// Who listens, with which queue and buffer.
    Socket,
    /// The next hop and the neighbour tables.
    Neighbour,
    /// What fits through the route and the device.
    Mtu,
    /// The reassembly of fragments.
    Fragment,
    /// The BPF programs, tc filters and actions where it was.
    Program,
    /// The queueing discipline of the device.
    Qdisc,
    /// The device, its counters, and the software queue behind it.
    Device,
    /// A kernel setting that alone decides.
    Setting,
    /// The IPsec policies.
    Ipsec,
    /// Who should have answered, and did not.
    Silence,
    /// Offloads and error counters that explain wrong headers and checksums.
    Checksum,
}

/// What was read for one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub read: SystemTime,
    pub facts: Facts,
    /// What could not be read, and why: a short sentence each.
    pub unknown: Vec<String>,
}

impl State {
    /// Nothing could be read, and why.
    pub fn unreadable(why: String) -> Self {
        Self { read: SystemTime::now(), facts: Facts::None, unknown: vec![why] }
    }

    /// The program whose socket the packet was for, where it can have been no other.
    pub fn process(&self) -> Option<&socket::Owner> {
        match &self.facts {
            Facts::Socket(socket::Sockets::Busy(busy)) if busy.alternatives == 0 => {
                busy.socket.as_ref()?.owner.as_ref()
            }
            _ => None,
        }
    }
}

/// The facts of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Facts {
    /// Nothing could be read.
    None,
    ReversePath(reverse_path::ReversePath),
    Route(Box<route::Routing>),
    Socket(socket::Sockets),
    Neighbour(neighbour::Neighbours),
    Mtu(mtu::Mtu),
    Fragment(fragment::Fragments),
    Program(program::Programs),
    Qdisc(Box<qdisc::Qdisc>),
    Device(Box<device::Device>),
    Checksum(checksum::Checksum),
    Setting(setting::Settings),
    Ipsec(ipsec::Policies),
    Silence(Box<silence::Silence>),
}

/// What is kept of earlier readings, to compare with and to spare reading again.
#[derive(Debug, Default)]
pub struct Memory {
    reverse_path: reverse_path::Memory,
    route: route::Memory,
    socket: socket::Memory,
    neighbour: neighbour::Memory,
    mtu: mtu::Memory,
    fragment: fragment::Memory,
    program: program::Memory,
    qdisc: qdisc::Memory,
    device: device::Memory,
    checksum: checksum::Memory,
    setting: setting::Memory,
    ipsec: ipsec::Memory,
    silence: silence::Memory,
}

/// Reads what the question is about.
fn answer(scene: &mut Scene<'_>, memory: &mut Memory) -> State {
    let facts = match scene.question.topic {
        Topic::ReversePath => reverse_path::read(scene, &mut memory.reverse_path).map(Facts::ReversePath),
        Topic::Route => route::read(scene, &mut memory.route).map(|read| Facts::Route(Box::new(read))),
        Topic::Socket => socket::read(scene, &mut memory.socket).map(Facts::Socket),
        Topic::Neighbour => neighbour::read(scene, &mut memory.neighbour).map(Facts::Neighbour),
        Topic::Mtu => mtu::read(scene, &mut memory.mtu).map(Facts::Mtu),
        Topic::Fragment => fragment::read(scene, &mut memory.fragment).map(Facts::Fragment),
        Topic::Program => program::read(scene, &mut memory.program).map(Facts::Program),
        Topic::Qdisc => qdisc::read(scene, &mut memory.qdisc).map(|read| Facts::Qdisc(Box::new(read))),
        Topic::Device => device::read(scene, &mut memory.device).map(|read| Facts::Device(Box::new(read))),
        Topic::Setting => setting::read(scene, &mut memory.setting).map(Facts::Setting),
        Topic::Ipsec => match ipsec::read(scene, &mut memory.ipsec) {
            // The place alone does not tell a policy from a route.
            policies if policies.decisive.is_none() && scene.question.packet.symbol == "ip6_forward" => {
                route::read(scene, &mut memory.route).map(|read| Facts::Route(Box::new(read)))
            }
            policies => Ok(Facts::Ipsec(policies)),
        },
        Topic::Silence => silence::read(scene, &mut memory.silence).map(|read| Facts::Silence(Box::new(read))),
        Topic::Checksum => checksum::read(scene, &mut memory.checksum).map(Facts::Checksum),
    };
    let facts = facts.unwrap_or_else(|error| {
        scene.unknown.push(error.to_string());
        Facts::None
    });
    State { read: SystemTime::now(), facts, unknown: std::mem::take(&mut scene.unknown) }
}
