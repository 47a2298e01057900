//! A pair of namespaces with the programs at the client's device, and what they keep.

use std::collections::BTreeMap;
use std::net::IpAddr;

use anyhow::{Context, Result};
use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray};
use aya::programs::tc::qdisc_add_clsact;
use aya::programs::{ProgramError, RawTracePoint, SchedClassifier, TcAttachType};
use tracer_common::{
    Attempt, AttemptCounter, AttemptKey, AttemptState, Plain, Query, QueryKey, Retransmit, RetransmitKey, port_place,
    read_plain,
};
use tracer_tests::topology::{self, C0_MAC, CLIENT, NEIGHBOUR, Pair};
use tracer_tests::traffic::Mac;
use tracer_tests::traffic::frame::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ipv4, Ipv6};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::{Family, NetNs, kernel};
use whydrop::load::{self, Kernel, Plan, Programs, Sizes};
use whydrop::settings::KernelFilter;

/// The other end of the client's wire.
pub(crate) const S0_MAC: Mac = [2, 0x77, 0, 0, 1, 3];

type Entries<const KEY: usize, const VALUE: usize> = HashMap<MapData, [u8; KEY], [u8; VALUE]>;

/// Loaded programs, which are attached where a test wants them.
pub(crate) struct Watched {
    programs: Programs,
    attempts: Entries<{ size_of::<AttemptKey>() }, { size_of::<Attempt>() }>,
    queries: Entries<{ size_of::<QueryKey>() }, { size_of::<Query>() }>,
    retransmits: Entries<{ size_of::<RetransmitKey>() }, { size_of::<Retransmit>() }>,
    state: PerCpuArray<MapData, [u8; size_of::<AttemptState>()]>,
    /// Kept open: programs are loaded later on.
    _ports: Array<MapData, u64>,
}

/// The programs at the device of a pair's client.
pub(crate) struct Lab {
    pub(crate) pair: Pair,
    pub(crate) watched: Watched,
}

impl Lab {
    /// With these classes of UDP ports.
    pub(crate) fn new(ports: &[(u16, u64)]) -> Result<Self> {
        let pair = topology::pair()?;
        let mut watched = Watched::new(ports)?;
        watched.attach(&pair.client, "c0")?;
        Ok(Self { pair, watched })
    }

    /// Sends a frame out of the client's device.
    pub(crate) fn send_out(&self, frame: &[u8]) -> Result<()> {
        self.pair.client.run(|| Interface::sender("c0")?.send(frame))
    }

    /// Sends a frame into the client's device.
    pub(crate) fn send_in(&self, frame: &[u8]) -> Result<()> {
        self.pair.server.run(|| Interface::sender("s0")?.send(frame))
    }
}

impl Watched {
    pub(crate) fn new(ports: &[(u16, u64)]) -> Result<Self> {
        let cpus = std::thread::available_parallelism()?.get() as u32;
        let plan =
            Plan { filter: KernelFilter::default(), every: false, flows: true, sizes: Sizes::new(cpus, false, true) };
        let mut programs = load::load(load::embedded(), &Kernel::read(None)?, &plan)?;
        let maps = programs.flows.take().context("no maps of the tc programs")?;
        let mut classes = Map::Array(maps.ports).try_into()?;
        fill_ports(&mut classes, ports)?;
        Ok(Self {
            programs,
            attempts: Map::LruHashMap(maps.attempts).try_into()?,
            queries: Map::LruHashMap(maps.queries).try_into()?,
            retransmits: Map::LruHashMap(maps.retransmits).try_into()?,
            state: Map::PerCpuArray(maps.state).try_into()?,
            _ports: classes,
        })
    }

    pub(crate) fn program(&mut self, name: &str) -> Result<&mut SchedClassifier> {
        let program = self.programs.object.program_mut(name).with_context(|| format!("no program {name}"))?;
        let program: &mut SchedClassifier = program.try_into()?;
        match program.load() {
            Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(program),
            Err(error) => Err(error).with_context(|| format!("{name} is refused")),
        }
    }

    /// Attaches the programs for devices with an Ethernet header.
    pub(crate) fn attach(&mut self, namespace: &NetNs, interface: &str) -> Result<()> {
        self.attach_named(namespace, interface, ["flow_ingress", "flow_egress"])
    }

    /// Attaches the programs for ingress and egress of these names.
    pub(crate) fn attach_named(&mut self, namespace: &NetNs, interface: &str, names: [&str; 2]) -> Result<()> {
        namespace.run(|| {
            if kernel::release()? < (6, 6) {
                qdisc_add_clsact(interface)?;
            }
            for (name, place) in names.into_iter().zip([TcAttachType::Ingress, TcAttachType::Egress]) {
                self.program(name)?.attach(interface, place)?;
            }
            Ok(())
        })
    }

    /// Attaches the `retransmit` program.
    pub(crate) fn attach_retransmit(&mut self) -> Result<()> {
        let program = self.programs.object.program_mut("retransmit").context("no such program")?;
        let program: &mut RawTracePoint = program.try_into()?;
        program.load()?;
        program.attach("tcp_retransmit_skb")?;
        Ok(())
    }

    pub(crate) fn attempts(&self) -> Result<Vec<(AttemptKey, Attempt)>> {
        entries(&self.attempts)
    }

    pub(crate) fn queries(&self) -> Result<Vec<(QueryKey, Query)>> {
        entries(&self.queries)
    }

    pub(crate) fn retransmits(&self) -> Result<Vec<(RetransmitKey, Retransmit)>> {
        entries(&self.retransmits)
    }

    pub(crate) fn counter(&self, counter: AttemptCounter) -> Result<u64> {
        let values = self.state.get(&0, 0)?;
        let counts = values.iter().filter_map(|bytes| read_plain::<AttemptState>(bytes));
        Ok(counts.map(|state| state.counters[counter as usize]).sum())
    }

    /// The only entry of this server's port, which must be there.
    pub(crate) fn attempt(&self, server_port: u16) -> Result<(AttemptKey, Attempt)> {
        let all = self.attempts()?;
        let found: Vec<_> = all.iter().filter(|(key, _)| key.server_port == server_port).collect();
        anyhow::ensure!(found.len() == 1, "{} entries of port {server_port} in {all:#?}", found.len());
        Ok(*found[0])
    }

    /// The only query with this id.
    pub(crate) fn query(&self, id: u16) -> Result<(QueryKey, Query)> {
        let all = self.queries()?;
        let found: Vec<_> = all.iter().filter(|(key, _)| key.id == id).collect();
        anyhow::ensure!(found.len() == 1, "{} entries of id {id} in {all:#?}", found.len());
        Ok(*found[0])
    }
}

fn fill_ports(map: &mut Array<MapData, u64>, ports: &[(u16, u64)]) -> Result<()> {
    let mut words = BTreeMap::<u32, u64>::new();
    for (port, class) in ports {
        let (word, shift) = port_place(*port);
        *words.entry(word).or_default() |= class << shift;
    }
    for (word, classes) in words {
        map.set(word, classes, 0)?;
    }
    Ok(())
}

fn entries<K: Plain, V: Plain, const KEY: usize, const VALUE: usize>(map: &Entries<KEY, VALUE>) -> Result<Vec<(K, V)>> {
    map.iter()
        .map(|entry| {
            let (key, value) = entry?;
            Ok((read_plain(&key).context("a short key")?, read_plain(&value).context("a short value")?))
        })
        .collect()
}

/// Whether the kernel gives namespaces cookies.
pub(crate) fn has_cookies() -> Result<bool> {
    Ok(kernel::release()? >= (5, 12))
}

/// An address as the programs keep it.
pub(crate) fn words(address: IpAddr) -> [u32; 4] {
    let bytes = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    let word = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    [word(0), word(4), word(8), word(12)]
}

/// The ends of the wire in a family: the client's address, the server's.
pub(crate) fn ends(family: Family) -> (IpAddr, IpAddr) {
    (CLIENT.ip(family), NEIGHBOUR.ip(family))
}

/// An IP packet without its Ethernet header.
pub(crate) fn packet(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Ipv4::new(source, destination, protocol).build(payload),
        (IpAddr::V6(source), IpAddr::V6(destination)) => Ipv6::new(source, destination, protocol).build(payload),
        _ => Vec::new(),
    }
}

/// A frame from the client to the server around an IP packet.
pub(crate) fn frame_out(packet: &[u8]) -> Vec<u8> {
    frame::ethernet(S0_MAC, C0_MAC, ethertype(packet), packet)
}

/// The other way.
pub(crate) fn frame_into(packet: &[u8]) -> Vec<u8> {
    frame::ethernet(C0_MAC, S0_MAC, ethertype(packet), packet)
}

pub(crate) fn ethertype(packet: &[u8]) -> u16 {
    if packet[0] >> 4 == 6 { ETHERTYPE_IPV6 } else { ETHERTYPE_IPV4 }
}
