//! Verdicts of network policies as text, and where they stand alone.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::IpAddr;

use super::style::{Style, printable, thousands, who};
use super::{Line, Sink};
use crate::event::{
    Counter, Endpoint, Header, Outcome, Policy, PolicyDirection, PolicyName, PolicyVerdict, Severity, Stats, Verdict,
};

const TITLE: &str = "TIME          COUNT     VERDICT              DIRECTION    CONNECTION, AND WHY";

/// What has one row where rows are renewed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Connection {
    source: Option<IpAddr>,
    destination: (Option<IpAddr>, Option<u16>),
    protocol: String,
    direction: PolicyDirection,
    verdict: PolicyVerdict,
    outcome: Outcome,
}

impl Connection {
    pub(super) fn of(verdict: &Verdict) -> Self {
        Self {
            source: verdict.source.address,
            destination: (verdict.destination.address, verdict.destination.port),
            protocol: verdict.protocol.clone(),
            direction: verdict.direction,
            verdict: verdict.verdict,
            outcome: verdict.outcome,
        }
    }
}

/// One line, without its end.
pub(super) fn verdict_columns(verdict: &Verdict, style: Style) -> String {
    // RFC 3339: the time of day with milliseconds is bytes 11 to 23.
    let time = verdict.time.get(11..23).unwrap_or(&verdict.time);
    let (word, severity) = match verdict.verdict {
        PolicyVerdict::Allowed => ("ALLOWED", Severity::Noise),
        PolicyVerdict::Denied => ("DENIED", Severity::Problem),
    };
    let direction = match verdict.direction {
        PolicyDirection::Ingress => "ingress",
        PolicyDirection::Egress => "egress",
    };
    // The client's port is that of one of them.
    let source = who(&Endpoint { port: None, ..verdict.source.clone() });
    format!(
        "{}  {:<8}  {} {direction:<12} {} {source} → {}  ({})",
        style.dim(time),
        thousands(verdict.attempts),
        style.severity(severity, &format!("{word:<20}")),
        printable(&verdict.protocol),
        who(&verdict.destination),
        printable(&why(verdict)),
    )
}

/// The policy and its rule, or what kept one from allowing it.
fn why(verdict: &Verdict) -> String {
    let mut why = match &verdict.policy {
        Some(policy) => by_policy(policy),
        None => "the policies are not known, or do not decide it".to_owned(),
    };
    if let (PolicyVerdict::Denied, Some(engine)) = (verdict.verdict, &verdict.enforced_by) {
        let _ = write!(why, "; enforced by {engine}");
    }
    if let Some(contradiction) = verdict.policy.as_ref().and_then(|policy| policy.contradiction.as_ref()) {
        let _ = write!(why, "; {contradiction}");
    }
    match verdict.outcome {
        Outcome::NoAnswer => why.push_str("; no answer"),
        Outcome::Rejected => why.push_str("; rejected"),
        Outcome::Dropped if verdict.verdict == PolicyVerdict::Allowed => why.push_str("; dropped"),
        Outcome::Dropped | Outcome::Established => {}
    }
    why
}

fn by_policy(policy: &Policy) -> String {
    if let Some(rule) = &policy.decided_by {
        return match rule.rule {
            0 => name(&rule.policy),
            number => format!("{} rule {number}", name(&rule.policy)),
        };
    }
    if let Some(nearest) = &policy.nearest {
        return match nearest.rule {
            0 => format!("{}: {}", name(&nearest.policy), nearest.mismatch),
            number => format!("{} rule {number}: {}", name(&nearest.policy), nearest.mismatch),
        };
    }
    let names: Vec<String> = policy.selected_by.iter().map(name).collect();
    match (names.is_empty(), policy.verdict) {
        (true, _) => "no policy selects it".to_owned(),
        (false, PolicyVerdict::Denied) => format!("no rule of {} allows it", names.join(", ")),
        (false, PolicyVerdict::Allowed) => format!("{} allows it", names.join(", ")),
    }
}

fn name(policy: &PolicyName) -> String {
    let kind = policy.kind.as_deref().unwrap_or("NetworkPolicy");
    match &policy.namespace {
        Some(namespace) => format!("{kind} {namespace}/{}", policy.name),
        None => format!("{kind} {}", policy.name),
    }
}

/// The totals, a line; nothing where verdicts are not asked for.
pub(super) fn totals(stats: &Stats) -> String {
    let Some(totals) = stats.verdicts else { return String::new() };
    let mut text = format!("{} connections allowed, {} denied", thousands(totals.allowed), thousands(totals.denied));
    let also = [
        (totals.undecided, "undecided"),
        (totals.not_shown, "of these without a line: there were too many at once"),
        (totals.not_judged, "not judged: there were too many at once"),
    ];
    for (count, what) in also.into_iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, ", {} {what}", thousands(count));
    }
    text + "\n"
}

/// The text of `whydrop verdicts`; `W` should buffer.
pub struct VerdictText<W> {
    out: W,
    style: Style,
    denied: bool,
    titled: bool,
}

impl<W: Write> VerdictText<W> {
    /// `denied`: only these have lines.
    pub fn new(out: W, style: Style, denied: bool) -> Self {
        Self { out, style, denied, titled: false }
    }
}

impl<W: Write> Sink for VerdictText<W> {
    fn header(&mut self, header: &Header) -> io::Result<()> {
        let text = format!("watching connections on {} {}", printable(&header.host), header.kernel);
        writeln!(self.out, "{}", self.style.dim(&text))?;
        for gap in &header.coverage {
            writeln!(self.out, "{}", self.style.dim(&format!("note: {}", printable(gap))))?;
        }
        self.out.flush()
    }

    fn line(&mut self, _line: &Line<'_>) -> io::Result<()> {
        Ok(())
    }

    fn counter(&mut self, _counter: &Counter) -> io::Result<()> {
        Ok(())
    }

    fn verdict(&mut self, verdict: &Verdict) -> io::Result<()> {
        if self.denied && verdict.verdict != PolicyVerdict::Denied {
            return Ok(());
        }
        if !self.titled {
            self.titled = true;
            writeln!(self.out, "{}", self.style.bold(TITLE))?;
        }
        writeln!(self.out, "{}", verdict_columns(verdict, self.style))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn stats(&mut self, stats: &Stats) -> io::Result<()> {
        if stats.last {
            write!(self.out, "{}", totals(stats))?;
            let not_followed = stats.attempts.map_or(0, |attempts| attempts.not_followed);
            if not_followed > 0 {
                writeln!(self.out, "{not_followed} attempts were not followed: there were too many at once")?;
            }
            for gap in &stats.coverage {
                writeln!(self.out, "{}", self.style.dim(&format!("note: {}", printable(gap))))?;
            }
        }
        self.out.flush()
    }
}

/// What `inner` prints beside or without drops; attempts and queries, which verdicts come from, have no lines of their own.
pub struct VerdictLines {
    inner: Box<dyn Sink>,
    with_drops: bool,
    denied: bool,
}

impl VerdictLines {
    /// Verdicts alone; `denied`: only these.
    pub fn alone(inner: Box<dyn Sink>, denied: bool) -> Self {
        Self { inner, with_drops: false, denied }
    }

    /// Beside drops.
    pub fn beside(inner: Box<dyn Sink>) -> Self {
        Self { inner, with_drops: true, denied: false }
    }
}

impl Sink for VerdictLines {
    fn header(&mut self, header: &Header) -> io::Result<()> {
        self.inner.header(header)
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        if self.with_drops { self.inner.line(line) } else { Ok(()) }
    }

    fn counter(&mut self, counter: &Counter) -> io::Result<()> {
        if self.with_drops { self.inner.counter(counter) } else { Ok(()) }
    }

    fn verdict(&mut self, verdict: &Verdict) -> io::Result<()> {
        let is_shown = !self.denied || verdict.verdict == PolicyVerdict::Denied;
        if is_shown { self.inner.verdict(verdict) } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }

    fn stats(&mut self, stats: &Stats) -> io::Result<()> {
        self.inner.stats(stats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Confidence, Nearest, Netns, PodName, PolicyRule, ServiceName};

    fn end(text: &str, pod: Option<&str>) -> Endpoint {
        let pod = pod.map(|name| PodName { namespace: "shop".into(), name: name.into(), uid: "u".into() });
        Endpoint { pod, ..Endpoint::of(text) }
    }

    fn policy(verdict: PolicyVerdict) -> Policy {
        Policy {
            direction: PolicyDirection::Ingress,
            verdict,
            selected_by: Vec::new(),
            decided_by: None,
            nearest: None,
            enforced_by: None,
            contradiction: None,
        }
    }

    fn verdict(verdict: PolicyVerdict, outcome: Outcome, policy: Option<Policy>) -> Verdict {
        let service = Some(ServiceName { namespace: "shop".into(), name: "db".into(), port: None });
        Verdict {
            time: "2026-11-21T14:13:10.138000000Z".into(),
            direction: PolicyDirection::Ingress,
            verdict,
            confidence: Confidence::Certain,
            protocol: "tcp".into(),
            source: end("10.0.0.7:40000", Some("web-1\u{1b}")),
            destination: Endpoint { service, ..end("10.0.1.9:5433", Some("db-0")) },
            outcome,
            attempts: 1200,
            netns: Netns::default(),
            policy,
            enforced_by: None,
            evidence: Vec::new(),
        }
    }

    fn line(verdict: &Verdict) -> String {
        verdict_columns(verdict, Style { colour: false })
    }

    #[test]
    fn a_denial_is_told_with_the_nearest_rule() {
        let db = PolicyName { kind: None, namespace: Some("shop".into()), name: "db".into() };
        let nearest = Some(Nearest { policy: db.clone(), rule: 1, mismatch: "port 5432 is allowed".into() });
        let denied = Policy { nearest, ..policy(PolicyVerdict::Denied) };
        let told = Verdict {
            enforced_by: Some("calico".into()),
            ..verdict(PolicyVerdict::Denied, Outcome::Dropped, Some(denied))
        };
        assert_eq!(
            line(&told),
            "14:13:10.138  1,200     DENIED               ingress      tcp shop/web-1\\u{1b} 10.0.0.7 → shop/db-0 \
             of svc shop/db 10.0.1.9:5433  (NetworkPolicy shop/db rule 1: port 5432 is allowed; enforced by calico)"
        );
        let rule = PolicyRule { policy: PolicyName { kind: Some("AdminNetworkPolicy".into()), ..db }, rule: 2 };
        let allowed = Policy { decided_by: Some(rule), ..policy(PolicyVerdict::Allowed) };
        let told = line(&verdict(PolicyVerdict::Allowed, Outcome::NoAnswer, Some(allowed)));
        assert!(told.ends_with("(AdminNetworkPolicy shop/db rule 2; no answer)"), "{told}");
        let told = line(&verdict(PolicyVerdict::Allowed, Outcome::Established, Some(policy(PolicyVerdict::Allowed))));
        assert!(told.contains("  ALLOWED  ") && told.ends_with("(no policy selects it)"), "{told}");
    }

    #[test]
    fn only_what_was_denied_has_a_line_where_that_is_asked_for() {
        for (denied, lines) in [(false, 3), (true, 2)] {
            let mut out = Vec::new();
            let mut text = VerdictText::new(&mut out, Style { colour: false }, denied);
            text.verdict(&verdict(PolicyVerdict::Allowed, Outcome::Established, None)).unwrap();
            text.verdict(&verdict(PolicyVerdict::Denied, Outcome::Dropped, None)).unwrap();
            let said = String::from_utf8(out).unwrap();
            assert_eq!(said.lines().next(), Some(TITLE));
            assert_eq!(said.lines().count(), lines, "{said}");
        }
    }
}
