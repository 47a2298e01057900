//! Connections that were seen: `verdict` lines that were saved, or that a running whydrop keeps.
//!
//! Rule: a file may be cut short or hold other lines; what can't be read is counted.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::Path;

use tracer_policy::model::{ObjectName, Protocol};

use super::PolicyError;
use crate::event::PolicyDirection;
use crate::recording::{Connection, ConnectionEnd, Found};

/// Bytes of a line that are read.
const MOST_LINE: u64 = 1 << 20;
/// Different connections that are kept.
const MOST_KEPT: usize = 1_000_000;

/// One end of a connection that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SeenEnd {
    /// With the name of what made it: another of its pods may have taken its place.
    Pod(ObjectName, Option<String>),
    Address(IpAddr),
}

/// Connections between two ends on one port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seen {
    pub source: SeenEnd,
    pub destination: SeenEnd,
    pub protocol: Protocol,
    pub port: u16,
}

/// What was seen, with how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    pub seen: BTreeMap<Seen, u64>,
    /// Lines that could not be read.
    pub damaged: u64,
    /// Connections beyond those that are kept.
    pub left_out: u64,
}

fn end(end: &ConnectionEnd<'_>) -> Option<SeenEnd> {
    match (&end.pod, end.address) {
        (Some(pod), _) => {
            let id = ObjectName::new(pod.namespace.as_str(), pod.name.as_str());
            Some(SeenEnd::Pod(id, end.workload.as_ref().map(|workload| workload.name.clone())))
        }
        (None, Some(address)) => Some(SeenEnd::Address(address)),
        (None, None) => None,
    }
}

impl Connections {
    /// Of a file that `whydrop verdicts -o json` was saved to; `-` for standard input.
    ///
    /// # Errors
    /// [`PolicyError`] if it can't be read, or holds no connection.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        let name = path.display().to_string();
        let failed = |error: &io::Error| PolicyError::File { path: name.clone(), problem: error.to_string() };
        let mut connections = Self::default();
        if path == Path::new("-") {
            connections.add(io::stdin().lock()).map_err(|error| failed(&error))?;
        } else {
            let file = File::open(path).map_err(|error| failed(&error))?;
            connections.add(BufReader::new(file)).map_err(|error| failed(&error))?;
        }
        if connections.seen.is_empty() { Err(PolicyError::NoConnection(name)) } else { Ok(connections) }
    }

    /// Of whydrop processes that show verdicts now.
    ///
    /// # Errors
    /// [`PolicyError`] if none of them has seen a connection.
    pub fn of_running(found: &[Found]) -> Result<Self, PolicyError> {
        let mut connections = Self::default();
        for path in found.iter().flat_map(|found| &found.files) {
            // It may end, and its files with it.
            if let Ok(file) = File::open(path)
                && let Err(error) = connections.add(BufReader::new(file))
            {
                tracing::debug!("{}: {error}", path.display());
            }
        }
        let name = || "what whydrop keeps now".to_owned();
        if connections.seen.is_empty() { Err(PolicyError::NoConnection(name())) } else { Ok(connections) }
    }

    /// Adds the lines of a reader.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn add(&mut self, mut from: impl BufRead) -> io::Result<()> {
        // By direction: a connection between two pods of the node has two verdicts.
        let mut counts: HashMap<(Seen, PolicyDirection), u64> = HashMap::new();
        let mut line = Vec::new();
        loop {
            line.clear();
            if from.by_ref().take(MOST_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            match parse(&line) {
                Ok(Some((seen, direction, attempts))) if counts.len() < MOST_KEPT => {
                    *counts.entry((seen, direction)).or_default() += attempts;
                }
                Ok(Some((.., attempts))) => self.left_out += attempts,
                Ok(None) => {}
                Err(()) => self.damaged += 1,
            }
        }
        for ((seen, _), attempts) in counts {
            let known = self.seen.entry(seen).or_default();
            *known = (*known).max(attempts);
        }
        Ok(())
    }
}

fn parse(line: &[u8]) -> Result<Option<(Seen, PolicyDirection, u64)>, ()> {
    let Some(line) = Connection::parse(line).map_err(|_| ())? else { return Ok(None) };
    let protocol = Protocol::parse(&line.protocol).ok_or(())?;
    let (source, destination) = (end(&line.source).ok_or(())?, end(&line.destination).ok_or(())?);
    let port = line.destination.port.ok_or(())?;
    Ok(Some((Seen { source, destination, protocol, port }, line.direction, line.attempts.max(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(direction: &str, attempts: u64) -> String {
        format!(
            r#"{{"kind":"verdict","direction":"{direction}","protocol":"tcp","attempts":{attempts},"source":{{"address":"10.0.0.5","pod":{{"namespace":"shop","name":"a","uid":"1"}}}},"destination":{{"address":"10.0.0.9","port":80}}}}"#
        )
    }

    #[test]
    fn a_connection_with_two_verdicts_is_one_and_other_lines_are_passed_over() {
        let text =
            [line("egress", 3), line("ingress", 3), line("egress", 2), r#"{"kind":"stats"}"#.into(), "{\"ki".into()];
        let mut connections = Connections::default();
        connections.add(text.join("\n").as_bytes()).unwrap();
        let pod = SeenEnd::Pod(ObjectName::new("shop", "a"), None);
        let only = Seen {
            source: pod,
            destination: SeenEnd::Address("10.0.0.9".parse().unwrap()),
            protocol: Protocol::Tcp,
            port: 80,
        };
        assert_eq!(connections.seen.into_iter().collect::<Vec<_>>(), [(only, 5)]);
        assert_eq!(connections.damaged, 1);
    }
}
