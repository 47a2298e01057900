//! Chains.

use super::{Ask, data, request};
use crate::model::{Base, Chain, ChainKind, Counter, Family, Hook, Policy, Table};
use crate::netlink::{Attributes, NetlinkError, Socket, text, until_nul};

/// `NFTA_CHAIN_` attributes.
mod attribute {
    pub(super) const TABLE: u16 = 1;
    pub(super) const HANDLE: u16 = 2;
    pub(super) const NAME: u16 = 3;
    pub(super) const HOOK: u16 = 4;
    pub(super) const POLICY: u16 = 5;
    pub(super) const TYPE: u16 = 7;
    pub(super) const COUNTERS: u16 = 8;
}

/// `NFTA_HOOK_` attributes.
mod hook {
    pub(super) const NUMBER: u16 = 1;
    pub(super) const PRIORITY: u16 = 2;
    pub(super) const DEVICE: u16 = 3;
    /// 5.5 and later.
    pub(super) const DEVICES: u16 = 4;
}

/// `NFTA_DEVICE_NAME`, and `NFTA_DEVICE_PREFIX` (6.17 and later) for all devices whose names begin so; in 6.16 that was a
/// name without a NUL.
const DEVICE_NAME: u16 = 1;
const DEVICE_PREFIX: u16 = 2;
/// `NF_DROP`; a chain without a policy accepts.
const DROP: u32 = 0;

/// The name of the table that a chain is in.
pub(super) fn table_of(attributes: Attributes<'_>) -> Option<&[u8]> {
    attributes.get(attribute::TABLE)
}

/// A chain without its rules.
pub(super) struct Listed {
    pub(super) chain: Chain,
    /// Why its rules can't be placed, if they can't: it is given as if it had no hook then.
    pub(super) gap: Option<&'static str>,
}

pub(super) fn chain(family: Family, attributes: Attributes<'_>) -> Option<Listed> {
    let base = base(family, attributes);
    let name = data::name(attributes, attribute::NAME)?;
    let gap = if base.is_none() && attributes.get(attribute::HOOK).is_some() {
        Some("its hook or type is not known to this version")
    } else if name.contains(char::REPLACEMENT_CHARACTER) {
        Some("its name is not UTF-8")
    } else {
        None
    };
    Some(Listed { chain: Chain { name, handle: attributes.be64(attribute::HANDLE), base, rules: Vec::new() }, gap })
}

fn base(family: Family, attributes: Attributes<'_>) -> Option<Base> {
    let hook = attributes.nested(attribute::HOOK);
    Some(Base {
        hook: Hook::from_number(family, hook.be32(hook::NUMBER)?)?,
        priority: hook.be32(hook::PRIORITY)?.cast_signed(),
        kind: match attributes.get(attribute::TYPE).map_or(b"filter".as_slice(), until_nul) {
            b"filter" => ChainKind::Filter,
            b"nat" => ChainKind::Nat,
            b"route" => ChainKind::Route,
            _ => return None,
        },
        policy: match attributes.be32(attribute::POLICY) {
            Some(DROP) => Policy::Drop,
            _ => Policy::Accept,
        },
        devices: devices(hook),
        counter: data::counter(attributes.nested(attribute::COUNTERS)),
    })
}

/// One device is given by both attributes, several only by the list.
fn devices(hook: Attributes<'_>) -> Vec<String> {
    let list: Vec<String> = hook
        .nested(hook::DEVICES)
        .iter()
        .filter_map(|device| match device.kind {
            DEVICE_NAME if device.value.contains(&0) => Some(text(device.value)),
            DEVICE_NAME | DEVICE_PREFIX => Some(text(device.value) + "*"),
            _ => None,
        })
        .collect();
    if list.is_empty() { hook.text(hook::DEVICE).into_iter().collect() } else { list }
}

/// The counter of a chain's policy as it stands now; `None` if the chain is gone or its policy is not counted. Asks in the
/// calling thread's network namespace.
pub fn reread_policy(table: &Table, chain: &str) -> Result<Option<Counter>, NetlinkError> {
    let question = request(Ask::Chains, Some(table.family))
        .with_text(attribute::TABLE, &table.name)
        .with_text(attribute::NAME, chain);
    let counter =
        Socket::open()?.get(&question, |message| Some(data::counter(message.attributes.nested(attribute::COUNTERS))));
    match counter {
        Err(error) if error.is_absent() => Ok(None),
        answer => answer,
    }
}
