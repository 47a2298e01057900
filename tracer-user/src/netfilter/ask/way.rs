//! The hooks that a packet passes on its way through a node.
//!
//! Rule: where it goes is what the kernel's addresses and routes say at that moment; a destination that a rule gives it is
//! followed if it is known, and else the way ends there.

use std::collections::VecDeque;
use std::ffi::CString;

use tracer_netfilter::live::Live;
use tracer_netfilter::packet::{Connection, Device, Known, Mark, Packet};
use tracer_netfilter::world::RouteQuestion;
use tracer_netfilter::{Hook, World};

use super::{AskError, Spec};
use crate::settings::shortened;

/// `RTN_LOCAL`, `RTN_BROADCAST`, `RTN_ANYCAST` and `RTN_MULTICAST` of `include/uapi/linux/rtnetlink.h`.
const LOCAL: u8 = 2;
const BROADCAST: u8 = 3;
const ANYCAST: u8 = 4;
const MULTICAST: u8 = 5;
/// `IPS_CONFIRMED`, `IPS_DST_NAT` and the `DONE` bits of `enum ip_conntrack_status`.
const CONFIRMED: u32 = 0x8;
const DESTINATION_CHANGED: u32 = 0x20;
const SOURCE_DONE: u32 = 0x80;
const DESTINATION_DONE: u32 = 0x100;
/// `ARPHRD_LOOPBACK`
const LOOPBACK: u16 = 772;

/// A packet on its way.
pub(super) struct Way<'a> {
    pub packet: Packet,
    world: &'a Live,
    ahead: VecDeque<Hook>,
    /// The device by which it leaves was given.
    is_output_given: bool,
    /// Only one hook is asked about.
    is_one: bool,
}

impl<'a> Way<'a> {
    pub(super) fn new(spec: &Spec, hook: Option<Hook>, world: &'a Live) -> Result<Self, AskError> {
        let mut packet = spec.packet();
        packet.input = device(spec.input.as_deref(), world)?;
        packet.output = device(spec.output.as_deref(), world)?;
        let is_output_given = matches!(packet.output, Known::Is(_));
        let mut way = Self { packet, world, ahead: VecDeque::new(), is_output_given, is_one: hook.is_some() };
        match hook {
            Some(hook) => way.ahead.push_back(hook),
            None => way.begin()?,
        }
        Ok(way)
    }

    /// The next hook, with the packet as its rules see it.
    pub(super) fn next(&mut self) -> Option<(Hook, Packet)> {
        let hook = self.ahead.pop_front()?;
        let is_looped = !self.is_one && hook == Hook::Prerouting && self.packet.input == Known::Absent;
        if is_looped {
            self.packet.input = self.packet.output.clone();
        }
        let mut at = self.packet.clone();
        match hook {
            Hook::Prerouting | Hook::Input | Hook::Ingress => at.output = Known::Absent,
            Hook::Output => at.input = Known::Absent,
            Hook::Forward | Hook::Postrouting | Hook::Egress => {}
        }
        if matches!(at.input, Known::Is(_)) {
            at.socket = Known::Absent;
        }
        Some((hook, at))
    }

    /// The packet has passed a hook.
    pub(super) fn passed(&mut self, hook: Hook, mark: Option<u32>) {
        if let Some(mark) = mark {
            self.packet.mark = Mark::Before(mark);
        }
        self.add_status(match hook {
            Hook::Output | Hook::Prerouting => DESTINATION_DONE,
            Hook::Postrouting | Hook::Input => SOURCE_DONE | CONFIRMED,
            Hook::Forward | Hook::Ingress | Hook::Egress => 0,
        });
    }

    /// The packet has another destination from here on.
    pub(super) fn redirect(&mut self, hook: Hook, changed: &Packet) -> Result<(), AskError> {
        let (input, output) = (self.packet.input.clone(), self.packet.output.clone());
        self.packet = Packet { input, output, ..changed.clone() };
        self.add_status(DESTINATION_CHANGED);
        if self.is_one {
            return Ok(());
        }
        match hook {
            Hook::Prerouting => self.deliver(),
            Hook::Output => self.send(),
            _ => Ok(()),
        }
    }

    /// Where it goes from here can't be known; whether there was more to come.
    pub(super) fn end(&mut self) -> bool {
        !std::mem::take(&mut self.ahead).is_empty()
    }

    fn begin(&mut self) -> Result<(), AskError> {
        if matches!(self.packet.input, Known::Is(_)) {
            self.ahead = [Hook::Ingress, Hook::Prerouting].into();
            return self.deliver();
        }
        if let Some(source) = self.packet.source
            && self.kind(source)? != LOCAL
        {
            return Err(AskError::NotLocal(source));
        }
        self.send()?;
        self.ahead.push_front(Hook::Output);
        Ok(())
    }

    /// From prerouting: up to this node, or through it.
    fn deliver(&mut self) -> Result<(), AskError> {
        let Some(destination) = self.packet.destination else { return Ok(()) };
        self.ahead.retain(|hook| matches!(hook, Hook::Ingress | Hook::Prerouting));
        let kind = self.kind(destination)?;
        // `PACKET_BROADCAST` and `PACKET_MULTICAST` of `include/uapi/linux/if_packet.h`.
        self.packet.packet_type = Some(match kind {
            BROADCAST => 1,
            MULTICAST => 2,
            _ => 0,
        });
        if matches!(kind, LOCAL | BROADCAST | ANYCAST | MULTICAST) {
            self.ahead.push_back(Hook::Input);
            return Ok(());
        }
        self.route()?;
        self.ahead.extend([Hook::Forward, Hook::Postrouting, Hook::Egress]);
        Ok(())
    }

    /// From output: by a device, which may lead back.
    fn send(&mut self) -> Result<(), AskError> {
        self.route()?;
        let is_looped = matches!(&self.packet.output, Known::Is(device) if device.hardware == Some(LOOPBACK));
        let back: &[Hook] = if is_looped { &[Hook::Prerouting, Hook::Input] } else { &[] };
        self.ahead = [Hook::Postrouting, Hook::Egress].iter().chain(back).copied().collect();
        Ok(())
    }

    /// Finds the device that it leaves by, if that was not said.
    fn route(&mut self) -> Result<(), AskError> {
        let (Some(destination), Mark::Before(mark)) = (self.packet.destination, self.packet.mark) else {
            return Ok(());
        };
        if self.is_output_given {
            return Ok(());
        }
        let input = if let Known::Is(device) = &self.packet.input { device.index } else { 0 };
        let question = RouteQuestion { destination, source: self.packet.source, mark, output: 0, input };
        let answer = self.world.route(&question).map_err(AskError::Route)?;
        if answer.output == 0 {
            return Err(AskError::NoRoute(destination));
        }
        self.packet.output = Known::Is(self.world.device(answer.output).map_err(AskError::Route)?);
        Ok(())
    }

    fn kind(&self, address: std::net::IpAddr) -> Result<u8, AskError> {
        self.world.address_kind(address, 0).map_err(AskError::Route)
    }

    fn add_status(&mut self, bits: u32) {
        if let Known::Is(Connection { status: Some(status), .. }) = &mut self.packet.connection {
            *status |= bits;
        }
    }
}

fn device(name: Option<&str>, world: &Live) -> Result<Known<Device>, AskError> {
    let Some(name) = name else { return Ok(Known::Absent) };
    let unknown = || AskError::Device(shortened(name));
    let text = CString::new(name).map_err(|_| unknown())?;
    // SAFETY: `text` is a NUL-terminated string that lives through the call.
    let index = unsafe { libc::if_nametoindex(text.as_ptr()) };
    if index == 0 {
        return Err(unknown());
    }
    world.device(index).map(Known::Is).map_err(|_| unknown())
}
