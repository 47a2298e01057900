//! Docker and Podman.

use super::Owner;
use super::case::Case;
use crate::model::Hook;

pub(super) fn docker(case: &Case<'_>) -> Option<Owner> {
    let is_own = |name: &str| name == "DOCKER" || name.starts_with("DOCKER-");
    let owner = |why: String| Owner::new("docker", why).by_hand();
    if case.table.name.starts_with("docker-bridges") {
        return Some(unpublished(case, owner(format!("the table {}", case.table.name))));
    }
    if let Some(chain) = case.chain_on_path(is_own) {
        let owner = owner(format!("the chain {chain}"));
        return Some(match chain {
            "DOCKER-USER" => owner
                .note("the rules of this chain are the administrator's own: Docker only makes the chain")
                .remedy(format!("{} -S DOCKER-USER", case.iptables())),
            _ if chain.starts_with("DOCKER-ISOLATION") || chain == "DOCKER-INTERNAL" => owner
                .note("Docker keeps the containers of its networks apart from each other")
                .remedy("docker network connect NETWORK CONTAINER, so that both are in the same network")
                .remedy(allow(case)),
            _ => unpublished(case, owner),
        });
    }
    let has_docker = case.ruleset.tables.iter().any(|table| table.find("DOCKER").is_some());
    let is_raw = case.table.name == "raw" && case.chain.name == "PREROUTING" && !case.is_policy();
    if is_raw && has_docker {
        return Some(unpublished(
            case,
            owner("the chain DOCKER beside the rule for a container's address in raw PREROUTING".to_owned()),
        ));
    }
    let is_forward = case.chain.base.as_ref().is_some_and(|base| base.hook == Hook::Forward);
    (case.is_policy() && is_forward && case.table_has(|name| name == "DOCKER")).then(|| {
        owner("the chain DOCKER beside the policy of FORWARD".to_owned())
            .note("Docker sets the policy of FORWARD to DROP, which stops whatever else the machine forwards")
            .remedy(allow(case))
    })
}

/// From outside, only published ports of a container can be reached.
fn unpublished(case: &Case<'_>, owner: Owner) -> Owner {
    let published = match (case.packet.destination_port, case.protocol()) {
        (Some(port), Some(protocol)) => format!("docker run -p {port}:{port}/{protocol} …"),
        _ => "docker run -p PORT:PORT …".to_owned(),
    };
    owner
        .note("the container's address is not open to others: only its published ports are, through the machine's address")
        .remedy(format!("publish the port ({published}) and connect to the machine's address"))
        .remedy("docker network create -o com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected …")
}

fn allow(case: &Case<'_>) -> String {
    format!(
        "{} -I DOCKER-USER -s {} -d {}{} -j ACCEPT",
        case.iptables(),
        case.source(),
        case.destination(),
        case.iptables_port()
    )
}

pub(super) fn podman(case: &Case<'_>) -> Option<Owner> {
    let is_own = |name: &str| name.starts_with("NETAVARK");
    let by_table = (case.table.name == "netavark").then(|| "the table netavark".to_owned());
    let why = by_table.or_else(|| case.chain_on_path(is_own).map(|chain| format!("the chain {chain}")))?;
    let owner = Owner::new("podman", why).by_hand();
    let is_isolated =
        case.chain_on_path(|name| name.starts_with("NETAVARK_ISOLATION") || name.starts_with("NETAVARK-ISOLATION"));
    Some(if is_isolated.is_some() {
        owner
            .note("the network was made with isolate=true, which keeps it apart from other networks")
            .remedy("podman network connect NETWORK CONTAINER, so that both are in the same network")
    } else {
        let port = case.packet.destination_port.map_or_else(|| "PORT".to_owned(), |port| port.to_string());
        owner.remedy(format!("podman run -p {port}:{port} …")).remedy("podman network reload --all")
    })
}
