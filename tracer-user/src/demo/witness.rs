//! A sink that passes everything on and tells the narrator what was shown.
//!
//! Rule: it tells when the words are out, not before, so that the narrator never speaks in between.

use std::io;
use std::mem::take;
use std::sync::mpsc::Sender;

use crate::event::{Counter, Drop, Header, Stats};
use crate::sink::{Line, Sink};

/// What was shown.
#[derive(Debug)]
pub(super) enum Shown {
    /// Everything is attached: what is dropped from now on is seen.
    Header,
    Drop(Box<Drop>),
}

pub(super) struct Witness<S> {
    inner: S,
    tell: Sender<Shown>,
    untold: Vec<Shown>,
}

impl<S: Sink> Witness<S> {
    pub(super) fn new(inner: S, tell: Sender<Shown>) -> Self {
        Self { inner, tell, untold: Vec::new() }
    }

    fn tell(&mut self) {
        for shown in take(&mut self.untold) {
            // The narrator may have ended, and the run is about to.
            let _ = self.tell.send(shown);
        }
    }
}

impl<S: Sink> Sink for Witness<S> {
    fn header(&mut self, header: &Header) -> io::Result<()> {
        self.inner.header(header)?;
        self.untold.push(Shown::Header);
        self.tell();
        Ok(())
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.untold.push(Shown::Drop(Box::new(line.drop.clone())));
        self.inner.line(line)
    }

    fn counter(&mut self, counter: &Counter) -> io::Result<()> {
        self.inner.counter(counter)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()?;
        self.tell();
        Ok(())
    }

    fn stats(&mut self, stats: &Stats) -> io::Result<()> {
        self.inner.stats(stats)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// Shows nothing.
    struct Nowhere;

    impl Sink for Nowhere {
        fn header(&mut self, _: &Header) -> io::Result<()> {
            Ok(())
        }
        fn line(&mut self, _: &Line<'_>) -> io::Result<()> {
            Ok(())
        }
        fn counter(&mut self, _: &Counter) -> io::Result<()> {
            Ok(())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
        fn stats(&mut self, _: &Stats) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_is_told_before_it_is_out() {
        let (tell, shown) = channel();
        let mut witness = Witness::new(Nowhere, tell);
        witness.untold.push(Shown::Header);
        assert!(shown.try_recv().is_err());
        witness.flush().unwrap();
        assert!(matches!(shown.try_recv(), Ok(Shown::Header)));
        drop(shown);
        witness.untold.push(Shown::Header);
        witness.flush().expect("a narrator that went away is no error");
    }
}
