//! Why connection tracking calls a packet INVALID that a rule drops for it, and what lets it through.
//!
//! Rule: a setting is proposed only where it decides: the packet would be let through with it.

use super::super::super::observation::Observation;
use super::{command, end, moved, named};
use crate::event::{Cause, Explanation, Sysctl};
use crate::netfilter::{Direction, Invalid, Ruling, Segment, Why};

/// What is said of one reason.
struct Told {
    /// Follows "INVALID: ".
    why: String,
    /// The setting that decides, its value, and the one that lets such packets through.
    setting: Option<(&'static str, &'static str, &'static str)>,
    /// What to do in words, or a command.
    remedy: Vec<String>,
}

impl Told {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), setting: None, remedy: Vec::new() }
    }

    fn setting(mut self, name: &'static str, now: &'static str, wanted: &'static str) -> Self {
        self.setting = Some((name, now, wanted));
        self
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy.push(remedy.into());
        self
    }
}

pub(super) fn refine(explanation: &mut Explanation, facts: &Invalid, ruling: &Ruling, drop: &Observation<'_>) {
    let Told { why, setting, remedy } = told(facts, drop);
    explanation.cause = Cause::ConntrackInvalid;
    explanation.summary = format!("{}, because connection tracking calls it INVALID: {why}", explanation.summary);
    let mut evidence = vec!["such a packet of a tracked connection would pass the rule".to_owned()];
    evidence.extend(ruling.conntrack.map(|pressure| moved(pressure.invalid, "invalid", &pressure)));
    let mut first = Vec::new();
    if let Some((name, now, wanted)) = setting {
        let name = format!("net.netfilter.nf_conntrack_{name}");
        evidence.push(format!("{name} is {now}"));
        first.push(command(drop, &format!("sysctl -w {name}={wanted}")));
        explanation.sysctl = Some(vec![Sysctl { name, value: now.to_owned(), effective: now.to_owned() }]);
    }
    first.extend(remedy);
    if !matches!(facts.why, Why::Window { .. } | Why::Unknown) {
        explanation.remedy.retain(|remedy| !is_for_window(remedy));
    }
    let is_open = matches!(facts.why, Why::Unknown | Why::Window { .. });
    if is_open && facts.settings.log_invalid == Some(0) {
        first.push(command(drop, "sysctl -w net.netfilter.nf_conntrack_log_invalid=255"));
    }
    explanation.evidence.extend(evidence);
    explanation.remedy.retain(|remedy| !first.contains(remedy));
    explanation.remedy.splice(0..0, first);
    let open = explanation.unknown.take().into_iter().chain(facts.unknown.iter().cloned()).collect::<Vec<_>>();
    explanation.unknown = (!open.is_empty()).then(|| open.join("; "));
}

/// What lets only segments outside the window pass: an owner's advice may name it for any invalid packet.
fn is_for_window(remedy: &str) -> bool {
    remedy.contains("tcp_be_liberal") || remedy.contains("tcpBeLiberal")
}

fn told(facts: &Invalid, drop: &Observation<'_>) -> Told {
    match facts.why {
        Why::Flags => Told::new("no TCP segment may have its flags together").remedy("look at what sends it"),
        Why::Header => Told::new("its header is shorter than it must be").remedy("look at what sends it"),
        Why::Checksum { has, right } => {
            Told::new(format!("its checksum is {has:#06x}, and {right:#06x} would be right"))
                .setting("checksum", "1", "0")
                .remedy("look for what breaks it on its way: the receiver will not take it either")
        }
        Why::NoEntry(segment) => no_entry(segment, drop),
        Why::State { state, segment, direction } => {
            let from = side(direction);
            let told = Told::new(format!(
                "its connection stands in {state}, in which no {} comes from {from}",
                segment_name(segment)
            ));
            match (state.state, direction) {
                (1, Direction::Original) => told.remedy(
                    "the answer to its SYN did not come by here: let both directions pass this node (asymmetric routing)",
                ),
                _ => told,
            }
        }
        Why::Window { .. } => window(facts),
        Why::ErrorWithoutEntry(sent) => Told::new(format!(
            "it is an ICMP error about {} {} > {}, and no such connection is in the table",
            named(sent.protocol),
            end(sent.source, sent.source_port),
            end(sent.destination, sent.destination_port)
        )),
        Why::ErrorToOther { source } => {
            Told::new(format!("it is an ICMP error about a packet of {source}, and goes to another address"))
        }
        Why::AnswerWithoutRequest => Told::new("it is an ICMP answer, and no request of it is in the table")
            .remedy("let both directions pass this node (asymmetric routing)"),
        Why::Unknown => Told::new("it found no place in a connection"),
    }
}

fn no_entry(segment: Segment, drop: &Observation<'_>) -> Told {
    match segment {
        Segment::Ack => Told::new(
            "it is no SYN, no connection is in the table for it, and connections are not taken up in their middle (nf_conntrack_tcp_loose is 0)",
        )
        .setting("tcp_loose", "0", "1"),
        Segment::SynAck => {
            let told = Told::new(
                "it is the answer to a SYN that did not come by here: the ways there and back differ (asymmetric routing)",
            );
            let back = drop.source.map(|source| {
                let ip = if source.is_ipv6() { "ip -6" } else { "ip" };
                command(drop, &format!("{ip} route get {source}"))
            });
            let told = told.remedy("let both directions of the connection pass this node");
            back.into_iter().fold(told, Told::remedy)
        }
        Segment::Fin | Segment::Reset => {
            Told::new(format!("it is a {} of a connection that is not in the table any more", segment_name(segment)))
                .remedy("nothing, if it is rare: it comes late, when its connection has ended")
        }
        Segment::Syn => Told::new("it found no place in a connection"),
    }
}

fn window(facts: &Invalid) -> Told {
    let Why::Window { state, segment, .. } = facts.why else { return Told::new("it found no place in a connection") };
    let is_liberal = state.is_liberal || facts.settings.tcp_be_liberal == Some(true);
    match segment {
        Segment::Reset if facts.settings.tcp_ignore_invalid_rst == Some(false) => Told::new(format!(
            "its connection stands in {state}, so that the numbers of this RST are outside its window"
        ))
        .setting("tcp_ignore_invalid_rst", "0", "1"),
        Segment::Reset => Told::new(format!("its connection stands in {state}, and has no place for this RST")),
        _ if is_liberal => Told::new(format!(
            "its connection stands in {state}, and has no place for it although segments outside the window are let pass"
        )),
        _ => Told::new(format!(
            "its connection stands in {state}, so that its sequence numbers are outside the window (nf_conntrack_tcp_be_liberal is 0)"
        ))
        .setting("tcp_be_liberal", "0", "1"),
    }
}

const fn side(direction: Direction) -> &'static str {
    match direction {
        Direction::Original => "the side that began it",
        Direction::Reply => "the side that answers",
    }
}

const fn segment_name(segment: Segment) -> &'static str {
    match segment {
        Segment::Syn => "SYN",
        Segment::SynAck => "SYN-ACK",
        Segment::Fin => "FIN",
        Segment::Ack => "ACK",
        Segment::Reset => "RST",
    }
}

#[cfg(test)]
mod tests {
    use tracer_netfilter::conntrack::TcpState;

    use super::super::super::super::scenarios::packet;
    use super::super::tests::ruling;
    use super::*;
    use crate::event::Confidence;
    use crate::netfilter::{Connections, Pressure, Settings};

    const SETTINGS: Settings = Settings {
        tcp_loose: Some(false),
        tcp_be_liberal: Some(false),
        tcp_ignore_invalid_rst: Some(false),
        checksum: Some(true),
        log_invalid: Some(0),
    };

    fn of(why: Why, settings: Settings) -> Explanation {
        let drop = Observation { netns_entry: Some("nsenter --net=/run/netns/pod"), ..packet("tcp") };
        let pressure = Pressure { invalid: 1, is_delta: true, ..Pressure::default() };
        let mut explanation = Explanation::new(Cause::NetfilterRule, Confidence::Certain, "the rule drops it");
        explanation.remedy = vec!["delete the rule".to_owned()];
        let facts = Invalid { why, settings, unknown: vec!["what is not known".to_owned()] };
        refine(&mut explanation, &facts, &ruling(pressure, Connections::None), &drop);
        explanation
    }

    #[test]
    fn the_setting_that_decides_comes_first() {
        let told = of(Why::NoEntry(Segment::Ack), SETTINGS);
        assert_eq!((told.cause, told.confidence), (Cause::ConntrackInvalid, Confidence::Certain));
        let loose = "nsenter --net=/run/netns/pod sysctl -w net.netfilter.nf_conntrack_tcp_loose=1";
        assert_eq!(told.remedy, [loose, "delete the rule"]);
        assert!(
            told.summary.starts_with("the rule drops it, because connection tracking calls it INVALID: it is no SYN")
        );
        assert_eq!(told.sysctl.unwrap()[0].name, "net.netfilter.nf_conntrack_tcp_loose");
        assert_eq!(told.unknown.as_deref(), Some("what is not known"));
    }

    #[test]
    fn a_setting_that_is_set_already_is_not_proposed() {
        let state = TcpState { state: 3, is_liberal: false };
        let window = Why::Window { state, segment: Segment::Ack, direction: Direction::Original };
        let remedies = |settings| of(window, settings).remedy.join("\n");
        assert!(remedies(SETTINGS).contains("tcp_be_liberal=1"));
        assert!(!remedies(Settings { tcp_be_liberal: Some(true), ..SETTINGS }).contains("tcp_be_liberal"));
        let reset = Why::Window { state, segment: Segment::Reset, direction: Direction::Original };
        assert!(of(reset, SETTINGS).remedy[0].ends_with("nf_conntrack_tcp_ignore_invalid_rst=1"));
        assert!(!of(reset, Settings { tcp_ignore_invalid_rst: None, ..SETTINGS }).remedy[0].contains("ignore"));
    }

    #[test]
    fn what_an_owner_advises_stays_where_it_helps() {
        let remedy = |why| {
            let drop = packet("tcp");
            let mut explanation = Explanation::new(Cause::NetfilterRule, Confidence::Certain, "it");
            explanation.remedy = vec!["set conntrack.tcpBeLiberal: true".to_owned()];
            let facts = Invalid { why, settings: SETTINGS, unknown: Vec::new() };
            refine(&mut explanation, &facts, &ruling(Pressure::default(), Connections::None), &drop);
            explanation.remedy.join("\n")
        };
        assert!(!remedy(Why::Flags).contains("tcpBeLiberal"));
        assert!(remedy(Why::Unknown).contains("tcpBeLiberal"));
    }

    #[test]
    fn ways_that_differ_are_told() {
        let told = of(Why::NoEntry(Segment::SynAck), SETTINGS);
        assert!(told.summary.contains("asymmetric routing"), "{}", told.summary);
        assert!(told.remedy.iter().any(|remedy| remedy.contains("ip route get")), "{:?}", told.remedy);
        assert!(told.sysctl.is_none());
    }
}
