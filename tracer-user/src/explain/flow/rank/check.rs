//! What would prove a suspect: commands, and the place in the console or command line of the platform.
//!
//! Rule: words in capitals are names that only the operator knows; all else can be pasted. Nothing here changes how packets go.

use std::net::SocketAddr;

use super::numbers::name;
use crate::event::SuspectKind;
use crate::explain::quoted;
use crate::host::platform::Platform;
use crate::node::socket::diag::TCP;

/// What is to be looked for.
pub(super) struct Target<'a> {
    pub(super) protocol: u8,
    pub(super) server: SocketAddr,
    /// The interface that it leaves by.
    pub(super) uplink: Option<&'a String>,
}

pub(super) fn checks(what: SuspectKind, platform: Platform, to: &Target<'_>) -> Vec<String> {
    let mut checks = anywhere(what, to);
    checks.extend(match platform {
        Platform::Aks | Platform::Azure => azure(what, platform, to),
        Platform::Eks | Platform::Aws => aws(what, platform, to),
        Platform::Gke | Platform::Gcp => gcp(what, platform, to),
        Platform::Other => other(what, to),
    });
    checks
}

/// With the tools of any node.
fn anywhere(what: SuspectKind, to: &Target<'_>) -> Vec<String> {
    let (ip, port) = (to.server.ip(), to.server.port());
    let is_tcp = to.protocol == TCP;
    let trace = format!("traceroute -n {} -p {port} {ip}", if is_tcp { "-T" } else { "-U" });
    match what {
        SuspectKind::Firewall => vec![
            trace,
            format!("on {ip}: tcpdump -ni any '{} port {port}' shows whether they arrive", name(to.protocol)),
        ],
        SuspectKind::SnatExhausted => {
            vec![format!("ss -Htan 'dst {} and dport = :{port}' | awk '{{print $1}}' | sort | uniq -c", host(to))]
                .into_iter()
                .filter(|_| is_tcp)
                .collect()
        }
        SuspectKind::DeadHost => {
            let mut checks = vec![format!("ping -c 3 {ip}")];
            checks.extend(is_tcp.then(|| format!("from another node: nc -vz -w 3 {ip} {port}")));
            checks
        }
        SuspectKind::Routing => vec![trace, format!("{} route get {ip}", if ip.is_ipv6() { "ip -6" } else { "ip" })],
        SuspectKind::Mtu => vec![format!("tracepath -n {ip}"), format!("ping -M do -s 1372 -c 3 {ip}")],
        SuspectKind::NicAllowance => {
            to.uplink.map(|uplink| format!("ethtool -S {} | grep allowance", quoted(uplink))).into_iter().collect()
        }
    }
}

/// An address as filters of ss(8) take it.
fn host(to: &Target<'_>) -> String {
    if to.server.is_ipv6() { format!("[{}]", to.server.ip()) } else { to.server.ip().to_string() }
}

fn lines(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

fn azure(what: SuspectKind, platform: Platform, to: &Target<'_>) -> Vec<String> {
    let (ip, port, is_aks) = (to.server.ip(), to.server.port(), platform == Platform::Aks);
    let mut checks = Vec::new();
    if is_aks && matches!(what, SuspectKind::Firewall | SuspectKind::SnatExhausted | SuspectKind::Routing) {
        // Its network cards, security groups and load balancer are in a group of their own.
        checks.push("az aks show -g GROUP -n CLUSTER --query nodeResourceGroup -o tsv".to_owned());
    }
    checks.extend(match what {
        SuspectKind::Firewall => vec![
            "az network nsg rule list -g NODE_GROUP --nsg-name NSG --include-default -o table (the group of the subnet and \
             the group of the network card both decide)"
                .to_owned(),
            "az network nic list-effective-nsg -g NODE_GROUP -n NIC".to_owned(),
            format!(
                "Azure Firewall, in its Log Analytics workspace: AZFWNetworkRule | where DestinationIp == \"{ip}\" and \
                 DestinationPort == {port} and Action == \"Deny\""
            ),
        ],
        SuspectKind::SnatExhausted => lines(&[
            "Azure portal, the load balancer (of AKS: kubernetes, in the node resource group), Metrics: SNAT Connection Count \
             by Connection State = Failed, Used SNAT Ports against Allocated SNAT Ports",
            "az monitor metrics list --resource LOAD_BALANCER_ID --metric UsedSnatPorts AllocatedSnatPorts --interval PT1M",
            "with a NAT gateway, its Metrics: SNAT Connection Count, Dropped Packets",
        ]),
        SuspectKind::Routing => lines(&[
            "az network nic show-effective-route-table -g NODE_GROUP -n NIC -o table (a UDR may lead to an appliance)",
            "az network vnet peering list -g GROUP --vnet-name VNET -o table",
        ]),
        SuspectKind::DeadHost => vec!["az vm list -d -o table (PowerState), if it is a machine of Azure".to_owned()],
        SuspectKind::Mtu => lines(&["Azure takes 1500 bytes inside a VNet, and less through gateways and VPNs (about 1400)"]),
        SuspectKind::NicAllowance => Vec::new(),
    });
    checks
}

fn aws(what: SuspectKind, platform: Platform, to: &Target<'_>) -> Vec<String> {
    let (ip, port) = (to.server.ip(), to.server.port());
    let mut checks = match what {
        SuspectKind::Firewall => vec![
            "aws ec2 describe-security-groups --group-ids SG_OF_NODE SG_OF_TARGET".to_owned(),
            "aws ec2 describe-network-acls --filters Name=association.subnet-id,Values=SUBNET (an ACL needs a rule for the \
             answers too)"
                .to_owned(),
            format!("VPC flow logs, in CloudWatch Logs Insights: filter dstAddr = \"{ip}\" and dstPort = {port} and action = \"REJECT\""),
        ],
        SuspectKind::SnatExhausted => lines(&[
            "aws cloudwatch get-metric-statistics --namespace AWS/NATGateway --metric-name ErrorPortAllocation --dimensions \
             Name=NatGatewayId,Value=NAT_GATEWAY --statistics Sum --period 60 --start-time \"$(date -u -d '-1 hour' +%FT%TZ)\" \
             --end-time \"$(date -u +%FT%TZ)\"",
        ]),
        SuspectKind::Routing => lines(&[
            "aws ec2 describe-route-tables --filters Name=association.subnet-id,Values=SUBNET",
            "a machine that forwards for others needs source/destination check off: aws ec2 describe-network-interfaces \
             --filters Name=private-ip-address,Values=ADDRESS --query 'NetworkInterfaces[].SourceDestCheck'",
        ]),
        SuspectKind::DeadHost => {
            vec![format!("aws ec2 describe-instance-status --filters Name=instance-state-name,Values=running, if {ip} is an instance")]
        }
        SuspectKind::Mtu => lines(&["AWS takes 9001 bytes inside a VPC, and 1500 through internet gateways, peerings and VPNs"]),
        SuspectKind::NicAllowance => lines(&["Amazon EC2: limits of the instance type (network performance, tracked connections)"]),
    };
    if platform == Platform::Eks && what == SuspectKind::Firewall {
        checks.push("kubectl get securitygrouppolicies -A (pods may have security groups of their own)".to_owned());
    }
    checks
}

fn gcp(what: SuspectKind, platform: Platform, to: &Target<'_>) -> Vec<String> {
    let (ip, port, protocol) = (to.server.ip(), to.server.port(), name(to.protocol).to_uppercase());
    let test = format!(
        "gcloud network-management connectivity-tests create whydrop --source-instance=INSTANCE \
         --destination-ip-address={ip} --destination-port={port} --protocol={protocol}"
    );
    match what {
        SuspectKind::Firewall => {
            let mut checks = vec![
                "gcloud compute firewall-rules list --filter=network:NETWORK --sort-by=priority".to_owned(),
                "gcloud compute network-firewall-policies list".to_owned(),
                test,
            ];
            if platform == Platform::Gke {
                checks.push("kubectl get networkpolicies,fqdnnetworkpolicies -A".to_owned());
            }
            checks
        }
        SuspectKind::SnatExhausted => lines(&[
            "gcloud logging read 'resource.type=\"nat_gateway\" AND jsonPayload.allocation_status=\"DROPPED\"' --limit=20",
            "Cloud Monitoring: router.googleapis.com/nat/dropped_sent_packets_count with reason OUT_OF_RESOURCES",
        ]),
        SuspectKind::Routing => vec!["gcloud compute routes list --filter=network:NETWORK".to_owned(), test],
        SuspectKind::DeadHost => {
            vec![format!("gcloud compute instances list --filter='networkInterfaces.networkIP={ip}'")]
        }
        SuspectKind::Mtu => {
            lines(&["gcloud compute networks describe NETWORK --format='value(mtu)' (1460 unless it was set)"])
        }
        SuspectKind::NicAllowance => Vec::new(),
    }
}

fn other(what: SuspectKind, to: &Target<'_>) -> Vec<String> {
    let (ip, port) = (to.server.ip(), to.server.port());
    match what {
        SuspectKind::Firewall => {
            vec![format!("the rules and the log of the firewalls on the way to {ip}, for port {port}")]
        }
        SuspectKind::SnatExhausted => lines(&[
            "on the machine that translates: conntrack -C; sysctl net.netfilter.nf_conntrack_max; conntrack -S",
        ]),
        SuspectKind::Routing => vec![format!("on the gateway: its route to {ip}, and its route back to this node")],
        SuspectKind::DeadHost => vec![format!("the console of {ip}, or of the hypervisor that it runs on")],
        SuspectKind::Mtu => {
            lines(&["the MTU of tunnels and VPNs on the way, and whether their ICMP errors get through"])
        }
        SuspectKind::NicAllowance => Vec::new(),
    }
}
