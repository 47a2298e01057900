//! Which node of the cluster this is.

use std::net::{IpAddr, UdpSocket};

use serde_json::Value;

use super::fault::Fault;
use super::list;
use super::server::Server;
use crate::host::Kernel;

const NODES: &str = "/api/v1/nodes";

/// What the pod was told, or the machine's own name, which mostly is the node's.
pub(super) fn likely() -> String {
    let told = std::env::var("NODE_NAME").ok().filter(|name| !name.is_empty());
    told.unwrap_or_else(|| Kernel::read().hostname)
}

/// The node's name, as far as the server confirms it or can't be asked; `None`: no node is this machine.
pub(super) async fn name(server: &Server) -> Result<Option<String>, Fault> {
    let likely = likely();
    if std::env::var_os("NODE_NAME").is_some_and(|name| !name.is_empty()) {
        return Ok(Some(likely));
    }
    match server.get(&format!("{NODES}/{likely}")).await {
        Ok(_) | Err(Fault::Forbidden(_)) => return Ok(Some(likely)),
        Err(Fault::Absent | Fault::Nonsense(_)) => {}
        Err(fault) => return Err(fault),
    }
    let ours = addresses();
    let request = kube::core::Request::new(NODES).list(&kube::api::ListParams::default().match_any());
    let request = request.map_err(|error| Fault::Nonsense(error.to_string()))?;
    let answer = server.ask(request).await?;
    let ((_, found), _) = list::read(answer, (ours, None), |(ours, found), node| {
        if has_address(&node, ours) {
            *found = node.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
        }
    })
    .await?;
    Ok(found)
}

fn has_address(node: &Value, ours: &[IpAddr]) -> bool {
    let addresses = node.pointer("/status/addresses").and_then(Value::as_array).into_iter().flatten();
    let mut addresses = addresses.filter_map(|entry| entry.get("address")?.as_str()?.parse().ok());
    addresses.any(|address: IpAddr| ours.contains(&address))
}

/// Ours towards the rest of the world, one of each family: those that kubelet tells as well. Connecting a UDP socket sends nothing.
fn addresses() -> Vec<IpAddr> {
    let towards = |from: &str, to: &str| {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        // Addresses for documentation (RFC 5737, RFC 3849): whatever the default route is, it is taken.
        socket.connect((to, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    [("0.0.0.0", "192.0.2.1"), ("::", "2001:db8::1")].into_iter().filter_map(|(from, to)| towards(from, to)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_is_ours_by_one_of_its_addresses() {
        let ours = ["192.0.2.10".parse().unwrap()];
        let node = |address: &str| json!({"status": {"addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": address}]}});
        assert!(has_address(&node("192.0.2.10"), &ours) && !has_address(&node("192.0.2.1"), &ours));
        assert!(!has_address(&json!({}), &ours) && !has_address(&json!({"status": {"addresses": 5}}), &ours));
    }
}
