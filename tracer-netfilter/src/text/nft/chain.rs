//! What stands at the head of a base chain.

use crate::model::{Base, Chain, ChainKind, Family, Hook, Policy, Table};

/// `type filter hook input priority filter; policy drop;`, as `nft list ruleset` has it; empty for a chain that hangs on no
/// hook.
pub fn chain_header(table: &Table, chain: &Chain) -> String {
    let Some(base) = &chain.base else { return String::new() };
    let kind = match base.kind {
        ChainKind::Filter => "filter",
        ChainKind::Nat => "nat",
        ChainKind::Route => "route",
    };
    let policy = match base.policy {
        Policy::Accept => "accept",
        Policy::Drop => "drop",
    };
    let hook = base.hook.as_str();
    format!("type {kind} hook {hook}{} priority {}; policy {policy};", devices(base), priority(table.family, base))
}

fn devices(base: &Base) -> String {
    match base.devices.as_slice() {
        [] => String::new(),
        [device] => format!(" device \"{device}\""),
        devices => format!(" devices = {{ {} }}", devices.join(", ")),
    }
}

/// A priority by the name of the one that it is near to, where the hook has that one.
fn priority(family: Family, base: &Base) -> String {
    const REACH: u32 = 10;
    let named = names(family).iter().find(|(near, _, _)| base.priority.abs_diff(*near) <= REACH);
    match named {
        Some((near, name, hook)) if has(family, name) && hook.is_none_or(|hook| hook == base.hook) => {
            match base.priority.saturating_sub(*near) {
                0 => (*name).to_owned(),
                above @ 1.. => format!("{name} + {above}"),
                below => format!("{name} - {}", below.unsigned_abs()),
            }
        }
        _ => base.priority.to_string(),
    }
}

/// Priority, name, the only hook that has it (`NF_IP_PRI_`, `NF_BR_PRI_`).
const fn names(family: Family) -> &'static [(i32, &'static str, Option<Hook>)] {
    match family {
        Family::Bridge => &[
            (-300, "dstnat", Some(Hook::Prerouting)),
            (-200, "filter", None),
            (100, "out", Some(Hook::Output)),
            (300, "srcnat", Some(Hook::Postrouting)),
        ],
        _ => &[
            (-300, "raw", None),
            (-150, "mangle", None),
            (-100, "dstnat", Some(Hook::Prerouting)),
            (0, "filter", None),
            (50, "security", None),
            (100, "srcnat", Some(Hook::Postrouting)),
        ],
    }
}

/// Tables of ARP and of devices know only `filter`.
fn has(family: Family, name: &str) -> bool {
    name == "filter" || !matches!(family, Family::Arp | Family::Netdev)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Backend;

    fn header(family: Family, hook: Hook, priority: i32) -> String {
        let base =
            Base { hook, priority, kind: ChainKind::Filter, policy: Policy::Drop, devices: vec![], counter: None };
        let chain = Chain { name: "c".into(), handle: None, base: Some(base), rules: vec![] };
        chain_header(&Table::new(Backend::Nft, family, "t"), &chain)
    }

    #[test]
    fn priorities_have_the_names_that_nft_gives_them() {
        assert_eq!(header(Family::Inet, Hook::Input, 0), "type filter hook input priority filter; policy drop;");
        assert_eq!(header(Family::Ip, Hook::Input, -310), "type filter hook input priority raw - 10; policy drop;");
        assert_eq!(header(Family::Ip, Hook::Input, -311), "type filter hook input priority -311; policy drop;");
        assert_eq!(header(Family::Ip, Hook::Input, -95), "type filter hook input priority -95; policy drop;");
        assert_eq!(
            header(Family::Ip, Hook::Prerouting, -95),
            "type filter hook prerouting priority dstnat + 5; policy drop;"
        );
        assert_eq!(header(Family::Bridge, Hook::Input, -200), "type filter hook input priority filter; policy drop;");
        assert_eq!(header(Family::Netdev, Hook::Ingress, -300), "type filter hook ingress priority -300; policy drop;");
    }
}
