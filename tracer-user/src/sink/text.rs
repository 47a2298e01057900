//! Text for pipes, files and scrolling: a line for the first packet of a flow, another each time its count has risen.

use std::io::{self, Write};

use super::findings::Findings;
use super::style::{Style, packet, place, place_of, printable, thousands};
use super::summary::summary;
use super::verdicts::{self, verdict_columns};
use super::{Line, Sink};
use crate::event::{Counter, Drop, Header, Severity, Stats, Verdict};

/// Writes plain lines; `W` should buffer.
pub struct Text<W> {
    out: W,
    style: Style,
    titled: bool,
    findings: Findings,
}

impl<W: Write> Text<W> {
    pub fn new(out: W, style: Style) -> Self {
        Self { out, style, titled: false, findings: Findings::default() }
    }
}

/// The column titles, aligned with [`columns`].
pub(super) const TITLE: &str = "TIME          COUNT     REASON               HOOK         PACKET, PLACE AND WHY";

/// The aligned columns of a line, without its end.
pub(super) fn columns(drop: &Drop, count: &str, style: Style) -> String {
    // RFC 3339: the time of day with milliseconds is bytes 11 to 23.
    let time = drop.time.get(11..23).unwrap_or(&drop.time);
    let reason = drop
        .reason
        .derived
        .as_ref()
        .map_or_else(|| printable(&drop.reason.name).into_owned(), |name| format!("~{}", printable(name)));
    format!(
        "{}  {count:<8}  {} {:<12} {}  {}  {}",
        style.dim(time),
        style.severity(drop.severity, &format!("{reason:<20}")),
        drop.hook,
        packet(&drop.packet),
        style.dim(&format!("({})", place(drop))),
        printable(&drop.explanation.summary),
    )
}

/// The same for a counter.
pub(super) fn counter_columns(counter: &Counter, count: &str, style: Style) -> String {
    let time = counter.time.get(11..23).unwrap_or(&counter.time);
    let place = place_of(counter.interface.as_ref(), &counter.netns);
    format!(
        "{}  {count:<8}  {} {:<12} {}  {}",
        style.dim(time),
        style.severity(Severity::Problem, &format!("{:<20}", printable(&counter.name))),
        "counter",
        style.dim(&format!("({place})")),
        printable(&counter.explanation.summary),
    )
}

impl<W: Write> Text<W> {
    fn title(&mut self) -> io::Result<()> {
        if !self.titled {
            self.titled = true;
            writeln!(self.out, "{}", self.style.bold(TITLE))?;
        }
        Ok(())
    }
}

impl<W: Write> Sink for Text<W> {
    fn header(&mut self, header: &Header) -> io::Result<()> {
        for source in &header.sources {
            let note =
                if source.reason == "preferred" { String::new() } else { format!(" ({})", printable(&source.reason)) };
            writeln!(
                self.out,
                "{}",
                self.style.dim(&format!(
                    "watching {} on {} {}, maps {} KiB{note}",
                    source.hook,
                    printable(&header.host),
                    header.kernel,
                    header.map_bytes / 1024
                ))
            )?;
        }
        for gap in &header.coverage {
            writeln!(self.out, "{}", self.style.dim(&format!("note: {}", printable(gap))))?;
        }
        self.out.flush()
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.title()?;
        let count = if line.drop.count == line.total.packets {
            thousands(line.drop.count)
        } else {
            format!("+{}", thousands(line.drop.count))
        };
        writeln!(self.out, "{}", columns(line.drop, &count, self.style))?;
        for symbol in line.drop.stack.iter().flatten() {
            writeln!(self.out, "{:>24}  {}", "", printable(symbol))?;
        }
        self.findings.add(line.drop.netns.inode, line.drop.count, &line.drop.explanation);
        Ok(())
    }

    fn counter(&mut self, counter: &Counter) -> io::Result<()> {
        self.title()?;
        let count = format!("+{}", thousands(counter.delta));
        writeln!(self.out, "{}", counter_columns(counter, &count, self.style))?;
        self.findings.add_counter(counter);
        Ok(())
    }

    fn verdict(&mut self, verdict: &Verdict) -> io::Result<()> {
        self.title()?;
        writeln!(self.out, "{}", verdict_columns(verdict, self.style))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn stats(&mut self, stats: &Stats) -> io::Result<()> {
        if stats.last {
            write!(
                self.out,
                "{}{}",
                summary(stats, self.findings.counted(), self.style),
                self.findings.print(self.style)
            )?;
            write!(self.out, "{}", verdicts::totals(stats))?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Cause, Confidence, Explanation, Interface, Netns};

    #[test]
    fn a_counter_has_the_columns_of_a_drop() {
        let counter = Counter {
            time: "2026-11-21T14:13:10.138000000Z".into(),
            name: "rx_missed_errors".into(),
            delta: 1234,
            netns: Netns { inode: 7, name: Some("host".into()), pod: None },
            interface: Some(Interface { index: 2, name: Some("eth\u{1b}0".into()) }),
            explanation: Explanation::new(Cause::Device, Confidence::Certain, "no free buffer"),
        };
        let mut out = Vec::new();
        let mut text = Text::new(&mut out, Style { colour: false });
        text.counter(&counter).unwrap();
        let whole = Counter { interface: None, ..counter };
        text.counter(&whole).unwrap();
        let said = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], TITLE);
        assert_eq!(
            lines[1],
            "14:13:10.138  +1,234    rx_missed_errors     counter      (eth\\u{1b}0 in host)  no free buffer"
        );
        assert!(lines[2].ends_with("counter      (host)  no free buffer"), "{}", lines[2]);
    }
}
