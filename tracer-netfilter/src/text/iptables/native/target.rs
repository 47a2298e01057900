//! What a rule of iptables-nft does.

use super::super::registers::{Registers, Source, Value};
use super::Action;
use crate::model::{Expression, Family, MetaKey};
use crate::xt::Target;

/// Bytes of a prefix in `struct xt_nflog_info` and `struct xt_log_info`.
const NETLINK_PREFIX: usize = 64;
const PREFIX: usize = 30;

/// The action that an expression stands for; `None` if iptables writes none such.
pub(super) fn action(family: Family, registers: &Registers, expression: &Expression) -> Option<Action> {
    let decode = |name, revision, data: &[u8]| Target::decode(name, revision, family, data).ok().map(Action::Target);
    match expression {
        Expression::Verdict(verdict) => Some(Action::Verdict(verdict.clone())),
        Expression::Target(target) => Some(Action::Target(target.clone())),
        Expression::MetaSet { key: MetaKey::NfTrace, register } => match &registers.get(*register)?.source {
            Source::Immediate(data) if data.iter().any(|byte| *byte != 0) => decode("TRACE", 0, &[]),
            _ => None,
        },
        Expression::MetaSet { key: MetaKey::Mark, register } => decode("MARK", 2, &mark(registers.get(*register)?)?),
        Expression::NoTrack => decode("CT", 2, &[&1_u16.to_ne_bytes()[..], &[0; 70]].concat()),
        Expression::Log { prefix, group: Some(group), snaplen, queue_threshold, .. } => {
            let mut data = snaplen.unwrap_or(0).to_ne_bytes().to_vec();
            data.extend(group.to_ne_bytes());
            data.extend(queue_threshold.unwrap_or(0).to_ne_bytes());
            // `XT_NFLOG_F_COPY_LEN`: a length was given.
            data.extend(u16::from(snaplen.is_some()).to_ne_bytes());
            data.extend([0; 2]);
            data.extend(text(prefix.as_deref(), NETLINK_PREFIX));
            decode("NFLOG", 0, &data)
        }
        Expression::Log { prefix, group: None, level, flags, .. } => {
            let level = u8::try_from(level.unwrap_or(4)).ok()?;
            let flags = u8::try_from(*flags).ok()?;
            decode("LOG", 0, &[&[level, flags][..], &text(prefix.as_deref(), PREFIX)].concat())
        }
        _ => None,
    }
}

/// `struct xt_mark_tginfo2`
fn mark(value: &Value) -> Option<Vec<u8>> {
    match (&value.source, &value.mask) {
        (Source::Immediate(data), None) => Some([data.get(..4)?, &[u8::MAX; 4]].concat()),
        (Source::Meta(MetaKey::Mark), Some(kept)) => {
            let cleared: Vec<u8> = kept.get(..4)?.iter().map(|byte| !byte).collect();
            Some([value.xor.get(..4)?, &cleared].concat())
        }
        _ => None,
    }
}

/// A string in a field of `size` bytes, the last of which is 0.
fn text(prefix: Option<&str>, size: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = prefix.unwrap_or_default().bytes().take(size - 1).collect();
    bytes.resize(size, 0);
    bytes
}
