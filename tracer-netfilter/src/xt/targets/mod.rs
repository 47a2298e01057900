//! Targets: what a rule does with a packet.
//!
//! Rule: one file a target (or a family of alike ones), and one list of them all, below. What a target does is what the
//! kernel's function does (`net/netfilter/xt_*.c`, `net/ipv4/netfilter/ipt_*.c`, `net/ipv6/netfilter/ip6t_*.c` of Linux
//! 6.18), as far as later rules and the packet's fate go. A revision that is not known makes the target unknown, not the
//! rule: its matches still say whether it is met at all.

mod cluster_ip;
mod connection;
mod connection_mark;
mod copy;
mod hash_mark;
mod header;
mod idle_timer;
mod led;
mod line;
mod log;
mod mark;
mod nat;
mod prefix;
mod queue;
mod rate;
mod reject;
mod security;
mod set;
mod synproxy;
mod tcp_option;
#[cfg(test)]
mod tests;
mod tproxy;
mod traffic;

use crate::evaluate::View;
use crate::model::{DecodeError, Family};
use crate::walk::End;

use super::blob::Blob;
use line::Line;

/// What a target comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// On to the next rule (`XT_CONTINUE`); what it changed stands in the [`View`].
    Continue,
    Accept,
    Ends(End),
    /// Taken out of the stack without being dropped.
    Stolen,
    /// Can't be told; a noun phrase.
    Unknown(String),
}

/// One kind of target.
trait Extension: Sized {
    /// Reads the kernel's structure; the blob says which name and revision it came with.
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError>;

    /// What it does; most change nothing that a rule or the packet's fate depends on.
    fn apply(&self, _view: &mut View<'_>, _sure: bool) -> Effect {
        Effect::Continue
    }

    fn line(&self, family: Family) -> Line;
}

macro_rules! targets_by_name {
    ($($variant:ident($kind:ty): $($name:literal),+;)+) => {
        /// A target of a rule that is no plain verdict.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Target {
            $($variant($kind),)+
            /// One that this version does not know.
            Unknown { name: String, revision: u8, data: Vec<u8> },
        }

        /// The names in the kernel of all targets that are known.
        #[cfg(test)]
        const KNOWN: &[&str] = &[$($($name),+),+];

        impl Target {
            fn known(blob: &Blob<'_>) -> Result<Option<Self>, DecodeError> {
                Ok(Some(match blob.name {
                    $($($name)|+ => Self::$variant(<$kind as Extension>::decode(blob)?),)+
                    _ => return Ok(None),
                }))
            }

            /// What it does; `sure` if the rule surely matched (changes of marks are only possible ones otherwise).
            pub fn apply(&self, view: &mut View<'_>, sure: bool) -> Effect {
                match self {
                    $(Self::$variant(kind) => kind.apply(view, sure),)+
                    Self::Unknown { name, .. } => Effect::Unknown(format!("the target {name}")),
                }
            }

            /// As `iptables -S` prints it: `-j MARK --set-xmark 0x1/0xffffffff`.
            pub fn text(&self, family: Family) -> String {
                match self {
                    $(Self::$variant(kind) => kind.line(family).text(),)+
                    Self::Unknown { name, .. } => format!("-j {name}"),
                }
            }
        }
    };
}

targets_by_name! {
    Reject(reject::Reject): "REJECT";
    Mark(mark::Mark): "MARK";
    ConnectionMark(connection_mark::ConnectionMark): "CONNMARK";
    Connection(connection::Connection): "CT", "NOTRACK";
    Queue(queue::Queue): "NFQUEUE";
    Log(log::Log): "LOG";
    NetlinkLog(log::NetlinkLog): "NFLOG";
    UserLog(log::UserLog): "ULOG";
    Audit(log::Audit): "AUDIT";
    Trace(log::Trace): "TRACE";
    Nat(nat::Nat): "SNAT", "DNAT", "MASQUERADE", "REDIRECT", "NETMAP";
    Prefix(prefix::Prefix): "SNPT", "DNPT";
    TransparentProxy(tproxy::TransparentProxy): "TPROXY";
    SynProxy(synproxy::SynProxy): "SYNPROXY";
    MaximumSegment(tcp_option::MaximumSegment): "TCPMSS";
    OptionStrip(tcp_option::OptionStrip): "TCPOPTSTRIP";
    ServiceCode(header::ServiceCode): "DSCP";
    ServiceType(header::ServiceType): "TOS";
    HopLimit(header::HopLimit): "TTL", "HL";
    Congestion(header::Congestion): "ECN";
    Checksum(header::Checksum): "CHECKSUM";
    Set(set::Set): "SET";
    Classify(traffic::Classify): "CLASSIFY";
    RateEstimator(rate::RateEstimator): "RATEEST";
    HashMark(hash_mark::HashMark): "HMARK";
    Copy(copy::Copy): "TEE";
    IdleTimer(idle_timer::IdleTimer): "IDLETIMER";
    SecurityMark(security::SecurityMark): "SECMARK";
    ConnectionSecurityMark(security::ConnectionSecurityMark): "CONNSECMARK";
    ClusterIp(cluster_ip::ClusterIp): "CLUSTERIP";
    Led(led::Led): "LED";
}

impl Target {
    /// As [`Target::text`], with the names of sets, of which a rule only has the kernel's numbers.
    pub fn text_naming(&self, family: Family, name_of: &dyn Fn(u16) -> Option<String>) -> String {
        match self {
            Self::Set(set) => set.line_naming(name_of).text(),
            _ => self.text(family),
        }
    }

    /// The sets of ipset that it changes or looks into, by the kernel's numbers.
    pub fn sets(&self) -> Vec<u16> {
        match self {
            Self::Set(set) => set.indexes(),
            _ => Vec::new(),
        }
    }

    /// Reads the kernel's structure of a target; `family` is that of the rule (`Ip` or `Ip6`, also in inet tables).
    pub fn decode(name: &str, revision: u8, family: Family, data: &[u8]) -> Result<Self, DecodeError> {
        match Self::known(&Blob { name, revision, family, data }) {
            Ok(Some(target)) => Ok(target),
            Ok(None) | Err(DecodeError::Revision { .. }) => {
                Ok(Self::Unknown { name: name.to_owned(), revision, data: data.to_vec() })
            }
            Err(error) => Err(error),
        }
    }
}
