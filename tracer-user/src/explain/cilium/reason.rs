//! Cilium's commoner drop reasons in plain words, with what to try.
//!
//! Rule: names and codes are those of `DropReason` in api/v1/flow/flow.proto (1.18); a reason that is not here has its short name only.

/// One reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) code: u32,
    /// As Hubble spells it.
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    /// Empty: there is nothing but to look.
    pub(super) remedy: &'static [&'static str],
}

/// Dropped for a policy: nothing allows it; a rule denies it; it wants authentication.
pub(super) const DENIED: u32 = 133;
pub(super) const DENIED_BY_RULE: u32 = 181;
pub(super) const AUTHENTICATION: u32 = 189;

pub(super) const fn is_policy(code: u32) -> bool {
    matches!(code, DENIED | DENIED_BY_RULE | AUTHENTICATION)
}

pub(super) fn of(code: u32) -> Option<&'static Reason> {
    REASONS.iter().find(|reason| reason.code == code)
}

const fn reason(code: u32, name: &'static str, meaning: &'static str, remedy: &'static [&'static str]) -> Reason {
    Reason { code, name, meaning, remedy }
}

const CONFIGURATION: &str = "kubectl -n kube-system get configmap cilium-config -o yaml";
const ENDPOINTS: &str = "kubectl -n kube-system exec ds/cilium -- cilium-dbg endpoint list";
const IPCACHE: &str = "kubectl -n kube-system exec ds/cilium -- cilium-dbg bpf ipcache list";
const SERVICES: &str = "kubectl -n kube-system exec ds/cilium -- cilium-dbg service list";

const REASONS: [Reason; 26] = [
    reason(130, "INVALID_SOURCE_MAC", "the pod sent with a MAC address that is not its own", &[]),
    reason(132, "INVALID_SOURCE_IP", "the pod sent from an address that is not its own", &[ENDPOINTS]),
    reason(DENIED, "POLICY_DENIED", "no policy allows it", &[]),
    reason(
        137,
        "CT_UNKNOWN_L4_PROTOCOL",
        "Cilium's connection tracking does not know the protocol (SCTP must be switched on)",
        &["set enable-sctp: \"true\" in the configmap cilium-config, if it is SCTP"],
    ),
    reason(
        139,
        "UNSUPPORTED_L3_PROTOCOL",
        "it is neither IPv4 nor IPv6, or Cilium is set up without that of the two",
        &["kubectl -n kube-system get configmap cilium-config -o yaml | grep enable-ipv"],
    ),
    reason(
        140,
        "MISSED_TAIL_CALL",
        "a part of Cilium's program was missing, as for a moment while the agent is replaced",
        &["kubectl -n kube-system rollout restart daemonset/cilium"],
    ),
    reason(
        150,
        "UNKNOWN_L3_TARGET_ADDRESS",
        "Cilium knows nobody who has the address that was asked for",
        &[ENDPOINTS],
    ),
    reason(
        151,
        "STALE_OR_UNROUTABLE_IP",
        "nobody has the destination's address any more: its pod is gone, or Cilium has not learned of it yet",
        &[IPCACHE, "kubectl get ciliumendpoints -A"],
    ),
    reason(
        155,
        "CT_MAP_INSERTION_FAILED",
        "Cilium's table of connections is full",
        &[
            "kubectl -n kube-system exec ds/cilium -- cilium-dbg status --verbose | grep -A20 'BPF Maps'",
            "raise bpf-ct-global-tcp-max and bpf-ct-global-any-max, or bpf-map-dynamic-size-ratio, in the configmap cilium-config",
        ],
    ),
    reason(157, "IP_FRAGMENTATION_NOT_SUPPORTED", "Cilium is set up not to follow fragments", &[CONFIGURATION]),
    reason(
        158,
        "SERVICE_BACKEND_NOT_FOUND",
        "the Service has no pod behind it that is ready",
        &["kubectl get endpointslices -A", SERVICES],
    ),
    reason(
        160,
        "NO_TUNNEL_OR_ENCAPSULATION_ENDPOINT",
        "Cilium does not know to which node the tunnel has to lead",
        &[IPCACHE, "kubectl get ciliumnodes -o wide"],
    ),
    reason(
        162,
        "REACHED_EDT_RATE_LIMITING_DROP_HORIZON",
        "the pod sends more than its bandwidth limit, and the queue is full",
        &["raise or remove the pod's annotation kubernetes.io/egress-bandwidth"],
    ),
    reason(
        165,
        "NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION",
        "the pod's programs were not ready, as for a moment while it starts",
        &[ENDPOINTS],
    ),
    reason(
        167,
        "NO_MAPPING_FOR_NAT_MASQUERADE",
        "Cilium's address translation has no free port for it, or its table is full, or it answers nothing that was translated",
        &[
            "kubectl -n kube-system exec ds/cilium -- cilium-dbg bpf nat list | wc -l",
            "raise bpf-nat-global-max, or bpf-map-dynamic-size-ratio, in the configmap cilium-config",
        ],
    ),
    reason(
        168,
        "UNSUPPORTED_PROTOCOL_FOR_NAT_MASQUERADE",
        "Cilium's address translation does not know the protocol",
        &[CONFIGURATION],
    ),
    reason(
        169,
        "FIB_LOOKUP_FAILED",
        "the node has no route for it, or does not know the next hop's MAC address",
        &["ip route", "ip neigh"],
    ),
    reason(
        170,
        "ENCAPSULATION_TRAFFIC_IS_PROHIBITED",
        "a pod sent tunnel traffic of its own, which Cilium forbids",
        &[],
    ),
    reason(
        174,
        "IS_A_CLUSTERIP",
        "a Service's ClusterIP was reached for from outside the cluster, which Cilium does not serve",
        &[
            "use a Service of type LoadBalancer or NodePort, or set bpf-lb-external-clusterip: \"true\" in cilium-config",
        ],
    ),
    reason(
        175,
        "FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND",
        "a fragment came without the first one, which alone has the ports",
        &[
            "raise bpf-fragments-map-max in the configmap cilium-config",
            "lower the sender's MTU, so that nothing is fragmented",
        ],
    ),
    reason(
        177,
        "DENIED_BY_LB_SRC_RANGE_CHECK",
        "the Service's loadBalancerSourceRanges do not have the client",
        &["add the client's range to spec.loadBalancerSourceRanges of the Service"],
    ),
    reason(DENIED_BY_RULE, "POLICY_DENY", "a deny rule of a policy says so", &[]),
    reason(
        182,
        "VLAN_FILTERED",
        "the VLAN is not one that Cilium lets pass",
        &["set vlan-bpf-bypass in the configmap cilium-config to the VLAN's number"],
    ),
    reason(
        AUTHENTICATION,
        "AUTH_REQUIRED",
        "a policy wants both ends authenticated, and they are not yet",
        &["kubectl -n kube-system exec ds/cilium -- cilium-dbg encrypt auth list", "kubectl -n cilium-spire get pods"],
    ),
    reason(
        194,
        "NO_EGRESS_GATEWAY",
        "a CiliumEgressGatewayPolicy takes it, and no node is its gateway",
        &["kubectl get ciliumegressgatewaypolicies -o yaml"],
    ),
    reason(
        203,
        "DROP_EP_NOT_READY",
        "the pod's programs were not ready, as for a moment while it starts",
        &[ENDPOINTS],
    ),
];
