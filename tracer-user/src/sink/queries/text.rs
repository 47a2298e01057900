//! The text of `whydrop dns`.

use std::io::{self, Write};
use std::time::Duration;

use super::drops::HeldDrops;
use super::explained::Explained;
use super::has_line;
use super::tally::Tally;
use crate::event::{Counter, Dns, Drop, Endpoint, Header, QueryOutcome, Severity, Stats};
use crate::flow::dns::is_failed;
use crate::sink::style::{Style, endpoint, netns_name, printable, who};
use crate::sink::{Line, Sink};

const TITLE: &str = "TIME          TOOK      RESULT      QUERY, CLIENT AND RESOLVER, AND WHY";

/// Writes plain lines; `W` should buffer.
pub struct QueryText<W> {
    out: W,
    style: Style,
    all: bool,
    /// As it was typed.
    slow: Duration,
    titled: bool,
    drops: HeldDrops,
    tally: Tally,
    explained: Explained,
}

impl<W: Write> QueryText<W> {
    /// `all`: a line also for queries that went well; `slow` is only told; `with_hosts`: also drops of the host's namespace that no
    /// query's line tells of.
    pub fn new(out: W, style: Style, all: bool, slow: Duration, with_hosts: bool) -> Self {
        let (drops, tally, explained) = (HeldDrops::new(with_hosts), Tally::default(), Explained::default());
        Self { out, style, all, slow, titled: false, drops, tally, explained }
    }

    fn title(&mut self) -> io::Result<()> {
        if !self.titled {
            self.titled = true;
            writeln!(self.out, "{}", self.style.bold(TITLE))?;
        }
        Ok(())
    }

    fn drop(&mut self, drop: &Drop) -> io::Result<()> {
        self.title()?;
        let ends = format!("{} → {}", who(&drop.packet.source), who(&drop.packet.destination));
        let result = self.style.severity(Severity::Problem, &format!("{:<10}", "dropped"));
        let why = printable(&drop.explanation.summary);
        self.explained.add_drop(drop);
        writeln!(self.out, "{}  {:<8}  {result}  a DNS packet  {ends}  {why}", self.style.dim(clock(&drop.time)), "-")
    }
}

impl<W: Write> Sink for QueryText<W> {
    fn header(&mut self, header: &Header) -> io::Result<()> {
        let text = format!("watching DNS on {} {}", printable(&header.host), header.kernel);
        writeln!(self.out, "{}", self.style.dim(&text))?;
        for gap in &header.coverage {
            writeln!(self.out, "{}", self.style.dim(&format!("note: {}", printable(gap))))?;
        }
        self.out.flush()
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        match self.drops.add(line) {
            Some(held) => self.drop(&held.drop),
            None => Ok(()),
        }
    }

    fn counter(&mut self, _counter: &Counter) -> io::Result<()> {
        Ok(())
    }

    fn dns(&mut self, dns: &Dns) -> io::Result<()> {
        let result = result(dns);
        self.drops.told(dns);
        self.tally.add(dns, &result);
        self.explained.add(dns);
        if has_line(dns, self.all) {
            self.title()?;
            writeln!(self.out, "{}", columns(dns, &result, self.style))?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn stats(&mut self, stats: &Stats) -> io::Result<()> {
        for held in self.drops.due(stats.last) {
            self.drop(&held.drop)?;
        }
        if stats.last {
            let slow = humantime::format_duration(self.slow).to_string();
            write!(self.out, "{}", self.tally.print(&slow, self.style))?;
            let not_followed = stats.attempts.map_or(0, |attempts| attempts.not_followed);
            if not_followed > 0 {
                writeln!(
                    self.out,
                    "{not_followed} attempts and queries were not followed: there were too many at once"
                )?;
            }
            write!(self.out, "{}", self.explained.print(self.style))?;
            for gap in &stats.coverage {
                writeln!(self.out, "{}", self.style.dim(&format!("note: {}", printable(gap))))?;
            }
        }
        self.out.flush()
    }
}

/// One line, without its end.
fn columns(dns: &Dns, result: &str, style: Style) -> String {
    let severity = match dns.outcome {
        outcome if is_failed(outcome) => Severity::Problem,
        QueryOutcome::Slow => Severity::Problem,
        QueryOutcome::NoSuchName => Severity::Expected,
        _ => Severity::Noise,
    };
    let netns = dns.client_netns.as_ref().unwrap_or(&dns.netns);
    let is_told = netns.pod.is_some() && netns.pod == dns.client.pod;
    let client = Endpoint { port: None, ..dns.client.clone() };
    let client = if is_told { endpoint(&client) } else { who(&client) };
    let netns = netns_name(netns).unwrap_or_else(|| format!("netns {}", netns.inode));
    let server = who(&Endpoint { port: dns.server.port.filter(|port| *port != 53), ..dns.server.clone() });
    let tries = if dns.attempts > 1 { format!(" {}×", dns.attempts) } else { String::new() };
    let over = if dns.protocol == "tcp" { " over tcp" } else { "" };
    let why = dns.explanation.as_ref().map(|explanation| format!("  {}", printable(&explanation.summary)));
    format!(
        "{}  {:<8}  {}  {} {}{tries}  {client} → {server}{over} {}{}",
        style.dim(clock(&dns.time)),
        dns.latency_us.map_or_else(|| "-".to_owned(), took),
        style.severity(severity, &format!("{result:<10}")),
        dns.kind,
        printable(&dns.query),
        style.dim(&format!("({netns})")),
        why.unwrap_or_default(),
    )
}

/// RFC 3339: the time of day with milliseconds is bytes 11 to 23.
fn clock(time: &str) -> &str {
    time.get(11..23).unwrap_or(time)
}

/// What became of it, in a word.
fn result(dns: &Dns) -> String {
    match (dns.outcome, &dns.rcode) {
        (QueryOutcome::Slow, _) => "slow".to_owned(),
        (QueryOutcome::Error, Some(rcode)) if rcode == "NOERROR" => "cut".to_owned(),
        (QueryOutcome::NoAnswer, _) => "no answer".to_owned(),
        (outcome, Some(rcode)) if outcome != QueryOutcome::Dropped => rcode.clone(),
        (outcome, _) => outcome.as_str().to_owned(),
    }
}

/// `340 µs`, `2.1 ms`, `1.5 s`.
pub(super) fn took(us: u64) -> String {
    match us {
        0..1000 => format!("{us} µs"),
        1000..1_000_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        _ => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Cause, Confidence, Explanation, Netns};

    fn dns(name: &str, outcome: QueryOutcome, rcode: Option<&str>, took: Option<u64>) -> Dns {
        let end = |text: &str| {
            let address: std::net::SocketAddr = text.parse().unwrap();
            Endpoint::at(address.ip(), Some(address.port()))
        };
        let well = matches!(outcome, QueryOutcome::Answered | QueryOutcome::Search);
        Dns {
            time: "2026-11-21T14:13:10.138000000Z".into(),
            query: name.into(),
            kind: "A".into(),
            outcome,
            rcode: rcode.map(str::to_owned),
            no_answer: outcome == QueryOutcome::NoAnswer,
            latency_us: took,
            attempts: if outcome == QueryOutcome::NoAnswer { 3 } else { 1 },
            protocol: "udp".into(),
            client: end("10.99.1.2:4000"),
            server: end("10.0.0.10:53"),
            translated: None,
            netns: Netns { inode: 7, name: Some("host".into()), pod: None },
            client_netns: Some(Netns { inode: 8, name: Some("pod\u{1b}".into()), pod: None }),
            search: None,
            wasted: None,
            explanation: (!well).then(|| Explanation::new(Cause::Dns, Confidence::Inferred, format!("why {name}"))),
        }
    }

    fn printed(all: bool, queries: &[Dns]) -> String {
        let mut out = Vec::new();
        let mut text = QueryText::new(&mut out, Style { colour: false }, all, Duration::from_millis(100), true);
        for dns in queries {
            text.dns(dns).unwrap();
        }
        let summary = text.tally.print("100ms", text.style) + &text.explained.print(text.style);
        String::from_utf8(out).unwrap() + &summary
    }

    #[test]
    fn what_failed_has_a_line_and_all_are_counted() {
        let queries = [
            dns("a.example", QueryOutcome::Answered, Some("NOERROR"), Some(900)),
            dns("b.example", QueryOutcome::NoAnswer, None, None),
            dns("c.example", QueryOutcome::Error, Some("SERVFAIL"), Some(2100)),
            dns("d.example", QueryOutcome::Slow, Some("NOERROR"), Some(1_540_000)),
            dns("e.example.svc", QueryOutcome::Search, Some("NXDOMAIN"), Some(300)),
        ];
        let text = printed(false, &queries);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], TITLE);
        assert_eq!(
            lines[1],
            "14:13:10.138  -         no answer   A b.example 3×  10.99.1.2 → 10.0.0.10 (pod\\u{1b})  why b.example"
        );
        assert!(lines[2].starts_with("14:13:10.138  2.1 ms    SERVFAIL    A c.example  10.99"), "{}", lines[2]);
        assert!(lines[3].contains("1.5 s     slow        A d.example"), "{}", lines[3]);
        assert_eq!(lines[4], "5 DNS queries: 2 failed, 1 slow (over 100ms), 1 wasted on a search path");
        assert!(lines[6].starts_with("10.99.1.2 (pod\\u{1b})"), "{}", lines[6]);
        let numbers: Vec<&str> = lines[6].split_whitespace().skip(3).take(4).collect();
        assert_eq!(numbers, ["5", "2", "1", "1"], "{}", lines[6]);
        assert!(text.contains("       1  A b.example no answer\n"), "{text}");
        assert!(text.contains("\nwhy c.example (1×, inferred)\n"), "{text}");
        assert_eq!(printed(true, &queries).matches("14:13:10.138").count(), 5);
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(printed(true, &[]), "No DNS query was seen\n");
    }
}
