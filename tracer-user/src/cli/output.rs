//! `-o`, and where text goes: plain lines, or a live table on a terminal.

use std::io::{BufWriter, IsTerminal, Write, stdout};
use std::time::Duration;

use clap::ValueEnum;

use crate::sink::{JsonLines, Live, QueryLines, QueryText, Sink, Style, Text, VerdictLines, VerdictText};

/// Bytes buffered before a write.
const BUFFER: usize = 64 << 10;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people; of `watch` on a terminal a table that follows the counts
    #[default]
    Text,
    /// One JSON object a line, as docs/events.md says
    Json,
}

impl Output {
    /// The sink for standard output; `in_place` if nothing else writes there.
    pub(super) fn sink(self, in_place: bool) -> Box<dyn Sink> {
        let out = BufWriter::with_capacity(BUFFER, stdout());
        match self {
            Self::Json => Box::new(JsonLines::new(out)),
            Self::Text if in_place && stdout().is_terminal() => Box::new(Live::new(out, style())),
            Self::Text => Box::new(Text::new(out, style())),
        }
    }

    /// The sink of `whydrop dns`; `is_hosts` if the drops of the host's namespace are of interest by themselves.
    pub(super) fn queries(self, all: bool, slow: Duration, is_hosts: bool) -> Box<dyn Sink> {
        match self {
            Self::Json => Box::new(QueryLines::new(self.sink(false), all, is_hosts)),
            Self::Text => {
                Box::new(QueryText::new(BufWriter::with_capacity(BUFFER, stdout()), style(), all, slow, is_hosts))
            }
        }
    }

    /// The sink of `whydrop verdicts`; `denied`: only these have lines.
    pub(super) fn verdicts(self, denied: bool) -> Box<dyn Sink> {
        match self {
            Self::Json => Box::new(VerdictLines::alone(self.sink(false), denied)),
            Self::Text => Box::new(VerdictText::new(BufWriter::with_capacity(BUFFER, stdout()), style(), denied)),
        }
    }

    /// Writes `text` to standard output, or `value` as JSON.
    pub(super) fn print(self, text: &str, value: &impl serde::Serialize) -> std::io::Result<()> {
        let mut out = stdout().lock();
        match self {
            Self::Text => out.write_all(text.as_bytes())?,
            Self::Json => {
                serde_json::to_writer(&mut out, value)?;
                out.write_all(b"\n")?;
            }
        }
        out.flush()
    }
}

/// Colour where the terminal wants it (`NO_COLOR`, no-color.org).
pub(super) fn style() -> Style {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    Style { colour: stdout().is_terminal() && !no_colour && !dumb }
}
