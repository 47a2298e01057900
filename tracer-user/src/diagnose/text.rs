//! The diagnosis as text: the findings with their reasons, then what was seen, and what this node hides.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::event::{Affected, Confidence, Counter, Finding, Header, Severity, Stats, Suspect};
use crate::sink::{Line, Sink, Style, hanging, place_of, printable, thousands, who};

use super::progress::Progress;
use super::report::{Notes, Render, seconds};

/// Writes the report; `W` should buffer.
pub struct Text<W> {
    out: W,
    style: Style,
    progress: Progress,
    started: Instant,
    host: String,
    coverage: Vec<String>,
    notes: Notes,
    findings: u64,
    counted: u64,
}

impl<W: Write> Text<W> {
    /// `terminal` is where progress is shown, if anywhere; `total` how long it is to take, if that is known.
    pub fn new(out: W, style: Style, terminal: Option<Box<dyn Write>>, total: Option<Duration>) -> Self {
        Self {
            out,
            style,
            progress: Progress::new(terminal, total),
            started: Instant::now(),
            host: String::new(),
            coverage: Vec::new(),
            notes: Notes::default(),
            findings: 0,
            counted: 0,
        }
    }

    fn close(&mut self, stats: &Stats) -> io::Result<()> {
        self.progress.wipe()?;
        let seen = is_anything_seen(stats) || self.counted > 0;
        if self.findings == 0 {
            let is_blind = stats.attempts.is_some_and(|attempts| attempts.interfaces == 0);
            writeln!(self.out, "{}", self.style.bold(nothing_wrong(seen, is_blind)))?;
        }
        let met = &self.notes.met;
        for met in met {
            writeln!(self.out, "as expected: {}", printable(met))?;
        }
        if self.findings == 0 || !met.is_empty() {
            writeln!(self.out)?;
        }
        writeln!(self.out, "seen on {} in {}:", printable(&self.host), seconds(self.started.elapsed()))?;
        for line in seen_lines(stats, self.counted, &self.notes) {
            writeln!(self.out, "  {line}")?;
        }
        let gaps: Vec<_> = self.coverage.iter().chain(&stats.coverage).collect();
        if !gaps.is_empty() {
            writeln!(self.out, "not seen on this node:")?;
        }
        for gap in gaps {
            writeln!(self.out, "  {}", self.style.dim(&printable(gap)))?;
        }
        self.out.flush()
    }
}

const fn nothing_wrong(is_anything_seen: bool, is_blind: bool) -> &'static str {
    if is_anything_seen {
        "Nothing is wrong with what was seen."
    } else if is_blind {
        "Nothing could be seen: there is no interface to watch."
    } else {
        "Nothing was seen at all: nobody talked. No traffic is not health; try again while somebody does, or with -- CMD."
    }
}

fn is_anything_seen(stats: &Stats) -> bool {
    let attempts = stats.attempts.unwrap_or_default();
    let decided = attempts.established + attempts.rejected + attempts.dropped + attempts.no_answer;
    // Not drops: they may be of other namespaces, and show nothing that works.
    decided + attempts.pending + attempts.queries > 0
}

/// `1 attempt`, `1,200 attempts`.
pub(super) fn counted_as(count: u64, what: &str) -> String {
    format!("{} {what}{}", thousands(count), if count == 1 { "" } else { "s" })
}

/// What was seen, a line each.
fn seen_lines(stats: &Stats, counted: u64, notes: &Notes) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(attempts) = stats.attempts {
        let failed = attempts.rejected + attempts.dropped + attempts.no_answer;
        lines.push(format!(
            "{} to talk: {} answered, {} refused, {} dropped here, {} never answered, {} not decided yet",
            counted_as(attempts.established + failed + attempts.pending, "attempt"),
            thousands(attempts.established),
            thousands(attempts.rejected),
            thousands(attempts.dropped),
            thousands(attempts.no_answer),
            thousands(attempts.pending),
        ));
        let (queries, failed) = (thousands(attempts.queries), thousands(attempts.failed_queries));
        lines.push(format!("{queries} DNS queries, {failed} of them without a good answer"));
        lines.push(format!("{} watched", counted_as(attempts.interfaces, "interface")));
        if attempts.not_followed > 0 {
            lines
                .push(format!("{} attempts were too many at once, and not followed", thousands(attempts.not_followed)));
        }
    }
    lines.push(dropped(stats, notes.dropped_there));
    let gaps = [
        (counted, "drops are known by counters only"),
        (notes.left_out, "failures were too many different ones at once, and are in no finding"),
        (stats.not_shown, "dropped packets had no line of their own, and are in no finding"),
        (stats.other_flows, "dropped packets are counted by place only, and are in no finding"),
        (stats.missed, "drops were not seen: they happened while the CPU was counting another one"),
    ];
    lines.extend(
        gaps.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{} {what}", thousands(*count))),
    );
    lines
}

/// `1,234 dropped packets, 1,200 of them expected or mere noise`.
fn dropped(stats: &Stats, there: Option<u64>) -> String {
    let all = counted_as(stats.packets, "dropped packet");
    match there {
        // The host's are counted too, as what the chosen namespaces send may be dropped there.
        Some(there) => {
            format!(
                "{all}: {} in the chosen namespaces; the others on the host, expected or mere noise",
                thousands(there)
            )
        }
        None => format!("{all}, {} of them expected or mere noise", thousands(stats.hidden)),
    }
}

/// A finding, its lines ended.
fn finding_text(finding: &Finding, style: Style) -> String {
    let mut out = String::new();
    let number = format!("{}.", finding.rank);
    let severity = style.severity(finding.severity, finding.severity.as_str());
    let _ = writeln!(out, "{number:<3} {severity}  {}", style.bold(&printable(&finding.title)));
    let mut row = |what: &str, text: &str| {
        let _ = writeln!(out, "    {what:<9} {}", hanging(text, 14));
    };
    let said = &finding.explanation;
    row("why", &said.summary);
    row("how sure", how_sure(said.confidence));
    for fact in &said.evidence {
        row("seen", fact);
    }
    for affected in &finding.affected {
        row("hits", &hit(affected));
    }
    if finding.affected_more > 0 {
        row("hits", &format!("{} more", thousands(finding.affected_more)));
    }
    for (at, suspect) in said.suspects.iter().flatten().enumerate() {
        suspect_rows(at + 1, suspect, &mut row);
    }
    if let Some(unknown) = &said.unknown {
        row("open", unknown);
    }
    for step in &said.remedy {
        row("try", step);
    }
    out
}

fn suspect_rows(number: usize, suspect: &Suspect, row: &mut impl FnMut(&str, &str)) {
    row("perhaps", &format!("{number}. {}", suspect.summary));
    for fact in &suspect.evidence {
        row("", &format!("   as {fact}"));
    }
    for check in &suspect.check {
        row("", &format!("   check {check}"));
    }
}

/// `shop/client 10.0.0.9 → 10.0.0.1:10250 tcp in wd-node (12×)`.
fn hit(affected: &Affected) -> String {
    let (source, destination) = (who(&affected.source), who(&affected.destination));
    let place = match place_of(None, &affected.netns) {
        place if place.is_empty() => place,
        place => format!(" in {place}"),
    };
    format!("{source} → {destination} {}{place} ({}×)", affected.protocol, thousands(affected.count))
}

const fn how_sure(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Certain => "certain: it was seen",
        Confidence::Derived => "derived from what the kernel said, or from configuration that was read",
        Confidence::Inferred => "inferred: the likeliest, by what was seen and what was not",
        Confidence::Unknown => "not decided",
    }
}

impl<W: Write> Render for Text<W> {
    fn notes(&mut self, notes: Notes) -> io::Result<()> {
        self.notes = notes;
        Ok(())
    }
}

impl<W: Write> Sink for Text<W> {
    fn header(&mut self, header: &Header) -> io::Result<()> {
        self.started = Instant::now();
        self.progress.start();
        self.coverage.clone_from(&header.coverage);
        self.host.clone_from(&header.host);
        let watching =
            format!("watching {} {}; Ctrl-C ends it early", printable(&header.host), printable(&header.kernel));
        writeln!(self.out, "{}", self.style.dim(&watching))?;
        self.out.flush()
    }

    fn line(&mut self, _line: &Line<'_>) -> io::Result<()> {
        Ok(())
    }

    fn counter(&mut self, counter: &Counter) -> io::Result<()> {
        self.counted = self.counted.saturating_add(counter.delta);
        Ok(())
    }

    fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        self.progress.wipe()?;
        self.findings += u64::from(finding.severity == Severity::Problem);
        writeln!(self.out, "{}", finding_text(finding, self.style))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn stats(&mut self, stats: &Stats) -> io::Result<()> {
        if stats.last { self.close(stats) } else { self.progress.draw(stats) }
    }
}
