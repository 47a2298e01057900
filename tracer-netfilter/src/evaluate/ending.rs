//! Expressions that end a rule with more than a plain verdict.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::action::{Action, Target, Translation};
use super::registers::Reason;
use super::reject;
use super::rule::{Flow, Run};
use crate::model::{Expression, Hook, NatKind, Register};
use crate::walk::End;

/// `NF_NAT_RANGE_NETMAP`: the address keeps its lower bits (`nf_nat.h`).
const NETMAP: u32 = 1 << 6;

pub(super) fn run(run: &mut Run<'_, '_, '_>, expression: &Expression) -> Flow {
    let is_ipv6 = run.view.packet.is_ipv6();
    match expression {
        Expression::Reject { kind, code } => {
            Flow::Ends(Action::Drop(End::Reject(reject::words(*kind, *code, run.view.family(), is_ipv6))))
        }
        Expression::Nat { kind, address, port, flags, .. } => {
            let port = self::port(run, *port);
            let address = if flags & NETMAP == 0 { self::address(run, *address) } else { Target::Unknown };
            Flow::Ends(Action::Translate(Translation { kind: *kind, address, port }))
        }
        Expression::Masquerade { .. } => Flow::Ends(Action::Translate(Translation {
            kind: NatKind::Source,
            address: Target::Unknown,
            port: Target::Unknown,
        })),
        Expression::Redirect { port, .. } => {
            let port = self::port(run, *port);
            let address = match run.view.hook {
                Hook::Output if is_ipv6 => Target::Becomes(IpAddr::V6(Ipv6Addr::LOCALHOST)),
                Hook::Output => Target::Becomes(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                _ => Target::Unknown,
            };
            Flow::Ends(Action::Translate(Translation { kind: NatKind::Destination, address, port }))
        }
        // Without a listener the rule does not match (`nft_tproxy_eval`).
        Expression::TransparentProxy { .. } => Flow::Maybe("whether the proxy listens (tproxy)".into()),
        Expression::Queue { number, bypass, .. } => Flow::Ends(queue(*number, *bypass)),
        Expression::SynProxy { .. } | Expression::Object { .. }
            if run.view.packet.protocol.is_some_and(|it| it != 6) =>
        {
            Flow::No("synproxy".into())
        }
        Expression::SynProxy { .. } | Expression::Object { .. } => Flow::Ends(of(End::SynProxy)),
        Expression::Forward { .. } => Flow::Ends(Action::Stolen),
        Expression::Unknown { name } => {
            let reason = Reason::from(format!("the expression {name}, which this version can't read"));
            Flow::EndsPerhaps(reason.clone(), vec![Action::Unclear(reason)])
        }
        _ => Flow::Next,
    }
}

/// A packet that a program does not give back is dropped; one that it does goes on with the next base chain.
pub(super) fn queue(number: u16, bypass: bool) -> Action {
    let reason = format!("whether a program takes packets from queue {number}").into();
    Action::MayDrop { end: End::Queue { number, bypass }, reason, accepts: true }
}

/// What an end is that is not always one.
pub(super) fn of(end: End) -> Action {
    match end {
        End::Queue { number, bypass } => queue(number, bypass),
        End::TransparentProxy => {
            Action::MayDrop { end, reason: "whether the proxy listens (TPROXY)".into(), accepts: true }
        }
        End::SynProxy => Action::MayDrop { end, reason: "what SYNPROXY makes of the handshake".into(), accepts: false },
        End::Drop | End::Reject(_) | End::Policy => Action::Drop(end),
    }
}

/// What translation a chain at this hook makes.
pub(super) const fn nat_kind(hook: Hook) -> NatKind {
    match hook {
        Hook::Prerouting | Hook::Output => NatKind::Destination,
        _ => NatKind::Source,
    }
}

fn address(run: &Run<'_, '_, '_>, range: Option<(Register, Register)>) -> Target<IpAddr> {
    let Some((from, to)) = range else { return Target::Stays };
    let length = if run.view.packet.is_ipv6() { 16 } else { 4 };
    match (run.registers.bytes(from, length), run.registers.bytes(to, length)) {
        (Some(from), Some(to)) if from == to => match (<[u8; 4]>::try_from(&*from), <[u8; 16]>::try_from(&*from)) {
            (Ok(octets), _) => Target::Becomes(IpAddr::from(octets)),
            (_, Ok(octets)) => Target::Becomes(IpAddr::from(octets)),
            _ => Target::Unknown,
        },
        _ => Target::Unknown,
    }
}

fn port(run: &Run<'_, '_, '_>, range: Option<(Register, Register)>) -> Target<u16> {
    let Some((from, to)) = range else { return Target::Stays };
    match (run.registers.bytes(from, 2).as_deref(), run.registers.bytes(to, 2).as_deref()) {
        (Some(&[high, low]), Some(to)) if to == [high, low] => Target::Becomes(u16::from_be_bytes([high, low])),
        _ => Target::Unknown,
    }
}
