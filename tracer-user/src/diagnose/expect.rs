//! `--expect`: traffic that there should be, so that its absence is a finding.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

use crate::flow::{Service, Way};
use crate::settings::shortened;

use super::talk::{TCP, Talk, UDP};

/// Bytes of a host's name, at most (RFC 1035, 3.1, as text).
const LONGEST_NAME: usize = 253;

/// As it was typed, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// As it was typed.
    pub text: String,
    pub expected: Expected,
    /// Whether other namespaces of this machine are outside too: so it is where namespaces were chosen.
    pub others_are_outside: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `in:tcp:80`: somebody outside talks to this port of this node or its pods; to this address of it, if there is one.
    In { protocol: u8, host: Option<Host>, port: u16 },
    /// `out:tcp:HOST:443`: somebody here talks to it; to any, if there is no host.
    Out { protocol: u8, host: Option<Host>, port: u16 },
}

/// Whom to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// As it was typed, without brackets.
    pub name: String,
    /// All that it has, as it is now.
    pub addresses: Vec<IpAddr>,
    /// Why it has none: that is a finding, as names may be what is broken.
    pub unresolved: Option<String>,
}

#[derive(Debug, Error)]
pub enum ExpectError {
    #[error("can't expect nothing at all: write in:tcp:PORT or out:tcp:HOST:PORT (tcp or udp; without HOST: any)")]
    Empty,
    #[error("can't expect {0}: write in:tcp:PORT or out:tcp:HOST:PORT (tcp or udp; without HOST: any)")]
    Syntax(String),
    #[error("can't expect {0}: a port is a number from 1 to 65535")]
    Port(String),
    #[error("can't expect {0}: an IPv6 address stands in brackets, [fd00::1]:443")]
    Brackets(String),
    #[error("can't expect {0}: a host is a name or an address")]
    Host(String),
}

impl FromStr for Expectation {
    type Err = ExpectError;

    fn from_str(text: &str) -> Result<Self, ExpectError> {
        if text.trim().is_empty() {
            return Err(ExpectError::Empty);
        }
        let syntax = || ExpectError::Syntax(shortened(text));
        let (way, rest) = text.split_once(':').ok_or_else(syntax)?;
        let (protocol, place) = rest.split_once(':').ok_or_else(syntax)?;
        let protocol = match protocol {
            "tcp" => TCP,
            "udp" => UDP,
            _ => return Err(syntax()),
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) => (Some(Host::parse(host, text)?), port),
            None => (None, place),
        };
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(|| ExpectError::Port(shortened(text)))?;
        let expected = match way {
            "in" => Expected::In { protocol, host, port },
            "out" => Expected::Out { protocol, host, port },
            _ => return Err(syntax()),
        };
        Ok(Self { text: text.to_owned(), expected, others_are_outside: false })
    }
}

impl Host {
    fn parse(host: &str, text: &str) -> Result<Self, ExpectError> {
        let of = |name: &str, addresses| Self { name: name.to_owned(), addresses, unresolved: None };
        if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            let address = inner.parse().map_err(|_| ExpectError::Host(shortened(text)))?;
            return Ok(of(inner, vec![IpAddr::V6(address)]));
        }
        if host.contains(':') {
            return Err(ExpectError::Brackets(shortened(text)));
        }
        if let Ok(address) = host.parse() {
            return Ok(of(host, vec![address]));
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if host.is_empty() || host.len() > LONGEST_NAME || !host.bytes().all(is_name) {
            return Err(ExpectError::Host(shortened(text)));
        }
        Ok(of(host, Vec::new()))
    }
}

impl Expectation {
    pub fn protocol(&self) -> u8 {
        match self.expected {
            Expected::In { protocol, .. } | Expected::Out { protocol, .. } => protocol,
        }
    }

    pub fn port(&self) -> u16 {
        match self.expected {
            Expected::In { port, .. } | Expected::Out { port, .. } => port,
        }
    }

    pub fn is_in(&self) -> bool {
        matches!(self.expected, Expected::In { .. })
    }

    pub fn host(&self) -> Option<&Host> {
        match &self.expected {
            Expected::In { host, .. } | Expected::Out { host, .. } => host.as_ref(),
        }
    }

    pub(super) fn host_mut(&mut self) -> Option<&mut Host> {
        match &mut self.expected {
            Expected::In { host, .. } | Expected::Out { host, .. } => host.as_mut(),
        }
    }

    /// A port that the kernel's programs have to be told of.
    pub fn udp_port(&self) -> Option<u16> {
        (self.protocol() == UDP).then(|| self.port())
    }

    /// Whether attempts to talk to this service are what is expected. What came in by an uplink is from outside.
    pub(super) fn takes(&self, service: &Service) -> bool {
        let from_outside = match service.way {
            Way::In | Way::Through => true,
            Way::Local => self.others_are_outside,
            Way::Out => false,
        };
        let is_way = if self.is_in() { from_outside } else { service.way != Way::In };
        is_way && self.is_for(service.protocol, service.server)
    }

    /// Whether a failure that was seen is one of what is expected; which way it went is not known of a dropped packet.
    pub(super) fn is_of(&self, talk: &Talk) -> bool {
        self.is_for(talk.protocol, SocketAddr::new(talk.server, talk.port))
    }

    fn is_for(&self, protocol: u8, server: SocketAddr) -> bool {
        let is_host = self.host().is_none_or(|host| host.addresses.contains(&server.ip().to_canonical()));
        protocol == self.protocol() && server.port() == self.port() && is_host
    }
}

impl fmt::Display for Expectation {
    /// `tcp 80`, `tcp mcr.example.com:443`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.protocol() == TCP { "tcp" } else { "udp" };
        match self.host() {
            Some(host) if host.name.contains(':') => write!(f, "{protocol} [{}]:{}", host.name, self.port()),
            Some(host) => write!(f, "{protocol} {}:{}", host.name, self.port()),
            None => write!(f, "{protocol} {}", self.port()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Expectation {
        text.parse().unwrap()
    }

    #[test]
    fn each_form_is_understood() {
        assert_eq!(parsed("in:tcp:80").expected, Expected::In { protocol: TCP, host: None, port: 80 });
        let out = parsed("out:tcp:mcr.example.com:443");
        assert_eq!((out.port(), out.host().unwrap().name.as_str(), out.udp_port()), (443, "mcr.example.com", None));
        assert_eq!(out.to_string(), "tcp mcr.example.com:443");
        let dns = parsed("out:udp:53");
        assert_eq!((dns.udp_port(), dns.host(), dns.to_string().as_str()), (Some(53), None, "udp 53"));
        let six = parsed("out:tcp:[fd00::1]:443");
        assert_eq!(six.host().unwrap().addresses, ["fd00::1".parse::<IpAddr>().unwrap()]);
        assert_eq!(six.to_string(), "tcp [fd00::1]:443");
        assert_eq!(parsed("in:tcp:10.0.0.1:80").host().unwrap().addresses, ["10.0.0.1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn what_means_nothing_is_refused_in_one_sentence() {
        let wrong = [
            ("", "write in:tcp:PORT"),
            ("in", "write in:tcp:PORT"),
            ("in:80", "write in:tcp:PORT"),
            ("by:tcp:80", "write in:tcp:PORT"),
            ("in:icmp:80", "write in:tcp:PORT"),
            ("in:tcp:", "a port is a number"),
            ("in:tcp:0", "a port is a number"),
            ("in:tcp:65536", "a port is a number"),
            ("in:tcp:http", "a port is a number"),
            ("out:tcp:a.example:", "a port is a number"),
            ("out:tcp:fd00::1:443", "in brackets"),
            ("out:tcp:[fd00::zz]:443", "a host is a name"),
            ("out:tcp::443", "a host is a name"),
            ("out:tcp:a b:443", "a host is a name"),
            ("out:tcp:\x1b[2J:443", "a host is a name"),
        ];
        for (text, why) in wrong {
            let error = text.parse::<Expectation>().unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains('\x1b'), "{text:?}: {error}");
        }
        let long = format!("out:tcp:{}:443", "a".repeat(1_000_000));
        assert!(long.parse::<Expectation>().unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn the_way_tells_who_is_outside() {
        let service = |way| Service { protocol: TCP, server: "10.0.0.1:80".parse().unwrap(), way };
        let taken =
            |text: &str| [Way::In, Way::Out, Way::Through, Way::Local].map(|way| parsed(text).takes(&service(way)));
        assert_eq!(taken("in:tcp:80"), [true, false, true, false]);
        let chosen = Expectation { others_are_outside: true, ..parsed("in:tcp:80") };
        assert!(chosen.takes(&service(Way::Local)) && !chosen.takes(&service(Way::Out)));
        assert_eq!(taken("out:tcp:80"), [false, true, true, true]);
        assert_eq!(taken("out:udp:80"), [false; 4]);
        assert_eq!(taken("out:tcp:10.0.0.2:80"), [false; 4]);
        assert_eq!(taken("out:tcp:10.0.0.1:80"), [false, true, true, true]);
        assert_eq!(taken("out:tcp:not-resolved:80"), [false; 4]);
    }
}
