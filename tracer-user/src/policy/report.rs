//! One answer, as a JSON line.

use schemars::JsonSchema;
use serde::Serialize;
use tracer_policy::evaluate::{Answer, Verdict};
use tracer_policy::model::Protocol;

use super::Resolved;
use crate::enrich;
use crate::event::Policy;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    Allowed,
    Denied,
    /// It hangs on what `unknown` says.
    Unknown,
}

impl Word {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Unknown => "unknown",
        }
    }
}

impl From<Verdict> for Word {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allowed => Self::Allowed,
            Verdict::Denied => Self::Denied,
            Verdict::Unknown => Self::Unknown,
        }
    }
}

/// What the policies say about one connection.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Line {
    /// `namespace/pod` or an address.
    pub from: String,
    pub to: String,
    /// The Service that `to` was asked for by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// At the destination itself: the pod's port behind a Service.
    pub port: u16,
    pub protocol: &'static str,
    pub verdict: Word,
    /// The side that decides; absent where no policy selects either end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// What could not be decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

impl Line {
    pub(super) fn new(from: &Resolved, to: &Resolved, protocol: Protocol, answer: &Answer) -> Self {
        let deciding = answer.deciding();
        let is_selected = !deciding.selected_by.is_empty();
        Self {
            from: from.name.clone(),
            to: to.name.clone(),
            service: to.service.clone(),
            port: to.port,
            protocol: protocol.as_str(),
            verdict: answer.verdict().into(),
            policy: is_selected.then(|| enrich::policy(deciding, None)).flatten(),
            unknown: [&answer.egress, &answer.ingress].into_iter().flat_map(|side| side.unknown.clone()).collect(),
        }
    }
}
