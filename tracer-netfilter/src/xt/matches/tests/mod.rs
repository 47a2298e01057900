//! What matches say of packets, and that they say something of any.

mod connections;
mod fuzz;
mod headers;
mod surroundings;

use std::net::IpAddr;
use std::sync::Arc;

use crate::evaluate::{MarkState, View};
use crate::ipset::IpSet;
use crate::model::{Backend, Elements, Family, Hook, Table};
use crate::packet::{Connection, ConnectionState, Device, ETH_P_IP, ETH_P_IPV6, Known, Mark, Packet};
use crate::truth::Truth;
use crate::world::{RouteAnswer, RouteQuestion, Unanswered, World};

use super::Match;

/// A node that has the address 10.0.0.2 and reaches all others by device 2.
struct Node;

impl World for Node {
    fn elements(&self, _: &Table, _: &str) -> Result<Arc<Elements>, Unanswered> {
        Err("the elements".to_owned())
    }

    fn ipset(&self, index: u16) -> Result<Arc<IpSet>, Unanswered> {
        Err(format!("set {index}"))
    }

    fn address_kind(&self, address: IpAddr, _: u32) -> Result<u8, Unanswered> {
        let local: [IpAddr; 2] = ["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
        Ok(if local.contains(&address) { 2 } else { 1 })
    }

    fn route(&self, question: &RouteQuestion) -> Result<RouteAnswer, Unanswered> {
        let kind = self.address_kind(question.destination, 0)?;
        Ok(RouteAnswer { output: if kind == 2 { 1 } else { 2 }, kind })
    }

    fn device(&self, _: u32) -> Result<Device, Unanswered> {
        Err("the device".to_owned())
    }
}

fn device(index: u32, name: &str) -> Known<Device> {
    Known::Is(Device { index, name: name.to_owned(), hardware: Some(1), group: Some(7), ..Device::default() })
}

/// A packet of these bytes, which start with an IP header whose transport header starts at `transport`.
fn packet(bytes: &[u8], transport: usize) -> Packet {
    let is_ipv6 = bytes[0] >> 4 == 6;
    let address = |v4: usize, v6: usize| -> IpAddr {
        if is_ipv6 {
            <[u8; 16]>::try_from(&bytes[v6..v6 + 16]).unwrap().into()
        } else {
            <[u8; 4]>::try_from(&bytes[v4..v4 + 4]).unwrap().into()
        }
    };
    Packet {
        ethertype: if is_ipv6 { ETH_P_IPV6 } else { ETH_P_IP },
        bytes: bytes.to_vec(),
        link: None,
        network: Some(0),
        transport: Some(transport),
        protocol: Some(bytes[if is_ipv6 { 6 } else { 9 }]),
        fragment_offset: 0,
        length: Some(bytes.len() as u32),
        source: Some(address(12, 8)),
        destination: Some(address(16, 24)),
        source_port: None,
        destination_port: None,
        input: device(2, "eth0"),
        output: Known::Absent,
        bridge_input: Known::Absent,
        bridge_output: Known::Absent,
        mark: Mark::Before(0x400),
        connection: Known::Absent,
        socket: Known::Absent,
        packet_type: Some(0),
        vlan: None,
        cpu: Some(0),
    }
}

/// A SYN from 10.0.0.1:4000 to 10.0.0.2:22 with the options MSS 1460 and SACK.
fn syn() -> Packet {
    let ip = [0x45, 0xb8, 0, 48, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let tcp = [0x0f, 0xa0, 0, 22, 0, 0, 0, 1, 0, 0, 0, 0, 0x70, 0x02, 0xff, 0xff, 0, 0, 0, 0];
    let options = [2, 4, 0x05, 0xb4, 4, 2, 1, 1];
    packet(&[&ip[..], &tcp, &options].concat(), 20)
}

fn connection(state: ConnectionState) -> Known<Connection> {
    Known::Is(Connection { state, is_reply: false, mark: None, status: None, original: None, reply: None })
}

/// What a match says of a packet at a hook of a table.
fn ask_at(hook: Hook, table: &str, asked: &Match, packet: &Packet, change: impl FnOnce(&mut View<'_>)) -> Truth {
    let table = Table::new(Backend::Legacy, if packet.is_ipv6() { Family::Ip6 } else { Family::Ip }, table);
    let mut view = View {
        packet,
        world: &Node,
        hook,
        table: &table,
        mark: MarkState::new(packet.mark, true),
        connection_mark: MarkState::new(Mark::Before(0x10), true),
        no_track: false,
    };
    change(&mut view);
    asked.matches(&mut view)
}

fn ask(asked: &Match, packet: &Packet) -> Truth {
    ask_at(Hook::Prerouting, "mangle", asked, packet, |_| {})
}

/// A match of these bytes, and as many zeros as it may read.
fn decode(name: &str, revision: u8, family: Family, start: &[u8]) -> Match {
    let mut data = start.to_vec();
    data.resize(4200, 0);
    Match::decode(name, revision, family, &data).unwrap()
}

fn decode4(name: &str, revision: u8, start: &[u8]) -> Match {
    decode(name, revision, Family::Ip, start)
}
