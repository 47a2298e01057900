//! Who a program belongs to, by the names that its owner gives to it, to its maps and to where it is pinned.
//!
//! Rule: a row has a source, and a name that anybody could choose (`handle_ingress`) does not decide alone.

/// Who loads such programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// As in the key `owner` of an event.
    pub name: &'static str,
    /// It drops packets on purpose; the others only look at them.
    pub enforces: bool,
}

/// What is known of a program when its owner is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks<'a> {
    /// Its own name, and the name of its filter.
    pub(super) names: &'a [&'a str],
    pub(super) maps: &'a [String],
    pub(super) pins: &'a [String],
}

/// One way to know an owner: a prefix of its names, of its maps, or a part of its pinned paths. Any one is enough.
struct Row {
    owner: Owner,
    names: &'static [&'static str],
    maps: &'static [&'static str],
    pins: &'static [&'static str],
}

const fn enforcing(name: &'static str) -> Owner {
    Owner { name, enforces: true }
}

const fn watching(name: &'static str) -> Owner {
    Owner { name, enforces: false }
}

/// Our own: they end no chain, whoever started them.
pub(super) const OURSELVES: Owner = watching("whydrop");

const ROWS: &[Row] = &[
    Row { owner: OURSELVES, names: &["whydrop-"], maps: &["ATTEMPTS"], pins: &[] },
    // Cilium, bpf/*.c and pkg/datapath/loader (1.10 to 1.18): entry points `cil_…`, maps `cilium_…`, pins in its own
    // folder of the BPF file system and, before 1.14, in `tc/globals`.
    Row {
        owner: enforcing("cilium"),
        names: &["cil_", "bpf_lxc", "bpf_host", "bpf_overlay", "bpf_netdev", "bpf_network"],
        maps: &["cilium_"],
        pins: &["/cilium/", "/tc/globals/cilium_"],
    },
    // Calico, felix/bpf-gpl and felix/bpf (3.13 to 3.30): sections `calico_tc_…`, maps `cali_v4_…`, pins by interface.
    Row {
        owner: enforcing("calico"),
        names: &["calico_tc_", "calico_xdp_", "cali_tc_", "cali_xdp_", "calico_connect", "calico_sendmsg"],
        maps: &["cali_"],
        pins: &["/calico/", "/tc/globals/cali_"],
    },
    // aws-network-policy-agent, pkg/ebpf and aws-ebpf-sdk-go: programs `handle_ingress` and `handle_egress`.
    Row {
        owner: enforcing("aws-network-policy-agent"),
        names: &[],
        maps: &["aws_conntrack"],
        pins: &["/globals/aws/programs/", "/globals/aws/maps/"],
    },
    // systemd, src/core/bpf-firewall.c (names since 243) and src/core/bpf/restrict_ifaces (250 and newer).
    Row { owner: enforcing("systemd"), names: &["sd_fw_", "sd_restrictif"], maps: &[], pins: &[] },
    // Katran, katran/lib/bpf/balancer.bpf.c.
    Row { owner: enforcing("katran"), names: &["balancer_ingress"], maps: &["ch_rings"], pins: &["/katran/"] },
    // bpfman and libxdp: dispatchers that run several programs at one place.
    Row { owner: enforcing("bpfman"), names: &["tc_dispatcher"], maps: &[], pins: &["/bpfman/"] },
    Row { owner: enforcing("libxdp"), names: &["xdp_dispatcher"], maps: &[], pins: &["/xdp/dispatch-"] },
    // Retina, pkg/plugin/packetparser.
    Row {
        owner: watching("retina"),
        names: &["endpoint_ingres", "endpoint_egress", "host_ingress_fi", "host_egress_fil"],
        maps: &["retina_"],
        pins: &["/bpf/retina_"],
    },
    // netobserv-ebpf-agent, bpf/flows.c.
    Row {
        owner: watching("netobserv"),
        names: &["tc_ingress_flow", "tc_egress_flow_", "tcx_ingress_flo", "tcx_egress_flow"],
        maps: &["aggregated_flow"],
        pins: &[],
    },
    // datadog-agent, pkg/security/ebpf/c (tc classifiers).
    Row {
        owner: watching("datadog"),
        names: &["classifier_ingr", "classifier_egre"],
        maps: &["classifier_rout"],
        pins: &[],
    },
];

/// The owner, if one is known by these marks.
pub(super) fn of(marks: Marks<'_>) -> Option<Owner> {
    let begins = |text: &str, prefixes: &[&str]| prefixes.iter().any(|prefix| text.starts_with(prefix));
    let found = ROWS.iter().find(|row| {
        marks.names.iter().any(|name| begins(name, row.names))
            || marks.maps.iter().any(|map| begins(map, row.maps))
            || marks.pins.iter().any(|pin| row.pins.iter().any(|part| pin.contains(part)))
    });
    found.map(|row| row.owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Option<&'static str> {
        of(Marks { names: &[name], ..Marks::default() }).map(|owner| owner.name)
    }

    #[test]
    fn an_owner_is_known_by_any_of_its_marks() {
        for (name, owner) in [
            ("cil_from_container", Some("cilium")),
            ("cil_to_netdev-eth0", Some("cilium")),
            ("calico_tc_main", Some("calico")),
            ("sd_fw_egress", Some("systemd")),
            ("handle_ingress", None),
            ("mycil_", None),
            ("", None),
        ] {
            assert_eq!(named(name), owner, "{name}");
        }
        let (maps, pins) =
            (["cilium_lxc".to_owned()], ["/sys/fs/bpf/globals/aws/programs/web_handle_ingress".to_owned()]);
        assert_eq!(of(Marks { maps: &maps, ..Marks::default() }), Some(enforcing("cilium")));
        assert_eq!(of(Marks { pins: &pins, ..Marks::default() }), Some(enforcing("aws-network-policy-agent")));
    }
}
