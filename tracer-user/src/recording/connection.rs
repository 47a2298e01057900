//! Connections of a recording: what `whydrop policy try` needs of a `verdict` line.
//!
//! Rule: the keys are those of the `verdict` line, so that a saved `verdicts -o json` is read in the same way.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::event::{self, PodName, PolicyDirection, WorkloadName};

/// New connections between two ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection<'a> {
    pub kind: Cow<'a, str>,
    pub direction: PolicyDirection,
    pub protocol: Cow<'a, str>,
    pub source: ConnectionEnd<'a>,
    pub destination: ConnectionEnd<'a>,
    /// Connections that the line stands for.
    pub attempts: u64,
}

/// One end of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionEnd<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Cow<'a, PodName>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Cow<'a, WorkloadName>>,
}

impl<'a> Connection<'a> {
    pub(super) fn of(verdict: &'a event::Verdict) -> Self {
        let end = |end: &'a event::Endpoint| ConnectionEnd {
            address: end.address,
            port: end.port,
            pod: end.pod.as_ref().map(Cow::Borrowed),
            workload: end.workload.as_ref().map(Cow::Borrowed),
        };
        Self {
            kind: Cow::Borrowed("verdict"),
            direction: verdict.direction,
            protocol: Cow::Borrowed(&verdict.protocol),
            source: end(&verdict.source),
            destination: end(&verdict.destination),
            attempts: verdict.attempts,
        }
    }

    /// Reads a line; `None` for one of another kind.
    ///
    /// # Errors
    /// Those of the parser, for a line that is damaged.
    pub fn parse(line: &'a [u8]) -> serde_json::Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Kind<'a> {
            #[serde(borrow)]
            kind: Cow<'a, str>,
        }
        let kind: Kind<'_> = serde_json::from_slice(line)?;
        if kind.kind == "verdict" { serde_json::from_slice(line).map(Some) } else { Ok(None) }
    }
}
