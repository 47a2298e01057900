//! Services that a node can't do without, and what fails with them.
//!
//! Rule: they are only named where traffic shows them failing.

use std::net::{IpAddr, Ipv4Addr};

use crate::enrich::{LOCAL_DNS, METADATA, WIRE_SERVER};

use super::talk::{TCP, Talk, UDP};

/// The address of the service `kubernetes` with the usual ranges: kubeadm, AKS, k3s, EKS, `MicroK8s`.
const KUBERNETES: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(10, 96, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(10, 43, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(172, 20, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(10, 100, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(10, 152, 183, 1)),
];

/// What does not work when this does not; `translated` is where it was sent on to.
pub(super) fn known(talk: &Talk, translated: Option<&Talk>) -> Option<&'static str> {
    let is_api = |talk: &Talk| talk.protocol == TCP && talk.port == 6443;
    match (talk.protocol, talk.port, talk.server) {
        (TCP | UDP, 53, server) if LOCAL_DNS.contains(&server) => {
            Some("pods of this node get no names resolved by node-local DNS")
        }
        (TCP | UDP, 53, WIRE_SERVER) => Some("names are not resolved by Azure's DNS"),
        (TCP | UDP, 53, _) => Some("names are not resolved"),
        (TCP, 10250, _) => Some("kubectl logs and exec will fail or time out"),
        (UDP, 1194, _) | (TCP, 9000, _) => {
            Some("the tunnel of the API server is down: kubectl logs, exec and webhooks will fail")
        }
        (TCP, 80, METADATA) => Some("instance metadata and managed identities can't be reached"),
        (TCP, 80 | 32526, WIRE_SERVER) => Some("Azure's guest agent can't reach the platform"),
        (TCP, 6443, _) => Some("the API server can't be reached"),
        (TCP, 443, _) if translated.is_some_and(is_api) => Some("the API server can't be reached"),
        // The address alone may be anybody's; a Service is translated.
        (TCP, 443, server) if translated.is_some() && KUBERNETES.contains(&server) => {
            Some("the API server can't be reached")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(protocol: u8, server: &str, port: u16) -> Talk {
        Talk { protocol, client: "10.1.0.9".parse().unwrap(), server: server.parse().unwrap(), port }
    }

    #[test]
    fn the_ports_of_a_node_have_names_and_others_have_none() {
        let named = |protocol, server, port| known(&talk(protocol, server, port), None);
        assert!(named(TCP, "10.0.0.1", 10250).unwrap().contains("kubectl logs"));
        assert!(named(UDP, "20.0.0.1", 1194).unwrap().contains("tunnel"));
        assert!(named(TCP, "20.0.0.1", 9000).unwrap().contains("tunnel"));
        assert!(named(UDP, "169.254.20.10", 53).unwrap().contains("node-local"));
        assert!(named(UDP, "169.254.25.10", 53).unwrap().contains("node-local"));
        assert!(named(UDP, "10.0.0.10", 53).unwrap().contains("names"));
        assert!(named(TCP, "169.254.169.254", 80).unwrap().contains("metadata"));
        assert!(named(TCP, "168.63.129.16", 80).unwrap().contains("Azure"));
        assert!(named(TCP, "fd00::1", 6443).unwrap().contains("API server"));
        for (protocol, server, port) in [(TCP, "10.0.0.1", 443), (UDP, "10.0.0.1", 10250), (TCP, "10.0.0.1", 80)] {
            assert_eq!(named(protocol, server, port), None, "{server} {port}");
        }
    }

    #[test]
    fn the_service_of_the_api_server_is_known_by_its_translation() {
        let api = |server, to| known(&talk(TCP, server, 443), Some(&talk(TCP, "20.1.1.1", to))).is_some();
        assert!(api("10.96.0.1", 443) && api("10.7.0.1", 6443) && !api("10.7.0.1", 443));
    }
}
