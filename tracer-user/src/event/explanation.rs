//! The `explanation` of an event: what did it, how sure we are, the evidence, and what to try.
//!
//! Every claim stands with its evidence; what was not decided is said in `unknown`, never left out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cause, Confidence, SuspectKind};

/// Why a packet was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// One plain sentence.
    pub summary: String,
    pub cause: Cause,
    pub confidence: Confidence,
    /// Short sentences, each a fact that was seen or read, with its value.
    pub evidence: Vec<String>,
    /// Complete commands or actions to try, safest first.
    pub remedy: Vec<String>,
    /// Who installed what dropped it: `kube-proxy`, `calico`, `ufw`, `docker`, `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// Other rules that may have done it as well; `rule` is only the likeliest then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternatives: Option<Vec<Rule>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sysctl: Option<Vec<Sysctl>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
    /// What may have happened beyond this node, the likeliest first; none of it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspects: Option<Vec<Suspect>>,
    /// What could not be read or decided, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

impl Explanation {
    /// An explanation with nothing but its sentence, cause and confidence.
    pub fn new(cause: Cause, confidence: Confidence, summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            cause,
            confidence,
            evidence: Vec::new(),
            remedy: Vec::new(),
            owner: None,
            rule: None,
            alternatives: None,
            sysctl: None,
            route: None,
            policy: None,
            program: None,
            suspects: None,
            unknown: None,
        }
    }
}

/// One thing that may have happened beyond this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Suspect {
    pub what: SuspectKind,
    /// One sentence that names it: `a network security group or firewall blocks tcp 9000`.
    pub summary: String,
    /// What was seen that speaks for it, and against it.
    pub evidence: Vec<String>,
    /// What would prove it: commands, and where to look in the cloud's console or command line.
    pub check: Vec<String>,
}

/// The firewall rule that dropped, as the user would find it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    pub backend: Backend,
    pub family: RulesetFamily,
    pub table: String,
    pub chain: String,
    /// Position in its chain, from 1; absent for a chain policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// nf_tables handle; xtables-legacy has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<u64>,
    /// The line of `iptables -S` or `nft list ruleset`.
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The chains on the way, from the base chain, each with the rule that was left by.
    pub path: Vec<RuleStep>,
    /// The rule's own counter; absent where the rule has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<u64>,
}

/// One chain on the way to a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleStep {
    pub chain: String,
    /// Position from 1.
    pub number: u32,
}

/// Which tool's ruleset holds the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    IptablesNft,
    IptablesLegacy,
    Nftables,
}

/// The address family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RulesetFamily {
    Ip,
    Ip6,
    Inet,
    Bridge,
    Netdev,
    Arp,
}

impl RulesetFamily {
    /// As nft writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
            Self::Bridge => "bridge",
            Self::Netdev => "netdev",
            Self::Arp => "arp",
        }
    }

    /// The program that shows and changes a table of this family.
    pub const fn program(self, backend: Backend) -> &'static str {
        match (backend, self) {
            (Backend::Nftables, _) => "nft",
            (Backend::IptablesNft, Self::Ip6) => "ip6tables-nft",
            (Backend::IptablesNft, Self::Bridge) => "ebtables-nft",
            (Backend::IptablesNft, Self::Arp) => "arptables-nft",
            (Backend::IptablesNft, _) => "iptables-nft",
            (Backend::IptablesLegacy, Self::Ip6) => "ip6tables-legacy",
            (Backend::IptablesLegacy, Self::Bridge) => "ebtables-legacy",
            (Backend::IptablesLegacy, Self::Arp) => "arptables-legacy",
            (Backend::IptablesLegacy, _) => "iptables-legacy",
        }
    }
}

/// A kernel setting that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sysctl {
    /// `net.ipv4.conf.eth1.rp_filter`.
    pub name: String,
    pub value: String,
    /// What the kernel uses after combining it with others (the maximum with `all` for `rp_filter`).
    pub effective: String,
}

/// The route that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Route {
    /// The line of `ip route show`; where a rule of the routing policy refuses by itself, that of `ip rule show`.
    pub text: String,
    /// The routing table it stands in: `main`, `local` or its number; none for a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

/// The verdict of Kubernetes network policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    pub direction: PolicyDirection,
    pub verdict: PolicyVerdict,
    /// The policies that select the pod.
    pub selected_by: Vec<PolicyName>,
    /// The rule that allowed or denied it; absent for a denial by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<PolicyRule>,
    /// The rule that almost allowed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<Nearest>,
    /// What put the policy into force: `calico`, `azure-npm`, `kube-router`, `cilium`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforced_by: Option<String>,
    /// What was seen that the policies do not say: `the policies allow it, yet a rule of calico drops it`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contradiction: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyDirection {
    Ingress,
    Egress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyVerdict {
    Allowed,
    Denied,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyName {
    /// Another kind than NetworkPolicy: `AdminNetworkPolicy`, `CiliumNetworkPolicy`, …
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Absent for a policy of the whole cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub name: String,
}

/// A rule in a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyRule {
    #[serde(flatten)]
    pub policy: PolicyName,
    /// Position in the list of its direction, from 1; 0 if it is not known.
    pub rule: u32,
}

/// The policy rule that came closest, and what kept it from matching.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Nearest {
    #[serde(flatten)]
    pub policy: PolicyName,
    /// Position in `spec.ingress` or `spec.egress`, from 1; 0 if it has no rule, or only the engine's rules were read.
    pub rule: u32,
    /// `port 5432 is allowed, 5433 was used`.
    pub mismatch: String,
}

/// The BPF program that dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Program {
    pub id: u32,
    pub name: String,
    /// `sched_cls`, `xdp`, `cgroup_skb`, as `bpftool prog` names it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is attached: `eth0 ingress`, `/sys/fs/cgroup/kubepods.slice`.
    pub attach: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_keys_are_absent_not_null() {
        let text = serde_json::to_value(Explanation::new(Cause::Ttl, Confidence::Derived, "TTL used up")).unwrap();
        let expected = json!({
            "summary": "TTL used up", "cause": "ttl", "confidence": "derived", "evidence": [], "remedy": []
        });
        assert_eq!(text, expected);
    }

    #[test]
    fn a_rule_is_spelled_as_in_the_contract() {
        let rule = json!({
            "backend": "iptables-nft", "family": "ip", "table": "filter", "chain": "INPUT", "number": 1, "handle": 4,
            "text": "-A INPUT -p tcp -m tcp --dport 10250 -j DROP", "path": [{"chain": "INPUT", "number": 1}],
            "packets": 412
        });
        let parsed: Rule = serde_json::from_value(rule.clone()).unwrap();
        assert_eq!((parsed.backend, parsed.family), (Backend::IptablesNft, RulesetFamily::Ip));
        assert_eq!(serde_json::to_value(parsed).unwrap(), rule);
    }

    #[test]
    fn a_program_type_keeps_the_kernel_word() {
        let program = json!({"id": 7, "name": "cil_from_container", "type": "sched_cls", "attach": "lxc1 ingress"});
        let parsed: Program = serde_json::from_value(program.clone()).unwrap();
        assert_eq!(serde_json::to_value(parsed).unwrap(), program);
    }
}
