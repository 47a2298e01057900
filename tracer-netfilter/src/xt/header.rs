//! What every entry of `iptables-legacy` asks of the IP header: addresses, devices, protocol, fragment.
//!
//! Rule: as `ip_packet_match` (`net/ipv4/netfilter/ip_tables.c`) and `ip6_packet_match` (`net/ipv6/netfilter/ip6_tables.c`)
//! of Linux 6.18 have it.

use std::fmt::Write as _;

use crate::evaluate::View;
use crate::model::{DecodeError, Family};
use crate::truth::Truth;

use super::address::Masked;
use super::blob::Blob;
use super::interface::Interface;
use super::protocol;

/// `struct ipt_ip` or `struct ip6t_ip6`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    source: Masked,
    destination: Masked,
    input: Interface,
    output: Interface,
    /// 0 for any.
    protocol: u16,
    /// IPv4: only later fragments.
    fragment: bool,
    /// `IPT_INV_` bits, the same for both.
    inverted: u8,
}

const INVERTED_INPUT: u8 = 0x01;
const INVERTED_OUTPUT: u8 = 0x02;
const INVERTED_SOURCE: u8 = 0x08;
const INVERTED_DESTINATION: u8 = 0x10;
const INVERTED_FRAGMENT: u8 = 0x20;
const INVERTED_PROTOCOL: u8 = 0x40;

impl Header {
    /// Bytes of `struct ipt_ip`, with which `struct ipt_entry` starts.
    pub const IPV4_SIZE: usize = 84;
    /// Bytes of `struct ip6t_ip6`, with which `struct ip6t_entry` starts.
    pub const IPV6_SIZE: usize = 136;

    /// Reads a `struct ipt_ip`; more may follow it.
    pub fn decode_ipv4(entry: &[u8]) -> Result<Self, DecodeError> {
        let blob = Blob { name: "ip", revision: 0, family: Family::Ip, data: entry };
        let address = |offset| blob.bytes(offset).map(u32::from_be_bytes);
        Ok(Self {
            source: Masked::V4 { address: address(0)?, mask: address(8)? },
            destination: Masked::V4 { address: address(4)?, mask: address(12)? },
            input: Interface::read(&blob, 16, 48)?,
            output: Interface::read(&blob, 32, 64)?,
            protocol: blob.u16(80)?,
            fragment: blob.u8(82)? & 0x01 != 0,
            inverted: blob.u8(83)?,
        })
    }

    /// Reads a `struct ip6t_ip6`; more may follow it.
    pub fn decode_ipv6(entry: &[u8]) -> Result<Self, DecodeError> {
        let blob = Blob { name: "ip6", revision: 0, family: Family::Ip6, data: entry };
        let asks_for_protocol = blob.u8(131)? & 0x01 != 0;
        Ok(Self {
            source: Masked::new(true, blob.bytes(0)?, blob.bytes(32)?),
            destination: Masked::new(true, blob.bytes(16)?, blob.bytes(48)?),
            input: Interface::read(&blob, 64, 96)?,
            output: Interface::read(&blob, 80, 112)?,
            protocol: if asks_for_protocol { blob.u16(128)? } else { 0 },
            fragment: false,
            inverted: blob.u8(132)?,
        })
    }

    /// Whether the rule is a jump by `-g`, by the flags of the entry.
    pub fn is_goto(family: Family, entry: &[u8]) -> bool {
        let (offset, bit) = if family == Family::Ip6 { (131, 0x04) } else { (82, 0x02) };
        entry.get(offset).is_some_and(|flags| flags & bit != 0)
    }

    /// Protocol number that the rule asks for, not inverted.
    pub const fn protocol(&self) -> Option<u16> {
        if self.protocol == 0 || self.is_inverted(INVERTED_PROTOCOL) { None } else { Some(self.protocol) }
    }

    const fn is_inverted(&self, bit: u8) -> bool {
        self.inverted & bit != 0
    }

    pub fn matches(&self, view: &View<'_>) -> Truth {
        let packet = view.packet;
        let source = self.source.equals(packet.source, "the source address");
        let destination = self.destination.equals(packet.destination, "the destination address");
        let input = self.input.matches(&packet.input, "the input device");
        let output = self.output.matches(&packet.output, "the output device");
        let protocol = match packet.protocol {
            _ if self.protocol == 0 => Truth::Yes,
            Some(protocol) => {
                Truth::from(u16::from(protocol) == self.protocol).invert_if(self.is_inverted(INVERTED_PROTOCOL))
            }
            None => Truth::unknown("the IP protocol"),
        };
        let fragment = Truth::from(!self.fragment || packet.fragment_offset != 0);
        source
            .invert_if(self.is_inverted(INVERTED_SOURCE))
            .and(destination.invert_if(self.is_inverted(INVERTED_DESTINATION)))
            .and(input.invert_if(self.is_inverted(INVERTED_INPUT)))
            .and(output.invert_if(self.is_inverted(INVERTED_OUTPUT)))
            .and(protocol)
            .and(fragment.invert_if(self.is_inverted(INVERTED_FRAGMENT)))
    }

    /// As `iptables -S` prints it: `-s 10.0.0.0/8 ! -i lo -p tcp`; empty for a rule that takes every packet.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut option = |bit: u8, letter: char, value: &str| {
            let inversion = if self.is_inverted(bit) { "! " } else { "" };
            let space = if text.is_empty() { "" } else { " " };
            let _ = write!(text, "{space}{inversion}-{letter}{value}");
        };
        let addresses = [('s', INVERTED_SOURCE, &self.source), ('d', INVERTED_DESTINATION, &self.destination)];
        for (letter, bit, masked) in addresses {
            let is_any = match masked {
                Masked::V4 { address, mask } => *address == 0 && *mask == 0,
                Masked::V6 { mask, .. } => *mask == 0,
            };
            if !is_any || self.is_inverted(bit) {
                option(bit, letter, &format!(" {masked}"));
            }
        }
        for (letter, bit, interface) in [('i', INVERTED_INPUT, &self.input), ('o', INVERTED_OUTPUT, &self.output)] {
            let pattern = interface.pattern();
            if !pattern.is_empty() {
                option(bit, letter, &format!(" {pattern}"));
            }
        }
        if self.protocol != 0 {
            option(INVERTED_PROTOCOL, 'p', &format!(" {}", protocol::name(self.protocol)));
        }
        if self.fragment {
            option(INVERTED_FRAGMENT, 'f', "");
        }
        text
    }
}
