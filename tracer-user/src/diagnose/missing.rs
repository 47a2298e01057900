//! What was expected: whether it was seen, and what it means if it was not.
//!
//! Rule: that nothing was seen proves nothing beyond this node: it is `inferred`, with what would prove it.

use crate::event::{Cause, Confidence, Explanation, Finding, Severity, Suspect, SuspectKind};
use crate::explain::flow::Platform;
use crate::flow::Tally;
use crate::sink::thousands;

use super::Expectation;
use super::finding::Scored;
use super::group::Group;
use super::harm::{Background, Judge};
use super::text::counted_as;

/// Above all that is merely ranked by whom it hits.
const SCORE: u64 = 256;

/// The run, for sentences about silence.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    /// `30 s`.
    pub(super) took: String,
    /// RFC 3339 of its end.
    pub(super) time: String,
    pub(super) interfaces: u64,
    /// Nothing could be seen.
    pub(super) is_blind: bool,
    pub(super) platform: Platform,
}

impl Run {
    /// `none of the 5 interfaces that were watched for 30 s saw a packet for tcp 80, and no drop of one was seen`.
    fn saw_no(&self, what: &str) -> String {
        let took = &self.took;
        let nobody = match self.interfaces {
            0 => return format!("no interface was watched in {took}; no drop of a {what} was seen"),
            1 => format!("the interface that was watched for {took} did not see a {what}"),
            count => format!("none of the {} interfaces that were watched for {took} saw a {what}", thousands(count)),
        };
        format!("{nobody}, and no drop of one was seen")
    }
}

/// What is to be said of an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// `in:tcp:80: 12 attempts, all answered`.
    Met(String),
    /// A finding says it already, or nothing could be seen of it.
    Said,
    Missing(Box<Scored>),
}

/// Judges an expectation; `told` are the groups that have a finding.
pub(super) fn answer(expectation: &Expectation, told: &[&Group], judge: &Judge<'_>, run: &Run) -> Answer {
    let missing = |title, explanation| Answer::Missing(Box::new(scored(title, explanation, run)));
    if let Some((host, why)) = expectation.host().and_then(|host| Some((host, host.unresolved.as_ref()?))) {
        let summary = format!("the system's resolver has no address for {}: {why}", host.name);
        let mut said = Explanation::new(Cause::Dns, Confidence::Certain, summary);
        said.evidence.push("it was asked at the start, before anything was watched".to_owned());
        said.remedy.push(format!("getent ahosts {}", host.name));
        said.remedy.push("whydrop dns".to_owned());
        said.unknown = Some(format!("whether {expectation} would answer: there is no address to look for"));
        return missing(format!("{} is not resolved, so nothing here can talk to it", host.name), said);
    }
    let is_said = |group: &&&Group| group.hits.keys().any(|talk| judge.background.is_expected(expectation, talk));
    if told.iter().any(|group| is_said(&group)) {
        return Answer::Said;
    }
    let (tally, all) = judge.background.expected(expectation);
    if all == 0 && run.is_blind {
        return Answer::Said;
    }
    if all == 0 {
        return if expectation.is_in() {
            missing(not_seen(expectation, "reached any interface", run), nobody_came(expectation, run))
        } else {
            missing(
                not_seen(expectation, "left by any interface", run),
                nobody_went(expectation, judge.background, run),
            )
        };
    }
    if tally.established == 0 && tally.pending < all {
        let summary = format!("{} for {expectation}, and none was answered", counted_as(all, "attempt"));
        let mut said = Explanation::new(Cause::NoAnswer, Confidence::Inferred, summary);
        said.evidence.push(fates(&tally));
        said.unknown = Some("why: no event says more of them".to_owned());
        return missing(format!("{expectation} is tried, and never answered"), said);
    }
    Answer::Met(format!("{}: {}, {}", expectation.text, counted_as(all, "attempt"), fates(&tally)))
}

/// `12 answered, 1 refused`.
fn fates(tally: &Tally) -> String {
    let fates = [
        (tally.established, "answered"),
        (tally.rejected, "refused"),
        (tally.dropped, "dropped here"),
        (tally.no_answer, "never answered"),
        (tally.pending, "not decided when the run ended"),
    ];
    let all: Vec<_> = fates.iter().filter(|(count, _)| *count > 0).collect();
    match all.as_slice() {
        [(_, "answered")] => "all answered".to_owned(),
        all => all.iter().map(|(count, fate)| format!("{} {fate}", thousands(*count))).collect::<Vec<_>>().join(", "),
    }
}

fn not_seen(expectation: &Expectation, where_to: &str, run: &Run) -> String {
    let packet = if expectation.udp_port().is_some() { "packet" } else { "SYN" };
    let to = match expectation.host() {
        Some(host) => format!("{}:{}", host.name, expectation.port()),
        None => format!(":{}", expectation.port()),
    };
    let what =
        if expectation.is_in() { "blocked before this node, or not sent" } else { "not tried, or stopped before it" };
    format!("no {packet} to {to} {where_to} in {}: {what}", run.took)
}

/// Nothing came in.
fn nobody_came(expectation: &Expectation, run: &Run) -> Explanation {
    let summary = format!("{expectation} is blocked before this node, or nobody sent anything");
    let mut said = Explanation::new(Cause::Upstream, Confidence::Inferred, summary);
    let port = expectation.port();
    said.evidence = vec![run.saw_no(&format!("packet from outside for {expectation}"))];
    said.remedy = vec![format!(
        "send one now from a client, and watch again: whydrop diagnose --expect {} (there: {})",
        expectation.text,
        if expectation.udp_port().is_some() {
            format!("nc -u -w 3 NODE {port}")
        } else {
            format!("nc -vz -w 3 NODE {port}")
        }
    )];
    said.unknown = Some("whether anybody sent one: only what reaches this node is seen".to_owned());
    let firewall = Suspect {
        what: SuspectKind::Firewall,
        summary: format!(
            "a security group, firewall or load balancer before this node does not let {expectation} through"
        ),
        evidence: vec!["not a single packet came: a program on this node can't have refused it".to_owned()],
        check: firewall_checks(expectation, run.platform),
    };
    let routing = Suspect {
        what: SuspectKind::Routing,
        summary: "clients send it elsewhere: to another address, or to a load balancer that thinks this node is down"
            .to_owned(),
        evidence: Vec::new(),
        check: vec![
            "on a client: getent ahosts NAME, and compare with the addresses of this node or of its load balancer"
                .to_owned(),
            "the health of this node in the load balancer's list of backends".to_owned(),
        ],
    };
    said.suspects = Some(vec![firewall, routing]);
    said
}

/// Where the platform keeps what lets packets in.
fn firewall_checks(expectation: &Expectation, platform: Platform) -> Vec<String> {
    let protocol = if expectation.udp_port().is_some() { "UDP" } else { "TCP" };
    let port = expectation.port();
    let check = match platform {
        Platform::Azure | Platform::Aks => vec![
            format!(
                "az network watcher test-ip-flow --direction Inbound --protocol {protocol} --local NODE_ADDRESS:{port} \
                 --remote CLIENT_ADDRESS:60000 --vm VM --resource-group GROUP"
            ),
            "az network nic list-effective-nsg --name NIC --resource-group GROUP".to_owned(),
        ],
        Platform::Aws | Platform::Eks => vec![
            "aws ec2 describe-security-groups --group-ids GROUP (rules for what comes in)".to_owned(),
            "aws ec2 describe-network-acls --filters Name=association.subnet-id,Values=SUBNET".to_owned(),
        ],
        Platform::Gcp | Platform::Gke => vec![
            "gcloud compute firewall-rules list --filter='direction=INGRESS'".to_owned(),
            format!(
                "gcloud network-management connectivity-tests create NAME --source-ip-address=CLIENT_ADDRESS \
                 --destination-instance=INSTANCE --destination-port={port} --protocol={protocol}"
            ),
        ],
        Platform::Other => vec!["the rules of the firewalls and load balancers between client and node".to_owned()],
    };
    let seen = format!(
        "tcpdump -ni any '{} dst port {port}' here while a client tries: if it shows nothing, no packet comes",
        protocol.to_lowercase()
    );
    [seen].into_iter().chain(check).collect()
}

/// Nothing went out.
fn nobody_went(expectation: &Expectation, background: &Background, run: &Run) -> Explanation {
    let summary = format!("nobody here tried {expectation}, or it was stopped before it reached an interface");
    let mut said = Explanation::new(Cause::Unknown, Confidence::Inferred, summary);
    said.evidence = vec![run.saw_no(&format!("packet for {expectation}"))];
    if let Some(host) = expectation.host().filter(|host| host.name.parse::<std::net::IpAddr>().is_err()) {
        let addresses: Vec<_> = host.addresses.iter().map(ToString::to_string).collect();
        said.evidence.push(format!("{} was {} when it was asked for at the start", host.name, addresses.join(", ")));
        if background.is_empty() {
            said.evidence.push("no other attempt was seen either".to_owned());
        }
    }
    let probe = match (expectation.host(), expectation.udp_port()) {
        (Some(host), None) => format!("nc -vz -w 3 {} {}", host.name, expectation.port()),
        (Some(host), Some(port)) => format!("nc -u -w 3 {} {port}", host.name),
        (None, _) => "CMD".to_owned(),
    };
    said.remedy = vec![format!("whydrop diagnose --expect {} -- {probe}", expectation.text)];
    said.unknown =
        Some("whether anybody tried: a program that waits for a name, or has no route, sends nothing".to_owned());
    said
}

fn scored(title: String, explanation: Explanation, run: &Run) -> Scored {
    let finding = Finding {
        time: run.time.clone(),
        rank: 0,
        severity: Severity::Problem,
        title,
        count: 0,
        affected: Vec::new(),
        affected_more: 0,
        explanation,
    };
    Scored { score: SCORE, finding }
}
