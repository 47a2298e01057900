//! `rpfilter`: whether an answer would leave by the device that the packet came in by
//! (`net/ipv4/netfilter/ipt_rpfilter.c`, `net/ipv6/netfilter/ip6t_rpfilter.c`).
//!
//! Rule: of an IPv4 route with several next hops any may lead by the device; so the route is asked for with the device.

use std::net::{IpAddr, Ipv4Addr};

use crate::packet::Known;
use crate::world::RouteQuestion;

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpFilter {
    flags: u8,
}

const LOOSE: u8 = 1 << 0;
const VALID_MARK: u8 = 1 << 1;
const ACCEPT_LOCAL: u8 = 1 << 2;
const INVERT: u8 = 1 << 3;
/// `ARPHRD_LOOPBACK`.
const LOOPBACK: u16 = 772;
/// `PACKET_LOOPBACK`.
const TO_OURSELVES: u8 = 5;
const UNICAST: u8 = 1;
const LOCAL: u8 = 2;

impl Extension for RpFilter {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { flags: blob.u8(0)? })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        self.has_way_back(view).invert_if(self.has(INVERT))
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("rpfilter");
        line.flag_if(self.has(LOOSE), "--loose");
        line.flag_if(self.has(VALID_MARK), "--validmark");
        line.flag_if(self.has(ACCEPT_LOCAL), "--accept-local");
        line.flag_if(self.has(INVERT), "--invert");
        line
    }
}

impl RpFilter {
    const fn has(&self, bit: u8) -> bool {
        self.flags & bit != 0
    }

    fn has_way_back(&self, view: &mut View<'_>) -> Truth {
        let Known::Is(input) = &view.packet.input else { return Truth::unknown("the input device") };
        let is_loopback = input.hardware == Some(LOOPBACK) || input.name == "lo";
        if is_loopback || view.packet.packet_type == Some(TO_OURSELVES) {
            return Truth::Yes;
        }
        let (Some(source), Some(destination)) = (view.packet.source, view.packet.destination) else {
            return Truth::unknown("the addresses");
        };
        let needs_no_way = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                source.octets()[0] == 0 && (destination.is_broadcast() || is_local_multicast(destination))
            }
            _ => source.is_unspecified() && source.is_ipv6(),
        };
        if needs_no_way {
            return Truth::Yes;
        }
        let mark = if self.has(VALID_MARK) { view.mark.rely(u32::MAX) } else { Some(0) };
        let Some(mark) = mark else { return Truth::unknown("the packet's mark on the way") };
        let is_device_fixed = match source {
            IpAddr::V6(source) => source.is_unicast_link_local() || !self.has(LOOSE),
            // Any next hop of the route may lead by the device.
            IpAddr::V4(_) => !self.has(LOOSE),
        };
        let question = RouteQuestion {
            destination: source,
            source: Some(destination).filter(|destination| is_usable(*destination)),
            mark,
            output: if is_device_fixed { input.index } else { 0 },
            input: 0,
        };
        let answer = match view.world.route(&question) {
            Ok(answer) => answer,
            Err(why) => return Truth::unknown(why),
        };
        match answer.kind {
            LOCAL if !self.has(ACCEPT_LOCAL) => Truth::No,
            LOCAL if source.is_ipv6() || self.has(LOOSE) => Truth::Yes,
            // A route to our own address leads to the device that has it, whatever is sent by loopback.
            LOCAL => match view.world.address_kind(source, input.index) {
                Ok(kind) => Truth::from(kind == LOCAL),
                Err(why) => Truth::unknown(why),
            },
            UNICAST => Truth::from(answer.output != 0 && (self.has(LOOSE) || answer.output == input.index)),
            _ => Truth::No,
        }
    }
}

/// 224.0.0.0/24.
fn is_local_multicast(address: Ipv4Addr) -> bool {
    matches!(address.octets(), [224, 0, 0, _])
}

/// Whether an answer can come from it.
fn is_usable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_multicast() && !address.is_broadcast() && address.octets()[0] != 0,
        IpAddr::V6(address) => !address.is_multicast() && !address.is_unspecified(),
    }
}
