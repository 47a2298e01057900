//! `--expect`: traffic that there should be, so that its absence is a finding.

use std::net::IpAddr;

use thiserror::Error;

/// As it was typed, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// As it was typed.
    pub text: String,
    pub expected: Expected,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `in:tcp:80`: somebody outside talks to this port of this node or its pods.
    In { protocol: u8, port: u16 },
    /// `out:tcp:HOST:443`: somebody here talks to it. The addresses of the name, as they are now; any if there is no host.
    Out { protocol: u8, host: Option<String>, addresses: Vec<IpAddr>, port: u16 },
}

#[derive(Debug, Error)]
pub enum ExpectError {
    #[error("can't expect {0:?}: write in:tcp:PORT or out:tcp:HOST:PORT (tcp or udp; without HOST: any)")]
    Syntax(String),
    #[error("can't expect {text:?}: {host} has no address ({why})")]
    NoAddress { text: String, host: String, why: String },
}
