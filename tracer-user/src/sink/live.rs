//! Text for a terminal: one line a flow, redrawn in place as counts rise, the newest change at the bottom.
//!
//! Rule: it only ever rewrites lines that it wrote itself, and never more than fit on the screen, so the scrollback and
//! what was there before stay as they are.

use std::collections::HashSet;
use std::io::{self, Write};

use tracer_common::FlowKey;

use super::findings::Findings;
use super::style::{Style, thousands};
use super::summary::summary;
use super::text::{TITLE, Text, columns, counter_columns};
use super::verdicts::{self, Connection, verdict_columns};
use super::{Line, Sink};
use crate::event::{Counter, Drop, Header, Stats, Verdict};

/// Rows kept; far more than a screen shows.
const MOST_ROWS: usize = 200;

/// What has one row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Flow(FlowKey),
    /// Namespace, interface (0 for none) and name of a counter.
    Counter(u32, u32, String),
    Verdict(Connection),
}

enum Shown {
    Drop(Box<Drop>),
    Counter(Box<Counter>),
    Verdict(Box<Verdict>),
}

struct Row {
    key: Key,
    shown: Shown,
    packets: u64,
}

/// The redrawn table.
pub struct Live<W> {
    out: W,
    style: Style,
    /// In the order of their last change.
    rows: Vec<Row>,
    keys: HashSet<Key>,
    drawn: usize,
    status: String,
    dirty: bool,
    findings: Findings,
}

impl<W: Write> Live<W> {
    pub fn new(out: W, style: Style) -> Self {
        Self {
            out,
            style,
            rows: Vec::new(),
            keys: HashSet::new(),
            drawn: 0,
            status: String::new(),
            dirty: false,
            findings: Findings::default(),
        }
    }

    /// Puts a row at the bottom, in place of the one with this key.
    fn put(&mut self, row: Row) {
        if !self.keys.insert(row.key.clone()) {
            self.rows.retain(|old| old.key != row.key);
        } else if self.rows.len() >= MOST_ROWS {
            let oldest = self.rows.remove(0);
            self.keys.remove(&oldest.key);
        }
        self.rows.push(row);
        self.dirty = true;
    }

    fn draw(&mut self) -> io::Result<()> {
        let (width, height) = screen();
        let shown = self.rows.len().min(height.saturating_sub(3).max(1));
        if self.drawn > 0 {
            write!(self.out, "\x1b[{}A\x1b[J", self.drawn)?;
        }
        self.drawn = 0;
        if shown > 0 {
            writeln!(self.out, "{}", cut(&self.style.bold(TITLE), width))?;
            self.drawn += 1;
        }
        let hidden = self.rows.len() - shown;
        for row in self.rows.iter().skip(hidden) {
            let packets = thousands(row.packets);
            let text = match &row.shown {
                Shown::Drop(drop) => columns(drop, &packets, self.style),
                Shown::Counter(counter) => counter_columns(counter, &packets, self.style),
                Shown::Verdict(verdict) => verdict_columns(verdict, self.style),
            };
            writeln!(self.out, "{}", cut(&text, width))?;
            self.drawn += 1;
        }
        if !self.status.is_empty() {
            writeln!(self.out, "{}", cut(&self.style.dim(&self.status), width))?;
            self.drawn += 1;
        }
        self.dirty = false;
        self.out.flush()
    }
}

impl<W: Write> Sink for Live<W> {
    fn header(&mut self, header: &Header) -> io::Result<()> {
        Text::new(&mut self.out, self.style).header(header)
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        let shown = Shown::Drop(Box::new(line.drop.clone()));
        self.put(Row { key: Key::Flow(*line.key), shown, packets: line.total.packets });
        self.findings.add(line.drop.netns.inode, line.drop.count, &line.drop.explanation);
        Ok(())
    }

    fn counter(&mut self, counter: &Counter) -> io::Result<()> {
        let interface = counter.interface.as_ref().map_or(0, |interface| interface.index);
        let key = Key::Counter(counter.netns.inode, interface, counter.name.clone());
        let before = self.rows.iter().find(|row| row.key == key).map_or(0, |row| row.packets);
        let shown = Shown::Counter(Box::new(counter.clone()));
        self.put(Row { key, shown, packets: before.saturating_add(counter.delta) });
        self.findings.add_counter(counter);
        Ok(())
    }

    fn verdict(&mut self, verdict: &Verdict) -> io::Result<()> {
        let key = Key::Verdict(Connection::of(verdict));
        let before = self.rows.iter().find(|row| row.key == key).map_or(0, |row| row.packets);
        let attempts = before.saturating_add(verdict.attempts);
        let shown = Shown::Verdict(Box::new(Verdict { attempts, ..verdict.clone() }));
        self.put(Row { key, shown, packets: attempts });
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.dirty { self.draw() } else { Ok(()) }
    }

    fn stats(&mut self, stats: &Stats) -> io::Result<()> {
        self.status = format!(
            "{} dropped, {} expected or noise{}; Ctrl-C ends",
            thousands(stats.packets),
            thousands(stats.hidden),
            if stats.lost > 0 { format!(", {} events lost", thousands(stats.lost)) } else { String::new() },
        );
        if stats.last {
            self.status.clear();
            self.draw()?;
            write!(
                self.out,
                "{}{}",
                summary(stats, self.findings.counted(), self.style),
                self.findings.print(self.style)
            )?;
            write!(self.out, "{}", verdicts::totals(stats))?;
            return self.out.flush();
        }
        self.draw()
    }
}

/// Columns and rows of the terminal on standard output; 80 by 24 if it does not say.
fn screen() -> (usize, usize) {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request writes a `winsize`, which `size` is.
    let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    if result != 0 || size.ws_col == 0 { (80, 24) } else { (usize::from(size.ws_col), usize::from(size.ws_row)) }
}

/// The first `width` columns of `text`, not counting colour sequences, which all stay.
fn cut(text: &str, width: usize) -> String {
    let (mut out, mut used, mut escape) = (String::with_capacity(text.len()), 0, false);
    for c in text.chars() {
        if c == '\x1b' {
            escape = true;
        }
        if escape || used < width {
            out.push(c);
        }
        if escape {
            escape = c != 'm';
        } else {
            used += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_counts_columns_and_keeps_colours_closed() {
        assert_eq!(cut("\x1b[1mabcdef\x1b[0m", 3), "\x1b[1mabc\x1b[0m");
        assert_eq!(cut("→→→", 2), "→→");
    }
}
