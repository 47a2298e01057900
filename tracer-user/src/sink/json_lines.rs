//! `-o json`: one object a line, as `docs/events.md` says.

use std::io::{self, Write};

use serde::Serialize;

use super::{Line, Sink};
use crate::event::{Counter, Dns, Finding, Flow, Header, Stats, Verdict};

/// Writes JSON lines; `W` should buffer.
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    pub fn new(out: W) -> Self {
        Self { out }
    }

    fn write(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        self.out.write_all(b"\n")
    }
}

impl<W: Write> Sink for JsonLines<W> {
    fn header(&mut self, header: &Header) -> io::Result<()> {
        self.write(header)?;
        self.out.flush()
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.write(line.drop)
    }

    fn counter(&mut self, counter: &Counter) -> io::Result<()> {
        self.write(counter)
    }

    fn flow(&mut self, flow: &Flow) -> io::Result<()> {
        self.write(flow)
    }

    fn dns(&mut self, dns: &Dns) -> io::Result<()> {
        self.write(dns)
    }

    fn verdict(&mut self, verdict: &Verdict) -> io::Result<()> {
        self.write(verdict)
    }

    fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        self.write(finding)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn stats(&mut self, stats: &Stats) -> io::Result<()> {
        self.write(stats)?;
        self.out.flush()
    }
}
