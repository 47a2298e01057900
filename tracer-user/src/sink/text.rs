//! Text for pipes, files and scrolling: a line for the first packet of a flow, another each time its count has risen.

use std::io::{self, Write};

use super::findings::Findings;
use super::style::{Style, packet, place, printable, thousands};
use super::summary::summary;
use super::{Line, Sink};
use crate::event::{Drop, Header, Stats};

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
        if !self.titled {
            self.titled = true;
            writeln!(self.out, "{}", self.style.bold(TITLE))?;
        }
        let count = if line.drop.count == line.total.packets {
            thousands(line.drop.count)
        } else {
            format!("+{}", thousands(line.drop.count))
        };
        writeln!(self.out, "{}", columns(line.drop, &count, self.style))?;
        for symbol in line.drop.stack.iter().flatten() {
            writeln!(self.out, "{:>24}  {}", "", printable(symbol))?;
        }
        self.findings.add(line.drop);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn stats(&mut self, stats: &Stats) -> io::Result<()> {
        if stats.last {
            write!(self.out, "{}{}", summary(stats, self.style), self.findings.print(self.style))?;
        }
        self.out.flush()
    }
}
