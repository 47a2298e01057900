//! Firewalls of a machine: UFW, firewalld, fail2ban, libvirt.

use super::Owner;
use super::case::{Case, jump};
use crate::model::{Expression, Hook};
use crate::text::nft::{sh_word, stateless_rule};

/// The command that lets a packet in (or out, or through).
fn ufw_allow(case: &Case<'_>, direction: &str) -> String {
    let port = case.port();
    match (direction, port, case.packet.destination_port, case.protocol()) {
        ("input", Some(port), _, _) => format!("ufw allow {port}"),
        ("input", None, _, _) => format!("ufw allow from {}", case.source()),
        ("output", Some(port), _, _) => format!("ufw allow out {port}"),
        ("output", None, _, _) => format!("ufw allow out to {}", case.destination()),
        (_, _, Some(port), Some(protocol)) => {
            format!("ufw route allow proto {protocol} from {} to {} port {port}", case.source(), case.destination())
        }
        _ => format!("ufw route allow from {} to {}", case.source(), case.destination()),
    }
}

pub(super) fn ufw(case: &Case<'_>) -> Option<Owner> {
    let is_own = |name: &str| name.starts_with("ufw-") || name.starts_with("ufw6-");
    let chain = case.chain_on_path(is_own);
    if chain.is_none() && !(case.is_policy() && case.table_has(is_own)) {
        return None;
    }
    let chain = chain.unwrap_or(&case.chain.name);
    let hook = case.chain.base.as_ref().map(|base| base.hook);
    let direction = match hook {
        Some(Hook::Output) => "output",
        Some(Hook::Forward) => "forward",
        None if chain.ends_with("-output") => "output",
        None if chain.ends_with("-forward") => "forward",
        _ => "input",
    };
    let why = if case.is_policy() {
        format!("the policy of {chain} beside the chains ufw-*")
    } else {
        format!("the chain {chain}")
    };
    let owner = Owner::new("ufw", why).by_hand();
    let allow = ufw_allow(case, direction);
    let default = format!("DEFAULT_{}_POLICY", direction.to_uppercase());
    Some(if case.is_policy() || chain.contains("skip-to-policy") {
        owner.note(format!("no rule of UFW allows it, and {default} in /etc/default/ufw drops the rest")).remedy(allow)
    } else if chain.contains("user-limit") {
        owner
            .note("the sender made more than 6 connections in 30 seconds to a port with a limit rule")
            .remedy(allow.replacen("allow", "delete limit", 1))
            .remedy(allow)
    } else if chain.contains("-user-") {
        owner.note("a deny or reject rule of UFW is meant for it").remedy("ufw status numbered").remedy(allow.replacen(
            "allow",
            "insert 1 allow",
            1,
        ))
    } else if chain.contains("not-local") {
        owner
            .note("the packet is to no address of this machine, nor a broadcast or multicast one")
            .remedy("ip address show")
    } else if chain.contains("-before-") || chain.contains("logging-deny") {
        owner
            .note("a rule of /etc/ufw/before.rules stops it, which runs before those of the user (packets of no known connection are dropped there)")
            .remedy("conntrack -S")
            .remedy("edit /etc/ufw/before.rules, then: ufw reload")
    } else {
        owner.remedy(allow)
    })
}

pub(super) fn firewalld(case: &Case<'_>) -> Option<Owner> {
    let in_table = case.table.name == "firewalld";
    let is_old = |name: &str| {
        ["IN_", "FWDI_", "FWDO_", "FWD_", "INPUT_ZONES", "FORWARD_IN_ZONES", "FORWARD_OUT_ZONES"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    let is_beside =
        || case.table_has(|name| name == "INPUT_ZONES") || case.table_has(|name| name == "INPUT_ZONES_SOURCE");
    let why = if in_table {
        format!("the table {} {}", case.table.family.as_str(), case.table.name)
    } else if !is_beside() {
        return None;
    } else {
        match case.chain_on_path(is_old) {
            Some(chain) => format!("the chain {chain}"),
            None => "the chain INPUT_ZONES beside it".to_owned(),
        }
    };
    let owner = Owner::new("firewalld", why).by_hand();
    if case.is_about_invalid() {
        return Some(owner.note("connection tracking can make nothing of the packet").remedy("conntrack -S"));
    }
    let on_path =
        std::iter::once(case.chain.name.as_str()).chain(case.path.iter().rev().map(|stop| stop.chain)).find_map(zone);
    let zone = on_path.clone().or_else(|| zone_of_device(case));
    let name = sh_word(zone.as_deref().unwrap_or("ZONE"));
    let what = match case.port() {
        Some(port) => format!("--add-port={port}"),
        None if matches!(case.packet.protocol, Some(1 | 58)) => "--remove-icmp-block=echo-request".to_owned(),
        None => format!("--add-source={}", case.source()),
    };
    let is_deny = case.chain.name.ends_with("_deny");
    let device = case.packet.input.as_ref().is().map_or("DEVICE", |device| device.name.as_str());
    let mut owner = match &on_path {
        Some(zone) if is_deny => owner.note(format!("a rich rule or an ICMP block of the zone {zone} is meant for it")),
        Some(zone) => owner.note(format!("no service, port or source of the zone {zone} allows it")),
        None => owner
            .note("no zone allows it, and what is left is rejected")
            .remedy(format!("firewall-cmd --get-zone-of-interface={}", sh_word(device))),
    };
    if is_deny {
        owner = owner.remedy(format!("firewall-cmd --zone={name} --list-all"));
    }
    Some(
        owner
            .remedy(format!("firewall-cmd --zone={name} {what}"))
            .remedy(format!("firewall-cmd --permanent --zone={name} {what}")),
    )
}

/// The zone that a packet went through in vain before the rule at the end: by its device, or the default.
fn zone_of_device(case: &Case<'_>) -> Option<String> {
    let dispatch = case.rules(case.candidate.place.chain, case.candidate.place.number);
    let dispatch = dispatch.filter_map(|rule| jump(&rule).map(ToOwned::to_owned));
    let dispatch = case.table.find(&dispatch.filter(|chain| chain.ends_with("_ZONES")).last()?)?;
    let device = case.packet.input.as_ref().is()?;
    let names = [format!("iifname \"{}\"", device.name), format!("-i {} ", device.name)];
    let (table, chain) = (case.table, case.table.chains.get(dispatch)?);
    // What is last has no condition.
    let mut default = None;
    for rule in case.rules(dispatch, u32::MAX) {
        let Some(found) = jump(&rule).and_then(zone) else { continue };
        let text = stateless_rule(table, chain, &rule, &|_| None);
        if names.iter().any(|name| text.contains(name)) {
            return Some(found);
        }
        default = Some(found);
    }
    default
}

/// `filter_IN_<zone>_deny`, `filter_FWD_<zone>`, and `IN_<zone>` of older versions.
fn zone(chain: &str) -> Option<String> {
    let chain = chain
        .strip_prefix("filter_")
        .or_else(|| chain.strip_prefix("raw_"))
        .or_else(|| chain.strip_prefix("mangle_"))
        .unwrap_or(chain);
    let rest = ["IN_", "FWDI_", "FWDO_", "FWD_", "PRE_"].iter().find_map(|start| chain.strip_prefix(start))?;
    let ends = ["_pre", "_log", "_deny", "_allow", "_post"];
    let rest = ends.iter().find_map(|end| rest.strip_suffix(end)).unwrap_or(rest);
    (!rest.is_empty() && !rest.starts_with("policy_") && rest != "ZONES").then(|| rest.to_owned())
}

pub(super) fn fail2ban(case: &Case<'_>) -> Option<Owner> {
    let chain = case.chain_on_path(|name| name.starts_with("f2b-"));
    if chain.is_none() && case.table.name != "f2b-table" {
        return None;
    }
    let by_set = case.rule.iter().flat_map(|rule| &rule.expressions).find_map(|expression| match expression {
        Expression::Lookup { set, .. } => set.strip_prefix("addr-set-").or_else(|| set.strip_prefix("addr6-set-")),
        _ => None,
    });
    let by_chain = chain.and_then(|chain| chain.strip_prefix("f2b-")).filter(|jail| *jail != "chain");
    let jail = by_set.or(by_chain).unwrap_or("JAIL");
    let word = sh_word(jail);
    let source = case.source();
    let why = chain.map_or_else(|| "the table f2b-table".to_owned(), |chain| format!("the chain {chain}"));
    Some(
        Owner::new("fail2ban", why)
            .note(format!("the sender is banned by the jail {jail}"))
            .remedy(format!("fail2ban-client set {word} unbanip {source}"))
            .remedy(format!("fail2ban-client set {word} addignoreip {source}")),
    )
}

pub(super) fn libvirt(case: &Case<'_>) -> Option<Owner> {
    let by_chain = case.chain_on_path(|name| name.starts_with("LIBVIRT_")).map(|chain| format!("the chain {chain}"));
    let by_table = || (case.table.name == "libvirt_network").then(|| "the table libvirt_network".to_owned());
    let why = by_chain.or_else(by_table)?;
    Some(
        Owner::new("libvirt", why)
            .by_hand()
            .note("a virtual network with NAT takes only answers to what its guests have asked, and nothing from other networks")
            .remedy("virsh net-list --all")
            .remedy("virsh net-edit NETWORK, to give it <forward mode='open'/> or mode='route'"),
    )
}
