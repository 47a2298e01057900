//! Expressions that change something or depend on what has been counted, and let the rule go on.

use super::registers::{Registers, Source};
use super::rule::{Flow, Run};
use super::{MarkState, View};
use crate::model::{CtKey, Expression, HashKind, LimitUnit, MetaKey, Register, SocketKey};
use crate::packet::{ConnectionState, Known};

/// `NFT_OBJECT_` kinds that can say no.
const QUOTA: u32 = 2;
const LIMIT: u32 = 4;
const CONNECTION_LIMIT: u32 = 5;
const SYNPROXY: u32 = 10;

/// `None` if the expression is none of these.
pub(super) fn run(run: &mut Run<'_, '_, '_>, expression: &Expression) -> Option<Flow> {
    Some(match expression {
        Expression::MetaSet { key: MetaKey::Mark, register } => set_mark(run, Source::Packet, *register),
        Expression::ConntrackSet { key: CtKey::Mark, register, .. } => set_mark(run, Source::Connection, *register),
        Expression::PayloadSet { base, offset, length, .. } => {
            run.change(*base, *offset, *length);
            Flow::Next
        }
        Expression::Counter(_)
        | Expression::Log { .. }
        | Expression::Last { .. }
        | Expression::Duplicate { .. }
        | Expression::MetaSet { .. }
        | Expression::ConntrackSet { .. }
        | Expression::ExtensionHeaderSet { .. }
        | Expression::ExtensionHeaderReset { .. } => Flow::Next,
        // It leaves the fast path for later packets; for this one it is the same, matched or not, but for what follows.
        Expression::FlowOffload { .. } => Flow::Maybe("whether the flow can be offloaded".into()),
        Expression::NoTrack => no_track(run),
        Expression::Limit { unit: LimitUnit::Packets, .. } => Flow::Maybe("the rate so far (limit)".into()),
        Expression::Limit { .. } => Flow::Maybe("the byte rate so far (limit)".into()),
        Expression::Quota { .. } => Flow::Maybe("the amount so far (quota)".into()),
        Expression::ConnectionLimit { .. } => Flow::Maybe("the number of connections (ct count)".into()),
        Expression::Object { kind, .. } => match *kind {
            QUOTA => Flow::Maybe("the amount so far (quota)".into()),
            LIMIT => Flow::Maybe("the rate so far (limit)".into()),
            CONNECTION_LIMIT => Flow::Maybe("the number of connections (ct count)".into()),
            SYNPROXY => return None,
            _ => Flow::Next,
        },
        Expression::ObjectMap { set, .. } => Flow::Maybe(format!("the object that map {set} names").into()),
        Expression::DynamicSet { set, inverted, expressions, .. } => dynamic(set, *inverted, expressions),
        other => return unknown_loads(run, other),
    })
}

fn unknown_loads(run: &mut Run<'_, '_, '_>, expression: &Expression) -> Option<Flow> {
    Some(match expression {
        Expression::NumberGenerator { modulus: 1, offset, register, .. } => {
            run.registers.store(*register, &offset.to_ne_bytes(), "numgen");
            Flow::Next
        }
        Expression::NumberGenerator { random: true, register, .. } => {
            run.load_unknown(*register, 4, "a random number (numgen)")
        }
        Expression::NumberGenerator { register, .. } => run.load_unknown(*register, 4, "whose turn it is (numgen)"),
        Expression::Hash { kind: HashKind::Jenkins, register, .. } => run.load_unknown(*register, 4, "a hash (jhash)"),
        Expression::Hash { register, .. } => run.load_unknown(*register, 4, "a hash (symhash)"),
        Expression::Route { register, .. } => run.load_unknown(*register, 16, "the packet's route (rt)"),
        Expression::Socket { key, register, .. } => socket(run, *key, *register),
        Expression::Tunnel { register, .. } => run.load_unknown(*register, 4, "the tunnel it came through"),
        Expression::Xfrm { register, .. } => run.load_unknown(*register, 16, "the IPsec state it came through"),
        Expression::OsFingerprint { register } => run.load_unknown(*register, 16, "the sender's system (osf)"),
        _ => return None,
    })
}

/// The kernel looks for a listener itself where the packet has no socket, so only its cgroup can be told, by the sender.
fn socket(run: &mut Run<'_, '_, '_>, key: SocketKey, register: Register) -> Flow {
    let length = if key == SocketKey::CgroupV2 { 8 } else { 4 };
    run.load_unknown(register, length, "the socket that the packet is for")
}

/// A set that takes an element when the packet comes by; a full one takes none, which is not looked at.
fn dynamic(set: &str, inverted: bool, expressions: &[Expression]) -> Flow {
    let is_counting = |expression: &Expression| {
        matches!(expression, Expression::Limit { .. } | Expression::Quota { .. } | Expression::ConnectionLimit { .. })
    };
    if inverted || expressions.iter().any(is_counting) {
        return Flow::Maybe(format!("the rate so far (set {set})").into());
    }
    Flow::Next
}

fn no_track(run: &mut Run<'_, '_, '_>) -> Flow {
    // A packet that has a connection already keeps it.
    let has_entry = matches!(&run.view.packet.connection, Known::Is(connection)
        if !matches!(connection.state, ConnectionState::Invalid | ConnectionState::Untracked));
    run.view.no_track |= run.sure && !has_entry;
    Flow::Next
}

fn set_mark(run: &mut Run<'_, '_, '_>, target: Source, register: Register) -> Flow {
    let sure = match (target, &run.view.packet.connection) {
        (Source::Connection, Known::Absent) => return Flow::Next,
        (Source::Connection, Known::Unknown) => false,
        (Source::Connection, Known::Is(connection))
            if matches!(connection.state, ConnectionState::Invalid | ConnectionState::Untracked) =>
        {
            return Flow::Next;
        }
        _ => run.sure,
    };
    write(run.view, run.registers, target, register, sure);
    run.registers.detach();
    Flow::Next
}

/// Writes a register to a mark, bit by bit: a bit that is the mark's own stays as it is.
fn write(view: &mut View<'_>, registers: &mut Registers, target: Source, register: Register, sure: bool) {
    let own = |source: Source, bit: u8, index: u8| source == target && bit == index;
    // What comes from the other mark is asked for; what is this mark's own is not.
    let Some(word) = registers.word(register, 0).cloned() else { return };
    let (mut stays, mut turned, mut known, mut value) = (0_u32, 0_u32, word.known, word.value);
    for index in 0_u8..32 {
        let Some(tag) = word.tag(index) else { continue };
        if own(tag.source, tag.bit, index) {
            *(if tag.is_flipped { &mut turned } else { &mut stays }) |= 1 << index;
        } else if word.known >> index & 1 == 0
            && let Some(bit) = mark(view, tag.source).rely(1 << tag.bit)
        {
            known |= 1 << index;
            value = (value & !(1 << index)) | (u32::from((bit != 0) != tag.is_flipped) << index);
        }
    }
    let mark = mark(view, target);
    let written = known & !stays & !turned;
    let forgotten = !known & !stays & !turned;
    if written != 0 {
        mark.write(value, written, sure);
    }
    if turned != 0 {
        mark.toggle(turned, sure);
    }
    if forgotten != 0 {
        mark.forget(forgotten);
    }
}

const fn mark<'v>(view: &'v mut View<'_>, source: Source) -> &'v mut MarkState {
    match source {
        Source::Packet => &mut view.mark,
        Source::Connection => &mut view.connection_mark,
    }
}
