//! What a set is asked for a packet: the values that its members are compared with.

use std::net::IpAddr;

use super::member::{Member, Net, and};
use super::{IpSet, Options, Part, Port, port};
use crate::packet::{Device, Known, Mark, Packet};

/// The values of a packet that a set's members are compared with. What the type does not have is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Question<'a> {
    pub(super) first: Option<IpAddr>,
    pub(super) second: Option<IpAddr>,
    pub(super) port: Option<Port>,
    pub(super) mac: Option<[u8; 6]>,
    pub(super) mark: Option<u32>,
    pub(super) interface: Option<&'a str>,
    /// The first value that is not known; its field is `None`.
    pub(super) unknown: Option<&'static str>,
    /// The packet surely lacks a value, so it is in no such set.
    is_never: bool,
}

impl<'a> Question<'a> {
    /// `None`: the packet can't be in such a set, whatever it holds.
    pub(super) fn new(set: &IpSet, packet: &'a Packet, is_source: &[bool], options: Options) -> Option<Self> {
        let mut question = Self::default();
        let mut is_second = false;
        for (part, is_source) in set.parts.iter().zip(is_source) {
            if matches!(part, Part::Address | Part::Net) {
                question.ask_address(set, packet, *is_source, is_second);
                is_second = true;
            } else {
                question.ask(set, *part, packet, *is_source, options);
            }
        }
        (!question.is_never).then_some(question)
    }

    fn ask_address(&mut self, set: &IpSet, packet: &Packet, is_source: bool, is_second: bool) {
        let (address, name) = if is_source {
            (packet.source, "the packet's source address")
        } else {
            (packet.destination, "the packet's destination address")
        };
        if address.is_none() {
            self.unknown.get_or_insert(name);
        }
        let masked = address.map(|address| set.mask.map_or(address, |mask| and(address, mask)));
        *(if is_second { &mut self.second } else { &mut self.first }) = masked;
    }

    fn ask(&mut self, set: &IpSet, part: Part, packet: &'a Packet, is_source: bool, options: Options) {
        let port_name = if is_source { "the packet's source port" } else { "the packet's destination port" };
        let device_name = if is_source { "the input device" } else { "the output device" };
        match part {
            Part::Port => self.port = self.take(port::of(packet, is_source), port_name),
            Part::BarePort => self.port = self.take(port::bare(packet, is_source), port_name),
            Part::Mac => self.mac = self.take(mac(packet, is_source), "the packet's Ethernet header"),
            Part::Mark => self.mark = self.take(mark(packet, set.mark_mask), "the packet's mark on the way"),
            Part::Interface => self.interface = self.take(interface(packet, is_source, options), device_name),
            Part::Address | Part::Net | Part::Set => {}
        }
    }

    fn take<T>(&mut self, value: Known<T>, name: &'static str) -> Option<T> {
        match value {
            Known::Is(value) => return Some(value),
            Known::Absent => self.is_never = true,
            Known::Unknown => {
                self.unknown.get_or_insert(name);
            }
        }
        None
    }

    /// Whether nothing that is known speaks against the member.
    pub(super) fn allows(&self, member: &Member, options: Options) -> bool {
        let holds = |net: Option<Net>, address: Option<IpAddr>| {
            net.zip(address).is_none_or(|(net, address)| net.contains(address))
        };
        holds(member.first, self.first)
            && holds(member.second, self.second)
            && is_same(member.port, self.port)
            && is_same(member.mac, self.mac)
            && is_same(member.mark, self.mark)
            && self.allows_interface(member, options)
    }

    pub(super) fn allows_interface(&self, member: &Member, options: Options) -> bool {
        let Some(interface) = &member.interface else { return true };
        interface.is_physical == options.is_physical && self.interface.is_none_or(|name| interface.holds(name))
    }
}

fn is_same<T: PartialEq>(of_member: Option<T>, of_packet: Option<T>) -> bool {
    of_member.zip(of_packet).is_none_or(|(a, b)| a == b)
}

/// As it is when the packet comes to the hook: what rules there do to it is not known here.
fn mark(packet: &Packet, mask: u32) -> Known<u32> {
    match packet.mark {
        Mark::Before(value) => Known::Is(value & mask),
        Mark::After(_) => Known::Unknown,
    }
}

/// From the Ethernet header; a packet that is sent from here has none yet.
fn mac(packet: &Packet, is_source: bool) -> Known<[u8; 6]> {
    let Some(link) = packet.link else {
        return if packet.input == Known::Absent { Known::Absent } else { Known::Unknown };
    };
    if packet.network.is_some_and(|network| network.saturating_sub(link) < 14) {
        return Known::Absent;
    }
    let bytes = packet.at(Some(link), if is_source { 6 } else { 0 }, 6).and_then(<[u8]>::first_chunk);
    bytes.map_or(Known::Unknown, |bytes| Known::Is(*bytes))
}

fn interface(packet: &Packet, is_source: bool, options: Options) -> Known<&str> {
    let device: &Known<Device> = match (options.is_physical, is_source) {
        (false, true) => &packet.input,
        (false, false) => &packet.output,
        (true, true) => &packet.bridge_input,
        (true, false) => &packet.bridge_output,
    };
    match device {
        Known::Is(device) if device.name.is_empty() => Known::Unknown,
        Known::Is(device) => Known::Is(device.name.as_str()),
        Known::Absent => Known::Absent,
        Known::Unknown => Known::Unknown,
    }
}
