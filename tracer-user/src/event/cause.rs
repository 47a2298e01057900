//! The closed word lists of the contract: cause, confidence, severity, hook.
//!
//! A word is added here, in the schema and in the documentation at once; the spelling in JSON is the `as_str` of each.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One closed list of words: the enum, all of its values in order, and each one's spelling.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $value,)+
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$value,)+];

            /// The spelling in JSON, in text output and in the documentation.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
words! {
    /// Why the packet was dropped, or never answered.
    Cause {
        /// A rule in a firewall chain.
        NetfilterRule = "netfilter_rule",
        /// The policy of a base chain: no rule decided.
        NetfilterPolicy = "netfilter_policy",
        /// The reverse-path check refused the source address on this interface.
        ReversePath = "reverse_path",
        /// No route leads to the destination, or forwarding is off.
        NoRoute = "no_route",
        /// A route or rule says so: blackhole, unreachable, prohibit.
        RouteReject = "route_reject",
        /// Nobody listens.
        NoSocket = "no_socket",
        /// The socket's memory is used up, or its program does not read.
        SocketBuffer = "socket_buffer",
        /// The listener's queue of finished or half-open handshakes is full.
        ListenOverflow = "listen_overflow",
        /// The connection tracking table is full.
        ConntrackFull = "conntrack_full",
        /// Connection tracking could not place the packet.
        ConntrackInvalid = "conntrack_invalid",
        /// No free port was left for address translation.
        NatExhausted = "nat_exhausted",
        /// The next hop did not answer ARP or neighbour discovery.
        Neighbour = "neighbour",
        /// The packet is larger than the path allows.
        Mtu = "mtu",
        /// TTL or hop limit used up.
        Ttl = "ttl",
        /// A checksum or header is wrong.
        Checksum = "checksum",
        /// A BPF program decided: tc, XDP, cgroup, socket filter.
        BpfProgram = "bpf_program",
        /// An IPsec policy refused it, or IPsec could not process it.
        Ipsec = "ipsec",
        /// A queueing discipline refused it.
        Qdisc = "qdisc",
        /// The network device, its driver or the software queue behind it.
        Device = "device",
        /// A Kubernetes network policy.
        NetworkPolicy = "network_policy",
        /// It left this node and was lost beyond it.
        Upstream = "upstream",
        /// It was delivered, and never answered.
        NoAnswer = "no_answer",
        /// A name was not resolved.
        Dns = "dns",
        /// Not known; `unknown` says why.
        Unknown = "unknown",
    }
}

words! {
    /// How sure an explanation is.
    Confidence {
        /// Seen: a verdict, or a counter that moved with the drops.
        Certain = "certain",
        /// Computed from what the kernel said or from configuration that was read.
        Derived = "derived",
        /// Reasoned from silence or from a likeness.
        Inferred = "inferred",
        /// Not decided.
        Unknown = "unknown",
    }
}

words! {
    /// What became of an attempt to talk.
    Outcome {
        /// The server answered.
        Established = "established",
        /// The server, or somebody on the way, refused: RST or an ICMP error.
        Rejected = "rejected",
        /// One of its packets was dropped on this node.
        Dropped = "dropped",
        /// Nobody answered.
        NoAnswer = "no_answer",
    }
}

words! {
    /// What became of a DNS query.
    QueryOutcome {
        Answered = "answered",
        /// Answered, and it took long.
        Slow = "slow",
        /// The resolver says that there is no such name.
        NoSuchName = "no_such_name",
        /// The same, and the client went on to another name of its search path.
        Search = "search",
        /// Answered with an error, or with an answer that was cut and could not be had over TCP either.
        Error = "error",
        /// An ICMP error refused it.
        Rejected = "rejected",
        /// It or its answer was dropped on this node.
        Dropped = "dropped",
        /// Nobody answered.
        NoAnswer = "no_answer",
    }
}

words! {
    /// Seen from the interface.
    Direction {
        Ingress = "ingress",
        Egress = "egress",
    }
}

words! {
    /// What kind of packet it was.
    SeenPacket {
        /// SYN, or a UDP request.
        Open = "open",
        /// SYN-ACK, or a UDP reply.
        Answer = "answer",
        /// RST of the client.
        ClientReset = "client_reset",
        /// RST of the server.
        ServerReset = "server_reset",
        /// An ICMP or ICMPv6 error that quotes it.
        Icmp = "icmp",
    }
}

words! {
    /// What may have become of packets beyond this node.
    SuspectKind {
        /// A firewall, security group or access list on the way.
        Firewall = "firewall",
        /// Who translates the source addresses has no free port.
        SnatExhausted = "snat_exhausted",
        /// The destination is not there, or its program does not run.
        DeadHost = "dead_host",
        /// No route to it, or none back.
        Routing = "routing",
        /// Large packets do not get through.
        Mtu = "mtu",
        /// The cloud limits this machine's packets, connections or bandwidth.
        NicAllowance = "nic_allowance",
    }
}

words! {
    /// Whether someone should look at it.
    Severity {
        /// Something does not work for somebody.
        Problem = "problem",
        /// The network doing what it was told, or what it does under stray traffic.
        Expected = "expected",
        /// Bookkeeping of a healthy machine.
        Noise = "noise",
    }
}

words! {
    /// Where on its way the packet was.
    Hook {
        Prerouting = "prerouting",
        Input = "input",
        Forward = "forward",
        Output = "output",
        Postrouting = "postrouting",
        /// Device receive: tc, netdev chains, protocol dispatch.
        Ingress = "ingress",
        /// Device transmit: tc, netdev chains.
        Egress = "egress",
        /// The route lookup and its answer.
        Route = "route",
        /// The transport protocol and its socket.
        Socket = "socket",
        /// ARP and neighbour discovery.
        Neighbour = "neighbour",
        Qdisc = "qdisc",
        /// A driver, virtual or real, or a bridge port.
        Device = "device",
        Other = "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_spelling_is_the_one_of_the_contract() {
        for cause in Cause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
        assert_eq!(serde_json::to_string(&Hook::Neighbour).unwrap(), r#""neighbour""#);
        assert_eq!(serde_json::from_str::<Severity>(r#""noise""#).unwrap(), Severity::Noise);
        assert_eq!(format!("{:>9}", Confidence::Derived), "  derived");
    }

    #[test]
    fn words_are_unique_snake_case() {
        let mut words: Vec<&str> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
        assert!(words.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Cause::ALL.len());
    }
}
