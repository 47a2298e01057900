//! What the binary prints, read by key. This is the only file that spells the keys of `-o json`.

use std::fmt;
use std::process::ExitStatus;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::expect::Expect;

/// JSON pointers of what the lab looks at.
pub mod key {
    pub const KIND: &str = "/kind";
    pub const TIME: &str = "/time";
    pub const STARTED: &str = "/started";
    pub const COUNT: &str = "/count";
    pub const BYTES: &str = "/bytes";
    pub const SEVERITY: &str = "/severity";
    pub const REASON: &str = "/reason/name";
    /// What the place of the drop stands for where the kernel gives no reason.
    pub const DERIVED: &str = "/reason/derived";
    pub const SUBSYSTEM: &str = "/reason/subsystem";
    pub const SYMBOL: &str = "/location/symbol";
    pub const HOOK: &str = "/hook";
    pub const NETNS: &str = "/netns/inode";
    pub const NETNS_NAME: &str = "/netns/name";
    pub const INTERFACE: &str = "/interface/name";
    pub const IN_INTERFACE: &str = "/in_interface/name";
    pub const OUT_INTERFACE: &str = "/out_interface/name";
    pub const BRIDGE_IN: &str = "/bridge_in_interface/name";
    pub const BRIDGE_OUT: &str = "/bridge_out_interface/name";
    pub const STATE: &str = "/conntrack/state";
    pub const CT_MARK: &str = "/conntrack/mark";
    pub const STATUS: &str = "/conntrack/status";
    pub const ORIGINAL: &str = "/conntrack/original";
    pub const REPLY: &str = "/conntrack/reply";
    pub const UID: &str = "/socket/uid";
    pub const GID: &str = "/socket/gid";
    pub const PROCESS_PID: &str = "/process/pid";
    pub const PROCESS_COMM: &str = "/process/comm";
    pub const STACK: &str = "/stack";
    pub const FAMILY: &str = "/packet/family";
    pub const PROTOCOL: &str = "/packet/protocol";
    pub const LENGTH: &str = "/packet/length";
    pub const TCP_FLAGS: &str = "/packet/tcp_flags";
    pub const SOURCE: &str = "/packet/source/address";
    pub const SOURCE_PORT: &str = "/packet/source/port";
    pub const DESTINATION: &str = "/packet/destination/address";
    pub const DESTINATION_PORT: &str = "/packet/destination/port";
    pub const CAUSE: &str = "/explanation/cause";
    pub const CONFIDENCE: &str = "/explanation/confidence";
    pub const SUMMARY: &str = "/explanation/summary";
    pub const OWNER: &str = "/explanation/owner";
    pub const UNDECIDED: &str = "/explanation/unknown";
    pub const REMEDY: &str = "/explanation/remedy";
    pub const EVIDENCE: &str = "/explanation/evidence";
    pub const ALTERNATIVES: &str = "/explanation/alternatives";
    pub const POLICY_NAMESPACE: &str = "/explanation/policy/selected_by/0/namespace";
    pub const POLICY_NAME: &str = "/explanation/policy/selected_by/0/name";
    pub const POLICY_DIRECTION: &str = "/explanation/policy/direction";
    pub const RULE_BACKEND: &str = "/explanation/rule/backend";
    pub const RULE_FAMILY: &str = "/explanation/rule/family";
    pub const RULE_TABLE: &str = "/explanation/rule/table";
    pub const RULE_CHAIN: &str = "/explanation/rule/chain";
    pub const RULE_NUMBER: &str = "/explanation/rule/number";
    pub const RULE_HANDLE: &str = "/explanation/rule/handle";
    pub const RULE_TEXT: &str = "/explanation/rule/text";
    pub const RULE_PATH: &str = "/explanation/rule/path";
    pub const SYSCTL: &str = "/explanation/sysctl";
    pub const SYSCTL_NAME: &str = "/explanation/sysctl/0/name";
    pub const SYSCTL_VALUE: &str = "/explanation/sysctl/0/value";
    pub const SYSCTL_EFFECTIVE: &str = "/explanation/sysctl/0/effective";
    pub const ROUTE_TEXT: &str = "/explanation/route/text";
    pub const ROUTE_TABLE: &str = "/explanation/route/table";
    pub const PROGRAM_ID: &str = "/explanation/program/id";
    pub const PROGRAM_NAME: &str = "/explanation/program/name";
    pub const PROGRAM_TYPE: &str = "/explanation/program/type";
    pub const PROGRAM_ATTACH: &str = "/explanation/program/attach";
    /// Of a dns line.
    pub const QUERY: &str = "/query";
    pub const QUERY_TYPE: &str = "/type";
    pub const OUTCOME: &str = "/outcome";
    pub const RCODE: &str = "/rcode";
    pub const ATTEMPTS: &str = "/attempts";
    pub const LATENCY: &str = "/latency_us";
    pub const TRANSPORT: &str = "/protocol";
    pub const RESOLVER: &str = "/server/address";
    pub const CLIENT: &str = "/client/address";
    pub const CLIENT_NETNS: &str = "/client_netns/inode";
    pub const SEARCHED: &str = "/search";
    pub const WASTED: &str = "/wasted";
    /// Of the totals of attempts.
    pub const QUERIES: &str = "/attempts/queries";
    pub const FAILED_QUERIES: &str = "/attempts/failed_queries";
    /// Of a counter line.
    pub const NAME: &str = "/name";
    pub const DELTA: &str = "/delta";
    pub const FINAL: &str = "/final";
    pub const SEEN: &str = "/seen";
    pub const FILTERED: &str = "/filtered";
    pub const LOST: &str = "/lost";
    pub const SUPPRESSED: &str = "/suppressed";
    pub const UNREADABLE: &str = "/unreadable";
    pub const UNDECODABLE: &str = "/undecodable";
    pub const PACKETS: &str = "/packets";
    /// An array of rows, each with `netns`, `interface`, `reason`, `location`, `packets`, `bytes`, `other_flows`.
    pub const TOTALS: &str = "/totals";
    pub const OTHER_FLOWS: &str = "/other_flows";
    pub const NOT_SHOWN: &str = "/not_shown";
    pub const HIDDEN: &str = "/hidden";
    /// Of a finding.
    pub const TITLE: &str = "/title";
    pub const AFFECTED: &str = "/affected";
    pub const SUSPECTS: &str = "/explanation/suspects";
    pub const SUSPECT: &str = "/explanation/suspects/0/what";
    /// Of a flow; both ends stand where a DNS line has its own.
    pub const FLOW_PROTOCOL: &str = "/protocol";
    pub const FLOW_SOURCE: &str = "/source/address";
    pub const FLOW_SOURCE_PORT: &str = "/source/port";
    pub const FLOW_DESTINATION: &str = "/destination/address";
    pub const FLOW_DESTINATION_PORT: &str = "/destination/port";
    /// Of a DNS line.
    pub const NO_ANSWER: &str = "/no_answer";
    /// Of a verdict; both ends stand where a flow has them.
    pub const VERDICT: &str = "/verdict";
    pub const POLICY_SIDE: &str = "/direction";
    pub const CONFIDENCE_OF_VERDICT: &str = "/confidence";
    pub const ENFORCED_BY: &str = "/enforced_by";
    pub const NETNS_POD: &str = "/netns/pod/name";
    pub const FLOW_SOURCE_POD: &str = "/source/pod/name";
    pub const FLOW_DESTINATION_POD: &str = "/destination/pod/name";
    /// What the policies say.
    pub const SAYS: &str = "/policy/verdict";
    pub const VERDICT_POLICY: &str = "/policy/selected_by/0/name";
    pub const DECIDED_BY: &str = "/policy/decided_by/name";
    pub const DECIDED_BY_RULE: &str = "/policy/decided_by/rule";
    pub const NEAREST: &str = "/policy/nearest/mismatch";
    pub const CONTRADICTION: &str = "/policy/contradiction";
    pub const VERDICTS_ALLOWED: &str = "/verdicts/allowed";
    pub const VERDICTS_DENIED: &str = "/verdicts/denied";
    /// Of stats.
    pub const ESTABLISHED: &str = "/attempts/established";
    pub const NOT_FOLLOWED: &str = "/attempts/not_followed";
    pub const INTERFACES: &str = "/attempts/interfaces";
    pub const MISSED: &str = "/missed";
    pub const EVICTED: &str = "/evicted";
}

/// One line of output.
#[derive(Clone, Debug, PartialEq)]
pub struct Event(pub Value);

impl Event {
    pub fn at(&self, key: &str) -> Option<&Value> {
        self.0.pointer(key)
    }

    pub fn text(&self, key: &str) -> &str {
        self.at(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// The texts of an array.
    pub fn texts(&self, key: &str) -> Vec<&str> {
        self.at(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Fails unless the text, or one of the texts, at `key` contains `part`.
    pub fn says(&self, key: &str, part: &str) -> Result<()> {
        let is_said = self.text(key).contains(part) || self.texts(key).iter().any(|text| text.contains(part));
        ensure!(is_said, "no {part:?} at {key} of {self}");
        Ok(())
    }

    pub fn number(&self, key: &str) -> Result<u64> {
        self.at(key).and_then(Value::as_u64).with_context(|| format!("no number at {key} in {self}"))
    }

    pub fn is(&self, kind: &str) -> bool {
        self.text(key::KIND) == kind
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    pub packets: u64,
    pub bytes: u64,
}

/// Everything that a run said, from its start to its end.
#[derive(Debug)]
pub struct Report {
    pub header: Event,
    /// All lines between the header and the last `stats`, that one included.
    pub events: Vec<Event>,
    pub status: ExitStatus,
    pub stderr: String,
}

impl Report {
    pub fn matching<'a>(&'a self, wanted: &'a Expect) -> impl Iterator<Item = &'a Event> {
        self.events.iter().filter(|event| wanted.accepts(event))
    }

    /// The packets that all matching drop lines stand for.
    pub fn count(&self, wanted: &Expect) -> Result<u64> {
        self.matching(wanted).map(|event| event.number(key::COUNT)).sum()
    }

    /// By how much the matching counters rose.
    pub fn risen(&self, wanted: &Expect) -> Result<u64> {
        self.matching(wanted).map(|event| event.number(key::DELTA)).sum()
    }

    /// The packets and bytes that all matching drop lines stand for.
    pub fn lines_total(&self, wanted: &Expect) -> Result<Total> {
        self.matching(wanted).try_fold(Total::default(), |total, event| {
            Ok(Total {
                packets: total.packets + event.number(key::COUNT)?,
                bytes: total.bytes + event.number(key::BYTES)?,
            })
        })
    }

    /// The `stats` line that ends the stream.
    pub fn stats(&self) -> Result<&Event> {
        let last = self.events.last().context("nothing was printed after the header")?;
        ensure!(last.is("stats"), "the stream ends with {last} and not with stats");
        ensure!(last.at(key::FINAL) == Some(&Value::Bool(true)), "the last line is not the final one: {last}");
        Ok(last)
    }

    /// The sum of the rows of the final totals that match; rows have the keys of drop lines.
    pub fn final_total(&self, wanted: &Expect) -> Result<Total> {
        let rows = self.stats()?.at(key::TOTALS).and_then(Value::as_array).context("stats has no totals")?;
        rows.iter().map(|row| Event(row.clone())).filter(|row| wanted.accepts(row)).try_fold(
            Total::default(),
            |total, row| {
                Ok(Total {
                    packets: total.packets + row.number(key::PACKETS)?,
                    bytes: total.bytes + row.number(key::BYTES)?,
                })
            },
        )
    }

    /// Matching packets that were counted without a line of their own, because there were too many flows.
    pub fn other_flows(&self, wanted: &Expect) -> Result<u64> {
        let rows = self.stats()?.at(key::TOTALS).and_then(Value::as_array).context("stats has no totals")?;
        let rows = rows.iter().map(|row| Event(row.clone())).filter(|row| wanted.accepts(row));
        rows.map(|row| row.number(key::OTHER_FLOWS)).sum()
    }

    /// Fails if a matching packet was reported at all.
    pub fn ensure_silent(&self, unwanted: &Expect) -> Result<()> {
        match self.matching(unwanted).next() {
            None => Ok(()),
            Some(event) => anyhow::bail!("this was not dropped but is reported: {event}"),
        }
    }

    /// Fails unless the run ended well and every drop was counted and understood.
    pub fn ensure_clean(&self) -> Result<()> {
        ensure!(self.status.success(), "ended with {}: {}", self.status, self.stderr);
        ensure!(self.stderr.is_empty(), "it complained: {}", self.stderr);
        self.ensure_zero(&[key::MISSED, key::UNDECODABLE])
    }

    /// Fails unless every drop had its event as well: so it is when there are few.
    pub fn ensure_lossless(&self) -> Result<()> {
        self.ensure_zero(&[key::LOST, key::SUPPRESSED, key::EVICTED, key::OTHER_FLOWS, key::NOT_SHOWN])
    }

    fn ensure_zero(&self, counters: &[&str]) -> Result<()> {
        let stats = self.stats()?;
        for counter in counters {
            ensure!(stats.number(counter)? == 0, "{counter} is not 0: {stats}");
        }
        Ok(())
    }
}
