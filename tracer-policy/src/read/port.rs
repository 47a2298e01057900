//! Ports and protocols of a manifest.
//!
//! Rule: a number in quotes is the name of a port, which has a letter: it is told, not taken for the number.

use serde::Deserialize;

use super::error::{Fault, quoted};
use crate::model::{PortMatch, PortRange, Protocol};

/// A number, or the name of a container's port.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged, expecting = "a port is a number or the name of a container's port")]
pub(super) enum Port<'a> {
    Number(i64),
    Name(&'a str),
}

/// One entry of a NetworkPolicy's `ports`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Match<'a> {
    protocol: Option<&'a str>,
    #[serde(borrow)]
    port: Option<Port<'a>>,
    end_port: Option<i64>,
}

impl Match<'_> {
    pub(super) fn read(self) -> Result<PortMatch, Fault> {
        let range = match (self.port, self.end_port) {
            (None, None) => PortRange::All,
            (None, Some(_)) => return Err(Fault::new("endPort", "needs a port where the range begins")),
            (Some(Port::Name(_)), Some(_)) => {
                return Err(Fault::new("endPort", "needs a port that is a number, not a name"));
            }
            (Some(Port::Name(text)), None) => PortRange::Name(name(text).map_err(|fault| fault.under("port"))?.into()),
            (Some(Port::Number(first)), last) => range(first, last.unwrap_or(first), ["port", "endPort"])?,
        };
        Ok(PortMatch { protocol: protocol(self.protocol)?, range })
    }
}

/// A range with both ends; faults are named after the two fields.
pub(super) fn range(first: i64, last: i64, fields: [&str; 2]) -> Result<PortRange, Fault> {
    let from = number(first).map_err(|fault| fault.under(fields[0]))?;
    let to = number(last).map_err(|fault| fault.under(fields[1]))?;
    if to < from {
        return Err(Fault::new(fields[1], format!("{to} is below the first port, {from}")));
    }
    Ok(PortRange::Numbers(from, to))
}

/// Of a manifest: 1 to 65535.
pub(super) fn number(port: i64) -> Result<u16, Fault> {
    u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Fault::new("", format!("{port} is no port: ports go from 1 to 65535")))
}

/// The name of a port (IANA service name, RFC 6335): 1 to 15 lower-case letters, digits and hyphens, at least one letter.
pub(super) fn name(text: &str) -> Result<&str, Fault> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let has_letter = text.bytes().any(|byte| byte.is_ascii_lowercase());
    if text.parse::<i64>().is_ok() {
        return Err(Fault::new("", format!("{} in quotes is a name, and a name has a letter", quoted(text))));
    }
    if !has_letter || text.len() > 15 || !text.bytes().all(is_allowed) {
        return Err(Fault::new("", format!("{} can't be the name of a port", quoted(text))));
    }
    Ok(text)
}

/// TCP where it is left out.
pub(super) fn protocol(text: Option<&str>) -> Result<Protocol, Fault> {
    match text {
        None | Some("" | "TCP") => Ok(Protocol::Tcp),
        Some("UDP") => Ok(Protocol::Udp),
        Some("SCTP") => Ok(Protocol::Sctp),
        Some(other) => Err(Fault::new("protocol", format!("{} is none of TCP, UDP, SCTP", quoted(other)))),
    }
}
