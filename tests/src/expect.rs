//! What a test expects of a line: some of its keys, each with the values it may have. A miss is told by the lines that
//! came nearest and what was wrong with each.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::Value;

use crate::event::{Event, key};
use crate::kernel;
use crate::netns::NetNs;
use crate::traffic::Flow;

/// Reasons that share their place with a more frequent one, which stands for the place where the kernel tells none; what
/// it was is in the explanation.
const SHARED_PLACES: [(&str, &str); 5] = [
    ("IP_LOCAL_SOURCE", "IP_RPFILTER"),
    ("IP_LOCALNET", "IP_RPFILTER"),
    ("IP_INVALID_SOURCE", "IP_RPFILTER"),
    ("IP_INVALID_DEST", "IP_RPFILTER"),
    ("IP_INADDRERRORS", "IP_INNOROUTES"),
];

/// How many near misses a report shows.
const SHOWN: usize = 3;

#[derive(Clone, Debug, Default)]
pub struct Expect {
    wanted: Vec<(&'static str, Vec<Value>)>,
}

impl Expect {
    /// Any line.
    pub fn any() -> Self {
        Self::default()
    }

    /// A row of the totals, which has no kind.
    pub fn total(reason: &str) -> Self {
        Self::any().reason(&[reason])
    }

    /// A line about this counter.
    pub fn counter(name: &str) -> Self {
        Self::any().with(key::KIND, "counter").with(key::NAME, name)
    }

    /// A flow line: what became of an attempt over `tcp` or `udp` to a port.
    pub fn attempt(outcome: &str, protocol: &str, port: u16) -> Self {
        let line = Self::any().with(key::KIND, "flow").with(key::OUTCOME, outcome);
        line.with(key::FLOW_PROTOCOL, protocol).with(key::FLOW_DESTINATION_PORT, port)
    }

    /// A drop line with this reason.
    pub fn drop(reason: &str) -> Self {
        Self::any().with(key::KIND, "drop").reason(&[reason])
    }

    /// A drop line with the first of these reasons that this kernel knows.
    pub fn finest(reasons: &[&str]) -> Result<Self> {
        if !kernel::tells_reasons() {
            return Ok(Self::one_of(reasons));
        }
        Ok(Self::drop(kernel::finest_reason(reasons)?))
    }

    /// A drop line with any of these reasons: several places of a kernel may do it.
    pub fn one_of(reasons: &[&str]) -> Self {
        Self::any().with(key::KIND, "drop").reason(reasons)
    }

    /// This reason; where the kernel tells none, one of these names or none may be derived.
    fn reason(self, reasons: &[&str]) -> Self {
        if kernel::tells_reasons() {
            return self.with_any(key::REASON, reasons.iter().copied());
        }
        let shared = SHARED_PLACES.iter().filter(|(reason, _)| reasons.contains(reason)).map(|(_, frequent)| frequent);
        let derived = reasons.iter().chain(shared).map(|reason| Value::from(*reason)).chain([Value::Null]);
        self.with(key::REASON, "UNKNOWN").with_any(key::DERIVED, derived)
    }

    /// Where the kernel tells no reason this one may be derived too: it shares the place of the drop. For reasons that
    /// share one place only, and have others.
    #[must_use]
    pub fn or_derived(mut self, reason: &str) -> Self {
        let derived = self.wanted.iter_mut().filter(|(key, _)| *key == key::DERIVED);
        derived.for_each(|(_, values)| values.push(reason.into()));
        self
    }

    /// One more key that must have exactly this value.
    #[must_use]
    pub fn with(self, key: &'static str, value: impl Into<Value>) -> Self {
        self.with_any(key, [value])
    }

    /// One more key that must have one of these values.
    #[must_use]
    pub fn with_any<V: Into<Value>>(mut self, key: &'static str, values: impl IntoIterator<Item = V>) -> Self {
        self.wanted.push((key, values.into_iter().map(Into::into).collect()));
        self
    }

    /// Everything that the other wants, too.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.wanted.extend(other.wanted.iter().cloned());
        self
    }

    #[must_use]
    pub fn hook(self, hook: &str) -> Self {
        self.with(key::HOOK, hook)
    }

    /// What `explanation.cause` says.
    #[must_use]
    pub fn cause(self, cause: &str) -> Self {
        self.with(key::CAUSE, cause)
    }

    /// How sure the explanation is.
    #[must_use]
    pub fn sure(self, confidence: &str) -> Self {
        self.with(key::CONFIDENCE, confidence)
    }

    /// This rule did it: `iptables-nft ip filter/INPUT`, its number in the chain, and its text.
    #[must_use]
    pub fn rule(self, place: &str, number: u64, text: &str) -> Self {
        self.cause("netfilter_rule").in_chain(place).with(key::RULE_NUMBER, number).with(key::RULE_TEXT, text)
    }

    /// The policy of this chain did it.
    #[must_use]
    pub fn policy(self, place: &str) -> Self {
        self.cause("netfilter_policy").in_chain(place)
    }

    fn in_chain(self, place: &str) -> Self {
        let mut words = place.split([' ', '/']);
        [key::RULE_BACKEND, key::RULE_FAMILY, key::RULE_TABLE, key::RULE_CHAIN]
            .into_iter()
            .fold(self, |expect, key| expect.with(key, words.next().unwrap_or_default()))
    }

    /// Someone should look at it.
    #[must_use]
    pub fn problem(self) -> Self {
        self.with(key::SEVERITY, "problem")
    }

    #[must_use]
    pub fn interface(self, name: &str) -> Self {
        self.with(key::INTERFACE, name)
    }

    /// Freed in one of these functions.
    #[must_use]
    pub fn freed_in(self, symbols: &[&str]) -> Self {
        self.with_any(key::SYMBOL, symbols.iter().copied())
    }

    pub fn netns(self, namespace: &NetNs) -> Result<Self> {
        Ok(self.with(key::NETNS, namespace.inode()?))
    }

    /// Family, protocol, both addresses, and both ports where there are any.
    #[must_use]
    pub fn flow(self, flow: &Flow) -> Self {
        let expect = self.addresses(flow).with(key::PROTOCOL, flow.protocol);
        if !flow.has_ports() {
            return expect;
        }
        let ports = (flow.source.port(), flow.destination.port());
        expect.with(key::SOURCE_PORT, ports.0).with(key::DESTINATION_PORT, ports.1)
    }

    /// Family and both addresses only.
    #[must_use]
    pub fn addresses(self, flow: &Flow) -> Self {
        self.with(key::FAMILY, flow.family().name())
            .with(key::SOURCE, flow.source.ip().to_string())
            .with(key::DESTINATION, flow.destination.ip().to_string())
    }

    pub fn accepts(&self, event: &Event) -> bool {
        self.misses(event).next().is_none()
    }

    fn misses<'a>(&'a self, event: &'a Event) -> impl Iterator<Item = String> + 'a {
        self.wanted.iter().filter_map(|(key, values)| {
            let found = event.at(key).unwrap_or(&Value::Null);
            (!accepted(key, values, found)).then(|| format!("{key} is {found}, not {}", alternatives(values)))
        })
    }

    /// Which lines came nearest, and why each is not what was wanted.
    pub fn miss_report(&self, events: &[Event]) -> String {
        let mut near: Vec<_> = events.iter().map(|event| (self.misses(event).collect::<Vec<_>>(), event)).collect();
        near.sort_by_key(|(misses, _)| misses.len());
        let mut report = String::from("wanted");
        for (key, values) in &self.wanted {
            let _infallible = write!(report, " {key}={}", alternatives(values));
        }
        let _infallible = write!(report, "\nof {} lines, the nearest:", events.len());
        for (misses, event) in near.iter().take(SHOWN) {
            let _infallible = write!(report, "\n- {}\n  {event}", misses.join("; "));
        }
        report
    }
}

/// Compilers split functions: `ip_rcv_finish_core.isra.0` is `ip_rcv_finish_core`.
fn accepted(key: &str, values: &[Value], found: &Value) -> bool {
    let whole = match found.as_str().filter(|_| key == key::SYMBOL).and_then(|symbol| symbol.split_once('.')) {
        Some((function, _part)) => Value::from(function),
        None => found.clone(),
    };
    values.contains(&whole)
}

fn alternatives(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn drop_line() -> Event {
        Event(json!({
            "kind": "drop",
            "reason": {"name": "NO_SOCKET"},
            "packet": {"family": "ipv4", "protocol": "tcp",
                       "source": {"address": "10.0.0.1", "port": 4000},
                       "destination": {"address": "10.0.0.2", "port": 81}}
        }))
    }

    fn flow(port: u16) -> Flow {
        let destination = std::net::SocketAddr::from(([10, 0, 0, 2], port));
        Flow { protocol: "tcp", source: ([10, 0, 0, 1], 4000).into(), destination }
    }

    #[test]
    fn a_flow_is_matched_in_all_its_parts() {
        assert!(Expect::drop("NO_SOCKET").flow(&flow(81)).accepts(&drop_line()));
        assert!(!Expect::drop("NO_SOCKET").flow(&flow(82)).accepts(&drop_line()));
        assert!(!Expect::drop("NETFILTER_DROP").flow(&flow(81)).accepts(&drop_line()));
    }

    #[test]
    fn a_part_of_a_function_is_the_function() {
        let event = Event(json!({"location": {"symbol": "ip_rcv_finish_core.isra.0"}, "hook": "a.b"}));
        assert!(Expect::any().freed_in(&["ip_rcv_core", "ip_rcv_finish_core"]).accepts(&event));
        assert!(!Expect::any().freed_in(&["ip_rcv_finish"]).accepts(&event));
        assert!(!Expect::any().hook("a").accepts(&event));
    }

    #[test]
    fn an_absent_key_is_no_match() {
        assert!(!Expect::any().interface("eth0").accepts(&drop_line()));
    }

    #[test]
    fn a_miss_names_what_was_wrong_with_the_nearest_line_first() {
        let far = Event(json!({"kind": "stats"}));
        let report = Expect::drop("NO_SOCKET").flow(&flow(82)).miss_report(&[far, drop_line()]);
        let nearest = report.lines().nth(2).unwrap();
        assert_eq!(nearest, "- /packet/destination/port is 81, not 82");
    }
}
