//! The hooks that a packet passes on its way through a node, and what each does with it.

use std::ffi::CString;
use std::time::{Duration, Instant, SystemTime};

use thiserror::Error;
use tracer_netfilter::evaluate::walk;
use tracer_netfilter::live::{self, Live};
use tracer_netfilter::packet::{Device, Known, Mark, Packet};
use tracer_netfilter::walk::{Layer, Outcome, Question, Walk};
use tracer_netfilter::world::RouteQuestion;
use tracer_netfilter::{Hook, Ruleset, World};

use super::super::ruling::{Ruling, rule_count};
use super::super::suspect::{Proof, Suspect, rule_line};
use super::Spec;
use crate::host::{HostError, Netns, enter};

/// `RTN_LOCAL` and `RTN_UNICAST` of `include/uapi/linux/rtnetlink.h`.
const LOCAL: u8 = 2;
const UNICAST: u8 = 1;
/// How long reading a ruleset may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a packet can't be followed.
#[derive(Debug, Error)]
pub enum AskError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("there is no device {0:?} in this network namespace; `ip link` lists them")]
    Device(String),
    #[error("{0} is no address of this node, so the packet came from outside: say by which device, as `in eth0`")]
    NotLocal(std::net::IpAddr),
    #[error("how the node would route it is not known ({0}); say at which hook to ask, as --hook forward")]
    Route(String),
}

/// What one hook does with the packet.
#[derive(Clone, Debug)]
pub struct Stop {
    pub hook: Hook,
    pub outcome: Outcome,
    pub ruling: Ruling,
    /// Each rule that was looked at: depth of jumps, place and text, what it came to.
    pub steps: Vec<(u8, String, String)>,
}

/// Follows a packet inside `netns`: to one hook, or to all on its way until it ends.
pub fn ask(netns: &Netns, spec: &Spec, hook: Option<Hook>, verbose: bool) -> Result<Vec<Stop>, AskError> {
    let work = |_: &Netns| Ok(follow(spec, hook, verbose));
    match enter::each(&[netns], Instant::now() + PATIENCE, work).into_iter().next() {
        Some((_, result)) => result?,
        None => Err(HostError::ThreadFailed.into()),
    }
}

fn follow(spec: &Spec, hook: Option<Hook>, verbose: bool) -> Result<Vec<Stop>, AskError> {
    let (ruleset, world) = (live::ruleset(), Live::new());
    let mut packet = spec.packet();
    packet.input = device(spec.input.as_deref(), &world)?;
    packet.output = device(spec.output.as_deref(), &world)?;
    let way = match hook {
        Some(hook) => vec![hook],
        None => way(&mut packet, &world)?,
    };
    let mut stops = Vec::new();
    for hook in way {
        let layer = if matches!(hook, Hook::Ingress | Hook::Egress) { Layer::Device } else { Layer::Ip };
        let at = at_hook(&packet, hook);
        let asked = Question { packet: &at, hook, layer, backend: None, verbose };
        let walk = walk(&ruleset, &asked, &world);
        if let Some(mark) = walk.mark {
            packet.mark = Mark::Before(mark);
        }
        let outcome = walk.outcome;
        stops.push(stop(&ruleset, &at, hook, walk, &world));
        if outcome == Outcome::Dropped {
            break;
        }
    }
    Ok(stops)
}

/// A packet from outside goes up to this node or through it; one from here goes out.
fn way(packet: &mut Packet, world: &Live) -> Result<Vec<Hook>, AskError> {
    let (Some(source), Some(destination)) = (packet.source, packet.destination) else { return Ok(Vec::new()) };
    let kind = |address| world.address_kind(address, 0).map_err(AskError::Route);
    let Known::Is(input) = packet.input.clone() else {
        if kind(source)? != LOCAL {
            return Err(AskError::NotLocal(source));
        }
        route(packet, world, 0)?;
        return Ok(vec![Hook::Output, Hook::Postrouting]);
    };
    if kind(destination)? != UNICAST {
        return Ok(vec![Hook::Prerouting, Hook::Input]);
    }
    route(packet, world, input.index)?;
    Ok(vec![Hook::Prerouting, Hook::Forward, Hook::Postrouting])
}

/// Finds the device that it leaves by, if that was not said.
fn route(packet: &mut Packet, world: &Live, input: u32) -> Result<(), AskError> {
    if matches!(packet.output, Known::Is(_)) {
        return Ok(());
    }
    let (Some(destination), Mark::Before(mark)) = (packet.destination, packet.mark) else { return Ok(()) };
    let question = RouteQuestion { destination, source: packet.source, mark, output: 0, input };
    let answer = world.route(&question).map_err(AskError::Route)?;
    if answer.output != 0 {
        packet.output = Known::Is(world.device(answer.output).map_err(AskError::Route)?);
    }
    Ok(())
}

/// The packet as the rules of a hook see it.
fn at_hook(packet: &Packet, hook: Hook) -> Packet {
    let mut at = packet.clone();
    match hook {
        Hook::Prerouting | Hook::Input | Hook::Ingress => at.output = Known::Absent,
        Hook::Output | Hook::Egress => at.input = Known::Absent,
        Hook::Forward | Hook::Postrouting => {
            at.socket = if matches!(at.input, Known::Is(_)) { Known::Absent } else { at.socket };
        }
    }
    at
}

fn device(name: Option<&str>, world: &Live) -> Result<Known<Device>, AskError> {
    let Some(name) = name else { return Ok(Known::Absent) };
    let unknown = || AskError::Device(name.to_owned());
    let text = CString::new(name).map_err(|_| unknown())?;
    // SAFETY: `text` is a NUL-terminated string that lives through the call.
    let index = unsafe { libc::if_nametoindex(text.as_ptr()) };
    if index == 0 {
        return Err(unknown());
    }
    world.device(index).map(Known::Is).map_err(|_| unknown())
}

fn stop(ruleset: &Ruleset, packet: &Packet, hook: Hook, walk: Walk, world: &Live) -> Stop {
    let suspects = walk.candidates.iter();
    let suspects =
        suspects.filter_map(|candidate| Suspect::new(ruleset, candidate, packet, world, Proof::Unread)).collect();
    let unknown = ruleset.gaps.iter().cloned().chain(walk.unknown).collect();
    let ruling = Ruling { suspects, rules: rule_count(ruleset), read: SystemTime::now(), unknown, conntrack: None };
    let steps = walk.steps.into_iter();
    let steps = steps.map(|step| (step.depth, rule_line(ruleset, step.place, world), step.says)).collect();
    Stop { hook, outcome: walk.outcome, ruling, steps }
}
